//! The state machine of a node. Its methods are of four kinds:
//!
//! - *getters* look, and change nothing;
//! - *`handle_*`* tell what happened outside, and when: a link is up, a packet came, time passed;
//! - *commands* say what the program wants: open a stream, send, ping, close;
//! - *`poll_output`* gives what is to be done outside, one thing at a time.
//!
//! After any number of `handle_*` calls and commands, call [`Machine::poll_output`] until it returns
//! `None`, and call [`Machine::handle_time`] at [`Machine::deadline`] at the latest. Commands carry no
//! time: call `handle_time` between them and `poll_output`. Time never runs backwards.

mod access;
mod backlog;
mod connections;
mod forward;
mod handshakes;
mod hub;
mod members;
mod neighbour;
mod paths;
mod peers;
mod records;
mod session;
mod streams;
#[cfg(test)]
mod tests;
mod uplink;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::Time;
use crate::config::Config;
use crate::error::{Code, Failure};
use crate::id::{Identity, Name, NodeId};
use crate::limits::{LINKS_MAX, RETURN_SPREAD_EACH, STALL, SWEEP_INTERVAL_MIN};
use crate::link::frame::Member;
use crate::link::{Frame, LinkId, Origin};
use crate::log::event;
use crate::node::connection::Change;
use crate::node::events::{Event, Peer, State};
use crate::node::machine::connections::Connections;
use crate::node::machine::hub::Hub;
use crate::node::machine::neighbour::Link;
use crate::node::machine::session::PeerState;
use crate::node::machine::uplink::Uplink;
use crate::routing::routes::Routes;
use crate::stream::Mux;

pub use backlog::Backlog;
pub use forward::{Load, Traffic};
pub use members::Resolution;

/// What is to be done outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Call the relay: then [`Machine::handle_link_up`] or [`Machine::handle_dial_failed`].
    Dial,
    /// The same, at this address, and from now on there before elsewhere.
    DialAt(String),
    /// Send a packet on a link.
    Send(LinkId, Bytes),
    /// End a link, after what was sent before. The machine has forgotten it already.
    Close(LinkId, Failure),
    /// Tell the program.
    Event(Event),
}

/// A node without its sockets and clock.
#[derive(Debug)]
pub struct Machine {
    identity: Identity,
    id: NodeId,
    pub(super) config: Config,
    pub(super) zone: String,
    pub(super) now: Time,
    rng: ChaCha20Rng,
    state: State,
    uplink: Uplink,
    hub: Hub,
    connections: Connections,

    /// Boxed, for a tree has room for twice as many as it holds.
    links: BTreeMap<LinkId, Box<Link>>,
    /// Links that may have a packet to send, in turn.
    ready_links: VecDeque<LinkId>,
    /// When to look after the links again.
    sweep_at: Option<Time>,

    /// Everyone in the zone but this node.
    members: BTreeMap<NodeId, Member>,
    /// Members that a relay does not know after it has begun anew, and when they count as gone.
    missing: BTreeMap<NodeId, Time>,
    peers: BTreeMap<NodeId, PeerState>,
    /// Peers whose session may have records to send, in turn.
    ready_peers: VecDeque<NodeId>,
    /// Streams of sessions that have ended, by the session's serial number.
    ended: BTreeMap<u64, Mux>,
    timers: BTreeSet<(Time, NodeId)>,
    routes: Routes,

    protocols: BTreeSet<String>,
    resolves: BTreeMap<u32, Time>,
    pings: BTreeMap<u64, (NodeId, Time)>,
    serial: u64,
    outputs: VecDeque<Output>,
    /// In which the frames of a record are written before they are sealed.
    frames: BytesMut,
}

