//! A value in memory: a graph in one piece. What has an identity, and so may be shared, is a node of it;
//! what has none is an item in its place.

use std::sync::Arc;

use bytes::Bytes;

use crate::id::NodeId;

/// A value: its parts, and where it begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Value {
    pub(super) nodes: Vec<Node>,
    root: Item,
}

/// Where a node is in its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub(super) u32);

impl Slot {
    /// The node at this place of a value.
    pub fn at(place: usize) -> Self {
        Self(u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// Where the node is among all of its value.
    pub fn place(self) -> usize {
        self.0 as usize
    }
}

/// What has no identity, or the place of what has.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Item {
    /// JavaScript's `undefined`: what Rust reads as nothing too.
    Undefined,
    /// Nothing.
    #[default]
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number, zero or more.
    Unsigned(u64),
    /// A whole number below zero: `-1 - n`.
    Negative(u64),
    /// A whole number of any length.
    Big(Arc<Big>),
    /// A number.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// A point in time, in milliseconds since 1970 (UTC).
    Date(f64),
    /// An object at some node, by reference.
    Pointer(Arc<Pointer>),
    /// A node of this value.
    Node(Slot),
}

/// What has an identity.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Items in order.
    List(Vec<Item>),
    /// Items by text: a struct, a plain object.
    Record(Vec<(Arc<str>, Item)>),
    /// Items by any items, in order.
    Map(Vec<(Item, Item)>),
    /// Items, each once.
    Set(Vec<Item>),
    /// Bytes.
    Bytes(Bytes),
    /// Numbers of one kind, little-endian.
    Typed(Element, Bytes),
}

/// The kind of a typed array's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// Bytes that stop at their bounds when set.
    U8Clamped,
    /// 16 bits.
    U16,
    /// 32 bits.
    U32,
    /// 64 bits.
    U64,
    /// 8 bits, signed.
    I8,
    /// 16 bits, signed.
    I16,
    /// 32 bits, signed.
    I32,
    /// 64 bits, signed.
    I64,
    /// Floats of 32 bits.
    F32,
    /// Floats of 64 bits.
    F64,
}

/// A whole number of any length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Big {
    /// Whether it is below zero: then it is `-1 - magnitude`.
    pub negative: bool,
    /// The most significant byte first, without leading zeros.
    pub magnitude: Box<[u8]>,
}

/// An object at a node, as others name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pointer {
    /// The node at which it lives.
    pub node: NodeId,
    /// What that node calls it: not to be guessed.
    pub handle: Handle,
    /// Whether it is a value to come, and no object yet.
    pub future: bool,
}

/// What a node calls one of its objects: random, so that only those can name it who were told.
pub type Handle = [u8; 16];

impl Value {
    /// A value of one item without identity.
    pub fn of(root: Item) -> Self {
        Self {
            nodes: Vec::new(),
            root,
        }
    }

    /// Adds a node, which is part of the value once something leads to it.
    pub fn add(&mut self, node: Node) -> Item {
        let slot = Slot(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(node);
        Item::Node(slot)
    }

    /// Where it begins.
    pub fn root(&self) -> &Item {
        &self.root
    }

    /// Lets it begin elsewhere.
    pub fn set_root(&mut self, root: Item) {
        self.root = root;
    }

    /// A node; `None` for a slot of another value.
    pub fn node(&self, slot: Slot) -> Option<&Node> {
        self.nodes.get(slot.0 as usize)
    }

    /// A node, to be changed.
    pub fn node_mut(&mut self, slot: Slot) -> Option<&mut Node> {
        self.nodes.get_mut(slot.0 as usize)
    }

    /// All its nodes, each at the place of its slot.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it is an item alone.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// About how many bytes of memory it takes.
    pub fn weight(&self) -> usize {
        let node = |node: &Node| {
            let bytes = match node {
                Node::Bytes(bytes) | Node::Typed(_, bytes) => bytes.len(),
                Node::Record(entries) => entries.iter().map(|(key, _)| key.len()).sum(),
                _ => 0,
            };
            let items: usize = node.items().map(Item::weight).sum();
            size_of::<Node>() + bytes + items
        };
        self.root.weight() + self.nodes.iter().map(node).sum::<usize>()
    }

    /// Whether two values are the same graph: equal items in the same places, shared and cyclic alike.
    pub fn is_same_graph(&self, other: &Self) -> bool {
        let mut twins = vec![None; self.nodes.len()];
        let mut taken = vec![false; other.nodes.len()];
        let mut open = vec![(&self.root, &other.root)];
        while let Some((ours, theirs)) = open.pop() {
            let (&Item::Node(a), &Item::Node(b)) = (ours, theirs) else {
                if !ours.is_same(theirs) {
                    return false;
                }
                continue;
            };
            let (a, b) = (a.0 as usize, b.0 as usize);
            let (Some(twin), Some(is_taken)) = (twins.get_mut(a), taken.get_mut(b)) else {
                return false;
            };
            match *twin {
                Some(twin) if twin == b => continue,
                Some(_) => return false,
                None if *is_taken => return false,
                None => (*twin, *is_taken) = (Some(b), true),
            }
            if !pair_up(&self.nodes[a], &other.nodes[b], &mut open) {
                return false;
            }
        }
        true
    }
}

/// What is in two nodes, side by side. Whether they are of the same shape.
fn pair_up<'a>(ours: &'a Node, theirs: &'a Node, open: &mut Vec<(&'a Item, &'a Item)>) -> bool {
    match (ours, theirs) {
        (Node::List(a), Node::List(b)) | (Node::Set(a), Node::Set(b)) => {
            open.extend(a.iter().zip(b));
            a.len() == b.len()
        }
        (Node::Record(a), Node::Record(b)) => {
            open.extend(a.iter().zip(b).map(|((_, a), (_, b))| (a, b)));
            a.len() == b.len() && a.iter().zip(b).all(|((a, _), (b, _))| a == b)
        }
        (Node::Map(a), Node::Map(b)) => {
            let pairs = a.iter().zip(b);
            open.extend(pairs.flat_map(|((ak, av), (bk, bv))| [(ak, bk), (av, bv)]));
            a.len() == b.len()
        }
        (Node::Bytes(_), Node::Bytes(_)) | (Node::Typed(..), Node::Typed(..)) => ours == theirs,
        _ => false,
    }
}

