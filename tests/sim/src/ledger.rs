//! What was said and what was heard: every conversation with its two sides, and what must be true of
//! them. The nodes know nothing of this.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};
use peerage::{Code, NodeId};

use crate::Violation;

/// Bytes of a message before its filling: mark, label, side, number.
pub(crate) const HEADER_BYTES: usize = 16 + 8 + 1 + 8;

/// All conversations of a run, by their label.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Stands in every message: nobody in between may see it.
    pub(crate) mark: [u8; 16],
    pub(crate) conversations: BTreeMap<u64, Conversation>,
    next_label: u64,
    /// Datagrams that have not arrived: from whom, to whom.
    datagrams: BTreeMap<u64, (NodeId, NodeId)>,
    pub(crate) delivered: u64,
}

/// One stream. The side that opened it is 0.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) sides: [Side; 2],
    /// The target knows of it.
    pub(crate) reached: bool,
}

/// One side of a stream.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) id: NodeId,
    /// Messages that its node has accepted.
    pub(crate) sent: u64,
    /// Messages that it has read.
    pub(crate) read: u64,
    pub(crate) finished: bool,
    /// It has read the end of the other's.
    pub(crate) read_end: bool,
    pub(crate) end: Option<End>,
}

/// How a side came to an early end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its node told why.
    Told(Code),
    /// Its node told that the other has lost the session.
    Anew,
    /// It was its own wish.
    Own,
    /// Its process is no more.
    Crashed,
}

impl Side {
    fn new(id: NodeId) -> Self {
        Self {
            id,
            sent: 0,
            read: 0,
            finished: false,
            read_end: false,
            end: None,
        }
    }

    fn is_over(&self) -> bool {
        self.end.is_some() || (self.finished && self.read_end)
    }
}

impl Ledger {
    pub(crate) fn new(mark: [u8; 16]) -> Self {
        Self {
            mark,
            ..Self::default()
        }
    }

    pub(crate) fn begin(&mut self, opener: NodeId, target: NodeId) -> u64 {
        self.next_label += 1;
        let sides = [Side::new(opener), Side::new(target)];
        let conversation = Conversation {
            sides,
            reached: false,
        };
        self.conversations.insert(self.next_label, conversation);
        self.next_label
    }

    pub(crate) fn side(&mut self, label: u64, side: usize) -> &mut Side {
        &mut self
            .conversations
            .get_mut(&label)
            .expect("labels are given out by the ledger")
            .sides[side]
    }

    /// Checks an early end: if each side says that the other has lost the session, neither had.
    pub(crate) fn check_early_end(&self, label: u64) -> Result<(), Violation> {
        let sides = &self.conversations[&label].sides;
        if sides.iter().all(|side| side.end == Some(End::Anew)) {
            return Err(Violation(format!("stream {label} ended for no reason")));
        }
        Ok(())
    }

    /// The next message of a side.
    pub(crate) fn message(&self, label: u64, side: usize, len: usize) -> Bytes {
        let number = self.conversations[&label].sides[side].sent;
        let mut out = BytesMut::with_capacity(HEADER_BYTES + len);
        out.put_slice(&self.mark);
        out.put_u64(label);
        out.put_u8(side as u8);
        out.put_u64(number);
        out.resize(HEADER_BYTES + len, (label ^ number) as u8);
        out.freeze()
    }

    /// A datagram that was never sent before.
    pub(crate) fn datagram(&mut self, from: NodeId, to: NodeId) -> Bytes {
        self.next_label += 1;
        self.datagrams.insert(self.next_label, (from, to));
        let mut out = BytesMut::from(&self.mark[..]);
        out.put_u64(self.next_label);
        out.freeze()
    }

    /// Checks a datagram that a node got: at most once, and only what was sent.
    pub(crate) fn check_datagram(
        &mut self,
        from: NodeId,
        to: NodeId,
        datagram: &[u8],
    ) -> Result<(), Violation> {
        let ours = datagram.len() == 24 && datagram[..16] == self.mark;
        let sent = ours.then(|| self.datagrams.remove(&number_at(datagram, 16)));
        if sent.flatten() == Some((from, to)) {
            self.delivered += 1;
            return Ok(());
        }
        Err(Violation(String::from(
            "a datagram that was not sent, or came twice",
        )))
    }

