//! From values to Rust's own types, by serde.

use std::cell::Cell;
use std::rc::Rc;

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    Deserialize, Deserializer, EnumAccess, Error, IntoDeserializer, Unexpected, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::ObjectError;
use super::value::{Big, Element, Item, Node, Value};
use crate::limits::{VALUE_DEPTH_MAX, VALUE_ITEMS_MAX};

/// Bytes of text that count as an item.
const TEXT_BYTES_EACH: usize = 128;

/// Reads a value as a type.
///
/// # Errors
/// What the type expects, and what there is.
pub fn from_value<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, ObjectError> {
    from_item(value, value.root())
}

/// Reads a part of a value as a type.
///
/// # Errors
/// What the type expects, and what there is.
pub fn from_item<'de, T: Deserialize<'de>>(
    value: &'de Value,
    item: &'de Item,
) -> Result<T, ObjectError> {
    T::deserialize(Part {
        value,
        item,
        depth: 0,
        budget: Rc::new(Cell::new(VALUE_ITEMS_MAX)),
    })
}

#[derive(Clone)]
struct Part<'de> {
    value: &'de Value,
    item: &'de Item,
    depth: usize,
    /// What may still be read: a value in which everything is shared is longer than it looks.
    budget: Rc<Cell<usize>>,
}

impl<'de> Part<'de> {
    fn inner(&self, item: &'de Item) -> Self {
        Self {
            value: self.value,
            item,
            depth: self.depth + 1,
            budget: Rc::clone(&self.budget),
        }
    }

    /// Pays for as many items.
    fn pay(&self, items: usize) -> Result<(), ObjectError> {
        let left = self.budget.get().checked_sub(items);
        let left = left.ok_or(ObjectError::TooManyItems {
            max: VALUE_ITEMS_MAX,
        })?;
        self.budget.set(left);
        Ok(())
    }

    fn node(&self) -> Result<Option<&'de Node>, ObjectError> {
        let Item::Node(slot) = self.item else {
            return Ok(None);
        };
        if self.depth > VALUE_DEPTH_MAX {
            return Err(Error::custom(format!(
                "expected a value of at most {VALUE_DEPTH_MAX} levels, got a deeper or a cyclic one"
            )));
        }
        Ok(self.value.node(*slot))
    }

    fn visit_node<V: Visitor<'de>>(
        &self,
        node: &'de Node,
        visitor: V,
    ) -> Result<V::Value, ObjectError> {
        match node {
            Node::List(items) | Node::Set(items) => {
                let items = items.iter().map(|item| self.inner(item));
                visitor.visit_seq(SeqDeserializer::new(items))
            }
            Node::Record(entries) => {
                let entries = entries.iter();
                let entries = entries.map(|(key, item)| (Key(key), self.inner(item)));
                visitor.visit_map(MapDeserializer::new(entries))
            }
            Node::Map(entries) => {
                let entries = entries.iter();
                let entries = entries.map(|(key, item)| (self.inner(key), self.inner(item)));
                visitor.visit_map(MapDeserializer::new(entries))
            }
            Node::Bytes(bytes) => {
                self.pay(bytes.len() / TEXT_BYTES_EACH)?;
                visitor.visit_borrowed_bytes(bytes)
            }
            Node::Typed(element, bytes) => {
                self.pay(bytes.len() / element.width())?;
                let numbers = bytes.chunks(element.width());
                let numbers = numbers.map(|number| Number(*element, number));
                visitor.visit_seq(SeqDeserializer::new(numbers))
            }
        }
    }
}

