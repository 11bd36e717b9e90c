//! News: events, and what properties become, told to those who listen.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{AbortHandle, abortable};

use super::Rpc;
use super::agent::{Act, Agent};
use super::connection::body_of;
use super::fault::CallError;
use super::parcel::Parcel;
use super::server::{check_interface, read};
use super::slot::Content;
use super::state::{Key, Running, Side, State};
use super::wire::{Answer, message};
use crate::error::Code;
use crate::limits::{SUBSCRIPTION_BYTES_MAX, SUBSCRIPTION_EVENTS_MAX};
use crate::object::Handle;

/// Who listens to an object.
#[derive(Clone)]
pub(super) struct Listener {
    /// [`Act::Subscribe`] to an event or [`Act::Watch`] of a property.
    pub(super) act: Act,
    pub(super) name: Arc<str>,
    /// Through which connection; this node's own have none.
    pub(super) through: Option<Key>,
    pub(super) id: u64,
}

/// All who listen to one object.
#[derive(Default)]
pub(super) struct Listeners {
    by_name: HashMap<Arc<str>, Vec<Listener>>,
    /// To what each listens.
    names: HashMap<(Option<Key>, u64), Arc<str>>,
}

/// What waits for a subscriber who takes it slowly.
pub(super) struct News {
    waiting: VecDeque<Arc<Told>>,
    bytes: usize,
    missed: u64,
    /// Only the latest counts.
    latest: bool,
    /// Whether anything was told.
    pub(super) begun: bool,
    pub(super) is_ready: bool,
}

/// What is told to several.
pub(super) struct Told {
    pub(super) parcel: Parcel,
    pub(super) body: Bytes,
}

impl Rpc {
    /// Lets another node listen to an event, or to a property, of which it learns the value at once.
    pub(super) fn listen(
        &self,
        key: Key,
        id: u64,
        (act, name): (Act, &str),
        handle: Handle,
        agent: &Arc<dyn Agent>,
    ) -> Result<(), CallError> {
        check_interface(&**agent, act, name)?;
        let listener = Listener {
            act,
            name: name.into(),
            through: Some(key),
            id,
        };
        self.with(|state| {
            let running = Running::Listening {
                handle,
                news: News::new(act),
                reading: None,
            };
            state.connection(key)?.running.insert(id, running);
            state.add_listener(handle, listener.clone());
            let begun = Answer::Return { id, transit: None };
            let begun = message(&begun, &body_of(&Parcel::default()));
            state.say(key, Side::Answering, begun);
            Ok::<_, CallError>(())
        })?;
        if act == Act::Watch {
            self.tell_present(handle, Arc::clone(agent), listener);
        }
        Ok(())
    }

    /// Tells a new listener what the property is.
    pub(super) fn tell_present(&self, handle: Handle, agent: Arc<dyn Agent>, listener: Listener) {
        let caller = listener.through.map(|key| key.0);
        let got = self.guarded(agent, read(Act::Watch, &listener.name, caller));
        let (this, told_to) = (self.clone(), listener.clone());
        let (task, abort) = abortable(async move {
            let value = got.await.map(told);
            this.with(|state| match value {
                // What it has become meanwhile is news, and what it was is none.
                Ok(told) => {
                    if !state.was_told(&told_to) {
                        state.tell_one(&told_to, &told);
                    }
                    state.discard(told);
                }
                Err(error) => {
                    state.unlisten(handle, told_to.through, told_to.id);
                    state.end_listener(&told_to, error);
                }
            });
        });
        self.with(|state| {
            if let Some(reading) = state.reading(&listener) {
                *reading = Some(abort);
                state.spawn(Box::pin(task.map(drop)));
            } else {
                state.discard(task);
            }
        });
    }

    /// Tells all who listen.
    pub(super) fn tell(&self, handle: Handle, act: Act, name: &str, parcel: Parcel) {
        self.with(|state| {
            let Some(export) = state.exports.get(&handle) else {
                return state.discard(parcel);
            };
            let listeners: Vec<_> = export.listeners.of(act, name).cloned().collect();
            if listeners.is_empty() {
                return state.discard(parcel);
            }
            let told = told(parcel);
            for listener in listeners {
                state.tell_one(&listener, &told);
            }
            state.discard(told);
        });
    }

    /// Whether anybody listens.
    pub(super) fn is_heard(&self, handle: Handle, act: Act, name: &str) -> bool {
        self.with(|state| {
            let export = state.exports.get(&handle);
            export.is_some_and(|export| export.listeners.of(act, name).next().is_some())
        })
    }

    /// An agent can be found no more; those who listen learn it.
    pub(super) fn withdraw(&self, handle: Handle) {
        self.with(|state| {
            let export = state.exports.get(&handle);
            let name = export.and_then(|export| export.name.clone());
            let message = format!("the agent `{}` was withdrawn", name.unwrap_or_default());
            state.remove_export(handle, &Code::Left.because(message));
        });
    }
}

impl State {
    pub(super) fn add_listener(&mut self, handle: Handle, listener: Listener) {
        if let Some(export) = self.exports.get_mut(&handle) {
            export.listeners.add(listener);
        }
    }

