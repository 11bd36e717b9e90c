//! From bytes to values.

use std::sync::Arc;

use bytes::Bytes;
use minicbor::Decoder;
use minicbor::data::Type;

use super::value::{Big, Element, Item, Node, Pointer, Slot, Value};
use super::{ObjectError, tag};
use crate::id::NodeId;
use crate::limits::VALUE_ITEMS_MAX;

/// Reads a value, which is all that there is.
///
/// # Errors
/// What was expected and what came; no input costs more than its own length and [`VALUE_ITEMS_MAX`].
pub fn decode(bytes: &Bytes) -> Result<Value, ObjectError> {
    let mut reader = Reader {
        bytes,
        cbor: Decoder::new(bytes),
        value: Value::default(),
        shared: Vec::new(),
        before: Vec::new(),
        items: 0,
        open: Vec::new(),
    };
    let root = reader.all()?;
    let rest = bytes.len() - reader.cbor.position();
    if rest > 0 {
        return Err(unexpected("the end", format!("{rest} more bytes")));
    }
    reader.value.set_root(root);
    Ok(reader.value)
}

struct Reader<'b> {
    bytes: &'b Bytes,
    cbor: Decoder<'b>,
    value: Value,
    /// What was marked as shared, by its number, once it is known.
    shared: Vec<Option<Item>>,
    /// The last record at each depth: those of a list have the same keys, as a rule.
    before: Vec<Option<Slot>>,
    items: usize,
    open: Vec<Frame>,
}

/// A list, set or map that is being read.
struct Frame {
    slot: Slot,
    /// How many more items there are; `None` until the break.
    left: Option<u64>,
    parts: Parts,
}

enum Parts {
    List(Vec<Item>),
    Set(Vec<Item>),
    /// A map may turn out to be a record unless it is tagged.
    Map {
        tagged: bool,
        key: Option<Item>,
        entries: Vec<(Item, Item)>,
    },
}

/// What one item begins with.
#[derive(Default)]
struct Marks {
    /// Its number among what is shared.
    number: Option<usize>,
    kind: Option<u64>,
}

