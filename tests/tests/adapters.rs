//! Adapters are nodes that come and go: what is under way then ends as interrupted, and is never done twice.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

#[path = "adapters/flaps.rs"]
mod flaps;
#[path = "adapters/lines.rs"]
mod lines;
#[path = "adapters/supervised.rs"]
mod supervised;

use futures_util::StreamExt;
use peerage::rpc::{CallError, Parcel};
use peerage::service::broker::{Item, Subscription};
use peerage::service::operation::{Options, Unsuccessful};
use peerage::{Code, Kind};
use peerage_relay::Node;
use peerage_relay::front::adapter::AGENT;
use peerage_tests::adapter::{Adapter, Way};
use peerage_tests::{Relay, free_port, join, until};
use serde_json::{Value, json};

/// A port that nobody has, most likely.
async fn is_linked(node: &Node, adapter: &str) -> bool {
    let linked = node.proxy(adapter, AGENT).get::<bool>("linked").await;
    linked.is_ok_and(|linked| linked)
}

/// Why an operation failed, and what it says of it.
async fn failure(node: &Node, adapter: &str, name: &str, args: &Value) -> (String, Value) {
    match node.start(adapter, name, args, Options::default()).await {
        Err(Unsuccessful::Fail { reason, data }) => (reason, data.read().unwrap()),
        other => panic!("{other:?}"),
    }
}

fn read(value: Result<Parcel, impl std::fmt::Debug>) -> Value {
    value.unwrap().read().unwrap()
}

#[tokio::test]
async fn an_adapter_waits_for_whoever_lets_it_in_and_for_its_node_and_waits_again() {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let adapter = Adapter::start(&["dispenser", "--connect", &address, "--node", "kitchen"]);
    adapter.until_said("blocked").await;
    let config = json!({ "adapters": { "listen": address }, "timeouts": { "goneMs": 0 } });
    let relay = Relay::configured(&config);
    let node = join(&relay, "caller").await;
    // It is let in, and its node is not here.
    let way = Way::to(&relay.address).await;
    let kitchen = way.join("kitchen").await;
    adapter.until_said("linked: dispenser").await;
    until("the caller sees it", async || {
        is_linked(&node, "dispenser").await
    })
    .await;
    let kinds: Vec<_> = node
        .peers()
        .into_iter()
        .filter(|peer| peer.kind == Kind::Adapter)
        .collect();
    assert_eq!(kinds.len(), 1);
    way.open(false);
    adapter.until_said("blocked: its node kitchen").await;
    // Its node stays, and whoever asks it for something learns at once that it is not linked.
    let got = node
        .proxy("dispenser", "Dispenser")
        .get::<Value>("state")
        .await;
    assert_eq!(got.unwrap_err().code(), Some(Code::Unreachable));
    let (reason, _) = failure(&node, "dispenser", "pour", &json!({ "ml": 1 })).await;
    assert_eq!(reason, "unreachable");
    way.open(true);
    adapter.until_said("linked: dispenser").await;
    let poured = node
        .start("dispenser", "pour", &json!({ "ml": 1 }), Options::default())
        .await;
    assert_eq!(read(poured), json!({ "ml": 1.0 }));
    // A relay that ends takes all with it; the adapter waits for the next.
    drop((relay, kitchen));
    adapter.until_said("blocked").await;
    let relay = Relay::configured(&config);
    let _kitchen = join(&relay, "kitchen").await;
    adapter.until_said("linked: dispenser").await;
    let states = adapter.said();
    let alternate = states
        .windows(2)
        .all(|pair| pair[0].starts_with("blocked") != pair[1].starts_with("blocked"));
    assert!(alternate && states.len() == 6, "{states:?}");
}

#[tokio::test]
async fn what_is_asked_is_held_to_the_schema_and_done() {
    let mut relay = Relay::start("127.0.0.1:0");
    let address = relay.adapters();
    let _adapter = Adapter::start(&["dispenser", "--connect", &address, "--rate", "200"]);
    relay.until_here("dispenser", true).await;
    let node = join(&relay, "caller").await;
    until("it is linked", async || is_linked(&node, "dispenser").await).await;
    let mut topics = node.subscribe("dispenser/#").await.unwrap();
    let dispenser = node.proxy("dispenser", "Dispenser");
    let state: Value = dispenser.get("state").await.unwrap();
    assert_eq!(
        state,
        json!({ "ml": 0.0, "most": 500.0, "isOpen": false, "hasWater": true, "hasGlass": true })
    );
    what_the_schema_does_not_have_is_refused(&node).await;
    a_pour_has_progress(&node).await;
    a_pour_fails_for_what_is_missing(&node).await;
    the_valve_is_open_in_a_lane_until_closed(&node).await;
    the_valves_events_are_told(&mut topics).await;
}

