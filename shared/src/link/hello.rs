//! How two neighbours meet. The accepting side sends a challenge at once; the calling side answers
//! with its hello, which proves its id by a signature over the challenge; the accepting side welcomes
//! it, and proves its own id by a signature over the caller's nonce. One round trip.
//!
//! ```text
//! accepting                       calling
//!   challenge(versions, nonce) →
//!                               ← hello(version, id, name, nonce', signature)
//!   welcome(name, members, signature) →        or refuse(why), and the link ends
//! ```

use minicbor::{Decode, Encode};

use crate::error::{Code, Failure};
use crate::id::{Identity, Kind, Name, NodeId};
use crate::link::frame::Member;
use crate::wire::from_cbor;

/// The version that this node speaks on links.
pub const VERSION: u16 = 1;
/// The versions that it accepts, from and to.
pub const VERSIONS: (u16, u16) = (1, 1);

const CALLER_DOMAIN: &[u8] = b"peerage link hello, caller";
const ACCEPTER_DOMAIN: &[u8] = b"peerage link hello, accepter";

/// The accepting side's question.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Challenge {
    /// Who asks.
    #[n(0)]
    pub id: NodeId,
    /// The zone whose names it keeps.
    #[n(1)]
    pub zone: String,
    /// Random, for this link alone.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
}

/// The calling side's answer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// Who calls.
    #[n(0)]
    pub id: NodeId,
    /// What it is.
    #[n(1)]
    pub kind: Kind,
    /// The name it would like.
    #[n(2)]
    pub name: Option<Name>,
    /// Whether it would rather be refused than get another name.
    #[n(3)]
    pub insist: bool,
    /// Random, for this link alone.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
    /// Over the challenge, by `id`.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub signature: [u8; 64],
    /// What it is for, as its operator says: its type.
    #[n(6)]
    pub role: Option<Name>,
}

/// The accepting side's yes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Welcome {
    /// The name that the caller now has.
    #[n(0)]
    pub name: Name,
    /// Everyone who is here, the accepting side included.
    #[n(1)]
    pub members: Vec<Member>,
    /// Over the caller's nonce, by the challenge's `id`.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub signature: [u8; 64],
}

impl Hello {
    /// Answers `challenge` as `identity`.
    pub fn answer(
        challenge: &Challenge,
        identity: &Identity,
        kind: Kind,
        name: Option<Name>,
        insist: bool,
        nonce: [u8; 32],
    ) -> Self {
        let id = identity.id();
        let signature = identity.sign(&transcript(CALLER_DOMAIN, challenge, id, &nonce));
        Self {
            id,
            kind,
            name,
            insist,
            nonce,
            signature,
            role: None,
        }
    }

    /// Reads and checks what a caller answered to `challenge`.
    pub fn check(version: u16, body: &[u8], challenge: &Challenge) -> Result<Self, Failure> {
        check_version((version, version))?;
        let hello: Self = from_cbor(body, "a hello")?;
        hello.verify(challenge)?;
        Ok(hello)
    }

    /// Checks that it was said by the node of its id, as the answer to `challenge`.
    pub fn verify(&self, challenge: &Challenge) -> Result<(), Failure> {
        let signed = transcript(CALLER_DOMAIN, challenge, self.id, &self.nonce);
        if self.id.verify(&signed, &self.signature) {
            Ok(())
        } else {
            let message = format!("expected a signature by {} over the challenge", self.id);
            Err(Code::Unauthorised.because(message))
        }
    }
}

impl Challenge {
    /// Reads what an accepting side asks.
    pub fn read(versions: (u16, u16), body: &[u8]) -> Result<Self, Failure> {
        check_version(versions)?;
        Ok(from_cbor(body, "a challenge")?)
    }
}

impl Welcome {
    /// The accepting side's proof of its id to the caller who said `hello`.
    pub fn sign(identity: &Identity, challenge: &Challenge, hello: &Hello) -> [u8; 64] {
        identity.sign(&transcript(
            ACCEPTER_DOMAIN,
            challenge,
            hello.id,
            &hello.nonce,
        ))
    }

    /// Checks that proof.
    pub fn check(&self, challenge: &Challenge, hello: &Hello) -> Result<(), Failure> {
        let signed = transcript(ACCEPTER_DOMAIN, challenge, hello.id, &hello.nonce);
        if challenge.id.verify(&signed, &self.signature) {
            Ok(())
        } else {
            Err(Code::Unauthorised.because("the relay did not prove the id that it claims"))
        }
    }
}

