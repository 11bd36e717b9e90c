//! The program `peerage` as its users run it: relays and peers, each a process.

use std::pin::pin;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use peerage::Code;
use peerage::node::Event;
use peerage::service::operation::{Options, Progress};
use peerage_tests::{Peer, Ran, Relay, join};
use serde_json::{Value, json};

fn relay() -> Relay {
    Relay::start("127.0.0.1:0")
}

fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(&ran.output).unwrap_or_else(|_| panic!("expected JSON: {ran:?}"))
}

#[tokio::test]
async fn peers_run_commands_on_each_other_and_exit_with_their_status() {
    let relay = relay();
    let b = Peer::start(&relay, "B", &json!({})).await;
    for (command, status, output) in [
        ("calc 1+2 @B", 0, "3"),
        ("@B calc (1+2)*3.5", 0, "10.5"),
        ("echo hello world @B", 0, "hello world"),
        ("calc 1/0 @B", 1, "divides by zero"),
        ("calc 1+ @B", 1, "incomplete"),
        ("alias x=calc @B", 126, "own user"),
        ("foo @B", 127, "unknown command `foo`"),
        ("calc 2*3", 0, "6"),
    ] {
        let ran = relay.run(command, &[]).await;
        assert_eq!(ran.status, status, "{command}: {ran:?}");
        assert!(ran.output.contains(output), "{command}: {ran:?}");
    }
    let ping = relay.run("ping @B", &[]).await;
    assert!(
        ping.output.starts_with("B: ") && ping.output.ends_with("ms relayed"),
        "{ping:?}"
    );
    let peers = relay.run("peers", &[]).await;
    assert!(
        peers.output.contains("B  native") && peers.output.contains("relay  relay"),
        "{peers:?}"
    );
    assert_eq!(relay.run("calc 1+1 @relay", &[]).await.output, "2");
    assert_eq!(b.leave(), 0);
    relay.until_here("B", false).await;
}

#[tokio::test]
async fn json_holds_the_result_or_the_failure() {
    let relay = relay();
    let ran = relay.run("calc 1+2 @relay", &["--json"]).await;
    assert_eq!(json_of(&ran), json!({ "status": 0, "output": "3" }));
    let ran = relay.run("calc 1+2 @nobody", &["--json"]).await;
    assert_eq!(ran.status, 1);
    let failure = json_of(&ran);
    assert_eq!(
        (&failure["code"], &failure["peer"]),
        (&json!("unknown-name"), &json!("nobody"))
    );
}

#[tokio::test]
async fn a_name_that_is_taken_gets_a_number() {
    let relay = relay();
    let _b = Peer::start(&relay, "B", &json!({})).await;
    let second = Peer::start(&relay, "B-2", &json!({ "name": "ignored" })).await;
    drop(second);
    let _third = Peer::start(&relay, "C", &json!({})).await;
    let peers = relay.run("peers @C", &["--name", "B"]).await;
    assert!(
        peers.output.contains("B  native") && peers.output.contains("B-3  native"),
        "{peers:?}"
    );
}

#[tokio::test]
async fn aliases_of_a_configuration_are_resolved_at_the_target() {
    let relay = relay();
    let commands = json!({ "add": "calc 1+2", "sum": "add", "a": "b", "b": "c x", "c": "a" });
    let _b = Peer::start(&relay, "B", &json!({ "commands": commands })).await;
    assert_eq!(relay.run("add @B", &[]).await.output, "3");
    assert_eq!(relay.run("sum + 4 @B", &[]).await.output, "7");
    assert_eq!(relay.run("add", &[]).await.status, 127);
    let cycle = relay.run("a @B", &[]).await;
    assert_eq!(cycle.status, 1);
    assert!(cycle.output.contains("a → b → c → a"), "{cycle:?}");
}

/// The steps in a log, each with its trace, in order.
fn steps(log: &str) -> Vec<(String, String)> {
    let field = |line: &str, name: &str| {
        let (_, value) = line.split_once(name)?;
        let value = value.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let end = value.find(|c: char| !c.is_ascii_alphanumeric());
        Some(value[..end.unwrap_or(value.len())].to_owned())
    };
    let lines = log.lines().filter(|line| line.contains("peerage::command"));
    lines
        .filter_map(|line| Some((field(line, "step=")?, field(line, "trace=")?)))
        .collect()
}

#[tokio::test]
async fn the_seven_steps_of_a_command_are_logged_under_one_number() {
    let relay = relay();
    let b = Peer::start(&relay, "B", &json!({ "commands": { "add": "calc 1+2" } })).await;
    let ran = relay.run("add @B", &[]).await;
    let (here, there) = (steps(&ran.complaint), steps(&b.log()));
    let names = |steps: &[(String, String)]| steps.iter().map(|s| s.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&here), ["parse", "route", "display"]);
    assert_eq!(names(&there), ["deliver", "translate", "execute", "return"]);
    let trace = &here[0].1;
    assert!(
        here.iter().chain(&there).all(|step| step.1 == *trace),
        "{here:?} {there:?}"
    );
    assert!(b.log().contains("calc"), "{}", b.log());
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_with_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("odd.json");
    std::fs::write(&file, r#"{ "name": "b", "nmae": "c" }"#).unwrap();
    let file = file.to_str().unwrap();
    let used = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let used = used.local_addr().unwrap().to_string();
    for (args, words) in [
        (
            &["peer", "-c", "help", "--config", file][..],
            ["odd.json", "`nmae`", "expected one of"],
        ),
        (
            &["relay", "--config", file],
            ["odd.json", "`nmae`", "expected one of"],
        ),
        (
            &["relay", "--listen", &used],
            ["cannot listen", &used, "in use"],
        ),
        (
            &["peer", "-c", "help", "--relay", "nonsense"],
            ["`nonsense`", "ws://", "expected"],
        ),
        (
            &["peer", "-c", "help", "--relay", "ws://127.0.0.1:9/mesh"],
            ["ws://127.0.0.1:9/mesh", "unreachable", "refused"],
        ),
        (
            &["peer", "-c", "help", "--name", "a b"],
            ["a b", "expected a name", "letters"],
        ),
    ] {
        let ran = Ran::of(args).await;
        assert_eq!(ran.status, 1, "{args:?}: {ran:?}");
        assert!(
            words.iter().all(|word| ran.complaint.contains(word)),
            "{args:?}: {ran:?}"
        );
        assert!(!ran.complaint.contains("panicked"), "{args:?}: {ran:?}");
    }
}

