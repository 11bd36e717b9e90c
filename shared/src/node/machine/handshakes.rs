//! Handshakes, as the machine runs them: who is called, and who calls. Keys make a session.

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::log::event;
use crate::node::events::Event;
use crate::node::machine::Machine;
use crate::node::machine::session::{Answering, Calling, PeerState, Session};
use crate::session::handshake::{self, Caller, Context, VERSION};
use crate::session::record::SessionId;
use crate::session::transport::{Remark, Transport};
use crate::session::{Payload, Via};

impl Machine {
    /// Sends the first message of a handshake, along a new route. A node that is calling, and may have its
    /// answer by now, is not called: that would end the session that it begins.
    pub(super) fn call(&mut self, peer: NodeId) -> Result<(), Failure> {
        let calls = |state: &PeerState| state.answering.is_some();
        if self.peers.get(&peer).is_some_and(calls) {
            event!(
                CONNECTION, DEBUG, self.id,
                peer = %peer.short(),
                "who is calling is not called"
            );
            return Ok(());
        }
        let rng = self.child_rng();
        let context = Context {
            identity: &self.identity,
            peer,
            zone: &self.zone,
        };
        let state = self.peers.get(&peer);
        let doubted = state.and_then(|state| state.session.as_ref()?.id());
        let (caller, first) = Caller::start(context, doubted, rng)
            .map_err(|error| Code::UnknownName.because(error.to_string()).of(peer))?;
        let deadline = self.now + self.config.timeouts.handshake;
        let via = self.open_route_to(peer, &Payload::first(VERSION, &first))?;
        let state = self.peers.entry(peer).or_default();
        state.calling = Some(Calling { caller, deadline });
        if let Some(unanswered) = state.opening.replace(via) {
            self.close_route(unanswered);
        }
        Ok(())
    }

    pub(super) fn receive_first(&mut self, via: Via, peer: NodeId, version: u8, noise: &[u8]) {
        if version != VERSION {
            self.send_payload(via, Payload::notice(Code::IncompatibleVersion));
            return;
        }
        // If both have called at once, the smaller id's call counts.
        let calling = self
            .peers
            .get(&peer)
            .is_some_and(|state| state.calling.is_some());
        if calling && self.id < peer {
            event!(CONNECTION, DEBUG, self.id, peer = %peer.short(), "both have called");
            return self.close_route(via);
        }
        let rng = self.child_rng();
        let context = Context {
            identity: &self.identity,
            peer,
            zone: &self.zone,
        };
        match handshake::answer(context, noise, rng) {
            Ok(answer) if self.reassure(peer, via, answer.doubted) => {
                event!(CONNECTION, DEBUG, self.id, peer = %peer.short(), "the session lives");
            }
            Ok(answer) => {
                let deadline = self.now + self.config.timeouts.handshake;
                let transport = Transport::new(answer.keys, self.config.resume_window_bytes);
                let state = self.peers.entry(peer).or_default();
                state.calling = None;
                state.answering = Some(Answering {
                    transport,
                    deadline,
                });
                self.send_payload(via, Payload::second(&answer.second));
                self.reschedule(peer);
            }
            Err(error) => {
                event!(ERROR, WARN, self.id, peer = %peer.short(), %error, "handshake refused");
                self.send_payload(via, Payload::notice(Code::Unauthorised));
            }
        }
    }

    /// Shows a caller who is not sure of a session that it lives: by a record of it, along the route of
    /// the call. Whether it does.
    fn reassure(&mut self, peer: NodeId, via: Via, doubted: Option<SessionId>) -> bool {
        let Some(state) = self.peers.get_mut(&peer) else {
            return false;
        };
        let session = state.session.as_mut();
        let session = session.and_then(|session| session.transport.as_mut());
        let answering = state.answering.as_mut().map(|a| &mut a.transport);
        let mut ours = session.into_iter().chain(answering);
        let Some(transport) = ours.find(|transport| Some(transport.id()) == doubted) else {
            return false;
        };
        let record = transport.seal_remark(&Remark::Ack);
        self.send_payload(via, record);
        true
    }

    pub(super) fn receive_second(&mut self, via: Via, peer: NodeId, noise: &[u8]) {
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        let Some(calling) = state.calling.take() else {
            return;
        };
        match calling.caller.finish(noise) {
            Ok(keys) => {
                let transport = Transport::new(keys, self.config.resume_window_bytes);
                self.establish(peer, transport, via);
            }
            Err(error) => {
                event!(ERROR, WARN, self.id, peer = %peer.short(), %error, "handshake failed");
                self.handshake_failed(peer, Code::Unauthorised.because(error.to_string()));
            }
        }
        self.reschedule(peer);
    }

    /// The other side cannot read us, or refuses. Nobody vouches for that, so a session that works
    /// is not ended by it: a new handshake will tell.
    pub(super) fn receive_notice(&mut self, peer: NodeId, code: Code) {
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        let established = state
            .session
            .as_ref()
            .is_some_and(|s| s.transport.is_some());
        if state.calling.is_some() && !established {
            state.calling = None;
            self.handshake_failed(peer, code.because("the node refused the session"));
        } else if established && state.calling.is_none() && self.call(peer).is_err() {
            event!(
                CONNECTION, DEBUG, self.id,
                peer = %peer.short(),
                "cannot begin anew for want of a route"
            );
        }
        self.reschedule(peer);
    }

    /// A call came to nothing. Only a session that waits for it ends.
    pub(super) fn handshake_failed(&mut self, peer: NodeId, failure: Failure) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.calling = None;
            if let Some(unanswered) = state.opening.take() {
                self.close_route(unanswered);
            }
        }
        if let Some(state) = self.peers.get_mut(&peer) {
            let waits = state
                .session
                .as_ref()
                .is_some_and(|s| s.transport.is_none());
            if waits && state.answering.is_none() {
                self.end_session(peer, &failure, false);
            }
        }
    }

    /// There are keys: a session that waited for them goes on, an older one has ended unnoticed.
    pub(super) fn establish(&mut self, peer: NodeId, transport: Transport, via: Via) {
        if self.has_session(peer) {
            self.begin_anew(peer, via);
        }
        let serial = self.next_serial();
        let fresh = || Session::new(serial, self.id, peer, self.now);
        let state = self.peers.entry(peer).or_default();
        let session = state.session.get_or_insert_with(fresh);
        session.transport = Some(transport);
        session.hear(self.now);
        for link in &state.directs {
            session.paths.add(Via::Direct { link: *link });
        }
        // The first record proves to the called node that the call is not a copy.
        session.remark(Remark::Ack);
        state.reroute_at = None;
        let serial = session.serial;
        event!(
            CONNECTION, DEBUG, self.id,
            peer = %peer.short(), session = serial, link = via.link().0,
            "session up"
        );
        self.emit(Event::SessionUp(peer));
        self.path_up(peer, via);
    }

    /// The other node has forgotten the session: it ends, but for the routes of the one to come.
    fn begin_anew(&mut self, peer: NodeId, via: Via) {
        event!(CONNECTION, DEBUG, self.id, peer = %peer.short(), "the other node has begun anew");
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        if let Some(session) = &mut state.session {
            session.paths.remove(via);
        }
        let opening = state.opening.take();
        let opened = state.opened.take_if(|opened| *opened == via);
        let directs = std::mem::take(&mut state.directs);
        self.end_session(peer, &Code::Gone.because("the node has begun anew"), false);
        let state = self.peers.entry(peer).or_default();
        state.opening = opening;
        state.opened = opened;
        state.directs = directs;
    }
}
