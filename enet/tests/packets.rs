//! Packets of each kind between two hosts.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod net;

use net::{Net, Weather};
use peerage_enet::{Config, Event, Kind, Packet, PeerId, Reason, Room, SendError, Time};
use std::collections::BTreeSet;

const STORM: Weather = Weather {
    lost: 200,
    doubled: 100,
    reordered: 300,
    damaged: 0,
};

fn received(events: Vec<Event>) -> Vec<(u8, Packet)> {
    let packets = events.into_iter().filter_map(|event| match event {
        Event::Received {
            channel, packet, ..
        } => Some((channel, packet)),
        _ => None,
    });
    packets.collect()
}

fn send_all(net: &mut Net, peer: PeerId, packets: &[(u8, Packet)]) {
    for (channel, packet) in packets {
        net.host(0).send(peer, *channel, packet.clone()).unwrap();
    }
}

#[test]
fn each_kind_arrives_as_it_was_sent() {
    let (mut net, a, _) = Net::pair(1, Config::default());
    let packets: Vec<_> = [
        (0, Kind::Reliable, 0),
        (0, Kind::Reliable, 10),
        (1, Kind::Unreliable, 20),
        (2, Kind::Unsequenced, 30),
        (3, Kind::UnreliableFragment, 20_000),
        (4, Kind::Reliable, 500_000),
    ]
    .into_iter()
    .map(|(channel, kind, len)| {
        let bytes = (0..len).map(|n| n as u8).collect::<Vec<_>>().into();
        (channel, Packet { bytes, kind })
    })
    .collect();
    send_all(&mut net, a, &packets);
    let mut there = Vec::new();
    net.until(|net| {
        there.extend(received(net.take(1)));
        there.len() == packets.len()
    });
    there.sort_by_key(|(channel, packet)| (*channel, packet.bytes.len()));
    assert_eq!(there, packets);
}

#[test]
fn reliable_packets_arrive_once_and_in_order_through_a_storm() {
    for seed in 0..10 {
        let (mut net, a, _) = Net::pair(seed, Config::default());
        net.weather = STORM;
        let mut packets = Vec::new();
        for n in 0..300_u32 {
            let len = if net.draw() % 20 == 0 { 5000 } else { 4 };
            let mut bytes = n.to_be_bytes().to_vec();
            bytes.resize(len, 0);
            packets.push(((net.draw() % 4) as u8, Packet::reliable(bytes)));
        }
        send_all(&mut net, a, &packets);
        let mut there = Vec::new();
        net.until(|net| {
            there.extend(received(net.take(1)));
            there.len() == packets.len()
        });
        for channel in 0..4 {
            let of = |packets: &[(u8, Packet)]| -> Vec<_> {
                let of = packets.iter().filter(|(of, _)| *of == channel);
                of.map(|(_, packet)| packet.clone()).collect()
            };
            assert_eq!(of(&there), of(&packets), "channel {channel} of seed {seed}");
        }
    }
}

#[test]
fn who_disconnects_is_heard_after_what_was_sent() {
    let (mut net, a, b) = Net::pair(3, Config::default());
    let host = net.host(0);
    for n in 0..100_u32 {
        host.send(a, 0, Packet::reliable(n.to_be_bytes().to_vec()))
            .unwrap();
    }
    host.disconnect(a, 42);
    let mut events = Vec::new();
    net.until(|net| {
        events.extend(net.take(1));
        matches!(events.last(), Some(Event::Disconnected { .. }))
    });
    assert_eq!(received(events.clone()).len(), 100);
    assert_eq!(
        events.last(),
        Some(&Event::Disconnected {
            peer: b,
            data: 42,
            reason: Reason::ByPeer
        })
    );
    net.until(|net| {
        net.take(0).contains(&Event::Disconnected {
            peer: a,
            data: 0,
            reason: Reason::Asked,
        })
    });
}

#[test]
fn numbers_begin_again_in_the_midst_of_a_storm() {
    const COUNT: u32 = 140_000;
    let (mut net, a, _) = Net::pair(5, Config::default());
    net.weather = Weather {
        lost: 20,
        doubled: 20,
        reordered: 50,
        ..Weather::default()
    };
    let (mut sent, mut next) = (0, 0);
    net.until(|net| {
        while sent < COUNT {
            let packet = Packet::reliable(sent.to_be_bytes().to_vec());
            match net.host(0).send(a, 0, packet) {
                Ok(Room::Free) => sent += 1,
                Ok(Room::Busy) => {
                    sent += 1;
                    break;
                }
                Err(_) => break,
            }
        }
        for (_, packet) in received(net.take(1)) {
            assert_eq!(packet.bytes[..], u32::to_be_bytes(next));
            next += 1;
        }
        next == COUNT
    });
}

