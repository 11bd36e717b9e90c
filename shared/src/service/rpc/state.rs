//! What a node knows of its remote objects: who may use what here, what it holds elsewhere, and what is
//! under way. All of it behind one lock, under which nothing of a program's own is run or dropped.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Waker;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures_util::future::AbortHandle;

use super::Task;
use super::connection::stale;
use super::fault::CallError;
use super::line::Line;
use super::news::{Listeners, News};
use super::reference::{Exported, Held, Reference};
use super::slot::Slot;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{REQUESTS_BYTES_MAX, REQUESTS_MAX};
use crate::log::event;
use crate::object::Handle;

/// Which connection: with whom, and a number that no other ever has.
pub(super) type Key = (NodeId, u64);

/// Everything.
pub(super) struct State {
    pub(super) me: NodeId,
    pub(super) connections: HashMap<Key, Connection>,
    /// The connection by which each node is asked.
    pub(super) asked_by: HashMap<NodeId, Key>,
    /// The connection of each session.
    by_session: HashMap<(NodeId, u64), Key>,
    pub(super) exports: HashMap<Handle, Export>,
    pub(super) names: HashMap<String, Handle>,
    /// What own objects are called that are exported, by their addresses.
    pub(super) identities: HashMap<usize, Handle>,
    /// What was asked and has not been taken, by the numbers of the requests.
    pub(super) slots: HashMap<u64, Slot>,
    pub(super) last_id: u64,
    pub(super) spawned: Vec<Task>,
    pub(super) server: Option<Waker>,
    /// Whether somebody serves.
    pub(super) serving: bool,
    /// Why nothing is served any more.
    pub(super) closed: Option<Failure>,
    pub(super) garbage: Vec<Box<dyn Send>>,
}

/// A session with another node, as far as objects go.
#[derive(Default)]
pub(super) struct Connection {
    session: u64,
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
    /// Bytes of those.
    pub(super) running_bytes: Arc<AtomicUsize>,
    /// What was returned that is a reference, until the other node forgets it.
    pub(super) answered: HashMap<u64, Reference>,
    /// Subscriptions that have something to tell.
    pub(super) ready: VecDeque<u64>,
    /// How many objects of third nodes are being asked for, because this one told of them.
    pub(super) fetching: usize,
}

/// The bytes of a request that is being seen to, which are free when this is dropped.
pub(super) struct Room {
    taken: Arc<AtomicUsize>,
    bytes: usize,
}

impl Connection {
    /// Room for a request of so many bytes.
    ///
    /// # Errors
    /// `overloaded` if there is none just now.
    pub(super) fn room(&self, bytes: usize) -> Result<Room, Failure> {
        let taken = Arc::clone(&self.running_bytes);
        let before = taken.load(Ordering::Relaxed);
        if self.running.len() >= REQUESTS_MAX {
            let message = format!("{REQUESTS_MAX} requests are being answered already");
            return Err(Code::Overloaded.because(message));
        }
        if before > 0 && before + bytes > REQUESTS_BYTES_MAX {
            let message = format!("requests of {before} bytes are being answered already");
            return Err(Code::Overloaded.because(message));
        }
        taken.fetch_add(bytes, Ordering::Relaxed);
        Ok(Room { taken, bytes })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
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
    pub(super) listeners: Listeners,
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
    Listening {
        handle: Handle,
        news: News,
        /// Ends the reading of the property that it begins with.
        reading: Option<AbortHandle>,
    },
}

impl State {
    pub(super) fn new(me: NodeId) -> Self {
        Self {
            me,
            connections: HashMap::new(),
            asked_by: HashMap::new(),
            by_session: HashMap::new(),
            exports: HashMap::new(),
            names: HashMap::new(),
            identities: HashMap::new(),
            slots: HashMap::new(),
            last_id: 0,
            spawned: Vec::new(),
            server: None,
            serving: false,
            closed: None,
            garbage: Vec::new(),
        }
    }

    /// Drops something once the lock is no longer held: it may be a program's own, or hold a reference.
    pub(super) fn discard(&mut self, garbage: impl Send + 'static) {
        self.garbage.push(Box::new(garbage));
    }

    pub(super) fn spawn(&mut self, task: Task) {
        if self.closed.is_some() {
            return self.discard(task);
        }
        self.spawned.push(task);
        if let Some(server) = self.server.take() {
            server.wake();
        }
    }

    /// The connection of a session, new or known.
    pub(super) fn connection_of(&mut self, peer: NodeId, session: u64) -> Key {
        if let Some(key) = self.by_session.get(&(peer, session)) {
            return *key;
        }
        self.last_id += 1;
        let key = (peer, self.last_id);
        self.by_session.insert((peer, session), key);
        let connection = Connection {
            session,
            ..Connection::default()
        };
        self.connections.insert(key, connection);
        key
    }

    /// Says what has no value. A node that takes so little that there is no room even for that is asked
    /// and answered no more.
    pub(super) fn say(&mut self, key: Key, side: Side, message: Bytes) {
        let Some(line) = self.line(key, side) else {
            return;
        };
        if let Err(failure) = line.say(message) {
            self.end(key, &failure);
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
            self.remove_export(handle, &stale());
        }
    }

    /// Removes an export, whoever holds it; those who listen to it learn why.
    pub(super) fn remove_export(&mut self, handle: Handle, why: &Failure) {
        let Some(export) = self.exports.remove(&handle) else {
            return;
        };
        if let Some(name) = &export.name {
            self.names.remove(name);
        }
        if let Some(identity) = export.what.identity() {
            self.identities.remove(&identity);
        }
        for listener in export.listeners.all() {
            self.end_listener(listener, why.clone().into());
        }
        self.discard(export.what);
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
            export.listeners.remove(through, id);
        }
    }

    /// A connection has ended, with everything that went through it.
    pub(super) fn end(&mut self, key: Key, failure: &Failure) {
        let Some(mut connection) = self.connections.remove(&key) else {
            return;
        };
        let session = (key.0, connection.session);
        event!(
            MESSAGE, DEBUG, self.me,
            peer = %key.0.short(), session = session.1, code = %failure.code,
            "objects: a connection has ended"
        );
        if self.by_session.get(&session) == Some(&key) {
            self.by_session.remove(&session);
        }
        if self.asked_by.get(&key.0) == Some(&key) {
            self.asked_by.remove(&key.0);
        }
        let lines = [&mut connection.asking, &mut connection.answering];
        lines.into_iter().flatten().for_each(Line::wake);
        for (id, running) in connection.running.drain() {
            self.stop(key, id, running, failure);
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

    /// What is being done for a request ends.
    pub(super) fn stop(&mut self, key: Key, id: u64, running: Running, failure: &Failure) {
        match running {
            Running::Call { abort, waiting } => {
                abort.abort();
                for slot in waiting {
                    self.put(slot, Err(failure.clone().into()));
                }
            }
            Running::Listening {
                handle,
                news,
                reading,
            } => {
                if let Some(reading) = reading {
                    reading.abort();
                }
                self.unlisten(handle, Some(key), id);
                self.discard(news);
            }
        }
    }
}
