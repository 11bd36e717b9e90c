//! Whole networks of machines in memory: links that carry packets at once, or are cut.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::*;

/// Machines by number; the relay is number 0.
pub(super) struct Net {
    pub(super) nodes: BTreeMap<usize, Machine>,
    /// The other end of each link.
    pub(super) links: BTreeMap<LinkId, (usize, LinkId)>,
    pub(super) wire: VecDeque<(usize, LinkId, Bytes)>,
    /// How long packets take that leave by a link, if they take any time; and those that are under way.
    pub(super) slow: BTreeMap<LinkId, Time>,
    under_way: VecDeque<(Time, LinkId, Bytes)>,
    pub(super) events: BTreeMap<usize, Vec<Event>>,
    /// All that ever reached the relay.
    pub(super) recorded: Vec<u8>,
    pub(super) refusals: Vec<(usize, Failure)>,
    pub(super) relay_up: bool,
    pub(super) next_link: u64,
    pub(super) now: Time,
}

impl Net {
    pub(super) fn new() -> Self {
        let mut net = Self {
            nodes: BTreeMap::new(),
            links: BTreeMap::new(),
            wire: VecDeque::new(),
            slow: BTreeMap::new(),
            under_way: VecDeque::new(),
            events: BTreeMap::new(),
            recorded: Vec::new(),
            refusals: Vec::new(),
            relay_up: true,
            next_link: 0,
            now: Time::from_secs(1),
        };
        net.start_relay(100);
        net
    }

    pub(super) fn start_relay(&mut self, secret: u8) {
        self.add(0, secret, Config::new(Kind::Relay).named(name("relay")));
        self.relay_up = true;
    }

    pub(super) fn stop_relay(&mut self) {
        self.relay_up = false;
        self.nodes.remove(&0);
        let cut: Vec<_> = self
            .links
            .iter()
            .filter(|(_, (n, _))| *n == 0)
            .map(|(l, _)| *l)
            .collect();
        for link in cut {
            self.cut(link);
        }
        self.run();
    }

    /// A tab by this name, online.
    pub(super) fn tab(&mut self, n: usize, wish: &str) -> NodeId {
        self.add(n, n as u8, Config::new(Kind::Browser).named(name(wish)));
        self.run();
        self.nodes[&n].id()
    }

    pub(super) fn add(&mut self, n: usize, secret: u8, config: Config) {
        let identity = Identity::from_secret(&[secret; 32]);
        let mut machine = Machine::new(config, identity, [secret ^ 0x5a; 32], self.now);
        machine.listen(ECHO);
        self.nodes.insert(n, machine);
    }

    pub(super) fn link(&mut self, a: (usize, Origin), b: (usize, Origin)) -> LinkId {
        let (la, lb) = (LinkId(self.next_link), LinkId(self.next_link + 1));
        self.next_link += 2;
        self.links.insert(la, (b.0, lb));
        self.links.insert(lb, (a.0, la));
        for ((n, origin), link) in [(a, la), (b, lb)] {
            self.nodes
                .get_mut(&n)
                .unwrap()
                .handle_link_up(self.now, link, origin);
        }
        la
    }

    pub(super) fn direct(&mut self, a: usize, b: usize) -> LinkId {
        let (ia, ib) = (self.nodes[&a].id(), self.nodes[&b].id());
        let link = self.link((a, Origin::Direct(ib)), (b, Origin::Direct(ia)));
        self.run();
        link
    }

    /// Cuts a link: both ends learn it; what is on the wire is lost.
    pub(super) fn cut(&mut self, link: LinkId) {
        let Some((far, far_link)) = self.links.remove(&link) else {
            return;
        };
        let near = self.links.remove(&far_link).map(|(near, _)| near);
        self.wire.retain(|(_, l, _)| *l != link && *l != far_link);
        for (n, link) in [(Some(far), far_link), (near, link)] {
            if let Some(machine) = n.and_then(|n| self.nodes.get_mut(&n)) {
                machine.handle_link_down(self.now, link, "cut");
            }
        }
    }

    /// Lets everyone do what they have to do now.
    pub(super) fn run(&mut self) {
        loop {
            self.drain();
            self.arrive();
            let Some((n, link, packet)) = self.wire.pop_front() else {
                return;
            };
            self.deliver(n, link, packet);
        }
    }

    /// What was under way for long enough is here.
    fn arrive(&mut self) {
        let (here, others): (VecDeque<_>, VecDeque<_>) = self
            .under_way
            .drain(..)
            .partition(|(at, ..)| *at <= self.now);
        self.under_way = others;
        for (_, link, packet) in here {
            if let Some((far, far_link)) = self.links.get(&link) {
                self.wire.push_back((*far, *far_link, packet));
            }
        }
    }

