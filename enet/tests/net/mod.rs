//! Hosts on a network in memory, with a clock: it loses, doubles and delays by a seed.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses some of it; it fails by panicking"
)]

pub(crate) mod raw;

use peerage_enet::{Config, Event, Host, PeerId, Time};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What happens to datagrams, of a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weather {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) reordered: u64,
    pub(crate) damaged: u64,
}

/// A network of hosts.
pub(crate) struct Net {
    pub(crate) now: Time,
    pub(crate) weather: Weather,
    hosts: Vec<(SocketAddr, Host)>,
    events: Vec<Vec<Event>>,
    /// What is on the way, by when it arrives.
    way: BTreeMap<(Time, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    count: u64,
    random: u64,
    /// How many datagrams were sent from each to each.
    pub(crate) sent: BTreeMap<(SocketAddr, SocketAddr), (usize, usize)>,
}

pub(crate) const DELAY: Time = Time::from_millis(20);

impl Net {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: Time::from_millis(40),
            weather: Weather::default(),
            hosts: Vec::new(),
            events: Vec::new(),
            way: BTreeMap::new(),
            count: 0,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            sent: BTreeMap::new(),
        }
    }

    /// Two hosts, connected, with their ends of the connection.
    pub(crate) fn pair(seed: u64, config: Config) -> (Self, PeerId, PeerId) {
        let mut net = Self::new(seed);
        let (a, b) = (net.add(config.clone()), net.add(config));
        let (peer_a, peer_b) = net.join(a, b);
        (net, peer_a, peer_b)
    }

    pub(crate) fn add(&mut self, config: Config) -> usize {
        let n = self.hosts.len();
        let address = SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 4000));
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(self.random ^ n as u64).to_le_bytes());
        self.hosts.push((address, Host::new(config, seed)));
        self.events.push(Vec::new());
        n
    }

    pub(crate) fn host(&mut self, n: usize) -> &mut Host {
        &mut self.hosts[n].1
    }

    pub(crate) fn address(&self, n: usize) -> SocketAddr {
        self.hosts[n].0
    }

    /// Connects two, and returns both ends.
    pub(crate) fn join(&mut self, from: usize, to: usize) -> (PeerId, PeerId) {
        let (now, address) = (self.now, self.address(to));
        let peer = self.host(from).connect(now, address, 8, 7).unwrap();
        let mut other = None;
        self.until(|net| {
            for event in net.take(to) {
                if let Event::Connected { peer, .. } = event {
                    other = Some(peer);
                }
            }
            other.is_some() && net.host(from).peers().any(|there| there == peer)
        });
        self.take(from);
        (peer, other.unwrap())
    }

    /// A datagram from somewhere to a host.
    pub(crate) fn inject(&mut self, from: SocketAddr, to: usize, datagram: &[u8]) {
        let to = self.address(to);
        self.count += 1;
        let key = (self.now, self.count);
        self.way.insert(key, (from, to, datagram.to_vec()));
    }

    /// What happened at a host since it was asked last.
    pub(crate) fn take(&mut self, n: usize) -> Vec<Event> {
        std::mem::take(&mut self.events[n])
    }

    /// Lets time pass until something is true.
    pub(crate) fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..2_000_000 {
            self.exchange();
            if done(self) {
                return;
            }
            assert!(self.step(), "nothing happens any more");
        }
        panic!("it never happened");
    }

    /// Lets so much time pass.
    pub(crate) fn pass(&mut self, time: Time) {
        let end = self.now + time;
        loop {
            self.exchange();
            if self.next().is_none_or(|next| next > end) {
                break;
            }
            self.step();
        }
        self.now = end;
    }

    /// Goes to when something happens next, and lets it.
    pub(crate) fn step(&mut self) -> bool {
        let Some(next) = self.next() else {
            return false;
        };
        self.now = self.now.max(next);
        let later = self.way.split_off(&(self.now, u64::MAX));
        for (from, to, datagram) in std::mem::replace(&mut self.way, later).into_values() {
            let now = self.now;
            if let Some((_, host)) = self.hosts.iter_mut().find(|(address, _)| *address == to) {
                host.handle_datagram(now, from, &datagram);
            }
        }
        for (_, host) in &mut self.hosts {
            if host.deadline().is_some_and(|at| at <= self.now) {
                host.handle_time(self.now);
            }
        }
        self.exchange();
        true
    }

    fn next(&self) -> Option<Time> {
        let way = self.way.keys().next().map(|(at, _)| *at);
        let deadlines = self.hosts.iter().filter_map(|(_, host)| host.deadline());
        deadlines.chain(way).min()
    }

    /// Takes what the hosts have to send and to tell.
    fn exchange(&mut self) {
        let mut datagram = Vec::new();
        for n in 0..self.hosts.len() {
            let from = self.hosts[n].0;
            while let Some(to) = self.hosts[n].1.poll_transmit(self.now, &mut datagram) {
                let (count, bytes) = self.sent.entry((from, to)).or_default();
                *count += 1;
                *bytes += datagram.len();
                self.travel(from, to, &datagram);
            }
            let host = &mut self.hosts[n].1;
            while let Some(event) = host.poll_event() {
                if let Event::Received { peer, packet, .. } = &event {
                    host.taken(*peer, packet.cost());
                }
                self.events[n].push(event);
            }
        }
    }

    fn travel(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        if self.chance(self.weather.lost) {
            return;
        }
        let times = if self.chance(self.weather.doubled) {
            2
        } else {
            1
        };
        for _ in 0..times {
            let mut delay = DELAY;
            if self.chance(self.weather.reordered) {
                delay += Time::from_millis(self.draw() % 40);
            }
            self.count += 1;
            let key = (self.now + delay, self.count);
            let mut datagram = datagram.to_vec();
            if self.chance(self.weather.damaged) {
                let n = self.draw() as usize % datagram.len();
                // Whom it is for stays readable.
                datagram[n.max(2)] ^= 1 << (n % 8);
            }
            self.way.insert(key, (from, to, datagram));
        }
    }

    fn chance(&mut self, of_thousand: u64) -> bool {
        self.draw() % 1000 < of_thousand
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
