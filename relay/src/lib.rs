//! Peerage's native runtime: it lends the core tokio's sockets and clock, serves a relay's web side,
//! and is the program `peerage`.

pub mod access;
pub mod adapter;
pub mod broker;
pub mod cli;
pub mod config;
pub mod direct;
pub mod discovery;
pub mod enet;
pub mod front;
pub mod http;
pub mod link;
pub mod log;
mod node;
mod rate;
pub mod runtime;
mod stun;
pub mod trace;
pub mod web;

use peerage::Failure;

pub use node::Node;
pub use runtime::Runtime;

/// Why a node is not online.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    NoEntropy(#[from] getrandom::Error),
    /// The broker's store cannot be used.
    #[error(transparent)]
    Store(#[from] broker::StoreError),
    /// No relay can be reached, or none wants the node.
    #[error("{0}")]
    Failed(Failure),
}
