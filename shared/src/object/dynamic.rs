//! Values of which the type is known only when they are there, and bytes, for types of Rust's own.

use core::fmt;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// Bytes: JavaScript's `Uint8Array`. A `Vec<u8>` is a list of numbers instead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Blob(pub Bytes);

/// Whatever it is, as far as it is plain data: a tree of these.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Dynamic {
    /// Nothing.
    #[default]
    Nothing,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Blob),
    /// Values in order.
    List(Vec<Self>),
    /// Values by name.
    Record(BTreeMap<String, Self>),
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_bytes(Any)? {
            Dynamic::Blob(blob) => Ok(blob),
            _ => Err(Error::custom("expected bytes")),
        }
    }
}

impl Serialize for Dynamic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_unit(),
            Self::Bool(yes) => yes.serialize(serializer),
            Self::Integer(number) => match i64::try_from(*number) {
                Ok(number) => number.serialize(serializer),
                Err(_) => number.serialize(serializer),
            },
            Self::Float(number) => number.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
            Self::Blob(blob) => blob.serialize(serializer),
            Self::List(list) => list.serialize(serializer),
            Self::Record(record) => record.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Dynamic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Dynamic;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain data")
    }

    fn visit_unit<E: Error>(self) -> Result<Dynamic, E> {
        Ok(Dynamic::Nothing)
    }

    fn visit_none<E: Error>(self) -> Result<Dynamic, E> {
        Ok(Dynamic::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Dynamic, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<Dynamic, E> {
        Ok(Dynamic::Bool(yes))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Dynamic, E> {
        Ok(Dynamic::Integer(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Dynamic, E> {
        Ok(Dynamic::Integer(number.into()))
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<Dynamic, E> {
        Ok(Dynamic::Integer(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Dynamic, E> {
        Ok(Dynamic::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Dynamic, E> {
        Ok(Dynamic::Text(text.to_owned()))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Dynamic, E> {
        Ok(Dynamic::Blob(Blob(Bytes::copy_from_slice(bytes))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Dynamic, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Dynamic::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Dynamic, A::Error> {
        let mut record = BTreeMap::new();
        while let Some((key, item)) = entries.next_entry()? {
            record.insert(key, item);
        }
        Ok(Dynamic::Record(record))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::object::{Form, decode, encode, from_value, to_value};

    #[test]
    fn plain_data_of_any_type_comes_back_as_it_was() {
        let record = |entries: [(&str, Dynamic); 2]| {
            let entries = entries.map(|(key, item)| (key.to_owned(), item));
            Dynamic::Record(entries.into())
        };
        let bytes = Dynamic::Blob(Blob(Bytes::from_static(&[0, 255])));
        let all = Dynamic::List(vec![
            Dynamic::Nothing,
            Dynamic::Bool(true),
            Dynamic::Integer(-5),
            Dynamic::Integer(i128::from(u64::MAX) * 2),
            Dynamic::Float(0.5),
            Dynamic::Text("ä".into()),
            bytes.clone(),
            record([("a", Dynamic::List(Vec::new())), ("b", bytes)]),
        ]);
        let there = encode(&to_value(&all).unwrap(), Form::Natural);
        assert_eq!(from_value(&decode(&there).unwrap()), Ok(all));
    }

    #[test]
    fn a_list_of_numbers_is_not_taken_for_bytes() {
        let numbers = to_value(&[1, 2, 3]).unwrap();
        assert!(from_value::<Blob>(&numbers).is_err());
    }
}
