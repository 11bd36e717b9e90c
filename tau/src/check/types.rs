//! What a type means, and where it may stand.

use crate::check::scope::{ScopeId, Scopes, type_name};
use crate::error::{TauError, unexpected};
use crate::model::{Named, Nature, Type};
use crate::syntax;

/// Where a type stands. Nothing can be returned, but not passed; futures are both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Return,
    Parameter,
    /// In a `Future`.
    Future,
    /// Everywhere else.
    Value,
}

const SIMPLE: [(&str, Type); 13] = [
    ("void", Type::Void),
    ("bool", Type::Bool),
    ("int", Type::Int),
    ("int32", Type::Int),
    ("int64", Type::Int64),
    ("float", Type::Float),
    ("double", Type::Double),
    ("string", Type::Text),
    ("String", Type::Text),
    ("bytes", Type::Bytes),
    ("date", Type::Date),
    ("Object", Type::Object),
    ("callback", Type::Callback),
];
/// With how many types each has in its angle brackets.
const GENERIC: [(&str, usize); 6] = [
    ("Future", 1),
    ("List", 1),
    ("Array", 1),
    ("Vector", 1),
    ("Set", 1),
    ("Map", 2),
];

/// What newcomers write, and Tau's word for it.
const SIMILAR: [(&str, &str); 21] = [
    ("boolean", "bool"),
    ("integer", "int"),
    ("long", "int64"),
    ("number", "double"),
    ("i32", "int"),
    ("i64", "int64"),
    ("f32", "float"),
    ("f64", "double"),
    ("u32", "int64"),
    ("uint", "int64"),
    ("uint32", "int64"),
    ("short", "int"),
    ("str", "string"),
    ("text", "string"),
    ("byte", "bytes"),
    ("buffer", "bytes"),
    ("time", "date"),
    ("datetime", "date"),
    ("any", "Object"),
    ("dict", "Map"),
    ("promise", "Future"),
];

pub(super) fn is_built_in(name: &str) -> bool {
    SIMPLE.iter().any(|(simple, _)| *simple == name)
        || GENERIC.iter().any(|(generic, _)| *generic == name)
}

/// The built-in type that may have been meant.
pub(super) fn similar(name: &str) -> Option<&'static str> {
    let same = |other: &str| other.eq_ignore_ascii_case(name);
    let simple = SIMPLE.iter().map(|(simple, _)| *simple);
    let mut built_in = simple.chain(GENERIC.iter().map(|(generic, _)| *generic));
    let known = SIMILAR.iter().find(|(word, _)| same(word));
    built_in
        .find(|name| same(name))
        .or(known.map(|(_, meant)| *meant))
}

impl Scopes<'_> {
    pub(super) fn meaning(
        &self,
        id: ScopeId,
        written: &syntax::Type,
        place: Place,
    ) -> Result<Type, TauError> {
        let place = if written.lists > 0 {
            Place::Value
        } else {
            place
        };
        let element = self.element(id, written, place)?;
        Ok((0..written.lists).fold(element, |kind, _| Type::List(Box::new(kind))))
    }

    /// The type without its `[]`.
    fn element(&self, id: ScopeId, written: &syntax::Type, place: Place) -> Result<Type, TauError> {
        let name = written.path.name.text.as_str();
        if written.path.scope.is_empty() {
            if let Some((_, meaning)) = SIMPLE.iter().find(|(simple, _)| *simple == name) {
                no_arguments(written)?;
                return allowed(written, meaning.clone(), place);
            }
            if let Some((_, count)) = GENERIC.iter().find(|(generic, _)| *generic == name) {
                return self.generic(id, written, *count, place);
            }
        }
        let (target, declared) = self.find(id, &written.path)?;
        no_arguments(written)?;
        let scope = written.path.scope.iter();
        let named = Named {
            space: self.path(target),
            written: scope.map(|name| name.text.clone()).collect(),
            name: type_name(declared),
        };
        Ok(Type::Declared(named, self.nature(target, declared)?))
    }

    fn generic(
        &self,
        id: ScopeId,
        written: &syntax::Type,
        count: usize,
        place: Place,
    ) -> Result<Type, TauError> {
        let name = written.path.name.text.as_str();
        let (at, arguments) = (written.path.at(), &written.arguments);
        if arguments.len() != count {
            let form = if count == 1 { "<T>" } else { "<K, V>" };
            let got = format!("{} types in `<>`", arguments.len());
            return Err(unexpected(at, format!("`{name}{form}`"), got));
        }
        let inner = if name == "Future" {
            Place::Future
        } else {
            Place::Value
        };
        let meanings = arguments
            .iter()
            .map(|argument| self.meaning(id, argument, inner));
        let mut meanings = meanings.collect::<Result<Vec<_>, _>>()?.into_iter();
        let (Some(first), second) = (meanings.next(), meanings.next()) else {
            return Err(unexpected(at, "types in `<>`", "none"));
        };
        match (name, second, place) {
            ("Map", Some(value), _) => {
                has_order(&written.arguments, &first, "a key")?;
                Ok(Type::Map(Box::new((first, value))))
            }
            ("Set", ..) => {
                has_order(&written.arguments, &first, "an item")?;
                Ok(Type::Set(Box::new(first)))
            }
            // Every method is asynchronous.
            ("Future", _, Place::Return) => Ok(first),
            ("Future", _, Place::Parameter) => Ok(Type::Later(Box::new(first))),
            ("Future", ..) => {
                let expected =
                    "a value's type, as only parameters and what is returned can be futures";
                Err(unexpected(at, expected, "`Future`"))
            }
            _ => Ok(Type::List(Box::new(first))),
        }
    }
}

fn no_arguments(written: &syntax::Type) -> Result<(), TauError> {
    let Some(first) = written.arguments.first() else {
        return Ok(());
    };
    let expected = format!(
        "`{}` alone, which has no types in `<>`",
        written.path.text()
    );
    let got = format!("`<{}`", first.path.text());
    Err(unexpected(first.path.at(), expected, got))
}

fn allowed(written: &syntax::Type, kind: Type, place: Place) -> Result<Type, TauError> {
    match (&kind, place) {
        (Type::Void, Place::Parameter | Place::Value) => {
            let expected = "a value's type, as `void` can only be returned";
            Err(unexpected(written.path.at(), expected, "`void`"))
        }
        _ => Ok(kind),
    }
}

/// Maps are ordered by their keys, and sets by their items.
fn has_order(arguments: &[syntax::Type], kind: &Type, what: &str) -> Result<(), TauError> {
    let ordered = matches!(
        kind,
        Type::Bool | Type::Int | Type::Int64 | Type::Text | Type::Declared(_, Nature::Enum)
    );
    match arguments.first() {
        Some(written) if !ordered => {
            let expected =
                format!("{what} that has an order: a string, an integer, a bool or an enum");
            let got = format!("`{}`", written.path.text());
            Err(unexpected(written.path.at(), expected, got))
        }
        _ => Ok(()),
    }
}
