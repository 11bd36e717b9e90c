//! Direct links between native nodes: over ENet, through their routers. The node of the smaller id asks, while the
//! session with the other is in use; where no way is found, the relay goes on carrying what it carried from the
//! first message on.

mod attempt;
mod socket;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use peerage::error::Code;
use peerage::id::Kind;
use peerage::limits::{
    DIRECT_PAUSE, PUNCH_INTERVAL_MIN, PUNCH_PAUSE, PUNCH_PLACES_MAX, PUNCHES_MAX,
};
use peerage::log::{CONNECTION, ERROR};
use peerage::node::{Event, State, Stream};
use peerage::service::punch::{PROTOCOL, Place};
use peerage::service::signal::{Admission, Degree, ice};
use peerage::{Failure, Node, NodeId, Time};
use tokio::net::lookup_host;
use tokio::sync::oneshot;

use crate::direct::{here, relay_url};
use crate::runtime::Runtime;
use socket::Socket;

/// How often it is looked which links are needed, and which are not.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The direct links of a native node with others; clones are the same.
#[derive(Clone)]
pub(crate) struct Punch(Arc<Inner>);

struct Inner {
    node: Node,
    runtime: Runtime,
    links: Mutex<Links>,
}

struct Links {
    degree: Degree,
    attempts: HashMap<NodeId, Attempt>,
    /// To whom no way was found, and until when it is not looked for again.
    hopeless: HashMap<NodeId, Time>,
    pace: Pace,
    next: u64,
    socket: Option<Socket>,
}

/// An attempt, or the link that came of it: it ends when this is dropped.
struct Attempt {
    serial: u64,
    #[expect(dead_code, reason = "it ends the attempt by being dropped")]
    end: oneshot::Sender<()>,
}

impl Punch {
    /// At most so many links of a node.
    pub(crate) fn new(node: Node, runtime: Runtime, max: usize) -> Self {
        let links = Links {
            degree: Degree::new(max.min(PUNCHES_MAX)),
            attempts: HashMap::new(),
            hopeless: HashMap::new(),
            pace: Pace::default(),
            next: 0,
            socket: None,
        };
        Self(Arc::new(Inner {
            node,
            runtime,
            links: Mutex::new(links),
        }))
    }

