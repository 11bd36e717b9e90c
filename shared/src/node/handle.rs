//! The handle that programs hold. It needs no particular runtime: every wait is a plain future, woken
//! by the [`Driver`](super::Driver), which the platform runs beside it.

use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{FutureExt, Stream as FuturesStream};

use crate::Time;
use crate::error::{Code, Failure};
use crate::id::{Kind, Name, NodeId};
use crate::limits::{BACKLOG_STREAMS_MAX, EVENTS_MAX};
use crate::node::datagrams::Inbox;
use crate::node::events::{Event, Peer, Pong, State, StreamKey};
use crate::node::machine::Resolution;
use crate::node::machine::{Machine, Output};
use crate::node::stream::Stream;
use crate::node::tap::{Direction, Taps, What};
use crate::node::wait::{Answers, Question, Timers};
use crate::quality::Quality;
use crate::trace::Tracer;

/// A node that runs. Clones are the same node.
#[derive(Clone)]
pub struct Node(pub(super) Arc<Shared>);

/// Streams of one protocol that other nodes open: a `futures::Stream` of them, too.
pub struct Listener {
    node: Node,
    protocol: String,
    serial: u64,
}

/// What happens at a node, from the moment of asking. A reader that is too slow loses the oldest.
pub struct Events {
    node: Node,
    id: u64,
}