impl Item {
    /// A text.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    fn weight(&self) -> usize {
        let apart = match self {
            Self::Text(text) => text.len(),
            Self::Big(big) => big.magnitude.len(),
            Self::Pointer(_) => size_of::<Pointer>(),
            _ => 0,
        };
        size_of::<Self>() + apart
    }

    /// Equal, where no number is as good as another that is none.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) | (Self::Date(a), Self::Date(b)) => {
                a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
            }
            _ => self == other,
        }
    }
}

impl From<i64> for Item {
    fn from(number: i64) -> Self {
        match u64::try_from(number) {
            Ok(number) => Self::Unsigned(number),
            Err(_) => Self::Negative(!number as u64),
        }
    }
}

impl Node {
    /// A record, if all keys are texts; or else a map.
    pub(super) fn of_entries(entries: Vec<(Item, Item)>) -> Self {
        let is_text = |(key, _): &(Item, Item)| matches!(key, Item::Text(_));
        if !entries.iter().all(is_text) {
            return Self::Map(entries);
        }
        let record = entries.into_iter().filter_map(|(key, item)| match key {
            Item::Text(text) => Some((text, item)),
            _ => None,
        });
        Self::Record(record.collect())
    }

    /// How many things are in it: for a record or a map, keys and items.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::List(items) | Self::Set(items) => items.len(),
            Self::Record(entries) => entries.len() * 2,
            Self::Map(entries) => entries.len() * 2,
            Self::Bytes(_) | Self::Typed(..) => 0,
        }
    }

    /// The items in it, keys included.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        (0..self.len()).filter_map(|place| self.item(place))
    }

    /// The item at a place; `None` for a record's key, or beyond the end.
    pub(super) fn item(&self, place: usize) -> Option<&Item> {
        match self {
            Self::List(items) | Self::Set(items) => items.get(place),
            Self::Record(entries) if place % 2 == 1 => Some(&entries.get(place / 2)?.1),
            Self::Map(entries) => {
                let (key, item) = entries.get(place / 2)?;
                Some(if place.is_multiple_of(2) { key } else { item })
            }
            Self::Record(_) | Self::Bytes(_) | Self::Typed(..) => None,
        }
    }
}

impl Element {
    /// All of them, each with its tag in little-endian order and in the other.
    const TAGS: [(Self, u64, Option<u64>); 10] = [
        (Self::U8Clamped, 68, None),
        (Self::U16, 69, Some(65)),
        (Self::U32, 70, Some(66)),
        (Self::U64, 71, Some(67)),
        (Self::I8, 72, None),
        (Self::I16, 77, Some(73)),
        (Self::I32, 78, Some(74)),
        (Self::I64, 79, Some(75)),
        (Self::F32, 85, Some(81)),
        (Self::F64, 86, Some(82)),
    ];

    /// Its tag (RFC 8746), little-endian.
    pub(super) fn tag(self) -> u64 {
        let entry = Self::TAGS.iter().find(|(element, ..)| *element == self);
        entry.map_or(0, |(_, tag, _)| *tag)
    }

    /// What a tag means, and whether its bytes stand the other way round.
    pub(super) fn of_tag(tag: u64) -> Option<(Self, bool)> {
        Self::TAGS.iter().find_map(|(element, little, big)| {
            (*little == tag)
                .then_some((*element, false))
                .or((*big == Some(tag)).then_some((*element, true)))
        })
    }

    /// Bytes of one number.
    pub fn width(self) -> usize {
        match self {
            Self::U8Clamped | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}
