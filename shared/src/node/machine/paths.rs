//! The ways that sessions take: routes through relays, and direct links.

use bytes::Bytes;

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{REROUTE_INTERVAL, ROUTE_TIMEOUT};
use crate::link::LinkId;
use crate::log::event;
use crate::node::events::{Event, PathKind};
use crate::node::machine::Machine;
use crate::session::Via;
use crate::session::path::Moved;
use crate::session::transport::Remark;

impl Machine {
    /// A way to `peer` has come to be, and something that the peer said just now came along it.
    pub(super) fn path_up(&mut self, peer: NodeId, via: Via) {
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        let Some(session) = &mut state.session else {
            return;
        };
        event!(
            CONNECTION, TRACE, self.id,
            peer = %peer.short(), link = via.link().0, route = via.route().0,
            "path up"
        );
        session.paths.add(via);
        session.pathless_since = None;
        let mut unneeded = None;
        if state.opening == Some(via) {
            state.opening = None;
            // The other side sees to those that it has opened.
            unneeded = state.opened.replace(via);
        }
        if state.opening.is_none() {
            state.reroute_at = None;
        }
        if let Some(unneeded) = unneeded {
            self.close_route(unneeded);
        }
        self.show_path(peer);
        self.ready_peer(peer);
        self.reschedule(peer);
    }

    /// A direct link to `peer` works.
    pub(super) fn direct_up(&mut self, peer: NodeId, link: LinkId) {
        self.peers.entry(peer).or_default().directs.push(link);
        // Beside a link in the tree, it first has to be the quicker one.
        let neighbour = self.is_neighbour(peer);
        if let Some(session) = self.session_mut(peer) {
            session.paths.prefer_relayed(neighbour);
        }
        self.path_up(peer, Via::Direct { link });
        self.weigh_ways(peer);
    }

    /// Two nodes that are linked in the tree take that link, or their direct one, as one of them is quicker.
    pub(super) fn weigh_ways(&mut self, peer: NodeId) {
        let neighbour = self.is_neighbour(peer);
        let session = self
            .peers
            .get(&peer)
            .and_then(|state| state.session.as_ref());
        let Some((session, (direct, relayed))) =
            session.and_then(|session| Some((session, session.paths.both()?)))
        else {
            return;
        };
        let quality = |via: Via| self.links.get(&via.link()).map(|link| link.quality);
        let (Some(direct), Some(relayed)) = (quality(direct), quality(relayed)) else {
            return;
        };
        let prefers = match session.paths.prefers_relayed() {
            true => neighbour && !direct.is_quicker_than(&relayed),
            false => neighbour && relayed.is_quicker_than(&direct),
        };
        let Some(session) = self.session_mut(peer) else {
            return;
        };
        if session.paths.prefer_relayed(prefers) != Moved::No {
            event!(
                CONNECTION, DEBUG, self.id,
                peer = %peer.short(), direct = !prefers,
                "the quicker way"
            );
            self.show_path(peer);
            self.ready_peer(peer);
            self.reschedule(peer);
        }
    }

    /// Whether the two are linked in the zone's tree.
    fn is_neighbour(&self, peer: NodeId) -> bool {
        self.is_uplink(peer) || self.is_linked_below(peer)
    }

