//! The schemas of interfaces: what a file in Tau says, and whether values are as it says.

use std::collections::HashSet;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use peerage::limits::{ADAPTER_DEPTH_MAX, ADAPTER_SCHEMA_BYTES_MAX};
use peerage::object::{Item, Node, Slot, Value};
use peerage::rpc::{self, Param, Parcel, Signature};
use peerage::{Code, Failure};
use peerage_tau::{Interface, Long, Method, Place, Property, Shape};

/// The schema of one interface: the first of a file in Tau.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The file.
    pub source: String,
    /// Its SHA-256, in hexadecimal.
    pub hash: String,
    /// The interface.
    pub interface: Interface,
    all: peerage_tau::Schema,
}

impl Schema {
    /// Reads a file in Tau.
    ///
    /// # Errors
    /// `bad-message` with the place of what is wrong; `too-large`.
    pub fn parse(source: &str) -> Result<Self, Failure> {
        if source.len() > ADAPTER_SCHEMA_BYTES_MAX {
            let (most, got) = (ADAPTER_SCHEMA_BYTES_MAX, source.len());
            let message = format!("expected a schema of at most {most} bytes, got {got}");
            return Err(Code::TooLarge.because(message));
        }
        let file = peerage_tau::parse(source);
        let file = file.map_err(|error| Code::BadMessage.because(format!("schema: {error}")))?;
        let all = peerage_tau::Schema::of(&file);
        let none = || Code::BadMessage.because("schema: expected an interface");
        let interface = all.interfaces.first().cloned().ok_or_else(none)?;
        Ok(Self {
            source: source.to_owned(),
            hash: hash(source),
            interface,
            all,
        })
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.interface.name
    }

    /// The interface as others see it.
    pub fn offered(&self) -> rpc::Interface {
        let Interface {
            name,
            version,
            methods,
            properties,
            events,
        } = &self.interface;
        let short = methods.iter().filter(|method| method.long == Long::No);
        rpc::Interface {
            name: name.clone(),
            version: *version,
            methods: short.map(|method| method.name.clone()).collect(),
            properties: properties
                .iter()
                .map(|property| property.name.clone())
                .collect(),
            events: Some(events.iter().map(|(name, _)| name.clone()).collect()),
        }
    }

    /// The types of what can be called.
    pub fn signatures(&self) -> Vec<Signature> {
        let methods = self.interface.methods.iter();
        let short = methods.filter(|method| method.long == Long::No);
        let param = |place: &Place| Param {
            name: place.name.clone(),
            ty: place.shape.to_string(),
        };
        let signature = |method: &Method| Signature {
            method: method.name.clone(),
            params: method.parameters.iter().map(param).collect(),
            returns: method.returns.to_string(),
        };
        short.map(signature).collect()
    }

    /// The method of a name.
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.interface
            .methods
            .iter()
            .find(|method| method.name == name)
    }

    /// The property of a name.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.interface
            .properties
            .iter()
            .find(|property| property.name == name)
    }

    /// The methods that take long.
    pub fn operations(&self) -> impl Iterator<Item = &Method> {
        let methods = self.interface.methods.iter();
        methods.filter(|method| method.long == Long::Yes)
    }

    /// Whether a list is what a method may be called with.
    ///
    /// # Errors
    /// `bad-message`, with the path of what is wrong.
    pub fn check_arguments(&self, method: &Method, args: &Parcel) -> Result<(), Failure> {
        let (places, items) = (&method.parameters, args.items());
        if items.len() > places.len() {
            let (name, most, got) = (&method.name, places.len(), items.len());
            let message = format!("{name}: expected at most {most} arguments, got {got}");
            return Err(Code::BadMessage.because(message));
        }
        let mut check = self.checking(args.value());
        for (n, place) in places.iter().enumerate() {
            check.place(place, items.get(n), &method.name, 0)?;
        }
        Ok(())
    }

    /// Whether a value is a record of these places: what an operation is started with, what an event tells.
    ///
    /// # Errors
    /// As [`Schema::check_arguments`].
    pub fn check_record(&self, of: &str, places: &[Place], value: &Parcel) -> Result<(), Failure> {
        let value = value.value();
        let root = match value.root() {
            // Who starts what needs nothing gives nothing.
            Item::Null | Item::Undefined if places.iter().all(|place| place.is_optional) => {
                return Ok(());
            }
            root => root,
        };
        self.checking(value).record(places, root, of, 0)
    }

    /// Whether a value is of a shape.
    ///
    /// # Errors
    /// As [`Schema::check_arguments`].
    pub fn check(&self, of: &str, shape: &Shape, value: &Parcel) -> Result<(), Failure> {
        let value = value.value();
        self.checking(value).item(shape, value.root(), of, 0)
    }

    fn checking<'a>(&'a self, value: &'a Value) -> Checking<'a> {
        let seen = HashSet::new();
        Checking {
            schema: &self.all,
            value,
            seen,
        }
    }
}