impl Reader<'_> {
    /// Reads until the outermost item is complete.
    fn all(&mut self) -> Result<Item, ObjectError> {
        loop {
            let mut done = if self.at_end()? {
                Some(self.close())
            } else {
                self.item()?
            };
            // An item may complete what it is in, and that what it is in.
            while let Some(item) = done {
                let Some(frame) = self.open.last_mut() else {
                    return Ok(item);
                };
                frame.put(item);
                done = if frame.is_full() {
                    Some(self.close())
                } else {
                    None
                };
            }
        }
    }

    /// Whether the innermost open item of unknown length ends here.
    fn at_end(&mut self) -> Result<bool, ObjectError> {
        let Some(frame) = self.open.last_mut().filter(|frame| frame.left.is_none()) else {
            return Ok(false);
        };
        if self.cbor.datatype().map_err(cbor)? != Type::Break {
            return Ok(false);
        }
        if matches!(frame.parts, Parts::Map { key: Some(_), .. }) {
            return Err(unexpected(
                "an item for each key",
                String::from("a key alone"),
            ));
        }
        let position = self.cbor.position();
        self.cbor.set_position(position + 1);
        Ok(true)
    }

    /// The next item, or `None` if it was opened.
    fn item(&mut self) -> Result<Option<Item>, ObjectError> {
        self.items += 1;
        if self.items > VALUE_ITEMS_MAX {
            return Err(ObjectError::TooManyItems {
                max: VALUE_ITEMS_MAX,
            });
        }
        let marks = self.marks()?;
        let kind = self.cbor.datatype().map_err(cbor)?;
        let opens = matches!(
            kind,
            Type::Array | Type::ArrayIndef | Type::Map | Type::MapIndef
        );
        match marks.kind {
            None | Some(tag::SET | tag::MAP) if opens => self.open(kind, &marks),
            _ => {
                let item = self.closed(kind, &marks)?;
                if marks.number.is_some() && !matches!(item, Item::Node(_)) {
                    // A long text told a thousand times in a few bytes would be a thousand texts.
                    return Err(unexpected(
                        "something that has an identity, as shared",
                        kind.to_string(),
                    ));
                }
                self.note(&marks, &item);
                Ok(Some(item))
            }
        }
    }

    /// Takes the tags before an item.
    fn marks(&mut self) -> Result<Marks, ObjectError> {
        let mut marks = Marks::default();
        while self.cbor.datatype().map_err(cbor)? == Type::Tag {
            let tag = self.cbor.tag().map_err(cbor)?.as_u64();
            match tag {
                tag::SELF_DESCRIBED => {}
                tag::SHARED if marks.number.is_none() && marks.kind.is_none() => {
                    marks.number = Some(self.shared.len());
                    self.shared.push(None);
                }
                _ if marks.kind.is_some() => {
                    return Err(unexpected("one tag", format!("tag {tag} as well")));
                }
                _ => marks.kind = Some(tag),
            }
        }
        Ok(marks)
    }

    fn note(&mut self, marks: &Marks, item: &Item) {
        if let Some(number) = marks.number {
            self.shared[number] = Some(item.clone());
        }
    }

    /// Opens a list, set or map; what it is, if it is empty.
    fn open(&mut self, kind: Type, marks: &Marks) -> Result<Option<Item>, ObjectError> {
        let is_map = matches!(kind, Type::Map | Type::MapIndef);
        let left = if is_map {
            let entries = self.cbor.map().map_err(cbor)?;
            entries.map(|entries| entries.saturating_mul(2))
        } else {
            self.cbor.array().map_err(cbor)?
        };
        let parts = match (is_map, marks.kind) {
            (false, None) => Parts::List(Vec::new()),
            (false, Some(tag::SET)) => Parts::Set(Vec::new()),
            (true, None | Some(tag::MAP)) => Parts::Map {
                tagged: marks.kind.is_some(),
                key: None,
                entries: Vec::new(),
            },
            (_, kind) => {
                let tag = kind.unwrap_or_default();
                let got = format!("tag {tag} on a {}", if is_map { "map" } else { "list" });
                return Err(unexpected("a tag's own content", got));
            }
        };
        // A placeholder, so that what leads back to it has where to lead.
        let item = self.value.add(Node::List(Vec::new()));
        self.note(marks, &item);
        if let Item::Node(slot) = item {
            self.open.push(Frame { slot, left, parts });
        }
        Ok((left == Some(0)).then(|| self.close()))
    }

    /// The innermost open item is complete.
    fn close(&mut self) -> Item {
        let Some(frame) = self.open.pop() else {
            return Item::Null;
        };
        if let Some(node) = self.value.node_mut(frame.slot) {
            *node = frame.parts.into_node();
            let depth = self.open.len() + 1;
            // What is outermost has none beside it.
            if depth > 1 && matches!(node, Node::Record(_)) {
                if self.before.len() <= depth {
                    self.before.resize(depth + 1, None);
                }
                self.before[depth] = Some(frame.slot);
            }
        }
        Item::Node(frame.slot)
    }

    /// An item that holds no others that need be remembered.
    fn closed(&mut self, kind: Type, marks: &Marks) -> Result<Item, ObjectError> {
        match (marks.kind, kind) {
            (None, _) => self.plain(kind),
            (Some(tag::THERE), _) => self.there(),
            (Some(tag::DATE), _) => self.date(kind),
            (Some(tag::DATE_TEXT), _) => self.date_text(),
            (Some(tag @ (tag::BIG | tag::BIG_NEGATIVE)), Type::Bytes | Type::BytesIndef) => {
                let magnitude = self.bytes(kind)?;
                let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
                Ok(Item::Big(Arc::new(Big {
                    negative: tag == tag::BIG_NEGATIVE,
                    magnitude: magnitude[zeros..].into(),
                })))
            }
            (Some(tag::POINTER), Type::Array) => self.pointer(),
            (Some(64), Type::Bytes | Type::BytesIndef) => self.plain(kind),
            (Some(tag), Type::Bytes | Type::BytesIndef) => self.typed(tag, kind),
            (Some(tag), kind) => Err(unexpected(
                "a tag that is known here",
                format!("tag {tag} on {kind}"),
            )),
        }
    }

    fn plain(&mut self, kind: Type) -> Result<Item, ObjectError> {
        let number = |number: minicbor::data::Int| match i128::from(number) {
            number if number >= 0 => Item::Unsigned(number as u64),
            number => Item::Negative((-1 - number) as u64),
        };
        match kind {
            Type::Undefined => self.cbor.undefined().map(|()| Item::Undefined),
            Type::Null => self.cbor.null().map(|()| Item::Null),
            Type::Bool => self.cbor.bool().map(Item::Bool),
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => self.cbor.u64().map(Item::Unsigned),
            Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => self.cbor.int().map(number),
            Type::F16 => self.cbor.f16().map(|number| Item::Float(number.into())),
            Type::F32 => self.cbor.f32().map(|number| Item::Float(number.into())),
            Type::F64 => self.cbor.f64().map(Item::Float),
            Type::String => return self.text(),
            Type::StringIndef => {
                let parts = self.cbor.str_iter().map_err(cbor)?;
                parts
                    .collect::<Result<String, _>>()
                    .map(|text| Item::text(&text))
            }
            Type::Bytes | Type::BytesIndef => {
                let bytes = self.bytes(kind)?;
                return Ok(self.value.add(Node::Bytes(bytes)));
            }
            kind => return Err(unexpected("a value", kind.to_string())),
        }
        .map_err(cbor)
    }

    /// A text in one piece. A key that the record before has in the same place is not there twice.
    fn text(&mut self) -> Result<Item, ObjectError> {
        let text = self.cbor.str().map_err(cbor)?;
        let key = self.key_before().filter(|key| ***key == *text);
        Ok(key.map_or_else(|| Item::text(text), |key| Item::Text(Arc::clone(key))))
    }

    /// If a key comes, that of the record before at the same depth.
    fn key_before(&self) -> Option<&Arc<str>> {
        let slot = (*self.before.get(self.open.len())?)?;
        let Parts::Map {
            key: None, entries, ..
        } = &self.open.last()?.parts
        else {
            return None;
        };
        match self.value.node(slot)? {
            Node::Record(before) => Some(&before.get(entries.len())?.0),
            _ => None,
        }
    }

    /// Bytes; in one piece they are not copied.
    fn bytes(&mut self, kind: Type) -> Result<Bytes, ObjectError> {
        if kind == Type::Bytes {
            return Ok(self.bytes.slice_ref(self.cbor.bytes().map_err(cbor)?));
        }
        let mut bytes = Vec::new();
        for part in self.cbor.bytes_iter().map_err(cbor)? {
            bytes.extend(part.map_err(cbor)?);
        }
        Ok(bytes.into())
    }

    fn there(&mut self) -> Result<Item, ObjectError> {
        let number = self.cbor.u64().map_err(cbor)?;
        let place = usize::try_from(number).ok();
        let item = place.and_then(|place| self.shared.get(place)?.clone());
        item.ok_or_else(|| unexpected("the number of something shared", number.to_string()))
    }

    fn date(&mut self, kind: Type) -> Result<Item, ObjectError> {
        let seconds = match self.plain(kind)? {
            Item::Unsigned(seconds) => seconds as f64,
            Item::Negative(seconds) => -1.0 - seconds as f64,
            Item::Float(seconds) => seconds,
            _ => return Err(unexpected("seconds since 1970", kind.to_string())),
        };
        // A date has whole milliseconds, which seconds as a float need not hold exactly, and one zero.
        Ok(Item::Date((seconds * 1000.0).round() + 0.0))
    }

    fn date_text(&mut self) -> Result<Item, ObjectError> {
        use time::format_description::well_known::Rfc3339;
        let text = self.cbor.str().map_err(cbor)?;
        let date = time::OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|_| unexpected("a date as RFC 3339 has it", text.to_owned()))?;
        let millis = date.unix_timestamp_nanos().div_euclid(1_000_000);
        Ok(Item::Date(millis as f64))
    }

    fn pointer(&mut self) -> Result<Item, ObjectError> {
        let expected =
            "a reference: [id of 32 bytes, handle of 16], and `true` for a value to come";
        let parts = self.cbor.array().map_err(cbor)?;
        if !matches!(parts, Some(2 | 3)) {
            let parts = parts.map_or(String::from("any number of"), |parts| parts.to_string());
            return Err(unexpected(expected, format!("{parts} parts")));
        }
        let node = self.cbor.bytes().map_err(cbor)?;
        let handle = self.cbor.bytes().map_err(cbor)?;
        let future = parts == Some(3);
        if future && !self.cbor.bool().map_err(cbor)? {
            return Err(unexpected(expected, String::from("`false`")));
        }
        match (<[u8; 32]>::try_from(node), <[u8; 16]>::try_from(handle)) {
            (Ok(node), Ok(handle)) => Ok(Item::Pointer(Arc::new(Pointer {
                node: NodeId::from_bytes(node),
                handle,
                future,
            }))),
            _ => Err(unexpected(
                expected,
                format!("{} and {} bytes", node.len(), handle.len()),
            )),
        }
    }

    fn typed(&mut self, tag: u64, kind: Type) -> Result<Item, ObjectError> {
        let Some((element, swapped)) = Element::of_tag(tag) else {
            let expected = "a tag that is known here";
            return Err(unexpected(expected, format!("tag {tag} on bytes")));
        };
        let bytes = self.bytes(kind)?;
        let width = element.width();
        if bytes.len() % width != 0 {
            let got = format!("{} bytes", bytes.len());
            return Err(unexpected("whole numbers of a typed array", got));
        }
        let bytes = if swapped {
            let numbers = bytes.chunks(width);
            numbers
                .flat_map(|number| number.iter().rev().copied())
                .collect()
        } else {
            bytes
        };
        Ok(self.value.add(Node::Typed(element, bytes)))
    }
}

impl Frame {
    fn put(&mut self, item: Item) {
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        match &mut self.parts {
            Parts::List(items) | Parts::Set(items) => items.push(item),
            Parts::Map { key, entries, .. } => match key.take() {
                None => *key = Some(item),
                Some(key) => entries.push((key, item)),
            },
        }
    }

    fn is_full(&self) -> bool {
        self.left == Some(0)
    }
}

impl Parts {
    fn into_node(self) -> Node {
        // Many short ones should not have room for more.
        match self {
            Self::List(mut items) => {
                items.shrink_to_fit();
                Node::List(items)
            }
            Self::Set(mut items) => {
                items.shrink_to_fit();
                Node::Set(items)
            }
            Self::Map {
                tagged: true,
                entries,
                ..
            } => Node::Map(entries),
            Self::Map { entries, .. } => Node::of_entries(entries),
        }
    }
}

fn cbor(error: minicbor::decode::Error) -> ObjectError {
    ObjectError::Cbor(error.to_string())
}

fn unexpected(expected: &'static str, got: String) -> ObjectError {
    ObjectError::Unexpected { expected, got }
}
