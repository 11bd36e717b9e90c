//! The recent events of a process, for whoever asks, and follows. There is one for all nodes of a process,
//! as `tracing` has one listener for all of it; entries say of which node they are.

use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use super::Entry;
use crate::limits::{LOG_BYTES_MAX, LOG_LINES_MAX};

/// Recent events, the oldest first. The oldest are dropped beyond a limit, and counted.
#[derive(Default)]
pub struct Journal(Mutex<Ring>);

#[derive(Default)]
struct Ring {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// How many were dropped: the number of the first that is there.
    dropped: u64,
    /// Who waits for more.
    waiting: BTreeMap<u64, Waker>,
    readers: u64,
}

/// Reads a journal: first what is there, then what comes.
pub struct Reader {
    journal: Arc<Journal>,
    id: u64,
    /// The number of the next entry to read.
    next: u64,
}

/// What there was to read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct News {
    /// How many entries were dropped before they were read.
    pub missed: u64,
    /// Those that were not, in order.
    pub entries: Vec<Arc<Entry>>,
}

static OF_PROCESS: LazyLock<Arc<Journal>> = LazyLock::new(Arc::default);

impl Journal {
    /// That of this process. The platform fills it, from its `tracing` subscriber.
    pub fn of_process() -> Arc<Self> {
        Arc::clone(&OF_PROCESS)
    }

    /// Keeps one more.
    pub fn keep(&self, entry: Entry) {
        let waiting = {
            let mut ring = self.lock();
            ring.bytes += entry.bytes();
            ring.entries.push_back(Arc::new(entry));
            ring.shrink();
            core::mem::take(&mut ring.waiting)
        };
        // Whoever is woken may want to read at once.
        waiting.into_values().for_each(Waker::wake);
    }

    /// How many were dropped.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// A reader, from the oldest entry on.
    pub fn reader(self: &Arc<Self>) -> Reader {
        let mut ring = self.lock();
        ring.readers += 1;
        Reader {
            journal: Arc::clone(self),
            id: ring.readers,
            next: ring.dropped,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn shrink(&mut self) {
        while self.entries.len() > LOG_LINES_MAX || self.bytes > LOG_BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes();
            self.dropped += 1;
        }
    }
}

impl Reader {
    /// What there is to read now.
    pub fn take(&mut self) -> News {
        let ring = self.journal.lock();
        let missed = ring.dropped.saturating_sub(self.next);
        self.next += missed;
        let read = usize::try_from(self.next - ring.dropped).unwrap_or(usize::MAX);
        let entries: Vec<_> = ring.entries.iter().skip(read).cloned().collect();
        self.next += entries.len() as u64;
        News { missed, entries }
    }

    /// Waits until there is something to read, and takes it.
    pub async fn next(&mut self) -> News {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &Context<'_>) -> Poll<News> {
        let mut ring = self.journal.lock();
        if ring.dropped + ring.entries.len() as u64 <= self.next {
            let before = ring.waiting.insert(self.id, cx.waker().clone());
            drop(ring);
            drop(before);
            return Poll::Pending;
        }
        drop(ring);
        Poll::Ready(self.take())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let waiting = self.journal.lock().waiting.remove(&self.id);
        drop(waiting);
    }
}
