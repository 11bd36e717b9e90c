//! From values to bytes.

use bytes::Bytes;
use minicbor::Encoder;
use minicbor::data::Tag;

use super::tag;
use super::value::{Big, Item, Node, Slot, Value};

/// How a value is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Everything in its own order.
    #[default]
    Natural,
    /// The entries of records, maps and sets in the order of their encoded keys (RFC 8949, 4.2.1), so that
    /// equal values have equal bytes. Keys that are nodes keep their order, after all others.
    Deterministic,
}

/// The bytes of a value.
pub fn encode(value: &Value, form: Form) -> Bytes {
    let mut writer = Writer {
        value,
        form,
        out: Encoder::new(Vec::new()),
        numbers: shared(value),
        next: 0,
        open: Vec::new(),
    };
    writer.item(value.root());
    while let Some(frame) = writer.open.last_mut() {
        let node = frame.node;
        if frame.place == node.len() {
            writer.open.pop();
            continue;
        }
        let place = frame.next();
        match (node, node.item(place)) {
            (_, Some(item)) => writer.item(item),
            (Node::Record(entries), None) => writer.text(&entries[place / 2].0),
            (_, None) => {}
        }
    }
    writer.out.into_writer().into()
}

struct Writer<'a> {
    value: &'a Value,
    form: Form,
    out: Encoder<Vec<u8>>,
    /// Of each node that is led to more than once: its number, once it has been written.
    numbers: Vec<Sharing>,
    next: u64,
    open: Vec<Frame<'a>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Sharing {
    Unseen,
    Once,
    Shared,
    Written(u64),
}

/// A node of which the items are being written.
struct Frame<'a> {
    node: &'a Node,
    /// How many places are written.
    place: usize,
    /// The order of its entries, if it is not their own.
    order: Option<Vec<u32>>,
}

impl Frame<'_> {
    /// The next place to write.
    fn next(&mut self) -> usize {
        let place = self.place;
        self.place += 1;
        let Some(order) = &self.order else {
            return place;
        };
        match self.node {
            Node::Set(_) => order[place] as usize,
            _ => order[place / 2] as usize * 2 + place % 2,
        }
    }
}

impl<'a> Writer<'a> {
    fn item(&mut self, item: &'a Item) {
        match item {
            Item::Node(slot) => self.node(*slot),
            item => write_plain(&mut self.out, item),
        }
    }

    fn node(&mut self, slot: Slot) {
        let Some(node) = self.value.node(slot) else {
            // A slot of another value: there is nothing.
            return write_plain(&mut self.out, &Item::Null);
        };
        let number = &mut self.numbers[slot.0 as usize];
        match *number {
            Sharing::Written(number) => {
                self.tag(tag::THERE);
                return write_plain(&mut self.out, &Item::Unsigned(number));
            }
            Sharing::Shared => {
                *number = Sharing::Written(self.next);
                self.next += 1;
                self.tag(tag::SHARED);
            }
            Sharing::Unseen | Sharing::Once => {}
        }
        self.begin(node);
    }

    fn begin(&mut self, node: &'a Node) {
        let out = &mut self.out;
        // A vector takes all that is written.
        let _ = match node {
            Node::List(items) => out.array(items.len() as u64),
            Node::Record(entries) => out.map(entries.len() as u64),
            Node::Map(entries) => {
                let _ = out.tag(Tag::new(tag::MAP));
                out.map(entries.len() as u64)
            }
            Node::Set(items) => {
                let _ = out.tag(Tag::new(tag::SET));
                out.array(items.len() as u64)
            }
            Node::Bytes(bytes) => out.bytes(bytes),
            Node::Typed(element, bytes) => {
                let _ = out.tag(Tag::new(element.tag()));
                out.bytes(bytes)
            }
        };
        let order = match self.form {
            Form::Natural => None,
            Form::Deterministic => sorted(node),
        };
        self.open.push(Frame {
            node,
            place: 0,
            order,
        });
    }

    fn text(&mut self, text: &str) {
        let _ = self.out.str(text);
    }

    fn tag(&mut self, tag: u64) {
        let _ = self.out.tag(Tag::new(tag));
    }
}

