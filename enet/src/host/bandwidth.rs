//! How the bandwidth is shared out between the peers, once a second, if there is a limit at all.

use super::Host;
use crate::Millis;
use crate::path::SCALE;
use crate::peer::Peer;

const INTERVAL: Millis = 1000;

#[derive(Debug, Default)]
pub(super) struct Bandwidth {
    since: Millis,
    /// Whether some peer has said how much it can receive.
    is_limited: bool,
    /// Whether there are others than when it was last shared out.
    is_changed: bool,
    /// Whether the host has limits of its own.
    is_due: bool,
}

impl Bandwidth {
    pub(super) fn changed(&mut self) {
        self.is_changed = true;
    }

    pub(super) fn note(&mut self, incoming: u32) {
        self.is_limited |= incoming != 0;
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        (self.is_limited || self.is_due).then_some(self.since + INTERVAL)
    }
}

impl Host {
    pub(super) fn share_bandwidth(&mut self, now: Millis) {
        let elapsed = now.saturating_sub(self.bandwidth.since);
        let has_own = self.config.outgoing_bandwidth != 0 || self.config.incoming_bandwidth != 0;
        self.bandwidth.is_due = has_own && self.active > 0;
        if elapsed < INTERVAL {
            return;
        }
        let is_limited = std::mem::take(&mut self.bandwidth.is_limited);
        self.bandwidth.since = now;
        if is_limited || self.config.outgoing_bandwidth != 0 {
            self.share_outgoing(elapsed);
        }
        if self.config.incoming_bandwidth != 0 && self.bandwidth.is_changed {
            self.share_incoming();
        }
        self.bandwidth.is_changed = false;
    }

    /// Sets each peer's throttle: first for those that can take less than their share, then for
    /// the others from what is left.
    fn share_outgoing(&mut self, elapsed: Millis) {
        let per_interval = |bandwidth: u32| u64::from(bandwidth) * elapsed / 1000;
        let mut peers: Vec<&mut Peer> = self
            .peers
            .iter_mut()
            .flatten()
            .map(|peer| &mut **peer)
            .collect();
        peers.retain(|peer| peer.is_connected());
        let (mut total, mut left) = match self.config.outgoing_bandwidth {
            0 => (0, u64::MAX),
            own => (
                peers.iter().map(|peer| peer.offered_lately).sum(),
                per_interval(own),
            ),
        };
        loop {
            let share = share(left, total);
            let before = peers.len();
            peers.retain_mut(|peer| {
                let can = per_interval(peer.agreed.incoming_bandwidth);
                let offered = peer.offered_lately;
                if can == 0 || u64::from(share) * offered / u64::from(SCALE) <= can {
                    return true;
                }
                peer.path.limit(
                    u32::try_from(can * u64::from(SCALE) / offered)
                        .unwrap_or(SCALE)
                        .max(1),
                );
                left = left.saturating_sub(can);
                total = total.saturating_sub(offered);
                peer.offered_lately = 0;
                self.bandwidth.is_limited = true;
                false
            });
            if peers.len() == before {
                break;
            }
        }
        let share = share(left, total);
        for peer in peers {
            self.bandwidth.is_limited |= peer.agreed.incoming_bandwidth != 0;
            peer.path.limit(share);
            peer.offered_lately = 0;
        }
    }

    /// Tells each peer how much it may send us.
    fn share_incoming(&mut self) {
        let mut left = self.config.incoming_bandwidth;
        let mut wants: Vec<_> = self
            .peers
            .iter()
            .enumerate()
            .filter_map(|(place, peer)| Some((place, peer.as_deref()?)))
            .filter(|(_, peer)| peer.is_connected())
            .map(|(place, peer)| (peer.agreed.outgoing_bandwidth, place))
            .collect();
        // Who cannot send their share leave more to the others; 0 stands for any number.
        wants.sort_by_key(|(want, _)| want.wrapping_sub(1));
        let mut count = wants.len() as u32;
        for (want, place) in wants {
            let share = left / count.max(1);
            let limit = if want != 0 { share.min(want) } else { share };
            left -= limit;
            count -= 1;
            let own = self.config.outgoing_bandwidth;
            if let Some(Some(peer)) = self.peers.get_mut(place) {
                peer.tell_bandwidth(limit.max(1), own);
            }
            self.settle(place);
        }
    }
}

fn share(left: u64, total: u64) -> u32 {
    if total <= left {
        return SCALE;
    }
    u32::try_from(left * u64::from(SCALE) / total).unwrap_or(SCALE)
}
