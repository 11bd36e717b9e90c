//! A file as it is written: what the parser makes and the check reads.

use crate::error::Position;

#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) at: Position,
}

/// `scope::scope::name`
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) scope: Vec<Name>,
    pub(crate) name: Name,
}

impl Path {
    pub(crate) fn at(&self) -> Position {
        self.scope.first().unwrap_or(&self.name).at
    }

    pub(crate) fn text(&self) -> String {
        let names = self.scope.iter().chain([&self.name]);
        let names: Vec<&str> = names.map(|name| name.text.as_str()).collect();
        names.join("::")
    }
}

#[derive(Debug)]
pub(crate) enum Item {
    Space(Space),
    Alias(Alias),
    Class(Class),
    Enum(Enum),
}

/// `namespace A::B {}` is written as if it were two.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) docs: Vec<String>,
    pub(crate) name: Name,
    pub(crate) items: Vec<Item>,
}

#[derive(Debug)]
pub(crate) struct Alias {
    pub(crate) name: Name,
    pub(crate) target: Path,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Interface,
    Class,
    Struct,
}

/// An interface, a class or a struct.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) docs: Vec<String>,
    pub(crate) version: Option<u32>,
    pub(crate) keyword: Keyword,
    pub(crate) name: Name,
    pub(crate) base: Option<Path>,
    pub(crate) members: Vec<Member>,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) docs: Vec<String>,
    pub(crate) name: Name,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Method {
        /// Whether it is said to be `async`.
        is_long: bool,
        returns: Type,
        parameters: Vec<Parameter>,
    },
    Event {
        parameters: Vec<Parameter>,
    },
    Field {
        kind: Type,
        constant: bool,
        default: Option<String>,
    },
}

#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) kind: Type,
    pub(crate) name: Name,
    /// The expression as it is written.
    pub(crate) default: Option<String>,
}

/// `path<arguments>[][]`
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) path: Path,
    pub(crate) arguments: Vec<Self>,
    pub(crate) lists: usize,
}

#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) docs: Vec<String>,
    pub(crate) name: Name,
    pub(crate) values: Vec<EnumValue>,
}

#[derive(Debug)]
pub(crate) struct EnumValue {
    pub(crate) docs: Vec<String>,
    pub(crate) name: Name,
    pub(crate) number: Option<i32>,
}