/// Which nodes are led to more than once.
fn shared(value: &Value) -> Vec<Sharing> {
    let mut sharing = vec![Sharing::Unseen; value.len()];
    let mut open = vec![value.root()];
    while let Some(item) = open.pop() {
        let Item::Node(slot) = item else { continue };
        let (Some(node), Some(seen)) = (value.node(*slot), sharing.get_mut(slot.0 as usize)) else {
            continue;
        };
        if *seen != Sharing::Unseen {
            *seen = Sharing::Shared;
            continue;
        }
        *seen = Sharing::Once;
        open.extend((0..node.len()).filter_map(|place| node.item(place)));
    }
    sharing
}

/// The order of the entries by their encoded keys; `None` where they have none.
fn sorted(node: &Node) -> Option<Vec<u32>> {
    let key = |item: &Item| {
        let mut out = Encoder::new(Vec::new());
        write_plain(&mut out, item);
        // What has no encoding of its own comes last.
        (matches!(item, Item::Node(_)), out.into_writer())
    };
    let keys: Vec<_> = match node {
        Node::Record(entries) => {
            let keys = entries
                .iter()
                .map(|(text, _)| key(&Item::Text(text.clone())));
            keys.collect()
        }
        Node::Map(entries) => entries.iter().map(|(item, _)| key(item)).collect(),
        Node::Set(items) => items.iter().map(key).collect(),
        Node::List(_) | Node::Bytes(_) | Node::Typed(..) => return None,
    };
    let mut order: Vec<_> = (0..keys.len() as u32).collect();
    order.sort_by(|a, b| keys[*a as usize].cmp(&keys[*b as usize]));
    Some(order)
}

/// Writes what has no identity.
fn write_plain(out: &mut Encoder<Vec<u8>>, item: &Item) {
    // A vector takes all that is written.
    let _ = match item {
        Item::Undefined => out.undefined(),
        Item::Null | Item::Node(_) => out.null(),
        Item::Bool(yes) => out.bool(*yes),
        Item::Unsigned(number) => out.u64(*number),
        Item::Negative(number) => write_negative(out, *number),
        Item::Big(big) => write_big(out, big),
        Item::Float(number) => write_float(out, *number),
        Item::Text(text) => out.str(text),
        Item::Date(millis) => {
            let _ = out.tag(Tag::new(tag::DATE));
            let seconds = millis / 1000.0;
            if seconds.fract() == 0.0 && seconds.abs() < 9e15 {
                out.i64(seconds as i64)
            } else {
                write_float(out, seconds)
            }
        }
        Item::Pointer(pointer) => {
            let _ = out.tag(Tag::new(tag::POINTER));
            let _ = out.array(if pointer.future { 3 } else { 2 });
            let _ = out.bytes(pointer.node.as_bytes());
            let written = out.bytes(&pointer.handle);
            if pointer.future {
                out.bool(true)
            } else {
                written
            }
        }
    };
}

type Written<'a> =
    Result<&'a mut Encoder<Vec<u8>>, minicbor::encode::Error<std::convert::Infallible>>;

fn write_negative(out: &mut Encoder<Vec<u8>>, number: u64) -> Written<'_> {
    match i64::try_from(number) {
        Ok(number) => out.i64(-1 - number),
        // Beyond what a machine's integer holds, and within what CBOR's does.
        Err(_) => {
            out.writer_mut().push(0x3b);
            out.writer_mut().extend(number.to_be_bytes());
            Ok(out)
        }
    }
}

fn write_big<'a>(out: &'a mut Encoder<Vec<u8>>, big: &Big) -> Written<'a> {
    let tag = if big.negative {
        tag::BIG_NEGATIVE
    } else {
        tag::BIG
    };
    let _ = out.tag(Tag::new(tag));
    out.bytes(&big.magnitude)
}

/// The shortest float that holds the number.
fn write_float(out: &mut Encoder<Vec<u8>>, number: f64) -> Written<'_> {
    let single = number as f32;
    if number.is_nan() {
        out.writer_mut().extend([0xf9, 0x7e, 0x00]);
        return Ok(out);
    }
    if f64::from(single).to_bits() != number.to_bits() {
        return out.f64(number);
    }
    let half = half::f16::from_f32(single);
    if half.to_f32().to_bits() == single.to_bits() {
        return out.f16(single);
    }
    out.f32(single)
}