#[test]
fn unreliable_packets_never_come_twice_or_after_a_later_one() {
    for (seed, kind) in [(1, Kind::Unreliable), (2, Kind::UnreliableFragment)] {
        let (mut net, a, _) = Net::pair(seed, Config::default());
        net.weather = STORM;
        let mut last = [0; 4];
        let mut count = 0;
        for n in 1..3000_u32 {
            let channel = (n % 4) as u8;
            // Reliable ones among them: each unreliable one follows one of these.
            let kind = if n % 50 < 4 { Kind::Reliable } else { kind };
            let len = if kind == Kind::UnreliableFragment {
                3000
            } else {
                4
            };
            let mut bytes = n.to_be_bytes().to_vec();
            bytes.resize(len, 0);
            let packet = Packet {
                bytes: bytes.into(),
                kind,
            };
            net.host(0).send(a, channel, packet).unwrap();
            net.pass(Time::from_millis(3));
            for (channel, packet) in received(net.take(1)) {
                let (n, _) = packet.bytes.split_first_chunk().unwrap();
                let last = &mut last[usize::from(channel)];
                assert!(u32::from_be_bytes(*n) > *last, "{kind:?}");
                *last = u32::from_be_bytes(*n);
                count += 1;
            }
        }
        assert!(count > 500, "{count} of 3000");
        // Else something would be lost six times in a row, which ends a connection.
        net.weather = Weather::default();
        net.pass(Time::from_secs(30));
        let peer = net.host(1).peers().next().unwrap();
        let stats = net.host(1).stats(peer);
        let waiting = stats.unwrap().waiting_bytes;
        // Of megabytes that were lost, those after the last that came.
        assert!(waiting < 50_000, "{waiting} bytes are kept");
    }
}

#[test]
fn unsequenced_packets_never_come_twice() {
    let (mut net, a, _) = Net::pair(3, Config::default());
    net.weather = Weather {
        doubled: 500,
        reordered: 500,
        ..Weather::default()
    };
    let mut seen = BTreeSet::new();
    for n in 0..70_000_u32 {
        let packet = Packet {
            bytes: n.to_be_bytes().to_vec().into(),
            kind: Kind::Unsequenced,
        };
        net.host(0).send(a, 0, packet).unwrap();
        if n % 50 == 0 {
            net.pass(Time::from_millis(20));
        }
        for (_, packet) in received(net.take(1)) {
            assert!(seen.insert(packet.bytes));
        }
    }
    net.pass(Time::from_secs(1));
    assert!(seen.len() > 40_000, "{}", seen.len());
}

#[test]
fn in_each_way_of_writing_datagrams_a_storm_changes_nothing() {
    for (checksum, compression) in [(true, false), (false, true), (true, true)] {
        let config = Config {
            checksum,
            compression,
            ..Config::default()
        };
        let (mut net, a, _) = Net::pair(4, config);
        net.weather = STORM;
        let packets: Vec<_> = (0..100_u8)
            .map(|n| (n % 3, Packet::reliable(vec![n; 10 * usize::from(n)])))
            .collect();
        send_all(&mut net, a, &packets);
        let mut there = Vec::new();
        net.until(|net| {
            there.extend(received(net.take(1)));
            there.len() == packets.len()
        });
        there.sort_by_key(|(_, packet)| packet.bytes.len());
        assert_eq!(there, packets);
    }
}

#[test]
fn what_was_damaged_on_the_way_is_lost_and_comes_again() {
    let config = Config {
        checksum: true,
        ..Config::default()
    };
    let (mut net, a, _) = Net::pair(6, config);
    net.weather.damaged = 300;
    let packets: Vec<_> = (0..200_u8)
        .map(|n| (0, Packet::reliable(vec![n; 100])))
        .collect();
    for packet in &packets {
        send_all(&mut net, a, std::slice::from_ref(packet));
        net.pass(Time::from_millis(5));
    }
    let mut there = Vec::new();
    net.until(|net| {
        there.extend(received(net.take(1)));
        there.len() == packets.len()
    });
    assert_eq!(there, packets);
    assert!(net.host(1).counters().checksum > 20);
}

#[test]
fn packets_of_many_megabytes_arrive_if_the_host_allows_them() {
    let config = Config {
        packet_bytes_max: 32 << 20,
        window_bytes_max: 4 << 20,
        ..Config::default()
    };
    let (mut net, a, _) = Net::pair(7, config);
    let bytes: Vec<u8> = (0..30 << 20).map(|n| (n >> 10) as u8).collect();
    let packet = Packet::reliable(bytes);
    net.host(0).send(a, 0, packet.clone()).unwrap();
    let mut there = Vec::new();
    net.until(|net| {
        there.extend(received(net.take(1)));
        !there.is_empty()
    });
    assert!(there == [(0, packet)]);
    let small = Config {
        mtu: 576,
        packet_bytes_max: 32 << 20,
        ..Config::default()
    };
    let (mut net, a, _) = Net::pair(7, small);
    // Receivers could not tell the last fragments from old ones.
    let too_long = net.host(0).send(a, 0, Packet::reliable(vec![0; 20 << 20]));
    assert!(matches!(too_long, Err(SendError::TooLarge(_))));
    let (mut net, a, _) = Net::pair(7, Config::default());
    let too_long = net
        .host(0)
        .send(a, 0, Packet::reliable(vec![0; (1 << 20) + 1]));
    assert_eq!(too_long, Err(SendError::TooLarge(1 << 20)));
}
