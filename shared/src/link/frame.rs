//! The format on a link. A packet is one or more frames, so that many small ones share one message of
//! the transport below:
//!
//! ```text
//! packet     frame…
//! frame      length (varint), kind (1 byte), body
//! kind 0     record: route (4 bytes), payload       what relays forward, untouched
//! kind 1     control: CBOR of [`Control`]           between neighbours
//! kind 2     challenge: versions (2 × 2 bytes), CBOR of `hello::Challenge`
//! kind 3     hello: version (2 bytes), CBOR of `hello::Hello`
//! ```
//!
//! The version stands before anything that could change with it.

use bytes::{BufMut, Bytes, BytesMut};
use minicbor::{Decode, Encode};

use crate::error::{Code, Failure};
use crate::id::{Kind, Name, NodeId};
use crate::limits::FRAME_BYTES_MAX;
use crate::link::hello::{Challenge, Hello, Welcome};
use crate::wire::{DecodeError, Reader, from_cbor, put_varint, to_cbor, varint_len};

const RECORD: u8 = 0;
const CONTROL: u8 = 1;
const CHALLENGE: u8 = 2;
const HELLO: u8 = 3;

/// Bytes that a record's frame has besides its payload, at the most.
pub const RECORD_OVERHEAD_BYTES: usize = 3 + 1 + 4;

/// The small number that stands for a route on the links of one relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct RouteHandle(#[n(0)] pub u32);

/// The route of a direct link: there is only one.
pub const DIRECT_ROUTE: RouteHandle = RouteHandle(0);

/// One frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// A record of a session, on its way along a route.
    Record {
        /// Which route.
        route: RouteHandle,
        /// What only the two ends of the session can read.
        payload: Bytes,
    },
    /// Between neighbours.
    Control(Control),
    /// The accepting side's first frame.
    Challenge {
        /// The versions it speaks, from and to.
        versions: (u16, u16),
        /// The rest, if one of these versions is ours.
        body: Bytes,
    },
    /// The calling side's first frame.
    Hello {
        /// The version that it has chosen.
        version: u16,
        /// The rest.
        body: Bytes,
    },
}

/// What neighbours tell each other.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Control {
    /// The hello is accepted.
    #[n(0)]
    Welcome(#[n(0)] Welcome),
    /// The link ends, and why. The last frame on it.
    #[n(1)]
    Refuse(#[n(0)] Failure),
    /// A node is here.
    #[n(2)]
    Join(#[n(0)] Member),
    /// A node is no longer here.
    #[n(3)]
    Leave {
        /// Which node.
        #[n(0)]
        id: NodeId,
        /// `left` or `gone`.
        #[n(1)]
        reason: Code,
    },
    /// Asks who has a name.
    #[n(4)]
    Resolve {
        /// Chosen by the asker.
        #[n(0)]
        request: u32,
        /// The name.
        #[n(1)]
        name: Name,
    },
    /// Answers `Resolve`.
    #[n(5)]
    Resolved {
        /// The asker's number.
        #[n(0)]
        request: u32,
        /// Who has the name, or nobody.
        #[n(1)]
        id: Option<NodeId>,
    },
    /// Opens a route. Every node on the way remembers where it came from and where it went, and passes
    /// the frame on as it is.
    #[n(6)]
    Open {
        /// Its handle, for both directions and on every link. Chosen at random by the opener.
        #[n(0)]
        route: RouteHandle,
        /// Who opens it, as its neighbour vouches; the session proves it.
        #[n(1)]
        from: NodeId,
        /// Where to.
        #[n(2)]
        target: NodeId,
        /// What the target is to get first.
        #[cbor(n(3), with = "minicbor::bytes")]
        payload: Vec<u8>,
    },
    /// A route has ended, or could not be opened, or is to end.
    #[n(7)]
    Closed {
        /// Its handle.
        #[n(0)]
        route: RouteHandle,
        /// Why.
        #[n(1)]
        failure: Failure,
    },
    /// Asks for a sign of life.
    #[n(8)]
    Ping,
    /// Gives it.
    #[n(9)]
    Pong,
    /// The node leaves in good order.
    #[n(10)]
    Bye {
        /// Milliseconds over which those below spread their return, so that not all call at once.
        #[n(0)]
        spread_ms: u32,
    },
    /// A node is linked to the sender and wants to be a member: a question on its way to the primary.
    #[n(11)]
    Admit {
        /// Chosen by the asker.
        #[n(0)]
        request: u32,
        /// Who asks for what.
        #[n(1)]
        applicant: Box<Applicant>,
    },
    /// Answers `Admit`.
    #[n(12)]
    Admitted {
        /// The asker's number.
        #[n(0)]
        request: u32,
        /// The primary's word.
        #[n(1)]
        admission: Admission,
    },
}

/// A node that has said hello to somebody who is not the primary: its own words, so that nobody can apply
/// for another.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Applicant {
    /// What it was asked.
    #[n(0)]
    pub challenge: Challenge,
    /// What it has answered.
    #[n(1)]
    pub hello: Hello,
    /// The name it had, if it was a member before: it asks for that one.
    #[n(2)]
    pub name: Option<Name>,
}

impl Applicant {
    /// The name to ask for, and whether no other will do.
    pub fn wish(&self) -> (Option<Name>, bool) {
        match &self.name {
            Some(name) => (Some(name.clone()), false),
            None => (self.hello.name.clone(), self.hello.insist),
        }
    }
}

/// What the primary says to that.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Admission {
    /// It is a member.
    #[n(0)]
    Granted {
        /// The name that it has.
        #[n(0)]
        name: Name,
        /// Whether everybody is told of it. In a large zone, some are found by asking only.
        #[n(1)]
        listed: bool,
    },
    /// It is not.
    #[n(1)]
    Refused(#[n(0)] Failure),
}

/// A node of the zone, as the relay tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Member {
    /// Who.
    #[n(0)]
    pub id: NodeId,
    /// By what name.
    #[n(1)]
    pub name: Name,
    /// What it is.
    #[n(2)]
    pub kind: Kind,
    /// What it is for, as its operator says: its type.
    #[n(3)]
    pub role: Option<Name>,
}

