//! Namespaces, interfaces, classes, structs and enums.

use crate::DEPTH_MAX;
use crate::error::{Problem, TauError, unexpected};
use crate::lexer::{Kind, Token};
use crate::parse::{Parser, foreign};
use crate::syntax::{Alias, Class, Enum, EnumValue, Item, Keyword, Space};

const AN_ITEM: &str = "`namespace`, `interface`, `class`, `struct` or `enum`";

impl Parser<'_> {
    pub(super) fn file(&mut self) -> Result<Vec<Item>, TauError> {
        let mut items = Vec::new();
        while self.peek().kind != Kind::End {
            items.extend(self.item(0)?);
        }
        Ok(items)
    }

    /// One item, or a semicolon that follows one out of habit.
    fn item(&mut self, depth: usize) -> Result<Option<Item>, TauError> {
        if self.took(";") {
            return Ok(None);
        }
        let mut docs = self.peek().docs.clone();
        let version = self.version()?;
        let token = self.peek();
        let keyword = match token.text {
            "interface" => Some(Keyword::Interface),
            "class" => Some(Keyword::Class),
            "struct" => Some(Keyword::Struct),
            "namespace" | "enum" if version.is_none() => None,
            _ if version.is_some() => {
                return Err(self.unexpected("`interface` after its version"));
            }
            _ => return Err(self.unexpected(AN_ITEM)),
        };
        if version.is_some() {
            docs.extend(token.docs.iter().cloned());
        }
        let token = self.advance();
        Ok(Some(match keyword {
            Some(keyword) => Item::Class(self.class(docs, version, keyword)?),
            None if token.text == "enum" => Item::Enum(self.enumeration(docs)?),
            None => self.namespace(docs, depth)?,
        }))
    }

    fn namespace(&mut self, docs: Vec<String>, depth: usize) -> Result<Item, TauError> {
        let name = self.name("a namespace's name")?;
        if self.took("=") {
            let target = self.path("the namespace that it stands for")?;
            self.expect(";")?;
            return Ok(Item::Alias(Alias { name, target }));
        }
        if depth == DEPTH_MAX {
            let what = "namespaces, one in the other";
            return Err(Problem::TooDeep { what }.at(name.at));
        }
        // `A::B {` is `A { B {`, and what is documented is the inner one.
        let (docs, items) = if self.took("::") {
            (Vec::new(), vec![self.namespace(docs, depth + 1)?])
        } else {
            (docs, self.block(depth + 1)?)
        };
        Ok(Item::Space(Space { docs, name, items }))
    }

    /// The items of a namespace, in their braces.
    fn block(&mut self, depth: usize) -> Result<Vec<Item>, TauError> {
        self.expect("{")?;
        let mut items = Vec::new();
        while !self.took("}") {
            if self.peek().kind == Kind::End {
                return Err(self.unexpected(&format!("{AN_ITEM}, or `}}`")));
            }
            items.extend(self.item(depth)?);
        }
        Ok(items)
    }

    fn class(
        &mut self,
        docs: Vec<String>,
        version: Option<u32>,
        keyword: Keyword,
    ) -> Result<Class, TauError> {
        let name = self.name("a name")?;
        self.no_generics()?;
        let base = match self.took(":") {
            true => Some(self.path("the base's name")?),
            false => None,
        };
        if base.is_some() && self.is_next(",") {
            return Err(self.unexpected("`{`, as there is one base only"));
        }
        if !self.took("{") {
            let expected = if base.is_some() { "`{`" } else { "`{` or `:`" };
            return Err(self.unexpected(expected));
        }
        let members = self.members(&name)?;
        Ok(Class {
            docs,
            version,
            keyword,
            name,
            base,
            members,
        })
    }

    /// `@version(2)`, or as KAI's tutorial has it, `@versioned(2.0)`.
    fn version(&mut self) -> Result<Option<u32>, TauError> {
        let mut version = None;
        while self.is_next("@") {
            let at = self.advance().at;
            let name = self.advance();
            if !matches!(name.text, "version" | "versioned") {
                return Err(foreign::attribute(name.text).at(at));
            }
            if version.is_some() {
                return Err(unexpected(at, "one version", "a second"));
            }
            self.expect("(")?;
            let number = self.peek().clone();
            version = Some(whole(&number).ok_or_else(|| self.unexpected("a version's number"))?);
            self.advance();
            self.expect(")")?;
        }
        Ok(version)
    }

    fn enumeration(&mut self, docs: Vec<String>) -> Result<Enum, TauError> {
        let name = self.name("the enum's name")?;
        self.expect("{")?;
        let mut values = Vec::new();
        while values.is_empty() || !self.took("}") {
            let docs = self.peek().docs.clone();
            let expected = if values.is_empty() {
                "a value's name"
            } else {
                "a value's name or `}`"
            };
            let name = self.name(expected)?;
            let number = match self.took("=") {
                true => Some(self.number()?),
                false => None,
            };
            values.push(EnumValue { docs, name, number });
            let _ = self.took(",");
        }
        Ok(Enum { docs, name, values })
    }

    /// A value's number.
    fn number(&mut self) -> Result<i32, TauError> {
        let at = self.peek().at;
        let sign = if self.took("-") { "-" } else { "" };
        let token = self.peek();
        if token.kind != Kind::Number {
            return Err(self.unexpected("a number"));
        }
        let number = match token
            .text
            .strip_prefix("0x")
            .or(token.text.strip_prefix("0X"))
        {
            Some(digits) => i32::from_str_radix(&format!("{sign}{digits}"), 16),
            None => format!("{sign}{}", token.text).parse(),
        };
        let got = format!("{sign}{}", crate::text::excerpt(token.text));
        let expected = "a whole number of at most 32 bits";
        self.advance();
        number.map_err(|_| unexpected(at, expected, got))
    }
}

/// The whole part of a version's number.
fn whole(token: &Token<'_>) -> Option<u32> {
    let (whole, _) = token.text.split_once('.').unwrap_or((token.text, ""));
    whole.parse().ok().filter(|_| token.kind == Kind::Number)
}
