//! To which pages browsers were sent last.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use peerage::{NodeId, Peer};

/// Bytes of an address that is remembered.
const URL_BYTES_MAX: usize = 2048;

/// The addresses, of nodes that are here.
#[derive(Default)]
pub(super) struct Sent(Mutex<HashMap<NodeId, String>>);

impl Sent {
    /// A node was sent there; of those who are not among `here`, nothing is remembered.
    pub(super) fn to(&self, node: NodeId, url: &str, here: &[Peer]) {
        let mut sent = self.lock();
        sent.retain(|known, _| here.iter().any(|peer| peer.id == *known));
        if url.len() <= URL_BYTES_MAX {
            sent.insert(node, url.to_owned());
        }
    }

    /// Where a node was sent last.
    pub(super) fn last(&self, node: NodeId) -> Option<String> {
        self.lock().get(&node).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