    /// Keeps direct links for as long as the node lives.
    pub(crate) async fn run(self) {
        let node = self.node();
        if node.kind() != Kind::Native {
            return;
        }
        let mut events = node.events();
        let mut listener = node.listen(PROTOCOL);
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                stream = listener.accept() => match stream {
                    Some(stream) => self.asked(stream),
                    None => break,
                },
                event = events.next() => match event {
                    Event::SessionUp(peer) => self.ask(peer),
                    Event::SessionDown(peer, _) => self.forget(peer),
                    Event::Connection(told) => {
                        if let Some(peer) = told.ended_by_hand() {
                            self.pause(peer);
                        }
                    }
                    Event::State(State::Closed) => break,
                    _ => {}
                },
                _ = looks.tick() => self.look(),
            }
        }
        let mut links = self.links();
        links.attempts.clear();
        links.socket = None;
    }

    fn node(&self) -> &Node {
        &self.0.node
    }

    fn runtime(&self) -> &Runtime {
        &self.0.runtime
    }

    /// The socket, which is bound when it is needed first.
    fn socket(&self) -> Result<Socket, Failure> {
        let mut links = self.links();
        if let Some(socket) = &links.socket {
            return Ok(socket.clone());
        }
        let hearing = self.runtime().hearing.clone();
        let opened = Socket::open(hearing).map_err(|error| {
            tracing::warn!(target: ERROR, %error, "no socket for direct links");
            Code::Unreachable.because("this node has no socket for direct links")
        })?;
        Ok(links.socket.insert(opened).clone())
    }

    /// Where this node may be reached by the socket: its own addresses, and what routers make of them.
    async fn places(&self, socket: &Socket) -> Result<Vec<Place>, Failure> {
        let node = self.node();
        let offline = || Code::Unreachable.because("this node has no relay");
        let relay = node.uplink().ok_or_else(offline)?;
        let url = relay_url(self.node()).ok_or_else(offline)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let server = ice::ask(node, relay).await.ok();
        let is_server = server.is_some();
        let place = server.map(|server| (server.host.unwrap_or(host.clone()), server.port));
        let (host, port) = place.unwrap_or((host, url.port_or_known_default().unwrap_or(1)));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = lookup_host((host, port)).await;
        let found = found.map_err(|error| Code::Unreachable.because(error.to_string()))?;
        let mut found = Vec::from_iter(found.filter(|at| at.is_ipv4() || socket.is_v6()));
        // One of each family.
        found.sort_by_key(SocketAddr::is_ipv6);
        found.dedup_by_key(|at| at.is_ipv6());
        let own = socket::places(&found, socket.port());
        let mut places = own.map_err(|error| Code::Unreachable.because(error.to_string()))?;
        places.retain(|place| place.address.is_ipv4() || socket.is_v6());
        places.truncate(PUNCH_PLACES_MAX - found.len());
        let servers = found.iter().filter(|_| is_server);
        let mapped = join_all(servers.map(|server| socket.mapped(*server))).await;
        for address in mapped.into_iter().flatten() {
            if places.iter().all(|place| place.address != address) {
                let is_mapped = true;
                places.push(Place { address, is_mapped });
            }
        }
        Ok(places)
    }

    /// Whether its relay is on another machine: else it has no use for direct links.
    fn is_beyond(&self) -> bool {
        relay_url(self.node()).is_some_and(|relay| here(&relay).is_none())
    }

    /// Asks a node for a link, if that is this side's to do, and there is room.
    fn ask(&self, peer: NodeId) {
        let node = self.node();
        let is_ours = node.id() < peer && self.is_native(peer) && self.is_beyond();
        if !is_ours || !self.may_ask(peer) || !self.admit(peer) {
            return;
        }
        match node.open(peer, PROTOCOL) {
            Ok(stream) => self.begin(stream, true),
            Err(_) => self.forget(peer),
        }
    }

    /// A node asks for a link.
    fn asked(&self, stream: Stream) {
        let peer = stream.peer();
        if self.is_native(peer)
            && peer < self.node().id()
            && self.is_beyond()
            && !self.is_paused(peer)
            && self.may_begin(peer)
            && self.admit(peer)
        {
            self.begin(stream, false);
        } else {
            stream.reset(Code::Overloaded.because("no more direct links"));
        }
    }

    fn begin(&self, stream: Stream, is_opener: bool) {
        let (end, ended) = oneshot::channel();
        let peer = stream.peer();
        let mut links = self.links();
        let serial = links.next;
        links.next += 1;
        // One that is there already is one that the peer has given up.
        links.attempts.insert(peer, Attempt { serial, end });
        let punch = self.clone();
        tokio::spawn(async move {
            let result = attempt::run(&punch, &stream, is_opener, ended).await;
            punch.over(peer, serial, result);
        });
    }

    /// An attempt has come to nothing, or its link has ended.
    fn over(&self, peer: NodeId, serial: u64, result: Result<(), Failure>) {
        let now = self.node().now();
        let mut links = self.links();
        if links
            .attempts
            .get(&peer)
            .is_none_or(|own| own.serial != serial)
        {
            return;
        }
        links.attempts.remove(&peer);
        links.degree.ended(peer);
        links.hopeless.retain(|_, until| now < *until);
        let Err(failure) = result else {
            return;
        };
        tracing::debug!(
            target: CONNECTION,
            node = %self.node().id().short(), peer = %peer.short(), code = %failure.code,
            "no direct link"
        );
        let pause = match failure.code {
            // The other side has no room, or has not heard of this.
            Code::Overloaded | Code::Gone | Code::Left => DIRECT_PAUSE,
            _ => PUNCH_PAUSE,
        };
        links.hopeless.insert(peer, now + pause);
    }

    /// Makes links that are needed now, and ends those that nobody needs.
    fn look(&self) {
        let node = self.node();
        let peers = node.peers().into_iter();
        let natives = peers.filter(|peer| peer.kind == Kind::Native);
        let natives: Vec<_> = natives.map(|peer| peer.id).collect();
        let is_used = |id: &&NodeId| {
            node.unused_for(**id)
                .is_some_and(|unused| unused < LOOK_EVERY)
        };
        natives.iter().filter(is_used).for_each(|id| self.ask(*id));
        let unused_for = |id| node.unused_for(id).unwrap_or(Time::MAX);
        let idle = self.links().degree.idle(|_| false, unused_for);
        idle.into_iter().for_each(|id| self.pause(id));
    }

    fn may_ask(&self, peer: NodeId) -> bool {
        let now = self.node().now();
        let links = self.links();
        let is_hopeless = links.hopeless.get(&peer).is_some_and(|until| now < *until);
        !is_hopeless && !links.attempts.contains_key(&peer) && links.degree.may_ask(peer, now)
    }

    /// Whether there is to be no link with this node for a while.
    fn is_paused(&self, peer: NodeId) -> bool {
        let links = self.links();
        let is_new = !links.attempts.contains_key(&peer);
        is_new && !links.degree.may_ask(peer, self.0.node.now())
    }

    /// Whether a node that asks has not asked a moment ago.
    fn may_begin(&self, peer: NodeId) -> bool {
        let now = self.0.node.now();
        self.links().pace.admits(peer, now)
    }

    fn admit(&self, peer: NodeId) -> bool {
        let unused_for = |peer| self.node().unused_for(peer).unwrap_or(Time::MAX);
        let mut links = self.links();
        match links.degree.admit(peer, unused_for) {
            Admission::Admitted => true,
            Admission::Full => false,
            Admission::InPlaceOf(idle) => {
                links.attempts.remove(&idle);
                true
            }
        }
    }

    /// No link with this peer for a while.
    fn pause(&self, peer: NodeId) {
        let now = self.node().now();
        let mut links = self.links();
        links.degree.pause(peer, now);
        links.attempts.remove(&peer);
    }

    fn forget(&self, peer: NodeId) {
        let mut links = self.links();
        links.degree.ended(peer);
        links.attempts.remove(&peer);
    }

    fn is_native(&self, peer: NodeId) -> bool {
        let mut peers = self.node().peers().into_iter();
        peers.any(|known| known.id == peer && known.kind == Kind::Native)
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.0.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who has asked for a link a moment ago, and when.
#[derive(Default)]
struct Pace(HashMap<NodeId, Time>);

impl Pace {
    /// Whether a node may begin now.
    fn admits(&mut self, peer: NodeId, now: Time) -> bool {
        self.0.retain(|_, begun| now < *begun + PUNCH_INTERVAL_MIN);
        let is_new = !self.0.contains_key(&peer);
        if is_new {
            self.0.insert(peer, now);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use peerage::{Config, Identity};

    use super::*;
    use crate::discovery::Discovery;
    use crate::link::dial::Above;

    #[test]
    fn who_asks_again_and_again_is_heard_now_and_then_and_others_are_heard() {
        let (loud, other) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let mut pace = Pace::default();
        assert!(pace.admits(loud, Time::ZERO) && !pace.admits(loud, PUNCH_INTERVAL_MIN / 2));
        assert!(pace.admits(other, PUNCH_INTERVAL_MIN / 2));
        assert!(pace.admits(loud, PUNCH_INTERVAL_MIN) && pace.0.len() == 2);
    }

    async fn node(secret: u8, config: Config, above: Vec<Above>) -> (Node, Runtime) {
        let identity = Identity::from_secret(&[secret; 32]);
        let started = Runtime::start_as(identity, config, above, Discovery::default());
        let (node, runtime) = started.unwrap();
        node.online(false).await.unwrap();
        (node, runtime)
    }

    #[tokio::test]
    async fn an_attempt_that_makes_way_ends_though_the_other_side_says_nothing() {
        let relay = Config::new(Kind::Relay).named("relay".parse().unwrap());
        let (_relay, relay) = node(1, relay, Vec::new()).await;
        let below = || vec![Above::Here(relay.clone())];
        let (silent, _) = node(2, Config::new(Kind::Native), below()).await;
        let (asked, runtime) = node(3, Config::new(Kind::Native), below()).await;
        let mut listener = asked.listen(PROTOCOL);
        let _theirs = silent.open(asked.id(), PROTOCOL).unwrap();
        let stream = listener.accept().await.unwrap();
        let punch = Punch::new(asked, runtime, 1);
        let (end, ended) = oneshot::channel();
        let attempt = attempt::run(&punch, &stream, false, ended);
        let (result, ()) = tokio::join!(attempt, async {
            tokio::task::yield_now().await;
            drop(end);
        });
        assert_eq!(result.unwrap_err().code, Code::Cancelled);
        assert_eq!(punch.socket().unwrap().shares(), 0);
    }
}
