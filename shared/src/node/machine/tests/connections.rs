//! Connections, as a program sees them: they are there while they are, and what ends them is told. KAI hid links
//! that were idle for 30 s, and told of no timeout.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::node::{Change, Connection, ConnectionState};

/// What a node was told of its connections.
fn changes(net: &Net, n: usize) -> Vec<(Change, Option<Code>)> {
    let events = net.events.get(&n).into_iter().flatten();
    let told = events.filter_map(|event| match event {
        Event::Connection(told) => Some((told.change, told.reason.as_ref().map(|r| r.code))),
        _ => None,
    });
    told.collect()
}

fn connected(net: &mut Net, n: usize) -> Vec<Connection> {
    let all = net.at(n).connections().into_iter();
    all.filter(|connection| connection.state == ConnectionState::Connected)
        .collect()
}

/// A relay below the relay.
fn second_relay(net: &mut Net) -> NodeId {
    let config = Config {
        dials: true,
        ..Config::new(Kind::Relay).named(name("second"))
    };
    net.add(9, 109, config);
    net.run();
    net.at(9).id()
}

#[test]
fn an_idle_link_that_works_stays_visible_and_nothing_is_told_of_it() {
    let mut net = Net::new();
    let a = net.tab(1, "a");
    net.events.clear();
    net.advance(120_000);
    assert_eq!(changes(&net, 0), []);
    assert_eq!(changes(&net, 1), []);
    let at_relay = connected(&mut net, 0);
    let [link] = &at_relay[..] else {
        panic!("{at_relay:?}")
    };
    assert_eq!((link.node, link.origin), (Some(a), Origin::Accepted));
    assert!(link.age >= Time::from_secs(120) && link.quality.rtt.is_some());
    assert!(link.bytes_in > 0 && link.bytes_out > 0);
    assert_eq!(connected(&mut net, 1)[0].origin, Origin::Dialled);
}

#[test]
fn a_link_that_gives_no_sign_of_life_times_out_and_its_event_says_so() {
    let mut net = Net::new();
    net.tab(1, "a");
    assert_eq!(changes(&net, 1), [(Change::Connected, None)]);
    net.relay_up = false;
    // The relay hangs: it takes what comes, and says nothing.
    net.nodes.remove(&0);
    net.advance(4000);
    assert_eq!(
        changes(&net, 1)[1],
        (Change::TimedOut, Some(Code::TimedOut))
    );
    assert!(connected(&mut net, 1).is_empty());
}

#[test]
fn a_silence_is_as_long_as_it_was_configured() {
    let mut net = Net::new();
    let mut config = Config::new(Kind::Browser).named(name("a"));
    config.timeouts.silence = Time::from_secs(30);
    net.add(1, 1, config);
    net.run();
    net.relay_up = false;
    net.nodes.remove(&0);
    net.advance(29_000);
    assert_eq!(connected(&mut net, 1).len(), 1);
    net.advance(2000);
    assert!(changes(&net, 1).contains(&(Change::TimedOut, Some(Code::TimedOut))));
}

#[test]
fn a_link_that_broke_is_lost_and_one_that_was_left_is_disconnected() {
    let mut net = Net::new();
    net.tab(1, "a");
    let link = connected(&mut net, 1)[0].link.unwrap();
    net.cut(link);
    net.run();
    assert_eq!(changes(&net, 1)[1], (Change::Lost, Some(Code::Gone)));
    assert_eq!(changes(&net, 0)[1], (Change::Lost, Some(Code::Gone)));
    net.advance(2000);
    assert_eq!(connected(&mut net, 1).len(), 1, "it has called again");
    net.at(1).close();
    net.run();
    let left = (Change::Disconnected, Some(Code::Left));
    assert_eq!(changes(&net, 0).last(), Some(&left));
    assert_eq!(changes(&net, 1).last(), Some(&left));
}

#[test]
fn to_disconnect_a_direct_link_takes_nothing_else_with_it() {
    let mut net = Net::new();
    let (a, b, c) = (net.tab(1, "a"), net.tab(2, "b"), net.tab(3, "c"));
    net.direct(1, 2);
    net.direct(1, 3);
    let key = net.open(1, b);
    net.send(1, key, "by the link");
    net.run();
    assert_eq!(net.path(1, b), PathKind::Direct);
    let there = net.incoming(2)[0];
    net.events.clear();
    net.at(1).disconnect(b, "enough").unwrap();
    net.run();
    let ended = [(Change::Disconnected, Some(Code::Cancelled))];
    assert_eq!(
        (changes(&net, 1), changes(&net, 2)),
        (ended.into(), ended.into())
    );
    assert_eq!((changes(&net, 0), changes(&net, 3)), (vec![], vec![]));
    assert_eq!(net.path(1, b), PathKind::Relayed);
    assert_eq!(net.path(3, a), net.path(1, c));
    net.send(1, key, "by the relay");
    net.run();
    assert_eq!(net.read(2, there), text("by the link"));
    assert_eq!(net.read(2, there), text("by the relay"));
}