fn check_version((from, to): (u16, u16)) -> Result<(), Failure> {
    if from <= VERSIONS.1 && VERSIONS.0 <= to {
        return Ok(());
    }
    let (ours_from, ours_to) = VERSIONS;
    Err(Code::IncompatibleVersion.because(format!(
        "expected a link version from {ours_from} to {ours_to}, got {from} to {to}"
    )))
}

/// What is signed: the domain keeps the two directions and other uses of the key apart.
fn transcript(domain: &[u8], challenge: &Challenge, caller: NodeId, nonce: &[u8; 32]) -> Vec<u8> {
    let zone = challenge.zone.as_bytes();
    let mut out = Vec::with_capacity(domain.len() + 8 + zone.len() + 4 * 32);
    for part in [
        domain,
        zone,
        challenge.id.as_bytes(),
        &challenge.nonce,
        caller.as_bytes(),
        nonce,
    ] {
        out.extend((part.len() as u32).to_be_bytes());
        out.extend(part);
    }
    out
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::wire::to_cbor;

    fn challenge(relay: &Identity) -> Challenge {
        Challenge {
            id: relay.id(),
            zone: "home".into(),
            nonce: [7; 32],
        }
    }

    fn hello(challenge: &Challenge, caller: &Identity) -> Hello {
        Hello::answer(challenge, caller, Kind::Native, None, false, [9; 32])
    }

    #[test]
    fn both_sides_prove_who_they_are() {
        let (relay, caller) = (
            Identity::from_secret(&[1; 32]),
            Identity::from_secret(&[2; 32]),
        );
        let challenge = challenge(&relay);
        let hello = hello(&challenge, &caller);
        assert_eq!(
            Hello::check(VERSION, &to_cbor(&hello), &challenge),
            Ok(hello.clone())
        );
        let welcome = Welcome {
            name: "a".parse().unwrap(),
            members: Vec::new(),
            signature: Welcome::sign(&relay, &challenge, &hello),
        };
        assert_eq!(welcome.check(&challenge, &hello), Ok(()));
    }

    #[test]
    fn a_claimed_id_without_its_key_is_unauthorised() {
        let (relay, thief) = (
            Identity::from_secret(&[1; 32]),
            Identity::from_secret(&[3; 32]),
        );
        let challenge = challenge(&relay);
        let mut hello = hello(&challenge, &thief);
        hello.id = Identity::from_secret(&[2; 32]).id();
        let failure = Hello::check(VERSION, &to_cbor(&hello), &challenge).unwrap_err();
        assert_eq!(failure.code, Code::Unauthorised);
    }

    #[test]
    fn a_hello_to_another_challenge_is_unauthorised() {
        let (relay, caller) = (
            Identity::from_secret(&[1; 32]),
            Identity::from_secret(&[2; 32]),
        );
        let old = hello(&challenge(&relay), &caller);
        for changed in [
            Challenge {
                nonce: [8; 32],
                ..challenge(&relay)
            },
            Challenge {
                zone: "work".into(),
                ..challenge(&relay)
            },
            Challenge {
                id: caller.id(),
                ..challenge(&relay)
            },
        ] {
            let failure = Hello::check(VERSION, &to_cbor(&old), &changed).unwrap_err();
            assert_eq!(failure.code, Code::Unauthorised);
        }
    }

    #[test]
    fn a_relay_that_cannot_sign_for_its_id_is_not_believed() {
        let (relay, caller) = (
            Identity::from_secret(&[1; 32]),
            Identity::from_secret(&[2; 32]),
        );
        let challenge = challenge(&relay);
        let hello = hello(&challenge, &caller);
        let signature = Welcome::sign(&caller, &challenge, &hello);
        let welcome = Welcome {
            name: "a".parse().unwrap(),
            members: Vec::new(),
            signature,
        };
        assert_eq!(
            welcome.check(&challenge, &hello).unwrap_err().code,
            Code::Unauthorised
        );
    }

    #[test]
    fn another_version_is_named_before_the_rest_is_read() {
        let relay = Identity::from_secret(&[1; 32]);
        let failure = Hello::check(99, b"anything", &challenge(&relay)).unwrap_err();
        assert_eq!(failure.code, Code::IncompatibleVersion);
        assert!(failure.message.contains("99"), "{failure}");
        let failure = Challenge::read((2, 3), b"anything").unwrap_err();
        assert_eq!(failure.code, Code::IncompatibleVersion);
        assert!(Challenge::read((0, 9), &to_cbor(&challenge(&relay))).is_ok());
    }

    #[test]
    fn a_hello_of_another_shape_is_a_bad_message() {
        let relay = Identity::from_secret(&[1; 32]);
        let failure = Hello::check(VERSION, b"\xff\x00", &challenge(&relay)).unwrap_err();
        assert_eq!(failure.code, Code::BadMessage);
    }
}
