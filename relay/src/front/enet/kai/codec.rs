//! KAI's objects as bytes: an `int` type number, what the type says, and how many children by name follow.
//! Ints are as KAI's own machines have them, little-endian. Nothing here trusts a size: what is declared is
//! never more than what is there.

use bytes::Bytes;
use peerage::limits::{KAI_DEPTH_MAX, KAI_ITEMS_MAX, KAI_MESSAGE_BYTES_MAX};
use peerage::object::{Item, Node, Value};

/// Type numbers of KAI's registry.
mod number {
    pub(super) const NULL: i32 = 0;
    pub(super) const VOID: i32 = 2;
    pub(super) const HANDLE: i32 = 11;
    pub(super) const BOOL: i32 = 21;
    pub(super) const SIGNED32: i32 = 22;
    pub(super) const SINGLE: i32 = 23;
    pub(super) const DOUBLE: i32 = 24;
    pub(super) const STRING: i32 = 25;
    pub(super) const LABEL: i32 = 26;
    pub(super) const PATHNAME: i32 = 27;
    pub(super) const ARRAY: i32 = 28;
    pub(super) const PAIR: i32 = 29;
    pub(super) const MAP: i32 = 30;
    pub(super) const HASH_MAP: i32 = 31;
    pub(super) const SET: i32 = 32;
    pub(super) const HASH_SET: i32 = 33;
    pub(super) const STACK: i32 = 34;
    pub(super) const BINARY_STREAM: i32 = 51;
    pub(super) const BINARY_PACKET: i32 = 52;
    pub(super) const VECTOR2: i32 = 57;
    pub(super) const VECTOR4: i32 = 59;
    pub(super) const LIST: i32 = 60;
}

