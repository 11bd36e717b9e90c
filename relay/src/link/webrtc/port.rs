//! The task of the socket: datagrams to the connection that they are for, packets into data channels, and what
//! connections say to the network and to the node.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use peerage::error::Code;
use peerage::limits::{CANDIDATES_MAX, DIRECT_LINKS_NATIVE, WEBRTC_SOURCES_MAX};
use peerage::link::Origin;
use peerage::log::CONNECTION;
use peerage::node::{Input, Medium};
use peerage::{Failure, NodeId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use crate::link::webrtc::mirror::Mirror;
use crate::link::webrtc::peer::{Peer, Said, candidates_of, input};
use crate::link::webrtc::relayed::Relayed;
use crate::link::webrtc::socket::Received;
use crate::link::webrtc::sources::{Claims, Sources};
use crate::link::webrtc::{ConnectionId, Datagram, Socket, Told, addresses};
use crate::link::{Inbox, Letter, outbox};
use crate::runtime::{self, Runtime};
use crate::stun::{For, FromPeer, Now, Stun};

/// After an error of the socket, such as one that the network has told, it is read again.
const PAUSE: Duration = Duration::from_millis(10);
/// How soon a connection may have something to do by itself.
const TICK_MIN: Duration = Duration::from_millis(1);
/// How long the task may sleep if nothing is due.
const IDLE: Duration = Duration::from_secs(60);
/// How long the last words of links may take once the node has left.
const LAST_WORDS_MAX: Duration = Duration::from_millis(500);

/// What the task is told.
pub(super) enum Order {
    Answer {
        peer: NodeId,
        offer: String,
        tell: mpsc::UnboundedSender<Told>,
        reply: oneshot::Sender<Result<(ConnectionId, String), Failure>>,
    },
    Candidate(ConnectionId, String),
    End(ConnectionId),
    /// Asks a STUN server by which address this socket is seen.
    Ask(SocketAddr, oneshot::Sender<()>),
}

/// What a link's inbox had, and the inbox. Nobody waits there while the connection has no room.
type Taken = (ConnectionId, Inbox, Option<(Letter, bool)>);

/// What a connection said that is for later.
#[derive(Default)]
struct Heard {
    opened: bool,
    room: bool,
}

pub(super) struct Port {
    runtime: Runtime,
    socket: Socket,
    public: Option<IpAddr>,
    mirror: Mirror,
    peers: HashMap<ConnectionId, Peer>,
    next: ConnectionId,
    /// By which name in STUN, and from where, a connection is meant.
    names: HashMap<String, ConnectionId>,
    sources: Sources,
    timers: BTreeSet<(Instant, ConnectionId)>,
    inboxes: FuturesUnordered<BoxFuture<'static, Taken>>,
    stun: Option<(Stun, Relayed)>,
}

impl Port {
    pub(super) fn new(
        runtime: Runtime,
        socket: Socket,
        public: Option<IpAddr>,
        stun: Option<Stun>,
    ) -> Self {
        Self {
            runtime,
            socket,
            public,
            mirror: Mirror::default(),
            peers: HashMap::new(),
            next: 0,
            names: HashMap::new(),
            sources: Sources::default(),
            timers: BTreeSet::new(),
            inboxes: FuturesUnordered::new(),
            stun: stun.map(|stun| (stun, Relayed::new())),
        }
    }

    /// Runs until nobody is left who could give an order, or the node has left and its last words have too.
    pub(super) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut received = Received::new();
        let runtime = self.runtime.clone();
        let mut left = std::pin::pin!(runtime.left());
        let mut leaving = None;
        while leaving.is_none_or(|until| Instant::now() < until && self.has_links()) {
            let due = leaving.map_or(self.due(), |until| self.due().min(until));
            tokio::select! {
                () = &mut left, if leaving.is_none() => leaving = Some(Instant::now() + LAST_WORDS_MAX),
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => break,
                },
                Some((id, inbox, taken)) = self.inboxes.next() => self.pump(id, inbox, taken).await,
                result = self.socket.receive(&mut received) => match result {
                    Ok(()) => self.hear_all(&received).await,
                    Err(_) => tokio::time::sleep(PAUSE).await,
                },
                heard = hear_relayed(&mut self.stun) => self.hear_peer(heard).await,
                () = sleep_until(due.into()) => self.look_after().await,
            }
        }
        for id in Vec::from_iter(self.peers.keys().copied()) {
            self.end(id).await;
        }
    }

    fn has_links(&self) -> bool {
        self.peers.values().any(|peer| peer.link.is_some())
    }

    async fn hear_peer(&mut self, heard: FromPeer) {
        if let Some((stun, relayed)) = &mut self.stun {
            stun.hear_peer(Instant::now(), heard, relayed);
            relayed.answer_all(&self.socket).await;
        }
    }

    fn due(&self) -> Instant {
        let peers = self.timers.first().map(|(due, _)| *due);
        let stun = self.stun.as_ref().and_then(|(stun, _)| stun.due());
        let due = peers.into_iter().chain(stun).min();
        due.unwrap_or_else(|| Instant::now() + IDLE)
    }

    async fn look_after(&mut self) {
        let now = Instant::now();
        while let Some(&(due, id)) = self.timers.first()
            && due <= now
        {
            self.timers.pop_first();
            self.tell(id, str0m::Input::Timeout(now)).await;
        }
        if let Some((stun, relayed)) = &mut self.stun {
            stun.look_after(now, relayed);
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Answer {
                peer,
                offer,
                tell,
                reply,
            } => {
                let answered = self.answer(peer, &offer, tell).await;
                let id = answered.as_ref().ok().map(|(id, _)| *id);
                if reply.send(answered).is_err()
                    && let Some(id) = id
                {
                    self.end(id).await;
                }
            }
            Order::Candidate(id, text) => {
                if let Some(peer) = self.peers.get_mut(&id) {
                    peer.candidate(&text);
                    self.settle(id).await;
                }
            }
            Order::End(id) => self.end(id).await,
            Order::Ask(server, reply) => {
                let question = self.mirror.ask(server, reply);
                let from = self.socket.address().ip();
                self.socket.send(from, server, &question).await;
            }
        }
    }

    async fn answer(
        &mut self,
        node: NodeId,
        offer: &str,
        tell: mpsc::UnboundedSender<Told>,
    ) -> Result<(ConnectionId, String), Failure> {
        if self.peers.len() >= DIRECT_LINKS_NATIVE {
            return Err(Code::Overloaded.because("no more direct links"));
        }
        let mut here = addresses::candidates(self.socket.address(), self.public);
        here.extend(self.mirror.candidate());
        let (peer, answer) = Peer::answer(node, offer, &here, tell, Instant::now())?;
        let id = self.next;
        self.next += 1;
        self.names.insert(peer.name.clone(), id);
        self.peers.insert(id, peer);
        self.settle(id).await;
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.open_channel();
        }
        self.settle(id).await;
        for candidate in candidates_of(offer).take(CANDIDATES_MAX) {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.candidate(candidate);
            }
            self.settle(id).await;
        }
        Ok((id, answer))
    }

    async fn hear_all(&mut self, received: &Received) {
        for datagram in received.datagrams(self.socket.address()) {
            self.hear(datagram).await;
        }
    }

    /// A datagram is of a connection or of STUN and TURN, or of nobody.
    async fn hear(&mut self, datagram: Datagram<'_>) {
        // Who was asked may answer, whoever may call.
        if self.mirror.hear(datagram) || !self.runtime.hearing.has(datagram.from.ip()) {
            return;
        }
        let ids = match For::of(datagram.bytes) {
            For::Connection(name) => {
                let mut claims = Claims::default();
                claims[0] = self.names.get(name).copied();
                claims
            }
            For::Known => self.sources.of(datagram.from),
            For::Server => {
                if let Some((stun, relayed)) = &mut self.stun {
                    stun.hear(Now::read(), datagram, relayed);
                    relayed.answer_all(&self.socket).await;
                }
                return;
            }
            For::Nobody => return,
        };
        let now = Instant::now();
        for id in ids.into_iter().flatten() {
            if let Some(input) = input(datagram.from, datagram.at, datagram.bytes, now) {
                self.learn(id, datagram.from, &input);
                self.tell(id, input).await;
            }
        }
    }

    /// Notes from where a connection is heard, once a datagram from there is proven to be its own.
    fn learn(&mut self, id: ConnectionId, from: SocketAddr, input: &str0m::Input<'_>) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if peer.sources.contains(&from) || !peer.accepts(input) {
            return;
        }
        if peer.sources.len() >= WEBRTC_SOURCES_MAX {
            let oldest = peer.sources.remove(0);
            self.sources.forget(oldest, id);
        }
        peer.sources.push(from);
        let given_up = self.sources.claim(from, id);
        if let Some(other) = given_up.and_then(|other| self.peers.get_mut(&other)) {
            other.sources.retain(|source| *source != from);
        }
    }

    async fn tell(&mut self, id: ConnectionId, input: str0m::Input<'_>) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if !peer.accepts(&input) {
            return;
        }
        if peer.handle(input).is_err() {
            return self.end(id).await;
        }
        self.settle(id).await;
    }

    /// Does what a connection says, until it has said all; then what follows from that, and so on. (A change in
    /// the middle of what it says could get lost.)
    async fn settle(&mut self, id: ConnectionId) {
        loop {
            let Heard { opened, room } = self.drain(id).await;
            if opened {
                self.open(id).await;
            }
            let Some(peer) = self.peers.get_mut(&id) else {
                return;
            };
            if room {
                peer.flush();
                if !peer.is_full()
                    && let Some(inbox) = peer.inbox.take()
                {
                    self.wait(id, inbox);
                }
            }
            if !opened && !room {
                return;
            }
        }
    }

    async fn drain(&mut self, id: ConnectionId) -> Heard {
        let mut heard = Heard::default();
        while let Some(peer) = self.peers.get_mut(&id) {
            let before = peer.due;
            let Some(said) = peer.poll() else {
                // One that is always due would leave no time for others.
                peer.due = peer.due.max(Instant::now() + TICK_MIN);
                let after = peer.due;
                self.timers.remove(&(before, id));
                self.timers.insert((after, id));
                break;
            };
            match said {
                // Checks of where it says to be: nothing is said to who is not heard.
                Said::Datagram(to) if !self.runtime.hearing.has(to.destination.ip()) => {}
                Said::Datagram(to) => {
                    let from = to.source.ip();
                    self.socket.send(from, to.destination, &to.contents).await;
                }
                Said::Packet(packet) => {
                    if let Some(link) = peer.link {
                        self.runtime.tell_packet(link, packet).await;
                    }
                }
                Said::Open => heard.opened = true,
                Said::Room => heard.room = true,
                Said::Closed => self.forget(id).await,
            }
        }
        heard
    }

    /// The channel is a link of the node from now on.
    async fn open(&mut self, id: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let (outbox, inbox) = outbox();
        peer.opened();
        let link = self.runtime.new_link();
        peer.link = Some(link);
        let _ = peer.tell.send(Told::Open);
        let from = peer.sources.last().map(SocketAddr::to_string);
        let up = runtime::Told::Link(link, Origin::Direct(peer.node), outbox);
        let place = Input::Place(link, Medium::WebRtc, from);
        self.runtime.tell(up).await;
        self.runtime.tell(runtime::Told::Input(place)).await;
        self.wait(id, inbox);
    }

    /// Waits for the next packet that is to leave.
    fn wait(&self, id: ConnectionId, mut inbox: Inbox) {
        self.inboxes.push(Box::pin(async move {
            let taken = inbox.next().await;
            (id, inbox, taken)
        }));
    }

    /// Writes packets while there are any, and room for them.
    async fn pump(&mut self, id: ConnectionId, mut inbox: Inbox, first: Option<(Letter, bool)>) {
        let mut next = match first {
            Some(first) => Some(first),
            None => return self.end(id).await,
        };
        while let Some((letter, ready)) = next {
            let Some(peer) = self.peers.get_mut(&id) else {
                return;
            };
            match letter {
                Letter::Packet(packet) => peer.write(packet),
                Letter::Close(_) => return self.end(id).await,
            }
            let link = peer.link;
            self.settle(id).await;
            if let Some(link) = link.filter(|_| ready) {
                let ready = Input::Writable(link, true);
                self.runtime.tell(runtime::Told::Input(ready)).await;
            }
            match self.peers.get_mut(&id) {
                None => return,
                Some(peer) if peer.is_full() => {
                    peer.inbox = Some(inbox);
                    return;
                }
                Some(_) => next = inbox.try_next(),
            }
        }
        self.wait(id, inbox);
    }

    /// Ends a connection from this side.
    async fn end(&mut self, id: ConnectionId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.close();
            self.drain(id).await;
            self.forget(id).await;
        }
    }

    /// A connection is no more.
    async fn forget(&mut self, id: ConnectionId) {
        let Some(peer) = self.peers.remove(&id) else {
            return;
        };
        self.names.remove(&peer.name);
        self.timers.remove(&(peer.due, id));
        for source in &peer.sources {
            self.sources.forget(*source, id);
        }
        // Who has asked may have given up.
        let _ = peer.tell.send(Told::Closed);
        if let Some(link) = peer.link {
            let down = Input::LinkDown(link, String::from("the direct link has ended"));
            self.runtime.tell(runtime::Told::Input(down)).await;
        }
        tracing::debug!(target: CONNECTION, peer = %peer.node.short(), "a connection has ended");
    }
}

/// The next datagram for an allocation, if there is a server that has any.
async fn hear_relayed(stun: &mut Option<(Stun, Relayed)>) -> FromPeer {
    match stun {
        Some((_, relayed)) => relayed.next().await,
        None => std::future::pending().await,
    }
}