    pub(super) fn deliver(&mut self, n: usize, link: LinkId, packet: Bytes) {
        if n == 0 {
            self.recorded.extend(&packet);
        }
        if let Some(machine) = self.nodes.get_mut(&n) {
            machine.handle_packet(self.now, link, packet);
        }
    }

    pub(super) fn drain(&mut self) {
        // What one node does may give another something to do.
        while let Some((n, output)) = self.nodes.iter_mut().find_map(|(n, machine)| {
            machine.handle_time(self.now);
            machine.poll_output().map(|output| (*n, output))
        }) {
            self.perform(n, output);
        }
    }

    pub(super) fn perform(&mut self, n: usize, output: Output) {
        match output {
            Output::Dial if self.relay_up => {
                self.link((n, Origin::Dialled), (0, Origin::Accepted));
            }
            Output::Dial => {
                self.nodes
                    .get_mut(&n)
                    .unwrap()
                    .handle_dial_failed(self.now, "refused");
            }
            Output::DialAt(address) => self.call(n, &address),
            Output::Send(link, packet) if self.slow.contains_key(&link) => {
                self.under_way
                    .push_back((self.now + self.slow[&link], link, packet));
            }
            Output::Send(link, packet) => {
                if let Some((far, far_link)) = self.links.get(&link) {
                    self.wire.push_back((*far, *far_link, packet));
                }
            }
            Output::Close(link, failure) => {
                self.refusals.push((n, failure));
                // What was sent before the end still arrives.
                while let Some(i) = self
                    .wire
                    .iter()
                    .position(|(_, l, _)| self.links.get(&link).is_some_and(|(_, far)| l == far))
                {
                    let (n, link, packet) = self.wire.remove(i).unwrap();
                    self.deliver(n, link, packet);
                }
                self.cut(link);
            }
            Output::Event(event) => self.events.entry(n).or_default().push(event),
        }
    }

    /// Calls the machine of a number, by an address such as `net://3`.
    fn call(&mut self, n: usize, address: &str) {
        let now = self.now;
        self.at(n).handle_calling(now, address);
        let number = address.strip_prefix("net://").and_then(|n| n.parse().ok());
        match number.filter(|number| self.nodes.contains_key(number)) {
            Some(number) => {
                let link = self.link((n, Origin::Dialled), (number, Origin::Accepted));
                let at = self.at(n);
                at.handle_place(now, link, Medium::WebSocket, Some(address));
            }
            None => {
                self.at(n)
                    .handle_call_failed(now, address, "nobody is there");
                self.at(n).handle_dial_failed(now, "nobody is there");
            }
        }
    }

    pub(super) fn advance(&mut self, millis: u64) {
        let end = self.now + Time::from_millis(millis);
        self.run();
        while self.now < end {
            let under_way = self.under_way.iter().map(|(at, ..)| *at);
            let nodes = self.nodes.values().filter_map(Machine::deadline);
            let next = nodes.chain(under_way).min();
            self.now = next
                .unwrap_or(end)
                .clamp(self.now + Time::from_millis(1), end);
            self.run();
        }
    }

    pub(super) fn at(&mut self, n: usize) -> &mut Machine {
        self.nodes.get_mut(&n).unwrap()
    }

    pub(super) fn open(&mut self, a: usize, b: NodeId) -> StreamKey {
        self.at(a).open(b, ECHO).unwrap()
    }

    /// The streams opened to a node so far.
    pub(super) fn incoming(&self, n: usize) -> Vec<StreamKey> {
        let events = self.events.get(&n).into_iter().flatten();
        events
            .filter_map(|e| {
                if let Event::Incoming(key, _) = e {
                    Some(*key)
                } else {
                    None
                }
            })
            .collect()
    }

    pub(super) fn saw(&self, n: usize, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.get(&n).into_iter().flatten().any(wanted)
    }

    pub(super) fn path(&self, a: usize, b: NodeId) -> PathKind {
        self.nodes[&a]
            .peers()
            .iter()
            .find(|peer| peer.id == b)
            .unwrap()
            .path
    }

    pub(super) fn send(&mut self, n: usize, key: StreamKey, text: &str) {
        assert!(
            self.at(n)
                .send(key, &Bytes::copy_from_slice(text.as_bytes()))
                .unwrap()
        );
    }

    pub(super) fn read(&mut self, n: usize, key: StreamKey) -> Read {
        self.at(n).read(key)
    }
}

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(super) fn text(text: &str) -> Read {
    Read::Message(Bytes::copy_from_slice(text.as_bytes()))
}

pub(super) fn code_of(read: Read) -> Option<Code> {
    if let Read::Reset(failure) = read {
        Some(failure.code)
    } else {
        None
    }
}
