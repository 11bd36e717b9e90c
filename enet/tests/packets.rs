//! Packets of each kind between two hosts.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod net;

use net::{Net, Weather};
use peerage_enet::{Config, Event, Kind, Packet, PeerId, Reason};

const STORM: Weather = Weather {
    lost: 200,
    doubled: 100,
    reordered: 300,
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
