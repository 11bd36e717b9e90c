//! Values of scripts, and of the network.

use std::sync::Arc;

use bytes::Bytes;
use peerage::limits::VALUE_DEPTH_MAX;
use peerage::object::{Item, Node, Value};
use peerage::rpc::{Parcel, Reference};
use rhai::{Array, Blob, Dynamic, Map};

use crate::host::Object;

/// What travels for these arguments.
pub(crate) fn pack_list(items: &[Dynamic]) -> Result<Parcel, String> {
    let mut packing = Packing::default();
    let list = items.iter().map(|item| packing.item(item, 1));
    let list = list.collect::<Result<_, _>>()?;
    let root = packing.value.add(Node::List(list));
    Ok(packing.done(root))
}

/// What travels for a value.
pub(crate) fn pack(value: &Dynamic) -> Result<Parcel, String> {
    let mut packing = Packing::default();
    let root = packing.item(value, 0)?;
    Ok(packing.done(root))
}

/// What has travelled, as scripts have it.
pub(crate) fn unpack(parcel: &Parcel) -> Result<Dynamic, String> {
    unpack_item(parcel, parcel.value().root(), 0)
}

/// The arguments of a call.
pub(crate) fn unpack_list(parcel: &Parcel) -> Result<Vec<Dynamic>, String> {
    let items = parcel.items().iter();
    items.map(|item| unpack_item(parcel, item, 1)).collect()
}

#[derive(Default)]
struct Packing {
    value: Value,
    references: Vec<Reference>,
}

impl Packing {
    fn done(mut self, root: Item) -> Parcel {
        self.value.set_root(root);
        Parcel::new(self.value, self.references)
    }

    fn item(&mut self, value: &Dynamic, depth: usize) -> Result<Item, String> {
        check_depth(depth)?;
        if value.is_unit() {
            return Ok(Item::Null);
        }
        if let Ok(yes) = value.as_bool() {
            return Ok(Item::Bool(yes));
        }
        if let Ok(number) = value.as_int() {
            return Ok(Item::from(number));
        }
        if let Ok(number) = value.as_float() {
            return Ok(Item::Float(number));
        }
        if let Ok(letter) = value.as_char() {
            return Ok(Item::text(letter.encode_utf8(&mut [0; 4])));
        }
        if let Some(text) = value.read_lock::<rhai::ImmutableString>() {
            return Ok(Item::text(&text));
        }
        if let Some(bytes) = value.read_lock::<Blob>() {
            return Ok(self.value.add(Node::Bytes(Bytes::copy_from_slice(&bytes))));
        }
        if let Some(list) = value.read_lock::<Array>() {
            let items = list.iter().map(|item| self.item(item, depth + 1));
            let items = items.collect::<Result<_, _>>()?;
            return Ok(self.value.add(Node::List(items)));
        }
        if let Some(map) = value.read_lock::<Map>() {
            let entries = map.iter();
            let entries = entries
                .map(|(key, item)| Ok((Arc::from(key.as_str()), self.item(item, depth + 1)?)));
            let entries = entries.collect::<Result<_, String>>()?;
            return Ok(self.value.add(Node::Record(entries)));
        }
        if let Some(reference) = value
            .read_lock::<Object>()
            .and_then(|object| object.reference())
        {
            let pointer = Item::Pointer(Arc::new(reference.pointer().clone()));
            self.references.push(reference);
            return Ok(pointer);
        }
        Err(format!(
            "a value of the type {} cannot travel",
            value.type_name()
        ))
    }
}

fn unpack_item(parcel: &Parcel, item: &Item, depth: usize) -> Result<Dynamic, String> {
    check_depth(depth)?;
    Ok(match item {
        Item::Undefined | Item::Null => Dynamic::UNIT,
        Item::Bool(yes) => (*yes).into(),
        Item::Unsigned(number) => match i64::try_from(*number) {
            Ok(number) => number.into(),
            Err(_) => (*number as f64).into(),
        },
        Item::Negative(number) => match i64::try_from(*number) {
            Ok(number) => (!number).into(),
            Err(_) => (-1.0 - *number as f64).into(),
        },
        Item::Float(number) | Item::Date(number) => (*number).into(),
        Item::Text(text) => text.to_string().into(),
        Item::Big(_) => return Err(String::from("a whole number is too long for a script")),
        Item::Pointer(pointer) => match parcel.reference(pointer) {
            Some(reference) => Dynamic::from(Object::new(reference.proxy())),
            None => Dynamic::UNIT,
        },
        Item::Node(slot) => match parcel.value().node(*slot) {
            Some(node) => unpack_node(parcel, node, depth)?,
            None => Dynamic::UNIT,
        },
    })
}

fn unpack_node(parcel: &Parcel, node: &Node, depth: usize) -> Result<Dynamic, String> {
    let inner = |item| unpack_item(parcel, item, depth + 1);
    Ok(match node {
        Node::List(items) | Node::Set(items) => {
            let items: Array = items.iter().map(inner).collect::<Result<_, _>>()?;
            items.into()
        }
        Node::Record(entries) => {
            let entries = entries
                .iter()
                .map(|(key, item)| Ok(((&**key).into(), inner(item)?)));
            let map: Map = entries.collect::<Result<_, String>>()?;
            map.into()
        }
        // A map of a script has texts as keys; this one becomes a list of pairs.
        Node::Map(entries) => {
            let pairs = entries.iter().map(|(key, item)| {
                let pair: Array = vec![inner(key)?, inner(item)?];
                Ok(pair.into())
            });
            let pairs: Array = pairs.collect::<Result<_, String>>()?;
            pairs.into()
        }
        Node::Bytes(bytes) | Node::Typed(_, bytes) => Dynamic::from_blob(bytes.to_vec()),
    })
}

fn check_depth(depth: usize) -> Result<(), String> {
    if depth > VALUE_DEPTH_MAX {
        return Err(format!(
            "expected a value of at most {VALUE_DEPTH_MAX} levels"
        ));
    }
    Ok(())
}
