//! News: events, and what properties become, told to those who listen.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

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
    pub(super) name: String,
    /// Through which connection; this node's own have none.
    pub(super) through: Option<Key>,
    pub(super) id: u64,
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
        self.with(|state| {
            let news = News::new(act);
            let connection = state.connection(key)?;
            connection
                .running
                .insert(id, Running::Listening { handle, news });
            state.add_listener(handle, act, name, Some(key), id);
            let nothing = Parcel::default();
            let body = body_of(&nothing);
            let whole = |transit| message(&Answer::Return { id, transit }, &body);
            let sent = Self::send(state, key, Side::Answering, &nothing, whole);
            sent.map_err(CallError::from)
        })?;
        if act == Act::Watch {
            let listener = Listener {
                act,
                name: name.to_owned(),
                through: Some(key),
                id,
            };
            self.tell_present(handle, Arc::clone(agent), listener);
        }
        Ok(())
    }

    /// Tells a new listener what the property is.
    pub(super) fn tell_present(&self, handle: Handle, agent: Arc<dyn Agent>, listener: Listener) {
        let this = self.clone();
        let caller = listener.through.map(|key| key.0);
        let got = agent.handle(read(Act::Watch, &listener.name, caller));
        let task = Box::pin(async move {
            match got.await {
                // What it has become meanwhile is news, and what it was is none.
                Ok(value) => this.with(|state| {
                    if !state.was_told(&listener) {
                        Self::tell_one(state, &listener, &told(value));
                    }
                }),
                Err(error) => this.with(|state| {
                    state.unlisten(handle, listener.through, listener.id);
                    Self::end_listener(state, &listener, error);
                }),
            }
        });
        self.with(|state| state.spawn(task));
    }

    /// Tells all who listen.
    pub(super) fn tell(&self, handle: Handle, act: Act, name: &str, parcel: Parcel) {
        self.with(|state| {
            let Some(export) = state.exports.get(&handle) else {
                return state.discard(parcel);
            };
            let concerned = |l: &&Listener| l.act == act && l.name == name;
            let listeners: Vec<_> = export.listeners.iter().filter(concerned).cloned().collect();
            if listeners.is_empty() {
                return state.discard(parcel);
            }
            let told = told(parcel);
            for listener in listeners {
                Self::tell_one(state, &listener, &told);
            }
        });
    }

    fn tell_one(state: &mut State, listener: &Listener, told: &Arc<Told>) {
        let id = listener.id;
        let Some(key) = listener.through else {
            return state.put_next(id, told.parcel.clone(), 0);
        };
        let Ok(connection) = state.connection(key) else {
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
        state.discard((dropped, Arc::clone(told)));
        let is_free = |state: &mut State| {
            let line = state.line(key, Side::Answering);
            line.is_some_and(|line| line.is_empty())
        };
        while is_free(state) && Self::tell_next(state, key) {}
    }

    /// Sends one of the news that wait; whether there was any. Subscriptions take turns.
    pub(super) fn tell_next(state: &mut State, key: Key) -> bool {
        let Ok(connection) = state.connection(key) else {
            return false;
        };
        let Some(id) = connection.ready.pop_front() else {
            return false;
        };
        let Some(Running::Listening { news, .. }) = connection.running.get_mut(&id) else {
            return true;
        };
        let Some((told, missed)) = news.pop() else {
            news.is_ready = false;
            return true;
        };
        connection.ready.push_back(id);
        let whole = |transit| {
            message(
                &Answer::Next {
                    id,
                    missed,
                    transit,
                },
                &told.body,
            )
        };
        let sent = Self::send(state, key, Side::Answering, &told.parcel, whole);
        state.discard(told);
        sent.is_ok()
    }

    /// Whether anybody listens.
    pub(super) fn is_heard(&self, handle: Handle, act: Act, name: &str) -> bool {
        self.with(|state| {
            let export = state.exports.get(&handle);
            export.is_some_and(|e| e.listeners.iter().any(|l| l.act == act && l.name == name))
        })
    }

    /// An agent can be found no more; those who listen learn it.
    pub(super) fn withdraw(&self, handle: Handle) {
        self.with(|state| {
            let name = state
                .exports
                .get(&handle)
                .and_then(|export| export.name.clone());
            let message = format!("the agent `{}` was withdrawn", name.unwrap_or_default());
            for listener in state.remove_export(handle).unwrap_or_default() {
                let gone = Code::Left.because(message.as_str());
                Self::end_listener(state, &listener, gone.into());
            }
        });
    }

    fn end_listener(state: &mut State, listener: &Listener, error: CallError) {
        let Some(key) = listener.through else {
            return state.put(listener.id, Err(error));
        };
        if let Ok(connection) = state.connection(key)
            && connection.running.remove(&listener.id).is_some()
        {
            Self::fail(state, key, listener.id, error);
        }
    }
}

impl State {
    pub(super) fn add_listener(
        &mut self,
        handle: Handle,
        act: Act,
        name: &str,
        through: Option<Key>,
        id: u64,
    ) {
        if let Some(export) = self.exports.get_mut(&handle) {
            let name = name.to_owned();
            export.listeners.push(Listener {
                act,
                name,
                through,
                id,
            });
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
