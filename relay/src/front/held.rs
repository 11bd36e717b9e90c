//! Held nodes: nodes with an identity of their own, in this process and linked to its node, for programs
//! that are none.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use peerage::error::Code;
use peerage::limits::{HELD_IDENTITIES_MAX, HELD_NODES_MAX};
use peerage::rpc::Rpc;
use peerage::service::broker::{self, Broker, Options, Topics};
use peerage::service::inspect::Inspect;
use peerage::service::operation::Operations;
use peerage::{Config, Identity, Kind, Name, Node, NodeId};

use tokio::sync::Notify;

use crate::JoinError;
use crate::discovery::Discovery;
use crate::link::dial::Above;
use crate::runtime::{Runtime, random};

/// Who holds nodes in a process. Clones are the same.
#[derive(Clone)]
pub struct Holder(Arc<Shared>);

struct Shared {
    above: Runtime,
    state: Mutex<State>,
    /// Told whenever a node has gone.
    gone: Notify,
}

#[derive(Default)]
struct State {
    held: usize,
    /// Whom each wish was given to, so that a program that comes back is who it was.
    known: HashMap<Name, Known>,
    /// How often anybody came.
    count: u64,
}

struct Known {
    secret: [u8; 32],
    is_here: bool,
    /// When it came last, by the count.
    came: u64,
}

/// A node that is held, with what its program may use. It leaves when this is dropped.
pub struct Held {
    node: Node,
    runtime: Runtime,
    rpc: Rpc,
    operations: Operations,
    topics: Topics,
    /// Others may look at it.
    _inspect: Inspect,
    place: Place,
}

/// What a held node takes of its holder, until this is dropped.
struct Place {
    holder: Holder,
    id: NodeId,
    /// The wish by which it is known.
    known: Option<Name>,
}

impl Holder {
    /// Who holds nodes below the node that this runs.
    pub fn new(above: Runtime) -> Self {
        Self(Arc::new(Shared {
            above,
            state: Mutex::default(),
            gone: Notify::new(),
        }))
    }

    /// Holds a node that would like this name, and waits until it is in the mesh. Who comes with the same
    /// wish after it has gone is the same node.
    ///
    /// # Errors
    /// `overloaded` if too many are held; why the mesh does not want it.
    pub async fn hold(&self, kind: Kind, wish: Option<Name>) -> Result<Held, JoinError> {
        let (place, identity) = self.take(wish.as_ref())?;
        let mut config = Config::new(kind);
        config.access = Arc::clone(&self.0.above.access);
        config.tracer = self.0.above.tracer.clone();
        config.name = wish;
        config.dials = true;
        // The program is reached through who speaks for it.
        config.direct_links = 0;
        // The journal is the process's, and tells of others.
        config.shows_log = false;
        let above = vec![Above::Here(self.0.above.clone())];
        let (node, runtime) = Runtime::start_as(identity, config, above, Discovery::default())?;
        let held = Held::new(node, runtime, place)?;
        held.online(false).await.map_err(JoinError::Failed)?;
        Ok(held)
    }

    /// Waits until nobody is held who has the identity of a wish.
    pub async fn until_free(&self, wish: &Name) {
        loop {
            let gone = self.0.gone.notified();
            let is_here =
                |state: &mut State| state.known.get(wish).is_some_and(|known| known.is_here);
            if !self.with(is_here) {
                return;
            }
            gone.await;
        }
    }

    /// How many nodes are held.
    pub fn count(&self) -> usize {
        self.with(|state| state.held)
    }

    fn take(&self, wish: Option<&Name>) -> Result<(Place, Identity), JoinError> {
        let fresh = random()?;
        let taken = self.with(|state| state.take(wish, fresh));
        let (secret, known) = taken.ok_or_else(|| {
            let message = format!("{HELD_NODES_MAX} nodes are held here already");
            JoinError::Failed(Code::Overloaded.because(message))
        })?;
        let (holder, identity) = (self.clone(), Identity::from_secret(&secret));
        let id = identity.id();
        // Who may come was decided by who speaks for it.
        self.0.above.access.own.insert(id);
        Ok((Place { holder, id, known }, identity))
    }

    fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        action(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// A place, if there is one: its secret, and the wish by which it is known from now on.
    fn take(&mut self, wish: Option<&Name>, fresh: [u8; 32]) -> Option<([u8; 32], Option<Name>)> {
        if self.held >= HELD_NODES_MAX {
            return None;
        }
        self.held += 1;
        self.count += 1;
        let Some(wish) = wish else {
            return Some((fresh, None));
        };
        if !self.known.contains_key(wish) {
            self.make_room();
        }
        let known = self.known.entry(wish.clone()).or_insert(Known {
            secret: fresh,
            is_here: false,
            came: 0,
        });
        if std::mem::replace(&mut known.is_here, true) {
            // Another of the same wish is here: this one gets a number, and is nobody whom anyone knows.
            return Some((fresh, None));
        }
        known.came = self.count;
        Some((known.secret, Some(wish.clone())))
    }

    /// Forgets who has been away for longest, if too many are known.
    fn make_room(&mut self) {
        if self.known.len() < HELD_IDENTITIES_MAX {
            return;
        }
        let away = self.known.iter().filter(|(_, known)| !known.is_here);
        let oldest = away.min_by_key(|(_, known)| known.came);
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            self.known.remove(&name);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.holder.with(|state| {
            state.held -= 1;
            self.holder.0.above.access.own.remove(self.id);
            let known = self
                .known
                .as_ref()
                .and_then(|name| state.known.get_mut(name));
            if let Some(known) = known {
                known.is_here = false;
            }
        });
        self.holder.0.gone.notify_waiters();
    }
}

impl Held {
    fn new(node: Node, runtime: Runtime, place: Place) -> Result<Self, JoinError> {
        let failed = JoinError::Failed;
        let broker = Broker::new(node.clone(), Options::default()).map_err(failed)?;
        // It is nobody's broker: to listen again and stop is to say so.
        drop(node.listen(broker::PROTOCOL));
        let topics = Topics::new(broker);
        let rpc = Rpc::new(node.clone());
        let operations = Operations::new(rpc.clone()).map_err(failed)?;
        let inspect = Inspect::new(rpc.clone()).map_err(failed)?;
        let (answering, publishing) = (rpc.clone(), topics.clone());
        tokio::spawn(async move { answering.serve().await });
        tokio::spawn(async move { publishing.serve().await });
        Ok(Self {
            node,
            runtime,
            rpc,
            operations,
            topics,
            _inspect: inspect,
            place,
        })
    }

    /// The wish by which it is known, and will be again: nothing if another was here with the same.
    pub fn wish(&self) -> Option<&Name> {
        self.place.known.as_ref()
    }

    /// Its objects, and those of others.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Its operations, and those of others.
    pub fn operations(&self) -> &Operations {
        &self.operations
    }

    /// The topics of the zone.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Its program has gone without a word, and so does it: others learn that it is gone, not that it left.
    pub fn vanish(self) {
        self.runtime.vanish();
        tokio::spawn(async move {
            // Otherwise its runtime might say good-bye for it.
            self.runtime.finished().await;
            drop(self);
        });
    }
}

impl Deref for Held {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.node.close();
    }
}

#[cfg(test)]
mod tests {
    use peerage::config::Access;

    use super::*;

    async fn holder() -> (crate::Node, Holder) {
        holder_with(Access::default()).await
    }

    async fn holder_with(access: Access) -> (crate::Node, Holder) {
        let mut config = Config::new(Kind::Relay).named("relay".parse().unwrap());
        config.access = Arc::new(access);
        let relay = crate::Node::launch(config, Vec::new()).unwrap();
        relay.online(true).await.unwrap();
        let holder = Holder::new(relay.runtime().clone());
        (relay, holder)
    }

    fn wish(name: &str) -> Option<Name> {
        Some(name.parse().unwrap())
    }