    /// Checks a message that a node has read, on a stream of which it knows the label and side, or
    /// which is new to it. Gives the label.
    pub(crate) fn check(
        &mut self,
        known: Option<(u64, usize)>,
        reader: NodeId,
        from: NodeId,
        message: &[u8],
    ) -> Result<u64, Violation> {
        let forged = |what: &str| Violation(format!("forged or misrouted: {what}"));
        let (header, filling) = message
            .split_at_checked(HEADER_BYTES)
            .ok_or_else(|| forged("a short message"))?;
        let (label, number) = (number_at(header, 16), number_at(header, 25));
        let sender = usize::from(header[24]);
        if header[..16] != self.mark || sender > 1 {
            return Err(forged("a message that nobody sent"));
        }
        let conversation = self
            .conversations
            .get_mut(&label)
            .ok_or_else(|| forged("an unknown conversation"))?;
        let reading = 1 - sender;
        if known.is_some_and(|(l, side)| l != label || side != reading) {
            return Err(forged("a message of another stream"));
        }
        if conversation.sides[sender].id != from || conversation.sides[reading].id != reader {
            return Err(forged("a message between others"));
        }
        if known.is_none() && std::mem::replace(&mut conversation.reached, true) {
            return Err(Violation(format!("stream {label} came twice")));
        }
        let side = &mut conversation.sides[reading];
        if number != side.read {
            return Err(Violation(format!(
                "stream {label}: expected message {}, got {number}",
                side.read
            )));
        }
        if filling.iter().any(|byte| *byte != (label ^ number) as u8) {
            return Err(forged("a changed message"));
        }
        side.read += 1;
        self.delivered += 1;
        Ok(label)
    }

    /// A side has read the end of the other's messages.
    pub(crate) fn check_end(&mut self, label: u64, side: usize) -> Result<(), Violation> {
        let conversation = &mut self.conversations.get_mut(&label).expect("a known label");
        let (sent, finished) = (
            conversation.sides[1 - side].sent,
            conversation.sides[1 - side].finished,
        );
        let reader = &mut conversation.sides[side];
        reader.read_end = true;
        if !finished || sent != reader.read {
            return Err(Violation(format!(
                "stream {label}: read the end after {} of {sent} messages",
                reader.read
            )));
        }
        Ok(())
    }

    /// What is still to come, if the network were perfect from now on, but for those outside.
    pub(crate) fn unsettled(&self, outside: &BTreeSet<NodeId>) -> Option<String> {
        let within = |c: &Conversation| c.sides.iter().all(|side| !outside.contains(&side.id));
        self.conversations
            .iter()
            .filter(|(_, conversation)| within(conversation))
            .find_map(|(label, conversation)| Some((label, conversation.unsettled()?)))
            .map(|(label, why)| format!("stream {label}: {why}"))
    }

    /// Forgets what is over on both sides.
    pub(crate) fn sweep(&mut self) {
        self.conversations
            .retain(|_, c| !(c.sides[0].is_over() && c.sides[1].is_over()));
    }
}

impl Conversation {
    fn unsettled(&self) -> Option<String> {
        for (from, to) in [(0, 1), (1, 0)] {
            let (sender, reader) = (&self.sides[from], &self.sides[to]);
            if sender.end.is_some() {
                let silent = reader.end.is_none() && !reader.is_over();
                // A side that does not know of the stream cannot know of its end.
                if silent && (to == 0 || self.reached) {
                    return Some(format!("side {to} does not know the end of {from}"));
                }
            } else if reader.end.is_none() {
                if sender.sent != reader.read {
                    let (read, sent) = (reader.read, sender.sent);
                    return Some(format!("side {to} has read {read} of {sent} messages"));
                }
                if sender.finished && !reader.read_end {
                    return Some(format!("side {to} does not know that {from} has finished"));
                }
            }
        }
        None
    }
}

fn number_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}
