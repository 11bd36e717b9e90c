//! One stream: what waits to leave, what waits to be read, and the credit that bounds both.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::error::{Code, Failure};
use crate::limits::{
    FRAGMENT_BYTES_MAX, MESSAGE_BYTES_MAX, STREAM_CREDIT_FIRST_BYTES, STREAM_QUEUE_BYTES,
};
use crate::stream::Protocol;
use crate::stream::frame::StreamFrame;

/// A stream's two halves.
#[derive(Debug)]
pub struct Flow {
    /// How the stream is announced to the other side, until it is.
    announce: Option<StreamFrame>,
    spoken: Spoken,
    outgoing: Outgoing,
    incoming: Incoming,
    /// Set once, when both directions have ended early.
    reset: Option<Failure>,
    /// To be told to the other side.
    reset_due: bool,
}

/// How far the two nodes know what is spoken. Before both do, nothing is said but that it ends.
#[derive(Debug, PartialEq, Eq)]
enum Spoken {
    /// Both do: the protocol of this place among those that were offered.
    Known(u8),
    /// So many were offered from here; the other side chooses.
    Offered(usize),
    /// They were offered to this side, which has not chosen.
    Asked,
    /// It has, and is about to tell.
    Chosen(u8),
}

#[derive(Debug)]
struct Outgoing {
    queue: VecDeque<Bytes>,
    queued_bytes: usize,
    /// How much of the queue's first message has left.
    offset: usize,
    sent: u64,
    credit: u64,
    finish: Finish,
    /// The reader on the other side was found to be slow.
    slow: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Finish {
    No,
    Due,
    Sent,
}

#[derive(Debug)]
struct Incoming {
    whole: VecDeque<Bytes>,
    whole_bytes: u64,
    partial: BytesMut,
    received: u64,
    granted: u64,
    announced: u64,
    finished: bool,
    /// Nobody reads any more.
    discard: bool,
}

/// What a reader gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A message.
    Message(Bytes),
    /// Nothing yet.
    Nothing,
    /// There will be no more.
    Finished,
    /// The stream was reset.
    Reset(Failure),
}

impl Flow {
    /// A stream that this node opens.
    pub fn opened(protocol: Protocol) -> Self {
        Self::new(Some(StreamFrame::Open(protocol)), Spoken::Known(0))
    }

    /// A stream that this node opens, for the other to choose what is spoken.
    pub fn offered(protocols: Vec<Protocol>) -> Self {
        let spoken = Spoken::Offered(protocols.len());
        Self::new(Some(StreamFrame::Offer(protocols)), spoken)
    }

    /// A stream that the other node has opened.
    pub fn accepted() -> Self {
        Self::new(None, Spoken::Known(0))
    }

    /// A stream that the other node has opened, for this one to choose what is spoken.
    pub fn asked() -> Self {
        Self::new(None, Spoken::Asked)
    }

    fn new(announce: Option<StreamFrame>, spoken: Spoken) -> Self {
        Self {
            announce,
            spoken,
            outgoing: Outgoing {
                queue: VecDeque::new(),
                queued_bytes: 0,
                offset: 0,
                sent: 0,
                credit: STREAM_CREDIT_FIRST_BYTES,
                finish: Finish::No,
                slow: false,
            },
            incoming: Incoming {
                whole: VecDeque::new(),
                whole_bytes: 0,
                partial: BytesMut::new(),
                received: 0,
                granted: STREAM_CREDIT_FIRST_BYTES,
                announced: STREAM_CREDIT_FIRST_BYTES,
                finished: false,
                discard: false,
            },
            reset: None,
            reset_due: false,
        }
    }

    /// Chooses what is spoken, if the other node has offered it and this one has not chosen yet.
    pub fn choose(&mut self, place: u8) {
        if self.spoken == Spoken::Asked {
            self.spoken = Spoken::Chosen(place);
        }
    }

    /// What the other node has chosen, by its place, once it has. The error is why it will not.
    pub fn choice(&self) -> Result<Option<u8>, Failure> {
        match (&self.spoken, &self.reset) {
            (Spoken::Known(place) | Spoken::Chosen(place), _) => Ok(Some(*place)),
            (_, Some(failure)) => Err(failure.clone()),
            (_, None) => Ok(None),
        }
    }

    /// Whether both nodes know what is spoken.
    pub fn is_agreed(&self) -> bool {
        matches!(self.spoken, Spoken::Known(_))
    }

    /// Whether a message can be queued now. The error is why none ever can.
    pub fn is_ready(&self) -> Result<bool, Failure> {
        if let Some(failure) = &self.reset {
            return Err(failure.clone());
        }
        if self.outgoing.finish != Finish::No {
            return Err(Code::Refused.because("the stream is finished: no message can follow"));
        }
        Ok(self.has_room())
    }

