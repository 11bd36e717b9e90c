//! One subscription at the broker: what it has still to get of what is kept, what waits for it since then, and
//! what is under way. None of that is unbounded, and none of it holds up anybody else.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::filter::Filter;
use super::kept::{Kept, Message, Wanted};
use super::queue::Queue;
use super::wire::{self, Gap, Member, Slow, Tell, Why};
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{
    CATCH_UP_MAX, SUBSCRIBER_BYTES_MAX, SUBSCRIBER_MESSAGES_MAX, UNTAKEN_BYTES_MAX,
    UNTAKEN_GROUP_MAX, UNTAKEN_MESSAGES_MAX,
};

/// One subscription.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) member: Member,
    pub(super) filter: Filter,
    pub(super) echo: bool,
    pub(super) slow: Slow,
    /// The group that gives it its messages.
    pub(super) group: Option<u64>,
    /// What it is to catch up with; then everything comes as it is published.
    catching_up: Option<CatchUp>,
    waiting: Queue,
    /// Whether its group knows that it has room.
    pub(super) is_ready: bool,
    gap: Option<Gap>,
    flight: VecDeque<Flight>,
    flight_bytes: usize,
    sent: u64,
    /// Why it is over.
    pub(super) over: Option<Failure>,
}

/// A message for a subscriber.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) message: Arc<Message>,
    /// Another member of the group may have taken it.
    pub(super) again: bool,
}

/// What is kept and not yet sent.
#[derive(Debug)]
struct CatchUp {
    cursor: u64,
    wanted: Wanted,
    plan: VecDeque<(u64, Arc<str>)>,
    /// Whether nothing comes after the plan but what waits.
    is_last: bool,
    told_lost: u64,
}

#[derive(Debug)]
struct Flight {
    bytes: usize,
    /// Of a group, which gives these to another if this member goes.
    entry: Option<Entry>,
    gap: Option<Gap>,
}

impl Subscriber {
    /// A subscription for what is published from now on.
    pub(super) fn new(node: NodeId, filter: Filter, echo: bool, slow: Slow) -> Self {
        Self {
            member: Member {
                node,
                filter: filter.to_string(),
                group: None,
            },
            filter,
            echo,
            slow,
            group: None,
            catching_up: None,
            waiting: Queue::default(),
            is_ready: false,
            gap: None,
            flight: VecDeque::new(),
            flight_bytes: 0,
            sent: 0,
            over: None,
        }
    }

    /// Lets it begin with what is kept after an offset.
    pub(super) fn catch_up(&mut self, kept: &Kept, cursor: u64, wanted: Wanted, is_back: bool) {
        let told_lost = match wanted {
            // What was lost before it began, it does not miss.
            Wanted::History(_) if !is_back => kept.last_lost(&self.filter),
            Wanted::All | Wanted::History(_) => 0,
            Wanted::Retained(until) => until,
        };
        self.catching_up = Some(CatchUp {
            cursor,
            wanted,
            plan: VecDeque::new(),
            is_last: false,
            told_lost,
        });
        while self
            .catching_up
            .as_ref()
            .is_some_and(|catching_up| catching_up.plan.is_empty() && !catching_up.is_last)
        {
            self.plan(kept);
        }
    }

    /// A message was published. What is caught up with is found among what is kept.
    pub(super) fn push(&mut self, message: &Arc<Message>) {
        let waits = self.catching_up.as_ref().is_none_or(|of| of.is_last);
        if !waits || self.over.is_some() {
            return;
        }
        if self.slow == Slow::Latest
            && let Some(old) = self.waiting.remove_topic(&message.topic)
        {
            self.miss(Gap::of(Why::Slow, old.message.offset));
        }
        self.put(Entry {
            message: Arc::clone(message),
            again: false,
        });
        while self.waiting.len() > SUBSCRIBER_MESSAGES_MAX
            || self.waiting.bytes() > SUBSCRIBER_BYTES_MAX
        {
            self.drop_oldest();
        }
    }

    /// Gives it a message for which it has room.
    pub(super) fn put(&mut self, entry: Entry) {
        self.waiting.push(entry);
    }

    /// Tells that messages are missing here.
    pub(super) fn miss(&mut self, missed: Gap) {
        self.gap = Some(self.gap.map_or(missed, |gap| gap.and(missed)));
    }