#[tokio::test]
async fn a_target_that_leaves_or_dies_ends_its_commands_at_once() {
    let relay = relay();
    let caller = join(&relay, "caller").await;
    for (name, code) in [("polite", Code::Left), ("other", Code::Gone)] {
        let victim = Peer::start(&relay, name, &json!({})).await;
        assert_eq!(
            caller.run(&format!("echo 1 @{name}")).await.unwrap().output,
            "1"
        );
        let line = format!("sleep 3600 @{name}");
        let mut running = pin!(caller.run(&line));
        assert!(running.as_mut().now_or_never().is_none());
        // What is sent later on the same session arrives later.
        assert_eq!(
            caller.run(&format!("echo 2 @{name}")).await.unwrap().output,
            "2"
        );
        match code {
            Code::Left => assert_eq!(victim.leave(), 0),
            _ => drop(victim),
        }
        let failure = running.await.unwrap_err();
        assert_eq!((failure.code, failure.peer.as_deref()), (code, Some(name)));
    }
}

#[tokio::test]
async fn a_peer_that_ends_has_left_and_is_not_gone() {
    let relay = relay();
    let watcher = join(&relay, "watcher").await;
    let mut events = watcher.events();
    let runs = (0..40).map(|_| relay.run("calc 1+1 @relay", &[]));
    for ran in join_all(runs).await {
        assert_eq!(ran.output, "2", "{ran:?}");
    }
    let mut left = 0;
    while left < 40 {
        if let Event::PeerLeave(peer, why) = events.next().await {
            assert_eq!(why.code, Code::Left, "{peer:?}");
            left += 1;
        }
    }
}

#[tokio::test]
async fn a_restarted_relay_finds_its_peers_again_under_their_names() {
    let mut relay = relay();
    let _b = Peer::start(&relay, "B", &json!({})).await;
    let _c = Peer::start(&relay, "C", &json!({})).await;
    relay.kill();
    assert_eq!(relay.run("calc 1+2 @B", &["--json"]).await.status, 1);
    let relay = Relay::start(&relay.address);
    relay.until_here("B", true).await;
    relay.until_here("C", true).await;
    assert_eq!(relay.run("calc 1+2 @B", &[]).await.output, "3");
}

#[tokio::test]
async fn the_web_side_answers_programs() {
    let relay = relay();
    let _b = Peer::start(&relay, "B", &json!({ "type": "calculator" })).await;
    assert_eq!(relay.get("/healthz", "").await.0, 200);
    let (_, nodes) = relay.get("/api/v1/nodes", "").await;
    let nodes: Value = serde_json::from_str(&nodes).unwrap();
    assert_eq!(nodes[0]["name"], "B");
    assert_eq!(nodes[0]["kind"], "native");
    assert_eq!(nodes[0]["type"], "calculator");
    assert_eq!(nodes[0]["links"], 1);
    assert_eq!(nodes[0]["id"].as_str().map(str::len), Some(52));
    assert_eq!(relay.metric("peerage_nodes{kind=\"native\"}").await, 1);
    assert_eq!(relay.forwarded_bytes().await, 0);
    assert_eq!(relay.run("calc 1+2 @B", &[]).await.output, "3");
    assert!(relay.forwarded_bytes().await > 0);
    // Nodes know it of each other.
    let peers = join(&relay, "A").await.peers();
    let b = peers.iter().find(|peer| peer.name.as_str() == "B").unwrap();
    assert_eq!(
        b.role.as_ref().map(|role| role.as_str()),
        Some("calculator")
    );
    assert_eq!(relay.get("/none", "").await.0, 404);
}

#[tokio::test]
async fn the_relay_tells_over_http_what_operations_run_anywhere() {
    let relay = Relay::start("127.0.0.1:0");
    let (a, b) = (join(&relay, "a").await, join(&relay, "b").await);
    b.operation("pour", |work| async move {
        work.progress(Progress::of(0.25).note("a quarter"));
        work.stopped().await;
        Ok(())
    });
    let mut pour = a.start("b", "pour", &(), Options::default());
    assert_eq!(pour.next().await.unwrap().fraction, Some(0.25));
    let (status, body) = relay.get("/api/v1/operations?node=b", "").await;
    let list: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(list[0]["name"], "pour");
    assert_eq!(list[0]["state"], "running");
    assert_eq!(list[0]["note"], "a quarter");
    assert_eq!(list[0]["caller"], a.id().to_string());
    // Who may stop it is not for everyone to know.
    assert_eq!(list[0]["tracker"], Value::Null);
    assert_eq!(
        relay.get("/api/v1/operations", "").await,
        (200, "[]".into())
    );
    let (status, body) = relay.get("/api/v1/operations?node=nobody", "").await;
    assert_eq!(status, 404);
    assert!(body.contains("unknown-name"), "{body}");
    pour.cancel("enough");
    assert_eq!(pour.await.unwrap_err().end(), "cancel");
}