    /// Queues a message. `Ok(false)` if it must wait until the queue is shorter.
    pub fn send(&mut self, message: &Bytes) -> Result<bool, Failure> {
        let ready = self.is_ready()?;
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(Code::TooLarge.because(format!(
                "expected a message of at most {MESSAGE_BYTES_MAX} bytes, got {}",
                message.len()
            )));
        }
        if !ready {
            return Ok(false);
        }
        // An empty message counts as well, so that many of them are no way around the limit.
        self.outgoing.queued_bytes += message.len().max(1);
        self.outgoing.queue.push_back(message.clone());
        Ok(true)
    }

    /// Whether [`Flow::send`] takes a message.
    pub fn has_room(&self) -> bool {
        self.outgoing.queued_bytes < STREAM_QUEUE_BYTES
    }

    /// The next message that came. If reading it makes room, the other side may send as much as `window`
    /// beyond what waits.
    pub fn read(&mut self, window: u64) -> Read {
        if let Some(message) = self.incoming.whole.pop_front() {
            self.incoming.whole_bytes -= cost(message.len());
            self.incoming.grant(window);
            return Read::Message(message);
        }
        match &self.reset {
            Some(failure) => Read::Reset(failure.clone()),
            None if self.incoming.finished => Read::Finished,
            None => Read::Nothing,
        }
    }

    /// No more messages from here.
    pub fn finish(&mut self) {
        if self.outgoing.finish == Finish::No {
            self.outgoing.finish = Finish::Due;
        }
    }

    /// Ends both directions, and tells the other side unless it said so itself.
    pub fn reset(&mut self, failure: Failure, tell: bool) {
        if self.reset.is_none() {
            self.reset = Some(failure);
            self.reset_due = tell && self.announce.is_none();
            self.announce = None;
            self.outgoing.queue.clear();
            self.outgoing.queued_bytes = 0;
        }
    }

    /// Whether both directions have ended and the other side knows.
    pub fn is_over(&self) -> bool {
        let ended = self.outgoing.finish == Finish::Sent && self.incoming.finished;
        (ended || self.reset.is_some()) && !self.reset_due
    }

    /// Whether no more messages are to be sent.
    pub fn is_finished(&self) -> bool {
        self.outgoing.finish != Finish::No
    }

    /// What comes from now on is of no interest.
    pub fn discard(&mut self) {
        self.incoming.whole.clear();
        self.incoming.whole_bytes = 0;
        self.incoming.discard = true;
        self.incoming.grant(STREAM_CREDIT_FIRST_BYTES);
    }

    /// Why it has ended early, if it has.
    pub fn failure(&self) -> Option<&Failure> {
        self.reset.as_ref()
    }

    /// Whether it has ended early.
    pub fn is_reset(&self) -> bool {
        self.reset.is_some()
    }

    /// Whether the other side has not heard of it yet.
    pub fn is_unannounced(&self) -> bool {
        self.announce.is_some()
    }

    /// Bytes that wait to be read or completed.
    pub fn held_bytes(&self) -> u64 {
        self.incoming.whole_bytes + self.incoming.partial.len() as u64
    }

    /// Bytes that wait to be read, or may come at any time.
    pub fn committed_bytes(&self) -> u64 {
        self.incoming.whole_bytes + self.incoming.granted - self.incoming.received
    }

    /// Whether the writer here waits for the reader there, and that is new.
    pub fn notice_slow(&mut self) -> bool {
        let slow = !self.outgoing.queue.is_empty() && !self.outgoing.can_send();
        slow && !std::mem::replace(&mut self.outgoing.slow, true)
    }

    /// Whether much is left of the message that leaves now.
    pub fn is_bulky(&self) -> bool {
        let first = self.outgoing.queue.front();
        first.is_some_and(|first| first.len() - self.outgoing.offset > STREAM_QUEUE_BYTES)
    }

    /// Whether what it has to say is about the stream, and not on it.
    pub fn wants_to_control(&self) -> bool {
        let chosen = matches!(self.spoken, Spoken::Chosen(_));
        self.reset_due || (self.reset.is_none() && (chosen || self.incoming.credit_due()))
    }

    /// Whether [`Flow::next_frame`] has something to say.
    pub fn wants_to_send(&self) -> bool {
        if self.reset.is_some() {
            return self.reset_due;
        }
        if !self.is_agreed() {
            return self.announce.is_some() || self.wants_to_control();
        }
        self.announce.is_some()
            || self.incoming.credit_due()
            || self.outgoing.can_send()
            || (self.outgoing.queue.is_empty() && self.outgoing.finish == Finish::Due)
    }

    /// The next frame to leave, with at most `room` bytes of data.
    pub fn next_frame(&mut self, room: usize) -> Option<StreamFrame> {
        if self.reset_due {
            self.reset_due = false;
            return self.reset.clone().map(StreamFrame::Reset);
        }
        if self.reset.is_some() {
            return None;
        }
        if let Some(frame) = self.announce.take() {
            return Some(frame);
        }
        match self.spoken {
            Spoken::Known(_) => {}
            Spoken::Offered(_) | Spoken::Asked => return None,
            Spoken::Chosen(place) => {
                self.spoken = Spoken::Known(place);
                return Some(StreamFrame::Choice(place));
            }
        }
        if self.incoming.credit_due() {
            self.incoming.announced = self.incoming.granted;
            return Some(StreamFrame::Credit(self.incoming.granted));
        }
        if let Some(frame) = self.outgoing.next_fragment(room) {
            return Some(frame);
        }
        if self.outgoing.queue.is_empty() && self.outgoing.finish == Finish::Due {
            self.outgoing.finish = Finish::Sent;
            return Some(StreamFrame::Finish);
        }
        None
    }

    /// The other side has chosen what is spoken. The error is for it: it broke the rules.
    pub fn receive_choice(&mut self, place: u8) -> Result<(), Failure> {
        match self.spoken {
            _ if self.reset.is_some() => {}
            Spoken::Offered(count) if self.announce.is_none() && usize::from(place) < count => {
                self.spoken = Spoken::Known(place);
            }
            _ => return Err(Code::BadMessage.because("a choice of what was not offered")),
        }
        Ok(())
    }

    /// A fragment came. The error is for the other side: it broke the rules.
    pub fn receive(&mut self, fragment: &Bytes, last: bool, window: u64) -> Result<(), Failure> {
        if self.reset.is_some() {
            return Ok(());
        }
        self.incoming.receive(fragment, last)?;
        self.incoming.grant(window);
        Ok(())
    }

    /// The other side sends no more.
    pub fn receive_finish(&mut self) {
        self.incoming.finished = true;
    }

    /// The other side takes more.
    pub fn receive_credit(&mut self, sum: u64) {
        self.outgoing.credit = self.outgoing.credit.max(sum);
    }
}

