//! What every format of the wire is made of: variable-length integers, byte readers, CBOR.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes that are not what the format asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes ended too early.
    #[error("truncated: expected {expected} more bytes, got {got}")]
    Truncated {
        /// How many bytes were needed.
        expected: usize,
        /// How many there were.
        got: usize,
    },
    /// A length is beyond its limit.
    #[error("too large: expected at most {max} bytes, got {got}")]
    TooLarge {
        /// The limit.
        max: usize,
        /// What came.
        got: u64,
    },
    /// A kind, flag or number that the format does not know.
    #[error("expected {expected}, got {got}")]
    Unexpected {
        /// What the format asks for.
        expected: &'static str,
        /// What came.
        got: u64,
    },
    /// A CBOR item of another shape.
    #[error("expected {expected}: {reason}")]
    Cbor {
        /// What the format asks for.
        expected: &'static str,
        /// What the decoder says.
        reason: String,
    },
}

/// Writes `value` as LEB128: seven bits a byte, the least significant first.
pub fn put_varint(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// How many bytes [`put_varint`] writes.
pub const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Takes fields off the front of `Bytes`, without copying.
#[derive(Debug)]
pub struct Reader(Bytes);

impl Reader {
    /// Starts at the front of `bytes`.
    pub fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        if self.0.len() < len {
            return Err(DecodeError::Truncated {
                expected: len,
                got: self.0.len(),
            });
        }
        Ok(self.0.split_to(len))
    }

    /// Takes one byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_be_bytes)
    }

    /// Takes two bytes, the most significant first.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes four bytes, the most significant first.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a few bytes by their value: one more hold on all of them would cost more than they do.
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some(front) = self.0.first_chunk().copied() else {
            return Err(DecodeError::Truncated {
                expected: N,
                got: self.0.len(),
            });
        };
        self.0.advance(N);
        Ok(front)
    }

    /// Takes what [`put_varint`] wrote.
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                // Only the shortest form counts, so that every value has one encoding.
                let shortest = byte != 0 || shift == 0;
                return shortest.then_some(value).ok_or(DecodeError::Unexpected {
                    expected: "the shortest form of an integer",
                    got: value,
                });
            }
        }
        Err(DecodeError::Unexpected {
            expected: "an integer of 64 bits",
            got: value,
        })
    }

    /// Takes a length and as many bytes, `max` at the most.
    pub fn chunk(&mut self, max: usize) -> Result<Bytes, DecodeError> {
        let len = self.varint()?;
        if len > max as u64 {
            return Err(DecodeError::TooLarge { max, got: len });
        }
        self.bytes(len as usize)
    }

    /// All that is left, without taking it.
    pub fn peek(&self) -> Bytes {
        self.0.clone()
    }

    /// Takes all that is left.
    pub fn rest(self) -> Bytes {
        self.0
    }
}

/// Writes `value` as CBOR (RFC 8949).
pub fn to_cbor<T: minicbor::Encode<()>>(value: &T) -> Bytes {
    let mut out = Vec::with_capacity(64);
    // A vector takes everything, so only a broken `Encode` could fail; it would write too little,
    // which the other side refuses.
    let written = minicbor::encode(value, &mut out);
    debug_assert!(written.is_ok());
    Bytes::from(out)
}

/// A message of a head and the value that follows it.
pub(crate) fn message<T: minicbor::Encode<()>>(head: &T, value: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(128 + value.len());
    // A vector takes everything.
    let written = minicbor::encode(head, &mut out);
    debug_assert!(written.is_ok());
    out.extend_from_slice(value);
    out.into()
}

/// The head of a message, and the bytes behind it; `expected` names it in the error.
pub(crate) fn head<'b, T: minicbor::Decode<'b, ()>>(
    message: &'b Bytes,
    expected: &'static str,
) -> Result<(T, Bytes), DecodeError> {
    let mut decoder = minicbor::Decoder::new(message);
    match decoder.decode() {
        Ok(head) => Ok((head, message.slice(decoder.position()..))),
        Err(error) => Err(DecodeError::Cbor {
            expected,
            reason: error.to_string(),
        }),
    }
}

/// Reads a whole CBOR item; `expected` names it in the error.
pub fn from_cbor<'b, T: minicbor::Decode<'b, ()>>(
    bytes: &'b [u8],
    expected: &'static str,
) -> Result<T, DecodeError> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().map_err(|e| DecodeError::Cbor {
        expected,
        reason: e.to_string(),
    })?;
    match bytes.len() - decoder.position() {
        0 => Ok(value),
        got => Err(DecodeError::Cbor {
            expected,
            reason: format!("{got} bytes too many"),
        }),
    }
}

/// Appends a length and the bytes.
pub fn put_chunk(out: &mut BytesMut, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.put_slice(bytes);
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_varint_of_every_length_comes_back() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut out = BytesMut::new();
                put_varint(&mut out, value);
                assert_eq!(out.len(), varint_len(value));
                assert_eq!(Reader::new(out.freeze()).varint(), Ok(value));
            }
        }
    }

    #[test]
    fn a_varint_past_64_bits_is_refused() {
        let eleven = Bytes::from_static(&[0xff; 11]);
        assert!(Reader::new(eleven).varint().is_err());
        let overflow =
            Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]);
        assert!(Reader::new(overflow).varint().is_err());
    }

    #[test]
    fn a_chunk_longer_than_its_limit_is_refused_before_it_is_read() {
        let mut out = BytesMut::new();
        put_varint(&mut out, 1 << 40);
        let error = Reader::new(out.freeze()).chunk(100);
        assert_eq!(
            error,
            Err(DecodeError::TooLarge {
                max: 100,
                got: 1 << 40
            })
        );
    }

    #[test]
    fn a_truncated_field_says_what_was_missing() {
        let error = Reader::new(Bytes::from_static(&[1, 2])).u32();
        assert_eq!(
            error,
            Err(DecodeError::Truncated {
                expected: 4,
                got: 2
            })
        );
    }

    #[test]
    fn trailing_bytes_after_a_cbor_item_are_refused() {
        assert_eq!(from_cbor::<u8>(&[7], "a number"), Ok(7));
        assert!(from_cbor::<u8>(&[7, 7], "a number").is_err());
    }
}
