//! Peerage makes a browser tab a full network peer. This crate is the node itself, for native and
//! WebAssembly alike: identity, links, routing, sessions, streams and the services on them.
//!
//! **The core does no I/O.** [`node::Machine`] is a state machine: inputs with the time go in,
//! outputs and the next deadline come out. It opens no socket, reads no clock, starts no thread and
//! draws no random number that is not handed to it. [`Node`] is the asynchronous handle above it,
//! which needs no particular runtime. `peerage-relay` drives it with tokio, `peerage-wasm` with a
//! browser's event loop.
//!
//! Dependencies point downwards only:
//!
//! ```text
//! service    command, rpc, broker, signal: protocols on streams, without privilege
//! node       the machine that joins the layers, and the handle that programs hold
//! stream     many ordered message streams in one session, with credit
//! session    two nodes: encrypted end to end, resumable, independent of the path
//! routing    names, presence, next hops
//! link       two neighbouring processes: frames, hello
//! ```

pub mod config;
pub mod error;
pub mod id;
pub mod limits;
pub mod link;
pub mod log;
pub mod node;
pub mod object;
pub mod quality;
pub mod routing;
pub mod service;
pub mod session;
pub mod stream;
pub mod trace;
pub mod wire;

pub use config::Config;
pub use error::{Code, Failure};
pub use id::{Identity, Kind, Name, NodeId};
pub use node::{Node, PathKind, Peer};
pub use peerage_macros::agent;
pub use quality::Quality;
pub use service::http;
pub use service::rpc;

/// What `#[peerage::agent]` writes needs.
#[doc(hidden)]
pub mod __private {
    pub use serde;
}

// What the macro writes names this crate.
#[cfg(test)]
extern crate self as peerage;

/// A point in time: how long after an origin that the platform chooses and keeps. Only differences
/// have a meaning, and it never runs backwards.
pub type Time = core::time::Duration;
