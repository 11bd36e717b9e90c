//! The message of the protocol, in CBOR.

use core::net::SocketAddr;

use minicbor::{Decode, Encode};

use crate::error::{Code, Failure};
use crate::limits::{
    ICE_NAME_BYTES_MAX, ICE_PASSWORD_BYTES_MAX, INVITATION_BYTES_MAX, PUNCH_PLACES_MAX,
};
use crate::wire::{from_cbor, to_cbor};

/// Where a node may be reached, and by which secrets it is known there.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Invitation {
    /// Its name in the checks (RFC 8445, `ice-ufrag`).
    #[n(0)]
    pub name: String,
    /// What the checks are signed with (RFC 8445, `ice-pwd`).
    #[n(1)]
    pub password: String,
    /// What a caller says first.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub token: [u8; 16],
    /// The addresses.
    #[n(3)]
    pub places: Vec<Place>,
}

/// An address at which a node may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address, and the UDP port.
    pub address: SocketAddr,
    /// Whether it is what a router makes of the node's own.
    pub is_mapped: bool,
}

impl Invitation {
    /// Its bytes.
    pub fn encode(&self) -> bytes::Bytes {
        to_cbor(self)
    }

    /// Reads what came.
    ///
    /// # Errors
    /// `bad-message`, or `too-large` beyond its limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        if bytes.len() > INVITATION_BYTES_MAX {
            return Err(Code::TooLarge.because(format!(
                "expected an invitation of at most {INVITATION_BYTES_MAX} bytes, got {}",
                bytes.len()
            )));
        }
        let invitation: Self = from_cbor(bytes, "an invitation")?;
        for (what, text, most) in [
            ("a name", &invitation.name, ICE_NAME_BYTES_MAX),
            ("a password", &invitation.password, ICE_PASSWORD_BYTES_MAX),
        ] {
            if text.is_empty() || text.len() > most {
                return Err(Code::BadMessage.because(format!(
                    "expected {what} of 1 to {most} bytes, got {}",
                    text.len()
                )));
            }
        }
        match invitation.places.len() {
            0..=PUNCH_PLACES_MAX => Ok(invitation),
            many => Err(Code::TooLarge.because(format!(
                "expected at most {PUNCH_PLACES_MAX} addresses, got {many}"
            ))),
        }
    }
}

impl core::fmt::Debug for Invitation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Nothing secret.
        f.debug_struct("Invitation")
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

impl<C> Encode<C> for Place {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?;
        e.str(&self.address.to_string())?.bool(self.is_mapped)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Place {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let wrong =
            || minicbor::decode::Error::message("expected an address and whether it is mapped");
        if d.array()? != Some(2) {
            return Err(wrong());
        }
        let address = d.str()?.parse().map_err(|_| wrong())?;
        let is_mapped = d.bool()?;
        Ok(Self { address, is_mapped })
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn invitation(places: usize) -> Invitation {
        let place = |n| Place {
            address: SocketAddr::from(([10, 0, 0, 1], n as u16)),
            is_mapped: n % 2 == 1,
        };
        Invitation {
            name: String::from("abc"),
            password: String::from("hush"),
            token: [7; 16],
            places: (0..places).map(place).collect(),
        }
    }

    #[test]
    fn an_invitation_is_read_as_it_was_written_and_its_secrets_are_not_shown() {
        let mut told = invitation(3);
        told.places[0].address = "[2001:db8::1]:9".parse().unwrap();
        assert_eq!(Invitation::decode(&told.encode()).unwrap(), told);
        let shown = format!("{told:?}");
        assert!(!shown.contains("hush") && !shown.contains('7'), "{shown}");
    }

    #[test]
    fn too_many_addresses_are_refused_and_so_is_what_is_none() {
        let most = invitation(PUNCH_PLACES_MAX).encode();
        assert!(Invitation::decode(&most).is_ok());
        let more = invitation(PUNCH_PLACES_MAX + 1).encode();
        assert_eq!(Invitation::decode(&more).unwrap_err().code, Code::TooLarge);
        let long = vec![0; INVITATION_BYTES_MAX + 1];
        assert_eq!(Invitation::decode(&long).unwrap_err().code, Code::TooLarge);
        let named = |name: usize, password: usize| {
            let (name, password) = ("n".repeat(name), "p".repeat(password));
            let told = Invitation {
                name,
                password,
                ..invitation(1)
            };
            Invitation::decode(&told.encode()).map_err(|failure| failure.code)
        };
        assert!(named(ICE_NAME_BYTES_MAX, ICE_PASSWORD_BYTES_MAX).is_ok());
        assert_eq!(named(ICE_NAME_BYTES_MAX + 1, 1), Err(Code::BadMessage));
        assert_eq!(named(1, ICE_PASSWORD_BYTES_MAX + 1), Err(Code::BadMessage));
        assert_eq!(named(0, 1), Err(Code::BadMessage));
        let bytes = invitation(1).encode();
        let text = b"10.0.0.1:0";
        let at = bytes.windows(text.len()).position(|w| w == text).unwrap();
        let mut wrong = bytes.to_vec();
        wrong[at] = b'x';
        for wrong in [&wrong[..], &bytes[..bytes.len() - 1], b""] {
            assert_eq!(
                Invitation::decode(wrong).unwrap_err().code,
                Code::BadMessage
            );
        }
    }

    #[test]
    fn the_bytes_of_an_invitation_are_these() {
        let bytes = data_encoding::HEXLOWER.encode(&invitation(1).encode());
        assert_eq!(
            bytes,
            "8463616263646875736850070707070707070707070707070707078182\
             6a31302e302e302e313a30f4"
        );
    }
}
