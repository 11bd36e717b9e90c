//! Small programs as they should be, and as they should not.

use std::net::SocketAddr;

use bytes::Bytes;
use peerage::limits::{PROGRAM_OFFERS_MAX, PROGRAM_REQUESTS_MAX};
use peerage::object::{Blob, Form, encode};
use peerage::rpc::Parcel;
use peerage::service::operation::{Options, Unsuccessful};
use peerage::{Code, Config, Kind};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Front;
use crate::Node;
use crate::config::EnetConfig;
use crate::enet::{Peer, Port};
use crate::front::held::Holder;

/// A relay with a port, and the address of that.
pub(super) struct Stage {
    pub(super) relay: Node,
    front: Front,
    pub(super) port: Port,
    pub(super) address: SocketAddr,
}

/// A program, as a test plays it.
struct Program(Peer);

impl Stage {
    pub(super) async fn new(config: Value) -> Self {
        Self::at("127.0.0.1:0", config).await
    }

    async fn at(address: &str, config: Value) -> Self {
        let config: EnetConfig = serde_json::from_value(config).unwrap();
        let named = Config::new(Kind::Relay).named("relay".parse().unwrap());
        let relay = Node::launch(named, Vec::new()).unwrap();
        relay.online(true).await.unwrap();
        let holder = Holder::new(relay.runtime().clone());
        let front = Front::new(relay.runtime().clone(), holder, config);
        let address = front.listen(address.parse().unwrap()).unwrap();
        let quiet = peerage_enet::Config::default();
        let any = SocketAddr::new(address.ip(), 0);
        let port = Port::open(any, quiet, mpsc::channel(1).0).unwrap();
        Self {
            relay,
            front,
            port,
            address,
        }
    }

    async fn call(&self) -> Program {
        Program(self.port.connect(self.address, 1, 0).await.unwrap())
    }

    /// A program of this name, in the mesh.
    async fn program(&self, name: &str) -> Program {
        let mut program = self.call().await;
        program.say_first(&("hello", 1, name)).await;
        assert_eq!(program.hear().await[..2], [json!("welcome"), json!(name)]);
        program
    }
}

impl Program {
    async fn say(&self, message: &impl Serialize) {
        let parcel = Parcel::of(message).unwrap();
        self.say_bytes(encode(parcel.value(), Form::Natural)).await;
    }

    async fn say_first(&self, message: &impl Serialize) {
        let parcel = Parcel::of(message).unwrap();
        let body = encode(parcel.value(), Form::Natural);
        self.say_bytes([b"\xd9\xd9\xf7", &body[..]].concat().into())
            .await;
    }

    async fn say_bytes(&self, bytes: Bytes) {
        self.0.sender().send(0, bytes).await.unwrap();
    }

    /// The next message, as JSON.
    async fn hear(&mut self) -> Vec<Value> {
        let (channel, packet) = self.0.recv().await.unwrap();
        assert_eq!((channel, &packet.bytes[..3]), (0, &b"\xd9\xd9\xf7"[..]));
        let value = peerage::object::decode(&packet.bytes).unwrap();
        Parcel::new(value, Vec::new()).read().unwrap()
    }

    /// Says something, and hears what comes of it.
    async fn ask(&mut self, message: &impl Serialize) -> Vec<Value> {
        self.say(message).await;
        self.hear().await
    }

    /// The next call, whoever has given up others meanwhile.
    async fn called(&mut self) -> Vec<Value> {
        loop {
            let heard = self.hear().await;
            if heard[0] == "call" {
                return heard;
            }
            assert_eq!(heard[0], "cancelled", "{heard:?}");
        }
    }

