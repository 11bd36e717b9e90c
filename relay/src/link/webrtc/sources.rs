//! From where connections are heard. A datagram that names nobody is for who has shown by a check that it is there;
//! several may have, one after the other or all at once, and none can take the address from another.

use std::collections::HashMap;
use std::net::SocketAddr;

use peerage::limits::WEBRTC_CLAIMS_MAX;

use crate::link::webrtc::ConnectionId;

/// Who has shown to be at an address, the newest last.
pub(super) type Claims = [Option<ConnectionId>; WEBRTC_CLAIMS_MAX];

/// The addresses.
#[derive(Debug, Default)]
pub(super) struct Sources(HashMap<SocketAddr, Claims>);

impl Sources {
    /// Whose a datagram may be that comes from there.
    pub(super) fn of(&self, from: SocketAddr) -> Claims {
        self.0.get(&from).copied().unwrap_or_default()
    }

    /// A connection has shown to be there. Beyond the limit the oldest claim makes way, which its owner's next check
    /// renews; tells whose.
    pub(super) fn claim(&mut self, from: SocketAddr, id: ConnectionId) -> Option<ConnectionId> {
        let claims = self.0.entry(from).or_default();
        if claims.contains(&Some(id)) {
            return None;
        }
        if let Some(free) = claims.iter_mut().find(|claim| claim.is_none()) {
            return free.replace(id);
        }
        claims.rotate_left(1);
        claims.last_mut().and_then(|last| last.replace(id))
    }

    /// A connection is there no more.
    pub(super) fn forget(&mut self, from: SocketAddr, id: ConnectionId) {
        let Some(claims) = self.0.get_mut(&from) else {
            return;
        };
        let kept = claims.iter().copied().filter(|claim| *claim != Some(id));
        let mut others = Claims::default();
        others
            .iter_mut()
            .zip(kept.flatten())
            .for_each(|(place, other)| *place = Some(other));
        *claims = others;
        if others == Claims::default() {
            self.0.remove(&from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u16) -> SocketAddr {
        ([192, 0, 2, 1], n).into()
    }

    fn of(sources: &Sources, from: SocketAddr) -> Vec<ConnectionId> {
        sources.of(from).into_iter().flatten().collect()
    }

    #[test]
    fn who_comes_later_is_heard_from_an_address_beside_who_was_there_first() {
        let mut sources = Sources::default();
        assert_eq!(sources.claim(at(1), 1), None);
        assert_eq!(sources.claim(at(1), 2), None);
        assert_eq!(sources.claim(at(1), 1), None);
        assert_eq!(of(&sources, at(1)), [1, 2]);
        assert!(of(&sources, at(2)).is_empty());
        sources.forget(at(1), 1);
        assert_eq!(of(&sources, at(1)), [2]);
        sources.forget(at(1), 2);
        assert!(sources.0.is_empty());
    }

    #[test]
    fn beyond_the_limit_the_oldest_makes_way_and_may_come_again() {
        let mut sources = Sources::default();
        let most = WEBRTC_CLAIMS_MAX as ConnectionId;
        for id in 0..most {
            assert_eq!(sources.claim(at(1), id), None);
        }
        assert_eq!(sources.claim(at(1), most), Some(0));
        assert_eq!(sources.claim(at(1), 0), Some(1));
        assert_eq!(of(&sources, at(1)).len(), WEBRTC_CLAIMS_MAX);
    }
}
