//! The messages of the protocol, in CBOR.

use minicbor::{Decode, Encode};

/// The caller's only message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Request {
    /// The same in the logs of both nodes.
    #[n(0)]
    pub(super) trace: u64,
    /// The command and its arguments, without the target.
    #[n(1)]
    pub(super) line: String,
}

/// The target's messages.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Response {
    /// What the command wrote.
    #[n(0)]
    Output(#[n(0)] String),
    /// How it ended: the last message.
    #[n(1)]
    Exit(#[n(0)] u8),
}