impl<'de> Deserializer<'de> for Part<'de> {
    type Error = ObjectError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ObjectError> {
        self.pay(1)?;
        match self.item {
            Item::Undefined | Item::Null => visitor.visit_unit(),
            Item::Bool(yes) => visitor.visit_bool(*yes),
            Item::Unsigned(number) => visitor.visit_u64(*number),
            Item::Negative(number) => match i64::try_from(*number) {
                Ok(number) => visitor.visit_i64(!number),
                Err(_) => visitor.visit_i128(!i128::from(*number)),
            },
            Item::Big(big) => visit_big(big, visitor),
            Item::Float(number) | Item::Date(number) => visitor.visit_f64(*number),
            Item::Text(text) => {
                self.pay(text.len() / TEXT_BYTES_EACH)?;
                visitor.visit_borrowed_str(text)
            }
            Item::Pointer(pointer) => {
                let future: &[u8] = if pointer.future { &[1] } else { &[] };
                let parts = [&pointer.node.as_bytes()[..], &pointer.handle[..], future];
                visitor.visit_seq(SeqDeserializer::new(parts.into_iter().map(Numbers)))
            }
            Item::Node(_) => match self.node()? {
                Some(node) => self.visit_node(node, visitor),
                None => visitor.visit_unit(),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ObjectError> {
        match self.item {
            Item::Undefined | Item::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ObjectError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ObjectError> {
        match self.node()? {
            Some(Node::Bytes(bytes)) => {
                self.pay(1 + bytes.len())?;
                Numbers(bytes).deserialize_any(visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ObjectError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ObjectError> {
        self.pay(1)?;
        match (self.item, self.node()?) {
            (Item::Text(text), _) => Key(text).deserialize_enum(name, variants, visitor),
            (_, Some(Node::Record(entries))) if entries.len() == 1 => {
                let (variant, item) = &entries[0];
                visitor.visit_enum(Variant(variant, self.inner(item)))
            }
            _ => Err(Error::invalid_type(
                Unexpected::Other("another shape"),
                &"the name of a variant, or a record of one entry under that name",
            )),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ObjectError> {
        // However deep, it is not looked at.
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple_struct map struct identifier
    }
}

impl<'de> IntoDeserializer<'de, ObjectError> for Part<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

fn visit_big<'de, V: Visitor<'de>>(big: &Big, visitor: V) -> Result<V::Value, ObjectError> {
    if big.magnitude.len() > 16 {
        return Err(Error::custom(format!(
            "expected a whole number of at most 128 bits, got one of {} bytes",
            big.magnitude.len()
        )));
    }
    let magnitude = big.magnitude.iter();
    let magnitude = magnitude.fold(0, |sum, byte| sum << 8 | u128::from(*byte));
    match (u64::try_from(magnitude), i128::try_from(magnitude)) {
        (Ok(number), _) if !big.negative => visitor.visit_u64(number),
        (_, Ok(number)) if big.negative => match i64::try_from(!number) {
            Ok(number) => visitor.visit_i64(number),
            Err(_) => visitor.visit_i128(!number),
        },
        (_, Ok(number)) => visitor.visit_i128(number),
        (_, Err(_)) if big.negative => Err(Error::custom(format!(
            "expected a whole number of at most 128 bits, got -1 - {magnitude}"
        ))),
        _ => visitor.visit_u128(magnitude),
    }
}

/// What is never nothing, and is read alike within a type of its own; `enum` if it names no variant.
macro_rules! alone {
    ($($none:tt)*) => {
        fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ObjectError> {
            visitor.visit_some(self)
        }

        fn deserialize_newtype_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            visitor: V,
        ) -> Result<V::Value, ObjectError> {
            visitor.visit_newtype_struct(self)
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
            unit_struct seq tuple tuple_struct map struct identifier ignored_any $($none)*
        }
    };
}

/// The key of a record.
struct Key<'de>(&'de str);

/// One number of a typed array.
struct Number<'de>(Element, &'de [u8]);

/// Bytes, where numbers are expected.
struct Numbers<'de>(&'de [u8]);

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = ObjectError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ObjectError> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ObjectError> {
        let variant: StrDeserializer<'_, ObjectError> = self.0.into_deserializer();
        variant.deserialize_enum(name, variants, visitor)
    }

    alone!();
}

impl<'de> Deserializer<'de> for Number<'de> {
    type Error = ObjectError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ObjectError> {
        let mut bytes = [0; 8];
        bytes[..self.1.len()].copy_from_slice(self.1);
        let whole = u64::from_le_bytes(bytes);
        // The sign is where the number ends.
        let shift = 64 - 8 * self.1.len() as u32;
        let signed = ((whole << shift) as i64) >> shift;
        match self.0 {
            Element::U8Clamped | Element::U16 | Element::U32 | Element::U64 => {
                visitor.visit_u64(whole)
            }
            Element::I8 | Element::I16 | Element::I32 | Element::I64 => visitor.visit_i64(signed),
            Element::F32 => visitor.visit_f32(f32::from_bits(whole as u32)),
            Element::F64 => visitor.visit_f64(f64::from_bits(whole)),
        }
    }

    alone!(enum);
}

impl<'de> Deserializer<'de> for Numbers<'de> {
    type Error = ObjectError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ObjectError> {
        visitor.visit_seq(SeqDeserializer::new(self.0.iter().copied()))
    }

    alone!(enum);
}

macro_rules! into_itself {
    ($($kind:ident),*) => {$(
        impl<'de> IntoDeserializer<'de, ObjectError> for $kind<'de> {
            type Deserializer = Self;

            fn into_deserializer(self) -> Self {
                self
            }
        }
    )*};
}

into_itself!(Key, Number, Numbers);

/// A variant of an enum, and what it holds.
struct Variant<'de>(&'de str, Part<'de>);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = ObjectError;
    type Variant = Part<'de>;

    fn variant_seed<S: serde::de::DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Part<'de>), ObjectError> {
        Ok((seed.deserialize(Key(self.0))?, self.1))
    }
}

impl<'de> VariantAccess<'de> for Part<'de> {
    type Error = ObjectError;

    fn unit_variant(self) -> Result<(), ObjectError> {
        Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<S: serde::de::DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, ObjectError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ObjectError> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ObjectError> {
        self.deserialize_any(visitor)
    }
}

impl Error for ObjectError {
    fn custom<T: core::fmt::Display>(message: T) -> Self {
        Self::Type(message.to_string())
    }
}