    pub(super) fn direct_down(&mut self, peer: NodeId, link: LinkId) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.directs.retain(|direct| *direct != link);
            self.path_down(peer, Via::Direct { link });
            self.reschedule(peer);
        }
    }

    /// Nothing comes by this way, though the other node was asked.
    pub(super) fn give_up_path(&mut self, peer: NodeId, via: Via) {
        event!(
            CONNECTION, DEBUG, self.id,
            peer = %peer.short(), link = via.link().0, direct = via.is_direct(),
            "path gives no sign of life"
        );
        match via {
            Via::Relayed { .. } => self.close_route(via),
            Via::Direct { link } => {
                self.refuse(
                    link,
                    Code::TimedOut.because("the session gives no sign of life"),
                );
            }
        }
    }

    /// A way to `peer` is no more. What was under way there goes again by another.
    pub(super) fn path_down(&mut self, peer: NodeId, via: Via) {
        let now = self.now;
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        let Some(session) = &mut state.session else {
            return;
        };
        event!(
            CONNECTION, TRACE, self.id,
            peer = %peer.short(), link = via.link().0, route = via.route().0,
            "path down"
        );
        let moved = session.paths.remove(via);
        if let Some(link) = state.directs.last() {
            session.paths.add(Via::Direct { link: *link });
        }
        if moved == Moved::Lost {
            event!(
                CONNECTION, DEBUG, self.id,
                peer = %peer.short(), link = via.link().0, direct = via.is_direct(),
                "path lost"
            );
            if let Some(transport) = &mut session.transport {
                transport.rewind(now);
            }
            if session.paths.active().is_none() {
                session.pathless_since = Some(now);
                self.lost_all_paths(peer);
            }
        }
        self.show_path(peer);
        self.ready_peer(peer);
        self.reschedule(peer);
    }

    pub(super) fn lost_all_paths(&mut self, peer: NodeId) {
        if let Some(code) = self.peers.get(&peer).and_then(|state| state.away) {
            self.end_session(peer, &code.because("the node is no longer here"), false);
        } else {
            self.reroute(peer);
        }
    }

    /// Opens a route for a session that has keys but no way; later again, if there is none now.
    pub(super) fn reroute(&mut self, peer: NodeId) {
        let now = self.now;
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        let Some(session) = &mut state.session else {
            return;
        };
        let Some(transport) = session.transport.as_mut() else {
            return;
        };
        if session.paths.active().is_some() || state.opening.is_some() {
            return;
        }
        // The pong proves the route.
        let question = transport.seal_remark(&Remark::Ping(0));
        state.reroute_at = Some(now + ROUTE_TIMEOUT);
        let opened = self.open_route_to(peer, &question);
        if let Some(state) = self.peers.get_mut(&peer) {
            match opened {
                Ok(via) => state.opening = Some(via),
                Err(failure) => {
                    event!(
                        CONNECTION, DEBUG, self.id,
                        peer = %peer.short(), %failure,
                        "no route yet"
                    );
                    state.reroute_at = Some(now + REROUTE_INTERVAL);
                }
            }
        }
        self.reschedule(peer);
    }

    /// The last attempt was refused a while ago, or nobody has answered.
    pub(super) fn reroute_again(&mut self, peer: NodeId) {
        let state = self.peers.get_mut(&peer);
        if let Some(unanswered) = state.and_then(|state| state.opening.take()) {
            self.close_route(unanswered);
        }
        self.reroute(peer);
    }

    pub(super) fn reroute_all(&mut self) {
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.reroute(peer);
        }
    }

    /// Somebody has opened a route to this node: whoever does has no other that works.
    pub(super) fn incoming_route(&mut self, via: Via, peer: NodeId, payload: Bytes) {
        let opening = self.peers.get(&peer).and_then(|state| state.opening);
        if !self.receive_payload(via, peer, payload) {
            return;
        }
        // If both have opened one at once, that of the smaller id stays.
        if let Some(own) = opening.filter(|_| peer < self.id) {
            event!(CONNECTION, DEBUG, self.id, peer = %peer.short(), "both have opened a route");
            if let Some(state) = self.peers.get_mut(&peer) {
                state.opening = None;
            }
            self.close_route(own);
        }
        self.path_up(peer, via);
    }

    /// A route has ended, or could not be opened.
    pub(super) fn route_down(&mut self, peer: NodeId, via: Via, failure: &Failure) {
        event!(
            CONNECTION, TRACE, self.id,
            peer = %peer.short(), link = via.link().0, route = via.route().0, %failure,
            "route down"
        );
        let retry_at = self.now + REROUTE_INTERVAL;
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        if state.opened == Some(via) {
            state.opened = None;
        }
        if state.opening != Some(via) {
            return self.path_down(peer, via);
        }
        state.opening = None;
        if state.calling.is_some() {
            self.handshake_failed(peer, failure.clone());
        } else if failure.code == Code::UnknownName && !self.missing.contains_key(&peer) {
            // Nobody knows anything of it, and no direct link is left either.
            let pathless = |s: &mut super::session::Session| s.paths.active().is_none();
            if self.session_mut(peer).is_some_and(pathless) {
                let gone = Code::Gone.because("the node did not return");
                self.end_session(peer, &gone, false);
            }
        } else {
            event!(CONNECTION, DEBUG, self.id, peer = %peer.short(), %failure, "no route yet");
            state.reroute_at = Some(retry_at);
        }
        self.reschedule(peer);
    }

    /// Whether what goes this way passes a relay. A relay and its nodes are neighbours, though their
    /// session takes a route.
    pub(super) fn path_kind(&self, peer: NodeId, via: Option<Via>) -> PathKind {
        let direct = via.is_some_and(Via::is_direct);
        if direct || self.is_neighbour(peer) {
            PathKind::Direct
        } else {
            PathKind::Relayed
        }
    }

    pub(super) fn show_path(&mut self, peer: NodeId) {
        let Some(session) = self.session_mut(peer) else {
            return;
        };
        let Some(via) = session.way() else {
            return;
        };
        let path = Some(self.path_kind(peer, Some(via)));
        let Some(session) = self.session_mut(peer).filter(|s| s.shown_path != path) else {
            return;
        };
        session.shown_path = path;
        if let Some(member) = self.members.get(&peer) {
            let peer = self.peer(member);
            event!(
                CONNECTION, DEBUG, self.id,
                peer = %peer.id.short(), name = %peer.name, link = via.link().0, path = %peer.path,
                "path"
            );
            self.emit(Event::PathChange(peer));
        }
    }
}
