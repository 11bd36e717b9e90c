//! Slots: where the answers to this node's requests are put, and wait to be taken.

use core::task::Waker;
use std::collections::VecDeque;

use futures_util::future::AbortHandle;

use super::agent::Act;
use super::fault::CallError;
use super::parcel::Parcel;
use super::state::{Key, Side, State};
use super::wire::{Ask, message};
use crate::error::Code;
use crate::limits::{SUBSCRIPTION_BYTES_MAX, SUBSCRIPTION_EVENTS_MAX};
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
    /// What is done here for it.
    pub(super) task: Option<AbortHandle>,
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
        /// Each with the bytes that it had.
        items: VecDeque<(Parcel, usize)>,
        bytes: usize,
        missed: u64,
        /// Only the latest counts.
        latest: bool,
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
        let mut spare = None;
        match &mut slot.content {
            Content::Nothing => {
                slot.kept = slot.through.is_some() && is_reference(&result);
                slot.content = Content::Result(result);
            }
            content => match result {
                Err(error) => slot.end(error),
                Ok(parcel) => {
                    spare = Some(parcel);
                    if let Content::Stream { begun, .. } = content {
                        *begun = true;
                    }
                }
            },
        }
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
        self.discard(spare);
    }

    /// A subscription brings something of so many bytes.
    pub(super) fn put_next(&mut self, id: u64, parcel: Parcel, size: usize, missed_before: u64) {
        let slot = self.slots.get_mut(&id).filter(|slot| slot.is_open());
        let Some((waker, content)) = slot.map(|slot| (&mut slot.waker, &mut slot.content)) else {
            return self.discard(parcel);
        };
        let mut dropped = Vec::new();
        match content {
            Content::Stream {
                told,
                items,
                bytes,
                missed,
                latest,
                ..
            } => {
                *told = true;
                *missed = missed.saturating_add(missed_before);
                while let Some((_, oldest)) = items.front()
                    && (*latest
                        || items.len() >= SUBSCRIPTION_EVENTS_MAX
                        || *bytes + size > SUBSCRIPTION_BYTES_MAX)
                {
                    *bytes -= oldest;
                    *missed = missed.saturating_add(u64::from(!*latest));
                    dropped.extend(items.pop_front());
                }
                *bytes += size;
                items.push_back((parcel, size));
            }
            _ => dropped.push((parcel, size)),
        }
        if let Some(waker) = waker.take() {
            waker.wake();
        }
        self.discard(dropped);
    }

    /// Nobody wants the answer any longer, though somebody may still look.
    pub(super) fn cancel_slot(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.is_open()) else {
            return;
        };
        slot.end(Code::Cancelled.because("the call was cancelled").into());
        let (waker, task, through) = (slot.waker.take(), slot.task.take(), slot.through);
        if let Some(task) = task {
            task.abort();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        if let Some(key) = through {
            self.say(key, Side::Asking, message(&Ask::Cancel(id), &[]));
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

    /// Nobody waits for an answer any longer.
    pub(super) fn abandon(&mut self, id: u64) {
        let Some(slot) = self.slots.remove(&id) else {
            return;
        };
        if let Some(handle) = slot.listens_to {
            self.unlisten(handle, None, id);
        }
        if let Some(task) = &slot.task {
            task.abort();
        }
        if let Some(key) = slot.through
            && let Some(connection) = self.connections.get_mut(&key)
        {
            connection.asked -= 1;
            if slot.is_open() {
                self.say(key, Side::Asking, message(&Ask::Cancel(id), &[]));
            } else if slot.kept {
                self.say(key, Side::Asking, message(&Ask::Forget(id), &[]));
            }
        }
        self.discard(slot);
    }
}

impl Content {
    /// Of a subscription to events, or of a watched property.
    pub(super) fn stream(act: Act) -> Self {
        Self::Stream {
            begun: false,
            told: false,
            items: VecDeque::new(),
            bytes: 0,
            missed: 0,
            latest: act == Act::Watch,
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
            task: None,
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
