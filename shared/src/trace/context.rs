//! Where in a trace something belongs: the W3C's Trace Context, level 1.

use core::fmt;
use core::str::FromStr;

use data_encoding::HEXLOWER;
use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};
use minicbor::{Decode, Encode};

/// The flag that says that the trace is kept.
const SAMPLED: u8 = 1;
/// Bytes of a context among nodes: the trace's id, the span's, the flags.
const BYTES: usize = 25;
/// Characters of a `traceparent` of version 00; a later one may have more.
const CHARS: usize = 55;

/// Which trace, and below which span of it. Its text is a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

/// That something is no context: the text or the bytes have another form, or an id is nought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a traceparent: version, trace id, span id and flags, in hexadecimal")]
pub struct ContextError;

impl Context {
    /// A span of a trace.
    ///
    /// # Errors
    /// If one of the ids is nought, which none is.
    pub fn new(trace: [u8; 16], span: [u8; 8], is_sampled: bool) -> Result<Self, ContextError> {
        let flags = u8::from(is_sampled) * SAMPLED;
        Self { trace, span, flags }.checked()
    }

    /// The trace's id.
    pub fn trace(&self) -> [u8; 16] {
        self.trace
    }

    /// The span's id.
    pub fn span(&self) -> [u8; 8] {
        self.span
    }

    /// Whether the trace is kept.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Another span of the same trace.
    pub(super) fn with_span(self, span: [u8; 8]) -> Result<Self, ContextError> {
        Self { span, ..self }.checked()
    }

    fn checked(self) -> Result<Self, ContextError> {
        let is_one = self.trace != [0; 16] && self.span != [0; 8];
        is_one.then_some(self).ok_or(ContextError)
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (HEXLOWER.encode(&self.trace), HEXLOWER.encode(&self.span));
        write!(f, "00-{trace}-{span}-{:02x}", self.flags)
    }
}

impl FromStr for Context {
    type Err = ContextError;

    fn from_str(text: &str) -> Result<Self, ContextError> {
        let head = text.as_bytes().get(..CHARS).ok_or(ContextError)?;
        let rest = &text.as_bytes()[CHARS..];
        let [version] = hex(&head[..2])?;
        let is_known = match version {
            0 => rest.is_empty(),
            0xff => false,
            // What a later version has more comes behind a hyphen.
            _ => rest.first().is_none_or(|next| *next == b'-'),
        };
        let hyphens = [head[2], head[35], head[52]];
        if !is_known || hyphens != [b'-'; 3] {
            return Err(ContextError);
        }
        let [flags] = hex(&head[53..])?;
        let (trace, span) = (hex(&head[3..35])?, hex(&head[36..52])?);
        Self { trace, span, flags }.checked()
    }
}

/// Reads bytes in hexadecimal, of which the standard takes no capitals.
fn hex<const N: usize>(digits: &[u8]) -> Result<[u8; N], ContextError> {
    let bytes = HEXLOWER.decode(digits).ok();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(ContextError)
}

impl<C> Encode<C> for Context {
    fn encode<W: Write>(
        &self,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        let mut bytes = [0; BYTES];
        bytes[..16].copy_from_slice(&self.trace);
        bytes[16..24].copy_from_slice(&self.span);
        bytes[24] = self.flags;
        to.bytes(&bytes)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Context {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let wrong = || DecodeError::message("expected the 25 bytes of a trace's context");
        let bytes: [u8; BYTES] = from.bytes()?.try_into().map_err(|_| wrong())?;
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&bytes[..16]);
        span.copy_from_slice(&bytes[16..24]);
        let flags = bytes[24];
        Self { trace, span, flags }.checked().map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_standards_examples_are_read_and_written() {
        let context: Context = EXAMPLE.parse().unwrap();
        assert!(context.is_sampled());
        assert_eq!(context.trace()[..2], [0x4b, 0xf9]);
        assert_eq!(context.span()[6..], [0x02, 0xb7]);
        assert_eq!(context.to_string(), EXAMPLE);
        let unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let context: Context = unsampled.parse().unwrap();
        assert!(!context.is_sampled());
        assert_eq!(context.to_string(), unsampled);
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let of = |text: String| text.parse::<Context>();
        let known = of(EXAMPLE.into()).unwrap();
        assert_eq!(of(EXAMPLE.replacen("00", "cc", 1)), Ok(known));
        let more = format!("{}-what-comes", EXAMPLE.replacen("00", "cc", 1));
        assert_eq!(of(more), Ok(known));
        let glued = format!("{}x", EXAMPLE.replacen("00", "cc", 1));
        assert_eq!(of(glued), Err(ContextError));
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for wrong in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e47ä-00f067aa0ba902b7-01ä",
        ] {
            assert_eq!(wrong.parse::<Context>(), Err(ContextError), "{wrong}");
        }
    }

    #[test]
    fn among_nodes_a_context_is_25_bytes_and_nothing_else() {
        let context: Context = EXAMPLE.parse().unwrap();
        let bytes = minicbor::to_vec(context).unwrap();
        assert_eq!(bytes.len(), 2 + BYTES);
        assert_eq!(minicbor::decode::<Context>(&bytes).unwrap(), context);
        for wrong in [
            minicbor::to_vec(minicbor::bytes::ByteArray::from([0; BYTES])).unwrap(),
            bytes[..20].into(),
        ] {
            assert!(minicbor::decode::<Context>(&wrong).is_err());
        }
    }
}
