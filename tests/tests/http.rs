//! HTTP over the mesh: the same suite against a plain server and through the mesh, by a relay and between nodes.

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

use cases::Case;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use peerage::Code;
use peerage::http::Body;
use peerage_tests::join;
use raw::ask;
use stage::Stage;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn the_mesh_answers_as_a_plain_server_does() {
    let stage = Stage::new().await;
    for case in cases::all() {
        let [plain, meshed] = stage.both(&case).await;
        assert_eq!(meshed, plain, "{}", case.name());
        assert!(plain.whole, "{} {plain:?}", case.name());
    }
    let trailing = stage.through("/n/b/trailers").await;
    assert_eq!(trailing.text(), "data");
}

#[tokio::test]
async fn a_node_answers_another_as_a_plain_server_does() {
    let stage = Stage::new().await;
    let a = join(&stage.relay, "a").await;
    for case in cases::all() {
        let plain = stage.plainly(&case.for_nodes()).await;
        let plain = plain.between_nodes(&case);
        let meshed = native::ask(&a, "b", &case).await;
        assert_eq!(meshed, plain, "{}", case.name());
        assert!(plain.whole, "{} {plain:?}", case.name());
    }
}

#[tokio::test]
async fn what_fails_in_the_middle_is_never_taken_for_whole() {
    let stage = Stage::new().await;
    for answer in stage.both(&Case::new("GET", "/fails", "", b"")).await {
        assert_eq!(answer.status, 200);
        assert!(!answer.whole, "{answer:?}");
    }
}

#[tokio::test]
async fn web_sockets_pass_through() {
    let stage = Stage::new().await;
    for url in [
        format!("ws://{}/socket", stage.plain),
        format!("ws://{}/n/b/socket", stage.relay.address),
    ] {
        let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
        for size in [0, 1, 125, 126, 70_000, 1_000_000] {
            let message = Message::Binary(vec![size as u8; size].into());
            socket.send(message.clone()).await.unwrap();
            assert!(
                socket.next().await.unwrap().unwrap() == message,
                "{url} {size}"
            );
        }
        socket.send(Message::text("last")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("last"));
        socket.close(None).await.unwrap();
        let closed = socket.next().await.unwrap();
        assert!(closed.is_ok_and(|message| message.is_close()), "{url}");
        assert!(socket.next().await.is_none());
    }
    // Who is asked without the rest of a handshake says so, and a node without sockets does.
    let upgrade = "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let [plain, meshed] = stage.both(&Case::new("GET", "/socket", upgrade, b"")).await;
    assert_eq!((meshed.status, plain.status), (400, 400));
    for path in ["/echo", "/n/b/echo"] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\n{upgrade}\r\n"
        );
        let address = if path.starts_with("/n") {
            &stage.relay.address
        } else {
            &stage.plain
        };
        let answer = raw::read(&ask(address, request.as_bytes()).await, false);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.text().starts_with("GET /echo\n"));
    }
}

