//! Credentials that need no list: the name says for whom and until when, and the password is made of the name
//! with a secret (the "REST API" of TURN servers). Nonces likewise, for one client's address.

use core::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, Key};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use peerage::NodeId;
use peerage::limits::{TURN_CREDENTIAL_LIFETIME, TURN_NONCE_LIFETIME};

use crate::stun::Client;

/// Bytes of a nonce's proof.
const PROOF_BYTES: usize = 8;

/// What credentials and nonces are made with.
#[derive(Clone)]
pub(crate) struct Secret {
    passwords: Key,
    nonces: Key,
}

/// What a node tells the server to have an allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) name: String,
    pub(crate) password: String,
}

/// Whether a nonce is one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nonce {
    Fresh,
    Stale,
}

impl Secret {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self {
            passwords: Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, bytes),
            nonces: Key::new(HMAC_SHA256, bytes),
        }
    }

    /// A credential for a node, from now on.
    pub(crate) fn issue(&self, node: NodeId, unix: u64) -> Credential {
        let until = unix + TURN_CREDENTIAL_LIFETIME.as_secs();
        let name = format!("{until}:{node}");
        let password = self.password(&name);
        Credential { name, password }
    }

    /// The password of a name, whoever has it and however old it is.
    pub(super) fn password(&self, name: &str) -> String {
        BASE64.encode(hmac::sign(&self.passwords, name.as_bytes()).as_ref())
    }

    /// A nonce for a client.
    pub(super) fn nonce(&self, client: Client, unix: u64) -> String {
        // Only differences count, and they are small.
        let time = (unix as u32).to_be_bytes();
        let mut bytes = time.to_vec();
        bytes.extend(self.proof(client, time));
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// What a nonce is worth that a client tells.
    pub(super) fn check(&self, nonce: &str, client: Client, unix: u64) -> Nonce {
        let bytes = BASE64URL_NOPAD.decode(nonce.as_bytes()).unwrap_or_default();
        let Some((time, proof)) = bytes.split_first_chunk::<4>() else {
            return Nonce::Stale;
        };
        let age = (unix as u32).wrapping_sub(u32::from_be_bytes(*time));
        let proven = verify_slices_are_equal(proof, &self.proof(client, *time)).is_ok();
        match proven && u64::from(age) <= TURN_NONCE_LIFETIME.as_secs() {
            true => Nonce::Fresh,
            false => Nonce::Stale,
        }
    }

    fn proof(&self, client: Client, time: [u8; 4]) -> [u8; PROOF_BYTES] {
        let text = format!("{} {}", client.from, client.at);
        let mut context = hmac::Context::with_key(&self.nonces);
        context.update(&time);
        context.update(text.as_bytes());
        let mut proof = [0; PROOF_BYTES];
        proof.copy_from_slice(&context.sign().as_ref()[..PROOF_BYTES]);
        proof
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// For whom, and until when, a name is.
pub(super) fn read(name: &str) -> Option<(u64, &str)> {
    let (until, user) = name.split_once(':')?;
    Some((until.parse().ok()?, user))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIX: u64 = 1_700_000_000;

    fn client(from: &str) -> Client {
        let from = from.parse().unwrap();
        Client {
            from,
            at: "192.0.2.1:1".parse().unwrap(),
        }
    }

    #[test]
    fn a_name_says_for_whom_and_until_when_and_has_one_password() {
        let secret = Secret::new(b"s");
        let node = NodeId::from_bytes([1; 32]);
        let credential = secret.issue(node, UNIX);
        assert_eq!(
            read(&credential.name),
            Some((UNIX + 3600, node.to_string().as_str()))
        );
        assert_eq!(secret.password(&credential.name), credential.password);
        assert_ne!(
            Secret::new(b"t").password(&credential.name),
            credential.password
        );
        assert_ne!(secret.password("1:x"), credential.password);
        for bad in ["", "x", "x:y", "-1:y"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_password_is_made_as_other_servers_make_it() {
        // openssl dgst -sha1 -hmac north -binary <<< … | base64
        assert_eq!(
            Secret::new(b"key").password("The quick brown fox jumps over the lazy dog"),
            "3nybhbi3iqa8ino29wqQcBydtNk="
        );
    }

    #[test]
    fn a_nonce_is_good_for_one_address_and_for_a_while() {
        let secret = Secret::new(b"s");
        let (here, there) = (client("198.51.100.1:5"), client("198.51.100.1:6"));
        let nonce = secret.nonce(here, UNIX);
        assert_eq!(secret.check(&nonce, here, UNIX + 3600), Nonce::Fresh);
        for (nonce, client, unix) in [
            (nonce.as_str(), here, UNIX + 3601),
            (nonce.as_str(), here, UNIX - 1),
            (nonce.as_str(), there, UNIX),
            (&nonce[..10], here, UNIX),
            ("", here, UNIX),
            ("ÿ", here, UNIX),
        ] {
            assert_eq!(secret.check(nonce, client, unix), Nonce::Stale, "{nonce}");
        }
    }
}
