//! How two nodes agree on keys: Noise IK (revision 34 of the Noise specification) with the X25519
//! images of the nodes' Ed25519 keys. The caller knows whom it calls; the called node checks that the
//! caller's key is that of the id it is said to have. The prologue binds version, zone and both ids.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::RngCore;
use snow::params::{CipherChoice, DHChoice, HashChoice, NoiseParams};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};

use crate::id::{Identity, NodeId};
use crate::session::cipher::cipher;
use crate::session::record::{Keys, SessionId};

/// The session version that this node speaks.
pub const VERSION: u8 = 1;

const PATTERN: &str = "Noise_IK_25519_ChaChaPoly_BLAKE2s";
/// Bytes of a handshake message, at the most: two keys, two tags, and the id of a session.
const MESSAGE_BYTES_MAX: usize = 2 * 32 + 2 * 16 + SessionId::BYTES;
/// Bytes that a first message may carry; those beyond what this version knows are ignored.
const PAYLOAD_BYTES_MAX: usize = 256;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The id is not an Ed25519 key that can be used.
    #[error("expected an Ed25519 key, got {0}")]
    BadId(NodeId),
    /// The caller holds another key than the id it is said to have.
    #[error("expected the key of {expected}, got another")]
    NotTheCaller {
        /// Who it is said to be.
        expected: NodeId,
    },
    /// The message was made by another key, for another node, zone or version, or was changed.
    #[error("expected a Noise IK message for this node, zone and version: {0}")]
    Noise(#[from] snow::Error),
}

/// What both sides must agree on.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Our own keys.
    pub identity: &'a Identity,
    /// The other side.
    pub peer: NodeId,
    /// The zone in which the two met.
    pub zone: &'a str,
}

/// The caller's half, between the first message and the second.
pub struct Caller(Box<HandshakeState>);

impl Caller {
    /// Begins; gives the first message. `doubted` is a session of which the caller is not sure that the
    /// other side still has it.
    pub fn start(
        context: Context<'_>,
        doubted: Option<SessionId>,
        rng: ChaCha20Rng,
    ) -> Result<(Self, Vec<u8>), HandshakeError> {
        let key = agreement_key(context.peer)?;
        let secret = context.identity.agreement_secret();
        let prologue = context.prologue(context.identity.id(), context.peer);
        let mut state = builder(rng)?
            .local_private_key(&secret)?
            .remote_public_key(&key)?
            .prologue(&prologue)?
            .build_initiator()?;
        let mut message = vec![0; MESSAGE_BYTES_MAX];
        let doubted = doubted.as_ref().map_or(&[][..], |id| &id.0);
        let len = state.write_message(doubted, &mut message)?;
        message.truncate(len);
        Ok((Self(Box::new(state)), message))
    }

    /// Ends, with the second message.
    pub fn finish(mut self, message: &[u8]) -> Result<Keys, HandshakeError> {
        self.0.read_message(message, &mut [])?;
        keys(*self.0)
    }
}

impl core::fmt::Debug for Caller {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Caller")
    }
}

/// What a called node has to say.
#[derive(Debug)]
pub struct Answer {
    /// The keys, if it wants a new session.
    pub keys: Keys,
    /// The second message, if it does.
    pub second: Vec<u8>,
    /// The session of which the caller is not sure that this side still has it.
    pub doubted: Option<SessionId>,
}

/// The called node's half: from the first message to the second, and the keys.
pub fn answer(
    context: Context<'_>,
    first: &[u8],
    rng: ChaCha20Rng,
) -> Result<Answer, HandshakeError> {
    let key = agreement_key(context.peer)?;
    let secret = context.identity.agreement_secret();
    let prologue = context.prologue(context.peer, context.identity.id());
    let mut state = builder(rng)?
        .local_private_key(&secret)?
        .prologue(&prologue)?
        .build_responder()?;
    let mut payload = [0; PAYLOAD_BYTES_MAX];
    let len = state.read_message(first, &mut payload)?;
    let doubted = SessionId::of(&payload[..len]);
    if state.get_remote_static() != Some(&key) {
        return Err(HandshakeError::NotTheCaller {
            expected: context.peer,
        });
    }
    let mut second = vec![0; MESSAGE_BYTES_MAX];
    let len = state.write_message(&[], &mut second)?;
    second.truncate(len);
    Ok(Answer {
        keys: keys(state)?,
        second,
        doubted,
    })
}

fn keys(state: HandshakeState) -> Result<Keys, HandshakeError> {
    // BLAKE2s gives 32 bytes.
    let id = SessionId::of(state.get_handshake_hash()).ok_or(snow::Error::Input)?;
    Ok(Keys::new(id, state.into_stateless_transport_mode()?))
}

impl Context<'_> {
    fn prologue(&self, caller: NodeId, called: NodeId) -> Vec<u8> {
        let mut out = b"peerage session".to_vec();
        out.push(VERSION);
        out.extend(caller.as_bytes());
        out.extend(called.as_bytes());
        out.extend(self.zone.as_bytes());
        out
    }
}

