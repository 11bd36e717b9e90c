//! Types, qualified names, and the values that are left out by default.

use crate::DEPTH_MAX;
use crate::error::{Problem, TauError};
use crate::lexer::Kind;
use crate::parse::Parser;
use crate::syntax::{Path, Type};
use crate::text::harmless;

const TYPES: &str = "types, one in the other";

impl Parser<'_> {
    pub(super) fn type_(&mut self, expected: &str) -> Result<Type, TauError> {
        self.type_within(expected, 0)
    }

    fn type_within(&mut self, expected: &str, depth: usize) -> Result<Type, TauError> {
        let path = self.path(expected)?;
        if depth == DEPTH_MAX {
            return Err(Problem::TooDeep { what: TYPES }.at(path.at()));
        }
        let mut arguments = Vec::new();
        if self.took("<") {
            loop {
                arguments.push(self.type_within("a type", depth + 1)?);
                if self.took(">") {
                    break;
                }
                if !self.took(",") {
                    return Err(self.unexpected("`,` or `>`"));
                }
            }
        }
        let mut kind = Type {
            path,
            arguments,
            lists: 0,
        };
        self.lists(&mut kind)?;
        Ok(kind)
    }

    /// Each `[]`, behind a type or, as in C, behind the name.
    pub(super) fn lists(&mut self, kind: &mut Type) -> Result<(), TauError> {
        while self.is_next("[") {
            let at = self.advance().at;
            if !self.took("]") {
                return Err(self.unexpected("`]`, as lists have any length"));
            }
            kind.lists += 1;
            if kind.lists > DEPTH_MAX {
                return Err(Problem::TooDeep { what: TYPES }.at(at));
            }
        }
        Ok(())
    }

    pub(super) fn path(&mut self, expected: &str) -> Result<Path, TauError> {
        let mut scope = Vec::new();
        let mut name = self.name(expected)?;
        while self.took("::") {
            scope.push(name);
            name = self.name("a name after `::`")?;
        }
        Ok(Path { scope, name })
    }

    /// `= expr`, as it is written.
    pub(super) fn default(&mut self) -> Result<Option<String>, TauError> {
        if !self.took("=") {
            return Ok(None);
        }
        let mut text = String::new();
        if self.took("-") {
            text.push('-');
            if self.peek().kind != Kind::Number {
                return Err(self.unexpected("a number after `-`"));
            }
        }
        match self.peek().kind {
            Kind::Number | Kind::Text => text += self.advance().text,
            _ => {
                text += &self
                    .name("a value: a number, a text in quotes or a name")?
                    .text;
                while self.is_next(".") || self.is_next("::") {
                    text += self.advance().text;
                    text += &self.name("a name")?.text;
                }
            }
        }
        Ok(Some(harmless(&text)))
    }
}
