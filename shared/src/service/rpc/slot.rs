//! Slots: where the answers to this node's requests are put, and wait to be taken.

use core::task::Waker;
use std::collections::VecDeque;

use super::agent::Act;
use super::fault::CallError;
use super::parcel::Parcel;
use super::state::{Key, State};
use super::wire::{Ask, message};
use crate::limits::SUBSCRIPTION_EVENTS_MAX;
use crate::object::Handle;

/// Where the answer to a request is put.
pub(super) struct Slot {
    /// Only this connection may answer; a slot of this node's own objects has none.
    pub(super) through: Option<Key>,
    pub(super) waker: Option<Waker>,
    pub(super) content: Content,
    /// Whether a reference was returned, which the other node keeps until it is told.
    pub(super) kept: bool,
    /// The object of this node's own that it listens to.
    pub(super) listens_to: Option<Handle>,
}

/// What is in a slot.
pub(super) enum Content {
    Nothing,
    Result(Result<Parcel, CallError>),
    /// Nothing any more.
    Taken,
    /// What a subscription brought, and why there is no more.
    Stream {
        /// Whether it is known that it listens.
        begun: bool,
        /// Whether anything came.
        told: bool,
        items: VecDeque<Parcel>,
        missed: u64,
        ended: Option<CallError>,
    },
}

impl State {
    pub(super) fn new_slot(&mut self, through: Option<Key>, content: Content) -> u64 {
        self.last_id += 1;
        self.slots.insert(self.last_id, Slot::new(through, content));
        self.last_id
    }

    /// A slot's answer has come.
    pub(super) fn put(&mut self, id: u64, result: Result<Parcel, CallError>) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return self.discard(result);
        };
        match (&mut slot.content, result) {
            (Content::Nothing, result) => {
                slot.kept = slot.through.is_some() && is_reference(&result);
                slot.content = Content::Result(result);
            }
            (_, Err(error)) => slot.end(error),
            (Content::Stream { begun, .. }, Ok(_)) => *begun = true,
            (_, Ok(parcel)) => return self.discard(parcel),
        }
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    }

    /// A subscription brings something.
    pub(super) fn put_next(&mut self, id: u64, parcel: Parcel, missed_before: u64) {
        let slot = self.slots.get_mut(&id).filter(|slot| slot.is_open());
        let Some((
            slot,
            Content::Stream {
                told,
                items,
                missed,
                ..
            },
        )) = slot.map(|slot| (&mut slot.waker, &mut slot.content))
        else {
            return self.discard(parcel);
        };
        *told = true;
        *missed += missed_before;
        let full = items.len() >= SUBSCRIPTION_EVENTS_MAX;
        let oldest = if full { items.pop_front() } else { None };
        *missed += u64::from(full);
        items.push_back(parcel);
        if let Some(waker) = slot.take() {
            waker.wake();
        }
        if let Some(oldest) = oldest {
            self.discard(oldest);
        }
    }

    /// Whether this connection may answer that request.
    pub(super) fn is_asked(&self, key: Key, id: u64) -> bool {
        self.slots
            .get(&id)
            .is_some_and(|slot| slot.through == Some(key))
    }

    /// An answer through a connection, which counts if it was asked through it.
    pub(super) fn put_from(&mut self, key: Key, id: u64, result: Result<Parcel, CallError>) {
        if self.is_asked(key, id) {
            self.put(id, result);
        } else {
            self.discard(result);
        }
    }

    pub(super) fn listens(&mut self, id: u64, handle: Handle, act: Act, name: &str) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.listens_to = Some(handle);
        }
        self.add_listener(handle, act, name, None, id);
    }

    /// Nobody waits for an answer any longer; what there was in its slot, to be dropped once the lock is free.
    pub(super) fn abandon(&mut self, id: u64) -> Option<Slot> {
        let slot = self.slots.remove(&id)?;
        if let Some(handle) = slot.listens_to {
            self.unlisten(handle, None, id);
        }
        if let Some(key) = slot.through
            && let Some(connection) = self.connections.get_mut(&key)
        {
            connection.asked -= 1;
            let last = match slot.is_open() {
                true => Some(Ask::Cancel(id)),
                false => slot.kept.then_some(Ask::Forget(id)),
            };
            if let Some(last) = last
                && let Some(line) = &mut connection.asking
            {
                // If it cannot be said, the connection is at its end.
                let _ = line.push(message(&last, &[]));
            }
        }
        Some(slot)
    }
}

impl Content {
    pub(super) fn stream() -> Self {
        Self::Stream {
            begun: false,
            told: false,
            items: VecDeque::new(),
            missed: 0,
            ended: None,
        }
    }
}

impl Slot {
    pub(super) fn new(through: Option<Key>, content: Content) -> Self {
        Self {
            through,
            waker: None,
            content,
            kept: false,
            listens_to: None,
        }
    }

    /// Why nothing more will come.
    pub(super) fn end(&mut self, error: CallError) {
        match &mut self.content {
            Content::Nothing => self.content = Content::Result(Err(error)),
            Content::Stream { ended, .. } if ended.is_none() => *ended = Some(error),
            Content::Result(_) | Content::Taken | Content::Stream { .. } => {}
        }
    }

    /// Whether the answer is still to come.
    pub(super) fn is_open(&self) -> bool {
        match &self.content {
            Content::Nothing => true,
            Content::Result(_) | Content::Taken => false,
            Content::Stream { ended, .. } => ended.is_none(),
        }
    }
}

fn is_reference(result: &Result<Parcel, CallError>) -> bool {
    result
        .as_ref()
        .is_ok_and(|parcel| parcel.as_reference().is_some())
}
