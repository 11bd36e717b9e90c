//! The topics of a zone, or of any node, as programs use them.

use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;

use super::PROTOCOL;
use super::line::Line;
use super::presence::Presence;
use super::publishing::{Publish, Publishing, Queue};
use super::server::Broker;
use super::subscription::{Subscribe, Subscription};
use super::way::{Waiting, Way};
use super::wire::{Ask, Tell, Topic, head, message};
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::TOPICS_MAX;
use crate::node::{Event, Node, State};
use crate::object::{self, Form, Item, Value};

/// Relays between a node and its zone's root.
const HOPS_MAX: usize = 32;

/// The way to publish and subscribe, from one node. Clones are the same.
#[derive(Clone)]
pub struct Topics(Arc<Shared>);

struct Shared {
    broker: Broker,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The relay that this node is linked to, and the zone's broker as it was found from there.
    uplink: Option<NodeId>,
    root: Option<NodeId>,
    /// How often the uplink has become another.
    turns: u64,
    /// Who wants to know when it does, by the number of the way.
    waiting: Waiting,
    ways: u64,
    /// By the broker's name; the zone's has none.
    queues: HashMap<Option<String>, Arc<Queue>>,
    spawned: Vec<BoxFuture<'static, ()>>,
    server: Option<Waker>,
    /// Nobody does the work any longer.
    over: bool,
}

impl Topics {
    /// The topics that can be reached from the node of a broker.
    pub fn new(broker: Broker) -> Self {
        let inner = Inner {
            uplink: broker.0.node.uplink(),
            ..Inner::default()
        };
        Self(Arc::new(Shared {
            broker,
            inner: Mutex::new(inner),
        }))
    }

