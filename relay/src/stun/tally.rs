//! What the TURN server has done, for who looks at it from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Its counts. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    allocations: AtomicUsize,
    relayed_bytes: AtomicU64,
}

impl Tally {
    /// How many allocations there are.
    pub(crate) fn allocations(&self) -> usize {
        self.0.allocations.load(Ordering::Relaxed)
    }

    /// Bytes of data that were passed on for clients, to them and from them.
    pub(crate) fn relayed_bytes(&self) -> u64 {
        self.0.relayed_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn there_are(&self, allocations: usize) {
        self.0.allocations.store(allocations, Ordering::Relaxed);
    }

    pub(super) fn relayed(&self, data: &[u8]) {
        let bytes = data.len() as u64;
        self.0.relayed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