    /// Lets go of what waits beyond so many bytes, for others need the memory.
    pub(super) fn relieve(&mut self, bytes: usize) {
        while self.waiting.bytes() > bytes {
            self.drop_oldest();
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.over.is_none() && self.flight.len() + self.waiting.len() < UNTAKEN_GROUP_MAX
    }

    /// The next item to be sent, if there is one and not too many are under way.
    pub(super) fn next(&mut self, kept: &Kept) -> Option<Bytes> {
        let most = match (self.slow, self.group) {
            (Slow::Latest, _) => 1,
            (_, Some(_)) => UNTAKEN_GROUP_MAX,
            _ => UNTAKEN_MESSAGES_MAX,
        };
        if self.flight.len() >= most || self.flight_bytes >= UNTAKEN_BYTES_MAX {
            return None;
        }
        if let Some((message, retained)) = self.next_kept(kept)
            && self.gap.is_none()
        {
            if let Some(catching_up) = &mut self.catching_up {
                catching_up.plan.pop_front();
                catching_up.cursor = message.offset;
            }
            let bytes = message.marked(retained, false);
            return Some(self.send(bytes, None, None));
        }
        if let Some(gap) = self.gap.take() {
            let bytes = wire::message(&Tell::Gap(gap), &[]);
            return Some(self.send(bytes, None, Some(gap)));
        }
        let entry = self.waiting.pop()?;
        let bytes = entry.message.marked(false, entry.again);
        let entry = self.group.is_some().then_some(entry);
        Some(self.send(bytes, entry, None))
    }

    /// So many items have been taken in all.
    ///
    /// # Errors
    /// `bad-message` if that cannot be.
    pub(super) fn take(&mut self, total: u64) -> Result<(), Failure> {
        let before = self.sent - self.flight.len() as u64;
        if !(before..=self.sent).contains(&total) {
            let sent = self.sent;
            let message = format!("expected {before} to {sent} items to be taken, got {total}");
            return Err(Code::BadMessage.because(message));
        }
        for flight in self.flight.drain(..(total - before) as usize) {
            self.flight_bytes -= flight.bytes;
        }
        Ok(())
    }

    /// What it leaves to the other members of its group: messages in order, and what is to be told.
    pub(super) fn leave(&mut self) -> (Vec<Entry>, Option<Gap>) {
        let gaps = self.flight.iter().filter_map(|flight| flight.gap);
        let gap = gaps.chain(self.gap).reduce(Gap::and);
        let untaken = self.flight.drain(..).filter_map(|flight| flight.entry);
        let again = untaken.map(|entry| Entry {
            again: true,
            ..entry
        });
        let waiting = core::iter::from_fn(|| self.waiting.pop());
        (again.chain(waiting).collect(), gap)
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting.bytes()
    }

    /// Bytes of the messages that are under way to it, which its group may need again.
    pub(super) fn held(&self) -> usize {
        let entries = self
            .flight
            .iter()
            .filter_map(|flight| flight.entry.as_ref());
        match self.over {
            None => entries.map(|entry| entry.message.size()).sum(),
            Some(_) => 0,
        }
    }

    /// What comes next of what is kept. What has gone meanwhile is told as a gap.
    fn next_kept(&mut self, kept: &Kept) -> Option<(Arc<Message>, bool)> {
        loop {
            let catching_up = self.catching_up.as_mut()?;
            let Some((offset, topic)) = catching_up.plan.front() else {
                match catching_up.is_last {
                    true => self.catching_up = None,
                    false => self.plan(kept),
                }
                continue;
            };
            if self.slow == Slow::Latest
                && catching_up.wanted == Wanted::All
                && kept.newest(topic).is_some_and(|newest| newest > *offset)
            {
                let offset = *offset;
                self.skip(offset, Some(Why::Slow));
                continue;
            }
            let Some(message) = kept.message(topic, *offset) else {
                let offset = *offset;
                self.skip(offset, Some(Why::Trimmed));
                continue;
            };
            if !self.echo && message.sender == self.member.node && catching_up.wanted == Wanted::All
            {
                let offset = *offset;
                self.skip(offset, None);
                continue;
            }
            let retained = catching_up.wanted != Wanted::All && kept.is_retained(message);
            return Some((Arc::clone(message), retained));
        }
    }

    /// Leaves out what comes next of what is kept, and tells it if there is a reason.
    fn skip(&mut self, offset: u64, why: Option<Why>) {
        if let Some(catching_up) = &mut self.catching_up {
            catching_up.cursor = offset;
            catching_up.plan.pop_front();
        }
        if let Some(why) = why {
            self.miss(Gap::of(why, offset));
        }
    }

    /// Looks up what comes next; if there is nothing more, it has caught up.
    fn plan(&mut self, kept: &Kept) {
        let Some(catching_up) = self.catching_up.as_mut() else {
            return;
        };
        let CatchUp { cursor, wanted, .. } = *catching_up;
        catching_up.plan = kept.plan(&self.filter, cursor, wanted);
        let mut missed = None;
        if !matches!(wanted, Wanted::Retained(_)) {
            let lost = kept.last_lost(&self.filter);
            if lost > catching_up.told_lost.max(cursor) {
                missed = Some(Gap {
                    why: Why::Trimmed,
                    missed: None,
                    first: catching_up.told_lost.max(cursor) + 1,
                    last: lost,
                });
                catching_up.told_lost = lost;
            }
        }
        let is_all = catching_up.plan.len() < CATCH_UP_MAX;
        catching_up.is_last = wanted == Wanted::All && is_all;
        if catching_up.plan.is_empty() {
            match wanted {
                Wanted::All => self.catching_up = None,
                Wanted::Retained(until) | Wanted::History(until) => {
                    catching_up.cursor = until;
                    catching_up.wanted = Wanted::All;
                }
            }
        }
        if let Some(missed) = missed {
            self.miss(missed);
        }
    }

    fn send(&mut self, bytes: Bytes, entry: Option<Entry>, gap: Option<Gap>) -> Bytes {
        self.sent += 1;
        self.flight_bytes += bytes.len();
        self.flight.push_back(Flight {
            bytes: bytes.len(),
            entry,
            gap,
        });
        bytes
    }

    /// Whether what was sent last is a gap.
    pub(super) fn has_sent_gap(&self) -> bool {
        self.flight.back().is_some_and(|last| last.gap.is_some())
    }

    fn drop_oldest(&mut self) {
        if self.slow == Slow::Disconnect {
            let most = SUBSCRIBER_MESSAGES_MAX;
            let message =
                format!("more than {most} messages, or their bytes, wait for this subscriber");
            self.over = Some(Code::Overloaded.because(message));
            self.waiting.clear();
        } else if let Some(old) = self.waiting.pop() {
            self.miss(Gap::of(Why::Slow, old.message.offset));
        }
    }
}