async fn what_the_schema_does_not_have_is_refused(node: &Node) {
    let dispenser = node.proxy("dispenser", "Dispenser");
    for (args, expected) in [
        (
            json!({ "ml": "a lot" }),
            "pour.ml: expected a number, got a text",
        ),
        (json!({}), "pour.ml: expected a number, got nothing"),
        (json!({ "ml": 1, "ice": true }), "pour: there is no `ice`"),
    ] {
        let (reason, data) = failure(node, "dispenser", "pour", &args).await;
        assert_eq!((reason.as_str(), data), ("bad-message", json!(expected)));
    }
    let simulator = node.proxy("dispenser", "Simulator");
    let set = simulator.set("hasWater", &"yes").await;
    assert_eq!(set.unwrap_err().code(), Some(Code::BadMessage));
    let set = dispenser.set("state", &1).await;
    assert_eq!(set.unwrap_err().code(), Some(Code::Refused));
    let called = dispenser.call::<Value>("pour", &(5,)).await;
    assert_eq!(called.unwrap_err().code(), Some(Code::UnknownMethod));
}

async fn a_pour_has_progress(node: &Node) {
    let order = json!({ "ml": 100 });
    let mut pour = node.start("dispenser", "pour", &order, Options::default());
    let mut fractions = Vec::new();
    while let Some(progress) = pour.progress().await {
        fractions.push(progress.fraction.unwrap());
    }
    assert_eq!(read(pour.await), json!({ "ml": 100.0 }));
    assert!(
        fractions.len() > 2 && fractions.is_sorted(),
        "{fractions:?}"
    );
}

async fn a_pour_fails_for_what_is_missing(node: &Node) {
    let simulator = node.proxy("dispenser", "Simulator");
    for (name, value, expected) in [
        ("hasWater", false, "errNoWater"),
        ("hasGlass", false, "errNoGlass"),
        ("hasBoard", false, "errNoBoard"),
    ] {
        simulator.set(name, &value).await.unwrap();
        let (reason, _) = failure(node, "dispenser", "pour", &json!({ "ml": 1 })).await;
        assert_eq!(reason, expected);
        simulator.set(name, &true).await.unwrap();
    }
    simulator.call::<()>("empty", &()).await.unwrap();
}

async fn the_valve_is_open_in_a_lane_until_closed(node: &Node) {
    let lane = || Options {
        lane: Some("valve".into()),
        ..Options::default()
    };
    let open = node.start("dispenser", "open", &json!({}), lane());
    let close = node.start("dispenser", "close", &json!({}), lane());
    assert_eq!(read(close.await), json!(true));
    assert!(read(open.await)["ml"].as_f64().is_some());
    let simulator = node.proxy("dispenser", "Simulator");
    // Once for the pour, and once now.
    assert_eq!(simulator.get::<u32>("actuations").await.unwrap(), 2);
}

/// Events are topics, too: of a valve that was opened twice, and closed.
async fn the_valves_events_are_told(topics: &mut Subscription) {
    let mut told = Vec::new();
    while told.len() < 4 {
        if let Item::Message(message) = topics.next().await.unwrap().unwrap() {
            assert_eq!(&*message.topic, "dispenser/Dispenser/valve");
            told.push(message.read::<Value>().unwrap());
        }
    }
    assert_eq!(told[0], json!({ "isOpen": true, "times": 1 }));
    assert_eq!(told[3], json!({ "isOpen": false, "times": 2 }));
}

#[tokio::test]
async fn who_may_not_be_an_adapter_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let (token, socket) = (token.to_str().unwrap(), folder.path().join("adapters"));
    let config =
        json!({ "adapters": { "listen": "127.0.0.1:0", "token": "s3cret", "unix": socket } });
    let mut relay = Relay::configured(&config);
    let address = relay.adapters();
    let stranger = Adapter::start(&["dispenser", "--connect", &address, "--name", "stranger"]);
    let socket = format!("unix:{}", socket.display());
    let known = [
        "dispenser",
        "--connect",
        &socket,
        "--name",
        "known",
        "--token-file",
        token,
    ];
    let one = Adapter::start(&known);
    one.until_said("linked: known").await;
    // Another of its name is not it.
    let other = Adapter::start(&known);
    relay.until_here("known", true).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!((stranger.said().len(), other.said().len()), (1, 1));
    assert!(one.said().last().unwrap().starts_with("linked"));
    // Until that is gone.
    drop(one);
    other.until_said("linked: known").await;
    let (_, listed) = relay.get("/api/v1/nodes", "").await;
    assert!(
        !listed.contains("stranger") && listed.contains(r#""kind":"adapter""#),
        "{listed}"
    );
}

#[tokio::test]
async fn one_that_is_not_back_in_time_leaves() {
    let config = json!({ "adapters": { "listen": "127.0.0.1:0", "keepMs": 200 } });
    let mut relay = Relay::configured(&config);
    let way = Way::to(&relay.adapters()).await;
    let mut adapter = Adapter::start(&["dispenser", "--connect", &way.address]);
    adapter.until_said("linked").await;
    relay.until_here("dispenser", true).await;
    let node = join(&relay, "caller").await;
    let pouring = node.start(
        "dispenser",
        "pour",
        &json!({ "ml": 400 }),
        Options::default(),
    );
    let simulator = node.proxy("dispenser", "Simulator");
    until("it pours", async || {
        simulator.get::<u32>("actuations").await == Ok(1)
    })
    .await;
    adapter.kill();
    match pouring.await {
        Err(Unsuccessful::Fail { reason, .. }) => assert_eq!(reason, "interrupted"),
        Err(Unsuccessful::Lost(CallError::Failed(failure))) => panic!("{failure}"),
        other => panic!("{other:?}"),
    }
    relay.until_here("dispenser", false).await;
}
