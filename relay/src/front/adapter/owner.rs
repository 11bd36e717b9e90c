//! The node that an adapter works for: whether it is in the mesh.

use std::time::Duration;

use peerage::Node;
use peerage::limits::ROSTER_MAX;
use peerage::node::Events;
use tokio::time::{Instant, timeout_at};

/// How often it is asked for a node of which nobody tells.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A node that comes and goes.
pub(super) struct Owner {
    node: Node,
    events: Events,
    /// Its name; none is the node here.
    name: Option<String>,
    /// Whether it is here, and when that was asked, until something happens.
    known: Option<(bool, Instant)>,
}

impl Owner {
    pub(super) fn new(node: Node, name: Option<String>) -> Self {
        let (events, known) = (node.events(), None);
        Self {
            node,
            events,
            name,
            known,
        }
    }

    /// Waits until it is here, or is not. Dropped, it may be asked again.
    pub(super) async fn until(&mut self, here: bool) {
        loop {
            let (is_here, asked) = match self.known {
                Some(known) => known,
                None => *self.known.insert((self.is_here().await, Instant::now())),
            };
            if is_here == here {
                return;
            }
            // Of a large zone not everybody is told of.
            let _ = timeout_at(asked + ASK_EVERY, self.events.next()).await;
            self.known = None;
        }
    }

    async fn is_here(&self) -> bool {
        let Some(name) = &self.name else {
            return true;
        };
        let is_own = self.node.name().is_some_and(|own| own.as_str() == name);
        if is_own || *name == self.node.id().to_string() {
            return true;
        }
        let peers = self.node.peers();
        let is_told =
            |peer: &peerage::node::Peer| peer.name.as_str() == name || peer.id.to_string() == *name;
        if peers.iter().any(is_told) {
            return true;
        }
        peers.len() >= ROSTER_MAX && self.node.resolve(name).await.is_ok()
    }
}