impl Node {
    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.lock().machine.id()
    }

    /// The name that it has in its zone, once it is online.
    pub fn name(&self) -> Option<Name> {
        self.lock().machine.name().cloned()
    }

    /// The zone that it is in, or was in last.
    pub fn zone(&self) -> String {
        self.lock().machine.zone.clone()
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.lock().machine.config.kind
    }

    /// Whether other nodes may read its log.
    pub(crate) fn shows_log(&self) -> bool {
        self.lock().machine.config.shows_log
    }

    /// What traces its calls, if anything does.
    pub(crate) fn tracer(&self) -> Option<Arc<dyn Tracer>> {
        self.lock().machine.config.tracer.clone()
    }

    /// How it stands with its relay.
    pub fn state(&self) -> State {
        self.lock().machine.state().clone()
    }

    /// The relay that it is linked to, while it is.
    pub fn uplink(&self) -> Option<NodeId> {
        self.lock().machine.uplink()
    }

    /// Whether it is the root of its zone, which calls no other.
    pub fn is_primary(&self) -> bool {
        self.lock().machine.is_primary()
    }

    /// Everyone else in the zone.
    pub fn peers(&self) -> Vec<Peer> {
        self.lock().machine.peers()
    }

    /// With how many nodes it has a session.
    pub fn sessions(&self) -> usize {
        self.lock().machine.sessions()
    }

    /// The time that it was told last.
    pub fn now(&self) -> Time {
        self.lock().machine.now
    }

    /// What this relay has forwarded.
    pub fn traffic(&self) -> crate::node::Traffic {
        self.lock().machine.traffic()
    }

    /// What goes by its links, and what waits: a look at all of them.
    pub fn load(&self) -> crate::node::Load {
        self.lock().machine.load()
    }

    /// How many links a node has to this relay, and how long it has been here.
    pub fn presence(&self, id: NodeId) -> (usize, Option<Time>) {
        let inner = self.lock();
        let (links, since) = inner.machine.presence(id);
        (
            links,
            since.map(|since| inner.machine.now.saturating_sub(since)),
        )
    }

    /// How good the link with a neighbour is; `None` for a node that is not one.
    pub fn link_quality(&self, id: NodeId) -> Option<Quality> {
        self.lock().machine.link_quality(id)
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        let mut inner = self.lock();
        let id = inner.next_serial();
        inner.subscribers.insert(id, Queue::default());
        Events {
            node: self.clone(),
            id,
        }
    }

    /// Waits until the node is online, if only for a moment.
    ///
    /// # Errors
    /// Why it will not be, or, if `patient` is false, why the first try failed.
    pub async fn online(&self, patient: bool) -> Result<Name, Failure> {
        let mut events = self.events();
        loop {
            match self.state() {
                State::Online(name) => return Ok(name),
                State::Refused(failure) => return Err(failure),
                State::Closed => return Err(Code::Left.because("this node has left")),
                State::Offline if !patient => {
                    let reason = self.lock().machine.offline_reason().to_owned();
                    return Err(Code::Unreachable.because(reason));
                }
                State::Connecting | State::Offline => {}
            }
            // All that has happened so far: it may have been online, and have lost that link.
            let mut next = Some(events.next().await);
            while let Some(event) = next {
                let is_over = || matches!(self.state(), State::Refused(_) | State::Closed);
                match event {
                    Event::State(State::Online(name)) if !is_over() => return Ok(name),
                    _ => next = events.next().now_or_never(),
                }
            }
        }
    }

    /// Waits until the node has left.
    pub async fn left(&self) {
        let mut events = self.events();
        while self.state() != State::Closed {
            events.next().await;
        }
    }

    /// Who is meant by a name, an id, or the beginning of an id. `None` means this node itself.
    ///
    /// # Errors
    /// `unknown-name` if nobody is.
    pub async fn resolve(&self, text: &str) -> Result<Option<NodeId>, Failure> {
        let question = {
            let mut inner = self.lock();
            match inner.machine.resolve(text) {
                Resolution::Here => return Ok(None),
                Resolution::Known(id) => return Ok(Some(id)),
                Resolution::Unknown(failure) => return Err(failure),
                Resolution::Asked(request) => {
                    Question::new(self, &mut inner, |i| &mut i.resolves, u64::from(request))
                }
            }
        };
        let answer = question.answered().await;
        answer.map(Some).map_err(|failure| failure.of(text))
    }

    /// Opens a stream of `protocol` to `peer`. What is sent on it waits for the session; if the node
    /// does not speak the protocol, the first read tells.
    ///
    /// # Errors
    /// Why there can be no session.
    pub fn open(&self, peer: NodeId, protocol: &str) -> Result<Stream, Failure> {
        let key = self.act(|machine| machine.open(peer, protocol))?;
        Ok(Stream::new(self.clone(), key, protocol))
    }

    /// Opens a stream of the first of these protocols that `peer` speaks, and waits until it has said
    /// which: one round trip.
    ///
    /// # Errors
    /// `unknown-protocol` if it speaks none; why there can be no session.
    pub async fn open_any(&self, peer: NodeId, protocols: &[&str]) -> Result<Stream, Failure> {
        let key = self.act(|machine| machine.open_any(peer, protocols))?;
        Stream::agreed(self.clone(), key, protocols).await
    }

    /// Makes sure that there is a session with `peer`, or one being agreed on.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn connect(&self, peer: NodeId) -> Result<(), Failure> {
        self.act(|machine| machine.connect(peer))
    }

    /// How long no stream or datagram of the session with `peer` has carried anything; `None` without one.
    pub fn unused_for(&self, peer: NodeId) -> Option<Time> {
        self.lock().machine.unused_for(peer)
    }

    /// Answers for `protocol` from now on. The last listener for a protocol counts.
    pub fn listen(&self, protocol: &str) -> Listener {
        let mut inner = self.lock();
        inner.machine.listen(protocol);
        let serial = inner.next_serial();
        let listener = inner.listeners.entry(protocol.to_owned()).or_default();
        listener.0 = serial;
        // What waits for the last one waits for this one now; the last one learns that it is over.
        if let Some(reader) = listener.1.reader.take() {
            reader.wake();
        }
        Listener {
            node: self.clone(),
            protocol: protocol.to_owned(),
            serial,
        }
    }

    /// How long the way to `peer` and back is, and which way that is.
    ///
    /// # Errors
    /// `timed-out`, or why there is no session.
    pub async fn ping(&self, peer: NodeId) -> Result<Pong, Failure> {
        let question = {
            let mut inner = self.lock();
            let id = inner.machine.ping(peer)?;
            Question::new(self, &mut inner, |i| &mut i.pings, id)
        };
        question.answered().await
    }

    /// Random bytes, which nobody else can guess.
    pub(crate) fn random(&self) -> [u8; 32] {
        self.lock().machine.random()
    }

    /// Tells that the relay may be reachable again: a call that waits is made now.
    pub fn retry_now(&self) {
        self.act(|machine| {
            let now = machine.now;
            machine.handle_online(now);
        });
    }

    /// Leaves: every session learns it, and every stream here ends. To leave is immediate; the last
    /// words are on their way once the driver has run.
    pub fn close(&self) {
        self.act(Machine::close);
    }

    /// Does something with the machine, and lets the driver see to what follows.
    pub(super) fn act<T>(&self, action: impl FnOnce(&mut Machine) -> T) -> T {
        let mut inner = self.lock();
        let result = action(&mut inner.machine);
        inner.wake_driver();
        result
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }
}