/// What bytes are not, or a value cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KaiError {
    /// Fewer bytes than were declared.
    #[error("expected {expected} bytes, got {got}")]
    Short {
        /// How many were to come.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// Bytes after the end.
    #[error("{0} bytes after the end")]
    Rest(usize),
    /// A size below zero.
    #[error("expected a size, got {0}")]
    Size(i32),
    /// No text.
    #[error("expected a text in UTF-8")]
    Text,
    /// Neither no nor yes.
    #[error("expected 0 or 1, got {0}")]
    Bool(u8),
    /// A type that means nothing here.
    #[error("expected a type of KAI that is known here, got number {0}")]
    Type(i32),
    /// Something that KAI has no type for.
    #[error("KAI has no type for {0}")]
    Foreign(&'static str),
    /// An object below an object, too often.
    #[error("expected at most {KAI_DEPTH_MAX} levels of objects")]
    Deep,
    /// Too many bytes.
    #[error("expected at most {KAI_MESSAGE_BYTES_MAX} bytes")]
    Large,
    /// Too many objects.
    #[error("expected at most {KAI_ITEMS_MAX} objects")]
    Many,
    /// A message of a kind that there is not.
    #[error("expected a message of KAI, got number {0}")]
    Message(u8),
}

/// Reads what is laid out one behind the other.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    items: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, items: 0 }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], KaiError> {
        let short = KaiError::Short {
            expected: count,
            got: self.bytes.len(),
        };
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(short)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], KaiError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, KaiError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn int(&mut self) -> Result<i32, KaiError> {
        self.array().map(i32::from_le_bytes)
    }

    /// A size, of which at least `each` bytes for every one are there.
    pub(super) fn size(&mut self, each: usize) -> Result<usize, KaiError> {
        let size = self.int()?;
        let size = usize::try_from(size).map_err(|_| KaiError::Size(size))?;
        let (expected, got) = (size.saturating_mul(each), self.bytes.len());
        if expected > got {
            return Err(KaiError::Short { expected, got });
        }
        Ok(size)
    }

    pub(super) fn blob(&mut self) -> Result<&'a [u8], KaiError> {
        let size = self.size(1)?;
        self.take(size)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, KaiError> {
        std::str::from_utf8(self.blob()?).map_err(|_| KaiError::Text)
    }

    /// An object with its size before it, which is 0 for null.
    pub(super) fn object(&mut self) -> Result<Value, KaiError> {
        let blob = self.blob()?;
        match blob.is_empty() {
            true => Ok(Value::default()),
            false => decode(blob),
        }
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    pub(super) fn end(&self) -> Result<(), KaiError> {
        match self.bytes.len() {
            0 => Ok(()),
            rest => Err(KaiError::Rest(rest)),
        }
    }

    fn item(&mut self, value: &mut Value, depth: usize) -> Result<Item, KaiError> {
        self.items += 1;
        if self.items > KAI_ITEMS_MAX {
            return Err(KaiError::Many);
        }
        if depth > KAI_DEPTH_MAX {
            return Err(KaiError::Deep);
        }
        let number = self.int()?;
        if number == number::NULL {
            return Ok(Item::Null);
        }
        let item = self.typed(number, value, depth)?;
        let children = self.size(LABEL_BYTES_MIN)?;
        let mut named = Vec::new();
        for _ in 0..children {
            let name = self.text()?.into();
            named.push((name, self.item(value, depth + 1)?));
        }
        if named.is_empty() {
            return Ok(item);
        }
        // What has children is more than its value.
        named.insert(0, ("".into(), item));
        Ok(value.add(Node::Record(named)))
    }

    fn typed(&mut self, number: i32, value: &mut Value, depth: usize) -> Result<Item, KaiError> {
        Ok(match number {
            number::VOID => Item::Undefined,
            number::HANDLE | number::SIGNED32 => i64::from(self.int()?).into(),
            number::BOOL => match self.byte()? {
                bit @ (0 | 1) => Item::Bool(bit == 1),
                other => return Err(KaiError::Bool(other)),
            },
            number::SINGLE => Item::Float(f32::from_le_bytes(self.array()?).into()),
            number::DOUBLE => Item::Float(f64::from_le_bytes(self.array()?)),
            number::STRING | number::LABEL | number::PATHNAME => Item::text(self.text()?),
            number::ARRAY | number::STACK | number::LIST => {
                let items = self.items(value, depth)?;
                value.add(Node::List(items))
            }
            number::PAIR => {
                let pair = vec![self.item(value, depth + 1)?, self.item(value, depth + 1)?];
                value.add(Node::List(pair))
            }
            number::SET | number::HASH_SET => {
                let items = self.items(value, depth)?;
                value.add(Node::Set(items))
            }
            number::MAP | number::HASH_MAP => self.map(value, depth)?,
            number::BINARY_STREAM | number::BINARY_PACKET => {
                let bytes = Bytes::copy_from_slice(self.blob()?);
                value.add(Node::Bytes(bytes))
            }
            vector @ number::VECTOR2..=number::VECTOR4 => {
                let mut parts = Vec::new();
                for _ in 0..vector - number::VECTOR2 + 2 {
                    parts.push(Item::Float(f32::from_le_bytes(self.array()?).into()));
                }
                value.add(Node::List(parts))
            }
            other => return Err(KaiError::Type(other)),
        })
    }

    fn items(&mut self, value: &mut Value, depth: usize) -> Result<Vec<Item>, KaiError> {
        let count = self.size(NULL_BYTES)?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.item(value, depth + 1)?);
        }
        Ok(items)
    }

    fn map(&mut self, value: &mut Value, depth: usize) -> Result<Item, KaiError> {
        let count = self.size(2 * NULL_BYTES)?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let key = self.item(value, depth + 1)?;
            entries.push((key, self.item(value, depth + 1)?));
        }
        let texts = entries.iter().map(|(key, item)| match key {
            Item::Text(text) => Some((text.clone(), item.clone())),
            _ => None,
        });
        let node = match texts.collect() {
            Some(record) => Node::Record(record),
            None => Node::Map(entries),
        };
        Ok(value.add(node))
    }
}

/// What a null object takes.
const NULL_BYTES: usize = 4;
/// What a child takes at least: a label's size, and a null object.
const LABEL_BYTES_MIN: usize = 4 + NULL_BYTES;

/// Reads an object.
///
/// # Errors
/// What the bytes are not.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, KaiError> {
    let mut reader = Reader::new(bytes);
    let mut value = Value::default();
    let root = reader.item(&mut value, 0)?;
    reader.end()?;
    value.set_root(root);
    Ok(value)
}

/// Writes what is laid out one behind the other.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    items: usize,
}

impl Writer {
    pub(super) fn byte(mut self, byte: u8) -> Self {
        self.bytes.push(byte);
        self
    }

    pub(super) fn int(mut self, int: i32) -> Self {
        self.bytes.extend_from_slice(&int.to_le_bytes());
        self
    }

