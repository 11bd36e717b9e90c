//! Sessions, as the machine runs them: who is called, what came, which way it goes, how it ends.

use bytes::Bytes;

use crate::Time;
use crate::error::{Code, Failure};
use crate::id::{Name, NodeId};
use crate::limits::{
    HANDSHAKE_TIMEOUT, PING_TIMEOUT, REQUEST_TIMEOUT, REROUTE_INTERVAL, RESUME_WINDOW, RETURN_GRACE,
};
use crate::link::frame::{Control, Member};
use crate::link::{Frame, LinkId};
use crate::node::events::{Event, PathKind, Peer, Pong, State, StreamKey};
use crate::node::machine::Machine;
use crate::node::session::{Answering, Calling, Session};
use crate::session::handshake::{self, Caller, Context, VERSION};
use crate::session::path::Moved;
use crate::session::record::Sealed;
use crate::session::transport::{OpenError, Opened, Remark, Transport};
use crate::session::{Payload, Via};
use crate::stream::flow::Read;
use crate::stream::{Mux, MuxEvent, Protocol};

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// This node itself.
    Here,
    /// A node that is known.
    Known(NodeId),
    /// The relay is asked; an event with this number will tell.
    Asked(u32),
    /// Nobody.
    Unknown(Failure),
}

/// Commands: what the program wants.
impl Machine {
    /// Who is meant by a name, an id, or the beginning of an id.
    pub fn resolve(&mut self, text: &str) -> Resolution {
        if self.name().is_some_and(|name| name.as_str() == text) {
            return Resolution::Here;
        }
        if let Some(member) = self.members.values().find(|m| m.name.as_str() == text) {
            return Resolution::Known(member.id);
        }
        if let Ok(id) = text.parse::<NodeId>() {
            return if id == self.id {
                Resolution::Here
            } else {
                Resolution::Known(id)
            };
        }
        if let Some(found) = self.resolve_shortened(text) {
            return found;
        }
        match (text.parse::<Name>(), self.uplink.link()) {
            (Ok(name), Some(link)) => {
                let request = self.next_request();
                self.resolves.insert(request, self.now + REQUEST_TIMEOUT);
                self.tell(link, &Frame::Control(Control::Resolve { request, name }));
                self.sweep_soon();
                Resolution::Asked(request)
            }
            (Err(error), _) => Resolution::Unknown(unknown_name(text, &error.to_string())),
            (Ok(_), None) => Resolution::Unknown(unknown_name(text, "nobody here has this name")),
        }
    }

    fn resolve_shortened(&self, text: &str) -> Option<Resolution> {
        /// Fewer characters are too easily a name's.
        const SHORTEST: usize = 4;
        let own =
            (text.len() >= SHORTEST && self.id.to_string().starts_with(text)).then_some(self.id);
        let mut matching = self
            .members
            .keys()
            .copied()
            .filter(|id| id.to_string().starts_with(text))
            .chain(own);
        let first = matching.next().filter(|_| text.len() >= SHORTEST)?;
        if matching.next().is_some() {
            let reason = "several ids begin like this";
            return Some(Resolution::Unknown(unknown_name(text, reason)));
        }
        Some(if first == self.id {
            Resolution::Here
        } else {
            Resolution::Known(first)
        })
    }