impl core::fmt::Debug for Node {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Node({:?})", self.id())
    }
}

impl Listener {
    /// The next stream that another node opens; `None` once this node has left, or somebody else
    /// answers for the protocol.
    pub async fn accept(&mut self) -> Option<Stream> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// As [`Listener::accept`], to be polled.
    pub fn poll_accept(&self, cx: &Context<'_>) -> Poll<Option<Stream>> {
        let mut inner = self.node.lock();
        if *inner.machine.state() == State::Closed {
            return Poll::Ready(None);
        }
        let key = match inner.listeners.get_mut(&self.protocol) {
            Some((serial, queue)) if *serial == self.serial => queue.poll(cx),
            Some(_) | None => return Poll::Ready(None),
        };
        drop(inner);
        key.map(|key| Some(Stream::new(self.node.clone(), key, &self.protocol)))
    }
}

impl FuturesStream for Listener {
    type Item = Stream;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Stream>> {
        self.poll_accept(cx)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut inner = self.node.lock();
        let own = |(serial, _): &(u64, _)| *serial == self.serial;
        if !inner.listeners.get(&self.protocol).is_some_and(own) {
            return;
        }
        inner.machine.unlisten(&self.protocol);
        let waiting = inner.listeners.remove(&self.protocol);
        for key in waiting.into_iter().flat_map(|(_, queue)| queue.items) {
            let nobody = format!("nobody speaks `{}` here any longer", self.protocol);
            let machine = &mut inner.machine;
            machine.reset(key, Code::UnknownProtocol.because(nobody));
            machine.release(key);
        }
        inner.wake_driver();
    }
}

impl Events {
    /// The next event.
    pub async fn next(&mut self) -> Event {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Event> {
        let mut inner = self.node.lock();
        inner
            .subscribers
            .get_mut(&self.id)
            .map_or(Poll::Pending, |queue| queue.poll(cx))
    }
}

impl FuturesStream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll(cx).map(Some)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.node.lock().subscribers.remove(&self.id);
    }
}

/// What the handles and the driver of one node share.
pub(super) struct Shared(Mutex<Inner>);

pub(super) struct Inner {
    pub(super) machine: Machine,
    pub(super) driver: Option<Waker>,
    pub(super) readers: HashMap<StreamKey, Waker>,
    pub(super) writers: HashMap<StreamKey, Waker>,
    pub(super) timers: Timers,
    pub(super) datagrams: HashMap<(NodeId, String), Inbox>,
    /// By protocol: the last listener's serial number, and what waits for it.
    listeners: HashMap<String, (u64, Queue<StreamKey>)>,
    subscribers: BTreeMap<u64, Queue<Event>>,
    pub(super) taps: Taps,
    pub(super) resolves: Answers<NodeId>,
    pub(super) pings: Answers<Pong>,
    serial: u64,
}

/// Things that wait for one reader.
struct Queue<T> {
    items: VecDeque<T>,
    reader: Option<Waker>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            reader: None,
        }
    }
}

