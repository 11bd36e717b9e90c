//! What nobody says who means well.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod net;

use net::Net;
use net::raw::{Fragment, Raw, connect, reliable, unreliable};
use peerage_enet::{Config, Event, Host, Packet, PeerId, Reason, Room, SendError, Time};
use std::net::SocketAddr;

const FIRST: Fragment = Fragment {
    command: 0x88,
    number: 1,
    start: 1,
    count: 2,
    part: 0,
    total: 15,
    offset: 0,
};
const LAST: Fragment = Fragment {
    number: 2,
    part: 1,
    offset: 10,
    ..FIRST
};

fn packets(events: &[Event]) -> Vec<&[u8]> {
    let packets = events.iter().filter_map(|event| match event {
        Event::Received { packet, .. } => Some(&packet.bytes[..]),
        _ => None,
    });
    packets.collect()
}

#[test]
fn forged_requests_take_no_place_and_are_answered_by_less_than_they_are() {
    let config = Config {
        peers_max: 64,
        pending_max: 256,
        ..Config::default()
    };
    let mut net = Net::new(1);
    let (host, client) = (net.add(config), net.add(Config::default()));
    for n in 0..5000_u32 {
        let [_, _, c, d] = n.to_be_bytes();
        let victim = SocketAddr::from(([172, 16, c, d], 4000));
        net.inject(victim, host, &connect(n));
    }
    net.pass(Time::from_secs(1));
    let address = net.address(host);
    let from_host = net.sent.iter().filter(|((from, _), _)| *from == address);
    let mut answers = 0;
    for (_, (count, bytes)) in from_host {
        assert_eq!(*count, 1);
        assert!(*bytes < connect(0).len());
        answers += 1;
    }
    assert!(answers <= 5000);
    assert!(net.take(host).is_empty());
    net.join(client, host);
    // They are not asked again, however much time goes by.
    net.sent.clear();
    net.pass(Time::from_secs(60));
    assert!(
        net.sent
            .keys()
            .all(|(from, to)| *from != address || *to == net.address(client))
    );
}

