//! HTTP of tabs: the same suite as between programs. A page asks what a plain server is asked, and a page serves what
//! a plain server does.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

#[path = "http/cases.rs"]
mod cases;
#[path = "http/native.rs"]
mod native;
#[path = "http/raw.rs"]
mod raw;
#[path = "http/site.rs"]
mod site;
#[path = "http/stage.rs"]
mod stage;

use std::fmt::Write as _;

use cases::Case;
use peerage_tests::{Browsers, Tab, join};
use raw::Raw;
use serde_json::{Value, json};
use stage::Stage;

const ASKING: &str = include_str!("http/page.js");
const SITE: &str = include_str!("http/site.js");

#[tokio::test]
async fn a_page_is_answered_as_by_a_plain_server() {
    let (browsers, stage) = (Browsers::start().await, Stage::new().await);
    let tab = browsers.open(&stage.relay.console("tab")).await;
    let heard = |case: Case| case.for_asking_pages().map(|heard| (case, heard));
    let cases: Vec<_> = cases::all().into_iter().filter_map(heard).collect();
    let said = cases.iter().map(|(case, _)| said(case)).collect();
    let answers = tab.wait_for(ASKING, vec![said]).await;
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), cases.len());
    for ((case, heard), answer) in cases.iter().zip(answers) {
        let plain = stage.plainly(heard).await;
        let plain = plain.between_nodes(case).of_platform();
        assert_eq!(seen(answer), plain, "{}", case.name());
        assert!(plain.whole, "{}", case.name());
    }
    println!("{} cases are equal for a page that asks", cases.len());
}

#[tokio::test]
async fn a_page_answers_as_a_plain_server_does() {
    let (browsers, stage) = (Browsers::start().await, Stage::new().await);
    let _tab = serving(&browsers, &stage).await;
    let a = join(&stage.relay, "a").await;
    let mut count = 0;
    for case in cases::all() {
        let proxied = stage.proxied("tab", &case).await;
        let asked = native::ask(&a, "tab", &case).await;
        let Some(heard) = case.for_answering_pages() else {
            assert_eq!(
                (proxied.status, asked.status),
                (501, 501),
                "{}",
                case.name()
            );
            continue;
        };
        let plain = stage.plainly(&heard).await.of_platform();
        assert_eq!(proxied, plain, "by the relay: {}", case.name());
        let plain = plain.between_nodes(&case);
        assert_eq!(asked, plain, "by a node: {}", case.name());
        count += 1;
    }
    println!("{count} cases are equal for a page that answers");
    let cut = Case::new("GET", "/fails", "", b"");
    let [plain, meshed] = [stage.plainly(&cut).await, stage.proxied("tab", &cut).await];
    assert_eq!((meshed.status, plain.status), (200, 200));
    assert!(!meshed.whole && !plain.whole, "{meshed:?}");
}

/// What is on its way is bounded, and none of it is lost.
#[tokio::test]
async fn a_page_streams_both_ways_within_bounded_memory_of_the_relay() {
    const BYTES: usize = 64 << 20;
    const MORE_MAX: u64 = 16 << 20;
    let (browsers, stage) = (Browsers::start().await, Stage::new().await);
    let _tab = serving(&browsers, &stage).await;
    stage.through("/n/tab/zeros/1000000").await;
    let before = stage.relay.peak_bytes();
    let url = |path: &str| format!("http://{}/n/tab/{path}", stage.relay.address);
    let down = format!("curl -s {} | wc -c", url(&format!("zeros/{BYTES}")));
    assert_eq!(run(&down).await, BYTES.to_string());
    let up = url("count");
    let up = format!("head -c {BYTES} /dev/zero | curl -s -T - -X POST {up}");
    assert_eq!(run(&up).await, BYTES.to_string());
    let more = stage.relay.peak_bytes() - before;
    println!(
        "64 MiB down and 64 MiB up: the relay has grown by {} KiB",
        more >> 10
    );
    assert!(more < MORE_MAX, "{more}");
}

/// A tab that serves the site.
async fn serving(browsers: &Browsers, stage: &Stage) -> Tab {
    let tab = browsers.open(&stage.relay.console("tab")).await;
    tab.ask(SITE).await;
    tab
}

async fn run(line: &str) -> String {
    let mut command = tokio::process::Command::new("sh");
    let output = command.args(["-c", line]).output().await.unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A case as a page is told of it: each byte of a value is a character, those of bodies are digits.
fn said(case: &Case) -> Value {
    let fields: Vec<_> = case
        .fields()
        .into_iter()
        .map(|(name, value)| [name.to_owned(), value.bytes().map(char::from).collect()])
        .collect();
    let pieces: Vec<_> = case.pieces().0.into_iter().map(digits).collect();
    json!({ "method": case.method, "path": case.path, "fields": fields, "pieces": pieces, "streams": case.is_chunked() })
}

/// What a page has seen.
fn seen(answer: &Value) -> Raw {
    let status = answer["status"].as_u64();
    let status = status.unwrap_or_else(|| panic!("no answer: {answer}"));
    let fields = answer["fields"].as_array().unwrap().iter().map(|field| {
        let text = |at: usize| field[at].as_str().unwrap();
        let value = text(1).chars().map(|c| u8::try_from(c).unwrap());
        (text(0).to_owned(), value.collect())
    });
    let digits = answer["body"].as_str().unwrap().as_bytes();
    let bytes = digits.chunks(2).map(|two| {
        let two = std::str::from_utf8(two).unwrap();
        u8::from_str_radix(two, 16).unwrap()
    });
    Raw {
        status: status.try_into().unwrap(),
        fields: fields.filter(|(name, _)| name != "date").collect(),
        body: bytes.collect(),
        trailers: String::new(),
        whole: true,
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
