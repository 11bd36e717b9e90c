//! What a payload is as a value, and a value as a payload.
//!
//! ```text
//! from a client                                  to a client
//! JSON                    → that value           what JSON can hold        → JSON
//! other text (UTF-8)      → a text               a text                    → the text itself
//! anything else           → bytes                bytes                     → these bytes
//!                                                anything else             → CBOR
//! ```
//!
//! The content type of MQTT 5 goes before: `application/octet-stream` is bytes whatever is in it, `text/…` a text,
//! and `application/cbor` the value that it encodes.

mod json;

use bytes::Bytes;
use peerage::object::{self, Form, Item, Node, Value};

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Text,
    Bytes,
    Cbor,
}

impl Kind {
    /// Its content type.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text => "text/plain",
            Self::Bytes => "application/octet-stream",
            Self::Cbor => "application/cbor",
        }
    }

    /// Whether it is text for people.
    pub(super) const fn is_text(self) -> bool {
        matches!(self, Self::Json | Self::Text)
    }

    /// What a content type says, if it says anything.
    fn of(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default();
        match essence.trim().to_ascii_lowercase().as_str() {
            "application/octet-stream" => Some(Self::Bytes),
            "application/cbor" => Some(Self::Cbor),
            essence if essence.starts_with("text/") => Some(Self::Text),
            _ => None,
        }
    }
}

/// The value that a payload is.
pub(super) fn to_value(payload: &Bytes, content_type: Option<&str>) -> Value {
    match content_type.and_then(Kind::of) {
        Some(Kind::Bytes) => bytes(payload),
        Some(Kind::Text) => plain(payload),
        Some(Kind::Cbor) => match object::decode(payload) {
            Ok(value) if !has_pointers(&value) => value,
            _ => bytes(payload),
        },
        _ => json::read(payload).unwrap_or_else(|| plain(payload)),
    }
}

/// A text if it is one, and bytes if not.
pub(super) fn plain(payload: &Bytes) -> Value {
    match std::str::from_utf8(payload) {
        Ok(text) => Value::of(Item::text(text)),
        Err(_) => bytes(payload),
    }
}

/// The payload that a value is.
pub(super) fn of_value(value: &Value) -> (Bytes, Kind) {
    match value.root() {
        Item::Undefined => return (Bytes::new(), Kind::Bytes),
        Item::Text(text) => return (Bytes::copy_from_slice(text.as_bytes()), Kind::Text),
        Item::Node(slot) => {
            if let Some(Node::Bytes(bytes)) = value.node(*slot) {
                return (bytes.clone(), Kind::Bytes);
            }
        }
        _ => {}
    }
    match json::write(value) {
        Some(text) => (text.into(), Kind::Json),
        None => (object::encode(value, Form::Natural), Kind::Cbor),
    }
}

fn bytes(payload: &Bytes) -> Value {
    let mut value = Value::default();
    let root = value.add(Node::Bytes(payload.clone()));
    value.set_root(root);
    value
}

fn has_pointers(value: &Value) -> bool {
    let is_pointer = |part: &Item| matches!(part, Item::Pointer(_));
    let has_any = |node: &Node| match node {
        Node::List(items) | Node::Set(items) => items.iter().any(is_pointer),
        Node::Record(entries) => entries.iter().any(|(_, part)| is_pointer(part)),
        Node::Map(entries) => entries.iter().any(|(k, v)| is_pointer(k) || is_pointer(v)),
        Node::Bytes(_) | Node::Typed(..) => false,
    };
    is_pointer(value.root()) || value.nodes().iter().any(has_any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(payload: &'static str) -> Value {
        to_value(&Bytes::from_static(payload.as_bytes()), None)
    }

    #[test]
    fn a_payload_is_json_or_text_or_bytes_and_comes_back_as_it_was() {
        for (payload, kind) in [
            (
                &b"{\"ice\":true,\"ml\":[250,-1,0.5,null],\"a\":\"\xc3\xa4\"}"[..],
                Kind::Json,
            ),
            (b"18446744073709551615", Kind::Json),
            (b"-9223372036854775808", Kind::Json),
            (b"[]", Kind::Json),
            (b"{}", Kind::Json),
            (b"ON", Kind::Text),
            (b"", Kind::Text),
            (b"{\"ice\":", Kind::Text),
            (b"\xff\x00", Kind::Bytes),
        ] {
            let payload = Bytes::from_static(payload);
            let value = to_value(&payload, None);
            assert_eq!(of_value(&value), (payload, kind));
        }
    }

    #[test]
    fn json_is_the_value_that_it_says() {
        let value = read(r#"{"z":1,"a":{"b":[2]},"z":3}"#);
        #[derive(serde::Deserialize, PartialEq, Debug)]
        struct Inner {
            b: Vec<u8>,
        }
        #[derive(serde::Deserialize, PartialEq, Debug)]
        struct Outer {
            z: u8,
            a: Inner,
        }
        let outer: Outer = object::from_value(&value).unwrap();
        assert_eq!(
            outer,
            Outer {
                z: 3,
                a: Inner { b: vec![2] }
            }
        );
        // In the order of its keys.
        assert_eq!(&of_value(&value).0[..], br#"{"z":3,"a":{"b":[2]}}"#);
        assert_eq!(
            *read(r#""quoted""#).root(),
            *Value::of(Item::text("quoted")).root()
        );
    }

    #[test]
    fn a_content_type_goes_before() {
        let number = Bytes::from_static(b"42");
        let kind = |content_type| of_value(&to_value(&number, Some(content_type))).1;
        assert_eq!(kind("application/octet-stream"), Kind::Bytes);
        assert_eq!(kind("Text/Plain; charset=utf-8"), Kind::Text);
        assert_eq!(kind("application/json"), Kind::Json);
        let cbor = Bytes::from_static(&[0xa1, 0x61, b'a', 0xf5]);
        let value = to_value(&cbor, Some("application/cbor"));
        assert_eq!(
            of_value(&value),
            (Bytes::from_static(b"{\"a\":true}"), Kind::Json)
        );
        let broken = Bytes::from_static(&[0xa1]);
        assert_eq!(
            of_value(&to_value(&broken, Some("application/cbor"))).1,
            Kind::Bytes
        );
    }

    #[test]
    fn what_json_cannot_hold_is_cbor() {
        let mut cyclic = Value::default();
        let root = cyclic.add(Node::List(Vec::new()));
        let Item::Node(slot) = root else { panic!() };
        if let Some(Node::List(items)) = cyclic.node_mut(slot) {
            items.push(root.clone());
        }
        cyclic.set_root(root);
        let mut mixed = Value::default();
        let inner = mixed.add(Node::Bytes(Bytes::from_static(b"x")));
        let root = mixed.add(Node::List(vec![inner]));
        mixed.set_root(root);
        for value in [
            cyclic,
            mixed,
            Value::of(Item::Date(0.0)),
            Value::of(Item::Float(f64::NAN)),
        ] {
            let (payload, kind) = of_value(&value);
            assert_eq!(kind, Kind::Cbor, "{value:?}");
            assert!(object::decode(&payload).is_ok());
        }
    }

    #[test]
    fn depth_and_size_end_in_another_form_and_not_in_a_fault() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(of_value(&to_value(&deep.into(), None)).1, Kind::Text);
        // A value that doubles with each level.
        let mut value = Value::default();
        let mut item = Item::Bool(true);
        for _ in 0..60 {
            item = value.add(Node::List(vec![item.clone(), item]));
        }
        value.set_root(item);
        assert_eq!(of_value(&value).1, Kind::Cbor);
    }
}
