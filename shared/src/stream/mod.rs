//! Streams: many conversations in one session, each of one protocol, ordered, reliable and with
//! credit, so that a slow reader holds up nobody else. [`frame`] is their format inside a session's
//! records, [`mux`] keeps them all, [`flow`] is one of them.

pub mod flow;
pub mod frame;
pub mod mux;
pub mod ready;

pub use mux::{Mux, MuxEvent};
pub use ready::Priority;

/// Which stream of a session. The node with the smaller id opens even ones, the other odd ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// The id of a protocol, such as `peerage/command/1`: who made it, what it is, which version.
pub type Protocol = String;