#[test]
fn a_request_that_is_repeated_gets_the_same_answer_and_one_connection() {
    let mut host = Host::new(Config::default(), [1; 32]);
    let from = SocketAddr::from(([10, 0, 0, 1], 1));
    let now = Time::from_secs(1);
    let mut answers = Vec::new();
    for _ in 0..3 {
        host.handle_datagram(now, from, &connect(5));
        let mut answer = Vec::new();
        assert_eq!(host.poll_transmit(now, &mut answer), Some(from));
        assert_eq!(host.poll_transmit(now, &mut Vec::new()), None);
        answers.push(answer);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let mut raw = Raw::new(Config::default());
    raw.host.handle_datagram(raw.now, raw.address, &connect(7));
    assert!(raw.heard().is_empty());
    assert_eq!(raw.host.peers().count(), 1);
}

#[test]
fn who_does_not_know_the_number_and_the_time_in_the_answer_is_not_connected() {
    let from = SocketAddr::from(([10, 0, 0, 1], 1));
    let now = Time::from_secs(1);
    let mut host = Host::new(Config::default(), [1; 32]);
    host.handle_datagram(now, from, &connect(5));
    let mut verify = Vec::new();
    host.poll_transmit(now, &mut verify);
    let id = u16::from_be_bytes([verify[8], verify[9]]);
    let [high, low] = (id | u16::from(verify[11] & 3) << 12).to_be_bytes();
    let answer = |number: u8, time: u8| {
        let (number, time) = (verify[6] ^ number, verify[2] ^ time);
        [1, 0xFF, 0, 1, number, verify[7], time, verify[3]]
    };
    let says = |commands: &[[u8; 8]]| [&[high, low][..], &commands.concat()].concat();
    for wrong in [answer(0, 1), answer(1, 0)] {
        host.handle_datagram(now, from, &says(&[wrong]));
        // One try for each datagram.
        host.handle_datagram(now, from, &says(&[wrong, answer(0, 0)]));
        assert_eq!(host.poll_event(), None);
    }
    // And no answer to what is shorter than that.
    assert_eq!(host.poll_transmit(now, &mut Vec::new()), None);
    let elsewhere = SocketAddr::from(([10, 0, 0, 2], 1));
    let right = says(&[answer(0, 0)]);
    host.handle_datagram(now, elsewhere, &right);
    assert_eq!(host.poll_event(), None);
    host.handle_datagram(now, from, &right);
    assert!(matches!(host.poll_event(), Some(Event::Connected { .. })));
}

#[test]
fn one_address_has_no_more_connections_than_it_may() {
    let config = Config {
        peers_per_address_max: 2,
        ..Config::default()
    };
    let mut net = Net::new(1);
    let host = net.add(config);
    let clients = [net.add(Config::default()), net.add(Config::default())];
    let (now, address) = (net.now, net.address(host));
    for _ in 0..2 {
        net.join(clients[0], host);
    }
    net.host(clients[0]).connect(now, address, 1, 0).unwrap();
    net.pass(Time::from_secs(1));
    assert_eq!(net.host(host).peers().count(), 2);
    let refused = net.take(clients[0]).into_iter().filter(|event| {
        matches!(
            event,
            Event::Disconnected {
                reason: Reason::Refused,
                ..
            }
        )
    });
    assert_eq!(refused.count(), 1);
    net.join(clients[1], host);
}

#[test]
fn fragments_that_are_not_where_they_belong_are_refused() {
    let wrong = [
        LAST.with(b""),
        LAST.with(b"0123456789"),
        Fragment { offset: 9, ..LAST }.with(b"012345"),
        Fragment { total: 16, ..LAST }.with(b"012345"),
        Fragment { count: 3, ..LAST }.with(b"01234"),
        Fragment { part: 2, ..LAST }.with(b"01234"),
        Fragment {
            offset: u32::MAX,
            ..LAST
        }
        .with(b"01234"),
        Fragment { count: 0, ..LAST }.with(b"01234"),
    ];
    for command in [0x88, 12] {
        for wrong in &wrong {
            let mut raw = Raw::new(Config::default());
            let of = |fragment: Fragment| Fragment {
                command,
                number: fragment.number * u16::from(command == 0x88),
                ..fragment
            };
            let mut wrong = wrong.clone();
            wrong[0] = command;
            if command == 12 {
                wrong[3] = 0;
            }
            assert_eq!(raw.say(&of(FIRST).with(b"0123456789")), []);
            let before = raw.host.counters().malformed;
            assert_eq!(raw.say(&wrong), [], "{wrong:?}");
            assert_eq!(raw.host.counters().malformed, before + 1, "{wrong:?}");
            // What belongs there still does.
            let events = raw.say(&of(LAST).with(b"abcde"));
            assert_eq!(packets(&events), [b"0123456789abcde"]);
        }
    }
    let mut raw = Raw::new(Config::default());
    let many = Fragment {
        count: 1 << 20,
        total: 100,
        ..FIRST
    };
    assert_eq!(raw.say(&many.with(b"0")), []);
    let huge = Fragment {
        total: u32::MAX,
        ..FIRST
    };
    assert_eq!(raw.say(&huge.with(b"0")), []);
    assert_eq!(raw.host.counters().malformed, 2);
    assert_eq!(raw.host.stats(raw.peer).unwrap().waiting_bytes, 0);
}

#[test]
fn what_waits_is_bounded_and_what_is_next_still_gets_through() {
    let config = Config {
        waiting_bytes_max: 10_000,
        packet_bytes_max: 2000,
        ..Config::default()
    };
    let mut raw = Raw::new(config);
    for n in 2..200 {
        raw.say(&reliable(0, n, &[1; 1000]));
    }
    let waiting = raw.host.stats(raw.peer).unwrap().waiting_bytes;
    assert!((8000..=10_000).contains(&waiting), "{waiting}");
    assert!(raw.host.counters().no_room > 100);
    // Empty packets take memory as well.
    for n in 1..2000 {
        raw.say(&unreliable(1, 5, n, b""));
    }
    assert!(raw.host.stats(raw.peer).unwrap().waiting_bytes <= 10_000);
    let events = raw.say(&reliable(0, 1, &[1; 1000]));
    assert_eq!(packets(&events).len(), 10);
    for n in 11..20 {
        assert_eq!(packets(&raw.say(&reliable(0, n, b"x"))), [b"x"]);
    }
}

#[test]
fn what_nobody_takes_stops_coming() {
    let config = Config {
        waiting_bytes_max: 10_000,
        packet_bytes_max: 2000,
        ..Config::default()
    };
    let mut raw = Raw::new(config);
    for n in 1..100 {
        raw.say_unheard(&reliable(0, n, &[1; 1000]));
    }
    assert!(raw.host.stats(raw.peer).unwrap().waiting_bytes <= 12_064);
    let taken = raw.events().len();
    assert!(taken < 12);
    let next = taken as u16 + 1;
    assert_eq!(packets(&raw.say(&reliable(0, next, b"x"))), [b"x"]);
}

#[test]
fn lost_fragments_of_unreliable_packets_stop_nothing() {
    let config = Config {
        waiting_bytes_max: 100_000,
        ..Config::default()
    };
    let mut raw = Raw::new(config);
    for n in 1..10_000_u16 {
        let fragment = Fragment {
            command: 12,
            number: 0,
            start: n,
            count: 20,
            part: 0,
            total: 20_000,
            offset: 0,
        };
        raw.say(&fragment.with(&[1; 1000]));
    }
    let events = raw.say(&unreliable(0, 0, 20_000, b"later"));
    assert_eq!(packets(&events), [b"later"]);
    assert_eq!(raw.host.stats(raw.peer).unwrap().waiting_bytes, 0);
    assert_eq!(packets(&raw.say(&reliable(0, 1, b"sure"))), [b"sure"]);
}

#[test]
fn datagrams_that_make_no_sense_are_counted_and_change_nothing() {
    let mut raw = Raw::new(Config::default());
    let from = raw.address;
    for datagram in [
        &[][..],
        &[1],
        &[0x8F, 0xFF],
        &[0x0F, 0xFF, 5, 0, 0, 0],
        &[0; 5000],
    ] {
        raw.host.handle_datagram(raw.now, from, datagram);
    }
    assert_eq!(raw.host.counters().malformed, 5);
    raw.say(&[0x0D, 0, 0, 1]);
    raw.say(&[0x86, 0, 0, 1, 0xFF, 0xFF, 1]);
    raw.say(&[0x86, 8, 0, 1, 0, 0]);
    raw.say(&[0x82; 48]);
    assert_eq!(raw.host.counters().malformed, 9);
    assert_eq!(packets(&raw.say(&reliable(0, 1, b"x"))), [b"x"]);
}

#[test]
fn what_was_told_is_acknowledged_again_and_not_told_again() {
    let mut raw = Raw::new(Config::default());
    assert_eq!(packets(&raw.say(&reliable(0, 1, b"x"))), [b"x"]);
    assert_eq!(raw.heard().len(), 1);
    assert_eq!(raw.say(&reliable(0, 1, b"x")), []);
    assert_eq!(raw.heard().len(), 1);
    // What is too far ahead is not acknowledged, since it is not kept.
    assert_eq!(raw.say(&reliable(0, 7 * 4096, b"x")), []);
    assert!(raw.heard().is_empty());
}

#[test]
fn a_farewell_that_is_repeated_is_acknowledged_again() {
    let mut raw = Raw::new(Config::default());
    let farewell = [0x84, 0xFF, 0, 2, 0, 0, 0, 9];
    let peer = raw.peer;
    let event = Event::Disconnected {
        peer,
        data: 9,
        reason: Reason::ByPeer,
    };
    assert_eq!(raw.say(&farewell), [event]);
    assert_eq!(raw.heard().len(), 1);
    assert_eq!(raw.say(&farewell), []);
    assert_eq!(raw.heard().len(), 1);
    assert_eq!(raw.say(&reliable(0, 1, b"x")), []);
    assert_eq!(
        raw.host.send(peer, 0, Packet::reliable("x")),
        Err(SendError::NoPeer)
    );
    raw.now += Time::from_secs(60);
    raw.host.handle_time(raw.now);
    assert_eq!(raw.host.deadline(), None);
}

#[test]
fn who_only_acknowledges_that_one_calls_is_given_up() {
    let (now, to) = (Time::from_secs(1), SocketAddr::from(([10, 0, 0, 1], 1)));
    let mut host = Host::new(Config::default(), [1; 32]);
    host.connect(now, to, 1, 0).unwrap();
    let mut asked = Vec::new();
    host.poll_transmit(now, &mut asked);
    let id = u16::from_be_bytes([asked[8], asked[9]]);
    let [high, low] = id.to_be_bytes();
    let acknowledge = [
        high, low, 1, 0xFF, 0, 1, asked[6], asked[7], asked[2], asked[3],
    ];
    host.handle_datagram(now, to, &acknowledge);
    let mut now = now;
    while let Some(deadline) = host.deadline() {
        now = now.max(deadline);
        host.handle_time(now);
        while host.poll_transmit(now, &mut asked).is_some() {}
    }
    let ended = host.poll_event();
    assert!(
        matches!(
            ended,
            Some(Event::Disconnected {
                reason: Reason::TimedOut,
                ..
            })
        ),
        "{ended:?}"
    );
    assert!(host.is_idle());
}

/// A host with peers that say what they like, each from an address of a network and at a port.
struct Crowd {
    host: Host,
    now: Time,
    /// What the host has told beside who came.
    told: Vec<Event>,
}

impl Crowd {
    fn new(config: Config) -> Self {
        let host = Host::new(config, [3; 32]);
        let now = Time::from_secs(1);
        let told = Vec::new();
        Self { host, now, told }
    }

    /// One more peer, and what its datagrams begin with.
    fn join(&mut self, from: SocketAddr) -> (PeerId, [u8; 2]) {
        self.host.handle_datagram(self.now, from, &connect(7));
        let mut verify = Vec::new();
        while self.host.poll_transmit(self.now, &mut verify) != Some(from) {}
        let id = u16::from_be_bytes([verify[8], verify[9]]);
        let header = (id | u16::from(verify[11] & 3) << 12).to_be_bytes();
        let acknowledge = [1, 0xFF, 0, 1, verify[6], verify[7], verify[2], verify[3]];
        let datagram = [&header[..], &acknowledge].concat();
        self.host.handle_datagram(self.now, from, &datagram);
        let mut joined = None;
        while let Some(event) = self.host.poll_event() {
            match event {
                Event::Connected { peer, .. } => joined = Some(peer),
                other => self.told.push(other),
            }
        }
        (joined.unwrap(), header)
    }

    fn say(&mut self, from: SocketAddr, [high, low]: [u8; 2], commands: &[u8]) {
        let datagram = [&[high | 0x80, low, 0, 0], commands].concat();
        self.host.handle_datagram(self.now, from, &datagram);
    }

    /// What all keep waiting.
    fn waiting(&self) -> usize {
        let peers: Vec<_> = self.host.peers().collect();
        let stats = peers.into_iter().filter_map(|peer| self.host.stats(peer));
        stats.map(|stats| stats.waiting_bytes).sum()
    }
}

#[test]
fn all_together_keep_no_more_than_a_host_has_and_who_keeps_most_pays() {
    const MOST: usize = 300_000;
    let config = Config {
        packet_bytes_max: 100_000,
        waiting_bytes_max: 100_000,
        host_waiting_bytes_max: MOST,
        ..Config::default()
    };
    let mut crowd = Crowd::new(config);
    let honest = SocketAddr::from(([10, 0, 0, 1], 1));
    let (_, header) = crowd.join(honest);
    // More than any one of the others, and less than those of their address together.
    crowd.say(
        honest,
        header,
        &Fragment {
            total: 90_000,
            count: 90,
            ..FIRST
        }
        .with(&[1; 1000]),
    );
    // Each begins a packet that never ends.
    for n in 0..100 {
        let from = SocketAddr::from(([10, 0, 0, 2], 1000 + n));
        let (_, header) = crowd.join(from);
        let fragment = Fragment {
            total: 60_000,
            count: 60,
            ..FIRST
        };
        crowd.say(from, header, &fragment.with(&[1; 1000]));
        // What was refused comes again.
        crowd.say(from, header, &fragment.with(&[1; 1000]));
        assert!(crowd.waiting() <= MOST, "{n}: {}", crowd.waiting());
    }
    let mut crowded = 0;
    let mut packets = 0;
    for part in 1..90_u16 {
        let fragment = Fragment {
            number: part + 1,
            part: part.into(),
            total: 90_000,
            count: 90,
            offset: u32::from(part) * 1000,
            ..FIRST
        };
        crowd.say(honest, header, &fragment.with(&[1; 1000]));
    }
    crowd
        .told
        .extend(std::iter::from_fn(|| crowd.host.poll_event()));
    for event in &crowd.told {
        match event {
            Event::Disconnected { reason, .. } => {
                assert_eq!(*reason, Reason::Crowded);
                crowded += 1;
            }
            Event::Received { packet, .. } => {
                assert_eq!(packet.bytes.len(), 90_000);
                packets += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(packets, 1, "who means well is served");
    assert_eq!(crowd.host.counters().crowded, crowded);
    assert!(crowded > 90, "{crowded}");
}

#[test]
fn what_is_told_waits_until_it_is_taken() {
    let config = Config {
        waiting_bytes_max: 10_000,
        packet_bytes_max: 2000,
        ..Config::default()
    };
    let mut raw = Raw::new(config);
    let mut told = 0;
    for n in 1..100 {
        raw.say_unheard(&reliable(0, n, &[1; 1000]));
        while raw.host.poll_event().is_some() {
            told += 1;
        }
    }
    assert!(told < 12, "{told}");
    // What is not acknowledged comes again, and is heard once there is room.
    raw.host
        .taken(raw.peer, Packet::reliable(vec![1; 1000]).cost());
    let next = told as u16 + 1;
    assert_eq!(packets(&raw.say(&reliable(0, next, b"x"))), [b"x"]);
}

#[test]
fn what_leaves_is_bounded_for_all_and_nobody_is_without_a_share() {
    const MOST: usize = 200_000;
    let config = Config {
        queued_bytes_max: 100_000,
        host_queued_bytes_max: MOST,
        ..Config::default()
    };
    let mut crowd = Crowd::new(config);
    let mut peers = Vec::new();
    for n in 0..10 {
        let from = SocketAddr::from(([10, 0, 0, 2], 1000 + n));
        peers.push(crowd.join(from).0);
    }
    let mut told_to_wait = 0;
    for peer in &peers {
        let mut room = Room::Free;
        while let Ok(said) = crowd.host.send(*peer, 0, Packet::reliable(vec![1; 900])) {
            told_to_wait += usize::from((room, said) == (Room::Free, Room::Busy));
            room = said;
        }
    }
    assert_eq!(told_to_wait, peers.len());
    let queued: Vec<_> = peers
        .iter()
        .map(|peer| crowd.host.queued_bytes(*peer))
        .collect();
    assert!(
        queued.iter().sum::<usize>() <= MOST + MOST / 2,
        "{queued:?}"
    );
    assert!(queued.iter().all(|queued| *queued >= 8000), "{queued:?}");
}

#[test]
fn a_peer_that_is_asked_answers_if_it_is_there() {
    let (mut net, a, _) = Net::pair(1, Config::default());
    net.host(0).ask(a);
    net.until(|net| {
        net.take(0)
            .iter()
            .any(|event| *event == Event::Answered { peer: a })
    });
    // It is told once.
    net.pass(Time::from_secs(3));
    assert!(!net.take(0).contains(&Event::Answered { peer: a }));
}
