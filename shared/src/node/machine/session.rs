//! What a node keeps for each other node: the session with it, and the handshakes under way.

use core::time::Duration;
use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::Time;
use crate::config::Config;
use crate::id::NodeId;
use crate::limits::{DATAGRAMS_MAX, SESSION_ASK_AGAIN, SESSION_KEEPALIVE, SESSION_SILENCE_MAX};
use crate::link::LinkId;
use crate::node::events::{PathKind, StreamKey};
use crate::session::handshake::Caller;
use crate::session::record::SessionId;
use crate::session::transport::{Remark, Transport};
use crate::session::{Paths, Via};
use crate::stream::{Mux, Protocol, StreamId};

/// Remarks that wait to be sent; more are not worth it.
const REMARKS_MAX: usize = 16;

/// Everything about one other node.
#[derive(Debug, Default)]
pub(super) struct PeerState {
    pub(super) session: Option<Session>,
    pub(super) calling: Option<Calling>,
    pub(super) answering: Option<Answering>,
    pub(super) in_ready: bool,
    /// The link whose queue has no room for it now.
    pub(super) waiting: Option<LinkId>,
    /// Where this peer stands in the machine's timers.
    pub(super) timer: Option<Time>,
    /// The route that this node has opened and along which nothing has come yet.
    pub(super) opening: Option<Via>,
    /// The route that this node has opened and that works.
    pub(super) opened: Option<Via>,
    /// Direct links that work, the newest last.
    pub(super) directs: Vec<LinkId>,
    /// When to look for a route again.
    pub(super) reroute_at: Option<Time>,
    /// The relay has told that the node went; what still works is the direct link.
    pub(super) away: Option<crate::error::Code>,
    /// When the last notice went to it, which are few.
    pub(super) noticed: Option<Time>,
}

/// A session, from the first wish for it to its end.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) serial: u64,
    /// `None` until keys are agreed on; streams may be opened before.
    pub(super) transport: Option<Transport>,
    pub(super) mux: Mux,
    pub(super) paths: Paths,
    pub(super) shown_path: Option<PathKind>,
    pub(super) pathless_since: Option<Time>,
    /// When a stream or a datagram last carried something, either way.
    pub(super) used: Time,
    /// When something last came from the other node.
    heard: Time,
    /// When to ask for a sign of life, if none comes.
    ask_at: Time,
    remarks: VecDeque<Remark>,
    /// Datagrams that wait to leave.
    datagrams: VecDeque<Remark>,
    /// Datagrams take turns with streams.
    datagram_last: bool,
}

/// A handshake that this node has begun.
#[derive(Debug)]
pub(super) struct Calling {
    pub(super) caller: Caller,
    pub(super) deadline: Time,
}

/// A handshake that the other node has begun. It counts once a record under its keys arrives, for
/// only then the first message was no copy of an old one.
#[derive(Debug)]
pub(super) struct Answering {
    pub(super) transport: Transport,
    pub(super) deadline: Time,
}

