//! The sealed conversation of two nodes once they have keys: numbering, acknowledging and sealing in
//! one place. What is in the records is the business of the layers above.
//!
//! ```text
//! reliable, opened      next (varint), missing (varint), stream frames…
//! unreliable, opened    next (varint), missing (varint), kind (1 byte), body
//! kind 0                nothing: an acknowledgement
//! kind 1, 2             ping, pong: id (varint)
//! kind 3                close: code (1 byte), message
//! kind 4                datagram: protocol (length, bytes), body
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use crate::Time;
use crate::error::{Code, Failure};
use crate::limits::PROTOCOL_BYTES_MAX;
use crate::quality::Quality;
use crate::session::delivery::{Ack, Receiver, Seen, Sender};
use crate::session::record::{Keys, NotOurs, Sealed, SessionId};
use crate::stream::Protocol;
use crate::stream::frame::protocol_of;
use crate::wire::{DecodeError, Reader, put_chunk, put_varint};

const ACK: u8 = 0;
const PING: u8 = 1;
const PONG: u8 = 2;
const CLOSE: u8 = 3;
const DATAGRAM: u8 = 4;

/// Bytes of the reason in a close.
const REASON_BYTES_MAX: usize = 1024;

/// One session's keys and numbering.
#[derive(Debug)]
pub struct Transport {
    keys: Keys,
    sender: Sender,
    receiver: Receiver,
    seen: Seen,
    next_unreliable: u64,
}

/// What nodes say to each other without numbering: it may be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// An acknowledgement, and nothing else.
    Ack,
    /// Asks for a pong of the same id.
    Ping(u64),
    /// Answers a ping.
    Pong(u64),
    /// The session ends.
    Close(Failure),
    /// A datagram of this protocol.
    Datagram(Protocol, Bytes),
}

/// What a record held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Stream frames, which now may come out of [`Transport::next_in_order`].
    Reliable,
    /// A remark.
    Remark(Remark),
    /// It was here before.
    Again,
}

/// Why a record counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Sealed with other keys, or changed.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    /// Sealed with our keys, yet not of the form.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

impl Transport {
    /// Begins with keys just agreed on, and keeps about so many bytes until they are acknowledged.
    pub fn new(keys: Keys, bytes_max: usize) -> Self {
        Self {
            keys,
            sender: Sender::new(bytes_max),
            receiver: Receiver::default(),
            seen: Seen::default(),
            next_unreliable: 0,
        }
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.keys.id()
    }

    /// Opens a record.
    pub fn open(&mut self, sealed: &Sealed, now: Time) -> Result<Opened, OpenError> {
        if sealed.reliable && !self.receiver.wants(sealed.number, now) {
            return Ok(Opened::Again);
        }
        let mut reader = Reader::new(self.keys.open(sealed)?);
        if !sealed.reliable && !self.seen.is_new(sealed.number) {
            return Ok(Opened::Again);
        }
        let ack = Ack {
            next: reader.varint()?,
            missing: reader.varint()?,
        };
        self.sender.acknowledge(ack, now);
        if sealed.reliable {
            self.receiver.insert(sealed.number, reader.rest(), now);
            return Ok(Opened::Reliable);
        }
        Ok(Opened::Remark(Remark::decode(reader)?))
    }

    /// The stream frames of the next record in order.
    pub fn next_in_order(&mut self) -> Option<Bytes> {
        self.receiver.pop()
    }

    /// Whether another reliable record may be sent.
    pub fn has_room(&self, urgent: bool) -> bool {
        self.sender.has_room(urgent)
    }

    /// Seals stream frames, and keeps them until they are acknowledged.
    pub fn seal(&mut self, frames: &[u8], now: Time) -> Bytes {
        let plain = self.plain(frames);
        let sealed = self.keys.seal(true, self.sender.next_number(), &plain);
        self.sender.keep(sealed.whole.clone(), now);
        sealed.whole
    }

    /// Seals a remark.
    pub fn seal_remark(&mut self, remark: &Remark) -> Bytes {
        let plain = self.plain(&remark.encode());
        let sealed = self.keys.seal(false, self.next_unreliable, &plain);
        self.next_unreliable += 1;
        sealed.whole
    }

    /// The next record to send again, if any is.
    pub fn resend(&mut self, now: Time) -> Option<Bytes> {
        self.sender.resend(now)
    }

    /// Whether [`Transport::resend`] has something.
    pub fn wants_to_resend(&self) -> bool {
        self.sender.wants_to_resend()
    }

    /// The path was lost: all that is not acknowledged goes again.
    pub fn rewind(&mut self, now: Time) {
        self.sender.rewind(now);
    }

    /// Whether the other side must be told now what is here.
    pub fn owes_ack(&self, now: Time) -> bool {
        self.receiver
            .deadline()
            .is_some_and(|deadline| deadline <= now)
    }

    /// What to do at `now`.
    pub fn handle_time(&mut self, now: Time) {
        self.sender.handle_time(now);
    }

    /// When [`Transport::handle_time`] or an acknowledgement is due.
    pub fn deadline(&self) -> Option<Time> {
        [self.sender.deadline(), self.receiver.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// How long acknowledgements take, and how many records had to be sent again.
    pub fn quality(&self) -> Quality {
        self.sender.quality()
    }

    /// How many reliable records are not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.sender.unacknowledged()
    }

    /// Their bytes.
    pub fn unacknowledged_bytes(&self) -> usize {
        self.sender.unacknowledged_bytes()
    }

    /// Bytes that came before their turn.
    pub fn early_bytes(&self) -> usize {
        self.receiver.early_bytes()
    }

    fn plain(&mut self, body: &[u8]) -> BytesMut {
        let ack = self.receiver.ack();
        self.receiver.told();
        let mut plain = BytesMut::with_capacity(20 + body.len());
        put_varint(&mut plain, ack.next);
        put_varint(&mut plain, ack.missing);
        plain.put_slice(body);
        plain
    }
}

impl Remark {
    /// What stands after the acknowledgement in an unreliable record.
    pub fn encode(&self) -> BytesMut {
        let mut out = BytesMut::new();
        match self {
            Self::Ack => out.put_u8(ACK),
            Self::Ping(id) => {
                out.put_u8(PING);
                put_varint(&mut out, *id);
            }
            Self::Pong(id) => {
                out.put_u8(PONG);
                put_varint(&mut out, *id);
            }
            Self::Close(failure) => {
                out.put_u8(CLOSE);
                out.put_u8(failure.code.number());
                let reason = failure.message.as_bytes();
                put_chunk(&mut out, &reason[..reason.len().min(REASON_BYTES_MAX)]);
            }
            Self::Datagram(protocol, body) => {
                out.put_u8(DATAGRAM);
                put_chunk(&mut out, protocol.as_bytes());
                out.put_slice(body);
            }
        }
        out
    }

    /// Reads that.
    pub fn decode(mut reader: Reader) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            ACK => Self::Ack,
            PING => Self::Ping(reader.varint()?),
            PONG => Self::Pong(reader.varint()?),
            CLOSE => {
                let code = Code::from_number(u64::from(reader.u8()?));
                let reason = reader.chunk(REASON_BYTES_MAX)?;
                Self::Close(code.because(String::from_utf8_lossy(&reason)))
            }
            DATAGRAM => {
                let protocol = protocol_of(&reader.chunk(PROTOCOL_BYTES_MAX)?)?;
                Self::Datagram(protocol, reader.rest())
            }
            got => {
                let expected = "a remark of kind 0 to 4";
                return Err(DecodeError::Unexpected {
                    expected,
                    got: u64::from(got),
                });
            }
        })
    }
}