    /// Makes sure that there is a session with `peer`, or one being agreed on.
    pub fn connect(&mut self, peer: NodeId) -> Result<(), Failure> {
        if peer == self.id {
            return Err(Code::Refused.because("this is the node itself"));
        }
        if self.state == State::Closed {
            return Err(Code::Left.because("this node has left"));
        }
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

    /// Opens a stream of `protocol` to `peer`, and a session if there is none.
    pub fn open(&mut self, peer: NodeId, protocol: &str) -> Result<StreamKey, Failure> {
        self.connect(peer)?;
        let Some(session) = self.session_mut(peer) else {
            return Err(Code::Unreachable.because("no session"));
        };
        let stream = session.mux.open(protocol.to_owned())?;
        let key = session.key(peer, stream);
        self.ready_peer(peer);
        Ok(key)
    }

    /// Queues a message. `Ok(false)` if it must wait for [`Event::Writable`].
    pub fn send(&mut self, key: StreamKey, message: &Bytes) -> Result<bool, Failure> {
        let sent = self
            .streams_of(key)
            .ok_or_else(no_stream)?
            .send(key.stream, message);
        self.after_stream(key.peer);
        sent
    }

    /// The next message that came on a stream.
    pub fn read(&mut self, key: StreamKey) -> Read {
        let Some(mux) = self.streams_of(key) else {
            return Read::Reset(no_stream());
        };
        let read = mux.read(key.stream);
        // Reading may make room for the other side, which has to be told.
        if mux.wants_to_send() {
            self.after_stream(key.peer);
        }
        read
    }

    /// Why a stream has ended early, if it has.
    pub fn failure(&mut self, key: StreamKey) -> Option<Failure> {
        match self.streams_of(key) {
            Some(mux) => mux.failure(key.stream),
            None => Some(no_stream()),
        }
    }

    /// No more messages on this stream from here.
    pub fn finish(&mut self, key: StreamKey) {
        if let Some(mux) = self.streams_of(key) {
            mux.finish(key.stream);
            self.after_stream(key.peer);
        }
    }

    /// Ends a stream early, and tells the other side why.
    pub fn reset(&mut self, key: StreamKey, failure: Failure) {
        if let Some(mux) = self.streams_of(key) {
            mux.reset(key.stream, failure);
            self.after_stream(key.peer);
        }
    }

    /// The program lets go of a stream that it has finished or reset.
    pub fn release(&mut self, key: StreamKey) {
        if let Some(mux) = self.streams_of(key) {
            mux.release(key.stream);
            self.after_stream(key.peer);
            self.forget_ended(key.session);
        }
    }

    /// The program lets go of a stream. If it has not finished sending, the stream is reset.
    pub fn abandon(&mut self, key: StreamKey, failure: Failure) {
        if let Some(mux) = self.streams_of(key) {
            mux.abandon(key.stream, failure);
            self.after_stream(key.peer);
            self.forget_ended(key.session);
        }
    }

    fn forget_ended(&mut self, serial: u64) {
        if self.ended.get(&serial).is_some_and(Mux::is_empty) {
            self.ended.remove(&serial);
        }
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
}

/// Handshakes.
impl Machine {
    /// Sends the first message of a handshake, along a new route.
    fn call(&mut self, peer: NodeId) -> Result<(), Failure> {
        let rng = self.child_rng();
        let context = Context {
            identity: &self.identity,
            peer,
            zone: &self.zone,
        };
        let (caller, first) = Caller::start(context, rng)
            .map_err(|error| Code::UnknownName.because(error.to_string()).of(peer))?;
        let deadline = self.now + HANDSHAKE_TIMEOUT;
        self.peers.entry(peer).or_default().calling = Some(Calling { caller, deadline });
        self.open_route_to(peer, Payload::first(VERSION, &first))
            .map(|_| ())
    }

    /// Asks for a route whose first payload this is.
    fn open_route_to(&mut self, peer: NodeId, payload: Bytes) -> Result<Option<Via>, Failure> {
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

    /// Something came for the session with `peer`.
    pub(super) fn receive_payload(&mut self, via: Via, peer: NodeId, payload: Bytes) {
        match Payload::decode(payload) {
            Ok(Payload::First { version, noise }) => self.receive_first(via, peer, version, &noise),
            Ok(Payload::Second(noise)) => self.receive_second(via, peer, &noise),
            Ok(Payload::Notice(code)) => self.receive_notice(peer, code),
            Ok(Payload::Record(sealed)) => self.receive_record(via, peer, &sealed),
            Err(error) => tracing::debug!(peer = %peer.short(), %error, "not a session's payload"),
        }
    }

    fn receive_first(&mut self, via: Via, peer: NodeId, version: u8, noise: &[u8]) {
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
            return;
        }
        let rng = self.child_rng();
        let context = Context {
            identity: &self.identity,
            peer,
            zone: &self.zone,
        };
        match handshake::answer(context, noise, rng) {
            Ok((keys, second)) => {
                let deadline = self.now + HANDSHAKE_TIMEOUT;
                let transport = Transport::new(keys);
                let state = self.peers.entry(peer).or_default();
                state.calling = None;
                state.answering = Some(Answering {
                    transport,
                    deadline,
                });
                self.send_payload(via, Payload::second(&second));
                self.reschedule(peer);
            }
            Err(error) => {
                tracing::warn!(peer = %peer.short(), %error, "handshake refused");
                self.send_payload(via, Payload::notice(Code::Unauthorised));
            }
        }
    }

    fn receive_second(&mut self, via: Via, peer: NodeId, noise: &[u8]) {
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        let Some(calling) = state.calling.take() else {
            return;
        };
        match calling.caller.finish(noise) {
            Ok(keys) => self.establish(peer, Transport::new(keys), via),
            Err(error) => {
                tracing::warn!(peer = %peer.short(), %error, "handshake failed");
                self.handshake_failed(peer, Code::Unauthorised.because(error.to_string()));
            }
        }
        self.reschedule(peer);
    }

    /// The other side cannot read us, or refuses. Nobody vouches for that, so a session that works
    /// is not ended by it: a new handshake will tell.
    fn receive_notice(&mut self, peer: NodeId, code: Code) {
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
            tracing::debug!(peer = %peer.short(), "cannot begin anew for want of a route");
        }
        self.reschedule(peer);
    }

    /// A call came to nothing. Only a session that waits for it ends.
    fn handshake_failed(&mut self, peer: NodeId, failure: Failure) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.calling = None;
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
    fn establish(&mut self, peer: NodeId, transport: Transport, via: Via) {
        if self
            .session_mut(peer)
            .is_some_and(|session| session.transport.is_some())
        {
            self.end_session(peer, &Code::Gone.because("the node has begun anew"), false);
        }
        let serial = self.next_serial();
        let fresh = || Session::new(serial, self.id, peer, self.now);
        let state = self.peers.entry(peer).or_default();
        let session = state.session.get_or_insert_with(fresh);
        session.transport = Some(transport);
        // The first record proves to the called node that the call is not a copy.
        session.remark(Remark::Ack);
        state.reroute_at = None;
        tracing::debug!(peer = %peer.short(), "session up");
        self.emit(Event::SessionUp(peer));
        self.path_up(peer, via);
    }
}

/// Records.
impl Machine {
    fn receive_record(&mut self, via: Via, peer: NodeId, sealed: &Sealed) {
        let now = self.now;
        let Some(state) = self.peers.get_mut(&peer) else {
            return self.send_notice(via, peer);
        };
        let mut opened = Err(OpenError::NotOurs(crate::session::record::NotOurs));
        if let Some(answering) = &mut state.answering {
            opened = answering.transport.open(sealed, now);
            if opened.is_ok()
                && let Some(answering) = state.answering.take()
            {
                self.establish(peer, answering.transport, via);
            }
        }
        if matches!(opened, Err(OpenError::NotOurs(_)))
            && let Some(transport) = self.session_mut(peer).and_then(|s| s.transport.as_mut())
        {
            opened = transport.open(sealed, now);
        }
        match opened {
            Ok(opened) => self.receive_opened(via, peer, opened),
            Err(OpenError::NotOurs(_)) => self.send_notice(via, peer),
            Err(OpenError::Malformed(error)) => self.end_session(peer, &error.into(), true),
        }
    }

