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
    /// Whose turn it is.
    turn: usize,
    pub(super) waiting: VecDeque<Entry>,
    waiting_bytes: usize,
    pub(super) missed: Option<Gap>,
    /// Since when it has no members.
    pub(super) empty_since_ms: Option<i64>,
}

impl Group {
    pub(super) fn new(filter: Filter, name: Arc<str>) -> Self {
        Self {
            filter,
            name,
            members: Vec::new(),
            turn: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            missed: None,
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
        while self.waiting.len() > messages || self.waiting_bytes > bytes && self.waiting.len() > 1
        {
            let Some(old) = self.pop() else { return };
            let offset = old.message.offset;
            let before = self.missed.unwrap_or(Gap {
                why: Why::Slow,
                missed: Some(0),
                first: offset,
                last: offset,
            });
            self.missed = Some(Gap {
                missed: before.missed.map(|missed| missed + 1),
                last: before.last.max(offset),
                ..before
            });
        }
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.waiting.pop_front()?;
        self.waiting_bytes -= entry.message.size();
        Some(entry)
    }

    /// A member goes and leaves this.
    pub(super) fn give_back(&mut self, entries: impl Iterator<Item = Entry>) {
        let mut entries: Vec<_> = entries.collect();
        while let Some(entry) = entries.pop() {
            self.waiting_bytes += entry.message.size();
            self.waiting.push_front(entry);
        }
    }

    /// The members, beginning with the one whose turn it is.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = (usize, u64)> {
        let count = self.members.len();
        (0..count).map(move |n| {
            let place = (self.turn + n) % count;
            (place, self.members[place])
        })
    }

    /// Who is at this place has had his turn.
    pub(super) fn had_turn(&mut self, place: usize) {
        self.turn = (place + 1) % self.members.len().max(1);
    }
}