    fn tell_one(&mut self, listener: &Listener, told: &Arc<Told>) {
        let id = listener.id;
        let Some(key) = listener.through else {
            return self.put_next(id, told.parcel.clone(), told.body.len(), 0);
        };
        let Ok(connection) = self.connection(key) else {
            return;
        };
        let Some(Running::Listening { news, .. }) = connection.running.get_mut(&id) else {
            return;
        };
        let dropped = news.push(Arc::clone(told));
        if !news.is_ready {
            news.is_ready = true;
            connection.ready.push_back(id);
        }
        self.discard(dropped);
        let is_free = |state: &mut Self| {
            let line = state.line(key, Side::Answering);
            line.is_some_and(|line| line.is_empty())
        };
        while is_free(self) && self.tell_next(key) {}
    }

    /// Sends one of the news that wait; whether there was any. Subscriptions take turns.
    pub(super) fn tell_next(&mut self, key: Key) -> bool {
        let Ok(connection) = self.connection(key) else {
            return false;
        };
        let Some(id) = connection.ready.pop_front() else {
            return false;
        };
        let Some(Running::Listening { handle, news, .. }) = connection.running.get_mut(&id) else {
            return true;
        };
        let handle = *handle;
        let Some((told, missed)) = news.pop() else {
            news.is_ready = false;
            return true;
        };
        connection.ready.push_back(id);
        let whole = |transit| {
            let next = Answer::Next {
                id,
                missed,
                transit,
            };
            message(&next, &told.body)
        };
        let sent = self.send(key, Side::Answering, &told.parcel, whole);
        self.discard(told);
        if let Err(failure) = sent {
            // What was missed that way could not be told: better an end than silence.
            self.unlisten(handle, Some(key), id);
            self.fail_running(key, id, failure.into());
        }
        true
    }

    /// Who listens learns that there is no more.
    pub(super) fn end_listener(&mut self, listener: &Listener, error: CallError) {
        match listener.through {
            Some(key) => self.fail_running(key, listener.id, error),
            None => self.put(listener.id, Err(error)),
        }
    }

    fn fail_running(&mut self, key: Key, id: u64, error: CallError) {
        let Ok(connection) = self.connection(key) else {
            return;
        };
        if let Some(running) = connection.running.remove(&id) {
            connection.ready.retain(|ready| *ready != id);
            self.discard(running);
            self.fail(key, id, error);
        }
    }

    /// Where what reads a property for a listener is kept.
    fn reading(&mut self, listener: &Listener) -> Option<&mut Option<AbortHandle>> {
        let Some(key) = listener.through else {
            return Some(&mut self.slots.get_mut(&listener.id)?.task);
        };
        match self
            .connections
            .get_mut(&key)?
            .running
            .get_mut(&listener.id)?
        {
            Running::Listening { reading, .. } => Some(reading),
            Running::Call { .. } => None,
        }
    }

    /// Whether a listener was told anything yet.
    fn was_told(&self, listener: &Listener) -> bool {
        let Some(key) = listener.through else {
            let slot = self.slots.get(&listener.id).map(|slot| &slot.content);
            return matches!(slot, Some(Content::Stream { told: true, .. }));
        };
        let connection = self.connections.get(&key);
        let running = connection.and_then(|connection| connection.running.get(&listener.id));
        matches!(running, Some(Running::Listening { news, .. }) if news.begun)
    }
}

impl Listeners {
    fn add(&mut self, listener: Listener) {
        let name = Arc::clone(&listener.name);
        let who = (listener.through, listener.id);
        self.names.insert(who, Arc::clone(&name));
        self.by_name.entry(name).or_default().push(listener);
    }

    pub(super) fn remove(&mut self, through: Option<Key>, id: u64) {
        let Some(name) = self.names.remove(&(through, id)) else {
            return;
        };
        if let Some(listeners) = self.by_name.get_mut(&name) {
            listeners.retain(|l| l.through != through || l.id != id);
            if listeners.is_empty() {
                self.by_name.remove(&name);
            }
        }
    }

    /// Those who listen to this.
    fn of(&self, act: Act, name: &str) -> impl Iterator<Item = &Listener> {
        let named = self.by_name.get(name).into_iter().flatten();
        named.filter(move |listener| listener.act == act)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Listener> {
        self.by_name.values().flatten()
    }
}

impl News {
    pub(super) fn new(act: Act) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            missed: 0,
            latest: act == Act::Watch,
            begun: false,
            is_ready: false,
        }
    }

    /// Adds what is told, and gives back what there is no room for.
    pub(super) fn push(&mut self, told: Arc<Told>) -> Vec<Arc<Told>> {
        let mut dropped = Vec::new();
        let is_full = |news: &Self| {
            let full = news.waiting.len() >= SUBSCRIPTION_EVENTS_MAX
                || news.bytes + told.body.len() > SUBSCRIPTION_BYTES_MAX;
            full || news.latest
        };
        while is_full(self)
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.bytes -= oldest.body.len();
            self.missed += u64::from(!self.latest);
            dropped.push(oldest);
        }
        self.bytes += told.body.len();
        self.begun = true;
        self.waiting.push_back(told);
        dropped
    }

    /// The next to tell, and how many before it were dropped.
    pub(super) fn pop(&mut self) -> Option<(Arc<Told>, u64)> {
        let told = self.waiting.pop_front()?;
        self.bytes -= told.body.len();
        Some((told, std::mem::take(&mut self.missed)))
    }
}

fn told(parcel: Parcel) -> Arc<Told> {
    let body = body_of(&parcel);
    Arc::new(Told { parcel, body })
}
