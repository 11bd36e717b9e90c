//! One end of a UDP socket, and all connections there.

mod bandwidth;
mod handshake;
mod keyed;
mod memory;
mod pending;
mod receive;
mod transmit;

use crate::compress::RangeCoder;
use crate::config::{Config, millis};
use crate::event::{Event, Packet, PeerId, Reason, Room, Stats};
use crate::limits::LINGERING_MAX;
use crate::peer::{Context, Peer, State, Waits};
use crate::wire::Command;
use crate::{ConnectError, Millis, SendError, Time};
use bandwidth::Bandwidth;
use keyed::Keyed;
use pending::{Pending, Route};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// All connections of one UDP socket.
#[derive(Debug)]
pub struct Host {
    config: Config,
    random: ChaCha8Rng,
    keyed: Keyed,
    peers: Vec<Option<Box<Peer>>>,
    free: Vec<usize>,
    serial: u64,
    /// Peers that are not gone,
    active: usize,
    /// by where they are.
    neighbours: HashMap<IpAddr, usize, Keyed>,
    /// Peers that are gone, but may not know it.
    lingering: VecDeque<PeerId>,
    routes: HashMap<Route, usize, Keyed>,
    pending: Pending,
    /// When which peer has to be looked at.
    timers: BTreeSet<(Millis, usize)>,
    /// Peers that may have something to send, each in turn.
    turns: VecDeque<usize>,
    /// Datagrams that belong to no peer, or no longer.
    loose: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<Event>,
    bandwidth: Bandwidth,
    coder: Option<Box<RangeCoder>>,
    scratch: Vec<u8>,
    counters: Counters,
    /// What waits of all peers.
    waits: Waits,
    /// When it was looked in vain for one that leaves no room.
    looked_at: Millis,
}

/// What a host has seen of datagrams, since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams that came.
    pub received: u64,
    /// Datagrams that left.
    pub sent: u64,
    /// Those that came and belong to no connection.
    pub unknown: u64,
    /// Those that are not ENet's, or contradict themselves.
    pub malformed: u64,
    /// Those whose checksum is wrong.
    pub checksum: u64,
    /// Those that are compressed, though we do not, or cannot be decompressed.
    pub compression: u64,
    /// Those of a peer for whose packets there is no room now.
    pub no_room: u64,
    /// Requests that were refused, since there are as many peers as there may be.
    pub refused: u64,
    /// Peers that were ended, since they left no room for others.
    pub crowded: u64,
    /// Handshakes that were forgotten before they were too old, since there were too many.
    pub forgotten: u64,
}

