//! All streams of one session: who may open which, whose turn it is to send, and what came for whom.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::error::{Code, Failure};
use crate::limits::{
    FRAGMENT_BYTES_MAX, HELD_BYTES_MAX, OFFERED_PROTOCOLS_MAX, PROTOCOL_BYTES_MAX,
    REFUSED_STREAMS_MAX, SESSION_CREDIT_BYTES, STREAM_CREDIT_BYTES, STREAM_CREDIT_FIRST_BYTES,
    STREAMS_MAX,
};
use crate::stream::flow::{Flow, Read};
use crate::stream::frame::{DATA_OVERHEAD_BYTES, StreamFrame};
use crate::stream::ready::{Priority, Ready};
use crate::stream::{Protocol, StreamId};
use crate::wire::Reader;

/// The streams of one session.
#[derive(Debug)]
pub struct Mux {
    flows: BTreeMap<StreamId, Entry>,
    next_own: u64,
    next_theirs: u64,
    own: usize,
    theirs: usize,
    ready: Ready,
    held_bytes: u64,
    committed_bytes: u64,
    events: VecDeque<MuxEvent>,
}

#[derive(Debug)]
struct Entry {
    flow: Flow,
    priority: Priority,
    in_ready: bool,
    /// Its holder has let go of it: it disappears once it is over.
    released: bool,
}

/// What a stream's holder should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MuxEvent {
    /// The other node has opened a stream, of the one of these protocols that [`Mux::choose`] says.
    Incoming(StreamId, Vec<Protocol>),
    /// There is something to read: a message, the end, or a reset; or what is spoken is known.
    Readable(StreamId),
    /// There is room to send again.
    Writable(StreamId),
    /// There is none, because the other side does not read.
    Slow(StreamId),
    /// It was ended early: by the other node, or because that has sent what is not allowed.
    Reset(StreamId, Code),
}

impl Mux {
    /// The streams of a new session. The two nodes open even and odd ids, by their ids' order.
    pub fn new(even: bool) -> Self {
        Self {
            flows: BTreeMap::new(),
            next_own: u64::from(!even),
            next_theirs: u64::from(even),
            own: 0,
            theirs: 0,
            ready: Ready::default(),
            held_bytes: 0,
            committed_bytes: 0,
            events: VecDeque::new(),
        }
    }

    /// Opens a stream.
    pub fn open(&mut self, protocol: Protocol) -> Result<StreamId, Failure> {
        check_protocol(&protocol)?;
        self.begin(Flow::opened(protocol))
    }

    /// Opens a stream of the first of these protocols that the other node speaks. What is sent on it waits
    /// until it has said which.
    pub fn offer(&mut self, protocols: Vec<Protocol>) -> Result<StreamId, Failure> {
        if !(1..=OFFERED_PROTOCOLS_MAX).contains(&protocols.len()) {
            return Err(Code::BadMessage.because(format!(
                "expected 1 to {OFFERED_PROTOCOLS_MAX} protocols, got {}",
                protocols.len()
            )));
        }
        for protocol in &protocols {
            check_protocol(protocol)?;
        }
        self.begin(Flow::offered(protocols))
    }

    fn begin(&mut self, flow: Flow) -> Result<StreamId, Failure> {
        if self.own >= STREAMS_MAX {
            return Err(Code::Overloaded.because(format!("{STREAMS_MAX} streams are open")));
        }
        let id = StreamId(self.next_own);
        self.next_own += 2;
        self.own += 1;
        self.insert(id, flow);
        self.schedule(id);
        Ok(id)
    }

    /// Says which of the protocols that the other node has offered is spoken, by its place. Nothing, if it
    /// left no choice.
    pub fn choose(&mut self, id: StreamId, place: u8) {
        self.change(id, |flow| flow.choose(place));
    }

    /// Which of the protocols that were offered is spoken, once that is known.
    pub fn choice(&self, id: StreamId) -> Result<Option<u8>, Failure> {
        let entry = self.flows.get(&id).ok_or_else(unknown)?;
        entry.flow.choice()
    }

