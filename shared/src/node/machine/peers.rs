//! Sessions with other nodes, as the machine runs them: how they begin, what is due, how they end.

use core::time::Duration;

use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::PING_TIMEOUT;
use crate::log::event;
use crate::node::events::{Event, State};
use crate::node::machine::Machine;
use crate::node::machine::session::Session;
use crate::session::transport::Remark;

impl Machine {
    /// How long no stream or datagram of the session with `peer` has carried anything; `None` without one.
    pub fn unused_for(&self, peer: NodeId) -> Option<Time> {
        let session = self.peers.get(&peer)?.session.as_ref()?;
        Some(self.now.saturating_sub(session.used))
    }

    /// Makes sure that there is a session with `peer`, or one being agreed on.
    pub fn connect(&mut self, peer: NodeId) -> Result<(), Failure> {
        if peer == self.id {
            return Err(Code::Refused.because("this is the node itself"));
        }
        if self.state == State::Closed {
            return Err(Code::Left.because("this node has left"));
        }
        self.check_access(peer)?;
        if self
            .peers
            .get(&peer)
            .is_some_and(|state| state.session.is_some())
        {
            return Ok(());
        }
        let serial = self.next_serial();
        let session = Session::new(serial, self.id, peer, self.now);
        self.peers.entry(peer).or_default().session = Some(session);
        if let Err(failure) = self.call(peer) {
            self.end_session(peer, &failure, false);
            return Err(failure);
        }
        self.reschedule(peer);
        Ok(())
    }

    /// Whether there is a session with `peer` whose keys are agreed on.
    pub fn has_session(&self, peer: NodeId) -> bool {
        let session = self.peers.get(&peer).and_then(|s| s.session.as_ref());
        session.is_some_and(|session| session.transport.is_some())
    }

    /// Asks `peer` for a sign of life along the session's way; an event with this number tells.
    pub fn ping(&mut self, peer: NodeId) -> Result<u64, Failure> {
        self.connect(peer)?;
        let id = self.next_serial();
        self.pings.insert(id, (peer, self.now));
        if let Some(session) = self.session_mut(peer) {
            session.remark(Remark::Ping(id));
        }
        self.ready_peer(peer);
        self.sweep_soon();
        Ok(id)
    }

    pub(super) fn peer_time(&mut self, peer: NodeId) {
        let now = self.now;
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        state.timer = None;
        if state
            .answering
            .as_ref()
            .is_some_and(|answering| answering.deadline <= now)
        {
            state.answering = None;
            self.call_instead(peer);
        }
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        if state
            .calling
            .as_ref()
            .is_some_and(|calling| calling.deadline <= now)
        {
            self.handshake_failed(peer, Code::TimedOut.because("the node does not answer"));
        }
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        let reroute = state.reroute_at.is_some_and(|due| due <= now);
        if reroute {
            state.reroute_at = None;
            self.reroute_again(peer);
        }
        let patience = self.config.timeouts.open;
        let Some(session) = self.session_mut(peer) else {
            return self.reschedule(peer);
        };
        if session.is_out_of_patience(now, patience) && session.mux.has_unannounced() {
            session.mux.end_unannounced(&no_path(peer));
            let serial = session.serial;
            event!(
                MESSAGE, DEBUG, self.id,
                peer = %peer.short(), session = serial,
                "new streams wait no longer for a path"
            );
            self.after_stream(peer);
        }
        let state = self.peers.get_mut(&peer);
        let Some(session) = state.and_then(|state| state.session.as_mut()) else {
            return self.reschedule(peer);
        };
        if session
            .window_ends(&self.config)
            .is_some_and(|end| end <= now)
        {
            let failure = Code::TimedOut.because("no path came back within the resume window");
            self.end_session(peer, &failure, false);
        } else if session.paths.active().is_some()
            && let Some(transport) = &mut session.transport
        {
            transport.handle_time(now);
            if !session.look_after(now)
                && let Some(via) = session.paths.active()
            {
                self.give_up_path(peer, via);
            }
            self.ready_peer(peer);
        }
        self.reschedule(peer);
    }

