//! HTTP between nodes: one serves requests, any other makes them, with the types of `http`. A node's own name is
//! the host: `peer://name/path`.
//!
//! ```text
//! stream `peerage/http/1`: one for each request
//!   asking → serving   request, data…, end (trailers)
//!   serving → asking   response, data…, end (trailers) · continue · stop
//! ```
//!
//! A message holds as many of these as were at hand, so a small request is one message and its response another.
//! Bodies flow as they are read: the stream's credit is what holds a sender back. Who gives up resets the stream.
//! After `101 Switching Protocols` the two bodies are a tunnel of bytes.

mod body;
mod client;
mod exchange;
mod head;
mod send;
mod server;
#[cfg(test)]
mod tests;
mod wire;

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};

pub use body::Body;
pub use head::{content_length, is_websocket, strip_connection};

use crate::error::Failure;
use crate::id::NodeId;
use crate::node::Node;

/// The protocol's id.
pub const PROTOCOL: &str = "peerage/http/1";

/// Work that goes on beside the rest.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
/// What a handler gives back.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Failure>> + Send>>;

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// The response to a request of `caller`. If the caller gives up, what this returns is dropped.
    fn handle(&self, caller: NodeId, request: Request<Body>) -> Answering;
}

impl<F, A> Handler for F
where
    F: Fn(NodeId, Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Response<Body>, Failure>> + Send + 'static,
{
    fn handle(&self, caller: NodeId, request: Request<Body>) -> Answering {
        Box::pin(self(caller, request))
    }
}

/// The HTTP of a node: what it serves, and what it asks of others. Clones are the same.
#[derive(Clone)]
pub struct Http(Arc<Shared>);

struct Shared {
    node: Node,
    spawn: Box<dyn Fn(Task) + Send + Sync>,
    handler: Mutex<Option<Arc<dyn Handler>>>,
}

impl Http {
    /// The HTTP of a node. `spawn` runs what goes on beside the rest: the requests that are answered, and bodies
    /// that are being sent.
    pub fn new(node: Node, spawn: impl Fn(Task) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            node,
            spawn: Box::new(spawn),
            handler: Mutex::default(),
        }))
    }

    /// The node that it is of.
    pub fn node(&self) -> &Node {
        &self.0.node
    }

    fn spawn(&self, task: Task) {
        (self.0.spawn)(task);
    }

    fn handler(&self) -> Option<Arc<dyn Handler>> {
        self.0
            .handler
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_handler(&self, handler: Arc<dyn Handler>) {
        *self
            .0
            .handler
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(handler);
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Http({:?})", self.node())
    }
}
