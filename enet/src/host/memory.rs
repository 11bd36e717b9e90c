//! What waits of all peers together, so that many who each keep what one may do not take all memory.
//!
//! For what comes a peer has all the room that others leave. If they leave too little, its datagram is
//! refused, which ENet makes good by sending again; and of the address of which most waits, the peer
//! of which most waits is ended, unless it is the one that has just been heard. A peer that only kept
//! silent would leave those without room for as long as it liked: stock ENet counts nothing here, so
//! there is no word by which it could be asked for less. Who keeps little never is that peer, and so
//! is never without room for long.
//!
//! What leaves can be put off by who sends it: once half of all is taken, who has more than an equal
//! share of the other half is told to wait. Only when all is taken is more than that refused.

use super::{Host, network};
use crate::Millis;
use crate::event::Reason;
use crate::limits::CROWDED_INTERVAL;
use crate::peer::{Share, State, Waits};
use crate::wire::Command;
use std::collections::HashMap;

impl Host {
    /// What may wait of what came from a peer, for what waits of the others.
    pub(super) fn receiving_share(&self, place: usize) -> usize {
        let own = self.peer_at(place).map_or(0, |peer| peer.counted.received);
        let others = self.waits.received - own;
        self.config.host_waiting_bytes_max.saturating_sub(others)
    }

    /// What may wait to leave for any one peer.
    pub(super) fn sending_share(&self) -> Share {
        let most = self.config.host_queued_bytes_max;
        let (queued, fair) = (self.waits.queued, most / 2 / self.active.max(1));
        let beyond = |limit| if queued > limit { fair } else { usize::MAX };
        Share {
            free: beyond(most / 2),
            most: beyond(most),
        }
    }

    /// Counts anew what waits of a peer.
    pub(super) fn count(&mut self, place: usize) {
        let Some(Some(peer)) = self.peers.get_mut(place) else {
            return;
        };
        let waits = peer.waits();
        let counted = std::mem::replace(&mut peer.counted, waits);
        self.waits.received += waits.received;
        self.waits.queued += waits.queued;
        self.uncount(counted);
    }

    /// Something no longer waits.
    pub(super) fn uncount(&mut self, counted: Waits) {
        self.waits.received -= counted.received;
        self.waits.queued -= counted.queued;
    }

    /// Ends who has most waiting, if there was no room for what has just come from another.
    pub(super) fn make_room(&mut self, now: Millis, heard: usize) {
        let is_crowded = |place| self.peer_at(place).is_some_and(|peer| peer.is_crowded());
        // Who has most itself is not to make us look for others with each of its datagrams.
        let is_tired = now < self.looked_at + CROWDED_INTERVAL;
        if !is_crowded(heard) || is_tired {
            return;
        }
        let Some(place) = self.largest().filter(|place| *place != heard) else {
            self.looked_at = now;
            return;
        };
        let Some(agreed) = self.peer_at(place).map(|peer| peer.agreed) else {
            return;
        };
        self.push_loose(&agreed, (1, 0), Command::Disconnect { data: 0 });
        self.with(place, now, |peer, ctx| peer.end(ctx, Reason::Crowded, 0));
        self.counters.crowded += 1;
        self.settle(place);
    }

    /// Of the address of which most waits, the peer of which most does.
    fn largest(&self) -> Option<usize> {
        let mut networks = HashMap::with_hasher(self.keyed.clone());
        let waiting = |place: &usize| match self.peer_at(*place) {
            Some(peer) if peer.state != State::Ended => peer.counted.received,
            _ => 0,
        };
        for (place, peer) in self.peers.iter().enumerate() {
            let Some(peer) = peer else { continue };
            let bytes = waiting(&place);
            let entry = networks.entry(network(peer.agreed.address));
            let (sum, largest) = entry.or_insert((0, place));
            *sum += bytes;
            if bytes > waiting(largest) {
                *largest = place;
            }
        }
        let most = networks.into_values().max_by_key(|(sum, _)| *sum);
        most.map(|(_, place)| place)
            .filter(|place| waiting(place) > 0)
    }
}
