//! Whole networks of machines in memory: links that carry packets at once, or are cut.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::config::Config;
use crate::error::{Code, Failure};
use crate::id::{Identity, Kind, NodeId};
use crate::link::frame::Control;
use crate::link::hello::{Challenge, Hello, VERSION};
use crate::link::{Frame, LinkId, Origin};
use crate::stream::flow::Read;
use crate::wire::from_cbor;
use crate::{Name, Time};

const ECHO: &str = "test/echo/1";

/// Machines by number; the relay is number 0.
struct Net {
    nodes: BTreeMap<usize, Machine>,
    /// The other end of each link.
    links: BTreeMap<LinkId, (usize, LinkId)>,
    wire: VecDeque<(usize, LinkId, Bytes)>,
    events: BTreeMap<usize, Vec<Event>>,
    /// All that ever reached the relay.
    recorded: Vec<u8>,
    refusals: Vec<(usize, Failure)>,
    relay_up: bool,
    next_link: u64,
    now: Time,
}

impl Net {
    fn new() -> Self {
        let mut net = Self {
            nodes: BTreeMap::new(),
            links: BTreeMap::new(),
            wire: VecDeque::new(),
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

    fn start_relay(&mut self, secret: u8) {
        self.add(0, secret, Config::new(Kind::Relay).named(name("relay")));
        self.relay_up = true;
    }

    fn stop_relay(&mut self) {
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
    fn tab(&mut self, n: usize, wish: &str) -> NodeId {
        self.add(n, n as u8, Config::new(Kind::Browser).named(name(wish)));
        self.run();
        self.nodes[&n].id()
    }

    fn add(&mut self, n: usize, secret: u8, config: Config) {
        let identity = Identity::from_secret(&[secret; 32]);
        let mut machine = Machine::new(config, identity, [secret ^ 0x5a; 32], self.now);
        machine.listen(ECHO);
        self.nodes.insert(n, machine);
    }

    fn link(&mut self, a: (usize, Origin), b: (usize, Origin)) -> LinkId {
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

    fn direct(&mut self, a: usize, b: usize) -> LinkId {
        let (ia, ib) = (self.nodes[&a].id(), self.nodes[&b].id());
        let link = self.link((a, Origin::Direct(ib)), (b, Origin::Direct(ia)));
        self.run();
        link
    }

    /// Cuts a link: both ends learn it; what is on the wire is lost.
    fn cut(&mut self, link: LinkId) {
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
    fn run(&mut self) {
        loop {
            self.drain();
            let Some((n, link, packet)) = self.wire.pop_front() else {
                return;
            };
            self.deliver(n, link, packet);
        }
    }

    fn deliver(&mut self, n: usize, link: LinkId, packet: Bytes) {
        if n == 0 {
            self.recorded.extend(&packet);
        }
        if let Some(machine) = self.nodes.get_mut(&n) {
            machine.handle_packet(self.now, link, packet);
        }
    }

    fn drain(&mut self) {
        // What one node does may give another something to do.
        while let Some((n, output)) = self.nodes.iter_mut().find_map(|(n, machine)| {
            machine.handle_time(self.now);
            machine.poll_output().map(|output| (*n, output))
        }) {
            self.perform(n, output);
        }
    }

    fn perform(&mut self, n: usize, output: Output) {
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

    fn advance(&mut self, millis: u64) {
        let end = self.now + Time::from_millis(millis);
        self.run();
        while self.now < end {
            let next = self.nodes.values().filter_map(Machine::deadline).min();
            self.now = next
                .unwrap_or(end)
                .clamp(self.now + Time::from_millis(1), end);
            self.run();
        }
    }

    fn at(&mut self, n: usize) -> &mut Machine {
        self.nodes.get_mut(&n).unwrap()
    }

    fn open(&mut self, a: usize, b: NodeId) -> StreamKey {
        self.at(a).open(b, ECHO).unwrap()
    }

    /// The streams opened to a node so far.
    fn incoming(&self, n: usize) -> Vec<StreamKey> {
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

    fn saw(&self, n: usize, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.get(&n).into_iter().flatten().any(wanted)
    }

    fn path(&self, a: usize, b: NodeId) -> PathKind {
        self.nodes[&a]
            .peers()
            .iter()
            .find(|peer| peer.id == b)
            .unwrap()
            .path
    }

    fn send(&mut self, n: usize, key: StreamKey, text: &str) {
        assert!(
            self.at(n)
                .send(key, &Bytes::copy_from_slice(text.as_bytes()))
                .unwrap()
        );
    }

    fn read(&mut self, n: usize, key: StreamKey) -> Read {
        self.at(n).read(key)
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn text(text: &str) -> Read {
    Read::Message(Bytes::copy_from_slice(text.as_bytes()))
}

fn code_of(read: Read) -> Option<Code> {
    if let Read::Reset(failure) = read {
        Some(failure.code)
    } else {
        None
    }
}

#[test]
fn nodes_meet_by_name_at_a_relay() {
    let mut net = Net::new();
    let a = net.tab(1, "left");
    let b = net.tab(2, "left");
    assert_eq!(net.at(1).name(), Some(&name("left")));
    assert_eq!(net.at(2).name(), Some(&name("left-2")));
    assert_eq!(net.at(1).resolve("left-2"), Resolution::Known(b));
    assert_eq!(net.at(2).resolve("left"), Resolution::Known(a));
    assert_eq!(net.at(2).resolve("left-2"), Resolution::Here);
    assert_eq!(net.at(1).resolve(&b.short()), Resolution::Known(b));
    let names: Vec<_> = net
        .at(1)
        .peers()
        .iter()
        .map(|p| p.name.to_string())
        .collect();
    assert!(
        names.contains(&"relay".into()) && names.contains(&"left-2".into()),
        "{names:?}"
    );
}

#[test]
fn a_name_that_nobody_has_is_unknown_at_once() {
    let mut net = Net::new();
    net.tab(1, "a");
    let Resolution::Asked(request) = net.at(1).resolve("nobody") else {
        panic!()
    };
    net.run();
    assert!(net.saw(1, |e| {
        matches!(e, Event::Resolved(r, Err(f)) if *r == request && f.code == Code::UnknownName)
    }));
}

#[test]
fn a_name_insisted_on_and_taken_is_refused_for_good() {
    let mut net = Net::new();
    net.tab(1, "a");
    net.add(
        2,
        2,
        Config {
            insist: true,
            ..Config::new(Kind::Native).named(name("a"))
        },
    );
    net.run();
    assert!(matches!(net.at(2).state(), State::Refused(f) if f.code == Code::Refused));
}

#[test]
fn messages_go_both_ways_through_the_relay_which_cannot_read_them() {
    let mut net = Net::new();
    let (_, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let key = net.open(1, b);
    net.send(1, key, "the secret question");
    net.run();
    let at_b = net.incoming(2)[0];
    assert_eq!(net.read(2, at_b), text("the secret question"));
    net.send(2, at_b, "the secret answer");
    net.run();
    assert_eq!(net.read(1, key), text("the secret answer"));
    assert!(net.at(0).traffic().forwarded_bytes > 100);
    let heard = String::from_utf8_lossy(&net.recorded);
    assert!(
        heard.contains("relay") || heard.len() > 500,
        "the recording is of something"
    );
    assert!(!heard.contains("secret") && !heard.contains(ECHO));
}

#[test]
fn the_relay_is_a_node_itself() {
    let mut net = Net::new();
    let a = net.tab(1, "a");
    let Resolution::Known(relay) = net.at(1).resolve("relay") else {
        panic!()
    };
    let key = net.open(1, relay);
    net.send(1, key, "to the relay");
    net.run();
    let at_relay = net.incoming(0)[0];
    assert_eq!(net.read(0, at_relay), text("to the relay"));
    let back = net.open(0, a);
    net.send(0, back, "from the relay");
    net.run();
    let at_a = net.incoming(1)[0];
    assert_eq!(net.read(1, at_a), text("from the relay"));
}

#[test]
fn two_nodes_that_call_at_once_share_one_session() {
    let mut net = Net::new();
    let (a, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let (ka, kb) = (net.open(1, b), net.open(2, a));
    net.send(1, ka, "from a");
    net.send(2, kb, "from b");
    net.run();
    let (at_a, at_b) = (net.incoming(1), net.incoming(2));
    assert_eq!((at_a.len(), at_b.len()), (1, 1));
    assert_eq!(net.read(1, at_a[0]), text("from b"));
    assert_eq!(net.read(2, at_b[0]), text("from a"));
    net.advance(10_000);
    assert!(!net.saw(1, |e| matches!(e, Event::SessionDown(..))));
}

#[test]
fn an_unknown_protocol_is_an_error_at_once() {
    let mut net = Net::new();
    let (_, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let key = net.at(1).open(b, "acme/none/1").unwrap();
    net.run();
    assert_eq!(code_of(net.read(1, key)), Some(Code::UnknownProtocol));
}

#[test]
fn a_direct_link_takes_over_and_the_relay_forwards_no_more() {
    let mut net = Net::new();
    let (a, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let key = net.open(1, b);
    net.run();
    assert_eq!(net.path(1, b), PathKind::Relayed);
    net.direct(1, 2);
    assert_eq!(
        (net.path(1, b), net.path(2, a)),
        (PathKind::Direct, PathKind::Direct)
    );
    net.advance(100);
    let before = net.at(0).traffic().forwarded_bytes;
    net.send(1, key, "hello");
    net.advance(5000);
    let at_b = net.incoming(2)[0];
    assert_eq!(net.read(2, at_b), text("hello"));
    assert_eq!(net.at(0).traffic().forwarded_bytes, before);
}

#[test]
fn numbered_messages_survive_every_move_of_the_path_once_and_in_order() {
    for seed in 0..20usize {
        let mut net = Net::new();
        let (_, b) = (net.tab(1, "a"), net.tab(2, "b"));
        let key = net.open(1, b);
        net.run();
        let (mut link, mut sent, mut got) = (None, 0, Vec::new());
        while got.len() < 500 {
            for _ in 0..1 + (seed + sent) % 7 {
                if sent < 500 {
                    net.send(1, key, &sent.to_string());
                    sent += 1;
                }
            }
            match (seed * 31 + sent) % 11 {
                0 if link.is_none() => link = Some(net.direct(1, 2)),
                1 | 5 => {
                    // What is on the wire of the direct link is lost with it.
                    net.drain();
                    if let Some(link) = link.take() {
                        net.cut(link);
                    }
                }
                _ => net.run(),
            }
            net.advance(1);
            let at_b = net.incoming(2)[0];
            while let Read::Message(message) = net.read(2, at_b) {
                got.push(String::from_utf8(message.to_vec()).unwrap());
            }
            assert!(
                net.now < Time::from_secs(600),
                "no progress with seed {seed}"
            );
            if sent == 500 {
                net.advance(1000);
            }
        }
        let expected: Vec<_> = (0..500).map(|n| n.to_string()).collect();
        assert_eq!(got, expected, "seed {seed}");
    }
}

#[test]
fn the_relay_stops_and_a_direct_session_goes_on() {
    let mut net = Net::new();
    let (a, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let key = net.open(1, b);
    net.run();
    net.direct(1, 2);
    net.stop_relay();
    net.advance(20_000);
    net.send(1, key, "still here");
    net.run();
    let at_b = net.incoming(2)[0];
    assert_eq!(net.read(2, at_b), text("still here"));
    net.start_relay(101);
    net.advance(30_000);
    assert_eq!(net.at(1).state(), &State::Online(name("a")));
    assert_eq!(net.at(2).state(), &State::Online(name("b")));
    let c = net.tab(3, "c");
    assert_eq!(net.at(3).peers().len(), 3);
    assert!(net.at(1).peers().iter().any(|peer| peer.id == c));
    assert_eq!(net.at(1).resolve("b"), Resolution::Known(b));
    assert_eq!(net.at(2).resolve("a"), Resolution::Known(a));
    assert!(!net.saw(1, |e| matches!(e, Event::SessionDown(..))));
}

#[test]
fn a_relayed_session_survives_a_restart_of_the_relay() {
    let mut net = Net::new();
    let (_, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let key = net.open(1, b);
    net.send(1, key, "before");
    net.run();
    net.stop_relay();
    net.send(1, key, "meanwhile");
    net.advance(3000);
    net.start_relay(101);
    net.advance(30_000);
    let at_b = net.incoming(2)[0];
    assert_eq!(net.read(2, at_b), text("before"));
    assert_eq!(net.read(2, at_b), text("meanwhile"));
    assert_eq!(net.read(2, at_b), Read::Nothing);
}

#[test]
fn a_node_that_leaves_ends_what_it_was_asked_at_once() {
    let mut net = Net::new();
    let (_, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let key = net.open(1, b);
    net.run();
    net.at(2).close();
    net.run();
    assert_eq!(code_of(net.read(1, key)), Some(Code::Left));
    assert!(net.saw(
        1,
        |e| matches!(e, Event::PeerLeave(p, f) if p.id == b && f.code == Code::Left)
    ));
}

#[test]
fn a_node_that_vanishes_is_gone_within_seconds() {
    let mut net = Net::new();
    let (_, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let key = net.open(1, b);
    net.run();
    net.direct(1, 2);
    net.nodes.remove(&2);
    let link = *net.links.iter().find(|(_, (n, _))| *n == 2).unwrap().0;
    net.links.remove(&link);
    net.advance(7000);
    assert_eq!(code_of(net.read(1, key)), Some(Code::Gone));
    assert!(net.saw(1, |e| matches!(e, Event::PeerLeave(p, _) if p.id == b)));
}

#[test]
fn a_node_that_begins_anew_replaces_its_old_session() {
    let mut net = Net::new();
    let (_, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let old = net.open(1, b);
    net.run();
    let link = *net.links.iter().find(|(_, (n, _))| *n == 2).unwrap().0;
    net.nodes.remove(&2);
    net.cut(link);
    net.run();
    assert_eq!(net.tab(2, "b"), b, "a reload keeps the id");
    assert_eq!(net.at(2).name(), Some(&name("b")));
    let a = net.nodes[&1].id();
    let key = net.open(2, a);
    net.send(2, key, "anew");
    net.run();
    assert_eq!(code_of(net.read(1, old)), Some(Code::Gone));
    let at_a = *net.incoming(1).last().unwrap();
    assert_eq!(net.read(1, at_a), text("anew"));
}

#[test]
fn a_copied_first_message_does_not_end_a_session() {
    let mut net = Net::new();
    let (_, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let key = net.open(1, b);
    // The relay keeps a copy of the call, and plays it again later.
    net.drain();
    let mut copies = Vec::new();
    while let Some((n, link, packet)) = net.wire.pop_front() {
        if n == 2 {
            copies.push((link, packet.clone()));
        }
        net.deliver(n, link, packet);
        net.drain();
    }
    for (link, packet) in copies {
        net.deliver(2, link, packet);
        net.run();
    }
    net.advance(10_000);
    net.send(1, key, "unharmed");
    net.run();
    let at_b = net.incoming(2)[0];
    assert_eq!(net.read(2, at_b), text("unharmed"));
    assert!(!net.saw(2, |e| matches!(e, Event::SessionDown(..))));
}

#[test]
fn a_ping_tells_the_time_and_the_way() {
    let mut net = Net::new();
    let (_, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let id = net.at(1).ping(b).unwrap();
    net.run();
    let pong =
        |path| move |e: &Event| matches!(e, Event::Pong(i, Ok(p)) if *i == id && p.path == path);
    assert!(net.saw(1, pong(PathKind::Relayed)));
    net.direct(1, 2);
    let id = net.at(1).ping(b).unwrap();
    net.run();
    assert!(net.saw(1, |e| {
        matches!(e, Event::Pong(i, Ok(p)) if *i == id && p.path == PathKind::Direct)
    }));
}

#[test]
fn without_a_relay_a_call_fails_at_once() {
    let mut net = Net::new();
    let (_, b) = (net.tab(1, "a"), net.tab(2, "b"));
    net.stop_relay();
    let failure = net.at(1).open(b, ECHO).unwrap_err();
    assert_eq!(failure.code, Code::Unreachable);
}

#[test]
fn a_silent_link_to_the_relay_is_given_up_and_made_again() {
    let mut net = Net::new();
    net.tab(1, "a");
    let link = *net.links.iter().find(|(_, (n, _))| *n == 1).unwrap().0;
    // Packets towards the tab vanish.
    net.links.remove(&link);
    net.advance(10_000);
    assert_eq!(net.at(1).state(), &State::Online(name("a")));
    assert_eq!(net.at(0).peers().len(), 1);
}

#[test]
fn an_idle_session_stays_up_for_an_hour() {
    let mut net = Net::new();
    let (_, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let key = net.open(1, b);
    net.run();
    net.direct(1, 2);
    net.advance(3_600_000);
    net.send(1, key, "an hour later");
    net.run();
    let at_b = net.incoming(2)[0];
    assert_eq!(net.read(2, at_b), text("an hour later"));
}

/// A stranger's link to the relay, and what came back on it.
fn stranger(net: &mut Net) -> (LinkId, Challenge) {
    net.nodes.insert(9, {
        let config = Config {
            dials: false,
            ..Config::new(Kind::Native)
        };
        Machine::new(config, Identity::from_secret(&[9; 32]), [9; 32], net.now)
    });
    let link = net.link((9, Origin::Dialled), (0, Origin::Accepted));
    let far = net.links[&link].1;
    net.drain();
    let sent = net
        .wire
        .iter()
        .find(|(n, l, _)| *n == 9 && *l == link)
        .unwrap()
        .2
        .clone();
    net.wire.clear();
    let (frame, _) = crate::link::Packet::new(sent).next().unwrap().unwrap();
    let Frame::Challenge { body, .. } = frame else {
        panic!("expected a challenge")
    };
    (far, from_cbor(&body, "a challenge").unwrap())
}

fn refusal(packet: impl Fn(&Challenge) -> Vec<u8>) -> Code {
    let mut net = Net::new();
    let b = net.tab(2, "b");
    let (link, challenge) = stranger(&mut net);
    let packet = packet(&challenge);
    net.deliver(0, link, packet.into());
    net.run();
    assert_eq!(net.path(0, b), PathKind::Relayed, "others notice nothing");
    assert!(!net.saw(
        2,
        |e| matches!(e, Event::PeerJoin(p) if p.kind == Kind::Native)
    ));
    net.refusals
        .iter()
        .find(|(n, _)| *n == 0)
        .map(|(_, failure)| failure.code)
        .unwrap()
}

fn hello(challenge: &Challenge) -> Hello {
    let identity = Identity::from_secret(&[9; 32]);
    Hello::answer(challenge, &identity, Kind::Native, None, false, [1; 32])
}

#[test]
fn garbage_is_refused_as_a_bad_message() {
    for garbage in [
        &b"\x05hello"[..],
        b"\xff\xff\xff",
        b"GET / HTTP/1.1\r\n",
        b"\x00",
        b"\x01\x01",
    ] {
        let code = refusal(|_| garbage.to_vec());
        assert!(
            matches!(code, Code::BadMessage | Code::TooLarge),
            "{garbage:?}: {code}"
        );
    }
}

#[test]
fn a_truncated_hello_is_refused_as_a_bad_message() {
    let whole = |challenge: &Challenge| Frame::hello(VERSION, &hello(challenge)).encode().to_vec();
    assert_eq!(refusal(|c| whole(c)[..20].to_vec()), Code::BadMessage);
}

#[test]
fn an_oversized_frame_is_refused_as_too_large() {
    assert_eq!(refusal(|_| vec![0xff, 0xff, 0x7f, 0]), Code::TooLarge);
    assert_eq!(
        refusal(|_| vec![0; crate::limits::PACKET_BYTES_MAX + 1]),
        Code::TooLarge
    );
}

#[test]
fn a_wrong_version_is_refused_by_its_name() {
    assert_eq!(
        refusal(|c| Frame::hello(99, &hello(c)).encode().to_vec()),
        Code::IncompatibleVersion
    );
}

#[test]
fn a_claimed_id_without_its_key_is_refused() {
    let stolen = |c: &Challenge| Hello {
        id: Identity::from_secret(&[2; 32]).id(),
        ..hello(c)
    };
    assert_eq!(
        refusal(|c| Frame::hello(VERSION, &stolen(c)).encode().to_vec()),
        Code::Unauthorised
    );
}

#[test]
fn a_frame_before_the_hello_is_refused() {
    assert_eq!(
        refusal(|_| Frame::Control(Control::Ping).encode().to_vec()),
        Code::BadMessage
    );
}

#[test]
fn a_stranger_that_never_says_hello_is_timed_out() {
    let mut net = Net::new();
    stranger(&mut net);
    net.advance(6000);
    assert!(
        net.refusals
            .iter()
            .any(|(n, f)| *n == 0 && f.code == Code::TimedOut)
    );
}

#[test]
fn a_slow_reader_stops_its_writer_and_memory_stays_bounded() {
    let mut net = Net::new();
    let (_, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let key = net.open(1, b);
    net.run();
    let message = Bytes::from(vec![7; 10_000]);
    let mut sent = 0;
    while net.at(1).send(key, &message).unwrap() {
        net.advance(1);
        sent += 1;
        assert!(sent < 1000, "the writer is never stopped");
    }
    let at_b = net.incoming(2)[0];
    for _ in 0..sent {
        assert_eq!(net.read(2, at_b), Read::Message(message.clone()));
        net.run();
    }
    assert!(net.at(1).send(key, &message).unwrap());
}
