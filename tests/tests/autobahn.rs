//! Autobahn's WebSocket suite calls a socket that is upgraded, limited and served as `/mesh` is, and
//! sends back what it receives.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use peerage::link::Origin;
use peerage_relay::link::websocket::{self, Socket};
use peerage_relay::web;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_tungstenite::tungstenite::Message;

/// How each case went: what was said, and how the connection was closed. What is expected is what the
/// library's authors expect of it.
type Outcomes = BTreeMap<String, [String; 2]>;

/// Messages larger than a link takes (most of group 9), and compression, which links do without.
const LEFT_OUT: [&str; 14] = [
    "9.1.3", "9.1.4", "9.1.5", "9.1.6", "9.2.3", "9.2.4", "9.2.5", "9.2.6", "9.3.*", "9.4.*",
    "9.5.*", "9.6.*", "12.*", "13.*",
];
/// The suite's words for how a case went, from good to bad.
const GRADES: [&str; 9] = [
    "OK",
    "INFORMATIONAL",
    "NON-STRICT",
    "UNIMPLEMENTED",
    "WRONG CODE",
    "FAILED BY CLIENT",
    "UNCLEAN",
    "NO_CLOSE",
    "FAILED",
];
/// The suite takes ten seconds; a single case without an answer, eight minutes.
const TIME_MAX: Duration = Duration::from_secs(120);

#[tokio::test]
async fn no_case_is_worse_than_expected() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("autobahn");
    let outcomes = run_suite(&echo().await, &folder).await;
    println!(
        "autobahn: {} cases: {}; closing: {}; left out: larger messages than a link takes, compression",
        outcomes.len(),
        counts(&outcomes, 0),
        counts(&outcomes, 1)
    );

    let expected = include_str!("../autobahn/expected.json");
    let expected: Outcomes = serde_json::from_str(expected).unwrap();
    let surplus = outcomes.keys().find(|case| !expected.contains_key(*case));
    assert_eq!(surplus, None, "nothing is expected of this case");
    let line = |case| {
        let (expected, got) = (&expected[case], outcomes.get(case));
        format!("{case}: expected {expected:?}, got {got:?}")
    };
    for case in worse_cases(&expected, &outcomes) {
        println!("autobahn: better: {}", line(case));
    }
    let worse: Vec<_> = worse_cases(&outcomes, &expected).map(line).collect();
    let (lines, folder) = (worse.join("\n"), folder.display());
    assert!(worse.is_empty(), "worse:\n{lines}\nreports: {folder}");
}

/// The address of a socket like `/mesh`, but for what it says.
async fn echo() -> String {
    let upgrade = async |mut request: Request| -> Response {
        websocket::upgrade(&mut request, websocket::MESSAGE_BYTES_MAX, send_back).unwrap()
    };
    let routes = Router::new().route("/mesh", any(upgrade));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(web::serve(listener, routes, std::future::pending()));
    format!("ws://{address}/mesh")
}

async fn send_back(socket: Socket) {
    while let Some(Ok(message)) = socket.next().await {
        let sent = match message {
            // As packets leave.
            Message::Binary(packet) => match socket.write(Origin::Accepted, packet).await {
                Ok(()) => socket.flush().await,
                Err(error) => Err(error),
            },
            Message::Text(_) => socket.send(message).await,
            _ => Ok(()),
        };
        if sent.is_err() {
            return;
        }
    }
    // The caller may have gone already.
    let _ = socket.close().await;
}

/// Runs every case that is not left out. The suite's reports and its log stay in the folder.
async fn run_suite(url: &str, folder: &Path) -> Outcomes {
    // An earlier run's results are not this one's.
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    let config = json!({
        "outdir": folder,
        "servers": [{ "agent": "peerage", "url": url }],
        "cases": ["*"],
        "exclude-cases": LEFT_OUT,
        "exclude-agent-cases": {},
    });
    let spec = folder.join("fuzzingclient.json");
    fs::write(&spec, config.to_string()).unwrap();
    let log = folder.join("log");
    let output = File::create(&log).unwrap();

    let wstest = std::env::var_os("PEERAGE_WSTEST").expect("run this by `cargo xtask test`");
    let mut command = Command::new(wstest);
    command
        .args(["--mode", "fuzzingclient", "--spec"])
        .arg(&spec)
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .kill_on_drop(true);
    let ended = tokio::time::timeout(TIME_MAX, command.status()).await;
    if !matches!(&ended, Ok(Ok(status)) if status.success()) {
        let log = fs::read_to_string(log).unwrap();
        panic!("{ended:?}; its last words: {:?}", log.lines().last());
    }
    outcomes(folder)
}

/// What the suite's reports say.
fn outcomes(folder: &Path) -> Outcomes {
    let index = fs::read_to_string(folder.join("index.json")).expect("the suite reports");
    let index: Value = serde_json::from_str(&index).unwrap();
    let cases = index["peerage"].as_object().unwrap().iter();
    let word = |result: &Value, key| result[key].as_str().unwrap().to_owned();
    cases
        .map(|(case, result)| {
            let outcome = ["behavior", "behaviorClose"].map(|key| word(result, key));
            (case.clone(), outcome)
        })
        .collect()
}

/// How many cases earned each word.
fn counts(outcomes: &Outcomes, which: usize) -> String {
    let count = |word: &&str| outcomes.values().filter(|it| it[which] == **word).count();
    GRADES
        .iter()
        .map(|word| (count(word), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The cases that went worse than those, or are missing.
fn worse_cases<'a>(outcomes: &Outcomes, than: &'a Outcomes) -> impl Iterator<Item = &'a String> {
    let is_worse = |case, than: &[String; 2]| {
        let Some(outcome) = outcomes.get(case) else {
            return true;
        };
        let mut pairs = outcome.iter().zip(than);
        pairs.any(|(word, than)| grade(word) > grade(than))
    };
    than.iter()
        .filter(move |(case, than)| is_worse(*case, than))
        .map(|(case, _)| case)
}

/// 0 is best; a word that nobody knows is worst.
fn grade(word: &str) -> usize {
    let place = GRADES.iter().position(|known| *known == word);
    place.unwrap_or(GRADES.len())
}
