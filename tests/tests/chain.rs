//! Zones of several relays: a client of any of them is a member of the whole.

use std::time::Duration;

use peerage::node::State;
use peerage::{Code, PathKind};
use peerage_tests::{Peer, Relay, join, join_any, until};
use serde_json::json;
use tokio::time::timeout;

/// Longer than anything takes that has an end.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_client_of_the_last_relay_in_a_chain_is_a_member_like_any_other() {
    let primary = Relay::start("127.0.0.1:0");
    let middle = Relay::below(&[&primary], "middle").await;
    let last = Relay::below(&[&middle], "last").await;
    let far = join(&last, "far").await;
    let near = join(&primary, "near").await;
    for (from, to) in [
        (&far, "near"),
        (&near, "far"),
        (&far, "relay"),
        (&near, "last"),
    ] {
        let ran = from.run(&format!("calc 1+2 @{to}")).await.unwrap();
        assert_eq!(ran.output, "3", "to {to}");
    }
    // Presence is the same everywhere, and a name is taken once.
    for node in [&far, &near] {
        let mut names: Vec<_> = node.peers().iter().map(|p| p.name.to_string()).collect();
        names.push(node.name().unwrap().to_string());
        names.sort();
        assert_eq!(names, ["far", "last", "middle", "near", "relay"]);
    }
    assert_eq!(join(&last, "near").await.name().unwrap().as_str(), "near-2");
    let failure = far.run("calc 1+2 @nobody").await.unwrap_err();
    assert_eq!(failure.code, Code::UnknownName);
    // Whoever leaves is known to have left, at the other end too.
    near.close().await;
    until("near has left", async || {
        !far.peers().iter().any(|peer| peer.name.as_str() == "near")
    })
    .await;
    let failure = far.run("calc 1+2 @near").await.unwrap_err();
    assert_eq!(failure.code, Code::UnknownName);
}

#[tokio::test]
async fn when_the_relay_in_the_middle_dies_others_take_another_way() {
    let primary = Relay::start("127.0.0.1:0");
    let mut middle = Relay::below(&[&primary], "middle").await;
    let last = Relay::below(&[&middle, &primary], "last").await;
    let far = join(&last, "far").await;
    let near = join(&primary, "near").await;
    let roaming = join_any(&[&middle, &primary], "roaming").await;
    assert_eq!(roaming.run("calc 1+1 @near").await.unwrap().output, "2");
    let under_way = tokio::spawn({
        let near = near.clone();
        async move { near.run("sleep 3 @far").await }
    });
    until("the command is under way", async || {
        near.traffic().routes == 0
    })
    .await;
    assert_eq!(near.run("calc 1+2 @far").await.unwrap().output, "3");
    middle.kill();
    // What was under way ends as it should, and what is new works.
    let ran = timeout(SOON, under_way).await.unwrap().unwrap().unwrap();
    assert_eq!(ran.status.0, 0);
    assert_eq!(near.run("calc 2+2 @far").await.unwrap().output, "4");
    assert_eq!(far.run("calc 2+3 @near").await.unwrap().output, "5");
    assert_eq!(near.run("calc 3+3 @roaming").await.unwrap().output, "6");
}

#[tokio::test]
async fn without_another_way_there_is_an_error_and_never_silence() {
    let primary = Relay::start("127.0.0.1:0");
    let mut middle = Relay::below(&[&primary], "middle").await;
    let last = Relay::below(&[&middle], "last").await;
    let (far, beside) = (join(&last, "far").await, join(&last, "beside").await);
    let near = join(&primary, "near").await;
    let under_way = tokio::spawn({
        let near = near.clone();
        async move { near.run("sleep 60 @far").await }
    });
    assert_eq!(near.run("calc 1+2 @far").await.unwrap().output, "3");
    middle.kill();
    let failure = timeout(SOON, under_way)
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert_eq!(failure.code, Code::Gone);
    let failure = timeout(SOON, near.run("calc 1+2 @far"))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(failure.code, Code::UnknownName);
    // Those on the same relay still have each other.
    assert_eq!(far.run("calc 1+2 @beside").await.unwrap().output, "3");
    assert!(matches!(beside.state(), State::Online(_)));
    let failure = timeout(SOON, far.run("calc 1+2 @near"))
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(
            failure.code,
            Code::Unreachable | Code::TimedOut | Code::Gone
        ),
        "{failure}"
    );
}

#[tokio::test]
async fn a_peer_that_listens_lets_others_in() {
    let primary = Relay::start("127.0.0.1:0");
    let peer = Peer::start(&primary, "door", &json!({ "listen": "127.0.0.1:0" })).await;
    let mesh = peer.mesh().await;
    let ran = primary.run("calc 1+2 @relay", &["--relay", &mesh]).await;
    assert_eq!(ran.output, "3", "{ran:?}");
    let ran = primary.run("ping @door", &["--relay", &mesh]).await;
    assert!(ran.output.ends_with("ms direct"), "{ran:?}");
    let outside = join(&primary, "outside").await;
    let door = outside.resolve("door").await.unwrap().unwrap();
    let pong = outside.ping(door).await.unwrap();
    assert_eq!(pong.path, PathKind::Relayed);
}
