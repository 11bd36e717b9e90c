//! What a node tells of itself, between nodes in memory; and what a tap has.

use core::future::ready;

use futures_util::future::join;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::limits::{CAPTURED_BYTES_MAX, CAPTURED_MAX};
use crate::node::{Captured, Direction, What};
use crate::rpc::Signature;
use crate::service::zone::{WHILE, Zone};
use crate::{Code, NodeId};

const PROTOCOL: &str = "acme/robot/1";

/// Nodes `a` and `b` on a relay, each with what it tells of itself.
fn stage() -> (Zone, Inspect, Inspect) {
    let mut zone = Zone::new();
    let [a, b] = ["a", "b"].map(|name| {
        let rpc = Rpc::new(zone.join(name));
        let inspect = Inspect::new(rpc.clone()).unwrap();
        zone.spawn(async move { rpc.serve().await });
        inspect
    });
    (zone, a, b)
}

/// An agent whose types are known.
struct Scale;

impl Agent for Scale {
    fn interface(&self) -> Interface {
        Interface {
            name: "Scale".into(),
            methods: vec!["tare".into()],
            ..Interface::default()
        }
    }

    fn signatures(&self) -> Vec<Signature> {
        vec![Signature::new("tare", &[("grams", "f64")], "bool")]
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let unknown = self.interface().unknown(request.act, request.name);
        Box::pin(ready(Err(unknown)))
    }
}

#[test]
fn a_node_tells_how_it_is_and_whom_it_is_linked_with_but_not_where() {
    let (mut zone, a, b) = stage();
    let about = zone.run(a.about("b")).unwrap();
    assert_eq!(about.id, b.rpc.node().id().to_string());
    assert_eq!(about.name.as_deref(), Some("b"));
    assert_eq!((about.sessions, about.links), (1, 1));
    let links = zone.run(a.links("b")).unwrap();
    let [link] = &links[..] else {
        panic!("{links:?}");
    };
    assert_eq!(link.name.as_deref(), Some("relay"));
    assert_eq!((&*link.origin, &*link.state), ("dialled", "connected"));
    assert!(link.bytes_in > 0 && link.bytes_out > 0);
}

#[test]
fn a_node_tells_its_agents_in_order_with_the_types_of_their_methods() {
    let (mut zone, a, b) = stage();
    let scale = b.rpc.agent("scale-left", Scale).unwrap();
    let agents = zone.run(a.agents("b")).unwrap();
    let names: Vec<_> = agents.iter().map(|agent| &*agent.name).collect();
    assert_eq!(names, [AGENT, "scale-left"]);
    assert_eq!(agents[1].interface, Scale.interface());
    assert_eq!(agents[1].signatures, Scale.signatures());
    drop(scale);
    assert_eq!(zone.run(a.agents("b")).unwrap().len(), 1);
}

#[test]
fn a_node_that_tells_nothing_of_itself_is_an_error() {
    let (mut zone, a, _b) = stage();
    let failure = |error: CallError| match error {
        CallError::Failed(failure) => failure.code,
        other => panic!("{other}"),
    };
    let nobody = zone.run(a.links("nobody")).map_err(failure);
    assert_eq!(nobody, Err(Code::UnknownName));
    let silent = zone.join("silent");
    let rpc = Rpc::new(silent);
    zone.spawn(async move { rpc.serve().await });
    let none = zone.run(a.links("silent")).map_err(failure);
    assert_eq!(none, Err(Code::UnknownName));
}

/// What was said to or by a node in the protocol of these tests: which way, and how many bytes.
fn said(captured: &[Captured], with: NodeId) -> Vec<(Direction, usize)> {
    let own = |captured: &&Captured| match &captured.what {
        What::Message { peer, protocol, .. } | What::Datagram { peer, protocol } => {
            *peer == with && protocol == PROTOCOL
        }
        What::Frame { .. } => false,
    };
    let told = captured.iter().filter(own);
    told.map(|captured| (captured.direction, captured.size))
        .collect()
}

#[test]
fn a_tap_has_messages_and_frames_of_both_directions_in_their_order() {
    let (mut zone, a, b) = stage();
    let (a, b) = (a.rpc.node().clone(), b.rpc.node().clone());
    let mut listener = b.listen(PROTOCOL);
    let tap = a.tap();
    let there = a.open(b.id(), PROTOCOL).unwrap();
    let echo = async {
        let here = listener.accept().await.unwrap();
        let message = here.recv().await.unwrap().unwrap();
        here.send(message.slice(..3)).await.unwrap();
        here
    };
    let ask = async {
        there.send("hello".into()).await.unwrap();
        there.recv().await.unwrap()
    };
    let (_stream, answer) = zone.run(join(echo, ask));
    assert_eq!(answer.as_deref(), Some(&b"hel"[..]));
    let datagrams = a.datagrams(b.id(), PROTOCOL).unwrap();
    datagrams.send("7".into()).unwrap();
    zone.sleep(WHILE);

    let (captured, missed) = tap.take();
    assert_eq!(missed, 0);
    let expected = [(Direction::Out, 5), (Direction::In, 3), (Direction::Out, 1)];
    assert_eq!(said(&captured, b.id()), expected);
    for direction in [Direction::In, Direction::Out] {
        let frame = |captured: &Captured| {
            captured.direction == direction
                && matches!(captured.what, What::Frame { kind: "record", .. })
        };
        assert!(captured.iter().any(frame), "no record {direction}");
    }
    assert!(captured.is_sorted_by_key(|captured| captured.at));
    assert_eq!(tap.take().0, []);
}

#[test]
fn a_tap_that_nobody_reads_keeps_the_latest_and_counts_what_it_lost() {
    let (mut zone, a, b) = stage();
    let (a, b) = (a.rpc.node().clone(), b.rpc.node().clone());
    let datagrams = a.datagrams(b.id(), PROTOCOL).unwrap();
    let tap = a.tap();
    let large = bytes::Bytes::from(vec![7; CAPTURED_BYTES_MAX + 1]);
    for _ in 0..CAPTURED_MAX + 10 {
        datagrams.send(large.clone()).unwrap();
    }
    zone.sleep(WHILE);
    let (captured, missed) = tap.take();
    assert_eq!(captured.len(), CAPTURED_MAX);
    assert!(missed >= 10);
    assert!(captured.iter().all(|c| c.bytes.len() <= CAPTURED_BYTES_MAX));
    assert!(captured.iter().any(|c| c.size > c.bytes.len()));
}
