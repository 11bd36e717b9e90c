//! What a relay does with callers that do not greet as they should.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

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
    assert_eq!(net.path(0, b), PathKind::Direct, "others notice nothing");
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
fn who_is_refused_is_counted_and_bytes_count_when_their_link_has_ended() {
    let mut net = Net::new();
    let b = net.tab(2, "b");
    net.run();
    let before = net.at(0).load();
    assert_eq!(before.refused_links, 0);
    assert!(before.received_bytes > 0 && before.sent_bytes > 0);
    let (link, _) = stranger(&mut net);
    net.deliver(0, link, Bytes::from_static(b"GET / HTTP/1.1"));
    net.run();
    let after = net.at(0).load();
    assert_eq!(after.refused_links, 1);
    assert_eq!(after.received_bytes, before.received_bytes + 14);

    let key = net.open(0, b);
    net.run();
    let (link, now) = (*net.at(0).links.keys().next().unwrap(), net.now);
    net.at(0).handle_writable(now, link, false);
    net.send(0, key, "to somebody who does not read it");
    net.drain();
    let waits = net.at(0).load();
    assert!(waits.queued_bytes > 32 && waits.unacknowledged_bytes >= 32);
    assert_eq!(waits.streams, 1);
    net.at(0).handle_writable(now, link, true);
    net.run();
    net.advance(1000);
    let is_there = net.at(0).load();
    assert_eq!(
        (is_there.queued_bytes, is_there.unacknowledged_bytes),
        (0, 0)
    );
    assert!(net.at(2).load().unread_bytes >= 32);
    let uplink = *net.links.keys().next().unwrap();
    net.cut(uplink);
    net.run();
    assert!(net.at(0).load().sent_bytes >= is_there.sent_bytes);
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