    /// The node has called and does not confirm: a session that waits for that needs a call of its own.
    fn call_instead(&mut self, peer: NodeId) {
        let waits = |session: &Session| session.transport.is_none();
        if self.session_mut(peer).is_some_and(|session| waits(session))
            && let Err(failure) = self.call(peer)
        {
            self.handshake_failed(peer, failure);
        }
    }

    /// Keeps the machine's timer for a peer true.
    pub(super) fn reschedule(&mut self, peer: NodeId) {
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        if state.is_empty() && state.timer.is_none() && !state.in_ready && state.away.is_none() {
            self.peers.remove(&peer);
            return;
        }
        // What is due now is done by the pump, or waits for a link; looking again at once is no use.
        let soon = self.now + Time::from_millis(1);
        let due = state.due(&self.config).map(|due| due.max(soon));
        if due == state.timer {
            return;
        }
        if let Some(old) = std::mem::replace(&mut state.timer, due) {
            self.timers.remove(&(old, peer));
        }
        if let Some(due) = due {
            self.timers.insert((due, peer));
        }
    }

    /// Ends a session with everything on it; tells the other node if `tell`.
    pub(super) fn end_session(&mut self, peer: NodeId, failure: &Failure, tell: bool) {
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        state.calling = None;
        state.answering = None;
        state.reroute_at = None;
        let mut routes: Vec<_> = state.opening.take().into_iter().collect();
        routes.extend(state.opened.take());
        let directs = std::mem::take(&mut state.directs);
        let away = state.away.take();
        let Some(mut session) = state.session.take() else {
            routes.into_iter().for_each(|via| self.close_route(via));
            directs
                .into_iter()
                .for_each(|link| self.say_bye(link, Duration::ZERO, failure));
            return self.reschedule(peer);
        };
        if tell
            && let Some(via) = session.way()
            && let Some(transport) = &mut session.transport
        {
            let record = transport.seal_remark(&Remark::Close(failure.clone()));
            self.send_payload(via, record);
        }
        let name = self
            .members
            .get(&peer)
            .map_or_else(|| peer.short(), |m| m.name.to_string());
        let failure = failure.clone().of(name);
        event!(
            CONNECTION, DEBUG, self.id,
            peer = %peer.short(), session = session.serial, %failure,
            "session down"
        );
        self.emit(Event::SessionDown(peer, failure.clone()));
        let ways: Vec<_> = session.paths.iter().chain(routes).collect();
        ways.into_iter().for_each(|via| self.close_route(via));
        directs
            .into_iter()
            .for_each(|link| self.say_bye(link, Duration::ZERO, &failure));
        self.bury(peer, session, &failure);
        if away.is_some() {
            self.remove_member(peer, &failure);
        }
        self.reschedule(peer);
    }

    pub(super) fn requests_time(&mut self) {
        let now = self.now;
        let gone: Vec<_> = self.missing.extract_if(.., |_, due| *due <= now).collect();
        for (id, _) in gone {
            self.member_gone(id, &Code::Gone.because("it did not return to the zone"));
        }
        let late: Vec<_> = self.resolves.extract_if(.., |_, due| *due <= now).collect();
        for (request, _) in late {
            let failure = Code::TimedOut.because("the relay does not answer");
            self.emit(Event::Resolved(request, Err(failure)));
        }
        let late: Vec<_> = self
            .pings
            .extract_if(.., |_, (_, sent)| *sent + PING_TIMEOUT <= now)
            .collect();
        for (id, (peer, _)) in late {
            let failure = Code::TimedOut.because("no answer to a ping").of(peer);
            self.emit(Event::Pong(id, Err(failure)));
        }
    }

    pub(super) fn requests_due(&self) -> Option<Time> {
        let pings = self.pings.values().map(|(_, sent)| *sent + PING_TIMEOUT);
        pings
            .chain(self.resolves.values().copied())
            .chain(self.missing.values().copied())
            .min()
    }

    pub(super) fn session_mut(&mut self, peer: NodeId) -> Option<&mut Session> {
        self.peers.get_mut(&peer)?.session.as_mut()
    }
}

/// Why a stream cannot be opened now.
pub(super) fn no_path(peer: NodeId) -> Failure {
    Code::Unreachable
        .because("no path leads to the node now")
        .of(peer)
}
