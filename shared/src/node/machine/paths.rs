//! The ways that sessions take: routes through the relay, and direct links.

use bytes::Bytes;

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::REROUTE_INTERVAL;
use crate::link::frame::Control;
use crate::link::{Frame, LinkId};
use crate::node::events::{Event, PathKind};
use crate::node::machine::Machine;
use crate::session::Via;
use crate::session::path::Moved;
use crate::session::transport::Remark;

impl Machine {
    /// A way to `peer` has come to be.
    pub(super) fn path_up(&mut self, peer: NodeId, via: Via) {
        let Some(session) = self.session_mut(peer) else {
            return;
        };
        session.paths.add(via);
        session.pathless_since = None;
        if let Some(state) = self.peers.get_mut(&peer) {
            state.reroute_at = None;
        }
        self.show_path(peer);
        self.ready_peer(peer);
        self.reschedule(peer);
    }

    /// A way to `peer` is no more. What was under way there goes again by another.
    pub(super) fn path_down(&mut self, peer: NodeId, via: Via) {
        let now = self.now;
        let Some(session) = self.session_mut(peer) else {
            return;
        };
        if session.paths.remove(via) == Moved::Lost {
            tracing::debug!(peer = %peer.short(), direct = via.is_direct(), "path lost");
            if let Some(transport) = &mut session.transport {
                transport.rewind(now);
            }
        }
        if session.paths.active().is_none() {
            session.pathless_since = Some(now);
            self.lost_all_paths(peer);
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

    /// Asks for a route for a session that has keys but no way; later again, if there is none now.
    pub(super) fn reroute(&mut self, peer: NodeId) {
        let now = self.now;
        let Some(session) = self.session_mut(peer) else {
            return;
        };
        if session.paths.active().is_some() {
            return;
        }
        let Some(transport) = &mut session.transport else {
            return;
        };
        let hello = transport.seal_remark(&Remark::Ack);
        if let Some(state) = self.peers.get_mut(&peer) {
            state.reroute_at = Some(now + REROUTE_INTERVAL);
        }
        match self.open_route_to(peer, hello) {
            Ok(Some(via)) => self.path_up(peer, via),
            Ok(None) => {}
            Err(failure) => tracing::trace!(peer = %peer.short(), %failure, "no route yet"),
        }
        self.reschedule(peer);
    }

    pub(super) fn reroute_all(&mut self) {
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.reroute(peer);
        }
    }

    /// The link to the relay is no more, and with it every route.
    pub(super) fn routes_down(&mut self, link: LinkId) {
        let lost: Vec<_> = self.routes.extract_if(|(l, _), _| *l == link).collect();
        for ((link, route), peer) in lost {
            self.path_down(peer, Via::Relayed { link, route });
        }
        let failure = Code::Unreachable.because("the link to the relay has ended");
        for (_, peer) in std::mem::take(&mut self.opens) {
            self.handshake_failed(peer, failure.clone());
        }
        for (request, _) in std::mem::take(&mut self.resolves) {
            self.emit(Event::Resolved(request, Err(failure.clone())));
        }
    }

    /// Whether what goes this way passes a relay. A relay and its nodes are neighbours, though their
    /// session takes a route.
    pub(super) fn path_kind(&self, peer: NodeId, via: Option<Via>) -> PathKind {
        let direct = via.is_some_and(Via::is_direct);
        if direct || self.is_uplink(peer) || self.has_link_of(peer) {
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
            tracing::debug!(peer = %peer.name, path = %peer.path, "path");
            self.emit(Event::PathChange(peer));
        }
    }

    /// Asks for a route whose first payload this is.
    pub(super) fn open_route_to(
        &mut self,
        peer: NodeId,
        payload: Bytes,
    ) -> Result<Option<Via>, Failure> {
        if self.is_relay() {
            return self.open_from_here(peer, payload.to_vec()).map(Some);
        }
        let Some(link) = self.uplink.link() else {
            return Err(Code::Unreachable
                .because("there is no link to a relay now")
                .of(peer));
        };
        let request = self.next_request();
        self.opens.insert(request, peer);
        let payload = payload.to_vec();
        self.tell(
            link,
            &Frame::Control(Control::Open {
                request,
                target: peer,
                payload,
            }),
        );
        Ok(None)
    }

    pub(super) fn opened(&mut self, link: LinkId, request: u32, via: Via) {
        let Some(peer) = self.opens.remove(&request) else {
            return;
        };
        self.routes.insert((link, via.route()), peer);
        if self
            .session_mut(peer)
            .is_some_and(|session| session.transport.is_some())
        {
            self.path_up(peer, via);
        }
    }

    pub(super) fn open_refused(&mut self, request: u32, failure: Failure) {
        let Some(peer) = self.opens.remove(&request) else {
            return;
        };
        let calling = self
            .peers
            .get(&peer)
            .is_some_and(|state| state.calling.is_some());
        if calling {
            self.handshake_failed(peer, failure);
        } else if failure.code == Code::UnknownName && !self.missing.contains_key(&peer) {
            // The relay knows nothing of it, and no direct link is left either.
            if self
                .session_mut(peer)
                .is_some_and(|s| s.paths.active().is_none())
            {
                self.end_session(peer, &Code::Gone.because("the node did not return"), false);
            }
        }
    }
}