    /// The last thing that is heard, which is a refusal, and its code.
    async fn refused(&mut self) -> String {
        let last = self.hear().await;
        assert_eq!(last[0], "refused", "{last:?}");
        assert!(self.0.recv().await.is_err());
        last[1].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn programs_come_over_ipv6_too() {
    let stage = Stage::at("[::1]:0", json!({})).await;
    let mut program = stage.program("six").await;
    let offered = program.ask(&("offer", 1, "A", ["b"])).await;
    assert_eq!(offered[0], "result");
}

#[tokio::test]
async fn with_the_node_its_programs_are_left() {
    let stage = Stage::new(json!({})).await;
    let mut program = stage.program("a").await;
    stage.relay.close().await;
    assert!(program.0.recv().await.is_err());
}

#[tokio::test]
async fn who_says_no_hello_is_refused_with_a_reason() {
    let stage = Stage::new(json!({})).await;
    for (first, code) in [
        (json!(["offer", 1, "A"]), "bad-message"),
        (json!(["hello", 2, "a"]), "incompatible-version"),
        (json!(["hello", 1, "no name"]), "bad-message"),
        (json!(["hello"]), "bad-message"),
        (json!("hello"), "bad-message"),
    ] {
        let mut program = stage.call().await;
        program.say_first(&first).await;
        assert_eq!(program.refused().await, code, "{first}");
    }
    let mut program = stage.call().await;
    program
        .say_bytes(Bytes::from_static(b"\xd9\xd9\xf7\x9f"))
        .await;
    assert_eq!(program.refused().await, "bad-message");
    assert_eq!(stage.front.0.holder.count(), 0);
}

#[tokio::test]
async fn what_cannot_be_understood_ends_a_program_and_its_node() {
    let stage = Stage::new(json!({})).await;
    for (said, code) in [
        (json!(["hello", 1, "again"]), "bad-message"),
        (json!(["dance", 1]), "bad-message"),
        (json!(["property", "Nobody", "x", 1]), "bad-message"),
        (json!(["emit", "Nobody", "x", 1]), "bad-message"),
        (json!(["stop", 1, "please", ""]), "bad-message"),
        (json!(7), "bad-message"),
    ] {
        let mut program = stage.program("fool").await;
        program.say(&said).await;
        assert_eq!(program.refused().await, code, "{said}");
    }
    let mut events = stage.relay.events();
    while stage
        .relay
        .peers()
        .iter()
        .any(|peer| peer.kind == Kind::Enet)
    {
        events.next().await;
    }
}

/// A program with a lamp, and one that looks at it.
async fn lamp(stage: &Stage) -> (Program, Program) {
    let (mut a, b) = (stage.program("a").await, stage.program("b").await);
    let lamp = ("offer", 1, "Lamp", ["toggle"], ["on"], ["changed"]);
    assert_eq!(a.ask(&lamp).await, [json!("result"), json!(1), Value::Null]);
    a.say(&("property", "Lamp", "on", false)).await;
    (a, b)
}

#[tokio::test]
async fn what_a_program_has_and_tells_is_there_for_another() {
    let stage = Stage::new(json!({})).await;
    let (mut a, mut b) = lamp(&stage).await;
    let got = b.ask(&("get", 5, "a", "Lamp", "on")).await;
    assert_eq!(got, [json!("result"), json!(5), json!(false)]);
    b.ask(&("watch", 6, "a", "Lamp", "on")).await;
    assert_eq!(b.hear().await[..3], [json!("next"), json!(6), json!(false)]);
    b.ask(&("listen", 7, "a", "Lamp", "changed")).await;
    // It is called, and told by whom.
    b.say(&("call", 8, "a", "Lamp", "toggle", ["now"])).await;
    let called = a.hear().await;
    let b_id = stage.relay.resolve("b").await.unwrap().unwrap();
    let expected = [
        json!("Lamp"),
        json!("toggle"),
        json!(["now"]),
        json!(b_id.to_string()),
    ];
    assert_eq!((&called[0], &called[2..]), (&json!("call"), &expected[..]));
    a.say(&("property", "Lamp", "on", true)).await;
    a.say(&("emit", "Lamp", "changed", "on")).await;
    a.say(&("return", &called[1], true)).await;
    let mut heard = [b.hear().await, b.hear().await, b.hear().await];
    heard.sort_by_key(|message| message[1].as_u64());
    assert_eq!(heard[0][..3], [json!("next"), json!(6), json!(true)]);
    assert_eq!(heard[1][..3], [json!("next"), json!(7), json!("on")]);
    assert_eq!(heard[2], [json!("result"), json!(8), json!(true)]);
    // The lamp goes, and whoever listens learns it.
    drop(a);
    let mut ended = [b.hear().await, b.hear().await];
    ended.sort_by_key(|message| message[1].as_u64());
    for (ended, id) in ended.iter().zip([6, 7]) {
        assert_eq!(ended[..2], [json!("fail"), json!(id)]);
    }
}

#[tokio::test]
async fn a_program_is_set_throws_and_is_told_of_who_gives_up() {
    let stage = Stage::new(json!({})).await;
    let (mut a, mut b) = lamp(&stage).await;
    b.say(&("set", 9, "a", "Lamp", "on", 3)).await;
    let set = a.hear().await;
    assert_eq!(set[2..5], [json!("Lamp"), json!("on"), json!(3)]);
    a.say(&("throw", &set[1], "TypeError", "expected yes or no"))
        .await;
    let thrown = [
        json!("fail"),
        json!(9),
        json!("TypeError"),
        json!("expected yes or no"),
    ];
    assert_eq!(b.hear().await, thrown);
    b.say(&("call", 10, "a", "Lamp", "toggle")).await;
    let called = a.hear().await;
    assert_eq!(called[4], json!([]));
    b.say(&("cancel", 10)).await;
    assert_eq!(a.hear().await, [json!("cancelled"), called[1].clone()]);
}

#[tokio::test]
async fn what_cannot_be_is_answered_by_name() {
    let stage = Stage::new(json!({})).await;
    let (mut a, mut b) = lamp(&stage).await;
    let twice = a.ask(&("offer", 2, "Lamp", ["toggle"])).await;
    assert_eq!(twice[..3], [json!("fail"), json!(2), json!("refused")]);
    for (asked, code) in [
        (
            json!(["call", 11, "nobody", "Lamp", "toggle"]),
            "unknown-name",
        ),
        (json!(["call", 12, "a", "Nobody", "toggle"]), "unknown-name"),
        (
            json!(["call", 13, "a", "Lamp", "nothing"]),
            "unknown-method",
        ),
        (json!(["get", 14, "a", "Lamp", "nothing"]), "unknown-method"),
        (json!(["publish", 15, "#", 1]), "bad-message"),
        (json!(["subscribe", 16, "#/a"]), "bad-message"),
    ] {
        let answer = b.ask(&asked).await;
        assert_eq!(
            answer[..3],
            [json!("fail"), asked[1].clone(), json!(code)],
            "{asked}"
        );
    }
}

#[tokio::test]
async fn programs_publish_and_subscribe() {
    let stage = Stage::new(json!({})).await;
    let (mut a, mut b) = (stage.program("a").await, stage.program("b").await);
    let begun = a.ask(&("subscribe", 1, "cups/#")).await;
    assert_eq!(begun[..2], [json!("result"), json!(1)]);
    let published = b
        .ask(&("publish", 2, "cups/left", json!({ "ml": 250 }), true))
        .await;
    assert_eq!(published[..2], [json!("result"), json!(2)]);
    let message = a.hear().await;
    assert_eq!(
        message[..4],
        [
            json!("message"),
            json!(1),
            json!("cups/left"),
            json!({ "ml": 250 })
        ]
    );
    assert_eq!(message[5], false);
    // It is retained for who comes later.
    let mut late = stage.program("late").await;
    late.ask(&("subscribe", 1, "cups/left")).await;
    assert_eq!(late.hear().await[5], true);
}

#[tokio::test]
async fn operations_go_both_ways_and_are_stopped() {
    let stage = Stage::new(json!({})).await;
    let (mut a, mut b) = (stage.program("a").await, stage.program("b").await);
    assert_eq!(
        a.ask(&("operation", 1, "pour")).await[..2],
        [json!("result"), json!(1)]
    );
    b.say(&("start", 2, "a", "pour", 250)).await;
    let begun = a.hear().await;
    assert_eq!(
        (&begun[0], &begun[2..4]),
        (&json!("begin"), &[json!("pour"), json!(250)][..])
    );
    a.say(&("progress", &begun[1], 0.5, 100, "pouring")).await;
    assert_eq!(
        b.hear().await[..5],
        [
            json!("progress"),
            json!(2),
            json!(0.5),
            json!(100),
            json!("pouring")
        ]
    );
    a.say(&("return", &begun[1], "done")).await;
    assert_eq!(b.hear().await, [json!("result"), json!(2), json!("done")]);
    b.say(&("start", 3, "a", "pour", 1)).await;
    let begun = a.hear().await;
    b.say(&("stop", 3, "cancel", "enough")).await;
    let stop = a.hear().await;
    assert_eq!(
        stop,
        [
            json!("stop"),
            begun[1].clone(),
            json!("cancel"),
            json!("enough")
        ]
    );
    a.say(&("throw", &begun[1], "cancel", "enough")).await;
    assert_eq!(
        b.hear().await[..4],
        [json!("fail"), json!(3), json!("cancel"), json!("enough")]
    );
    // One that fails tells why; one whose program goes is lost.
    let failing = stage.relay.start("a", "pour", &1, Options::default());
    let begun = a.hear().await;
    a.say(&("throw", &begun[1], "Fail", "no glass", 7)).await;
    let Err(Unsuccessful::Fail { reason, .. }) = failing.await else {
        panic!("it failed")
    };
    assert_eq!(reason, "no glass");
    let lost = stage.relay.start("a", "pour", &1, Options::default());
    a.hear().await;
    drop(a);
    assert!(matches!(lost.await, Err(Unsuccessful::Lost(_))));
}

#[tokio::test]
async fn a_program_has_limits_and_so_have_those_who_ask_it() {
    let stage = Stage::new(json!({})).await;
    let (mut a, mut b) = (stage.program("a").await, stage.program("b").await);
    for n in 0..PROGRAM_OFFERS_MAX {
        let offered = a.ask(&("offer", n, format!("A{n}"), ["wait"])).await;
        assert_eq!(offered[0], "result");
    }
    let beyond = a.ask(&("offer", 9999, "B")).await;
    assert_eq!(
        beyond[..3],
        [json!("fail"), json!(9999), json!("overloaded")]
    );
    // More calls than a program may have unanswered.
    let proxy = stage.relay.proxy("a", "A0");
    let mut calls: Vec<_> = (0..=PROGRAM_REQUESTS_MAX)
        .map(|n| proxy.call::<u64>("wait", &(n,)))
        .collect();
    let over = calls.pop().unwrap().await;
    assert_eq!(over.unwrap_err().code(), Some(Code::Overloaded));
    drop(calls);
    // What is too long for a message is refused for whoever says it.
    let large = Blob(vec![0; 2 * 1024 * 1024].into());
    let refused = proxy.call::<u64>("wait", &(large,)).await;
    assert_eq!(refused.unwrap_err().code(), Some(Code::TooLarge));
    // And more that it asks for itself.
    b.ask(&("offer", 1, "Mute", ["wait"])).await;
    let mut c = stage.program("c").await;
    for n in 0..PROGRAM_REQUESTS_MAX {
        c.say(&("subscribe", n, "a/b")).await;
    }
    c.say(&("subscribe", PROGRAM_REQUESTS_MAX, "a/b")).await;
    let mut answers = Vec::new();
    while answers.len() <= PROGRAM_REQUESTS_MAX {
        answers.push(c.hear().await);
    }
    let failed: Vec<_> = answers
        .iter()
        .filter(|answer| answer[0] == "fail")
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(
        failed[0][1..3],
        [json!(PROGRAM_REQUESTS_MAX), json!("overloaded")]
    );
    // A number that is in use is a mistake.
    c.say(&("subscribe", 0, "a/b")).await;
    assert_eq!(c.refused().await, "bad-message");
}

/// A program that is there no longer, and could not say so.
async fn dead(stage: &Stage, from: &str, name: &str) -> (Port, Program, String) {
    let from: SocketAddr = from.parse().unwrap();
    let port = Port::open(from, peerage_enet::Config::default(), mpsc::channel(1).0).unwrap();
    let mut program = Program(port.connect(stage.address, 1, 0).await.unwrap());
    program.say_first(&("hello", 1, name)).await;
    let welcome = program.hear().await;
    assert_eq!(welcome[1], name);
    let offered = program.ask(&("offer", 1, "A", ["wait"])).await;
    assert_eq!(offered[0], "result");
    // It hears nothing any more, and so answers nothing.
    port.hook(Box::new(|_, _, _| true));
    (port, program, welcome[2].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_program_that_is_back_before_it_was_missed_is_who_it_was() {
    let stage = Stage::new(json!({})).await;
    let (_port, _program, id) = dead(&stage, "127.0.0.1:0", "a").await;
    let waiting = stage.relay.proxy("a", "A").call::<u64>("wait", &());
    let mut back = stage.call().await;
    back.say_first(&("hello", 1, "a")).await;
    assert_eq!(back.hear().await, [json!("welcome"), json!("a"), json!(id)]);
    // Who waited for what it was before learns that this is gone.
    let code = waiting.await.unwrap_err().code();
    assert!(matches!(code, Some(Code::Gone)), "{code:?}");
    let offered = back.ask(&("offer", 1, "B", ["get"])).await;
    assert_eq!(offered[0], "result");
    let calling = stage.relay.proxy("a", "B").call::<u64>("get", &());
    let called = back.hear().await;
    back.say(&("return", &called[1], 7)).await;
    assert_eq!(calling.await, Ok(7));
}

#[tokio::test]
async fn who_is_there_keeps_its_name_and_so_does_who_is_elsewhere() {
    let stage = Stage::new(json!({ "programs": { "allow": ["127.0.0.0/8"] } })).await;
    let _a = stage.program("a").await;
    let mut second = stage.call().await;
    second.say_first(&("hello", 1, "a")).await;
    assert_eq!(second.hear().await[1], "a-2");
    // A dead one of another address is not replaced, either.
    let (_port, _program, _) = dead(&stage, "127.0.0.2:0", "b").await;
    let mut other = stage.call().await;
    other.say_first(&("hello", 1, "b")).await;
    assert_eq!(other.hear().await[1], "b-2");
}

#[tokio::test]
async fn a_number_is_free_again_once_its_request_has_ended() {
    let stage = Stage::new(json!({})).await;
    let (mut a, mut b) = lamp(&stage).await;
    for round in 0..50 {
        b.say(&("call", 5, "a", "Lamp", "toggle", [round])).await;
        let called = a.called().await;
        assert_eq!(called[4], json!([round]));
        // It is answered and given up at once: which of both comes first, it ends once.
        a.say(&("return", &called[1], round)).await;
        b.say(&("cancel", 5)).await;
        let ended = b.hear().await;
        match ended[0].as_str() {
            Some("result") => assert_eq!(ended[2], json!(round)),
            Some("fail") => {
                assert_eq!(ended[1..3], [json!(5), json!("cancelled")]);
            }
            other => panic!("{other:?}"),
        }
    }
    // While it is in use, it is in use for everything.
    for again in [
        json!(["call", 6, "a", "Lamp", "toggle"]),
        json!(["offer", 6, "B"]),
        json!(["operation", 6, "pour"]),
    ] {
        let mut c = stage.program("c").await;
        c.say(&("call", 6, "a", "Lamp", "toggle")).await;
        a.called().await;
        c.say(&again).await;
        assert_eq!(c.refused().await, "bad-message", "{again}");
    }
}

#[tokio::test]
async fn a_client_for_which_there_is_no_node_is_told_so() {
    let stage = Stage::new(json!({ "silentMs": 100, "raw": { "target": "nobody" } })).await;
    let mut client = stage.call().await;
    client.say_bytes(Bytes::from_static(b"hello")).await;
    let gone = client.0.recv().await.unwrap_err();
    assert_eq!(gone.data, 0x5045_0002);
    // A node that speaks no such protocol is as good as none.
    let stage = Stage::new(json!({ "silentMs": 100, "raw": { "target": "relay" } })).await;
    let mut client = stage.call().await;
    client.say_bytes(Bytes::from_static(b"hello")).await;
    let gone = client.0.recv().await.unwrap_err();
    assert_eq!(gone.data, 0x5045_0002);
}
