//! Shared subscriptions: each message is for one of the group. What a member that goes has not taken is for
//! the others, or for who comes next.

use std::collections::VecDeque;
use std::sync::Arc;

use super::filter::Filter;
use super::kept::Message;
use super::subscriber::Entry;
use super::wire::{Gap, Why};
use crate::limits::{SUBSCRIBER_BYTES_MAX, SUBSCRIBER_MESSAGES_MAX};

/// The members of one group, and what waits for one of them to have room.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) filter: Filter,
    pub(super) name: Arc<str>,
    pub(super) members: Vec<u64>,
    /// Those who have room, in turn.
    ready: VecDeque<u64>,
    pub(super) waiting: VecDeque<Entry>,
    waiting_bytes: usize,
    /// What nobody of the group will get; the next who gets a message is told.
    missed: Option<Gap>,
    /// What was for none of those who are here; it is missed once others are.
    unheard: Option<Gap>,
    /// The last offset before its first message.
    pub(super) since: u64,
    /// Since when it has no members.
    pub(super) empty_since_ms: Option<i64>,
}

impl Group {
    pub(super) fn new(filter: Filter, name: Arc<str>, since: u64) -> Self {
        Self {
            filter,
            name,
            members: Vec::new(),
            ready: VecDeque::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            missed: None,
            unheard: None,
            since,
            empty_since_ms: None,
        }
    }

    pub(super) fn push(&mut self, message: &Arc<Message>) {
        self.waiting_bytes += message.size();
        self.waiting.push_back(Entry {
            message: Arc::clone(message),
            again: false,
        });
        self.relieve(SUBSCRIBER_MESSAGES_MAX, SUBSCRIBER_BYTES_MAX);
    }

    /// Drops the oldest beyond these bounds; the next who gets a message is told.
    pub(super) fn relieve(&mut self, messages: usize, bytes: usize) {
        while self.waiting.len() > messages || self.waiting_bytes > bytes {
            let Some(old) = self.pop() else { return };
            self.miss(Gap::of(Why::Slow, old.message.offset));
        }
    }

    /// Somebody is here now who may have got what was for none of the others.
    pub(super) fn join(&mut self, member: u64) {
        self.members.push(member);
        self.ready.push_back(member);
        self.empty_since_ms = None;
        if let Some(unheard) = self.unheard.take() {
            self.miss(unheard);
        }
    }

    /// What waits first is for none of those who are here.
    pub(super) fn pass_over(&mut self) {
        if let Some(entry) = self.pop() {
            let gap = Gap::of(Why::Slow, entry.message.offset);
            self.unheard = Some(self.unheard.map_or(gap, |before| before.and(gap)));
        }
    }

    /// What waits first, and what is to be told before.
    pub(super) fn pop_told(&mut self) -> (Option<Entry>, Option<Gap>) {
        (self.pop(), self.missed.take())
    }

    fn miss(&mut self, gap: Gap) {
        self.missed = Some(self.missed.map_or(gap, |before| before.and(gap)));
    }

    fn pop(&mut self) -> Option<Entry> {
        let entry = self.waiting.pop_front()?;
        self.waiting_bytes -= entry.message.size();
        Some(entry)
    }

    /// A member goes and leaves this.
    pub(super) fn give_back(&mut self, (mut entries, gap): (Vec<Entry>, Option<Gap>)) {
        if let Some(gap) = gap {
            self.miss(gap);
        }
        while let Some(entry) = entries.pop() {
            self.waiting_bytes += entry.message.size();
            self.waiting.push_front(entry);
        }
    }

    /// A member that goes gets nothing more.
    pub(super) fn remove(&mut self, member: u64) {
        self.members.retain(|other| *other != member);
        self.ready.retain(|other| *other != member);
    }

    /// A member has room.
    pub(super) fn is_ready(&mut self, member: u64) {
        self.ready.push_back(member);
    }

    /// Who has room and is next, of those whom it is for.
    pub(super) fn next_ready(&mut self, is_for: impl Fn(u64) -> bool) -> Option<u64> {
        let place = self.ready.iter().position(|member| is_for(*member))?;
        self.ready.remove(place)
    }
}