    fn receive_opened(&mut self, via: Via, peer: NodeId, opened: Opened) {
        // A record that arrives along a route proves the route.
        if !via.is_direct()
            && self
                .session_mut(peer)
                .is_some_and(|s| !s.paths.has_relayed())
        {
            self.path_up(peer, via);
        }
        let Some(session) = self.session_mut(peer) else {
            return;
        };
        match opened {
            Opened::Reliable => {
                while let Some(frames) = session
                    .transport
                    .as_mut()
                    .and_then(Transport::next_in_order)
                {
                    if let Err(failure) = session.mux.read_record(frames) {
                        self.end_session(peer, &failure, true);
                        return;
                    }
                }
            }
            Opened::Remark(Remark::Ping(id)) => session.remark(Remark::Pong(id)),
            Opened::Remark(Remark::Pong(id)) => self.receive_pong(via, peer, id),
            Opened::Remark(Remark::Close(failure)) => {
                self.end_session(peer, &failure, false);
                return;
            }
            Opened::Remark(Remark::Ack) | Opened::Again => {}
        }
        self.after_stream(peer);
    }

    fn receive_pong(&mut self, via: Via, peer: NodeId, id: u64) {
        if self.pings.get(&id).is_some_and(|(asked, _)| *asked == peer)
            && let Some((_, sent)) = self.pings.remove(&id)
        {
            let path = if via.is_direct() {
                PathKind::Direct
            } else {
                PathKind::Relayed
            };
            self.emit(Event::Pong(
                id,
                Ok(Pong {
                    rtt: self.now.saturating_sub(sent),
                    path,
                }),
            ));
        }
    }

    /// Tells that a record cannot be read here, not too often: whoever has no session anymore.
    fn send_notice(&mut self, via: Via, peer: NodeId) {
        let now = self.now;
        if let Some(state) = self.peers.get_mut(&peer) {
            if state
                .noticed
                .is_some_and(|last| now < last + REROUTE_INTERVAL)
            {
                return;
            }
            state.noticed = Some(now);
        }
        self.send_payload(via, Payload::notice(Code::Gone));
    }

    fn send_payload(&mut self, via: Via, payload: Bytes) {
        self.tell(
            via.link(),
            &Frame::Record {
                route: via.route(),
                payload,
            },
        );
    }

