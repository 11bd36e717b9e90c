//! The messages of the protocol, in CBOR.

use minicbor::{Decode, Encode};

use crate::error::{Code, Failure};
use crate::limits::SDP_BYTES_MAX;
use crate::wire::{from_cbor, to_cbor};

/// What one side tells the other.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Signal {
    /// A session description (RFC 8866) that asks.
    #[n(0)]
    Offer(#[n(0)] String),
    /// A session description that answers.
    #[n(1)]
    Answer(#[n(0)] String),
    /// An ICE candidate (RFC 8839).
    #[n(2)]
    Candidate {
        /// The candidate line.
        #[n(0)]
        candidate: String,
        /// Which part of the description it belongs to.
        #[n(1)]
        mid: Option<String>,
    },
}

impl Signal {
    /// Its bytes.
    pub fn encode(&self) -> bytes::Bytes {
        to_cbor(self)
    }

    /// Reads what came.
    ///
    /// # Errors
    /// `bad-message`, or `too-large` for a description beyond its limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        if bytes.len() > SDP_BYTES_MAX {
            return Err(Code::TooLarge.because(format!(
                "expected a signal of at most {SDP_BYTES_MAX} bytes, got {}",
                bytes.len()
            )));
        }
        Ok(from_cbor(bytes, "a signal")?)
    }
}