impl Frame {
    /// The hello of this version.
    pub fn hello(version: u16, hello: &Hello) -> Self {
        Self::Hello {
            version,
            body: to_cbor(hello),
        }
    }

    /// The challenge of one that speaks these versions.
    pub fn challenge(versions: (u16, u16), challenge: &Challenge) -> Self {
        Self::Challenge {
            versions,
            body: to_cbor(challenge),
        }
    }

    /// The frame with its length before it, as it stands in a packet.
    pub fn encode(&self) -> Bytes {
        let mut out;
        match self {
            Self::Record { route, payload } => {
                out = start(RECORD, 4 + payload.len());
                out.put_u32(route.0);
                out.put_slice(payload);
            }
            Self::Control(control) => {
                let body = to_cbor(control);
                out = start(CONTROL, body.len());
                out.put_slice(&body);
            }
            Self::Challenge {
                versions: (from, to),
                body,
            } => {
                out = start(CHALLENGE, 4 + body.len());
                out.put_u16(*from);
                out.put_u16(*to);
                out.put_slice(body);
            }
            Self::Hello { version, body } => {
                out = start(HELLO, 2 + body.len());
                out.put_u16(*version);
                out.put_slice(body);
            }
        }
        out.freeze()
    }

    fn decode(body: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        match reader.u8()? {
            RECORD => Ok(Self::Record {
                route: RouteHandle(reader.u32()?),
                payload: reader.rest(),
            }),
            CONTROL => Ok(Self::Control(from_cbor(&reader.rest(), "a control frame")?)),
            CHALLENGE => Ok(Self::Challenge {
                versions: (reader.u16()?, reader.u16()?),
                body: reader.rest(),
            }),
            HELLO => Ok(Self::Hello {
                version: reader.u16()?,
                body: reader.rest(),
            }),
            got => Err(DecodeError::Unexpected {
                expected: "a frame of kind 0 to 3",
                got: u64::from(got),
            }),
        }
    }
}

fn start(kind: u8, body: usize) -> BytesMut {
    let len = 1 + body;
    let mut out = BytesMut::with_capacity(varint_len(len as u64) + len);
    put_varint(&mut out, len as u64);
    out.put_u8(kind);
    out
}

/// The frames of a packet, one after the other. After an error there are no more.
#[derive(Debug)]
pub struct Packet(Option<Reader>);

/// A frame, and the same with its length as it came: a relay passes that on.
pub type Received = (Frame, Bytes);

impl Packet {
    /// Begins at the first frame.
    pub fn new(bytes: Bytes) -> Self {
        Self(Some(Reader::new(bytes)))
    }

    fn next_frame(&mut self) -> Result<Option<Received>, DecodeError> {
        let Some(reader) = self.0.as_mut().filter(|reader| !reader.is_empty()) else {
            return Ok(None);
        };
        let raw = reader.peek();
        let body = reader.chunk(FRAME_BYTES_MAX)?;
        let raw = raw.slice(..varint_len(body.len() as u64) + body.len());
        Ok(Some((Frame::decode(body)?, raw)))
    }
}

impl Iterator for Packet {
    type Item = Result<Received, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_frame();
        if next.is_err() {
            self.0 = None;
        }
        next.transpose()
    }
}