    /// What streams have to tell, and to send, after anything happened to them.
    fn after_stream(&mut self, peer: NodeId) {
        while let Some(session) = self.session_mut(peer)
            && let Some(event) = session.mux.poll_event()
        {
            let serial = session.serial;
            let key = |stream| StreamKey {
                peer,
                session: serial,
                stream,
            };
            match event {
                MuxEvent::Incoming(stream, protocol) => self.incoming(key(stream), protocol),
                MuxEvent::Readable(stream) => self.emit(Event::Readable(key(stream))),
                MuxEvent::Writable(stream) => self.emit(Event::Writable(key(stream))),
            }
        }
        self.ready_peer(peer);
        self.reschedule(peer);
    }

    fn incoming(&mut self, key: StreamKey, protocol: Protocol) {
        if self.protocols.contains(&protocol) {
            self.emit(Event::Incoming(key, protocol));
        } else if let Some(mux) = self.streams_of(key) {
            let failure = Code::UnknownProtocol.because(format!("nobody speaks `{protocol}` here"));
            mux.reset(key.stream, failure);
            mux.release(key.stream);
        }
    }

    pub(super) fn ready_peer(&mut self, peer: NodeId) {
        if let Some(state) = self.peers.get_mut(&peer)
            && !state.in_ready
        {
            state.in_ready = true;
            self.ready_peers.push_back(peer);
        }
    }

    /// Lets one session put one record into its link's queue. Whether that was so.
    pub(super) fn pump_peers(&mut self) -> bool {
        while let Some(peer) = self.ready_peers.pop_front() {
            let Some(state) = self.peers.get_mut(&peer) else {
                continue;
            };
            state.in_ready = false;
            let Some(session) = &mut state.session else {
                continue;
            };
            let Some(via) = session.way() else { continue };
            let Some(link) = self.links.get_mut(&via.link()) else {
                continue;
            };
            if !link.queue.has_room() {
                link.waiting.push(peer);
                continue;
            }
            if let Some(payload) = session.next_record(self.now) {
                self.tell(
                    via.link(),
                    &Frame::Record {
                        route: via.route(),
                        payload,
                    },
                );
                self.after_stream(peer);
                return true;
            }
        }
        false
    }
}

/// Ways.
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

    fn lost_all_paths(&mut self, peer: NodeId) {
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

    fn show_path(&mut self, peer: NodeId) {
        let Some(session) = self.session_mut(peer) else {
            return;
        };
        let path = session.way().map(kind_of);
        if path.is_none() || path == session.shown_path {
            return;
        }
        session.shown_path = path;
        if let Some(member) = self.members.get(&peer) {
            let peer = self.peer(member);
            tracing::debug!(peer = %peer.name, path = %peer.path, "path");
            self.emit(Event::PathChange(peer));
        }
    }

    pub(super) fn peer(&self, member: &Member) -> Peer {
        let session = self
            .peers
            .get(&member.id)
            .and_then(|state| state.session.as_ref());
        Peer {
            id: member.id,
            name: member.name.clone(),
            kind: member.kind,
            path: session
                .and_then(Session::way)
                .map_or(PathKind::Relayed, kind_of),
            rtt: session
                .and_then(|s| s.transport.as_ref())
                .and_then(Transport::round_trip),
        }
    }
}

/// What the relay tells.
impl Machine {
    pub(super) fn receive_from_relay(
        &mut self,
        link: LinkId,
        control: Control,
    ) -> Result<(), Failure> {
        match control {
            Control::Join(member) => {
                if let Some(state) = self.peers.get_mut(&member.id) {
                    state.away = None;
                }
                self.member_joined(member);
            }
            Control::Leave { id, reason } => {
                self.member_gone(id, &reason.because("the relay no longer sees the node"));
            }
            Control::Resolved { request, id } => {
                if self.resolves.remove(&request).is_some() {
                    let found = id.ok_or_else(|| unknown_name("", "nobody here has this name"));
                    self.emit(Event::Resolved(request, found));
                }
            }
            Control::Opened { request, route } => {
                self.opened(link, request, Via::Relayed { link, route })
            }
            Control::OpenRefused { request, failure } => self.open_refused(request, failure),
            Control::Incoming {
                route,
                from,
                payload,
            } => {
                self.routes.insert((link, route), from);
                self.receive_payload(Via::Relayed { link, route }, from, payload.into());
            }
            Control::Closed { route } => {
                if let Some(peer) = self.routes.remove(&(link, route)) {
                    self.path_down(peer, Via::Relayed { link, route });
                }
            }
            _ => return Err(Code::BadMessage.because("got a frame that only a member may send")),
        }
        Ok(())
    }

