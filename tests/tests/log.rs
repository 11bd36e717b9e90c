//! The log, as it is read on the command line: that of any node, live, and as lines of JSON.

use std::process::{Command, Stdio};

use peerage_tests::{Peer, Ran, Relay, Terminal, program, until};
use serde_json::{Value, json};

/// The keys that interrupt.
const CTRL_C: &str = "\x03";

fn relay() -> Relay {
    Relay::start("127.0.0.1:0")
}

/// Lines of JSON, of which each has what every line has.
fn events(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        for key in ["time", "level", "category", "message"] {
            assert!(event[key].is_string(), "{key}: {line}");
        }
        let time = event["time"].as_str().unwrap_or_default();
        assert!(time.starts_with("20") && time.ends_with('Z'), "{line}");
        event
    });
    lines.collect()
}

fn of<'a>(events: &'a [Value], category: &str) -> Vec<&'a Value> {
    let of_category = events.iter().filter(|event| event["category"] == category);
    of_category.collect()
}

#[tokio::test]
async fn any_node_tells_its_recent_events() {
    let relay = relay();
    let _b = Peer::start(&relay, "B", &json!({})).await;
    assert_eq!(relay.run("echo hush @B", &[]).await.output, "hush");
    let ran = relay.run("log @B", &[]).await;
    assert_eq!(ran.status, 0);
    for words in [
        " DEBUG connection link=0 origin=dialled link up",
        " INFO discovery name=B ",
        " INFO message step=execute ",
        " command=echo the command runs",
    ] {
        assert!(ran.output.contains(words), "{words}: {ran:?}");
    }
    assert!(!ran.output.contains("hush"), "{ran:?}");

    let ran = relay.run("log --json -n 1000 @relay,B", &["--json"]).await;
    let told: Vec<Value> = ran
        .output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told.len(), 2, "{ran:?}");
    for told in told {
        let events = events(told["output"].as_str().unwrap());
        let links = of(&events, "connection");
        assert!(links.iter().any(|e| e["link"].is_u64()), "{told}");
        assert!(links.iter().any(|e| e["session"].is_u64()), "{told}");
        let names = of(&events, "discovery");
        assert!(names.iter().any(|e| e["peer"].is_string()), "{told}");
        let node = events[0]["node"].clone();
        assert!(events.iter().all(|event| event["node"] == node), "{told}");
    }
}

#[tokio::test]
async fn a_log_is_followed_live_until_ctrl_c() {
    let (relay, state) = (relay(), tempfile::tempdir().unwrap());
    let _b = Peer::start(&relay, "B", &json!({})).await;
    let mut terminal = Terminal::start(&relay, "A", &state).await;
    terminal.press("log -f --level info @B\r");
    terminal.until_shown("command=log").await;
    relay.run("calc 1+2 @B", &[]).await;
    terminal.until_shown("command=calc").await;
    relay.run("echo later @B", &[]).await;
    terminal.until_shown("command=echo").await;
    terminal.press(CTRL_C);
    terminal.until_shown("A> ").await;
    relay.run("status @B", &[]).await;
    terminal.press("echo done\r");
    terminal.until_shown("\ndone").await;
    assert!(!terminal.shown().contains("command=status"));
}

#[tokio::test]
async fn one_trace_leads_through_the_logs_of_both_nodes() {
    let relay = relay();
    let b = Peer::start(&relay, "B", &json!({})).await;
    let here = Ran::of(&[
        "peer",
        "-c",
        "calc 1+2 @B",
        "--relay",
        &relay.mesh(),
        "--log",
        "json",
    ])
    .await;
    let here = events(&here.complaint);
    let trace = here[0]["trace"].as_u64().unwrap();
    assert_eq!(here.len(), 3, "{here:?}");
    assert!(here.iter().all(|step| step["trace"] == trace), "{here:?}");
    let there = relay.run("log --json @B", &[]).await;
    let there = events(&there.output);
    let steps = there.iter().filter(|event| event["trace"] == trace);
    assert_eq!(steps.count(), 4, "{there:?}");
    assert!(b.log().contains("peerage::command"));
}

#[tokio::test]
async fn the_log_is_json_lines_if_that_is_asked_for() {
    let relay = relay();
    let run = |key: &str, value: &str, option: &[&str]| {
        let mut command = Command::new(program());
        command.args(["peer", "-c", "echo x @relay", "--relay", &relay.mesh()]);
        command
            .args(option)
            .env("PEERAGE_LOG", "peerage=debug")
            .env(key, value);
        let output = command.stdout(Stdio::null()).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for (value, option) in [("json", &[][..]), ("text", &["--log", "json"])] {
        let (status, text) = run("PEERAGE_LOG_FORMAT", value, option);
        assert_eq!(status, Some(0), "{text}");
        let events = events(&text);
        for category in ["connection", "message", "discovery"] {
            let of_category = of(&events, category);
            assert!(of_category.iter().any(|e| e["node"].is_string()), "{text}");
        }
    }
    let (status, text) = run("PEERAGE_LOG_FORMAT", "xml", &[]);
    assert_eq!(status, Some(1));
    assert!(text.contains("expected text or json, got `xml`"), "{text}");
}

#[tokio::test]
async fn what_goes_wrong_is_an_error_with_its_ids() {
    let relay = relay();
    let headers = "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\norigin: https://evil.example\r\n";
    assert_eq!(relay.get("/mesh", headers).await.0, 403);
    let ran = relay.run("log --json --category error @relay", &[]).await;
    let events = events(&ran.output);
    assert_eq!(events.len(), 1, "{ran:?}");
    assert_eq!(events[0]["level"], "WARN");
    assert!(events[0]["refusal"].is_string(), "{ran:?}");
}

#[tokio::test]
async fn a_node_may_keep_its_log_to_itself() {
    let relay = relay();
    let _b = Peer::start(&relay, "B", &json!({ "log": { "remote": false } })).await;
    let ran = relay.run("log @B", &[]).await;
    assert_eq!(ran.status, 126, "{ran:?}");
}

#[tokio::test]
async fn who_does_not_read_what_he_follows_costs_others_nothing() {
    let relay = relay();
    let _b = Peer::start(&relay, "B", &json!({})).await;
    let mut deaf = Command::new(program())
        .args(["peer", "-c", "log -f @B", "--relay", &relay.mesh()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    until("it is followed", async || {
        let ran = relay.run("log @B", &[]).await;
        ran.output.matches("command=log the command runs").count() > 1
    })
    .await;
    for _ in 0..20 {
        assert_eq!(relay.run("calc 1+2 @B", &[]).await.output, "3");
    }
    deaf.kill().unwrap();
    deaf.wait().unwrap();
    assert_eq!(relay.run("calc 1+2 @B", &[]).await.output, "3");
}
