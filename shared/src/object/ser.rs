//! From Rust's own types to values, by serde.

use std::sync::Arc;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::value::{Big, Item, Node, Value};
use super::words::Words;
use super::{ObjectError, token};

/// The value of anything that serde can serialise. Maps whose keys are texts become records.
///
/// # Errors
/// What the type itself has to complain of.
pub fn to_value<T: Serialize + ?Sized>(from: &T) -> Result<Value, ObjectError> {
    let mut growing = Growing::default();
    let root = from.serialize(Build(&mut growing))?;
    growing.value.set_root(root);
    Ok(growing.value)
}

/// A value, and the names of fields and variants in it.
#[derive(Default)]
struct Growing {
    value: Value,
    names: Words,
}

/// Adds what it is given to a value.
struct Build<'a>(&'a mut Growing);

type Built = Result<Item, ObjectError>;

impl<'a> Serializer for Build<'a> {
    type Ok = Item;
    type Error = ObjectError;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Fields<'a>;

    fn serialize_bool(self, yes: bool) -> Built {
        Ok(Item::Bool(yes))
    }

    fn serialize_i8(self, number: i8) -> Built {
        Ok(Item::from(i64::from(number)))
    }

    fn serialize_i16(self, number: i16) -> Built {
        Ok(Item::from(i64::from(number)))
    }

    fn serialize_i32(self, number: i32) -> Built {
        Ok(Item::from(i64::from(number)))
    }

    fn serialize_i64(self, number: i64) -> Built {
        Ok(Item::from(number))
    }

    fn serialize_i128(self, number: i128) -> Built {
        let negative = number < 0;
        let magnitude = if negative { !number } else { number }.unsigned_abs();
        Ok(big(negative, magnitude))
    }

    fn serialize_u8(self, number: u8) -> Built {
        Ok(Item::Unsigned(number.into()))
    }

    fn serialize_u16(self, number: u16) -> Built {
        Ok(Item::Unsigned(number.into()))
    }

    fn serialize_u32(self, number: u32) -> Built {
        Ok(Item::Unsigned(number.into()))
    }

    fn serialize_u64(self, number: u64) -> Built {
        Ok(Item::Unsigned(number))
    }

    fn serialize_u128(self, number: u128) -> Built {
        Ok(big(false, number))
    }

    fn serialize_f32(self, number: f32) -> Built {
        Ok(Item::Float(number.into()))
    }

    fn serialize_f64(self, number: f64) -> Built {
        Ok(Item::Float(number))
    }

    fn serialize_char(self, letter: char) -> Built {
        Ok(Item::text(letter.encode_utf8(&mut [0; 4])))
    }

    fn serialize_str(self, text: &str) -> Built {
        Ok(Item::text(text))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Built {
        Ok(self.0.value.add(Node::Bytes(bytes.to_vec().into())))
    }

    fn serialize_none(self) -> Built {
        Ok(Item::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, inner: &T) -> Built {
        inner.serialize(self)
    }

    fn serialize_unit(self) -> Built {
        Ok(Item::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Built {
        Ok(Item::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Built {
        Ok(Item::Text(self.0.names.get(variant)))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        inner: &T,
    ) -> Built {
        let item = inner.serialize(Build(self.0))?;
        token::mark(name, item, &mut self.0.value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        inner: &T,
    ) -> Built {
        let item = inner.serialize(Build(self.0))?;
        Ok(in_variant(self.0, Some(variant), item))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Items<'a>, ObjectError> {
        Ok(Items {
            growing: self.0,
            variant: None,
            // The length is the type's word, not a promise.
            items: Vec::with_capacity(len.unwrap_or_default().min(1024)),
        })
    }

    fn serialize_tuple(self, len: usize) -> Result<Items<'a>, ObjectError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Items<'a>, ObjectError> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Items<'a>, ObjectError> {
        let items = self.serialize_seq(Some(len))?;
        Ok(Items {
            variant: Some(variant),
            ..items
        })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'a>, ObjectError> {
        Ok(Entries {
            growing: self.0,
            key: None,
            entries: Vec::new(),
        })
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Fields<'a>, ObjectError> {
        Ok(Fields {
            growing: self.0,
            variant: None,
            fields: Vec::with_capacity(len),
        })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Fields<'a>, ObjectError> {
        let fields = self.serialize_struct(name, len)?;
        Ok(Fields {
            variant: Some(variant),
            ..fields
        })
    }
}

/// A list that grows.
struct Items<'a> {
    growing: &'a mut Growing,
    variant: Option<&'static str>,
    items: Vec<Item>,
}

impl Items<'_> {
    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ObjectError> {
        self.items.push(item.serialize(Build(self.growing))?);
        Ok(())
    }

    fn build(self) -> Item {
        let list = self.growing.value.add(Node::List(self.items));
        in_variant(self.growing, self.variant, list)
    }
}

/// A record or a map that grows.
struct Entries<'a> {
    growing: &'a mut Growing,
    key: Option<Item>,
    entries: Vec<(Item, Item)>,
}

/// A record of which the names are known.
struct Fields<'a> {
    growing: &'a mut Growing,
    variant: Option<&'static str>,
    fields: Vec<(Arc<str>, Item)>,
}

impl Fields<'_> {
    fn put<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        item: &T,
    ) -> Result<(), ObjectError> {
        let name = self.growing.names.get(name);
        let item = item.serialize(Build(self.growing))?;
        self.fields.push((name, item));
        Ok(())
    }

    fn build(self) -> Item {
        let record = self.growing.value.add(Node::Record(self.fields));
        in_variant(self.growing, self.variant, record)
    }
}

fn in_variant(growing: &mut Growing, variant: Option<&'static str>, item: Item) -> Item {
    match variant {
        None => item,
        Some(variant) => {
            let variant = growing.names.get(variant);
            growing.value.add(Node::Record(vec![(variant, item)]))
        }
    }
}

fn big(negative: bool, magnitude: u128) -> Item {
    match (u64::try_from(magnitude), negative) {
        (Ok(number), false) => Item::Unsigned(number),
        (Ok(number), true) => Item::Negative(number),
        (Err(_), negative) => {
            let bytes = magnitude.to_be_bytes();
            let zeros = magnitude.leading_zeros() as usize / 8;
            Item::Big(Arc::new(Big {
                negative,
                magnitude: bytes[zeros..].into(),
            }))
        }
    }
}

macro_rules! items {
    ($($kind:ident::$push:ident),*) => {$(
        impl $kind for Items<'_> {
            type Ok = Item;
            type Error = ObjectError;

            fn $push<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ObjectError> {
                self.push(item)
            }

            fn end(self) -> Built {
                Ok(self.build())
            }
        }
    )*};
}

items!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! fields {
    ($($kind:ident),*) => {$(
        impl $kind for Fields<'_> {
            type Ok = Item;
            type Error = ObjectError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                item: &T,
            ) -> Result<(), ObjectError> {
                self.put(name, item)
            }

            fn end(self) -> Built {
                Ok(self.build())
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Entries<'_> {
    type Ok = Item;
    type Error = ObjectError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ObjectError> {
        self.key = Some(key.serialize(Build(self.growing))?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ObjectError> {
        let key = self.key.take().unwrap_or_default();
        let item = item.serialize(Build(self.growing))?;
        self.entries.push((key, item));
        Ok(())
    }

    fn end(self) -> Built {
        Ok(self.growing.value.add(Node::of_entries(self.entries)))
    }
}

impl serde::ser::Error for ObjectError {
    fn custom<T: core::fmt::Display>(message: T) -> Self {
        Self::Type(message.to_string())
    }
}
