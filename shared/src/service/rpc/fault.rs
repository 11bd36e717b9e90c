//! Why a call failed.

use core::fmt;

use super::wire::Fault;
use crate::error::{Code, Failure};
use crate::object::ObjectError;

/// Why a call failed: by Peerage's own reasons, or by the object's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The call did not come to an end there.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The object threw.
    #[error("{0}")]
    Thrown(#[from] Thrown),
}

/// What an object's method threw.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Thrown {
    /// The name of its type, such as `RangeError`.
    pub kind: String,
    /// What it says, for people.
    pub message: String,
}

impl Thrown {
    /// An error of this type, with these words.
    pub fn new(kind: impl Into<String>, message: impl fmt::Display) -> Self {
        Self {
            kind: kind.into(),
            message: message.to_string(),
        }
    }
}

impl CallError {
    /// The name of Peerage's failure; `None` for what an object threw.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Failed(failure) => Some(failure.code),
            Self::Thrown(_) => None,
        }
    }

    /// The same, naming the node that it concerns.
    #[must_use]
    pub fn of(self, peer: impl fmt::Display) -> Self {
        match self {
            Self::Failed(failure) if failure.peer.is_none() => Self::Failed(failure.of(peer)),
            other => other,
        }
    }
}

impl From<ObjectError> for CallError {
    fn from(error: ObjectError) -> Self {
        let code = match error {
            ObjectError::TooManyItems { .. } => Code::TooLarge,
            _ => Code::BadMessage,
        };
        Self::Failed(code.because(error.to_string()))
    }
}

impl From<Fault> for CallError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Failed(failure) => Self::Failed(failure),
            Fault::Thrown { kind, message } => Self::Thrown(Thrown { kind, message }),
        }
    }
}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Failed(failure) => Self::Failed(failure),
            CallError::Thrown(Thrown { kind, message }) => Self::Thrown { kind, message },
        }
    }
}
