//! To which addresses pages were sent last.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use peerage::limits::EVENTS_SENT_MAX;
use peerage::{NodeId, Peer};

/// The addresses, by the pages' nodes.
#[derive(Default)]
pub(super) struct Sent(Mutex<HashMap<NodeId, String>>);

impl Sent {
    /// A page was sent there. If that is one too many, those are forgotten who are not `here`; one that is too many still
    /// is not remembered.
    pub(super) fn to(&self, page: NodeId, url: &str, here: &[Peer]) {
        let mut sent = self.lock();
        if sent.len() >= EVENTS_SENT_MAX {
            sent.retain(|known, _| here.iter().any(|peer| peer.id == *known));
        }
        if sent.len() < EVENTS_SENT_MAX || sent.contains_key(&page) {
            sent.insert(page, url.to_owned());
        }
    }

    /// Where a page was sent last.
    pub(super) fn last(&self, page: NodeId) -> Option<String> {
        self.lock().get(&page).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
