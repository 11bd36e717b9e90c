//! What a file says, for who checks values by it: the interfaces, and what each value may be.

use std::collections::HashMap;
use std::fmt;

use crate::model::{Body, Field, File, Item, Member, Named, Nature, Space, Type};
use crate::names::camel;

/// The interfaces of a file, with the records and enums of which they speak.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// The interfaces, in the order of the file.
    pub interfaces: Vec<Interface>,
    records: HashMap<String, Vec<Place>>,
    enums: HashMap<String, Vec<String>>,
}

/// An interface, under its names on the wire.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its version, if it has any.
    pub version: Option<u32>,
    /// What can be called.
    pub methods: Vec<Method>,
    /// What can be asked for, and set if it is not constant.
    pub properties: Vec<Property>,
    /// What it tells: the details of each.
    pub events: Vec<(String, Vec<Place>)>,
}

/// Whether a method takes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Long {
    /// It is `async`: it has progress, and can be stopped.
    Yes,
    /// It is not.
    No,
}

/// What can be called.
#[derive(Clone, Debug)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// Whether it takes long.
    pub long: Long,
    /// What it is called with, in order.
    pub parameters: Vec<Place>,
    /// What it brings.
    pub returns: Shape,
}

/// What can be asked for.
#[derive(Clone, Debug)]
pub struct Property {
    /// Its name.
    pub name: String,
    /// What it is.
    pub shape: Shape,
    /// Whether nobody can set it.
    pub is_constant: bool,
}

/// A parameter, a field, or a detail.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// What belongs there.
    pub shape: Shape,
    /// Whether it may be left out.
    pub is_optional: bool,
}

/// What a value may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing.
    Nothing,
    /// Anything.
    Any,
    /// Yes or no.
    Bool,
    /// A whole number of 32 bits.
    Int,
    /// A whole number of 64 bits.
    Int64,
    /// A number.
    Number,
    /// A text.
    Text,
    /// Bytes.
    Bytes,
    /// A point in time.
    Date,
    /// An object by reference.
    Reference,
    /// Values of a shape, in order.
    List(Box<Self>),
    /// Values of a shape, each once.
    Set(Box<Self>),
    /// Values by keys.
    Map(Box<(Self, Self)>),
    /// A record of the file, which [`Schema::record`] knows.
    Record(String),
    /// A value of an enum, which [`Schema::values`] knows.
    Enum(String),
}

/// As TypeScript writes it.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("void"),
            Self::Any | Self::Reference => f.write_str("unknown"),
            Self::Bool => f.write_str("boolean"),
            Self::Int | Self::Int64 | Self::Number => f.write_str("number"),
            Self::Text => f.write_str("string"),
            Self::Bytes => f.write_str("Uint8Array"),
            Self::Date => f.write_str("Date"),
            Self::List(of) => write!(f, "{of}[]"),
            Self::Set(of) => write!(f, "Set<{of}>"),
            Self::Map(of) => write!(f, "Map<{}, {}>", of.0, of.1),
            Self::Record(name) | Self::Enum(name) => f.write_str(name),
        }
    }
}

impl Schema {
    /// What a file says.
    pub fn of(file: &File) -> Self {
        let mut schema = Self::default();
        schema.enter(&file.root, "");
        schema
    }

    /// The fields of a record.
    pub fn record(&self, name: &str) -> &[Place] {
        self.records.get(name).map_or(&[], Vec::as_slice)
    }

    /// The values of an enum, as they travel.
    pub fn values(&self, name: &str) -> &[String] {
        self.enums.get(name).map_or(&[], Vec::as_slice)
    }

    fn enter(&mut self, space: &Space, path: &str) {
        for item in &space.items {
            match item {
                Item::Space(space) => self.enter(space, &inside(path, &space.name)),
                Item::Interface(interface) => {
                    let all = interface.inherited.iter().chain(&interface.members);
                    let named = Interface::new(&interface.name, interface.version, all);
                    self.interfaces.push(named);
                }
                Item::Record(record) => {
                    let all = record.inherited.iter().chain(&record.fields);
                    let name = inside(path, &record.name);
                    self.records.insert(name, all.map(place).collect());
                }
                Item::Enum(item) => {
                    let values = item.values.iter().map(|value| value.name.clone());
                    self.enums
                        .insert(inside(path, &item.name), values.collect());
                }
                Item::Alias(_) => {}
            }
        }
    }
}

impl Interface {
    fn new<'m>(name: &str, version: Option<u32>, all: impl Iterator<Item = &'m Member>) -> Self {
        let mut interface = Self {
            name: name.to_owned(),
            version,
            methods: Vec::new(),
            properties: Vec::new(),
            events: Vec::new(),
        };
        for member in all {
            interface.add(camel(&member.name), &member.body);
        }
        interface
    }

    fn add(&mut self, name: String, body: &Body) {
        match body {
            Body::Method {
                is_long,
                returns,
                parameters,
            } => self.methods.push(Method {
                name,
                long: if *is_long { Long::Yes } else { Long::No },
                parameters: parameters.iter().map(place).collect(),
                returns: shape(returns),
            }),
            Body::Event { parameters } => {
                let details = parameters.iter().map(place).collect();
                self.events.push((name, details));
            }
            Body::Property { kind, constant, .. } => self.properties.push(Property {
                name,
                shape: shape(kind),
                is_constant: *constant,
            }),
        }
    }
}

fn place(field: &Field) -> Place {
    Place {
        name: camel(&field.name),
        shape: shape(&field.kind),
        is_optional: field.default.is_some(),
    }
}

fn shape(kind: &Type) -> Shape {
    match kind {
        Type::Void => Shape::Nothing,
        Type::Bool => Shape::Bool,
        Type::Int => Shape::Int,
        Type::Int64 => Shape::Int64,
        Type::Float | Type::Double => Shape::Number,
        Type::Text => Shape::Text,
        Type::Bytes => Shape::Bytes,
        Type::Date => Shape::Date,
        Type::Object => Shape::Any,
        Type::Callback | Type::Declared(_, Nature::Interface) => Shape::Reference,
        Type::List(of) => Shape::List(Box::new(shape(of))),
        Type::Set(of) => Shape::Set(Box::new(shape(of))),
        Type::Map(of) => Shape::Map(Box::new((shape(&of.0), shape(&of.1)))),
        Type::Later(of) => shape(of),
        Type::Declared(named, Nature::Record) => Shape::Record(whole(named)),
        Type::Declared(named, Nature::Enum) => Shape::Enum(whole(named)),
    }
}

fn whole(named: &Named) -> String {
    let space = named
        .space
        .iter()
        .fold(String::new(), |path, name| inside(&path, name));
    inside(&space, &named.name)
}

fn inside(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}::{name}"),
    }
}
