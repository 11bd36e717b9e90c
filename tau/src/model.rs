//! What a file means: names resolved, bases followed, namespaces joined. The generators only write.

/// A file that was parsed and checked.
#[derive(Debug)]
pub struct File {
    pub(crate) root: Space,
}

/// A namespace, which a file may have opened several times; or the file.
#[derive(Debug, Default)]
pub(crate) struct Space {
    pub(crate) docs: Vec<String>,
    pub(crate) name: String,
    pub(crate) items: Vec<Item>,
}

#[derive(Debug)]
pub(crate) enum Item {
    Space(Space),
    Alias(Alias),
    Interface(Interface),
    Record(Record),
    Enum(Enum),
}

#[derive(Debug)]
pub(crate) struct Alias {
    pub(crate) name: String,
    pub(crate) target: Named,
}

#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) docs: Vec<String>,
    pub(crate) version: Option<u32>,
    pub(crate) name: String,
    pub(crate) base: Option<Base>,
    /// The members of all bases, the farthest first.
    pub(crate) inherited: Vec<Member>,
    pub(crate) members: Vec<Member>,
}

impl Interface {
    pub(crate) fn has_events(&self) -> bool {
        let mut all = self.inherited.iter().chain(&self.members);
        all.any(|member| matches!(member.body, Body::Event { .. }))
    }
}

#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) name: Named,
    /// It, or a base of it.
    pub(crate) has_events: bool,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) docs: Vec<String>,
    /// As the file has it.
    pub(crate) name: String,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Method {
        /// It takes long: an adapter offers it as an operation.
        is_long: bool,
        returns: Type,
        parameters: Vec<Field>,
    },
    Event {
        parameters: Vec<Field>,
    },
    Property {
        kind: Type,
        constant: bool,
        initial: Option<String>,
    },
}

/// A class or struct with fields only.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) docs: Vec<String>,
    pub(crate) name: String,
    pub(crate) base: Option<Named>,
    /// The fields of all bases, the farthest first.
    pub(crate) inherited: Vec<Field>,
    pub(crate) fields: Vec<Field>,
}

/// A field of a record, or a parameter.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) docs: Vec<String>,
    pub(crate) name: String,
    pub(crate) kind: Type,
    pub(crate) constant: bool,
    /// What it is if it is left out. Nothing, if it may not be.
    pub(crate) default: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) docs: Vec<String>,
    pub(crate) name: String,
    pub(crate) values: Vec<EnumValue>,
}

#[derive(Debug)]
pub(crate) struct EnumValue {
    pub(crate) docs: Vec<String>,
    pub(crate) name: String,
    /// The number that the file gives.
    pub(crate) given: Option<i32>,
    /// That, or one more than the value's before.
    pub(crate) number: i32,
}

#[derive(Clone, Debug)]
pub(crate) enum Type {
    Void,
    Bool,
    Int,
    Int64,
    Float,
    Double,
    Text,
    Bytes,
    Date,
    Object,
    Callback,
    List(Box<Self>),
    Set(Box<Self>),
    Map(Box<(Self, Self)>),
    /// A future, as a parameter: the value follows once there is one.
    Later(Box<Self>),
    Declared(Named, Nature),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    Interface,
    Record,
    Enum,
}

/// A reference to what a file declares.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// The namespaces down from the root. Rust says how to get there.
    pub(crate) space: Vec<String>,
    /// The namespaces as written. TypeScript finds names by the same rule as Tau.
    pub(crate) written: Vec<String>,
    /// The name in generated code.
    pub(crate) name: String,
}