    pub(super) fn blob(self, bytes: &[u8]) -> Self {
        // What is longer than this is longer than a packet.
        let mut this = self.int(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        this.bytes.extend_from_slice(bytes);
        this
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.blob(text.as_bytes())
    }

    /// An object with its size before it.
    pub(super) fn object(self, value: &Value) -> Result<Self, KaiError> {
        Ok(match value.root() {
            Item::Null | Item::Undefined => self.int(0),
            _ => self.blob(&encode(value)?),
        })
    }

    pub(super) fn done(self) -> Bytes {
        self.bytes.into()
    }

    fn item(&mut self, value: &Value, item: &Item, depth: usize) -> Result<(), KaiError> {
        // As it is counted where it is read.
        self.items += 1;
        if self.items > KAI_ITEMS_MAX {
            return Err(KaiError::Many);
        }
        if depth > KAI_DEPTH_MAX {
            return Err(KaiError::Deep);
        }
        match item {
            Item::Undefined | Item::Null => {
                self.put(number::NULL, &[]);
                return Ok(());
            }
            Item::Bool(bit) => self.put(number::BOOL, &[u8::from(*bit)]),
            Item::Unsigned(_) | Item::Negative(_) => match int_of(item) {
                Ok(int) => self.put(number::SIGNED32, &int.to_le_bytes()),
                Err(double) => self.put(number::DOUBLE, &double.to_le_bytes()),
            },
            Item::Float(float) => self.put(number::DOUBLE, &float.to_le_bytes()),
            Item::Date(ms) => self.put(number::DOUBLE, &ms.to_le_bytes()),
            Item::Text(text) => self.sized(number::STRING, text.as_bytes())?,
            Item::Big(_) => return Err(KaiError::Foreign("a number of more than 64 bits")),
            Item::Pointer(_) => return Err(KaiError::Foreign("a reference")),
            Item::Node(slot) => {
                let node = value.node(*slot).ok_or(KaiError::Foreign("nothing"))?;
                self.node(value, node, depth)?;
            }
        }
        // Without children.
        self.put(0, &[]);
        Ok(())
    }

    fn node(&mut self, value: &Value, node: &Node, depth: usize) -> Result<(), KaiError> {
        // What is shared is copied, so the whole may be larger than the value is.
        self.check()?;
        match node {
            Node::List(items) => self.list(number::ARRAY, value, items, depth),
            Node::Set(items) => self.list(number::SET, value, items, depth),
            Node::Record(entries) => {
                self.count(number::MAP, entries.len())?;
                for (key, item) in entries {
                    self.item(value, &Item::Text(key.clone()), depth + 1)?;
                    self.item(value, item, depth + 1)?;
                }
                Ok(())
            }
            Node::Map(entries) => {
                self.count(number::MAP, entries.len())?;
                for (key, item) in entries {
                    self.item(value, key, depth + 1)?;
                    self.item(value, item, depth + 1)?;
                }
                Ok(())
            }
            Node::Bytes(bytes) | Node::Typed(_, bytes) => self.sized(number::BINARY_STREAM, bytes),
        }
    }

    fn list(
        &mut self,
        kind: i32,
        value: &Value,
        items: &[Item],
        depth: usize,
    ) -> Result<(), KaiError> {
        self.count(kind, items.len())?;
        items
            .iter()
            .try_for_each(|item| self.item(value, item, depth + 1))
    }

    fn count(&mut self, number: i32, count: usize) -> Result<(), KaiError> {
        let count = i32::try_from(count).map_err(|_| KaiError::Large)?;
        self.put(number, &count.to_le_bytes());
        Ok(())
    }

    fn sized(&mut self, number: i32, bytes: &[u8]) -> Result<(), KaiError> {
        self.count(number, bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        self.check()
    }

    fn check(&self) -> Result<(), KaiError> {
        let fits = self.bytes.len() <= KAI_MESSAGE_BYTES_MAX;
        fits.then_some(()).ok_or(KaiError::Large)
    }

    fn put(&mut self, int: i32, bytes: &[u8]) {
        self.bytes.extend_from_slice(&int.to_le_bytes());
        self.bytes.extend_from_slice(bytes);
    }
}

/// A whole number as KAI's, or else as the nearest that is not whole.
fn int_of(item: &Item) -> Result<i32, f64> {
    match *item {
        Item::Unsigned(number) => i32::try_from(number).map_err(|_| number as f64),
        Item::Negative(number) => i32::try_from(number)
            .map(|number| -1 - number)
            .map_err(|_| -1.0 - number as f64),
        _ => Err(f64::NAN),
    }
}

/// The bytes of an object.
///
/// # Errors
/// What KAI has no type for, or would not read.
pub(crate) fn encode(value: &Value) -> Result<Vec<u8>, KaiError> {
    let mut writer = Writer::default();
    writer.item(value, value.root(), 0)?;
    Ok(writer.bytes)
}
