//! What goes in and out of a host.

use crate::Time;
use crate::limits::PACKET_COST;
use bytes::Bytes;
use std::net::SocketAddr;

/// A connection of a host. It is never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub(crate) u64);

impl PeerId {
    /// Bits that say where the host keeps it; those above count.
    const PLACE_BITS: u32 = 17;

    pub(crate) fn new(serial: u64, place: usize) -> Self {
        Self(serial << Self::PLACE_BITS | place as u64)
    }

    pub(crate) fn place(self) -> usize {
        (self.0 & ((1 << Self::PLACE_BITS) - 1)) as usize
    }
}

impl std::fmt::Display for PeerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How a packet travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It arrives once, after the reliable packets before it on its channel.
    Reliable,
    /// It arrives once or never, and not after a later one of its channel. One that is too long for
    /// a datagram travels like a reliable one.
    Unreliable,
    /// It arrives once or never, whenever it comes. One that is too long for a datagram travels
    /// like a reliable one.
    Unsequenced,
    /// Like unreliable, and so are its fragments, if it is too long for a datagram: if one is lost
    /// the packet is.
    UnreliableFragment,
}

/// A packet with the way it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// What is carried.
    pub bytes: Bytes,
    /// How.
    pub kind: Kind,
}

impl Packet {
    /// What it counts where packets wait, by the memory that it takes.
    pub fn cost(&self) -> usize {
        self.bytes.len() + PACKET_COST
    }

    /// A packet that arrives.
    pub fn reliable(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            bytes,
            kind: Kind::Reliable,
        }
    }

    /// A packet that arrives if nothing goes wrong.
    pub fn unreliable(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            bytes,
            kind: Kind::Unreliable,
        }
    }
}

/// What happened. Each peer that `connect` returned, or that `Connected` told of, ends by one
/// `Disconnected`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A connection is there.
    Connected {
        /// Which.
        peer: PeerId,
        /// With whom.
        address: SocketAddr,
        /// Whether the other side asked for it.
        incoming: bool,
        /// How many channels it has.
        channels: u8,
        /// What who asked for it said; 0 if that was us.
        data: u32,
    },
    /// A packet has come. It counts until it is [taken](crate::Host::taken).
    Received {
        /// From whom.
        peer: PeerId,
        /// On which channel.
        channel: u8,
        /// What, and how it travelled.
        packet: Packet,
    },
    /// A connection is no more, or has not come about.
    Disconnected {
        /// Which.
        peer: PeerId,
        /// What the other side said about it; 0 if it said nothing.
        data: u32,
        /// Why.
        reason: Reason,
    },
    /// A peer that was [asked](crate::Host::ask) has answered: it is there.
    Answered {
        /// Which.
        peer: PeerId,
    },
    /// There is room again for what leaves to a peer, after there was little or none.
    Writable {
        /// Which.
        peer: PeerId,
    },
}

/// Why a connection is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// We asked for it.
    Asked,
    /// The other side did.
    ByPeer,
    /// It no longer answers, or never did.
    TimedOut,
    /// It did not want to be connected to.
    Refused,
    /// It answered our request as no ENet does.
    Protocol,
    /// It kept more waiting than any other, and there was no room left for the others.
    Crowded,
}

/// Whether more can be sent to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Go on.
    Free,
    /// It was taken, but much waits: better wait for [`Event::Writable`].
    Busy,
}

/// How a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// The mean time of a round trip.
    pub rtt: Time,
    /// How much that varies.
    pub rtt_variance: Time,
    /// How many of 32 unreliable packets are sent; the others are dropped, since the way is slow.
    pub throttle: u8,
    /// Reliable packets or fragments of 65,536 that had to be sent again, in the last while.
    pub loss: u32,
    /// Bytes of datagrams.
    pub bytes_sent: u64,
    /// Bytes of datagrams.
    pub bytes_received: u64,
    /// What waits to leave or to be acknowledged, by the memory that it takes.
    pub queued_bytes: usize,
    /// What came and waits to be complete, in its order, or taken.
    pub waiting_bytes: usize,
    /// Bytes of a datagram.
    pub mtu: u16,
    /// Bytes that may be under way.
    pub window: u32,
}