impl PeerState {
    /// When something is due.
    pub(super) fn due(&self, config: &Config) -> Option<Time> {
        let session = self.session.as_ref();
        [
            // Without a path, or room on it, nothing can be sent, so nothing is overdue.
            session
                .filter(|s| s.paths.active().is_some() && self.waiting.is_none())
                .and_then(Session::due),
            session.and_then(|s| s.window_ends(config)),
            session
                .filter(|s| s.pathless_since.is_some() && s.mux.has_unannounced())
                .and_then(|s| s.pathless_since)
                .map(|since| since + config.timeouts.open),
            self.calling.as_ref().map(|c| c.deadline),
            self.answering.as_ref().map(|a| a.deadline),
            self.reroute_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether nothing is known that is worth keeping.
    pub(super) fn is_empty(&self) -> bool {
        self.session.is_none()
            && self.calling.is_none()
            && self.answering.is_none()
            && self.directs.is_empty()
    }
}

impl Session {
    pub(super) fn new(serial: u64, own: NodeId, peer: NodeId, now: Time) -> Self {
        Self {
            serial,
            transport: None,
            mux: Mux::new(own < peer),
            paths: Paths::default(),
            shown_path: None,
            pathless_since: Some(now),
            used: now,
            heard: now,
            ask_at: now + SESSION_KEEPALIVE,
            remarks: VecDeque::new(),
            datagrams: VecDeque::new(),
            datagram_last: false,
        }
    }

    /// When a session without a path ends, if none comes. One that is being agreed on has time for that.
    pub(super) fn window_ends(&self, config: &Config) -> Option<Time> {
        let window = match self.transport {
            Some(_) => config.resume_window,
            None => config.resume_window.max(config.timeouts.handshake),
        };
        self.pathless_since.map(|since| since + window)
    }

    /// Its id, once there are keys.
    pub(super) fn id(&self) -> Option<SessionId> {
        self.transport.as_ref().map(Transport::id)
    }

    pub(super) fn key(&self, peer: NodeId, stream: StreamId) -> StreamKey {
        StreamKey {
            peer,
            session: self.serial,
            stream,
        }
    }

    pub(super) fn remark(&mut self, remark: Remark) {
        if self.remarks.len() < REMARKS_MAX {
            self.remarks.push_back(remark);
        }
    }

    /// Queues a datagram; the oldest is lost if too many wait.
    pub(super) fn send_datagram(&mut self, protocol: Protocol, datagram: Bytes) {
        if self.datagrams.len() >= DATAGRAMS_MAX {
            self.datagrams.pop_front();
        }
        self.datagrams
            .push_back(Remark::Datagram(protocol, datagram));
    }

    /// The way that the next record takes, if there are keys and there is a way.
    pub(super) fn way(&self) -> Option<Via> {
        self.transport.as_ref().and(self.paths.active())
    }

    /// The next record to send. `frames` is a buffer to write in, whatever it holds.
    pub(super) fn next_record(&mut self, now: Time, frames: &mut BytesMut) -> Option<Bytes> {
        let transport = self.transport.as_mut()?;
        if let Some(remark) = self.remarks.pop_front() {
            return Some(transport.seal_remark(&remark));
        }
        if !std::mem::take(&mut self.datagram_last)
            && let Some(datagram) = self.datagrams.pop_front()
        {
            self.datagram_last = true;
            self.used = now;
            return Some(transport.seal_remark(&datagram));
        }
        if let Some(again) = transport.resend(now) {
            return Some(again);
        }
        if self.mux.wants_to_send() && transport.has_room(self.mux.wants_to_send_soon()) {
            frames.clear();
            self.mux.write_record(frames);
            if !frames.is_empty() {
                self.used = now;
                return Some(transport.seal(frames, now));
            }
        }
        if let Some(datagram) = self.datagrams.pop_front() {
            self.used = now;
            return Some(transport.seal_remark(&datagram));
        }
        transport
            .owes_ack(now)
            .then(|| transport.seal_remark(&Remark::Ack))
    }

    /// Whether there has been no path for so long that new streams do not wait for one.
    pub(super) fn is_out_of_patience(&self, now: Time, patience: Duration) -> bool {
        let established = self.transport.is_some();
        established
            && self
                .pathless_since
                .is_some_and(|since| since + patience <= now)
    }

    /// The other node has said something.
    pub(super) fn hear(&mut self, now: Time) {
        self.heard = now;
        self.ask_at = now + SESSION_KEEPALIVE;
    }

    /// Asks a silent node for a sign of life, if anybody waits for it. `false` if it was asked in vain:
    /// it is not at the other end of this way any more, or somebody in between passes nothing on.
    pub(super) fn look_after(&mut self, now: Time) -> bool {
        if now < self.ask_at || self.mux.is_empty() {
            return true;
        }
        if now >= self.heard + SESSION_SILENCE_MAX {
            self.hear(now);
            return false;
        }
        self.ask_at = now + SESSION_ASK_AGAIN;
        self.remark(Remark::Ping(0));
        true
    }

    fn due(&self) -> Option<Time> {
        let transport = self.transport.as_ref()?;
        let ask_at = (!self.mux.is_empty()).then_some(self.ask_at);
        [transport.deadline(), ask_at].into_iter().flatten().min()
    }
}
