//! Routes: how they are opened hop by hop, how records pass along them, how they end. A node that
//! forwards cannot read what it forwards, and keeps nothing of it.

use bytes::Bytes;
use rand_chacha::rand_core::RngCore;

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::link::frame::Control;
use crate::link::{Frame, LinkId, Origin, RouteHandle};
use crate::log::event;
use crate::node::machine::Machine;
use crate::routing::routes::{End, NoRoute};
use crate::session::Via;

/// What a node has passed on since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Records passed on.
    pub forwarded_records: u64,
    /// Their bytes.
    pub forwarded_bytes: u64,
    /// Records not passed on because the link beyond takes too little; their senders send them again.
    pub dropped_records: u64,
    /// Routes in use.
    pub routes: usize,
}

/// What goes by a node's links, and what waits at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes of packets that came by links since it began, those that have ended among them.
    pub received_bytes: u64,
    /// Bytes of packets that left.
    pub sent_bytes: u64,
    /// Callers that were turned away before their link was in use: for who they are, or how they call.
    pub refused_links: u64,
    /// Streams that are open, and those that have ended and are still looked at.
    pub streams: usize,
    /// Bytes that wait to leave by links.
    pub queued_bytes: usize,
    /// Bytes of sessions that others have not acknowledged yet.
    pub unacknowledged_bytes: usize,
    /// Bytes that came by sessions and are not read yet.
    pub unread_bytes: u64,
}

/// A route that somebody opens.
pub(super) struct Opening {
    pub(super) route: RouteHandle,
    pub(super) from: NodeId,
    pub(super) target: NodeId,
    pub(super) payload: Bytes,
}