/// The SHA-256 of a schema, in hexadecimal.
fn hash(source: &str) -> String {
    HEXLOWER.encode(digest(&SHA256, source.as_bytes()).as_ref())
}

/// A value that is being checked.
struct Checking<'a> {
    schema: &'a peerage_tau::Schema,
    value: &'a Value,
    /// Which nodes were held to which shapes already: a node may be in many places.
    seen: HashSet<(Slot, usize)>,
}

impl Checking<'_> {
    fn place(&mut self, place: &Place, item: Option<&Item>, at: &str, depth: usize) -> Checked {
        let at = || format!("{at}.{}", place.name);
        match item {
            None | Some(Item::Undefined) if place.is_optional => Ok(()),
            None if place.shape == Shape::Nothing || place.shape == Shape::Any => Ok(()),
            None => Err(wrong(&at(), &place.shape, "nothing")),
            Some(item) => self.item(&place.shape, item, &at(), depth),
        }
    }

    fn item(&mut self, shape: &Shape, item: &Item, at: &str, depth: usize) -> Checked {
        let is = match (shape, item) {
            (_, Item::Pointer(_)) => false,
            (Shape::Any, _) | (Shape::Nothing, Item::Null | Item::Undefined) => true,
            (Shape::Bool, Item::Bool(_)) | (Shape::Text, Item::Text(_)) => true,
            (Shape::Date, Item::Date(_)) => true,
            (Shape::Number, Item::Unsigned(_) | Item::Negative(_) | Item::Float(_)) => true,
            (Shape::Int64, Item::Unsigned(_) | Item::Negative(_)) => true,
            (Shape::Int64, Item::Float(number)) => number.fract() == 0.0,
            (Shape::Int, Item::Unsigned(number)) => *number <= i32::MAX as u64,
            (Shape::Int, Item::Negative(number)) => *number <= i32::MAX as u64,
            (Shape::Int, Item::Float(number)) => {
                number.fract() == 0.0 && number.abs() <= f64::from(i32::MAX)
            }
            (Shape::Enum(name), Item::Text(text)) => self
                .schema
                .values(name)
                .iter()
                .any(|value| **value == **text),
            (shape, Item::Node(slot)) => return self.node(shape, *slot, item, at, depth),
            _ => false,
        };
        is.then_some(())
            .ok_or_else(|| wrong(at, shape, kind(item, self.value)))
    }

    fn node(&mut self, shape: &Shape, slot: Slot, item: &Item, at: &str, depth: usize) -> Checked {
        if depth >= ADAPTER_DEPTH_MAX {
            let message = format!("{at}: expected at most {ADAPTER_DEPTH_MAX} levels, got more");
            return Err(Code::TooLarge.because(message));
        }
        if !self.seen.insert((slot, std::ptr::from_ref(shape) as usize)) {
            return Ok(());
        }
        let schema = self.schema;
        match (shape, self.value.node(slot)) {
            (Shape::Bytes, Some(Node::Bytes(_) | Node::Typed(..))) => Ok(()),
            (Shape::List(of), Some(Node::List(items)))
            | (Shape::Set(of), Some(Node::Set(items))) => {
                for (n, item) in items.iter().enumerate() {
                    self.item(of, item, &format!("{at}[{n}]"), depth + 1)?;
                }
                Ok(())
            }
            (Shape::List(of), Some(Node::Typed(..))) if is_number(of) => Ok(()),
            (Shape::Map(of), Some(Node::Map(entries))) => {
                for (n, (key, value)) in entries.iter().enumerate() {
                    self.item(&of.0, key, &format!("{at}[key {n}]"), depth + 1)?;
                    self.item(&of.1, value, &format!("{at}[{n}]"), depth + 1)?;
                }
                Ok(())
            }
            (Shape::Map(of), Some(Node::Record(entries))) if of.0 == Shape::Text => {
                for (key, value) in entries {
                    self.item(&of.1, value, &format!("{at}.{key}"), depth + 1)?;
                }
                Ok(())
            }
            (Shape::Record(name), Some(Node::Record(_))) => {
                self.record(schema.record(name), item, at, depth + 1)
            }
            _ => Err(wrong(at, shape, kind(item, self.value))),
        }
    }

    fn record(&mut self, places: &[Place], item: &Item, at: &str, depth: usize) -> Checked {
        let node = match item {
            Item::Node(slot) => self.value.node(*slot),
            _ => None,
        };
        let Some(Node::Record(entries)) = node else {
            let names: Vec<_> = places.iter().map(|place| place.name.as_str()).collect();
            let (names, got) = (names.join(", "), kind(item, self.value));
            let message = format!("{at}: expected a record of {names}, got {got}");
            return Err(Code::BadMessage.because(message));
        };
        if let Some((key, _)) = entries.iter().find(|(key, _)| !has(places, key)) {
            let message = format!("{at}: there is no `{key}`");
            return Err(Code::BadMessage.because(message));
        }
        for place in places {
            let item = entries.iter().find(|(key, _)| **key == *place.name);
            self.place(place, item.map(|(_, item)| item), at, depth)?;
        }
        Ok(())
    }
}

