//! JSON, read into a value and written of one.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::sync::Arc;

use peerage::limits::{PUBLISH_BYTES_MAX, VALUE_DEPTH_MAX};
use peerage::object::{Item, Node, Value};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The value, if it is JSON and not too deep.
pub(super) fn read(text: &[u8]) -> Option<Value> {
    let mut value = Value::default();
    let mut json = serde_json::Deserializer::from_slice(text);
    let root = Part(&mut value).deserialize(&mut json).ok()?;
    json.end().ok()?;
    value.set_root(root);
    Some(value)
}

/// The text, if JSON can hold the value and it is no longer than a message may be.
pub(super) fn write(value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    item(value, value.root(), 0, &mut out)?;
    Some(out)
}

fn item(value: &Value, part: &Item, depth: usize, out: &mut Vec<u8>) -> Option<()> {
    if depth > VALUE_DEPTH_MAX || out.len() > PUBLISH_BYTES_MAX {
        return None;
    }
    match part {
        Item::Undefined | Item::Null => out.extend(b"null"),
        Item::Bool(yes) => out.extend(yes.to_string().as_bytes()),
        Item::Unsigned(number) => write!(out, "{number}").ok()?,
        Item::Negative(number) => write!(out, "{}", -1 - i128::from(*number)).ok()?,
        Item::Float(number) if number.is_finite() => {
            serde_json::to_writer(&mut *out, number).ok()?
        }
        Item::Text(text) => serde_json::to_writer(&mut *out, &**text).ok()?,
        Item::Node(slot) => node(value, value.node(*slot)?, depth, out)?,
        Item::Float(_) | Item::Big(_) | Item::Date(_) | Item::Pointer(_) => return None,
    }
    Some(())
}

fn node(value: &Value, node: &Node, depth: usize, out: &mut Vec<u8>) -> Option<()> {
    match node {
        Node::List(items) => {
            out.push(b'[');
            for (n, part) in items.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                item(value, part, depth + 1, out)?;
            }
            out.push(b']');
        }
        Node::Record(entries) => {
            out.push(b'{');
            // What is undefined is not there, as in JavaScript.
            let there = entries
                .iter()
                .filter(|(_, part)| !matches!(part, Item::Undefined));
            for (n, (key, part)) in there.enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, &**key).ok()?;
                out.push(b':');
                item(value, part, depth + 1, out)?;
            }
            out.push(b'}');
        }
        Node::Map(_) | Node::Set(_) | Node::Bytes(_) | Node::Typed(..) => return None,
    }
    Some(())
}

/// The next part of a value that is read.
struct Part<'v>(&'v mut Value);

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Item;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Item, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Item, E> {
        Ok(Item::Null)
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<Item, E> {
        Ok(Item::Bool(yes))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Item, E> {
        Ok(Item::Unsigned(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Item, E> {
        Ok(match u64::try_from(number) {
            Ok(number) => Item::Unsigned(number),
            Err(_) => Item::Negative(number.unsigned_abs() - 1),
        })
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Item, E> {
        Ok(Item::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Item, E> {
        Ok(Item::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Item, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Part(self.0))? {
            items.push(item);
        }
        Ok(self.0.add(Node::List(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        let mut entries: Vec<(Arc<str>, Item)> = Vec::new();
        // The last of those with the same key counts.
        let mut places = HashMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let item = map.next_value_seed(Part(self.0))?;
            let key: Arc<str> = key.into();
            match places.get(&key) {
                Some(place) => entries[*place] = (key, item),
                None => {
                    places.insert(Arc::clone(&key), entries.len());
                    entries.push((key, item));
                }
            }
        }
        Ok(self.0.add(Node::Record(entries)))
    }
}