#[tokio::test]
async fn a_native_node_asks_another_with_the_habits_of_http() {
    let stage = Stage::new().await;
    let a = join(&stage.relay, "a").await;
    let get = |uri: &str| Request::get(uri).body(Body::empty()).unwrap();
    let text = async |body: Body| {
        String::from_utf8(body.collect(1 << 20).await.unwrap().to_vec()).unwrap()
    };
    let response = a.fetch(get("peer://b/echo?x=1")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(text(response.into_body()).await, "GET /echo?x=1\n{}\n");
    let response = a.fetch(get("peer://b/caller")).await.unwrap();
    assert_eq!(text(response.into_body()).await, a.id().to_string());
    let by_id = format!("peer://{}/caller", stage.b.id());
    assert_eq!(
        text(a.fetch(get(&by_id)).await.unwrap().into_body()).await,
        a.id().to_string()
    );
    assert_eq!(
        text(
            stage
                .b
                .fetch(get("peer://b/blanks"))
                .await
                .unwrap()
                .into_body()
        )
        .await,
        site::BLANKS
    );
    let posted = Request::put("peer://b/mirror")
        .body(vec![7u8; 300_000])
        .unwrap();
    let mirrored = a
        .fetch(posted)
        .await
        .unwrap()
        .into_body()
        .collect(1 << 20)
        .await
        .unwrap();
    assert_eq!(mirrored, vec![7u8; 300_000]);
    let cut = a
        .fetch(get("peer://b/fails"))
        .await
        .unwrap()
        .into_body()
        .collect(99)
        .await
        .unwrap_err();
    assert_eq!(cut.code, Code::Cancelled);
    assert!(!cut.message.contains("hush"), "{cut}");
    for (uri, code) in [
        ("peer://nobody/", Code::UnknownName),
        ("peer://a/", Code::UnknownProtocol),
        ("peer://relay/", Code::UnknownProtocol),
    ] {
        assert_eq!(a.fetch(get(uri)).await.unwrap_err().code, code, "{uri}");
    }
}

/// A gibibyte each way: what is on its way is bounded, and none of it is lost.
#[tokio::test]
async fn a_gibibyte_streams_both_ways_within_bounded_memory() {
    const GIB: usize = 1 << 30;
    const MORE_MAX: u64 = 100 << 20;
    let stage = Stage::new().await;
    stage.through("/n/b/zeros/1000000").await;
    let before = [stage.relay.peak_bytes(), own_peak_bytes()];
    let url = |path: &str| format!("http://{}/n/b/{path}", stage.relay.address);
    let down = url(&format!("zeros/{GIB}"));
    let down = curl(&[
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{size_download}",
        &down,
    ])
    .await;
    assert_eq!(down, format!("200 {GIB}"));
    let up = format!(
        "head -c {GIB} /dev/zero | curl -s -T - -X POST {}",
        url("count")
    );
    assert_eq!(run("sh", &["-c", &up]).await, GIB.to_string());
    let after = [stage.relay.peak_bytes(), own_peak_bytes()];
    let more: Vec<_> = after
        .iter()
        .zip(before)
        .map(|(after, before)| (after - before) >> 20)
        .collect();
    println!("1 GiB down and 1 GiB up: relay and node have grown by {more:?} MiB");
    assert!(more.iter().all(|more| *more << 20 < MORE_MAX), "{more:?}");
}

/// curl's own idea of ranges, redirections, uploads and what is cached.
#[tokio::test]
async fn curl_is_content() {
    let stage = Stage::new().await;
    let url = |path: &str| format!("http://{}/n/b/{path}", stage.relay.address);
    assert_eq!(
        curl(&["-s", "-r", "5-10", &url("files/text.txt")]).await,
        "0\nline"
    );
    assert_eq!(
        curl(&["-s", "-L", &url("redirect")]).await,
        "GET /echo?from=there\n{}\n"
    );
    assert_eq!(curl(&["-s", "-d", "a=b", &url("mirror")]).await, "a=b");
    assert_eq!(
        curl(&["-s", "-H", "expect: 100-continue", "-d", "x", &url("count")]).await,
        "1"
    );
    assert_eq!(
        curl(&[
            "-s",
            "-I",
            "-w",
            "%{http_code}",
            "-o",
            "/dev/null",
            &url("blanks")
        ])
        .await,
        "200"
    );
    assert_eq!(
        curl(&["-s", "-N", &url("events")]).await,
        "data: 0\n\ndata: 1\n\ndata: 2\n\n"
    );
    let etag = url("etag");
    let known = [
        "-s",
        "-H",
        "if-none-match: \"v1\"",
        "-w",
        "%{http_code}",
        &etag,
    ];
    assert_eq!(curl(&known).await, "304");
    let cut = run(
        "sh",
        &[
            "-c",
            &format!("curl -s {} > /dev/null; echo $?", url("fails")),
        ],
    )
    .await;
    assert_ne!(cut.trim(), "0");
}

async fn curl(args: &[&str]) -> String {
    run("curl", args).await
}

async fn run(program: &str, args: &[&str]) -> String {
    let output = tokio::process::Command::new(program)
        .args(args)
        .output()
        .await
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The most memory that this process has held so far, in bytes (Linux).
fn own_peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}