fn agreement_key(id: NodeId) -> Result<[u8; 32], HandshakeError> {
    id.agreement_key().ok_or(HandshakeError::BadId(id))
}

fn builder<'a>(rng: ChaCha20Rng) -> Result<Builder<'a>, HandshakeError> {
    let params: NoiseParams = PATTERN.parse()?;
    Ok(Builder::with_resolver(params, Box::new(Resolver(rng))))
}

/// Snow's own primitives and our cipher, with the random numbers that were handed to us.
struct Resolver(ChaCha20Rng);

struct Handed(ChaCha20Rng);

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Handed(self.0.clone())))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        cipher(choice)
    }
}

impl Random for Handed {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        self.0.fill_bytes(dest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn identity(n: u8) -> Identity {
        Identity::from_secret(&[n; 32])
    }

    fn rng(n: u64) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(n)
    }

    fn context<'a>(identity: &'a Identity, peer: &Identity, zone: &'a str) -> Context<'a> {
        Context {
            identity,
            peer: peer.id(),
            zone,
        }
    }

    #[test]
    fn both_sides_get_keys_that_open_each_others_records() {
        let (a, b) = (identity(1), identity(2));
        let (caller, first) = Caller::start(context(&a, &b, "z"), None, rng(1)).unwrap();
        let called = answer(context(&b, &a, "z"), &first, rng(2)).unwrap();
        let (a_keys, b_keys) = (caller.finish(&called.second).unwrap(), called.keys);
        assert_eq!((a_keys.id(), called.doubted), (b_keys.id(), None));
        let sealed = a_keys.seal(true, 7, b"hello");
        assert_eq!(b_keys.open(&sealed).unwrap(), b"hello"[..]);
        let sealed = b_keys.seal(false, 7, b"back");
        assert_eq!(a_keys.open(&sealed).unwrap(), b"back"[..]);
    }

    #[test]
    fn a_caller_may_name_the_session_that_it_is_not_sure_of() {
        let (a, b) = (identity(1), identity(2));
        let doubted = Some(SessionId([7; SessionId::BYTES]));
        let (caller, first) = Caller::start(context(&a, &b, "z"), doubted, rng(1)).unwrap();
        let called = answer(context(&b, &a, "z"), &first, rng(2)).unwrap();
        assert_eq!(called.doubted, doubted);
        assert_eq!(
            caller.finish(&called.second).unwrap().id(),
            called.keys.id()
        );
        assert_ne!(called.keys.id(), SessionId([7; SessionId::BYTES]));
    }

    #[test]
    fn a_caller_under_anothers_id_is_found_out() {
        let (thief, victim, b) = (identity(1), identity(2), identity(3));
        let (_, first) = Caller::start(context(&thief, &b, "z"), None, rng(1)).unwrap();
        assert!(answer(context(&b, &victim, "z"), &first, rng(2)).is_err());
    }

    #[test]
    fn a_message_for_another_node_or_zone_is_refused() {
        let (a, b, c) = (identity(1), identity(2), identity(3));
        let (_, first) = Caller::start(context(&a, &b, "z"), None, rng(1)).unwrap();
        assert!(answer(context(&c, &a, "z"), &first, rng(2)).is_err());
        assert!(answer(context(&b, &a, "y"), &first, rng(2)).is_err());
        assert!(answer(context(&b, &a, "z"), &first, rng(2)).is_ok());
    }

    #[test]
    fn every_changed_byte_of_the_handshake_is_noticed() {
        let (a, b) = (identity(1), identity(2));
        let (_, first) = Caller::start(context(&a, &b, "z"), None, rng(1)).unwrap();
        for i in 0..first.len() {
            let mut changed = first.clone();
            changed[i] ^= 1;
            assert!(
                answer(context(&b, &a, "z"), &changed, rng(2)).is_err(),
                "byte {i}"
            );
        }
        let second = answer(context(&b, &a, "z"), &first, rng(2)).unwrap().second;
        for i in 0..second.len() {
            let (caller, _) = Caller::start(context(&a, &b, "z"), None, rng(1)).unwrap();
            let mut changed = second.clone();
            changed[i] ^= 1;
            assert!(caller.finish(&changed).is_err(), "byte {i}");
        }
    }

    #[test]
    fn garbage_of_any_length_is_an_error() {
        let (a, b) = (identity(1), identity(2));
        for len in 0..300 {
            assert!(answer(context(&b, &a, "z"), &vec![0x55; len], rng(2)).is_err());
        }
    }

    #[test]
    fn an_id_that_is_no_key_is_named() {
        let a = identity(1);
        let context = Context {
            identity: &a,
            peer: NodeId::from_bytes([0; 32]),
            zone: "z",
        };
        assert!(matches!(
            Caller::start(context, None, rng(1)),
            Err(HandshakeError::BadId(_))
        ));
    }
}