type Checked = Result<(), Failure>;

fn has(places: &[Place], name: &str) -> bool {
    places.iter().any(|place| place.name == name)
}

fn is_number(shape: &Shape) -> bool {
    matches!(shape, Shape::Int | Shape::Int64 | Shape::Number)
}

fn wrong(at: &str, shape: &Shape, got: &str) -> Failure {
    let expected = match shape {
        Shape::Nothing => "nothing",
        Shape::Any => "a value without references",
        Shape::Bool => "yes or no",
        Shape::Int => "a whole number of 32 bits",
        Shape::Int64 => "a whole number",
        Shape::Number => "a number",
        Shape::Text => "a text",
        Shape::Bytes => "bytes",
        Shape::Date => "a date",
        Shape::Reference => "a reference, which does not travel to hardware",
        Shape::List(_) => "a list",
        Shape::Set(_) => "a set",
        Shape::Map(_) => "a map",
        Shape::Record(name) | Shape::Enum(name) => name,
    };
    Code::BadMessage.because(format!("{at}: expected {expected}, got {got}"))
}

/// What something is, in a word.
fn kind(item: &Item, value: &Value) -> &'static str {
    match item {
        Item::Undefined | Item::Null => "nothing",
        Item::Bool(_) => "yes or no",
        Item::Unsigned(_) | Item::Negative(_) | Item::Big(_) | Item::Float(_) => "a number",
        Item::Text(_) => "a text",
        Item::Date(_) => "a date",
        Item::Pointer(_) => "a reference",
        Item::Node(slot) => match value.node(*slot) {
            Some(Node::List(_)) => "a list",
            Some(Node::Record(_)) => "a record",
            Some(Node::Map(_)) => "a map",
            Some(Node::Set(_)) => "a set",
            Some(Node::Bytes(_) | Node::Typed(..)) => "bytes",
            None => "nothing",
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    const TAU: &str = "enum Size { small, large } struct Cup { Size size; double ml; Cup[] inside = 0; }
        @version(2) interface Bar { async Cup Pour(double ml, string note = \"\"); int Count(int[] of);
            Map<string, Cup> All(); bool open; const Cup last; event Spilt(double ml, Cup by); }";

    fn told(checked: Result<(), Failure>) -> String {
        checked
            .err()
            .map(|failure| failure.message)
            .unwrap_or_default()
    }

    fn parcel(value: &Json) -> Parcel {
        Parcel::of(value).unwrap()
    }

    #[test]
    fn what_can_be_called_has_its_types() {
        let signatures = Schema::parse(TAU).unwrap().signatures();
        let expected = [
            Signature::new("count", &[("of", "number[]")], "number"),
            Signature::new("all", &[], "Map<string, Cup>"),
        ];
        assert_eq!(signatures, expected);
    }

    #[test]
    fn what_a_file_says_is_what_is_offered() {
        let schema = Schema::parse(TAU).unwrap();
        let offered = schema.offered();
        assert_eq!((offered.name.as_str(), offered.version), ("Bar", Some(2)));
        assert_eq!(offered.methods, ["count", "all"]);
        assert_eq!(offered.properties, ["open", "last"]);
        assert_eq!(offered.events.unwrap(), ["spilt"]);
        assert_eq!(schema.operations().next().unwrap().name, "pour");
        assert_eq!(schema.hash.len(), 64);
        for (wrong, word) in [
            ("interface {", "1:11"),
            ("struct A { int x; }", "an interface"),
        ] {
            let failure = Schema::parse(wrong).unwrap_err();
            assert!(
                failure.code == Code::BadMessage && failure.message.contains(word),
                "{failure}"
            );
        }
        assert_eq!(
            Schema::parse(&" ".repeat(1 << 20)).unwrap_err().code,
            Code::TooLarge
        );
    }

    #[test]
    fn arguments_are_held_to_their_types_and_the_path_is_told() {
        let schema = Schema::parse(TAU).unwrap();
        let count = schema.method("count").unwrap();
        for (args, expected) in [
            (json!([[1, -2, 3.0]]), ""),
            (
                json!([[1, "2"]]),
                "count.of[1]: expected a whole number of 32 bits, got a text",
            ),
            (
                json!([[1, 0.5]]),
                "count.of[1]: expected a whole number of 32 bits, got a number",
            ),
            (
                json!([[4_000_000_000_u64]]),
                "count.of[0]: expected a whole number of 32 bits, got a number",
            ),
            (json!([]), "count.of: expected a list, got nothing"),
            (json!([[], 1]), "count: expected at most 1 arguments, got 2"),
        ] {
            assert_eq!(
                told(schema.check_arguments(count, &parcel(&args))),
                expected
            );
        }
        let pour = schema.method("pour").unwrap();
        let started =
            |value: Json| told(schema.check_record("pour", &pour.parameters, &parcel(&value)));
        assert_eq!(started(json!({ "ml": 5 })), "");
        assert_eq!(started(json!({ "ml": 5, "note": "x" })), "");
        assert_eq!(
            started(json!({ "note": "x" })),
            "pour.ml: expected a number, got nothing"
        );
        assert_eq!(
            started(json!({ "ml": 5, "ice": 1 })),
            "pour: there is no `ice`"
        );
        assert_eq!(
            started(json!(5)),
            "pour: expected a record of ml, note, got a number"
        );
        assert_eq!(
            started(json!(null)),
            "pour: expected a record of ml, note, got nothing"
        );
    }

    #[test]
    fn values_are_held_to_records_enums_and_maps() {
        let schema = Schema::parse(TAU).unwrap();
        let cup =
            |value: Json| told(schema.check("last", &Shape::Record("Cup".into()), &parcel(&value)));
        assert_eq!(
            cup(json!({ "size": "small", "ml": 1, "inside": [{ "size": "large", "ml": 2 }] })),
            ""
        );
        assert_eq!(
            cup(json!({ "size": "tiny", "ml": 1 })),
            "last.size: expected Size, got a text"
        );
        let deep = json!({ "size": "small", "ml": 1, "inside": [{ "size": "large" }] });
        assert_eq!(
            cup(deep),
            "last.inside[0].ml: expected a number, got nothing"
        );
        let all = &schema.method("all").unwrap().returns;
        let map = |value: Json| told(schema.check("all", all, &parcel(&value)));
        assert_eq!(map(json!({ "a": { "size": "small", "ml": 1 } })), "");
        assert_eq!(map(json!({ "a": 1 })), "all.a: expected Cup, got a number");
        let mut deep = json!({ "size": "small", "ml": 1 });
        for _ in 0..ADAPTER_DEPTH_MAX {
            deep = json!({ "size": "small", "ml": 1, "inside": [deep] });
        }
        let failure = schema
            .check("x", &Shape::Record("Cup".into()), &parcel(&deep))
            .unwrap_err();
        assert_eq!(failure.code, Code::TooLarge);
    }
}