impl Host {
    /// A host without peers. All that it draws by chance comes from the seed, which nobody else may
    /// know.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let config = config.bounded();
        let mut random = ChaCha8Rng::from_seed(seed);
        let mut secret = [0; 16];
        random.fill_bytes(&mut secret);
        let keyed = Keyed::new(secret);
        let coder = config.compression.then(Box::default);
        Self {
            pending: Pending::new(config.pending_max, keyed.clone()),
            neighbours: HashMap::with_hasher(keyed.clone()),
            routes: HashMap::with_hasher(keyed.clone()),
            config,
            random,
            keyed,
            peers: Vec::new(),
            free: Vec::new(),
            serial: 0,
            active: 0,
            lingering: VecDeque::new(),
            timers: BTreeSet::new(),
            turns: VecDeque::new(),
            loose: VecDeque::new(),
            events: VecDeque::new(),
            bandwidth: Bandwidth::default(),
            coder,
            scratch: Vec::new(),
            counters: Counters::default(),
            waits: Waits::default(),
            looked_at: 0,
        }
    }

    /// Asks for a connection with so many channels. `data` is told to the other side.
    pub fn connect(
        &mut self,
        now: Time,
        address: SocketAddr,
        channels: u8,
        data: u32,
    ) -> Result<PeerId, ConnectError> {
        let now = millis(now);
        if self.active >= self.config.peers_max {
            return Err(ConnectError::Full(self.active));
        }
        let agreed = self.agreed_by_us(address, channels)?;
        let place = self.add(now, |id, ctx| Peer::connecting(id, agreed, data, ctx));
        self.settle(place);
        self.peer_at(place)
            .map(|peer| peer.id)
            .ok_or(ConnectError::Numbers)
    }

    /// Queues a packet.
    pub fn send(&mut self, peer: PeerId, channel: u8, packet: Packet) -> Result<Room, SendError> {
        let place = self.find(peer).ok_or(SendError::NoPeer)?;
        let share = self.sending_share();
        let Some(Some(peer)) = self.peers.get_mut(place) else {
            return Err(SendError::NoPeer);
        };
        let sent = peer.send(channel, packet, &self.config, share);
        self.count(place);
        self.schedule(place);
        sent
    }

    /// Closes a connection after everything has arrived that was sent. `data` is told to the other
    /// side. One that is not there yet is given up.
    pub fn disconnect(&mut self, peer: PeerId, data: u32) {
        let Some(place) = self.find(peer) else { return };
        let Some(Some(peer)) = self.peers.get_mut(place) else {
            return;
        };
        if peer.state == State::Connecting {
            let id = peer.id;
            return self.disconnect_now(id, data);
        }
        peer.disconnect(data);
        self.settle(place);
    }

    /// Closes a connection at once: the other side is told once, and perhaps does not hear it.
    pub fn disconnect_now(&mut self, peer: PeerId, data: u32) {
        let Some(place) = self.find(peer) else { return };
        let Some(peer) = self.peer_at(place) else {
            return;
        };
        if matches!(peer.state, State::Lingering(_)) {
            return;
        }
        let agreed = peer.agreed;
        if peer.has_session() {
            self.push_loose(&agreed, (1, 0), Command::Disconnect { data });
        }
        self.with(place, 0, |peer, ctx| peer.end(ctx, Reason::Asked, 0));
        self.settle(place);
    }

    /// Gives a connection up as if it had timed out: nothing is said to the other side, where another
    /// may be by now.
    pub fn give_up(&mut self, peer: PeerId) {
        let Some(place) = self.find(peer) else { return };
        self.with(place, 0, |peer, ctx| peer.end(ctx, Reason::TimedOut, 0));
        self.settle(place);
    }

    /// When [`handle_time`](Self::handle_time) has to be called, if nothing happens before.
    pub fn deadline(&self) -> Option<Time> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let bandwidth = self.bandwidth.deadline();
        let deadline = timer.into_iter().chain(bandwidth).min()?;
        Some(Time::from_millis(deadline))
    }

    /// Does what is due.
    pub fn handle_time(&mut self, now: Time) {
        let now = millis(now);
        while let Some((at, place)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            if let Some(Some(peer)) = self.peers.get_mut(place) {
                peer.timer = None;
            }
            self.with(place, now, |peer, ctx| peer.handle_time(ctx));
            self.settle(place);
        }
        self.share_bandwidth(now);
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Packets of a peer have been taken by whom they are for, which [count](Packet::cost) so much
    /// together. Until then they wait, and who has too much waiting is not heard.
    pub fn taken(&mut self, peer: PeerId, cost: usize) {
        let Some(place) = self.find(peer) else { return };
        if let Some(Some(peer)) = self.peers.get_mut(place) {
            peer.taken(cost);
        }
        self.count(place);
    }

    /// Asks a peer whether it is there: if it is, [`Event::Answered`] tells.
    pub fn ask(&mut self, peer: PeerId) {
        let Some(place) = self.find(peer) else { return };
        if let Some(Some(peer)) = self.peers.get_mut(place) {
            peer.ask();
        }
        self.settle(place);
    }

    /// What waits to leave to a peer or to be acknowledged by it, by the memory that it takes.
    pub fn queued_bytes(&self, peer: PeerId) -> usize {
        self.get(peer).map_or(0, Peer::queued)
    }

    /// How a connection is doing.
    pub fn stats(&self, peer: PeerId) -> Option<Stats> {
        self.get(peer).map(Peer::stats)
    }

    /// With whom a connection is.
    pub fn address(&self, peer: PeerId) -> Option<SocketAddr> {
        self.get(peer).map(|peer| peer.agreed.address)
    }

    /// How many channels a connection has.
    pub fn channels(&self, peer: PeerId) -> Option<u8> {
        self.get(peer).map(|peer| peer.agreed.channels)
    }

    /// The connections that are there.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> {
        let peers = self.peers.iter().flatten();
        peers.filter(|peer| peer.is_connected()).map(|peer| peer.id)
    }

    /// Whether there is no connection, not even one that is about to end.
    pub fn is_idle(&self) -> bool {
        self.active == 0
    }

    /// What was seen of datagrams so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn get(&self, peer: PeerId) -> Option<&Peer> {
        let found = self.peer_at(peer.place())?;
        (found.id == peer && !matches!(found.state, State::Lingering(_))).then_some(found)
    }

    fn find(&self, peer: PeerId) -> Option<usize> {
        self.get(peer).map(|peer| peer.id.place())
    }

    fn peer_at(&self, place: usize) -> Option<&Peer> {
        self.peers.get(place)?.as_deref()
    }

    /// Adds a peer, and returns its place.
    fn add(&mut self, now: Millis, make: impl FnOnce(PeerId, &Context<'_>) -> Peer) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.peers.push(None);
            self.peers.len() - 1
        });
        self.serial += 1;
        let id = PeerId::new(self.serial, place);
        let ctx = Context {
            now,
            config: &self.config,
            events: &mut self.events,
        };
        let peer = make(id, &ctx);
        let agreed = &peer.agreed;
        self.routes
            .insert((agreed.address, agreed.incoming_id), place);
        *self.neighbours.entry(network(agreed.address)).or_default() += 1;
        self.active += 1;
        self.peers[place] = Some(Box::new(peer));
        self.bandwidth.changed();
        place
    }

    /// Calls a peer with what it needs of its host.
    fn with<R>(
        &mut self,
        place: usize,
        now: Millis,
        call: impl FnOnce(&mut Peer, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let peer = self.peers.get_mut(place)?.as_deref_mut()?;
        let mut ctx = Context {
            now,
            config: &self.config,
            events: &mut self.events,
        };
        Some(call(peer, &mut ctx))
    }

    /// Brings the host in line with a peer after something happened to it.
    fn settle(&mut self, place: usize) {
        self.count(place);
        let share = self.sending_share();
        let Some(Some(peer)) = self.peers.get_mut(place) else {
            return;
        };
        self.bandwidth.note(peer.agreed.incoming_bandwidth);
        if peer.becomes_writable(&self.config, share) {
            self.events.push_back(Event::Writable { peer: peer.id });
        }
        match peer.state {
            State::Ended => return self.remove(place),
            State::Lingering(_) if !peer.is_released => {
                peer.is_released = true;
                let (id, address) = (peer.id, peer.agreed.address);
                self.lingering.push_back(id);
                self.release(address);
                self.forget_lingering();
            }
            _ => {}
        }
        self.schedule(place);
        self.set_timer(place);
    }

    fn set_timer(&mut self, place: usize) {
        let Some(Some(peer)) = self.peers.get_mut(place) else {
            return;
        };
        // A timer that comes too early is set anew then.
        let Some(at) = peer.deadline(&self.config) else {
            return;
        };
        if peer.timer.is_some_and(|timer| timer <= at) {
            return;
        }
        if let Some(timer) = peer.timer.replace(at) {
            self.timers.remove(&(timer, place));
        }
        self.timers.insert((at, place));
    }

    fn schedule(&mut self, place: usize) {
        if let Some(Some(peer)) = self.peers.get_mut(place)
            && !peer.is_scheduled
        {
            peer.is_scheduled = true;
            self.turns.push_back(place);
        }
    }

    fn remove(&mut self, place: usize) {
        let Some(peer) = self.peers.get_mut(place).and_then(Option::take) else {
            return;
        };
        self.uncount(peer.counted);
        let agreed = peer.agreed;
        self.routes.remove(&(agreed.address, agreed.incoming_id));
        if let Some(timer) = peer.timer {
            self.timers.remove(&(timer, place));
        }
        if !peer.is_released {
            self.release(agreed.address);
        }
        self.free.push(place);
    }

    /// A peer no longer counts.
    fn release(&mut self, address: SocketAddr) {
        self.active -= 1;
        self.bandwidth.changed();
        let network = network(address);
        if let Some(count) = self.neighbours.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.neighbours.remove(&network);
            }
        }
    }

    fn forget_lingering(&mut self) {
        while self.lingering.len() > LINGERING_MAX {
            let Some(id) = self.lingering.pop_front() else {
                return;
            };
            if self.peer_at(id.place()).is_some_and(|peer| peer.id == id) {
                self.remove(id.place());
            }
        }
    }
}

/// Where an address is: an IPv6 host may choose any address of its network.
fn network(address: SocketAddr) -> IpAddr {
    match address.ip().to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        ip => ip,
    }
}