    /// Whether a message can be queued now; if not, it must wait for [`MuxEvent::Writable`].
    pub fn is_ready(&mut self, id: StreamId) -> Result<bool, Failure> {
        let flow = self.flow(id)?;
        let ready = flow.is_ready()?;
        if !ready && flow.notice_slow() {
            self.events.push_back(MuxEvent::Slow(id));
        }
        Ok(ready)
    }

    /// Queues a message. `Ok(false)` if it must wait for [`MuxEvent::Writable`].
    pub fn send(&mut self, id: StreamId, message: &Bytes) -> Result<bool, Failure> {
        let flow = self.flow(id)?;
        let taken = flow.send(message)?;
        if !taken && flow.notice_slow() {
            self.events.push_back(MuxEvent::Slow(id));
        }
        self.schedule(id);
        Ok(taken)
    }

    /// How urgent what is sent on a stream is, from now on.
    pub fn set_priority(&mut self, id: StreamId, priority: Priority) {
        if let Some(entry) = self.flows.get_mut(&id) {
            entry.priority = priority;
        }
    }

    /// The next message that came.
    pub fn read(&mut self, id: StreamId) -> Read {
        let window = self.window();
        self.change(id, |flow| flow.read(window))
            .unwrap_or_else(|| Read::Reset(unknown()))
    }

    /// Why a stream has ended early, if it has.
    pub fn failure(&self, id: StreamId) -> Option<Failure> {
        self.flows
            .get(&id)
            .map_or_else(|| Some(unknown()), |entry| entry.flow.failure().cloned())
    }

    /// No more messages from here.
    pub fn finish(&mut self, id: StreamId) {
        if let Ok(flow) = self.flow(id) {
            flow.finish();
            self.schedule(id);
        }
    }

    /// Ends both directions early and tells the other node why.
    pub fn reset(&mut self, id: StreamId, failure: Failure) {
        if let Ok(flow) = self.flow(id) {
            flow.reset(failure, true);
            self.events.push_back(MuxEvent::Readable(id));
            self.schedule(id);
            self.sweep(id);
        }
    }

    /// The holder lets go. A stream that it has finished goes on until all is said; what still comes
    /// is thrown away. One that it has not finished is reset.
    pub fn abandon(&mut self, id: StreamId, failure: Failure) {
        self.change(id, |flow| {
            if flow.is_finished() {
                flow.discard();
            } else {
                flow.reset(failure, true);
            }
        });
        self.release(id);
    }

    /// The holder lets go of a stream that it has finished or reset.
    pub fn release(&mut self, id: StreamId) {
        let Some(entry) = self.flows.get_mut(&id) else {
            return;
        };
        entry.released = true;
        self.sweep(id);
    }

    /// Whether any stream has something to send.
    pub fn wants_to_send(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether any stream has something to send that is more than bulk.
    pub fn wants_to_send_soon(&self) -> bool {
        self.ready.is_urgent()
    }

    /// Fills a record: streams of one priority take turns, a fragment each.
    pub fn write_record(&mut self, out: &mut BytesMut) {
        while !self.ready.is_empty() {
            let used = out.len() + DATA_OVERHEAD_BYTES;
            if used >= FRAGMENT_BYTES_MAX {
                return;
            }
            let Some(id) = self.ready.pop() else { return };
            let Some(entry) = self.flows.get_mut(&id) else {
                continue;
            };
            entry.in_ready = false;
            let had_room = entry.flow.has_room();
            if let Some(frame) = entry.flow.next_frame(FRAGMENT_BYTES_MAX - used) {
                frame.encode(id, out);
            }
            if !had_room && entry.flow.has_room() {
                self.events.push_back(MuxEvent::Writable(id));
            }
            self.schedule(id);
            self.sweep(id);
        }
    }

    /// Takes what a record held. An error ends the session: the other node broke the rules.
    pub fn read_record(&mut self, record: Bytes) -> Result<(), Failure> {
        let mut reader = Reader::new(record);
        while !reader.is_empty() {
            let (id, frame) = StreamFrame::decode(&mut reader)?;
            self.receive(id, frame)?;
        }
        Ok(())
    }

    /// What the holders of streams should know.
    pub fn poll_event(&mut self) -> Option<MuxEvent> {
        self.events.pop_front()
    }

    /// Ends every stream for the same reason, without telling the other node.
    pub fn end(&mut self, failure: &Failure) {
        let ids: Vec<_> = self.flows.keys().copied().collect();
        for id in ids {
            if let Some(entry) = self.flows.get_mut(&id) {
                entry.flow.reset(failure.clone(), false);
                self.events.push_back(MuxEvent::Readable(id));
                self.events.push_back(MuxEvent::Writable(id));
                self.sweep(id);
            }
        }
        self.ready.clear();
    }

    /// Bytes that wait to be read.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// Whether there are streams of which the other node has not heard yet.
    pub fn has_unannounced(&self) -> bool {
        let unannounced = |entry: &Entry| entry.flow.is_unannounced();
        self.own > 0 && self.flows.values().any(unannounced)
    }

    /// Ends those.
    pub fn end_unannounced(&mut self, failure: &Failure) {
        let unannounced = self
            .flows
            .iter()
            .filter(|(_, entry)| entry.flow.is_unannounced());
        for id in unannounced.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.reset(id, failure.clone());
            self.events.push_back(MuxEvent::Writable(id));
        }
    }

