//! Acme's robots on a real relay: versions, telemetry, and a path that breaks.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

mod relay;

use acme_robot::wire::{Reply, Request};
use acme_robot::{Point, Remote, Robot, RobotError, Telemetry, V1, V2};
use bytes::Bytes;
use peerage::Code;
use peerage_relay::Node;
use relay::Relay;

const HOME: Point = Point { x: 0, y: 0 };
const FAR: Point = Point { x: 95, y: -40 };

/// A node with a robot that speaks these versions.
async fn robot(relay: &Relay, versions: &'static [&'static str]) -> Node {
    let node = relay.join("robot").await;
    tokio::spawn(Robot::new(peerage::Node::clone(&node)).serve(versions));
    // It listens once it has run.
    tokio::task::yield_now().await;
    node
}

#[tokio::test]
async fn two_that_speak_the_newest_version_speak_it() {
    let relay = Relay::start(0);
    let (at, caller) = (robot(&relay, &[V2, V1]).await, relay.join("caller").await);
    let mut remote = Remote::connect(&caller, at.id()).await.unwrap();
    assert_eq!(remote.version(), (V2, 1));
    let mut way = Vec::new();
    let there = remote.move_to(FAR, |at| way.push(at)).await.unwrap();
    assert_eq!(there, FAR);
    // Ten steps, the last one short, and the end.
    assert_eq!(way.len(), 11);
    assert_eq!(way[2], Point { x: 30, y: -30 });
    assert_eq!(remote.move_to(HOME, |_| {}).await.unwrap(), HOME);
}

#[tokio::test]
async fn an_older_robot_is_moved_in_its_own_version() {
    let relay = Relay::start(0);
    let (at, caller) = (robot(&relay, &[V1]).await, relay.join("caller").await);
    let mut remote = Remote::connect(&caller, at.id()).await.unwrap();
    assert_eq!(remote.version(), (V1, 0));
    let mut way = Vec::new();
    let there = remote.move_to(FAR, |at| way.push(at)).await.unwrap();
    assert_eq!((there, way.len()), (FAR, 11));
    let stopped = remote.stop().await;
    assert!(matches!(stopped, Err(RobotError::Unexpected(_))));

    // And a caller that knows no newer one, of a robot that does.
    drop(remote);
    at.close().await;
    let at = robot(&relay, &[V2, V1]).await;
    let old = caller.open_any(at.id(), &[V1]).await.unwrap();
    old.send(Bytes::from_static(b"MOVE 10 10")).await.unwrap();
    for line in ["AT 10 10", "DONE 10 10"] {
        assert_eq!(old.recv().await.unwrap().unwrap(), line);
    }
}

#[tokio::test]
async fn a_node_that_is_no_robot_says_so_at_once() {
    let relay = Relay::start(0);
    let (other, caller) = (relay.join("other").await, relay.join("caller").await);
    let Err(RobotError::Unreachable(failure)) = Remote::connect(&caller, other.id()).await else {
        panic!("a robot where there is none");
    };
    assert_eq!(failure.code, Code::UnknownProtocol);
    assert!(failure.message.contains(V2) && failure.message.contains(V1));
}

#[tokio::test]
async fn a_stop_ends_a_move_where_it_is_and_what_waits_behind_it() {
    let relay = Relay::start(0);
    let (at, caller) = (robot(&relay, &[V2]).await, relay.join("caller").await);
    let mut remote = Remote::connect(&caller, at.id()).await.unwrap();
    let never = Point { x: i32::MAX, y: 0 };
    remote.begin(never).await.unwrap();
    remote.begin(HOME).await.unwrap();
    assert!(!remote.progress().await.unwrap().1);
    remote.stop().await.unwrap();
    // The move behind it is refused, and this one is over, short of its end.
    let refused = loop {
        match remote.progress().await {
            Ok((_, over)) => assert!(!over),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, RobotError::Refused(_)), "{refused}");
    let (stopped, over) = remote.progress().await.unwrap();
    assert!(over && stopped.x > 0 && stopped != never);
    assert_eq!(remote.move_to(HOME, |_| {}).await.unwrap(), HOME);
}

#[tokio::test]
async fn a_caller_that_does_not_keep_to_the_protocol_is_told() {
    let relay = Relay::start(0);
    let (at, caller) = (robot(&relay, &[V2]).await, relay.join("caller").await);
    let hello = Request::Hello(9, "caller".into()).encode();
    let wrong = [
        vec![Request::Stop.encode()],
        vec![Bytes::new()],
        vec![hello.clone(), hello.clone()],
        vec![hello.clone(), Bytes::from_static(b"\x02\x00")],
    ];
    for frames in wrong {
        let stream = caller.open(at.id(), V2).unwrap();
        for frame in frames {
            stream.send(frame).await.unwrap();
        }
        assert_eq!(stream.broken().await.code, Code::BadMessage);
    }
    // The robot is as well as before, and knows a minor version less than that caller.
    let stream = caller.open(at.id(), V2).unwrap();
    stream.send(hello).await.unwrap();
    let welcome = stream.recv().await.unwrap().unwrap();
    assert!(matches!(
        Reply::decode(welcome),
        Ok(Reply::Welcome(1, model)) if model == "Acme robot"
    ));
}

#[tokio::test]
async fn telemetry_tells_where_it_is_while_it_moves() {
    let relay = Relay::start(0);
    let (at, caller) = (robot(&relay, &[V2]).await, relay.join("caller").await);
    let mut telemetry = Telemetry::of(&caller, at.id()).unwrap();
    let mut remote = Remote::connect(&caller, at.id()).await.unwrap();
    let ticks = tokio::spawn(async move {
        let mut last = telemetry.next().await.unwrap();
        for _ in 0..20 {
            let tick = telemetry.next().await.unwrap();
            assert!(tick.sequence > last.sequence);
            last = tick;
        }
        last.at
    });
    // Any of them may be lost: it moves until there were enough.
    while !ticks.is_finished() {
        remote.move_to(FAR, |_| {}).await.unwrap();
        remote.move_to(HOME, |_| {}).await.unwrap();
    }
    let at = ticks.await.unwrap();
    assert!((0..=FAR.x).contains(&at.x) && (FAR.y..=0).contains(&at.y));
}

#[tokio::test]
async fn a_relay_that_dies_and_returns_costs_no_move_and_doubles_none() {
    let mut relay = Relay::start(0);
    let (at, caller) = (robot(&relay, &[V2]).await, relay.join("caller").await);
    let mut remote = Remote::connect(&caller, at.id()).await.unwrap();
    let session = remote.session();
    for n in 0..200_i32 {
        if n % 80 == 40 {
            relay = relay.restarted();
        }
        let to = Point { x: n % 50, y: n };
        // Two on their way at once, in order.
        remote.begin(to).await.unwrap();
        remote.begin(HOME).await.unwrap();
        for end in [to, HOME] {
            let mut steps = 0;
            let last = loop {
                let (at, over) = remote.progress().await.unwrap();
                if over {
                    break at;
                }
                steps += 1;
            };
            let (x, y) = (to.x.unsigned_abs(), to.y.unsigned_abs());
            assert_eq!((last, steps), (end, x.max(y).div_ceil(10)), "move {n}");
        }
    }
    assert_eq!(remote.session(), session);
}
