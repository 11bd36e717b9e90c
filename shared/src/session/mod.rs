//! A session joins two nodes: encrypted end to end, whatever it travels over. [`handshake`] agrees on
//! keys, [`record`] seals what is sent, [`delivery`] numbers it so that everything arrives once and
//! in order across any change of path, [`path`] chooses the way, and [`transport`] joins the four.
//!
//! What travels along a route or a direct link, in a record's frame:
//!
//! ```text
//! kind 1     handshake, first message: version (1 byte), Noise
//! kind 2     handshake, second message: Noise
//! kind 3     notice: code (1 byte); "I cannot read you", unauthenticated
//! kind 4     reliable record: sequence number (varint), ciphertext
//! kind 5     unreliable record: number (varint), ciphertext
//! ```

mod cipher;
pub mod delivery;
pub mod handshake;
pub mod path;
pub mod record;
pub mod transport;

pub use path::{Paths, Via};
pub use transport::Transport;

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::Code;
use crate::wire::{DecodeError, Reader};

const FIRST: u8 = 1;
const SECOND: u8 = 2;
const NOTICE: u8 = 3;
const RELIABLE: u8 = 4;
const UNRELIABLE: u8 = 5;

/// What a route or direct link carries for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The handshake's first message.
    First {
        /// The session version that it speaks.
        version: u8,
        /// The Noise message.
        noise: Bytes,
    },
    /// The handshake's second message.
    Second(Bytes),
    /// The other side has no keys for what it got, or refuses the handshake.
    Notice(Code),
    /// A sealed record.
    Record(record::Sealed),
}

impl Payload {
    /// Reads what came.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let whole = bytes.clone();
        let mut reader = Reader::new(bytes);
        Ok(match reader.u8()? {
            FIRST => Self::First {
                version: reader.u8()?,
                noise: reader.rest(),
            },
            SECOND => Self::Second(reader.rest()),
            NOTICE => Self::Notice(Code::from_number(u64::from(reader.u8()?))),
            kind @ (RELIABLE | UNRELIABLE) => {
                let number = reader.varint()?;
                let body = reader.rest();
                let header = whole.len() - body.len();
                Self::Record(record::Sealed {
                    reliable: kind == RELIABLE,
                    number,
                    whole,
                    header,
                })
            }
            got => {
                let expected = "a session payload of kind 1 to 5";
                return Err(DecodeError::Unexpected {
                    expected,
                    got: u64::from(got),
                });
            }
        })
    }

    /// The bytes of a first message.
    pub fn first(version: u8, noise: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(2 + noise.len());
        out.put_u8(FIRST);
        out.put_u8(version);
        out.put_slice(noise);
        out.freeze()
    }

    /// The bytes of a second message.
    pub fn second(noise: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(1 + noise.len());
        out.put_u8(SECOND);
        out.put_slice(noise);
        out.freeze()
    }

    /// The bytes of a notice.
    pub fn notice(code: Code) -> Bytes {
        Bytes::copy_from_slice(&[NOTICE, code.number()])
    }
}