impl Machine {
    /// What this node has forwarded.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            routes: self.routes.passing(),
            ..self.hub.traffic
        }
    }

    /// What goes by its links, and what waits: a look at all of them.
    pub fn load(&self) -> Load {
        let mut load = self.hub.load;
        for link in self.links.values() {
            load.received_bytes += link.bytes_in;
            load.sent_bytes += link.bytes_out;
            load.queued_bytes += link.queue.len_bytes();
        }
        let sessions = self.peers.values().filter_map(|peer| peer.session.as_ref());
        for transport in sessions.clone().filter_map(|s| s.transport.as_ref()) {
            load.unacknowledged_bytes += transport.unacknowledged_bytes();
        }
        for mux in sessions.map(|s| &s.mux).chain(self.ended.values()) {
            load.streams += mux.len();
            load.unread_bytes += mux.held_bytes();
        }
        load
    }

    /// The routes that use a link. At rest, both ends of it know the same ones.
    pub fn routes_over(&self, link: LinkId) -> impl Iterator<Item = RouteHandle> {
        self.routes.over(link)
    }

    /// Passes a record on: a look-up, and the same bytes again.
    pub(super) fn receive_routed(
        &mut self,
        from: LinkId,
        route: RouteHandle,
        payload: Bytes,
        raw: Bytes,
    ) {
        match self.routes.next(from, route) {
            Some(End::Link(to)) => self.forward(to, route, raw),
            Some(End::Here(peer)) => {
                self.receive_payload(Via::Relayed { link: from, route }, peer, payload);
            }
            None => {
                let failure = Code::Gone.because("there is no such route");
                self.tell(from, &Frame::Control(Control::Closed { route, failure }));
            }
        }
    }

    fn forward(&mut self, to: LinkId, route: RouteHandle, raw: Bytes) {
        let Some(link) = self.links.get_mut(&to) else {
            return;
        };
        let bytes = raw.len() as u64;
        if link.queue.push_forwarded(route, raw).is_ok() {
            self.hub.traffic.forwarded_records += 1;
            self.hub.traffic.forwarded_bytes += bytes;
            self.ready_link(to);
        } else {
            self.hub.traffic.dropped_records += 1;
            link.dropped += 1;
            let dropped = link.dropped;
            // There may be thousands a second.
            if dropped.is_power_of_two() {
                event!(
                    MESSAGE,
                    DEBUG,
                    self.id,
                    link = to.0,
                    route = route.0,
                    dropped,
                    "a record is dropped: the link is slow"
                );
            }
        }
    }

    /// Somebody opens a route: it ends here, or goes on, or there is no way.
    pub(super) fn receive_open(&mut self, link: LinkId, opening: Opening, raw: Bytes) {
        let Opening {
            route,
            from,
            target,
            payload,
        } = opening;
        // Our own frame has crossed this one, or the neighbour does not keep to the rules.
        if self.routes.next(link, route).is_some() {
            return;
        }
        let opened = if !self.may_speak_for(link, from) {
            Err(Code::Unauthorised.because("a route that is opened in another's name"))
        } else if target == self.id {
            self.check_access(from).and_then(|()| {
                let ends = self.routes.end_here(link, route, from);
                ends.map(|()| None).map_err(NoRoute::failure)
            })
        } else {
            self.pass_route(link, route, target).map(Some)
        };
        match opened {
            Ok(None) => self.incoming_route(Via::Relayed { link, route }, from, payload),
            Ok(Some(to)) => {
                self.hub.traffic.forwarded_records += 1;
                self.hub.traffic.forwarded_bytes += payload.len() as u64;
                self.tell_encoded(to, raw);
            }
            Err(failure) => {
                let failure = failure.of(target);
                event!(
                    CONNECTION, DEBUG, self.id,
                    link = link.0, route = route.0, peer = %from.short(), %failure,
                    "route refused"
                );
                self.tell(link, &Frame::Control(Control::Closed { route, failure }));
            }
        }
    }

    /// A neighbour below speaks for itself and for those below it; the one above for everybody.
    fn may_speak_for(&self, link: LinkId, id: NodeId) -> bool {
        let above = self
            .links
            .get(&link)
            .is_some_and(|l| l.origin == Origin::Dialled);
        above
            || self
                .hub
                .ways
                .get(&id)
                .is_some_and(|ways| ways.contains(&link))
    }

    fn pass_route(
        &mut self,
        from: LinkId,
        route: RouteHandle,
        target: NodeId,
    ) -> Result<LinkId, Failure> {
        let to = self.next_hop(target)?;
        if to == from {
            return Err(Code::Unreachable.because("the way to the node leads back"));
        }
        self.routes
            .pass(from, to, route)
            .map_err(NoRoute::failure)?;
        Ok(to)
    }

    /// The link by which a node is reached.
    fn next_hop(&self, target: NodeId) -> Result<LinkId, Failure> {
        if let Some(link) = self.hub.ways.get(&target).and_then(|ways| ways.last()) {
            return Ok(*link);
        }
        if let Some(link) = self.uplink.link() {
            return Ok(link);
        }
        Err(if !self.is_primary() {
            Code::Unreachable.because("there is no link to a relay now")
        } else if self.members.contains_key(&target) {
            Code::Unreachable.because("the node has lost its link, and may return")
        } else {
            Code::UnknownName.because("nobody here has this id")
        })
    }

    /// Opens a route whose first payload this is. It counts once the other node has answered along it.
    pub(super) fn open_route_to(&mut self, peer: NodeId, payload: &Bytes) -> Result<Via, Failure> {
        let link = self.next_hop(peer).map_err(|failure| failure.of(peer))?;
        let route = self.new_handle(link);
        self.routes
            .end_here(link, route, peer)
            .map_err(NoRoute::failure)?;
        let open = Control::Open {
            route,
            from: self.id,
            target: peer,
            payload: payload.to_vec(),
        };
        self.tell(link, &Frame::Control(open));
        Ok(Via::Relayed { link, route })
    }

    /// Chance keeps nodes that know nothing of each other from choosing the same one.
    fn new_handle(&mut self, link: LinkId) -> RouteHandle {
        loop {
            // Zero is the route of direct links.
            let handle = RouteHandle(self.rng.next_u32().max(1));
            if self.routes.next(link, handle).is_none() {
                return handle;
            }
        }
    }

    /// A route is not needed any more.
    pub(super) fn close_route(&mut self, via: Via) {
        let Via::Relayed { link, route } = via else {
            return;
        };
        if let Some(End::Here(peer)) = self.routes.close(link, route) {
            let failure = Code::Left.because("the route is not needed any more");
            self.tell(link, &Frame::Control(Control::Closed { route, failure }));
            self.path_down(peer, via);
        }
    }

    pub(super) fn receive_closed(&mut self, link: LinkId, route: RouteHandle, failure: Failure) {
        if let Some(end) = self.routes.close(link, route) {
            let failure = self.excuse(failure);
            self.route_ended(link, route, end, &failure);
        }
    }

    /// A primary that may have begun anew cannot know that a node does not exist.
    fn excuse(&self, failure: Failure) -> Failure {
        if failure.code == Code::UnknownName && self.uplink.has_just_returned(self.now) {
            event!(CONNECTION, DEBUG, self.id, "the relay may have begun anew");
            return Code::Unreachable.because("the node is not here, and may return");
        }
        failure
    }

    /// A link is no more, and with it its routes.
    pub(super) fn routes_down(&mut self, link: LinkId) {
        let failure = Code::Unreachable.because("a link of the route has ended");
        for (route, end) in self.routes.close_link(link) {
            self.route_ended(link, route, end, &failure);
        }
    }

    fn route_ended(&mut self, link: LinkId, route: RouteHandle, end: End, failure: &Failure) {
        match end {
            End::Link(other) => {
                let failure = failure.clone();
                self.tell(other, &Frame::Control(Control::Closed { route, failure }));
            }
            End::Here(peer) => self.route_down(peer, Via::Relayed { link, route }, failure),
        }
    }
}

impl NoRoute {
    fn failure(self) -> Failure {
        match self {
            Self::InUse => Code::Refused.because("the handle of the route is in use; try another"),
            Self::TooMany => Code::Overloaded.because("too many routes use a link"),
        }
    }
}