#[test]
fn a_member_that_is_disconnected_learns_why_and_comes_back_unless_it_may_not() {
    let mut net = Net::new();
    let a = net.tab(1, "a");
    net.at(0).disconnect(a, "make room").unwrap();
    net.run();
    let told = net.saw(1, |event| {
        matches!(event, Event::Connection(told) if told.reason.as_ref().is_some_and(|r| r.message == "make room"))
    });
    assert!(told);
    net.advance(2000);
    assert_eq!(connected(&mut net, 0).len(), 1);
}

#[test]
fn a_node_that_leaves_its_relay_by_hand_stays_away_until_it_is_told_to_call() {
    let mut net = Net::new();
    net.tab(1, "a");
    let relay = net.at(0).id();
    net.at(1).disconnect(relay, "by hand").unwrap();
    net.advance(60_000);
    assert_eq!(net.at(1).state(), &State::Offline);
    assert!(connected(&mut net, 0).is_empty());
    net.at(1).redial().unwrap();
    net.run();
    assert!(matches!(net.at(1).state(), State::Online(_)));
}

#[test]
fn a_node_without_a_link_to_another_cannot_disconnect_it() {
    let mut net = Net::new();
    let (_, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let refused = net.at(1).disconnect(b, "");
    assert_eq!(refused.unwrap_err().code, Code::Unreachable);
}

#[test]
fn a_node_changes_over_to_a_relay_that_it_is_told_and_its_sessions_go_on() {
    let mut net = Net::new();
    let (_, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let second = second_relay(&mut net);
    let key = net.open(1, b);
    net.send(1, key, "before");
    net.run();
    let there = net.incoming(2)[0];
    net.at(1).dial_at("net://9").unwrap();
    net.run();
    assert_eq!(net.at(1).uplink(), Some(second));
    let links = connected(&mut net, 1);
    let [link] = &links[..] else {
        panic!("{links:?}")
    };
    assert_eq!(link.address.as_deref(), Some("net://9"));
    net.send(1, key, "after");
    net.advance(3000);
    assert_eq!(net.read(2, there), text("before"));
    assert_eq!(net.read(2, there), text("after"));
    assert!(!net.saw(2, |event| matches!(event, Event::PeerLeave(..))));
    assert!(!net.saw(1, |event| matches!(event, Event::State(State::Offline))));
}

#[test]
fn a_relay_that_is_named_and_does_not_answer_changes_nothing_and_is_shown_as_failed() {
    let mut net = Net::new();
    net.tab(1, "a");
    net.at(1).dial_at("net://77").unwrap();
    net.run();
    assert!(matches!(net.at(1).state(), State::Online(_)));
    assert_eq!(
        changes(&net, 1)[1],
        (Change::Failed, Some(Code::Unreachable))
    );
    let all = net.at(1).connections();
    let failed = all.iter().find(|c| c.state == ConnectionState::Failed);
    let failed = failed.and_then(|c| c.address.as_deref());
    assert_eq!(failed, Some("net://77"));
    assert_eq!(connected(&mut net, 1).len(), 1);
}

#[test]
fn the_root_of_a_zone_calls_nobody() {
    let mut net = Net::new();
    let refused = net.at(0).dial_at("net://1").unwrap_err();
    assert_eq!(refused.code, Code::Refused);
}

#[test]
fn a_node_gives_up_after_as_many_calls_as_it_was_told_and_tries_again_when_told() {
    let mut net = Net::new();
    net.relay_up = false;
    let mut config = Config::new(Kind::Browser).named(name("a"));
    config.reconnect.attempts = Some(3);
    config.reconnect.max = Time::from_millis(500);
    net.add(1, 1, config);
    net.advance(60_000);
    let State::Refused(failure) = net.at(1).state().clone() else {
        panic!("{:?}", net.at(1).state())
    };
    assert_eq!(failure.code, Code::Unreachable);
    assert!(failure.message.contains("3 calls"), "{failure}");
    net.relay_up = true;
    net.advance(60_000);
    assert!(matches!(net.at(1).state(), State::Refused(_)));
    net.at(1).redial().unwrap();
    net.run();
    assert!(matches!(net.at(1).state(), State::Online(_)));
}

#[test]
fn a_link_that_is_ended_here_is_shown_until_its_socket_is_closed() {
    let mut net = Net::new();
    let a = net.tab(1, "a");
    let relay = net.at(0);
    relay.disconnect(a, "enough").unwrap();
    let all = relay.connections();
    let [closing] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!(closing.state, ConnectionState::Disconnecting);
    let (now, link) = (net.now, closing.link.unwrap());
    net.at(0).handle_link_down(now, link, "closed");
    assert!(net.at(0).connections().is_empty());
}
