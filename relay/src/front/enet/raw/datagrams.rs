//! Datagrams of connections: one inbox for each node, since a node has one for a protocol.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use peerage::{Failure, NodeId, node};
use tokio::task::AbortHandle;

use super::{PROTOCOL, wire};
use crate::enet::{Peer, Sender};
use crate::front::held::Held;

/// The datagrams of a held node. Clones are the same.
#[derive(Clone)]
pub(super) struct Datagrams(Arc<Shared>);

struct Shared {
    held: Arc<Held>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    inboxes: HashMap<NodeId, Inbox>,
    last: u32,
}

struct Inbox {
    datagrams: Arc<node::Datagrams>,
    reader: AbortHandle,
    routes: Routes,
}

/// Connections by their numbers.
type Routes = Arc<Mutex<HashMap<u32, (Sender, u8)>>>;

/// The datagrams of one connection, until this is dropped.
pub(super) struct Route {
    of: Datagrams,
    peer: NodeId,
    number: u32,
    datagrams: Arc<node::Datagrams>,
}

impl Datagrams {
    pub(super) fn new(held: Arc<Held>) -> Self {
        let state = Mutex::default();
        Self(Arc::new(Shared { held, state }))
    }

    /// The datagrams of a connection of a node.
    ///
    /// # Errors
    /// Why there can be no session with the node.
    pub(super) fn route(&self, peer: NodeId, connection: &Peer) -> Result<Route, Failure> {
        let mut state = lock(&self.0.state);
        state.last = state.last.wrapping_add(1);
        let number = state.last;
        let inbox = match state.inboxes.entry(peer) {
            Entry::Occupied(inbox) => inbox.into_mut(),
            Entry::Vacant(place) => place.insert(Inbox::open(&self.0.held, peer)?),
        };
        let way = (connection.sender().clone(), connection.about.channels);
        lock(&inbox.routes).insert(number, way);
        let datagrams = Arc::clone(&inbox.datagrams);
        let of = self.clone();
        Ok(Route {
            of,
            peer,
            number,
            datagrams,
        })
    }
}

impl Inbox {
    fn open(held: &Held, peer: NodeId) -> Result<Self, Failure> {
        let datagrams = Arc::new(held.datagrams(peer, PROTOCOL)?);
        let routes = Routes::default();
        let reading = read(Arc::clone(&datagrams), Arc::clone(&routes));
        let reader = tokio::spawn(reading).abort_handle();
        Ok(Self {
            datagrams,
            reader,
            routes,
        })
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(datagrams: Arc<node::Datagrams>, routes: Routes) {
    while let Ok(datagram) = datagrams.recv().await {
        // What is none may have been damaged by its sender alone: it is lost.
        let Ok((number, channel, packet)) = wire::read_datagram(datagram) else {
            continue;
        };
        let route = lock(&routes).get(&number).cloned();
        if let Some((sender, _)) = route.filter(|(_, channels)| channel < *channels) {
            // For which there is no room, it is lost as well.
            sender.try_send(channel, packet);
        }
    }
}

impl Route {
    /// What its datagrams begin with.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Sends one, at once or never.
    ///
    /// # Errors
    /// Why there can be no session.
    pub(super) fn send(&self, datagram: Bytes) -> Result<(), Failure> {
        self.datagrams.send(datagram)
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        let mut state = lock(&self.of.0.state);
        let is_last = state.inboxes.get(&self.peer).is_some_and(|inbox| {
            let mut routes = lock(&inbox.routes);
            routes.remove(&self.number);
            routes.is_empty()
        });
        if is_last {
            state.inboxes.remove(&self.peer);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
