//! The reliable commands of one channel that wait to leave or to be acknowledged, by their numbers,
//! which have no gaps.

use crate::Millis;
use crate::wire::{Command, Fragment, Handshake};
use bytes::Bytes;
use std::collections::VecDeque;

#[derive(Debug)]
pub(crate) struct Lane {
    /// The number of the first item; the lower half is what is on the wire.
    first: u64,
    items: VecDeque<Item>,
    /// How many unreliable packets follow the last reliable one.
    pub(crate) loose: u16,
}

#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) content: Content,
    pub(crate) state: State,
    pub(crate) sent_at: Millis,
    /// How long its acknowledgement may take.
    pub(crate) patience: u32,
    pub(crate) attempts: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It leaves when there is room.
    Waiting,
    /// It has left.
    UnderWay,
    /// It has arrived.
    Done,
}

/// What a reliable command says.
#[derive(Debug)]
pub(crate) enum Content {
    Connect(Box<Handshake>, u32),
    Disconnect(u32),
    Ping,
    BandwidthLimit { incoming: u32, outgoing: u32 },
    Whole(Bytes),
    Part(Bytes, Fragment),
}

impl Default for Lane {
    fn default() -> Self {
        Self::after(0)
    }
}

impl Lane {
    /// A lane whose numbers go on after this one.
    pub(crate) fn after(last: u64) -> Self {
        Self {
            first: last + 1,
            items: VecDeque::new(),
            loose: 0,
        }
    }

    /// Appends a command, and returns its number.
    pub(crate) fn push(&mut self, content: Content) -> u64 {
        self.loose = 0;
        self.items.push_back(Item {
            content,
            state: State::Waiting,
            sent_at: 0,
            patience: 0,
            attempts: 0,
        });
        self.last()
    }

    /// The last number that was given.
    pub(crate) fn last(&self) -> u64 {
        self.first + self.items.len() as u64 - 1
    }

    /// The oldest number that is not acknowledged, or the next one.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Item> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.items.get_mut(index)
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Item> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.items.get(index)
    }

    /// What the acknowledgement of a number is for, if that has left and is not acknowledged yet.
    pub(crate) fn acknowledged(&mut self, number: u16) -> Option<Item> {
        let index = number.wrapping_sub(self.first as u16);
        let item = self.items.get_mut(usize::from(index))?;
        if item.attempts == 0 || item.state == State::Done {
            return None;
        }
        let gone = Item {
            content: Content::Ping,
            state: State::Done,
            ..*item
        };
        let item = std::mem::replace(item, gone);
        while self
            .items
            .front()
            .is_some_and(|item| item.state == State::Done)
        {
            self.items.pop_front();
            self.first += 1;
        }
        Some(item)
    }
}

impl Content {
    pub(crate) fn command(&self) -> Command<'_> {
        match self {
            Self::Connect(handshake, data) => Command::Connect {
                handshake: **handshake,
                data: *data,
            },
            Self::Disconnect(data) => Command::Disconnect { data: *data },
            Self::Ping => Command::Ping,
            Self::BandwidthLimit { incoming, outgoing } => Command::BandwidthLimit {
                incoming: *incoming,
                outgoing: *outgoing,
            },
            Self::Whole(body) => Command::Reliable(body),
            Self::Part(body, fragment) => Command::Fragment {
                fragment: *fragment,
                body,
            },
        }
    }

    /// The bytes that it carries.
    pub(crate) fn len(&self) -> Option<usize> {
        match self {
            Self::Whole(body) | Self::Part(body, _) => Some(body.len()),
            _ => None,
        }
    }
}
