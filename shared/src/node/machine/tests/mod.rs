//! Machines that talk to each other in memory.

mod access;
mod calls;
mod connections;
mod expected;
mod net;
mod strangers;

use bytes::Bytes;
use net::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::config::Config;
use crate::error::{Code, Failure};
use crate::id::{Identity, Kind, NodeId};
use crate::link::frame::Control;
use crate::link::hello::{Challenge, Hello, VERSION};
use crate::link::{Frame, LinkId, Origin};
use crate::node::*;
use crate::session::Payload;
use crate::session::handshake::{Caller, Context, VERSION as VERSION_OF_SESSIONS};
use crate::stream::flow::Read;
use crate::wire::{from_cbor, put_varint};
use crate::{Name, Time};

const ECHO: &str = "test/echo/1";

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
fn nodes_whose_relay_leaves_return_spread_over_the_time_that_it_asks_for() {
    let mut net = Net::new();
    (1..=20).for_each(|n| {
        net.tab(n, "tab");
    });
    let (start, spread_ms) = (net.now, 10_000);
    let bye = Frame::Control(Control::Bye { spread_ms }).encode();
    for (link, (n, _)) in net.links.clone() {
        // Each link has two ends; this one is the other's.
        if n == 0 {
            let tab = net.links[&net.links[&link].1].0;
            net.deliver(tab, link, bye.clone());
        }
    }
    let due = |n: usize| net.nodes[&n].uplink.retry_at().unwrap() - start;
    let late = (1..=20).filter(|n| due(*n) > Time::from_secs(5)).count();
    assert!((4..=16).contains(&late), "{late} of 20 in the second half");
    assert!((1..=20).all(|n| due(n) < Time::from_millis(10_300)));
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
fn who_is_not_the_relay_cannot_keep_a_node_from_it() {
    let mut net = Net::new();
    net.tab(1, "a");
    net.stop_relay();
    let bye = Frame::Control(Control::Bye {
        spread_ms: u32::MAX,
    })
    .encode();
    let soon = net.nodes[&1].uplink.retry_at();
    for n in 0..100 {
        let stranger = LinkId(1000 + n);
        let now = net.now;
        net.at(1).handle_link_up(now, stranger, Origin::Accepted);
        net.at(1).handle_packet(now, stranger, bye.clone());
    }
    assert_eq!(net.nodes[&1].uplink.retry_at(), soon);
}

#[test]
fn nothing_is_between_a_node_and_its_relay() {
    let mut net = Net::new();
    let (a, relay) = (net.tab(1, "a"), net.nodes[&0].id());
    assert_eq!(net.path(1, relay), PathKind::Direct);
    assert_eq!(net.path(0, a), PathKind::Direct);
    let id = net.at(1).ping(relay).unwrap();
    net.run();
    assert!(net.saw(1, |e| {
        matches!(e, Event::Pong(i, Ok(p)) if *i == id && p.path == PathKind::Direct)
    }));
}

/// Which link of a node is used for what it says to another.
fn way(net: &Net, n: usize, peer: NodeId) -> LinkId {
    let session = net.nodes[&n].peers[&peer].session.as_ref().unwrap();
    session.paths.active().unwrap().link()
}

#[test]
fn two_neighbours_take_the_quicker_of_their_links_and_lose_nothing_when_it_goes() {
    let mut net = Net::new();
    let (a, relay) = (net.tab(1, "a"), net.nodes[&0].id());
    let tree = *net.links.iter().find(|(_, (far, _))| *far == 0).unwrap().0;
    net.slow.insert(tree, Time::from_millis(20));
    net.advance(60_000);
    let key = net.open(1, relay);
    net.advance(1000);
    let direct = net.direct(1, 0);
    net.advance(100);
    // There and back take 20 ms by the one, and no time by the other.
    assert_eq!(
        (way(&net, 1, relay), way(&net, 0, a)),
        (direct, net.links[&direct].1)
    );
    assert_eq!(net.path(1, relay), PathKind::Direct);

    net.slow.remove(&tree);
    net.slow.insert(direct, Time::from_millis(20));
    net.advance(120_000);
    assert_eq!(way(&net, 1, relay), tree, "it has become the quicker one");
    for _ in 0..3 {
        net.slow.insert(tree, Time::from_millis(19));
        net.advance(60_000);
        assert_eq!(way(&net, 1, relay), tree, "not by enough to change");
    }
    net.send(1, key, "one");
    net.cut(tree);
    net.advance(1000);
    let theirs = net.incoming(0)[0];
    assert_eq!(net.read(0, theirs), text("one"));
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
fn defect_8_an_idle_session_stays_up_for_an_hour() {
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

#[test]
fn a_datagram_arrives_once_and_names_its_sender() {
    let mut net = Net::new();
    let (a, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let datagram = Bytes::from_static(b"now");
    net.at(1).send_datagram(b, ECHO, datagram.clone()).unwrap();
    net.run();
    let got = Event::Datagram(a, ECHO.into(), datagram);
    let events = &net.events[&2];
    assert_eq!(events.iter().filter(|event| **event == got).count(), 1);
    let large = Bytes::from(vec![0; crate::limits::DATAGRAM_BYTES_MAX + 1]);
    let failure = net.at(1).send_datagram(b, ECHO, large).unwrap_err();
    assert_eq!(failure.code, Code::TooLarge);
}

#[test]
fn a_writer_learns_that_its_reader_is_slow() {
    let mut net = Net::new();
    net.tab(1, "a");
    let b = net.tab(2, "b");
    let key = net.open(1, b);
    let message = Bytes::from(vec![0; 100_000]);
    while net.at(1).send(key, &message).unwrap() {
        net.run();
    }
    net.run();
    assert!(net.saw(1, |event| *event == Event::Slow(key)));
    // Once it reads, there is room.
    let incoming = net.incoming(2)[0];
    while let Read::Message(_) = net.read(2, incoming) {
        net.run();
    }
    assert!(net.saw(1, |event| *event == Event::Writable(key)));
    assert!(net.at(1).send(key, &message).unwrap());
}

#[test]
fn a_link_knows_how_good_it_is() {
    let mut net = Net::new();
    net.tab(1, "a");
    net.advance(6000);
    let relay = net.nodes[&0].id();
    let quality = net.nodes[&1].link_quality(relay).unwrap();
    assert_eq!((quality.rtt, quality.loss_per_mille), (Some(Time::ZERO), 0));
}

#[test]
fn a_stream_opened_while_there_is_no_path_fails_soon_and_an_older_one_waits() {
    let mut net = Net::new();
    net.tab(1, "a");
    let b = net.tab(2, "b");
    let older = net.open(1, b);
    net.send(1, older, "hello");
    net.run();
    net.stop_relay();
    let newer = net.open(1, b);
    net.advance(6000);
    assert_eq!(code_of(net.read(1, newer)), Some(Code::Unreachable));
    assert_eq!(net.at(1).open(b, ECHO).unwrap_err().code, Code::Unreachable);
    assert_eq!(net.read(1, older), Read::Nothing);
}
