//! Failures: every reason has a name of its own, the same in Rust, in JavaScript and on the wire.

use core::fmt;

use minicbor::{Decode, Encode};

use crate::wire::DecodeError;

/// The names of failures. Programs decide by these; [`Failure::message`] is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Code {
    /// What was received is not of the protocol's form.
    #[n(0)]
    BadMessage,
    /// The caller gave up.
    #[n(1)]
    Cancelled,
    /// The node vanished without a word.
    #[n(2)]
    Gone,
    /// The two sides share no version of a protocol.
    #[n(3)]
    IncompatibleVersion,
    /// The node left in good order.
    #[n(4)]
    Left,
    /// A limit on work or memory is reached; try again later.
    #[n(5)]
    Overloaded,
    /// The other side said no.
    #[n(6)]
    Refused,
    /// No answer came in time.
    #[n(7)]
    TimedOut,
    /// Beyond a limit on size.
    #[n(8)]
    TooLarge,
    /// An identity that is not proven, or may not do this.
    #[n(9)]
    Unauthorised,
    /// The node speaks no such method.
    #[n(10)]
    UnknownMethod,
    /// Nobody in the zone has this name or id.
    #[n(11)]
    UnknownName,
    /// The node does not speak this protocol.
    #[n(12)]
    UnknownProtocol,
    /// The node exists, but no path leads there now.
    #[n(13)]
    Unreachable,
    /// What does it was lost in the midst of it: it may have been done in part, and is not done again.
    #[n(14)]
    Interrupted,
}

impl Code {
    /// Every code, in the order of their numbers on the wire.
    pub const ALL: [Self; 15] = [
        Self::BadMessage,
        Self::Cancelled,
        Self::Gone,
        Self::IncompatibleVersion,
        Self::Left,
        Self::Overloaded,
        Self::Refused,
        Self::TimedOut,
        Self::TooLarge,
        Self::Unauthorised,
        Self::UnknownMethod,
        Self::UnknownName,
        Self::UnknownProtocol,
        Self::Unreachable,
        Self::Interrupted,
    ];

    /// The name in kebab-case, as JavaScript sees it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadMessage => "bad-message",
            Self::Cancelled => "cancelled",
            Self::Gone => "gone",
            Self::IncompatibleVersion => "incompatible-version",
            Self::Left => "left",
            Self::Overloaded => "overloaded",
            Self::Refused => "refused",
            Self::TimedOut => "timed-out",
            Self::TooLarge => "too-large",
            Self::Unauthorised => "unauthorised",
            Self::UnknownMethod => "unknown-method",
            Self::UnknownName => "unknown-name",
            Self::UnknownProtocol => "unknown-protocol",
            Self::Unreachable => "unreachable",
            Self::Interrupted => "interrupted",
        }
    }

    /// The code of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// This failure, told in words.
    pub fn because(self, message: impl Into<String>) -> Failure {
        Failure {
            code: self,
            message: message.into(),
            peer: None,
        }
    }

    /// Its number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The code of a number on the wire; one that this version does not know reads as `Refused`.
    pub fn from_number(number: u64) -> Self {
        usize::try_from(number)
            .ok()
            .and_then(|n| Self::ALL.get(n).copied())
            .unwrap_or(Self::Refused)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that did not happen, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Encode, Decode)]
#[error("{code}: {message}")]
pub struct Failure {
    /// Which failure it is.
    #[n(0)]
    pub code: Code,
    /// What was expected and what came, for people.
    #[n(1)]
    pub message: String,
    /// The name of the node that it concerns, where there is one.
    #[n(2)]
    pub peer: Option<String>,
}

impl Failure {
    /// The same failure, naming the node that it concerns.
    #[must_use]
    pub fn of(mut self, peer: impl fmt::Display) -> Self {
        self.peer = Some(peer.to_string());
        self
    }

    /// For people: the failure after the name of the node that it concerns.
    pub fn in_words(&self) -> String {
        match &self.peer {
            Some(peer) => format!("{peer}: {self}"),
            None => self.to_string(),
        }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        let code = match error {
            DecodeError::TooLarge { .. } => Code::TooLarge,
            _ => Code::BadMessage,
        };
        code.because(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::wire::{from_cbor, to_cbor};

    #[test]
    fn every_code_comes_back_from_its_number_and_from_cbor() {
        for code in Code::ALL {
            assert_eq!(Code::from_number(u64::from(code.number())), code);
            assert_eq!(from_cbor::<Code>(&to_cbor(&code), "a code"), Ok(code));
        }
    }

    #[test]
    fn codes_are_kebab_case_and_distinct() {
        let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(
            names
                .iter()
                .all(|n| n.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        );
    }

    #[test]
    fn a_code_of_a_later_version_reads_as_refused() {
        assert_eq!(Code::from_number(200), Code::Refused);
    }
}
