//! References: objects of this node or another, held. Who holds one keeps the object there.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use super::agent::Agent;
use super::fault::CallError;
use super::later::Awaited;
use super::state::Key;
use super::{Proxy, Rpc};
use crate::id::NodeId;
use crate::object::Pointer;

/// An object, wherever it is. Clones are the same hold; when the last is dropped, the object's node may
/// forget it. In calls it travels by itself: who gets it holds it too.
#[derive(Clone)]
pub struct Reference(pub(super) Arc<Held>);

/// One hold.
pub(super) struct Held {
    pub(super) pointer: Pointer,
    pub(super) place: Place,
    pub(super) rpc: Rpc,
}

/// Where what is held is.
pub(super) enum Place {
    /// An object of this node.
    Here(Exported),
    /// An object of another node, held through this connection.
    There {
        through: Key,
        /// How often it came, which the other node counts too.
        count: AtomicU64,
    },
    /// Nowhere any more.
    Stale(CallError),
}

/// What others may use.
#[derive(Clone)]
pub(super) enum Exported {
    Object(Arc<dyn Agent>),
    /// What will be a value.
    Future(Awaited),
}

impl Reference {
    /// What it is called on the wire.
    pub fn pointer(&self) -> &Pointer {
        &self.0.pointer
    }

    /// The node at which the object is.
    pub fn node(&self) -> NodeId {
        self.0.pointer.node
    }

    /// The object itself, if it is one of this node's.
    pub fn local(&self) -> Option<&Arc<dyn Agent>> {
        match &self.0.place {
            Place::Here(Exported::Object(agent)) => Some(agent),
            _ => None,
        }
    }

    /// A way to use it.
    pub fn proxy(&self) -> Proxy {
        Proxy::of(self.clone())
    }

    pub(super) fn stale(rpc: Rpc, pointer: Pointer, error: CallError) -> Self {
        let place = Place::Stale(error);
        Self(Arc::new(Held {
            pointer,
            place,
            rpc,
        }))
    }

    /// It came once more.
    pub(super) fn came_again(&self) {
        if let Place::There { count, .. } = &self.0.place {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl PartialEq for Reference {
    fn eq(&self, other: &Self) -> bool {
        self.0.pointer == other.0.pointer
    }
}

impl Eq for Reference {}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The handle is for those who were told.
        write!(f, "Reference(at {})", self.0.pointer.node.short())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        match &self.place {
            Place::Here(_) => self.rpc.let_go(self.pointer.handle),
            Place::There { through, count } => {
                let count = count.load(Ordering::Relaxed);
                self.rpc.release(*through, self.pointer.handle, count);
            }
            Place::Stale(_) => {}
        }
    }
}
