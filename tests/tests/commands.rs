//! Commands of the program `peerage`: at a terminal, in scripts, at several targets.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use peerage::service::command::{Call, Status};
use peerage_tests::{Peer, Ran, Relay, Terminal, join, program, until};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::Notify;

/// The keys that interrupt, and that end the input.
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const UP: &str = "\x1b[A";

fn relay() -> Relay {
    Relay::start("127.0.0.1:0")
}

fn lines(ran: &Ran) -> Vec<Value> {
    let lines = ran.output.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {ran:?}")))
        .collect()
}

#[tokio::test]
async fn ctrl_c_interrupts_what_runs_and_the_prompt_comes_back() {
    let (relay, state) = (relay(), tempfile::tempdir().unwrap());
    let b = Peer::start(&relay, "B", &json!({})).await;
    let mut terminal = Terminal::start(&relay, "A", &state).await;
    terminal.press("calc 1+2 @B\r");
    terminal.until_shown("\n3").await;
    terminal.until_shown("A> ").await;

    terminal.press("sleep 100 @B\r");
    until("it runs at B", async || {
        b.log().matches("step=\"execute\"").count() == 2
    })
    .await;
    let before = Instant::now();
    terminal.press(CTRL_C);
    terminal.until_shown("A> ").await;
    assert!(before.elapsed() < Duration::from_secs(10));
    terminal.press("echo still @B\r");
    terminal.until_shown("\nstill").await;
    // What was interrupted has returned nothing.
    until("two have returned", async || {
        b.log().matches("step=\"return\"").count() == 2
    })
    .await;

    // One that is late, or pressed once more, does not end the peer.
    terminal.until_shown("A> ").await;
    terminal.press("sleep 100 @B\r");
    until("it runs at B", async || {
        b.log().matches("step=\"execute\"").count() == 4
    })
    .await;
    terminal.press(&format!("{CTRL_C}{CTRL_C}{CTRL_C}"));
    terminal.until_shown("A> ").await;
    terminal.press("echo and still @B\r");
    terminal.until_shown("\nand still").await;

    terminal.until_shown("A> ").await;
    terminal.press(&format!("half a line{CTRL_C}"));
    terminal.until_shown("A> ").await;
    terminal.press("echo whole\r");
    terminal.until_shown("\nwhole").await;
    terminal.until_shown("A> ").await;
    terminal.press(CTRL_D);
    assert_eq!(terminal.ended().await, 0);
    relay.until_here("A", false).await;
}

#[tokio::test]
async fn the_prompt_completes_names_and_remote_commands_and_remembers_lines() {
    let (relay, state) = (relay(), tempfile::tempdir().unwrap());
    let commands = json!({ "commands": { "brew": "echo coffee for" } });
    let _b = Peer::start(&relay, "kitchen", &commands).await;
    let mut terminal = Terminal::start(&relay, "A", &state).await;
    terminal.press("@kit\tbre\tme\r");
    terminal.until_shown("\ncoffee for me").await;
    terminal.until_shown("A> ").await;
    terminal.press("cal\t6*7 @kit\t\r");
    terminal.until_shown("\n42").await;
    terminal.until_shown("A> ").await;
    terminal.press("exi\t\r");
    assert_eq!(terminal.ended().await, 0);

    let file = state.path().join("peerage/history");
    let kept = std::fs::read_to_string(file).unwrap();
    assert!(kept.contains("@kitchen brew me"), "{kept}");
    let mut terminal = Terminal::start(&relay, "later", &state).await;
    terminal.press(&format!("{UP}{UP}\r"));
    terminal.until_shown("\n42").await;
}

#[tokio::test]
async fn a_history_that_cannot_be_written_is_no_error() {
    let (relay, state) = (relay(), tempfile::tempdir().unwrap());
    std::fs::write(state.path().join("peerage"), "a file in the way").unwrap();
    let mut terminal = Terminal::start(&relay, "A", &state).await;
    terminal.press("calc 6*7\r");
    terminal.until_shown("\n42").await;
    assert!(!terminal.shown().contains("panicked"));
}

#[tokio::test]
async fn a_script_is_interrupted_with_status_130() {
    let relay = relay();
    let b = Peer::start(&relay, "B", &json!({})).await;
    for (option, output) in [("--", ""), ("--json", "cancelled")] {
        let before = b.log().matches("step=\"execute\"").count();
        let mut command = Command::new(program());
        command
            .args(["peer", "-c", "sleep 100 @B", "--relay", &relay.mesh()])
            .args(Some(option).filter(|option| *option != "--"))
            .stdout(Stdio::piped());
        let process = command.spawn().unwrap();
        until("it runs at B", async || {
            b.log().matches("step=\"execute\"").count() > before
        })
        .await;
        let kill = format!("kill -s INT {}", process.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
        let ended = process.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(130));
        let said = String::from_utf8(ended.stdout).unwrap();
        assert!(
            said.contains(output) && said.is_empty() == output.is_empty(),
            "{said}"
        );
    }
}