impl Machine {
    /// A node at the time `now`. All its random numbers come from `seed`.
    pub fn new(config: Config, identity: Identity, seed: [u8; 32], now: Time) -> Self {
        let id = identity.id();
        let mut machine = Self {
            identity,
            id,
            zone: config.zone.clone(),
            now,
            rng: ChaCha20Rng::from_seed(seed),
            state: State::Connecting,
            uplink: Uplink::default(),
            hub: Hub::default(),
            connections: Connections::default(),
            links: BTreeMap::new(),
            ready_links: VecDeque::new(),
            sweep_at: None,
            members: BTreeMap::new(),
            missing: BTreeMap::new(),
            peers: BTreeMap::new(),
            ready_peers: VecDeque::new(),
            ended: BTreeMap::new(),
            timers: BTreeSet::new(),
            routes: Routes::default(),
            protocols: BTreeSet::new(),
            resolves: BTreeMap::new(),
            pings: BTreeMap::new(),
            serial: 0,
            outputs: VecDeque::new(),
            frames: BytesMut::new(),
            config,
        };
        if machine.is_primary() {
            machine.open_hub();
        } else {
            machine.dial();
        }
        machine
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The name that it has in its zone.
    pub fn name(&self) -> Option<&Name> {
        self.config.name.as_ref()
    }

    /// How it stands with its relay.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Everyone else in the zone.
    pub fn peers(&self) -> Vec<Peer> {
        self.members
            .values()
            .map(|member| self.peer(member))
            .collect()
    }

    /// With how many nodes it has a session.
    pub fn sessions(&self) -> usize {
        let peers = self.peers.values();
        peers.filter(|state| state.session.is_some()).count()
    }

    /// When [`Machine::handle_time`] must be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        let timer = self.timers.first().map(|(time, _)| *time);
        [timer, self.sweep_at, self.uplink.retry_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// A link has come to be.
    pub fn handle_link_up(&mut self, now: Time, id: LinkId, origin: Origin) {
        self.handle_time(now);
        let link = Box::new(Link::new(origin, self.now, &self.config.timeouts));
        event!(
            CONNECTION,
            DEBUG,
            self.id,
            link = id.0,
            origin = origin.as_str(),
            "link up"
        );
        if self.links.len() >= LINKS_MAX || self.state == State::Closed {
            self.links.insert(id, link);
            self.refuse(
                id,
                Code::Overloaded.because(format!("{LINKS_MAX} links are in use")),
            );
            return;
        }
        self.links.insert(id, link);
        self.greet(id);
        // Not at once: that would be a look at every link for each that comes.
        self.sweep_by(self.now + SWEEP_INTERVAL_MIN);
    }

    /// Whoever is at the other end of a link that was dialled must be this node.
    pub fn handle_expect(&mut self, id: LinkId, node: NodeId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.expected = Some(node);
        }
    }

    /// The relay could not be called.
    pub fn handle_dial_failed(&mut self, now: Time, reason: &str) {
        self.handle_time(now);
        if self.uplink.link().is_none() {
            self.lost_uplink(reason);
        }
    }

    /// A packet came. Packets of a link that the machine has ended are ignored.
    pub fn handle_packet(&mut self, now: Time, id: LinkId, packet: Bytes) {
        self.handle_time(now);
        self.receive_packet(id, packet);
    }

    /// The link takes packets, or takes none for now. A new link takes them.
    pub fn handle_writable(&mut self, now: Time, id: LinkId, writable: bool) {
        self.handle_time(now);
        if let Some(link) = self.links.get_mut(&id) {
            link.writable = writable;
            self.ready_link(id);
        }
    }

    /// A link has ended, and not by the machine.
    pub fn handle_link_down(&mut self, now: Time, id: LinkId, reason: &str) {
        self.handle_time(now);
        event!(CONNECTION, DEBUG, self.id, link = id.0, reason, "link down");
        self.closed(id);
        let why = Code::Gone.because(if reason.is_empty() {
            "the link broke"
        } else {
            reason
        });
        self.forget_link(id, Change::Lost, why);
    }

    /// The platform has reason to believe that the relay can be reached again.
    pub fn handle_online(&mut self, now: Time) {
        self.handle_time(now);
        self.uplink.retry_now(now);
        self.handle_time(now);
    }

    /// Time has passed.
    pub fn handle_time(&mut self, now: Time) {
        debug_assert!(now >= self.now, "time runs backwards");
        let slept = self
            .deadline()
            .is_some_and(|deadline| now >= deadline + STALL);
        self.now = now;
        if slept {
            self.excuse_silence();
        }
        while let Some((due, peer)) = self.timers.first().copied()
            && due <= now
        {
            self.timers.pop_first();
            self.peer_time(peer);
        }
        if self.sweep_at.is_some_and(|due| due <= now) {
            self.sweep();
        }
        if self.uplink.is_due(now) {
            self.dial();
        }
    }

    /// Streams of this protocol are welcome. Those of others are refused as unknown.
    pub fn listen(&mut self, protocol: &str) {
        self.protocols.insert(protocol.to_owned());
    }

    /// They are welcome no more.
    pub fn unlisten(&mut self, protocol: &str) {
        self.protocols.remove(protocol);
    }

    /// Leaves in good order: tells every session and the relay, and ends all links.
    pub fn close(&mut self) {
        if self.state == State::Closed {
            return;
        }
        let farewell = Code::Left.because("the node has left");
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.end_session(peer, &farewell, true);
        }
        let links: Vec<_> = self.links.keys().copied().collect();
        let spread = RETURN_SPREAD_EACH.saturating_mul(links.len() as u32);
        for id in links {
            self.say_bye(id, spread, &farewell);
        }
        self.uplink = Uplink::default();
        self.timers.clear();
        self.sweep_at = None;
        self.set_state(State::Closed);
    }

    /// The next thing to do outside.
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            // All that sessions have to say goes into the queues first, so that packets are full.
            if self.pump_peers() {
                continue;
            }
            let id = self.ready_links.pop_front()?;
            let Some(link) = self.links.get_mut(&id) else {
                continue;
            };
            link.in_ready = false;
            if !link.writable {
                continue;
            }
            let Some(packet) = link.queue.next_packet() else {
                continue;
            };
            link.bytes_out += packet.len() as u64;
            if link.queue.has_room() {
                let waiting = std::mem::take(&mut link.waiting);
                self.wait_no_more(waiting);
            }
            self.ready_link(id);
            return Some(Output::Send(id, packet));
        }
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn set_state(&mut self, state: State) {
        if self.state != state {
            event!(
                CONNECTION,
                DEBUG,
                self.id,
                state = state.as_str(),
                "this node's state"
            );
            self.state = state.clone();
            self.emit(Event::State(state));
        }
    }

    /// Random numbers for one handshake.
    fn child_rng(&mut self) -> ChaCha20Rng {
        ChaCha20Rng::from_seed(self.random())
    }

    /// Random bytes, which nobody else can guess.
    pub(crate) fn random(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn next_request(&mut self) -> u32 {
        self.next_serial() as u32
    }

    /// Queues what this node has to say to a neighbour. One that takes nothing loses its link.
    fn tell(&mut self, id: LinkId, frame: &Frame) {
        self.tell_encoded(id, frame.encode());
    }

    fn tell_encoded(&mut self, id: LinkId, frame: Bytes) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.queue.push(frame).is_err() {
            self.refuse(
                id,
                Code::Overloaded.because("the link takes less than is to be said"),
            );
            return;
        }
        self.ready_link(id);
    }

    fn ready_link(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id)
            && link.writable
            && !link.in_ready
            && !link.queue.is_empty()
        {
            link.in_ready = true;
            self.ready_links.push_back(id);
        }
    }
}