    /// How many streams there are.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    fn receive(&mut self, id: StreamId, frame: StreamFrame) -> Result<(), Failure> {
        match frame {
            StreamFrame::Open(protocol) => self.receive_open(id, vec![protocol], Flow::accepted()),
            StreamFrame::Offer(protocols) => self.receive_open(id, protocols, Flow::asked()),
            StreamFrame::Choice(place) => self.receive_choice(id, place),
            frame => self.receive_other(id, frame),
        }
    }

    fn receive_choice(&mut self, id: StreamId, place: u8) -> Result<(), Failure> {
        match self.change(id, |flow| flow.receive_choice(place)) {
            Some(received) => received?,
            None => return self.check_known(id),
        }
        self.events.push_back(MuxEvent::Readable(id));
        Ok(())
    }

    fn receive_other(&mut self, id: StreamId, frame: StreamFrame) -> Result<(), Failure> {
        let window = self.window();
        let held_bytes = self.held_bytes;
        let reset = self.change(id, |flow| {
            let before = flow.is_reset();
            match frame {
                StreamFrame::Reset(failure) => flow.reset(failure, false),
                _ if !flow.is_agreed() => {
                    let early = "a frame before it is agreed what is spoken";
                    flow.reset(Code::BadMessage.because(early), true);
                }
                StreamFrame::Data { fragment, .. }
                    if held_bytes + fragment.len() as u64 > HELD_BYTES_MAX =>
                {
                    flow.reset(
                        Code::Overloaded.because("too many bytes wait to be read"),
                        true,
                    );
                }
                StreamFrame::Data { fragment, last } => {
                    if let Err(failure) = flow.receive(&fragment, last, window) {
                        flow.reset(failure, true);
                    }
                }
                StreamFrame::Finish => flow.receive_finish(),
                StreamFrame::Credit(sum) => flow.receive_credit(sum),
                StreamFrame::Open(_) | StreamFrame::Offer(_) | StreamFrame::Choice(_) => {}
            }
            let failure = flow.failure().filter(|_| !before);
            (flow.is_reset(), failure.map(|failure| failure.code))
        });
        let Some((reset, just_now)) = reset else {
            return self.check_known(id);
        };
        if let Some(code) = just_now {
            self.events.push_back(MuxEvent::Reset(id, code));
        }
        if reset {
            self.events.push_back(MuxEvent::Writable(id));
        }
        self.events.push_back(MuxEvent::Readable(id));
        self.sweep(id);
        Ok(())
    }

    /// A frame of a stream that is over here already is nothing; one of a stream that never was is against
    /// the rules.
    fn check_known(&self, id: StreamId) -> Result<(), Failure> {
        let known = if self.is_own(id) {
            self.next_own
        } else {
            self.next_theirs
        };
        if id.0 < known {
            Ok(())
        } else {
            Err(Code::BadMessage.because(format!("stream {} was never opened", id.0)))
        }
    }

    fn receive_open(
        &mut self,
        id: StreamId,
        protocols: Vec<Protocol>,
        flow: Flow,
    ) -> Result<(), Failure> {
        // Ids may be skipped: a stream can end before it was announced.
        if self.is_own(id) || id.0 < self.next_theirs {
            return Err(Code::BadMessage.because(format!(
                "expected stream {} or one after it to be opened, got {}",
                self.next_theirs, id.0
            )));
        }
        if self.theirs >= STREAMS_MAX + REFUSED_STREAMS_MAX {
            return Err(
                Code::Overloaded.because("streams are opened faster than they can be refused")
            );
        }
        self.next_theirs = id.0.saturating_add(2);
        self.theirs += 1;
        self.insert(id, flow);
        if self.theirs > STREAMS_MAX {
            self.reset(
                id,
                Code::Overloaded.because(format!("{STREAMS_MAX} streams are open")),
            );
            self.events.push_back(MuxEvent::Reset(id, Code::Overloaded));
            self.release(id);
        } else {
            self.events.push_back(MuxEvent::Incoming(id, protocols));
        }
        Ok(())
    }

    fn is_own(&self, id: StreamId) -> bool {
        id.0 % 2 == self.next_own % 2
    }

    fn insert(&mut self, id: StreamId, flow: Flow) {
        self.committed_bytes += flow.committed_bytes();
        self.flows.insert(
            id,
            Entry {
                flow,
                priority: Priority::default(),
                in_ready: false,
                released: false,
            },
        );
    }

    /// What a reader may be granted now.
    fn window(&self) -> u64 {
        if self.committed_bytes < SESSION_CREDIT_BYTES {
            STREAM_CREDIT_BYTES
        } else {
            STREAM_CREDIT_FIRST_BYTES
        }
    }

    /// Changes a stream, and keeps the sums true.
    fn change<T>(&mut self, id: StreamId, change: impl FnOnce(&mut Flow) -> T) -> Option<T> {
        let flow = &mut self.flows.get_mut(&id)?.flow;
        let (held, committed) = (flow.held_bytes(), flow.committed_bytes());
        let result = change(flow);
        self.held_bytes = self.held_bytes + flow.held_bytes() - held;
        self.committed_bytes = self.committed_bytes + flow.committed_bytes() - committed;
        self.schedule(id);
        Some(result)
    }

    fn flow(&mut self, id: StreamId) -> Result<&mut Flow, Failure> {
        self.flows
            .get_mut(&id)
            .map(|entry| &mut entry.flow)
            .ok_or_else(unknown)
    }

    fn schedule(&mut self, id: StreamId) {
        if let Some(entry) = self.flows.get_mut(&id)
            && entry.flow.wants_to_send()
            && !entry.in_ready
        {
            entry.in_ready = true;
            let priority = if entry.flow.wants_to_control() {
                Priority::High
            } else if entry.flow.is_bulky() {
                entry.priority.max(Priority::Bulk)
            } else {
                entry.priority
            };
            self.ready.push(id, priority);
        }
    }

    /// Removes a stream that is over and that nobody holds.
    fn sweep(&mut self, id: StreamId) {
        let over = |entry: &Entry| entry.released && entry.flow.is_over();
        if !self.flows.get(&id).is_some_and(over) {
            return;
        }
        if let Some(entry) = self.flows.remove(&id) {
            self.held_bytes -= entry.flow.held_bytes();
            self.committed_bytes -= entry.flow.committed_bytes();
            if self.is_own(id) {
                self.own -= 1;
            } else {
                self.theirs -= 1;
            }
        }
    }
}

/// A protocol id must fit its frame.
pub fn check_protocol(protocol: &str) -> Result<(), Failure> {
    if protocol.is_empty() || protocol.len() > PROTOCOL_BYTES_MAX {
        return Err(Code::BadMessage.because(format!(
            "expected a protocol id of 1 to {PROTOCOL_BYTES_MAX} bytes, got {}",
            protocol.len()
        )));
    }
    Ok(())
}

fn unknown() -> Failure {
    Code::Cancelled.because("the stream is no more")
}

#[cfg(test)]
mod tests;