    fn opened(&mut self, link: LinkId, request: u32, via: Via) {
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

    fn open_refused(&mut self, request: u32, failure: Failure) {
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

    /// The members as the relay now tells them. A relay that has just begun anew does not know yet
    /// who is about to return, so whoever is missing has a while.
    pub(super) fn replace_members(&mut self, members: Vec<Member>) {
        let here: std::collections::BTreeSet<_> = members.iter().map(|member| member.id).collect();
        let gone: Vec<_> = self
            .members
            .keys()
            .filter(|id| !here.contains(id))
            .copied()
            .collect();
        for id in gone {
            self.missing.insert(id, self.now + RETURN_GRACE);
        }
        self.sweep_soon();
        for member in members {
            if let Some(state) = self.peers.get_mut(&member.id) {
                state.away = None;
            }
            self.member_joined(member);
        }
    }

    /// A node went. While a direct link to it lives it is still here for us.
    pub(super) fn member_gone(&mut self, id: NodeId, reason: &Failure) {
        self.missing.remove(&id);
        let direct = self
            .session_mut(id)
            .is_some_and(|session| session.paths.active().is_some_and(Via::is_direct));
        if direct && reason.code != Code::Left {
            if let Some(state) = self.peers.get_mut(&id) {
                state.away = Some(reason.code);
            }
            return;
        }
        self.end_session(id, reason, false);
        self.remove_member(id, reason);
    }

    fn remove_member(&mut self, id: NodeId, reason: &Failure) {
        if let Some(member) = self.members.remove(&id) {
            let peer = self.peer(&member);
            let reason = reason.clone().of(&peer.name);
            self.emit(Event::PeerLeave(peer, reason));
        }
    }
}

/// Time, and the end.
impl Machine {
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
            self.handshake_failed(peer, Code::TimedOut.because("the node did not confirm"));
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
            self.reroute(peer);
        }
        let Some(session) = self.session_mut(peer) else {
            return self.reschedule(peer);
        };
        if session
            .pathless_since
            .is_some_and(|since| since + RESUME_WINDOW <= now)
        {
            let failure = Code::TimedOut.because("no path came back within the resume window");
            self.end_session(peer, &failure, false);
        } else if session.paths.active().is_some()
            && let Some(transport) = &mut session.transport
        {
            transport.handle_time(now);
            self.ready_peer(peer);
        }
        self.reschedule(peer);
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
        let due = state.due().map(|due| due.max(soon));
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
        let away = state.away.take();
        let Some(mut session) = state.session.take() else {
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
        tracing::debug!(peer = %peer.short(), %failure, "session down");
        self.emit(Event::SessionDown(peer, failure.clone()));
        for via in session.paths.iter().filter(|via| via.is_direct()) {
            self.say_bye(via.link());
        }
        self.bury(peer, session, &failure);
        if away.is_some() {
            self.remove_member(peer, &failure);
        }
        self.reschedule(peer);
    }

    /// Tells every stream of a session that it has ended, and keeps them until their holders let go.
    fn bury(&mut self, peer: NodeId, session: Session, failure: &Failure) {
        let (serial, mut mux) = (session.serial, session.mux);
        mux.end(failure);
        while let Some(event) = mux.poll_event() {
            let key = |stream| StreamKey {
                peer,
                session: serial,
                stream,
            };
            match event {
                MuxEvent::Incoming(stream, _) => mux.release(stream),
                MuxEvent::Readable(stream) => self.emit(Event::Readable(key(stream))),
                MuxEvent::Writable(stream) => self.emit(Event::Writable(key(stream))),
            }
        }
        if !mux.is_empty() {
            self.ended.insert(serial, mux);
        }
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

    /// The streams of a session that lives, or of one that has ended and is still looked at.
    fn streams_of(&mut self, key: StreamKey) -> Option<&mut Mux> {
        let session = self
            .peers
            .get_mut(&key.peer)
            .and_then(|state| state.session.as_mut());
        match session.filter(|session| session.serial == key.session) {
            Some(session) => Some(&mut session.mux),
            None => self.ended.get_mut(&key.session),
        }
    }
}

fn kind_of(via: Via) -> PathKind {
    if via.is_direct() {
        PathKind::Direct
    } else {
        PathKind::Relayed
    }
}

fn unknown_name(text: &str, reason: &str) -> Failure {
    let failure = Code::UnknownName.because(reason);
    if text.is_empty() {
        failure
    } else {
        failure.of(text)
    }
}

fn no_stream() -> Failure {
    Code::Gone.because("the session of this stream has ended")
}