impl Outgoing {
    fn can_send(&self) -> bool {
        self.queue
            .front()
            .is_some_and(|first| self.credit - self.sent >= cost(usize::from(!first.is_empty())))
    }

    fn next_fragment(&mut self, room: usize) -> Option<StreamFrame> {
        let first = self.queue.front()?;
        let credit = (self.credit - self.sent).checked_sub(cost(0))?;
        let credit = usize::try_from(credit).unwrap_or(usize::MAX);
        let left = first.len() - self.offset;
        let len = left.min(room).min(credit).min(FRAGMENT_BYTES_MAX);
        if len == 0 && left > 0 {
            return None;
        }
        let fragment = first.slice(self.offset..self.offset + len);
        self.sent += cost(len);
        self.slow = false;
        self.offset += len;
        let last = self.offset == first.len();
        self.queued_bytes -= len;
        if last {
            self.queued_bytes -= usize::from(first.is_empty());
            self.queue.pop_front();
            self.offset = 0;
        }
        Some(StreamFrame::Data { fragment, last })
    }
}

impl Incoming {
    fn receive(&mut self, fragment: &Bytes, last: bool) -> Result<(), Failure> {
        if self.finished {
            return Err(Code::BadMessage.because("data after the end of the stream"));
        }
        self.received += cost(fragment.len());
        if self.received > self.granted {
            return Err(Code::BadMessage.because("more data than the credit allows"));
        }
        if self.partial.len() + fragment.len() > MESSAGE_BYTES_MAX {
            return Err(Code::TooLarge.because(format!(
                "expected a message of at most {MESSAGE_BYTES_MAX} bytes, got more"
            )));
        }
        if !last {
            self.partial.extend_from_slice(fragment);
        } else if self.partial.is_empty() {
            self.complete(fragment.clone());
        } else {
            self.partial.extend_from_slice(fragment);
            let message = self.partial.split().freeze();
            self.complete(message);
        }
        Ok(())
    }

    fn complete(&mut self, message: Bytes) {
        if !self.discard {
            self.whole_bytes += cost(message.len());
            self.whole.push_back(message);
        }
    }

    /// What is read, or in the making, makes room; what waits to be read does not.
    fn grant(&mut self, window: u64) {
        let room = window.saturating_sub(self.whole_bytes);
        self.granted = self.granted.max(self.received + room);
    }

    fn credit_due(&self) -> bool {
        // Told long before the writer has used up what it knows of, but never a few bytes at a time: it
        // would send as few.
        let unknown = self.granted - self.announced;
        let known = self.announced.saturating_sub(self.received);
        !self.finished && unknown >= STREAM_CREDIT_FIRST_BYTES / 4 && unknown >= known
    }
}

/// What a fragment of `len` bytes takes of the credit: empty ones are not free, for they take memory.
const fn cost(len: usize) -> u64 {
    len as u64 + 32
}
