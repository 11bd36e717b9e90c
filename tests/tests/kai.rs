//! The defects of KAI that only show between processes, by their numbers in its list: none is repeated here.
//! Those of objects are in `shared/src/service/rpc/tests/kai.rs`, those of commands in
//! `shared/src/service/command/tests/defects.rs`, that of links in `shared/src/node/machine/tests/mod.rs`.
//! Defect 24, no browser at all, is what every test with a tab is about.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use peerage::node::Event;
use peerage::object::Blob;
use peerage::{Code, Kind};
use peerage_relay::{JoinError, Node};
use peerage_tests::{Peer, Relay, join};
use serde_json::json;

#[peerage::agent]
trait Store {
    async fn take(&self, bytes: Blob) -> u64;
}

struct Own;

impl Store for Own {
    async fn take(&self, bytes: Blob) -> u64 {
        bytes.0.len() as u64
    }
}

#[tokio::test]
async fn defect_6_what_is_large_holds_up_nothing_else() {
    const LARGE: usize = 48 * 1024 * 1024;
    let relay = Relay::start("127.0.0.1:0");
    let (a, b) = (join(&relay, "a").await, join(&relay, "b").await);
    let _store = b.agent("Store", StoreAgent::new(Own)).unwrap();
    assert_eq!(a.run("calc 1+1 @b").await.unwrap().output, "2");
    let bytes = Blob(vec![7; LARGE].into());
    let large = tokio::spawn(StoreProxy::new(a.rpc(), "b").take(bytes));
    for n in 0..5 {
        let ran = a.run(&format!("calc {n}+1 @b")).await.unwrap();
        assert_eq!(ran.output, (n + 1).to_string());
    }
    assert!(!large.is_finished(), "a small thing waited for a large one");
    assert_eq!(large.await.unwrap(), Ok(LARGE as u64));
}

#[tokio::test]
async fn defect_9_who_leaves_who_vanishes_and_who_is_refused_are_told_apart() {
    let relay = Relay::start("127.0.0.1:0");
    let watcher = join(&relay, "watcher").await;
    let mut events = watcher.events();
    let leaver = join(&relay, "leaver").await;
    let vanisher = Peer::start(&relay, "vanisher", &json!({})).await;
    relay.until_here("vanisher", true).await;
    leaver.close().await;
    drop(vanisher);
    let mut reasons = std::collections::BTreeMap::new();
    while reasons.len() < 2 {
        if let Event::PeerLeave(peer, failure) = events.next().await {
            reasons.insert(peer.name.to_string(), failure.code);
        }
    }
    assert_eq!(reasons["leaver"], Code::Left);
    assert_eq!(reasons["vanisher"], Code::Gone);
    let mut config = peerage::Config::new(Kind::Native).named("watcher".parse().unwrap());
    config.insist = true;
    let refused = Node::join(config, vec![relay.mesh().parse().unwrap()]).await;
    let Err(JoinError::Failed(failure)) = refused else {
        panic!("the name is taken")
    };
    assert_eq!(failure.code, Code::Refused);
}

#[tokio::test]
async fn defect_19_more_than_32_nodes_know_and_reach_each_other() {
    const NODES: usize = 40;
    let relay = Relay::start("127.0.0.1:0");
    let mut nodes = Vec::new();
    for n in 0..NODES {
        nodes.push(join(&relay, &format!("n{n}")).await);
    }
    for (n, node) in nodes.iter().enumerate() {
        let ran = node.run(&format!("calc {n}+1 @n{}", (n + 1) % NODES)).await;
        assert_eq!(ran.unwrap().output, (n + 1).to_string());
    }
    let everyone = nodes[0].run("echo here @*").await.unwrap();
    assert_eq!(everyone.results.len(), NODES);
}

#[tokio::test]
async fn defect_20_without_a_network_nothing_is_answered() {
    let mut relay = Relay::start("127.0.0.1:0");
    relay.kill();
    let lost = Node::join(
        peerage::Config::new(Kind::Native),
        vec![relay.mesh().parse().unwrap()],
    );
    assert!(lost.await.is_err());
}

#[tokio::test]
async fn defect_22_nodes_meet_over_ipv6() {
    let relay = Relay::start("[::1]:0");
    let (a, _b) = (join(&relay, "a").await, join(&relay, "b").await);
    assert_eq!(a.run("calc 1+2 @b").await.unwrap().output, "3");
}
