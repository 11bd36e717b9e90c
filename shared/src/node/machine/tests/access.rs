//! Who may not have to do with a node is told so, and nothing is kept for it.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use std::sync::Arc;

use crate::config::{Access, OwnNodes};

fn id(secret: u8) -> NodeId {
    Identity::from_secret(&[secret; 32]).id()
}

fn with_access(kind: Kind, wish: &str, allow: &[u8], deny: &[u8]) -> Config {
    Config {
        access: Arc::new(Access {
            allow: allow.iter().map(|secret| id(*secret)).collect(),
            deny: deny.iter().map(|secret| id(*secret)).collect(),
            own: OwnNodes::default(),
        }),
        ..Config::new(kind).named(name(wish))
    }
}

#[test]
fn a_relay_lets_in_those_that_are_allowed_and_not_denied() {
    let mut net = Net::new();
    net.add(0, 100, with_access(Kind::Relay, "relay", &[1, 2], &[2]));
    for n in [1, 2, 3] {
        net.tab(n, &format!("n{n}"));
    }
    assert!(matches!(net.at(1).state(), State::Online(_)));
    for n in [2, 3] {
        let State::Refused(failure) = net.at(n).state().clone() else {
            panic!("{n}: {:?}", net.at(n).state())
        };
        assert_eq!(failure.code, Code::Unauthorised);
    }
    assert_eq!(net.at(0).peers().len(), 1);
}

#[test]
fn nodes_of_the_relays_own_process_need_not_be_named_while_they_are_there() {
    let config = with_access(Kind::Relay, "relay", &[1], &[3]);
    let access = Arc::clone(&config.access);
    access.own.insert(id(2));
    access.own.insert(id(3));
    let mut net = Net::new();
    net.add(0, 100, config);
    for n in [2, 3] {
        net.tab(n, &format!("n{n}"));
    }
    assert!(matches!(net.at(2).state(), State::Online(_)));
    assert!(matches!(net.at(3).state(), State::Refused(_)), "denied");
    access.own.remove(id(2));
    assert!(access.check(id(2)).is_err() && access.check(id(1)).is_ok());
}

#[test]
fn who_is_denied_is_refused_by_the_primary_below_another_relay_too() {
    let mut net = Net::new();
    net.add(0, 100, with_access(Kind::Relay, "relay", &[], &[1]));
    let below = Config {
        dials: true,
        ..Config::new(Kind::Relay).named(name("below"))
    };
    net.add(9, 109, below);
    net.run();
    net.relay_up = false;
    net.add(1, 1, Config::new(Kind::Browser));
    net.run();
    net.at(1).dial_at("net://9").unwrap();
    net.run();
    let State::Refused(failure) = net.at(1).state().clone() else {
        panic!("{:?}", net.at(1).state())
    };
    assert_eq!(failure.code, Code::Unauthorised);
}

#[test]
fn a_node_has_no_session_with_who_is_denied_whoever_begins() {
    let mut net = Net::new();
    net.add(1, 1, with_access(Kind::Browser, "a", &[], &[2]));
    net.run();
    let (a, b, c) = (net.at(1).id(), net.tab(2, "b"), net.tab(3, "c"));
    let refused = net.at(1).open(b, ECHO).unwrap_err();
    assert_eq!(refused.code, Code::Unauthorised);
    let key = net.open(2, a);
    net.advance(1000);
    assert_eq!(code_of(net.read(2, key)), Some(Code::Unauthorised));
    assert_eq!(net.at(1).sessions(), 0);
    let key = net.open(3, a);
    net.send(3, key, "hello");
    net.run();
    assert_eq!(net.incoming(1).len(), 1);
    assert!(net.at(1).has_session(c));
}

#[test]
fn a_node_that_lets_in_few_still_has_sessions_with_the_relay_that_it_called() {
    let mut net = Net::new();
    net.add(1, 1, with_access(Kind::Browser, "a", &[7], &[]));
    net.run();
    let relay = net.at(0).id();
    assert!(net.at(1).connect(relay).is_ok());
    let b = net.tab(2, "b");
    assert_eq!(net.at(1).connect(b).unwrap_err().code, Code::Unauthorised);
}

#[test]
fn a_relay_that_is_denied_is_not_joined() {
    let mut net = Net::new();
    net.add(1, 1, with_access(Kind::Browser, "a", &[], &[100]));
    net.advance(1000);
    assert!(!matches!(net.at(1).state(), State::Online(_)));
    assert!(net.at(0).peers().is_empty());
}