impl<T> Queue<T> {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<T> {
        if let Some(item) = self.items.pop_front() {
            return Poll::Ready(item);
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn push(&mut self, item: T) {
        self.items.push_back(item);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl Shared {
    pub(super) fn new(machine: Machine) -> Self {
        Self(Mutex::new(Inner {
            machine,
            driver: None,
            readers: HashMap::new(),
            writers: HashMap::new(),
            timers: Timers::default(),
            datagrams: HashMap::new(),
            listeners: HashMap::new(),
            subscribers: BTreeMap::new(),
            taps: Taps::default(),
            resolves: Answers::default(),
            pings: Answers::default(),
            serial: 0,
        }))
    }

    /// A panic elsewhere leaves the machine as it was between two calls, so it may go on.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    pub(super) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(super) fn wake_driver(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    /// The next thing to do outside; what concerns the handles is done on the way.
    pub(super) fn poll_output(&mut self) -> Option<Output> {
        loop {
            match self.machine.poll_output()? {
                Output::Event(event) => self.dispatch(event),
                output => return Some(output),
            }
        }
    }

    fn dispatch(&mut self, event: Event) {
        match event {
            Event::Readable(key) => wake(&mut self.readers, key),
            Event::Writable(key) => wake(&mut self.writers, key),
            Event::Datagram(peer, protocol, datagram) => {
                let what = || What::Datagram {
                    peer,
                    protocol: protocol.clone(),
                };
                self.taps
                    .note(self.machine.now, Direction::In, &datagram, what);
                if let Some(inbox) = self.datagrams.get_mut(&(peer, protocol)) {
                    inbox.push(datagram);
                }
            }
            Event::Incoming(key, protocol) => self.incoming(key, &protocol),
            Event::Resolved(request, answer) => self.resolves.put(u64::from(request), answer),
            Event::Pong(id, answer) => self.pings.put(id, answer),
            event => {
                if event == Event::State(State::Closed) {
                    self.wake_listeners();
                }
                for queue in self.subscribers.values_mut() {
                    if queue.items.len() >= EVENTS_MAX {
                        queue.items.pop_front();
                    }
                    queue.push(event.clone());
                }
            }
        }
    }

    fn incoming(&mut self, key: StreamKey, protocol: &str) {
        match self.listeners.get_mut(protocol) {
            Some((_, queue)) if queue.items.len() < BACKLOG_STREAMS_MAX => queue.push(key),
            _ => {
                self.machine
                    .reset(key, Code::Overloaded.because("too many streams wait here"));
                self.machine.release(key);
            }
        }
    }

    fn wake_listeners(&mut self) {
        for (_, queue) in self.listeners.values_mut() {
            if let Some(reader) = queue.reader.take() {
                reader.wake();
            }
        }
    }
}

fn wake(wakers: &mut HashMap<StreamKey, Waker>, key: StreamKey) {
    if let Some(waker) = wakers.remove(&key) {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::link::{LinkId, Origin};
    use crate::node::{Action, Driver, Input};
    use crate::{Config, Identity, Kind};

    const LINK: LinkId = LinkId(0);

    fn node(secret: u8, kind: Kind) -> (Node, Driver) {
        let identity = Identity::from_secret(&[secret; 32]);
        let config = Config::new(kind).named(kind.to_string().parse().unwrap());
        Driver::new(config, identity, [secret; 32], Time::ZERO)
    }

    /// Hands to one what the other says; whether there was anything.
    fn carry(from: &Driver, to: &Driver) -> bool {
        let next = || poll_fn(|cx| from.poll_action(Time::ZERO, cx)).now_or_never();
        let actions: Vec<_> = core::iter::from_fn(next).collect();
        let any = !actions.is_empty();
        for action in actions {
            if let Action::Send(_, packet) = action {
                to.handle(Time::ZERO, Input::Packet(LINK, packet));
            }
        }
        any
    }

    #[test]
    fn who_was_online_for_a_moment_has_been_online() {
        let (relay, node) = (node(1, Kind::Relay), node(2, Kind::Native));
        let mut online = pin!(node.0.online(false));
        assert!(online.as_mut().now_or_never().is_none());
        relay
            .1
            .handle(Time::ZERO, Input::LinkUp(LINK, Origin::Accepted));
        node.1
            .handle(Time::ZERO, Input::LinkUp(LINK, Origin::Dialled));
        while carry(&relay.1, &node.1) || carry(&node.1, &relay.1) {}
        node.1
            .handle(Time::ZERO, Input::LinkDown(LINK, "cut".into()));
        while carry(&node.1, &relay.1) {}
        assert_eq!(node.0.state(), State::Offline);
        assert_eq!(online.now_or_never().unwrap().unwrap().as_str(), "native");
    }
}
