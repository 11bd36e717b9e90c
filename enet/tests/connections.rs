//! How connections begin, stay and end.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod net;

use net::{Net, Weather};
use peerage_enet::{
    Config, ConnectError, Event, Host, Packet, PeerId, Reason, Room, SendError, Time, Timeouts,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;

#[test]
fn both_sides_learn_what_the_other_allows() {
    let mut net = Net::new(1);
    let server = net.add(Config {
        channels_max: 3,
        mtu: 900,
        ..Config::default()
    });
    let client = net.add(Config::default());
    let (here, there) = net.join(client, server);
    for (n, peer) in [(client, here), (server, there)] {
        let stats = net.host(n).stats(peer).unwrap();
        assert_eq!((stats.mtu, stats.window), (900, 65_536));
        assert_eq!(net.host(n).channels(peer), Some(3));
        assert_eq!(
            net.host(n).send(peer, 3, Packet::reliable("x")),
            Err(SendError::NoChannel(3))
        );
    }
    assert_eq!(net.host(client).address(here), Some(net.address(server)));
}

#[test]
fn two_that_allow_it_have_more_under_way_than_stock_hosts() {
    let wide = Config {
        window_bytes_max: 1 << 20,
        ..Config::default()
    };
    let mut net = Net::new(1);
    let (a, b, stock) = (
        net.add(wide.clone()),
        net.add(wide),
        net.add(Config::default()),
    );
    let mut window = |from, to| {
        let (here, there) = net.join(from, to);
        let here = net.host(from).stats(here).unwrap().window;
        (here, net.host(to).stats(there).unwrap().window)
    };
    assert_eq!(window(a, b), (1 << 20, 1 << 20));
    assert_eq!(window(a, stock), (65_536, 65_536));
    assert_eq!(window(stock, a), (65_536, 65_536));
}

#[test]
fn ipv6_is_as_good() {
    let address = |n| SocketAddr::from(([0xFD00, 0, 0, n, 0, 0, 0, 1], 4000));
    let mut hosts = [1, 2].map(|n| Host::new(Config::default(), [n; 32]));
    let now = Time::from_secs(1);
    let peer = hosts[0].connect(now, address(2), 2, 9).unwrap();
    let mut datagram = Vec::new();
    for turn in 0..6 {
        let from = turn % 2;
        while let Some(to) = hosts[from].poll_transmit(now, &mut datagram) {
            assert_eq!(to, address(2 - from as u16));
            hosts[1 - from].handle_datagram(now, address(from as u16 + 1), &datagram);
        }
    }
    assert!(hosts[0].peers().any(|there| there == peer));
    assert!(matches!(
        hosts[1].poll_event(),
        Some(Event::Connected { data: 9, .. })
    ));
}

#[test]
fn who_accepts_nobody_is_silent_and_who_asks_gives_up() {
    let mut net = Net::new(1);
    let deaf = net.add(Config {
        accepts: false,
        ..Config::default()
    });
    let client = net.add(Config {
        timeouts: Timeouts {
            maximum: Time::from_secs(2),
            ..Timeouts::default()
        },
        ..Config::default()
    });
    let (now, address) = (net.now, net.address(deaf));
    let peer = net.host(client).connect(now, address, 1, 0).unwrap();
    let end = Event::Disconnected {
        peer,
        data: 0,
        reason: Reason::TimedOut,
    };
    net.until(|net| net.take(client) == [end.clone()]);
    assert!(net.sent.keys().all(|(from, _)| *from != address));
    assert_eq!(net.host(client).deadline(), None);
}

#[test]
fn a_host_has_no_more_peers_than_it_may_and_places_become_free_again() {
    let mut net = Net::new(1);
    let server = net.add(Config::default());
    let client = net.add(Config {
        peers_max: 2,
        ..Config::default()
    });
    let first = net.join(client, server).0;
    net.join(client, server);
    let (now, address) = (net.now, net.address(server));
    let full = net.host(client).connect(now, address, 1, 0);
    assert_eq!(full, Err(ConnectError::Full(2)));
    net.host(client).disconnect(first, 0);
    net.until(|net| !net.take(client).is_empty());
    let (third, _) = net.join(client, server);
    assert_ne!(third, first);
    let gone = net.host(client).send(first, 0, Packet::reliable("x"));
    assert_eq!(gone, Err(SendError::NoPeer));
}

#[test]
fn thousands_of_connections_with_one_address_are_told_apart() {
    let mut net = Net::new(1);
    let everybody = Config {
        peers_max: 6000,
        peers_per_address_max: 6000,
        ..Config::default()
    };
    let server = net.add(everybody.clone());
    let clients = [net.add(everybody.clone()), net.add(everybody)];
    let address = net.address(server);
    let mut peers = Vec::new();
    for client in clients {
        for n in 0..2500 {
            let now = net.now;
            let peer = net.host(client).connect(now, address, 1, n).unwrap();
            peers.push((client, peer));
            if n % 500 == 0 {
                net.pass(Time::from_secs(1));
            }
        }
    }
    net.pass(Time::from_secs(1));
    assert_eq!(net.host(server).peers().count(), 5000);
    for (n, (client, peer)) in peers.iter().enumerate() {
        let bytes = (n as u32).to_be_bytes().to_vec();
        net.host(*client)
            .send(*peer, 0, Packet::reliable(bytes))
            .unwrap();
    }
    let mut said = BTreeMap::new();
    net.pass(Time::from_secs(1));
    for event in net.take(server) {
        if let Event::Received { peer, packet, .. } = event {
            assert_eq!(said.insert(peer, packet.bytes), None);
        }
    }
    assert_eq!(said.len(), 5000);
}

#[test]
fn each_connection_ends_once_for_each_side_whatever_the_weather() {
    for seed in 0..20 {
        let mut net = Net::new(seed);
        net.weather = Weather {
            lost: 300,
            doubled: 200,
            reordered: 300,
            damaged: 0,
        };
        let (server, client) = (net.add(Config::default()), net.add(Config::default()));
        let mut open: BTreeMap<PeerId, bool> = BTreeMap::new();
        let address = net.address(server);
        let mut theirs = BTreeMap::new();
        for n in 0..200 {
            let now = net.now;
            match net.draw() % 4 {
                0 => {
                    let peer = net.host(client).connect(now, address, 2, n).unwrap();
                    open.insert(peer, true);
                }
                1 => drop(choose(&mut net, &open).map(|peer| net.host(client).disconnect(peer, n))),
                2 => drop(
                    choose(&mut net, &open).map(|peer| net.host(client).disconnect_now(peer, n)),
                ),
                _ => drop(choose(&mut net, &open).map(|peer| {
                    net.host(client)
                        .send(peer, 0, Packet::reliable(vec![0; 3000]))
                })),
            }
            net.pass(Time::from_millis(50));
            tally(net.take(client), &mut open);
            tally(net.take(server), &mut theirs);
        }
        for peer in open.clone().into_keys() {
            net.host(client).disconnect(peer, 0);
        }
        net.pass(Time::from_secs(300));
        tally(net.take(client), &mut open);
        tally(net.take(server), &mut theirs);
        assert!(open.values().all(|open| !open), "seed {seed}");
        assert!(theirs.values().all(|open| !open), "seed {seed}");
        for host in [server, client] {
            assert_eq!(net.host(host).deadline(), None, "seed {seed}");
        }
    }
}

fn choose(net: &mut Net, open: &BTreeMap<PeerId, bool>) -> Option<PeerId> {
    let n = net.draw() as usize % open.len().max(1);
    open.keys().nth(n).copied()
}

/// Notes what begins and ends; nothing ends twice, or that has not begun.
fn tally(events: Vec<Event>, open: &mut BTreeMap<PeerId, bool>) {
    for event in events {
        match event {
            Event::Connected { peer, .. } => assert_ne!(open.insert(peer, true), Some(false)),
            Event::Disconnected { peer, .. } => assert_eq!(open.insert(peer, false), Some(true)),
            Event::Received { peer, .. } | Event::Answered { peer } | Event::Writable { peer } => {
                assert_eq!(open.get(&peer), Some(&true));
            }
        }
    }
}

#[test]
fn who_sends_too_much_is_told_and_told_again_when_there_is_room() {
    let config = Config {
        queued_bytes_max: 10_000,
        ..Config::default()
    };
    let (mut net, a, _) = Net::pair(1, config);
    let mut said = Vec::new();
    let full = loop {
        match net.host(0).send(a, 0, Packet::reliable(vec![1; 936])) {
            Ok(room) => said.push(room),
            Err(error) => break error,
        }
    };
    assert_eq!(full, SendError::Full);
    assert_eq!(said, [[Room::Free; 5], [Room::Busy; 5]].concat());
    assert_eq!(net.host(0).queued_bytes(a), 10_000);
    net.until(|net| net.take(0) == [Event::Writable { peer: a }]);
    assert_eq!(
        net.host(0).send(a, 0, Packet::reliable("x")),
        Ok(Room::Free)
    );
    // One that is longer than all of it goes when nothing else does.
    net.pass(Time::from_secs(1));
    let long = net.host(0).send(a, 0, Packet::reliable(vec![1; 50_000]));
    assert_eq!(long, Ok(Room::Busy));
}

#[test]
fn who_falls_silent_is_lost_and_who_answers_stays() {
    let (mut net, a, b) = Net::pair(1, Config::default());
    net.pass(Time::from_secs(120));
    assert!(net.take(0).is_empty() && net.take(1).is_empty());
    net.weather.lost = 1000;
    for (host, peer) in [(0, a), (1, b)] {
        let end = Event::Disconnected {
            peer,
            data: 0,
            reason: Reason::TimedOut,
        };
        net.until(|net| net.take(host) == [end.clone()]);
    }
}

#[test]
fn who_says_how_much_it_can_receive_gets_no_more_of_what_may_be_dropped() {
    let mut net = Net::new(1);
    let slow = net.add(Config {
        incoming_bandwidth: 20_000,
        ..Config::default()
    });
    let fast = net.add(Config::default());
    let (peer, _) = net.join(fast, slow);
    assert_eq!(net.host(fast).stats(peer).unwrap().window, 4096);
    let mut received = 0;
    for _ in 0..1000 {
        // Five times of what it can take.
        net.host(fast)
            .send(peer, 0, Packet::unreliable(vec![1; 1000]))
            .unwrap();
        net.pass(Time::from_millis(10));
        received += net.take(slow).len();
    }
    assert!((150..400).contains(&received), "{received} kB in 10 s");
    assert!(net.host(fast).stats(peer).unwrap().throttle < 10);
}