#[tokio::test]
async fn lines_of_a_script_are_answered_each_by_a_line() {
    let relay = relay();
    let _b = Peer::start(&relay, "B", &json!({})).await;
    let mut process = Command::new(program())
        .args(["peer", "--json", "--relay", &relay.mesh()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = "calc 1+2 @B\n\necho 'a  b' @B\ncalc 1/0\ncalc @nobody\nexit\necho never\n";
    let mut script = process.stdin.take().unwrap();
    script.write_all(lines.as_bytes()).unwrap();
    let ended = process.wait_with_output().unwrap();
    assert!(ended.status.success());
    let said = String::from_utf8(ended.stdout).unwrap();
    let said: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {said}")))
        .collect();
    assert_eq!(said.len(), 4, "{said:?}");
    assert_eq!(said[0], json!({ "status": 0, "output": "3" }));
    assert_eq!(said[1]["output"], "'a  b'");
    assert_eq!(said[2]["status"], 1);
    assert_eq!(said[3]["code"], "unknown-name");
}

#[tokio::test]
async fn a_deadline_interrupts_and_is_named() {
    let relay = relay();
    let _b = Peer::start(&relay, "B", &json!({})).await;
    for (line, options) in [
        ("sleep 100 @B[timeout=200ms]", &["--json"][..]),
        ("sleep 100 @B", &["--json", "--timeout", "0.2s"]),
    ] {
        let ran = relay.run(line, options).await;
        assert_eq!(ran.status, 1, "{ran:?}");
        assert_eq!(lines(&ran)[0]["code"], "timed-out", "{ran:?}");
        assert_eq!(lines(&ran)[0]["peer"], "B");
    }
    let ran = Ran::of(&["peer", "-c", "help", "--timeout", "soon"]).await;
    assert!(ran.complaint.contains("such as 50ms, 2s"), "{ran:?}");
}

#[tokio::test]
async fn each_of_several_targets_has_its_line() {
    let relay = relay();
    let _b = Peer::start(
        &relay,
        "B",
        &json!({ "commands": { "say": "echo I am B" } }),
    )
    .await;
    let _c = Peer::start(&relay, "long-name", &json!({})).await;
    let ran = relay.run("calc 1+2 @B,long-name", &[]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    let mut told: Vec<_> = ran.output.lines().collect();
    told.sort_unstable();
    assert_eq!(told, ["B          3", "long-name  3"]);

    let ran = relay.run("say @B,long-name,nobody", &["--json"]).await;
    assert_eq!(ran.status, 1, "{ran:?}");
    let mut told = lines(&ran);
    told.sort_by_key(|line| line["target"].to_string());
    assert_eq!(
        told[0],
        json!({ "target": "B", "status": 0, "output": "I am B" })
    );
    assert_eq!(told[1]["status"], 127);
    assert_eq!(told[2]["error"]["code"], "unknown-name");

    let ran = relay.run("calc 6*7 @*", &["--json"]).await;
    let mut everyone: Vec<_> = lines(&ran)
        .iter()
        .map(|line| line["target"].to_string())
        .collect();
    everyone.sort();
    assert_eq!(everyone, ["\"B\"", "\"long-name\"", "\"relay\""]);
    assert_eq!(
        relay.run("calc 1+2 @B", &["--json"]).await.output,
        r#"{"output":"3","status":0}"#
    );
}

#[tokio::test]
async fn output_comes_as_it_is_written() {
    let relay = relay();
    let clock = join(&relay, "clock").await;
    let go = Arc::new(Notify::new());
    let going = Arc::clone(&go);
    clock
        .commands()
        .register("tick", "ticks when told", (), move |call: Call, ()| {
            let go = Arc::clone(&going);
            async move {
                for n in 0..3 {
                    call.out.write(&format!("tick {n}\n"));
                    go.notified().await;
                }
                Status(7)
            }
        });
    let mut process = tokio::process::Command::new(program())
        .args(["peer", "-c", "tick @clock", "--relay", &relay.mesh()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    for n in 0..3 {
        let line = lines.next_line().await.unwrap();
        assert_eq!(line, Some(format!("tick {n}")));
        go.notify_one();
    }
    assert_eq!(process.wait().await.unwrap().code(), Some(7));
}

/// KAI's sample configuration, but for its ports, at work.
#[tokio::test]
async fn kais_sample_configuration_works_verbatim() {
    const KAI: &str = r#"{ "listenPort": 14590, "autoListen": true, "interactive": true,
        "peers": [ { "host": "127.0.0.1", "port": 14591 } ],
        "commands": { "add": "calc 1+2", "status": "system status", "help": "system help" } }"#;
    let relay = relay();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let (_, called) = relay.address.split_once(':').unwrap();
    let text = KAI.replace("14590", &port).replace("14591", called);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("peer_config.json");
    std::fs::write(&file, text).unwrap();
    // No prompt is there without a terminal's keys; and no relay is named but by `peers`.
    let mut process = Command::new(program())
        .args(["peer", "--name", "kai", "--config"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    relay.until_here("kai", true).await;
    // Whoever calls its port is in the same zone.
    let own = format!("ws://127.0.0.1:{port}/mesh");
    assert_eq!(relay.run("add @kai", &["--relay", &own]).await.output, "3");
    let status = relay.run("status @kai", &[]).await;
    assert!(status.output.contains("name      kai"), "{status:?}");
    let help = relay.run("help @kai", &[]).await;
    assert!(help.output.contains("alias of `calc 1+2`"), "{help:?}");
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
}

#[tokio::test]
async fn a_peer_without_a_prompt_serves_until_it_is_told_to_end() {
    let relay = relay();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("peer.json");
    std::fs::write(&file, r#"{ "name": "quiet", "interactive": false }"#).unwrap();
    let mut process = Command::new(program())
        .args(["peer", "--relay", &relay.mesh(), "--config"])
        .arg(&file)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    relay.until_here("quiet", true).await;
    assert_eq!(relay.run("calc 1+2 @quiet", &[]).await.output, "3");
    let kill = format!("kill -s TERM {}", process.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(process.wait().unwrap().code(), Some(0));
    relay.until_here("quiet", false).await;
}