    #[tokio::test]
    async fn a_held_node_can_be_looked_at_as_any() {
        let (relay, holder) = holder().await;
        let held = holder.hold(Kind::Enet, wish("sensor")).await.unwrap();
        let about = relay.inspect().about("sensor").await.unwrap();
        assert_eq!(about.id, held.id().to_string());
        assert_eq!(relay.inspect().links("sensor").await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_held_node_is_in_the_mesh_and_who_comes_back_is_who_it_was() {
        let (relay, holder) = holder().await;
        let first = holder.hold(Kind::Enet, wish("sensor")).await.unwrap();
        let second = holder.hold(Kind::Enet, wish("sensor")).await.unwrap();
        assert_eq!(first.name(), wish("sensor"));
        assert_eq!(second.name(), wish("sensor-2"));
        let peers = relay.peers();
        assert!(peers.iter().all(|peer| peer.kind == Kind::Enet) && peers.len() == 2);
        let id = first.id();
        assert!(second.ping(id).await.is_ok() && relay.ping(id).await.is_ok());
        drop(first);
        let back = holder.hold(Kind::Enet, wish("sensor")).await.unwrap();
        assert_eq!((back.id(), back.name()), (id, wish("sensor")));
        assert_eq!(holder.count(), 2);
    }

    /// A node that is no program's, linked to this one in the same process.
    async fn other(relay: &crate::Node, secret: u8) -> Result<Node, peerage::Failure> {
        let identity = Identity::from_secret(&[secret; 32]);
        let above = vec![Above::Here(relay.runtime().clone())];
        let config = Config::new(Kind::Native);
        let started = Runtime::start_as(identity, config, above, Discovery::default());
        let (node, _) = started.unwrap();
        node.online(false).await.map(|_| node)
    }

    fn id(secret: u8) -> NodeId {
        Identity::from_secret(&[secret; 32]).id()
    }

    #[tokio::test]
    async fn held_nodes_need_not_be_named_to_be_allowed_and_others_have_to() {
        let allow = [id(1)].into();
        let access = Access {
            allow,
            ..Access::default()
        };
        let (relay, holder) = holder_with(access).await;
        let first = holder.hold(Kind::Enet, wish("first")).await.unwrap();
        let second = holder.hold(Kind::Enet, wish("second")).await.unwrap();
        let allowed = other(&relay, 1).await.unwrap();
        assert!(allowed.ping(first.id()).await.is_ok());
        assert!(first.ping(second.id()).await.is_ok() && relay.ping(first.id()).await.is_ok());
        let refused = other(&relay, 2).await.unwrap_err();
        assert_eq!(refused.code, Code::Unauthorised);
    }

    #[tokio::test]
    async fn who_is_denied_does_not_reach_held_nodes_by_another_way_either() {
        let primary = Config::new(Kind::Relay).named("primary".parse().unwrap());
        let primary = crate::Node::launch(primary, Vec::new()).unwrap();
        primary.online(true).await.unwrap();
        let deny = [id(2)].into();
        let config = Config {
            dials: true,
            access: Arc::new(Access {
                deny,
                ..Access::default()
            }),
            ..Config::new(Kind::Relay)
        };
        let above = vec![Above::Here(primary.runtime().clone())];
        let identity = Identity::from_secret(&[9; 32]);
        let started = Runtime::start_as(identity, config, above, Discovery::default());
        let (below, runtime) = started.unwrap();
        below.online(false).await.unwrap();
        let holder = Holder::new(runtime);
        let held = holder.hold(Kind::Enet, wish("sensor")).await.unwrap();
        let (welcome, denied) = (other(&primary, 1).await, other(&primary, 2).await);
        assert!(welcome.unwrap().ping(held.id()).await.is_ok());
        let asked = denied.unwrap().open(held.id(), "test/1").unwrap();
        assert_eq!(asked.recv().await.unwrap_err().code, Code::Unauthorised);
    }

    #[tokio::test]
    async fn hundreds_are_held_and_reach_each_other() {
        const NODES: usize = 200;
        let (relay, holder) = holder().await;
        let mut held = Vec::new();
        for n in 0..NODES {
            held.push(
                holder
                    .hold(Kind::Enet, wish(&format!("n{n}")))
                    .await
                    .unwrap(),
            );
        }
        for n in 0..NODES / 10 {
            let other = held[(n + 1) * 7 % NODES].id();
            assert!(held[n].ping(other).await.is_ok());
        }
        drop(held);
        let mut events = relay.events();
        while !relay.peers().is_empty() {
            events.next().await;
        }
        assert_eq!(holder.count(), 0);
    }

    #[test]
    fn who_was_away_for_longest_is_forgotten_first() {
        let mut state = State::default();
        let name = |n: usize| -> Name { format!("n{n}").parse().unwrap() };
        for n in 0..=HELD_IDENTITIES_MAX {
            state.take(Some(&name(n)), [1; 32]).unwrap();
            state.held = 0;
            if n > 0 {
                state.known.get_mut(&name(n)).unwrap().is_here = false;
            }
        }
        assert_eq!(state.known.len(), HELD_IDENTITIES_MAX);
        assert!(state.known.contains_key(&name(0)), "it is here");
        assert!(!state.known.contains_key(&name(1)));
    }
}
