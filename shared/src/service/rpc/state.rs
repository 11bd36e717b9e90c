//! What a node knows of its remote objects: who may use what here, what it holds elsewhere, and what is
//! under way. All of it behind one lock, under which nothing of a program's own is run or dropped.

use core::task::Waker;
use std::collections::{HashMap, VecDeque};
use std::sync::Weak;

use futures_util::future::AbortHandle;

use super::Task;
use super::fault::CallError;
use super::line::Line;
use super::news::{Listener, News};
use super::reference::{Exported, Held, Reference};
use super::slot::Slot;
use crate::error::Failure;
use crate::id::NodeId;
use crate::object::Handle;

/// Which connection: with whom, and in which session with them.
pub(super) type Key = (NodeId, u64);

/// Everything.
pub(super) struct State {
    pub(super) me: NodeId,
    pub(super) connections: HashMap<Key, Connection>,
    /// The session of each node by which it is asked.
    pub(super) sessions: HashMap<NodeId, u64>,
    pub(super) exports: HashMap<Handle, Export>,
    pub(super) names: HashMap<String, Handle>,
    /// What own objects are called that are exported, by their addresses.
    pub(super) identities: HashMap<usize, Handle>,
    /// What was asked and has not been taken, by the numbers of the requests.
    pub(super) slots: HashMap<u64, Slot>,
    pub(super) last_id: u64,
    pub(super) spawned: Vec<Task>,
    pub(super) server: Option<Waker>,
    pub(super) garbage: Vec<Box<dyn Send>>,
}

/// A session with another node, as far as objects go.
#[derive(Default)]
pub(super) struct Connection {
    /// Opened from here: requests leave by it, and answers come.
    pub(super) asking: Option<Line>,
    /// Opened from there: requests come by it, and answers leave.
    pub(super) answering: Option<Line>,
    /// How many requests of this node await their answers.
    pub(super) asked: usize,
    /// The other node's objects that are held here.
    pub(super) held: HashMap<Handle, Weak<Held>>,
    /// This node's objects that are held there, and how often each was sent.
    pub(super) holds: HashMap<Handle, u64>,
    /// The other node's requests that are being seen to.
    pub(super) running: HashMap<u64, Running>,
    /// What was returned that is a reference, until the other node forgets it.
    pub(super) answered: HashMap<u64, Reference>,
    /// Subscriptions that have something to tell.
    pub(super) ready: VecDeque<u64>,
}

/// Which of the two directions of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Asking,
    Answering,
}

/// An object of this node that others may use.
pub(super) struct Export {
    pub(super) what: Exported,
    /// This node's own hold.
    pub(super) guard: Weak<Held>,
    /// How many connections hold it.
    pub(super) holders: usize,
    pub(super) name: Option<String>,
    pub(super) listeners: Vec<Listener>,
}

/// What a request of another node is.
pub(super) enum Running {
    /// It is being answered; others wait for its result to ask it something.
    Call {
        abort: AbortHandle,
        /// The slots in which they wait.
        waiting: Vec<u64>,
    },
    /// It listens.
    Listening { handle: Handle, news: News },
}

impl State {
    pub(super) fn new(me: NodeId) -> Self {
        Self {
            me,
            connections: HashMap::new(),
            sessions: HashMap::new(),
            exports: HashMap::new(),
            names: HashMap::new(),
            identities: HashMap::new(),
            slots: HashMap::new(),
            last_id: 0,
            spawned: Vec::new(),
            server: None,
            garbage: Vec::new(),
        }
    }

    /// Drops something once the lock is no longer held: it may be a program's own, or hold a reference.
    pub(super) fn discard(&mut self, garbage: impl Send + 'static) {
        self.garbage.push(Box::new(garbage));
    }

    pub(super) fn spawn(&mut self, task: Task) {
        self.spawned.push(task);
        if let Some(server) = self.server.take() {
            server.wake();
        }
    }

    pub(super) fn line(&mut self, key: Key, side: Side) -> Option<&mut Line> {
        let connection = self.connections.get_mut(&key)?;
        match side {
            Side::Asking => connection.asking.as_mut(),
            Side::Answering => connection.answering.as_mut(),
        }
    }

    /// Forgets an export that nobody holds any longer.
    pub(super) fn forget_unheld(&mut self, handle: Handle) {
        let unheld = |export: &Export| {
            export.holders == 0 && export.name.is_none() && export.guard.strong_count() == 0
        };
        if self.exports.get(&handle).is_some_and(unheld) {
            self.remove_export(handle);
        }
    }

    /// Removes an export, whoever holds it.
    pub(super) fn remove_export(&mut self, handle: Handle) -> Option<Vec<Listener>> {
        let mut export = self.exports.remove(&handle)?;
        let listeners = std::mem::take(&mut export.listeners);
        if let Some(name) = &export.name {
            self.names.remove(name);
        }
        if let Some(identity) = export.what.identity() {
            self.identities.remove(&identity);
        }
        self.discard(export.what);
        Some(listeners)
    }

    /// Another node holds an object of this one less often.
    pub(super) fn release(&mut self, key: Key, handle: Handle, times: u64) {
        let Some(connection) = self.connections.get_mut(&key) else {
            return;
        };
        let Some(held) = connection.holds.get_mut(&handle) else {
            return;
        };
        *held = held.saturating_sub(times);
        if *held == 0 {
            connection.holds.remove(&handle);
            self.one_holder_less(handle);
        }
    }

    pub(super) fn one_holder_less(&mut self, handle: Handle) {
        if let Some(export) = self.exports.get_mut(&handle) {
            export.holders -= 1;
            self.forget_unheld(handle);
        }
    }

    /// A listener listens no more.
    pub(super) fn unlisten(&mut self, handle: Handle, through: Option<Key>, id: u64) {
        if let Some(export) = self.exports.get_mut(&handle) {
            let is_it = |l: &Listener| l.through == through && l.id == id;
            export.listeners.retain(|listener| !is_it(listener));
        }
    }

    /// A connection has ended, with everything that went through it.
    pub(super) fn end(&mut self, key: Key, failure: &Failure) {
        let Some(mut connection) = self.connections.remove(&key) else {
            return;
        };
        if self.sessions.get(&key.0) == Some(&key.1) {
            self.sessions.remove(&key.0);
        }
        for (id, running) in connection.running.drain() {
            match running {
                Running::Call { abort, .. } => abort.abort(),
                Running::Listening { handle, .. } => self.unlisten(handle, Some(key), id),
            }
        }
        for handle in connection.holds.keys() {
            self.one_holder_less(*handle);
        }
        let mut wakers = Vec::new();
        for slot in self.slots.values_mut().filter(|s| s.through == Some(key)) {
            slot.end(CallError::Failed(failure.clone()));
            wakers.extend(slot.waker.take());
        }
        wakers.into_iter().for_each(Waker::wake);
        self.discard(connection);
    }
}
