//! The messages of the protocol: each is a sequence of parts in CBOR (RFC 8742), as many as were at hand.

use bytes::Bytes;
use minicbor::bytes::ByteSlice;
use minicbor::{Decode, Encode};

use crate::wire::DecodeError;

/// One part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Part<'b> {
    /// How a request begins.
    #[n(0)]
    Request {
        #[b(0)]
        method: &'b str,
        /// Path and query, or `*`.
        #[b(1)]
        target: &'b str,
        #[b(2)]
        fields: Fields<'b>,
    },
    /// How a response begins.
    #[n(1)]
    Response {
        #[n(0)]
        status: u16,
        #[b(1)]
        fields: Fields<'b>,
    },
    /// A piece of the body.
    #[n(2)]
    Data(#[b(0)] &'b ByteSlice),
    /// The body is whole; trailers.
    #[n(3)]
    End(#[b(0)] Fields<'b>),
    /// The request's body is wanted, of a request that expects to be told so.
    #[n(4)]
    Continue,
    /// The rest of the request's body is not wanted.
    #[n(5)]
    Stop,
}

/// Header fields: names, and values of any bytes but those that would end them.
pub(super) type Fields<'b> = Vec<(&'b str, &'b ByteSlice)>;

/// Writes a part behind others.
pub(super) fn put(message: &mut Vec<u8>, part: &Part<'_>) {
    // A vector takes everything.
    let written = minicbor::encode(part, message);
    debug_assert!(written.is_ok());
}

/// The first part of a message, and how many bytes it takes.
pub(super) fn take(message: &Bytes) -> Result<(Part<'_>, usize), DecodeError> {
    let mut decoder = minicbor::Decoder::new(message);
    match decoder.decode() {
        Ok(part) => Ok((part, decoder.position())),
        Err(error) => Err(DecodeError::Cbor {
            expected: "a part of an HTTP exchange",
            reason: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// Other implementations read these bytes.
    #[test]
    fn parts_have_their_form() {
        let fields = || -> Fields<'_> { vec![("a", (&b"\xffb"[..]).into())] };
        let request = Part::Request {
            method: "GET",
            target: "/x?y",
            fields: fields(),
        };
        let response = Part::Response {
            status: 404,
            fields: Vec::new(),
        };
        for (part, hex) in [
            (request, "82008363474554642f783f79818261614 2ff62"),
            (response, "8201821 9019480"),
            (Part::Data((&b"hi"[..]).into()), "820281426869"),
            (Part::End(fields()), "82038181826161 42ff62"),
            (Part::Continue, "820480"),
            (Part::Stop, "820580"),
        ] {
            let mut message = Vec::new();
            put(&mut message, &part);
            assert_eq!(HEXLOWER.encode(&message), hex.replace(' ', ""), "{part:?}");
            let length = message.len();
            put(&mut message, &Part::Stop);
            assert_eq!(take(&message.into()), Ok((part, length)));
        }
    }

    #[test]
    fn what_is_no_part_is_an_error() {
        for hex in [
            "",
            "00",
            "8206",
            "820680",
            "82028141",
            "820081634745",
            "8203818182616161",
        ] {
            let bytes: Bytes = HEXLOWER.decode(hex.as_bytes()).unwrap().into();
            assert!(take(&bytes).is_err(), "{hex}");
        }
    }
}
