//! Handshakes that are not complete. They have no place among the peers; if there are too many, the
//! oldest are forgotten.

use super::keyed::Keyed;
use crate::Millis;
use crate::limits::PENDING_AGE_MAX;
use crate::peer::Agreed;
use crate::wire::Throttling;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

/// Who is meant by a datagram: its sender, and our number in it.
pub(super) type Route = (SocketAddr, u16);

#[derive(Debug)]
pub(super) struct Pending {
    max: usize,
    entries: HashMap<Route, Entry, Keyed>,
    /// In the order in which they came; with some that are complete.
    order: VecDeque<(Route, u32)>,
}

/// What is known of who asks for a connection.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) agreed: Agreed,
    pub(super) throttling: Throttling,
    pub(super) data: u32,
    /// What has to be in the acknowledgement: the number of what it acknowledges, and its time.
    pub(super) cookie: (u16, u16),
    pub(super) asked_at: Millis,
    /// When it was last answered.
    pub(super) answered_at: Millis,
}

impl Pending {
    pub(super) fn new(max: usize, keyed: Keyed) -> Self {
        Self {
            max,
            entries: HashMap::with_hasher(keyed),
            order: VecDeque::new(),
        }
    }

    pub(super) fn get(&self, route: &Route) -> Option<&Entry> {
        self.entries.get(route)
    }

    pub(super) fn get_mut(&mut self, route: &Route) -> Option<&mut Entry> {
        self.entries.get_mut(route)
    }

    pub(super) fn remove(&mut self, route: &Route) -> Option<Entry> {
        self.entries.remove(route)
    }

    /// Adds one, and says how many that were not too old were forgotten for it.
    pub(super) fn insert(&mut self, route: Route, entry: Entry, now: Millis) -> usize {
        let mut forgotten = 0;
        while let Some((route, connect_id)) = self.order.front() {
            let entry = self.entries.get(route);
            let entry = entry.filter(|entry| entry.agreed.connect_id == *connect_id);
            if let Some(entry) = entry {
                let is_old = now.saturating_sub(entry.asked_at) > PENDING_AGE_MAX;
                let is_full = self.entries.len() >= self.max;
                if !is_old && !is_full && self.order.len() < 2 * self.max {
                    break;
                }
                forgotten += usize::from(!is_old);
                self.entries.remove(route);
            }
            self.order.pop_front();
        }
        self.order.push_back((route, entry.agreed.connect_id));
        self.entries.insert(route, entry);
        forgotten
    }
}
