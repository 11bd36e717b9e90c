//! What serde has no words for, as types of Rust's own: a date, a set, a reference. Their names are
//! private tokens by which the serialiser of values knows them; to any other serialiser they are what
//! they hold.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

use super::ObjectError;
use super::value::{Handle, Item, Node, Pointer, Value};
use crate::id::NodeId;

pub(super) const DATE: &str = "$peerage::Date";
pub(super) const SET: &str = "$peerage::Set";
pub(super) const POINTER: &str = "$peerage::Pointer";

/// A point in time: milliseconds since 1970 (UTC), JavaScript's `Date`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Date(pub f64);

/// Items, each once: JavaScript's `Set`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set<T: Ord>(pub BTreeSet<T>);

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(DATE, &self.0)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self)
    }
}

impl<T: Ord + Serialize> Serialize for Set<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(SET, &self.0)
    }
}

impl<'de, T: Ord + Deserialize<'de>> Deserialize<'de> for Set<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeSet::deserialize(deserializer).map(Self)
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let future: &[u8] = if self.future { &[1] } else { &[] };
        let parts = (self.node.as_bytes(), self.handle, future);
        serializer.serialize_newtype_struct(POINTER, &parts)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Parts::deserialize(deserializer).map(Self::from)
    }
}

/// A reference as serde has it: the node, the handle, and something if it is a value to come.
type Parts = ([u8; 32], Handle, Vec<u8>);

impl From<Parts> for Pointer {
    fn from((node, handle, future): Parts) -> Self {
        Self {
            node: NodeId::from_bytes(node),
            handle,
            future: !future.is_empty(),
        }
    }
}

/// What an item is that was serialised under a token.
pub(super) fn mark(name: &str, item: Item, value: &mut Value) -> Result<Item, ObjectError> {
    match (name, item) {
        (DATE, Item::Float(millis)) => Ok(Item::Date(millis)),
        (SET, Item::Node(slot)) => {
            if let Some(node) = value.node_mut(slot)
                && let Node::List(items) = node
            {
                *node = Node::Set(std::mem::take(items));
            }
            Ok(Item::Node(slot))
        }
        (POINTER, item) => pointer(&item, value),
        (_, item) => Ok(item),
    }
}

fn pointer(item: &Item, value: &Value) -> Result<Item, ObjectError> {
    super::de::from_item::<Parts>(value, item)
        .map(|parts| Item::Pointer(Arc::new(parts.into())))
        .map_err(Error::custom)
}