    /// Does the work behind publishing. Somebody has to run this future, beside [`Broker::serve`].
    pub async fn serve(&self) {
        let _end = End(self);
        let mut tasks = FuturesUnordered::new();
        let mut events = self.node().events();
        self.look_up();
        poll_fn(|cx| {
            loop {
                while let Poll::Ready(event) = events.poll_next_unpin(cx) {
                    match event {
                        Some(Event::State(State::Closed)) | None => return Poll::Ready(()),
                        Some(Event::State(_)) => self.look_up(),
                        Some(Event::PeerLeave(peer, _)) => self.lost(peer.id),
                        Some(_) => {}
                    }
                }
                {
                    let mut inner = self.lock();
                    inner.server = Some(cx.waker().clone());
                    tasks.extend(std::mem::take(&mut inner.spawned));
                }
                if !matches!(tasks.poll_next_unpin(cx), Poll::Ready(Some(()))) {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    /// Publishes a value under a topic. It is on its way when this returns, after all that was published
    /// there before; what this gives tells when the broker has it.
    ///
    /// # Errors
    /// `bad-message` for a value that cannot be written, `too-large` for one that is too long, `overloaded`
    /// if too much waits to be published already.
    pub fn publish<T: Serialize + ?Sized>(
        &self,
        topic: &str,
        value: &T,
        options: Publish,
    ) -> Result<Publishing, Failure> {
        let value = object::to_value(value);
        let value = value.map_err(|error| Code::BadMessage.because(error.to_string()))?;
        self.publish_value(topic, &value, options)
    }

    /// As [`Topics::publish`], of a value as it is. Undefined, with `retain`, clears what is retained.
    ///
    /// # Errors
    /// As [`Topics::publish`]; also for a value with references, which can be held by one node only.
    pub fn publish_value(
        &self,
        topic: &str,
        value: &Value,
        options: Publish,
    ) -> Result<Publishing, Failure> {
        let parts = value.nodes().iter().flat_map(object::Node::items);
        if parts
            .chain([value.root()])
            .any(|part| matches!(part, Item::Pointer(_)))
        {
            let message = "expected a value without references, which are for one node each";
            return Err(Code::BadMessage.because(message));
        }
        if options.retain && matches!(value.root(), Item::Undefined) {
            return self.publish_bytes(topic, &Bytes::new(), options);
        }
        self.publish_bytes(topic, &object::encode(value, Form::Natural), options)
    }

    /// Clears what is retained of a topic.
    ///
    /// # Errors
    /// As [`Topics::publish`].
    pub fn clear(&self, topic: &str, options: Publish) -> Result<Publishing, Failure> {
        let options = Publish {
            retain: true,
            ..options
        };
        self.publish_bytes(topic, &Bytes::new(), options)
    }

    /// As [`Topics::publish`], of a value as [`object::encode`] writes it.
    ///
    /// # Errors
    /// As [`Topics::publish`].
    pub fn publish_bytes(
        &self,
        topic: &str,
        value: &Bytes,
        options: Publish,
    ) -> Result<Publishing, Failure> {
        let at = options.at.clone();
        let message = options.message(topic, value)?;
        let mut inner = self.lock();
        if inner.over {
            return Err(gone());
        }
        let queue = inner.queues.get(&at).filter(|queue| !queue.is_over());
        let queue = match queue {
            Some(queue) => Arc::clone(queue),
            None => {
                let queue = Arc::<Queue>::default();
                inner.queues.insert(at.clone(), Arc::clone(&queue));
                let work = Arc::clone(&queue).run(self.clone(), at);
                inner.spawned.push(Box::pin(work));
                if let Some(server) = inner.server.take() {
                    server.wake();
                }
                queue
            }
        };
        drop(inner);
        queue.push(message)
    }

    /// Subscribes to the topics that a filter means.
    ///
    /// # Errors
    /// Why it cannot be: `bad-message` for what is no filter, `unreachable` without a broker…
    pub async fn subscribe(
        &self,
        filter: &str,
        options: Subscribe,
    ) -> Result<Subscription, Failure> {
        Subscription::begin(self.clone(), filter.parse()?, options).await
    }

    /// Who is subscribed to something that this filter means, at the zone's broker or at that node, and who
    /// comes and goes from now on.
    ///
    /// # Errors
    /// As [`Topics::subscribe`].
    pub async fn presence(&self, filter: &str, at: Option<&str>) -> Result<Presence, Failure> {
        filter.parse::<super::Filter>()?;
        let (line, way) = self.open(at).await?;
        Presence::begin(line, way, filter).await
    }

    /// The topics of which something is kept.
    ///
    /// # Errors
    /// As [`Topics::subscribe`].
    pub async fn topics(&self, filter: &str, at: Option<&str>) -> Result<Vec<Topic>, Failure> {
        let (line, way) = self.open(at).await?;
        line.send(message(&Ask::Topics(filter), &[])).await?;
        let mut all = Vec::new();
        loop {
            match answer(way.within(line.recv()).await?)? {
                Tell::Topics(some) if some.is_empty() => return Ok(all),
                Tell::Topics(some) if all.len() <= TOPICS_MAX => all.extend(some),
                _ => return Err(Code::BadMessage.because("expected a list of topics")),
            }
        }
    }

    /// The broker of this node.
    pub fn broker(&self) -> &Broker {
        &self.0.broker
    }

    /// The node that these belong to.
    pub fn node(&self) -> &Node {
        &self.0.broker.0.node
    }

    /// A conversation with the broker at a node, or with the zone's.
    pub(super) async fn open(&self, at: Option<&str>) -> Result<(Line, Way), Failure> {
        let way = Way::new(self, at);
        let line = way.within(self.connect(at)).await?;
        Ok((line, way))
    }

    async fn connect(&self, at: Option<&str>) -> Result<Line, Failure> {
        let host = match at {
            Some(name) => self.node().resolve(name).await?,
            None => self.root().await?,
        };
        match host {
            None => Ok(self.0.broker.connect()),
            Some(host) => Ok(Line::Stream(self.node().open(host, PROTOCOL)?)),
        }
    }

    /// Another way begins: which turn of that to the zone's broker it is, and its number.
    pub(super) fn begin_way(&self) -> (u64, u64) {
        let mut inner = self.lock();
        inner.ways += 1;
        (inner.turns, inner.ways)
    }

    /// Whether the way to the zone's broker has become another; if not, this waker hears when it does.
    pub(super) fn turned(&self, turn: u64, way: u64, waker: &Waker) -> bool {
        let mut inner = self.lock();
        if inner.turns != turn {
            return true;
        }
        inner.waiting.insert(way, waker.clone());
        false
    }

    pub(super) fn end_way(&self, way: u64) {
        self.lock().waiting.remove(&way);
    }

    /// Who is the zone's broker; `None` is this node.
    async fn root(&self) -> Result<Option<NodeId>, Failure> {
        let (node, turns) = (self.node(), self.lock().turns);
        if node.is_primary() {
            return Ok(None);
        }
        let Some(uplink) = node.uplink() else {
            return Err(Code::Unreachable.because("there is no way to the zone's broker now"));
        };
        if let Some(root) = self.lock().root {
            return Ok(Some(root));
        }
        let mut root = uplink;
        for _ in 0..HOPS_MAX {
            let line = Line::Stream(node.open(root, PROTOCOL)?);
            line.send(message(&Ask::Where, &[])).await?;
            line.finish();
            match answer(line.recv().await?)? {
                Tell::There(Some(other)) if other != node.id() => root = other,
                Tell::There(_) => {
                    let mut inner = self.lock();
                    if inner.turns == turns {
                        inner.root = Some(root);
                    }
                    return Ok(Some(root));
                }
                _ => return Err(Code::BadMessage.because("expected where the broker is")),
            }
        }
        Err(Code::Unreachable.because("the zone has no broker"))
    }

    /// What is no more the uplink is no way to the broker.
    fn look_up(&self) {
        let uplink = self.node().uplink();
        let mut inner = self.lock();
        // Without one, sessions wait for it to come back.
        if uplink.is_some() && inner.uplink != uplink {
            if inner.uplink.is_some() {
                inner.turn();
            }
            inner.uplink = uplink;
        }
    }

    /// A node has left the zone, which may have been its broker.
    fn lost(&self, node: NodeId) {
        let mut inner = self.lock();
        if inner.root == Some(node) {
            inner.turn();
        }
    }

    /// Nothing more is published by a queue.
    pub(super) fn ended(&self, at: &Option<String>, queue: &Arc<Queue>) {
        let mut inner = self.lock();
        if inner
            .queues
            .get(at)
            .is_some_and(|other| Arc::ptr_eq(other, queue))
        {
            inner.queues.remove(at);
        }
    }

    /// The root that was found may be no more: it is looked for again.
    pub(super) fn doubt_root(&self) {
        self.lock().root = None;
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    #[cfg(test)]
    pub(super) fn doubt_way(&self) {
        self.lock().turn();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What still waits to be published when nobody does the work any longer, fails.
struct End<'t>(&'t Topics);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        inner.over = true;
        let queues = std::mem::take(&mut inner.queues);
        inner.spawned.clear();
        drop(inner);
        queues.into_values().for_each(|queue| queue.end(&gone()));
    }
}

fn gone() -> Failure {
    Code::Left.because("this node has left")
}

impl Inner {
    /// The way to the zone's broker is another.
    fn turn(&mut self) {
        self.turns += 1;
        self.root = None;
        self.waiting.drain().for_each(|(_, waker)| waker.wake());
    }
}

/// What the broker says; a failure that it tells is one.
pub(super) fn answer<'b>(message: Option<Bytes>) -> Result<Tell<'b>, Failure> {
    let end = || Code::BadMessage.because("expected an answer of the broker, got the end");
    let message = message.ok_or_else(end)?;
    let (tell, _) = head::<Tell<'_>>(&message, "an answer of the broker")?;
    Ok(match tell {
        Tell::Failed(failure) => return Err(failure),
        Tell::Published {
            offset,
            epoch,
            known,
        } => Tell::Published {
            offset,
            epoch,
            known,
        },
        Tell::Begun {
            epoch,
            offset,
            since,
        } => Tell::Begun {
            epoch,
            offset,
            since,
        },
        Tell::Gap(gap) => Tell::Gap(gap),
        Tell::Present(members) => Tell::Present(members),
        Tell::Joined(member) => Tell::Joined(member),
        Tell::Left(member) => Tell::Left(member),
        Tell::Topics(topics) => Tell::Topics(topics),
        Tell::There(id) => Tell::There(id),
        Tell::Message(_) => {
            return Err(Code::BadMessage.because("expected an answer, got a message"));
        }
    })
}
