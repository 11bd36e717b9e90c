//! Records and what else comes for a session, and what sessions have to send.

use bytes::Bytes;

use crate::error::Code;
use crate::id::NodeId;
use crate::limits::REROUTE_INTERVAL;
use crate::link::Frame;
use crate::log::event;
use crate::node::events::{Event, Pong};
use crate::node::machine::Machine;
use crate::session::record::{NotOurs, Sealed};
use crate::session::transport::{OpenError, Opened, Remark, Transport};
use crate::session::{Payload, Via};

impl Machine {
    /// Something came for the session with `peer`. Whether it was the peer that said it just now.
    pub(super) fn receive_payload(&mut self, via: Via, peer: NodeId, payload: Bytes) -> bool {
        match Payload::decode(payload) {
            Ok(Payload::First { version, noise }) => self.receive_first(via, peer, version, &noise),
            Ok(Payload::Second(noise)) => self.receive_second(via, peer, &noise),
            Ok(Payload::Notice(code)) => self.receive_notice(peer, code),
            Ok(Payload::Record(sealed)) => return self.receive_record(via, peer, &sealed),
            Err(error) => {
                event!(
                    MESSAGE, DEBUG, self.id,
                    peer = %peer.short(), link = via.link().0, %error,
                    "not a session's payload"
                );
            }
        }
        false
    }

    fn receive_record(&mut self, via: Via, peer: NodeId, sealed: &Sealed) -> bool {
        let now = self.now;
        let Some(state) = self.peers.get_mut(&peer) else {
            self.send_notice(via, peer);
            return false;
        };
        let mut opened = Err(OpenError::NotOurs(NotOurs));
        if let Some(answering) = &mut state.answering {
            // What is beyond the window was not opened, and proves nothing.
            opened = match answering.transport.open(sealed, now) {
                Ok(Opened::Again) => Err(OpenError::NotOurs(NotOurs)),
                opened => opened,
            };
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
            Ok(opened) => {
                let fresh = opened != Opened::Again;
                self.receive_opened(via, peer, opened);
                return fresh;
            }
            Err(OpenError::NotOurs(_)) => {
                event!(
                    MESSAGE, TRACE, self.id,
                    peer = %peer.short(), link = via.link().0,
                    "a record of no session here"
                );
                self.send_notice(via, peer);
            }
            Err(OpenError::Malformed(error)) => self.end_session(peer, &error.into(), true),
        }
        false
    }

    fn receive_opened(&mut self, via: Via, peer: NodeId, opened: Opened) {
        // What the peer says now, and not a copy of it, proves a route.
        let now = self.now;
        if opened != Opened::Again
            && let Some(state) = self.peers.get_mut(&peer)
            && let Some(session) = &mut state.session
        {
            session.hear(now);
            // Along the route of a call nothing can come that is older than the call.
            let answers = state.opening == Some(via);
            if answers {
                state.calling = None;
            }
            if answers || session.paths.active().is_none() {
                self.path_up(peer, via);
            }
        }
        let Some(session) = self.session_mut(peer) else {
            return;
        };
        match opened {
            Opened::Reliable => {
                session.used = now;
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
            Opened::Remark(Remark::Datagram(protocol, datagram)) => {
                session.used = now;
                self.emit(Event::Datagram(peer, protocol, datagram));
            }
            Opened::Remark(Remark::Ack) | Opened::Again => {}
        }
        self.after_stream(peer);
    }

    pub(super) fn receive_pong(&mut self, via: Via, peer: NodeId, id: u64) {
        if self.pings.get(&id).is_some_and(|(asked, _)| *asked == peer)
            && let Some((_, sent)) = self.pings.remove(&id)
        {
            let rtt = self.now.saturating_sub(sent);
            let path = self.path_kind(peer, Some(via));
            self.emit(Event::Pong(id, Ok(Pong { rtt, path })));
        }
    }

    /// Tells that a record cannot be read here, not too often: whoever has no session anymore.
    pub(super) fn send_notice(&mut self, via: Via, peer: NodeId) {
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

    pub(super) fn send_payload(&mut self, via: Via, payload: Bytes) {
        self.tell(
            via.link(),
            &Frame::Record {
                route: via.route(),
                payload,
            },
        );
    }

    pub(super) fn ready_peer(&mut self, peer: NodeId) {
        if let Some(state) = self.peers.get_mut(&peer)
            && !state.in_ready
        {
            state.in_ready = true;
            self.ready_peers.push_back(peer);
        }
    }

    /// There is room again on a link for which these have waited.
    pub(super) fn wait_no_more(&mut self, peers: Vec<NodeId>) {
        for peer in peers {
            if let Some(state) = self.peers.get_mut(&peer) {
                state.waiting = None;
            }
            self.ready_peer(peer);
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
                if state.waiting.replace(via.link()) != Some(via.link()) {
                    link.waiting.push(peer);
                    self.reschedule(peer);
                }
                continue;
            }
            state.waiting = None;
            if let Some(payload) = session.next_record(self.now, &mut self.frames) {
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
            // It may have waited, and nothing was due in the meantime.
            self.reschedule(peer);
        }
        false
    }
}
