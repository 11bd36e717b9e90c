//! Who a node is: an Ed25519 key (RFC 8032), a name that people type, and what kind of node it is.

use core::fmt;
use core::str::FromStr;

use data_encoding::{BASE32_NOPAD, BASE32_NOPAD_NOCASE};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use minicbor::{Decode, Encode};

/// A node's identity: its Ed25519 public key. In text, lower-case base32 (RFC 4648) without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct NodeId(#[cbor(with = "minicbor::bytes")] [u8; 32]);

/// Text that is no node id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a node id, {ID_CHARS} characters of base32; got `{0}`")]
pub struct IdError(String);

/// Characters of a node id in text.
const ID_CHARS: usize = 52;
/// Characters that suffice for people to tell ids apart.
const SHORT_CHARS: usize = 8;

impl NodeId {
    /// The public key itself.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// An id of these bytes, whether or not they are a key.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The first characters of the text form, for people.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(SHORT_CHARS);
        text
    }

    /// Whether `signature` is this node's, over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key().is_some_and(|key| {
            key.verify_strict(message, &Signature::from_bytes(signature))
                .is_ok()
        })
    }

    /// The X25519 key (RFC 7748) of the same node: the birational image of the Ed25519 key, so that
    /// one identity both signs and agrees on secrets. `None` if these bytes are no usable key.
    pub fn agreement_key(&self) -> Option<[u8; 32]> {
        self.key().map(|key| key.to_montgomery().to_bytes())
    }

    fn key(&self) -> Option<VerifyingKey> {
        VerifyingKey::from_bytes(&self.0)
            .ok()
            .filter(|key| !key.is_weak())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl FromStr for NodeId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        BASE32_NOPAD_NOCASE
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| IdError(text.chars().take(2 * ID_CHARS).collect()))
    }
}

/// A node's secret half. It stays in the process that made it.
pub struct Identity(SigningKey);

impl Identity {
    /// The identity of a secret of 32 random bytes; the same secret is the same node.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// The public half.
    pub fn id(&self) -> NodeId {
        NodeId(self.0.verifying_key().to_bytes())
    }

    /// Signs `message`; [`NodeId::verify`] checks it.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The X25519 secret that belongs to [`NodeId::agreement_key`].
    pub fn agreement_secret(&self) -> [u8; 32] {
        self.0.to_scalar_bytes()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.id())
    }
}

/// The name of a node within its zone: 1 to 63 ASCII letters, digits, `-`, `_` and `.`, beginning
/// with a letter or digit. A text that could be read as a [`NodeId`] is no name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

/// Text that is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a name of 1 to {NAME_CHARS_MAX} letters, digits, `-`, `_` or `.`; got `{0}`")]
pub struct NameError(String);

/// Characters of a name, as in a label of DNS.
const NAME_CHARS_MAX: usize = 63;

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `name-2`, `name-3` and so on, shortened where it would grow too long.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let suffix = format!("-{number}");
        let stem: String = self.0.chars().take(NAME_CHARS_MAX - suffix.len()).collect();
        Self(stem + &suffix)
    }

    /// Whether this is `base`, or `base` with a number.
    pub fn descends_from(&self, base: &Self) -> bool {
        self == base
            || self.0.rsplit_once('-').is_some_and(|(_, number)| {
                number
                    .parse()
                    .is_ok_and(|number| *self == base.numbered(number))
            })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let valid = text.len() <= NAME_CHARS_MAX
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            && text.parse::<NodeId>().is_err();
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError(text.chars().take(NAME_CHARS_MAX + 1).collect()))
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl<C> Encode<C> for Name {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Name {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.str()?.parse().map_err(minicbor::decode::Error::message)
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Kind {
    /// A browser tab.
    #[n(0)]
    Browser,
    /// A native program.
    #[n(1)]
    Native,
    /// A relay, which names a zone and routes for it.
    #[n(2)]
    Relay,
    /// A program that speaks ENet and is no node itself: a node is held for it.
    #[n(3)]
    Enet,
    /// Hardware, which is no node itself: one is held for its adapter.
    #[n(4)]
    Adapter,
    /// A program that speaks a dialect of WebSocket and is no node itself: a node is held for it.
    #[n(5)]
    Client,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Browser,
        Self::Native,
        Self::Relay,
        Self::Enet,
        Self::Adapter,
        Self::Client,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Native => "native",
            Self::Relay => "relay",
            Self::Enet => "enet",
            Self::Adapter => "adapter",
            Self::Client => "client",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn identity(n: u8) -> Identity {
        Identity::from_secret(&[n; 32])
    }

    #[test]
    fn an_id_comes_back_from_its_text() {
        let id = identity(1).id();
        assert_eq!(id.to_string().len(), ID_CHARS);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().starts_with(&id.short()));
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for text in [
            "",
            "a",
            "B",
            &"a".repeat(51),
            &"a".repeat(53),
            &"1".repeat(52),
            "ä",
        ] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_signature_counts_for_its_node_and_message_only() {
        let (a, b) = (identity(1), identity(2));
        let signature = a.sign(b"hello");
        assert!(a.id().verify(b"hello", &signature));
        assert!(!a.id().verify(b"hellO", &signature));
        assert!(!b.id().verify(b"hello", &signature));
        assert!(!NodeId::from_bytes([0; 32]).verify(b"hello", &[0; 64]));
    }

    #[test]
    fn both_halves_of_the_agreement_key_belong_together() {
        let a = identity(3);
        let public = VerifyingKey::from_bytes(a.id().as_bytes()).unwrap();
        assert_eq!(
            a.id().agreement_key(),
            Some(public.to_montgomery().to_bytes())
        );
    }

    #[test]
    fn names_are_plain_words() {
        for good in ["B", "screen-left", "a.b_c-2", "7", &"x".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        let id = identity(1).id().to_string();
        for bad in [
            "",
            "-a",
            ".",
            "a b",
            "a@b",
            "*",
            "ä",
            "a/b",
            &"x".repeat(64),
            &id,
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_numbered_name_stays_a_name() {
        let long: Name = "x".repeat(63).parse().unwrap();
        assert!(long.numbered(999).as_str().parse::<Name>().is_ok());
        let b: Name = "b".parse().unwrap();
        assert_eq!(b.numbered(2).as_str(), "b-2");
        assert!(b.numbered(2).descends_from(&b));
        assert!(!b.descends_from(&b.numbered(2)));
        assert!(!"b-x".parse::<Name>().unwrap().descends_from(&b));
    }
}
