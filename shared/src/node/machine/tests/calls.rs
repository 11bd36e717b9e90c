//! How sessions begin, and what is not enough to end one that lives.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

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
fn a_node_that_calls_while_it_is_being_called_ends_nothing() {
    for (caller, called) in [(1, 2), (2, 1)] {
        let mut net = Net::new();
        let ids = [net.tab(1, "a"), net.tab(2, "b")];
        let (to, back) = (ids[called - 1], ids[caller - 1]);
        let first = net.open(caller, to);
        net.send(caller, first, "from the caller");
        let answers = |net: &Net| {
            let state = net.nodes[&called].peers.get(&back);
            state.is_some_and(|state| state.answering.is_some())
        };
        while !answers(&net) {
            net.drain();
            let (n, link, packet) = net.wire.pop_front().unwrap();
            net.deliver(n, link, packet);
        }
        let second = net.open(called, back);
        net.send(called, second, "from the called");
        net.advance(10_000);
        let (at_caller, at_called) = (net.incoming(caller), net.incoming(called));
        assert_eq!((at_caller.len(), at_called.len()), (1, 1));
        assert_eq!(net.read(caller, at_caller[0]), text("from the called"));
        assert_eq!(net.read(called, at_called[0]), text("from the caller"));
        assert!(!net.saw(1, |e| matches!(e, Event::SessionDown(..))));
        assert!(!net.saw(2, |e| matches!(e, Event::SessionDown(..))));
        assert_eq!(net.at(0).traffic().routes, 1, "the other is closed");
    }
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
fn a_record_that_nobody_could_open_does_not_confirm_a_copied_call() {
    let mut net = Net::new();
    let (a, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let key = net.open(1, b);
    net.send(1, key, "before");
    net.run();
    let identity = Identity::from_secret(&[1; 32]);
    let context = Context {
        identity: &identity,
        peer: b,
        zone: "local",
    };
    let (_, first) = Caller::start(context, None, ChaCha20Rng::from_seed([7; 32])).unwrap();
    let via = net.nodes[&2].peers[&a]
        .session
        .as_ref()
        .unwrap()
        .way()
        .unwrap();
    let mut far = BytesMut::from(&[4][..]);
    put_varint(&mut far, 5000);
    far.extend_from_slice(&[0; 40]);
    for payload in [Payload::first(VERSION_OF_SESSIONS, &first), far.freeze()] {
        let route = via.route();
        net.deliver(2, via.link(), Frame::Record { route, payload }.encode());
        net.run();
    }
    net.send(1, key, "after");
    net.advance(10_000);
    let at_b = net.incoming(2)[0];
    assert_eq!(net.read(2, at_b), text("before"));
    assert_eq!(net.read(2, at_b), text("after"));
    assert!(!net.saw(2, |e| matches!(e, Event::SessionDown(..))));
}

#[test]
fn a_session_has_time_to_begin_however_short_the_resume_window() {
    let mut net = Net::new();
    let window = Config {
        resume_window: Time::ZERO,
        resume_window_bytes: 0,
        ..Config::new(Kind::Native).named(name("a"))
    };
    net.add(1, 1, window);
    net.run();
    let b = net.tab(2, "b");
    let key = net.open(1, b);
    net.now += Time::from_millis(50);
    net.send(1, key, "hello");
    net.run();
    let at_b = net.incoming(2)[0];
    assert_eq!(net.read(2, at_b), text("hello"));
}

#[test]
fn nobodys_word_that_a_session_is_lost_ends_one_that_lives() {
    let mut net = Net::new();
    let (a, b) = (net.tab(1, "a"), net.tab(2, "b"));
    let key = net.open(1, b);
    net.send(1, key, "before");
    net.run();
    let at_b = net.incoming(2)[0];
    for (n, peer) in [(1, b), (2, a)] {
        let via = net.nodes[&n].peers[&peer].session.as_ref().unwrap().way();
        let notice = Frame::Record {
            route: via.unwrap().route(),
            payload: Payload::notice(Code::Gone),
        };
        let link = via.unwrap().link();
        for _ in 0..3 {
            net.deliver(n, link, notice.encode());
            net.advance(10_000);
        }
    }
    net.send(1, key, "after");
    net.run();
    assert_eq!(net.read(2, at_b), text("before"));
    assert_eq!(net.read(2, at_b), text("after"));
    for n in [1, 2] {
        assert!(!net.saw(n, |e| matches!(e, Event::SessionDown(..))));
    }
    assert!(net.at(0).traffic().routes <= 2, "one for each who doubted");
}
