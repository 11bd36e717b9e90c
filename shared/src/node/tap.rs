//! A tap: what a node sends and receives, for its own user to look at while it goes on.

use core::fmt;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::Time;
use crate::id::NodeId;
use crate::limits::{CAPTURED_BYTES_MAX, CAPTURED_MAX};
use crate::link::frame::Packet;
use crate::link::{Frame, LinkId};
use crate::node::handle::Node;

/// What a node sends and receives, from the moment of asking until this is dropped. A reader that is too slow loses
/// the oldest. While there is none, nothing is kept.
#[derive(Debug)]
pub struct Tap {
    node: Node,
    id: u64,
}

/// Something that was sent or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// When.
    pub at: Time,
    /// Which way.
    pub direction: Direction,
    /// What it is.
    pub what: What,
    /// How many bytes it has.
    pub size: usize,
    /// The first of them, at most [`CAPTURED_BYTES_MAX`].
    pub bytes: Bytes,
}

/// Whether something came or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It came.
    In,
    /// It left.
    Out,
}

/// What was sent or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A message of a stream, as its program sent it or has read it.
    Message {
        /// The other node.
        peer: NodeId,
        /// What is spoken on the stream.
        protocol: String,
        /// The stream's number in its session.
        stream: u64,
    },
    /// A datagram.
    Datagram {
        /// The other node.
        peer: NodeId,
        /// What is spoken.
        protocol: String,
    },
    /// A frame of a link. What sessions carry is sealed in it.
    Frame {
        /// Which link.
        link: LinkId,
        /// `record`, `control`, `challenge` or `hello`; `malformed` for what is no frame.
        kind: &'static str,
        /// Its route, or what neighbours tell each other, in words.
        detail: String,
    },
}

impl Direction {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Node {
    /// What it sends and receives from now on.
    pub fn tap(&self) -> Tap {
        let mut inner = self.lock();
        let id = inner.next_serial();
        inner.taps.0.insert(id, Ring::default());
        let node = self.clone();
        Tap { node, id }
    }
}

impl Tap {
    /// What went by since this was asked last, in its order, and how much more did that is lost.
    pub fn take(&self) -> (Vec<Captured>, u64) {
        let mut inner = self.node.lock();
        let ring = inner.taps.0.get_mut(&self.id).map(std::mem::take);
        let ring = ring.unwrap_or_default();
        (ring.captured.into(), ring.missed)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.node.lock().taps.0.remove(&self.id);
    }
}

/// Bytes of the words for what neighbours tell each other.
const DETAIL_BYTES_MAX: usize = 512;

/// The taps of one node, by number.
#[derive(Default)]
pub(super) struct Taps(BTreeMap<u64, Ring>);

/// What waits for one reader.
#[derive(Default)]
struct Ring {
    captured: VecDeque<Captured>,
    missed: u64,
}

impl Taps {
    /// Whether anybody looks.
    pub(super) fn is_open(&self) -> bool {
        !self.0.is_empty()
    }

    /// Notes something, if anybody looks.
    pub(super) fn note(
        &mut self,
        at: Time,
        direction: Direction,
        bytes: &[u8],
        what: impl FnOnce() -> What,
    ) {
        if !self.is_open() {
            return;
        }
        let kept = &bytes[..bytes.len().min(CAPTURED_BYTES_MAX)];
        let captured = Captured {
            at,
            direction,
            what: what(),
            size: bytes.len(),
            // A slice would keep the whole of it, or of the packet that it came in.
            bytes: Bytes::copy_from_slice(kept),
        };
        for ring in self.0.values_mut() {
            if ring.captured.len() >= CAPTURED_MAX {
                ring.captured.pop_front();
                ring.missed += 1;
            }
            ring.captured.push_back(captured.clone());
        }
    }

    /// Notes the frames of a packet, if anybody looks.
    pub(super) fn note_packet(
        &mut self,
        at: Time,
        direction: Direction,
        link: LinkId,
        packet: &Bytes,
    ) {
        if !self.is_open() {
            return;
        }
        for frame in Packet::new(packet.clone()) {
            let (bytes, (kind, detail)) = match frame {
                Ok((frame, raw)) => (raw, in_words(&frame)),
                Err(error) => (packet.clone(), ("malformed", error.to_string())),
            };
            let what = || What::Frame { link, kind, detail };
            self.note(at, direction, &bytes, what);
        }
    }
}

fn in_words(frame: &Frame) -> (&'static str, String) {
    match frame {
        Frame::Record { route, .. } => ("record", format!("route {:08x}", route.0)),
        Frame::Control(control) => {
            let mut words = format!("{control:?}");
            words.truncate(words.floor_char_boundary(DETAIL_BYTES_MAX));
            ("control", words)
        }
        Frame::Challenge { versions, .. } => {
            let (first, last) = versions;
            ("challenge", format!("versions {first} to {last}"))
        }
        Frame::Hello { version, .. } => ("hello", format!("version {version}")),
    }
}
