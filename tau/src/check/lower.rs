//! Namespaces, interfaces, records and enums, from as written to as meant.

use crate::check::circle::Contained;
use crate::check::claims::{Claims, Sort};
use crate::check::members;
use crate::check::scope::{Declared, Entry, ROOT, ScopeId, Scopes, full_name, type_name};
use crate::error::{TauError, unexpected};
use crate::model::{
    Alias, Base, Enum, EnumValue, File, Interface, Item, Named, Record, Space, Type,
};
use crate::names::pascal;
use crate::syntax::{self, Body, Class, Keyword, Path};

pub(super) fn file(scopes: &Scopes<'_>) -> Result<File, TauError> {
    let mut lowering = Lowering {
        scopes,
        contained: Contained::default(),
    };
    let root = lowering.space(ROOT)?;
    lowering.contained.must_end()?;
    Ok(File { root })
}

struct Lowering<'s, 'f> {
    scopes: &'s Scopes<'f>,
    contained: Contained,
}

impl<'f> Lowering<'_, 'f> {
    fn space(&mut self, id: ScopeId) -> Result<Space, TauError> {
        let scope = self.scopes.get(id);
        let items = scope.entries.iter().map(|entry| match *entry {
            Entry::Space(inner) => Ok(Item::Space(self.space(inner)?)),
            Entry::Alias(alias) => self.alias(id, alias),
            Entry::Declared(Declared::Class(class)) => self.class(id, class),
            Entry::Declared(Declared::Enum(written)) => Ok(Item::Enum(enumeration(written)?)),
        });
        Ok(Space {
            items: items.collect::<Result<_, _>>()?,
            docs: scope.docs.clone(),
            name: scope.name.to_owned(),
        })
    }

    fn alias(&self, id: ScopeId, alias: &syntax::Alias) -> Result<Item, TauError> {
        let mut space = self.scopes.path(self.scopes.target(id, alias)?);
        let name = space.pop().unwrap_or_default();
        Ok(Item::Alias(Alias {
            name: alias.name.text.clone(),
            target: Named {
                space,
                written: scope_of(&alias.target),
                name,
            },
        }))
    }

    fn class(&mut self, id: ScopeId, class: &'f Class) -> Result<Item, TauError> {
        if !self.scopes.is_interface(id, class)? {
            return match class.version {
                None => Ok(Item::Record(self.record(id, class)?)),
                Some(_) => Err(unexpected(
                    class.name.at,
                    "an interface after a version",
                    format!("`{}`, which has fields only", class.name.text),
                )),
            };
        }
        if class.keyword == Keyword::Struct {
            return Err(more_than_fields(class));
        }
        Ok(Item::Interface(self.interface(id, class)?))
    }

    fn interface(&self, id: ScopeId, class: &'f Class) -> Result<Interface, TauError> {
        let scopes = self.scopes;
        let mut claims = Claims::default();
        let (inherited, members) = scopes.gather(id, class, |id, written| {
            members::claim(&mut claims, written)?;
            scopes.member(id, written)
        })?;
        Ok(Interface {
            docs: class.docs.clone(),
            version: class.version,
            name: type_name(Declared::Class(class)),
            base: self.base(id, class)?,
            inherited,
            members,
        })
    }

    fn record(&mut self, id: ScopeId, class: &'f Class) -> Result<Record, TauError> {
        let scopes = self.scopes;
        let name = type_name(Declared::Class(class));
        let whole = full_name(&scopes.path(id), &name);
        let mut claims = Claims::default();
        let (inherited, fields) = scopes.gather(id, class, |id, written| {
            claims.take(
                Sort::Member,
                crate::names::camel(&written.name.text),
                &written.name,
            )?;
            let field = scopes.field(id, written)?;
            if let Type::Declared(part, _) = &field.kind {
                let part = full_name(&part.space, &part.name);
                self.contained.note(&whole, part, written.name.at);
            }
            Ok(field)
        })?;
        Ok(Record {
            docs: class.docs.clone(),
            base: self.base(id, class)?.map(|base| base.name),
            name,
            inherited,
            fields,
        })
    }

    fn base(&self, id: ScopeId, class: &'f Class) -> Result<Option<Base>, TauError> {
        let (Some(path), Some((space, base))) =
            (&class.base, self.scopes.line(id, class)?.get(1).copied())
        else {
            return Ok(None);
        };
        Ok(Some(Base {
            name: Named {
                space: self.scopes.path(space),
                written: scope_of(path),
                name: type_name(Declared::Class(base)),
            },
            has_events: self.scopes.has_events(space, base)?,
        }))
    }
}

fn scope_of(path: &Path) -> Vec<String> {
    path.scope.iter().map(|name| name.text.clone()).collect()
}

/// A struct with methods or events, of its own or from its base.
fn more_than_fields(class: &Class) -> TauError {
    let mut members = class.members.iter();
    let own = members.find(|member| !matches!(member.body, Body::Field { .. }));
    let (at, got) = match (own, &class.base) {
        (Some(member), _) => (member.name.at, format!("`{}`", member.name.text)),
        (None, Some(base)) => (base.at(), format!("the interface `{}`", base.text())),
        (None, None) => (class.name.at, "an interface".to_owned()),
    };
    let expected = "fields only in a struct (what has methods or events is a `class`)";
    unexpected(at, expected, got)
}

/// Numbers go on from the last that is given, as in Rust and C++.
fn enumeration(written: &syntax::Enum) -> Result<Enum, TauError> {
    let mut claims = Claims::default();
    let mut values: Vec<EnumValue> = Vec::new();
    let mut seen = std::collections::BTreeMap::new();
    for value in &written.values {
        let name = &value.name;
        claims.take(Sort::Value, pascal(&name.text), name)?;
        let next = values
            .last()
            .map_or(Some(0), |last| last.number.checked_add(1));
        let Some(number) = value.number.or(next) else {
            return Err(unexpected(
                name.at,
                "a number of at most 32 bits",
                "one more than that",
            ));
        };
        if let Some(other) = seen.insert(number, &name.text) {
            let expected = format!("a number other than that of `{other}`");
            return Err(unexpected(name.at, expected, format!("{number}")));
        }
        values.push(EnumValue {
            docs: value.docs.clone(),
            name: name.text.clone(),
            given: value.number,
            number,
        });
    }
    Ok(Enum {
        docs: written.docs.clone(),
        name: pascal(&written.name.text),
        values,
    })
}
