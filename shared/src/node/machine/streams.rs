//! Streams, as the machine runs them: what the program does with them, and what they have to tell.

use bytes::Bytes;

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::DATAGRAM_BYTES_MAX;
use crate::log::event;
use crate::node::events::{Event, StreamKey};
use crate::node::machine::Machine;
use crate::node::machine::peers::no_path;
use crate::node::machine::session::Session;
use crate::stream::flow::Read;
use crate::stream::mux::check_protocol;
use crate::stream::{Mux, MuxEvent, Priority, Protocol, StreamId};

impl Machine {
    /// Opens a stream of `protocol` to `peer`, and a session if there is none.
    pub fn open(&mut self, peer: NodeId, protocol: &str) -> Result<StreamKey, Failure> {
        self.begin(peer, protocol, |mux| mux.open(protocol.to_owned()))
    }

    /// Opens a stream of the first of these protocols that `peer` speaks: what is sent on it waits until
    /// [`Machine::choice`] tells which.
    pub fn open_any(&mut self, peer: NodeId, protocols: &[&str]) -> Result<StreamKey, Failure> {
        let offered = protocols.iter().map(|&protocol| protocol.into()).collect();
        self.begin(peer, &protocols.join(" "), |mux| mux.offer(offered))
    }

    fn begin(
        &mut self,
        peer: NodeId,
        protocol: &str,
        open: impl FnOnce(&mut Mux) -> Result<StreamId, Failure>,
    ) -> Result<StreamKey, Failure> {
        self.connect(peer)?;
        let (now, patience) = (self.now, self.config.timeouts.open);
        let Some(session) = self.session_mut(peer) else {
            return Err(Code::Unreachable.because("no session"));
        };
        if session.is_out_of_patience(now, patience) {
            return Err(no_path(peer));
        }
        let stream = open(&mut session.mux)?;
        let key = session.key(peer, stream);
        event!(
            MESSAGE, TRACE, self.id,
            peer = %peer.short(), session = key.session, stream = stream.0, protocol,
            "a stream is opened"
        );
        self.ready_peer(peer);
        Ok(key)
    }

    /// Which of the protocols that were offered is spoken, by its place: known with an
    /// [`Event::Readable`]. The error is why none is.
    pub fn choice(&mut self, key: StreamKey) -> Result<Option<u8>, Failure> {
        self.streams_of(key)
            .ok_or_else(no_stream)?
            .choice(key.stream)
    }

    /// Whether a message can be queued now. If not, it must wait for [`Event::Writable`].
    pub fn is_ready(&mut self, key: StreamKey) -> Result<bool, Failure> {
        let ready = self
            .streams_of(key)
            .ok_or_else(no_stream)?
            .is_ready(key.stream);
        self.after_stream(key.peer);
        ready
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

    /// How urgent what is sent on a stream is, from now on.
    pub fn set_priority(&mut self, key: StreamKey, priority: Priority) {
        if let Some(mux) = self.streams_of(key) {
            mux.set_priority(key.stream, priority);
        }
    }

    /// Sends a datagram, if it can leave before too many others wait.
    pub fn send_datagram(
        &mut self,
        peer: NodeId,
        protocol: &str,
        datagram: Bytes,
    ) -> Result<(), Failure> {
        if datagram.len() > DATAGRAM_BYTES_MAX {
            return Err(Code::TooLarge.because(format!(
                "expected a datagram of at most {DATAGRAM_BYTES_MAX} bytes, got {}",
                datagram.len()
            )));
        }
        check_protocol(protocol)?;
        self.connect(peer)?;
        if let Some(session) = self.session_mut(peer) {
            session.send_datagram(protocol.to_owned(), datagram);
        }
        self.ready_peer(peer);
        Ok(())
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
        self.with_streams(key, |mux| mux.finish(key.stream));
    }

    /// Ends a stream early, and tells the other side why.
    pub fn reset(&mut self, key: StreamKey, failure: Failure) {
        event!(
            MESSAGE, DEBUG, self.id,
            peer = %key.peer.short(), session = key.session, stream = key.stream.0,
            code = %failure.code,
            "a stream is reset here"
        );
        self.with_streams(key, |mux| mux.reset(key.stream, failure));
    }

    /// The program lets go of a stream that it has finished or reset.
    pub fn release(&mut self, key: StreamKey) {
        self.with_streams(key, |mux| mux.release(key.stream));
    }

    /// The program lets go of a stream. If it has not finished sending, the stream is reset.
    pub fn abandon(&mut self, key: StreamKey, failure: Failure) {
        self.with_streams(key, |mux| mux.abandon(key.stream, failure));
    }

    fn with_streams(&mut self, key: StreamKey, change: impl FnOnce(&mut Mux)) {
        if let Some(mux) = self.streams_of(key) {
            change(mux);
            self.after_stream(key.peer);
            if self.ended.get(&key.session).is_some_and(Mux::is_empty) {
                self.ended.remove(&key.session);
            }
        }
    }

    /// What streams have to tell, and to send, after anything happened to them.
    pub(super) fn after_stream(&mut self, peer: NodeId) {
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
                MuxEvent::Incoming(stream, protocols) => self.incoming(key(stream), protocols),
                MuxEvent::Readable(stream) => self.emit(Event::Readable(key(stream))),
                MuxEvent::Writable(stream) => self.emit(Event::Writable(key(stream))),
                MuxEvent::Slow(stream) => self.emit(Event::Slow(key(stream))),
                MuxEvent::Reset(stream, code) => {
                    event!(
                        MESSAGE, DEBUG, self.id,
                        peer = %peer.short(), session = serial, stream = stream.0, %code,
                        "a stream was reset"
                    );
                }
            }
        }
        self.ready_peer(peer);
        self.reschedule(peer);
    }

    pub(super) fn incoming(&mut self, key: StreamKey, mut protocols: Vec<Protocol>) {
        let spoken = |protocol| self.protocols.contains(protocol);
        if let Some(place) = protocols.iter().position(spoken) {
            if let Some(mux) = self.streams_of(key) {
                mux.choose(key.stream, place as u8);
            }
            let protocol = protocols.swap_remove(place);
            event!(
                MESSAGE, TRACE, self.id,
                peer = %key.peer.short(), session = key.session, stream = key.stream.0, protocol,
                "a stream comes"
            );
            self.emit(Event::Incoming(key, protocol));
        } else if let Some(mux) = self.streams_of(key) {
            let protocol = protocols.join("` or `");
            let failure = Code::UnknownProtocol.because(format!("nobody speaks `{protocol}` here"));
            mux.reset(key.stream, failure);
            mux.release(key.stream);
            event!(
                MESSAGE, DEBUG, self.id,
                peer = %key.peer.short(), session = key.session, stream = key.stream.0, protocol,
                "a stream of an unknown protocol"
            );
        }
    }

    /// Tells every stream of a session that it has ended, and keeps them until their holders let go.
    pub(super) fn bury(&mut self, peer: NodeId, session: Session, failure: &Failure) {
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
                MuxEvent::Slow(_) | MuxEvent::Reset(..) => {}
            }
        }
        if !mux.is_empty() {
            self.ended.insert(serial, mux);
        }
    }

    /// The streams of a session that lives, or of one that has ended and is still looked at.
    pub(super) fn streams_of(&mut self, key: StreamKey) -> Option<&mut Mux> {
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

fn no_stream() -> Failure {
    Code::Gone.because("the session of this stream has ended")
}
