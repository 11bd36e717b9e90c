//! What a node tells its program.

use core::fmt;

use bytes::Bytes;

use crate::Time;
use crate::error::Failure;
use crate::id::{Kind, Name, NodeId};
use crate::node::connection::ConnectionEvent;
use crate::quality::Quality;
use crate::stream::{Protocol, StreamId};

/// Another node, as this one knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who.
    pub id: NodeId,
    /// By what name.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
    /// What it is for, as its operator says: its type.
    pub role: Option<Name>,
    /// How what is said to it would travel.
    pub path: PathKind,
    /// How good the session with it is.
    pub quality: Quality,
}

/// Whether a relay is on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// Over a link of the two nodes themselves, one of which may be a relay.
    Direct,
    /// Through a relay, which cannot read it.
    Relayed,
}

impl PathKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relayed => "relayed",
        }
    }
}

impl fmt::Display for PathKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the node stands with its relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The first link is being made.
    Connecting,
    /// Linked, and named.
    Online(Name),
    /// Not linked, and trying. Sessions over direct links go on.
    Offline,
    /// The relay said no for good.
    Refused(Failure),
    /// The node has left.
    Closed,
}

impl State {
    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Online(_) => "online",
            Self::Offline => "offline",
            Self::Refused(_) => "refused",
            Self::Closed => "closed",
        }
    }
}

/// Which stream, of which session. A session that begins anew has another serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    /// The other node.
    pub peer: NodeId,
    /// Which session with it.
    pub session: u64,
    /// Which stream of the session.
    pub stream: StreamId,
}

/// The answer to a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// There and back.
    pub rtt: Time,
    /// The way that the answer was for.
    pub path: PathKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// How the node stands with its relay has changed.
    State(State),
    /// A node is here, or is here again under another name.
    PeerJoin(Peer),
    /// A node is no longer here.
    PeerLeave(Peer, Failure),
    /// A link has come to be, has ended, or did not come to be.
    Connection(Box<ConnectionEvent>),
    /// What is said to this node now travels another way.
    PathChange(Peer),
    /// A session with this node is agreed on.
    SessionUp(NodeId),
    /// A session has ended, with everything on it.
    SessionDown(NodeId, Failure),
    /// The other node has opened a stream.
    Incoming(StreamKey, Protocol),
    /// A stream has something to read.
    Readable(StreamKey),
    /// A datagram came.
    Datagram(NodeId, Protocol, Bytes),
    /// The other node reads a stream more slowly than this one writes: `send` waits for it. Told once,
    /// until there is room again.
    Slow(StreamKey),
    /// A stream has room again.
    Writable(StreamKey),
    /// The answer to [`Machine::resolve`](super::Machine::resolve).
    Resolved(u32, Result<NodeId, Failure>),
    /// The answer to [`Machine::ping`](super::Machine::ping).
    Pong(u64, Result<Pong, Failure>),
}
