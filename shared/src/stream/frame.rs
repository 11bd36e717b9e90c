//! What a session's reliable records hold:
//!
//! ```text
//! frame      stream (varint), kind (1 byte), body
//! kind 0     open: protocol (length, bytes)
//! kind 1     data: the last or only fragment of a message (length, bytes)
//! kind 2     data: a fragment with more to come (length, bytes)
//! kind 3     finish: no more messages in this direction
//! kind 4     reset: both directions end; code (1 byte), reason (length, bytes)
//! kind 5     credit: bytes that may have been sent in all (varint)
//! kind 6     offer: opens as well; how many protocols (1 byte), each (length, bytes), the best first
//! kind 7     choice: the place of one of those, counted from zero (1 byte)
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{Code, Failure};
use crate::limits::{FRAGMENT_BYTES_MAX, OFFERED_PROTOCOLS_MAX, PROTOCOL_BYTES_MAX};
use crate::stream::{Protocol, StreamId};
use crate::wire::{DecodeError, Reader, put_chunk, put_varint};

const OPEN: u8 = 0;
const DATA: u8 = 1;
const DATA_MORE: u8 = 2;
const FINISH: u8 = 3;
const RESET: u8 = 4;
const CREDIT: u8 = 5;
const OFFER: u8 = 6;
const CHOICE: u8 = 7;

const REASON_BYTES_MAX: usize = 1024;
/// Bytes that a data frame has besides its fragment, at the most.
pub const DATA_OVERHEAD_BYTES: usize = 10 + 1 + 3;

/// One stream frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamFrame {
    /// A new stream of this protocol.
    Open(Protocol),
    /// A fragment; `last` if it ends a message.
    Data {
        /// The bytes.
        fragment: Bytes,
        /// Whether the message is whole with it.
        last: bool,
    },
    /// No more messages in this direction.
    Finish,
    /// Both directions end.
    Reset(Failure),
    /// The sum of bytes that the other side may have sent.
    Credit(u64),
    /// A new stream of the first of these protocols that the other side speaks.
    Offer(Vec<Protocol>),
    /// Which of them that is, by its place.
    Choice(u8),
}

impl StreamFrame {
    /// Appends the frame.
    pub fn encode(&self, stream: StreamId, out: &mut BytesMut) {
        put_varint(out, stream.0);
        match self {
            Self::Open(protocol) => {
                out.put_u8(OPEN);
                put_chunk(out, protocol.as_bytes());
            }
            Self::Data { fragment, last } => {
                out.put_u8(if *last { DATA } else { DATA_MORE });
                put_chunk(out, fragment);
            }
            Self::Finish => out.put_u8(FINISH),
            Self::Reset(failure) => {
                out.put_u8(RESET);
                out.put_u8(failure.code.number());
                let reason = failure.message.as_bytes();
                put_chunk(out, &reason[..reason.len().min(REASON_BYTES_MAX)]);
            }
            Self::Credit(sum) => {
                out.put_u8(CREDIT);
                put_varint(out, *sum);
            }
            Self::Offer(protocols) => {
                let protocols = &protocols[..protocols.len().min(OFFERED_PROTOCOLS_MAX)];
                out.put_u8(OFFER);
                out.put_u8(protocols.len() as u8);
                for protocol in protocols {
                    put_chunk(out, protocol.as_bytes());
                }
            }
            Self::Choice(place) => {
                out.put_u8(CHOICE);
                out.put_u8(*place);
            }
        }
    }

    /// Takes the next frame.
    pub fn decode(reader: &mut Reader) -> Result<(StreamId, Self), DecodeError> {
        let stream = StreamId(reader.varint()?);
        let frame = match reader.u8()? {
            OPEN => Self::Open(protocol_of(&reader.chunk(PROTOCOL_BYTES_MAX)?)?),
            kind @ (DATA | DATA_MORE) => Self::Data {
                fragment: reader.chunk(FRAGMENT_BYTES_MAX)?,
                last: kind == DATA,
            },
            FINISH => Self::Finish,
            RESET => {
                let code = Code::from_number(u64::from(reader.u8()?));
                let reason = reader.chunk(REASON_BYTES_MAX)?;
                Self::Reset(code.because(String::from_utf8_lossy(&reason)))
            }
            CREDIT => Self::Credit(reader.varint()?),
            OFFER => Self::Offer(offered(reader)?),
            CHOICE => Self::Choice(reader.u8()?),
            got => return Err(unexpected("a stream frame of kind 0 to 7", got)),
        };
        Ok((stream, frame))
    }
}

fn offered(reader: &mut Reader) -> Result<Vec<Protocol>, DecodeError> {
    let count = reader.u8()?;
    if !(1..=OFFERED_PROTOCOLS_MAX).contains(&usize::from(count)) {
        return Err(unexpected("an offer of 1 to 8 protocols", count));
    }
    (0..count)
        .map(|_| protocol_of(&reader.chunk(PROTOCOL_BYTES_MAX)?))
        .collect()
}

fn unexpected(expected: &'static str, got: u8) -> DecodeError {
    DecodeError::Unexpected {
        expected,
        got: u64::from(got),
    }
}

/// The protocol id that these bytes are.
pub(crate) fn protocol_of(bytes: &[u8]) -> Result<Protocol, DecodeError> {
    String::from_utf8(bytes.to_vec()).map_err(|e| DecodeError::Cbor {
        expected: "a protocol id in UTF-8",
        reason: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn every_frame_comes_back() {
        let frames = [
            StreamFrame::Open("acme/robot/2".into()),
            StreamFrame::Data {
                fragment: Bytes::from_static(b"abc"),
                last: true,
            },
            StreamFrame::Data {
                fragment: Bytes::new(),
                last: false,
            },
            StreamFrame::Finish,
            StreamFrame::Reset(Code::Cancelled.because("enough")),
            StreamFrame::Credit(1 << 40),
            StreamFrame::Offer(vec!["acme/robot/2".into(), "acme/robot/1".into()]),
            StreamFrame::Choice(1),
        ];
        let mut out = BytesMut::new();
        for (n, frame) in frames.iter().enumerate() {
            frame.encode(StreamId(n as u64 * 1000), &mut out);
        }
        let mut reader = Reader::new(out.freeze());
        for (n, frame) in frames.iter().enumerate() {
            let got = StreamFrame::decode(&mut reader).unwrap();
            assert_eq!(got, (StreamId(n as u64 * 1000), frame.clone()));
        }
        assert!(reader.is_empty());
    }

    #[test]
    fn every_truncation_is_an_error() {
        let frames = [
            StreamFrame::Reset(Code::Gone.because("reason")),
            StreamFrame::Offer(vec!["acme/robot/2".into(), "acme/robot/1".into()]),
            StreamFrame::Choice(1),
        ];
        for frame in frames {
            let mut out = BytesMut::new();
            frame.encode(StreamId(300), &mut out);
            let whole = out.freeze();
            for len in 0..whole.len() {
                let cut = StreamFrame::decode(&mut Reader::new(whole.slice(..len)));
                assert!(cut.is_err(), "{frame:?}: {len}");
            }
        }
    }

    #[test]
    fn an_offer_of_none_or_of_too_many_is_refused() {
        for count in [0, OFFERED_PROTOCOLS_MAX as u8 + 1, u8::MAX] {
            let mut bytes = vec![0, OFFER, count];
            bytes.extend([1, b'x'].repeat(usize::from(count)));
            let refused = StreamFrame::decode(&mut Reader::new(bytes.into()));
            assert_eq!(
                refused,
                Err(unexpected("an offer of 1 to 8 protocols", count))
            );
        }
    }
}
