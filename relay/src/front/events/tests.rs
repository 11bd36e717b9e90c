//! A client of the dialect against a relay in this process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::{any, get};
use futures_util::{SinkExt, StreamExt};
use peerage::rpc::Parcel;
use peerage::service::operation::{Progress, StopKind, Unsuccessful};
use peerage::{Config, Kind};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;
use crate::web::origin::Origins;
use crate::web::{self, Web};

/// Long enough for a machine under load.
const PATIENCE: Duration = Duration::from_secs(60);

/// A relay that speaks with clients.
struct Stage {
    relay: Node,
    at: SocketAddr,
}

impl Stage {
    async fn start(request_timeout: Duration) -> Self {
        let config = Config::new(Kind::Relay).named("relay".parse().unwrap());
        let relay = Node::launch(config, Vec::new()).unwrap();
        relay.online(true).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let events = Events::new(relay.clone(), Settings { request_timeout });
        let routes = web::router(Web {
            node: relay.clone(),
            origins: Arc::new(Origins::new(at, &[])),
            nodes: web::Settings::default(),
            events: Some(events),
            mqtt: None,
        });
        tokio::spawn(web::serve(listener, routes, std::future::pending()));
        Self { relay, at }
    }

    async fn node(&self, name: &str) -> Node {
        let config = Config::new(Kind::Native).named(name.parse().unwrap());
        let relay = format!("ws://{}/mesh", self.at).parse().unwrap();
        Node::join(config, vec![relay]).await.unwrap()
    }

    async fn client(&self, alias: &str) -> Client {
        let (socket, _) = connect_async(format!("ws://{}/events", self.at))
            .await
            .unwrap();
        let mut client = Client { socket, last: 0 };
        client
            .say(&format!("type:kos.addr.alias\nalias:{alias}\n\n"))
            .await;
        let greeting = client.hear().await;
        assert_eq!(greeting.kind(), "kos.addr.alias");
        client
    }
}

/// A client, which knows nothing but frames.
struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last: u32,
}

impl Client {
    async fn say(&mut self, text: &str) {
        self.socket.send(Message::Text(text.into())).await.unwrap();
    }

    async fn hear(&mut self) -> Frame {
        loop {
            let next = timeout(PATIENCE, self.socket.next()).await;
            match next.expect("in time").expect("open").unwrap() {
                Message::Text(text) => return Frame::parse(&text).unwrap(),
                Message::Close(close) => panic!("closed: {close:?}"),
                _ => {}
            }
        }
    }

    /// What comes next of this type; of others, nothing.
    async fn hear_of(&mut self, kind: &str) -> Frame {
        loop {
            let frame = self.hear().await;
            if frame.kind() == kind {
                return frame;
            }
        }
    }

    /// Asks by HTTP: its request's number.
    async fn ask(&mut self, method: &str, url: &str, headers: &str, body: &str) -> String {
        self.last += 1;
        let id = self.last.to_string();
        let frame = format!(
            "method:{method}\nurl:{url}\nrequest-id:{id}\n{headers}type:kos.http.request\n\n{body}"
        );
        self.say(&frame).await;
        id
    }

    /// Asks, and waits for the answer: status and body.
    async fn fetch(&mut self, method: &str, url: &str, headers: &str, body: &str) -> (u16, String) {
        let id = self.ask(method, url, headers, body).await;
        loop {
            let frame = self.hear_of("kos.http.response").await;
            if frame.get("response-id") == Some(&id) {
                let bytes = http::body_of(&frame).unwrap();
                let status = frame.get("status").unwrap().parse().unwrap();
                return (status, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }

    async fn status(&mut self, url: &str, headers: &str) -> u16 {
        self.fetch("GET", url, headers, "").await.0
    }
}

async fn until(mut look: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !look().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, looking).await.expect("in time");
}

#[tokio::test]
async fn a_client_is_a_node_until_its_socket_closes_and_comes_back_as_the_same() {
    let stage = Stage::start(PATIENCE).await;
    let mut client = stage.client("screen left").await;
    let here = || {
        stage
            .relay
            .peers()
            .into_iter()
            .find(|peer| peer.kind == Kind::Client)
    };
    let peer = here().unwrap();
    assert_eq!(peer.name.as_str(), "screen-left");
    client.socket.close(None).await.unwrap();
    until(async || here().is_none()).await;
    drop(stage.client("screen left").await);
    assert!(here().is_none_or(|back| back.id == peer.id));
    until(async || here().is_none()).await;
}

#[tokio::test]
async fn requests_go_to_the_relay_and_to_any_node_and_bodies_arrive_whole() {
    let stage = Stage::start(Duration::from_millis(1500)).await;
    let node = stage.node("dispenser").await;
    let silent = async || {
        sleep(Duration::from_secs(3600)).await;
        "late"
    };
    let echo = async |request: Request| {
        let url = request.uri().to_string();
        let body = axum::body::to_bytes(request.into_body(), 1 << 20)
            .await
            .unwrap();
        ([("x-url", url)], body)
    };
    node.serve(
        Router::new()
            .route("/silent", get(silent))
            .fallback(any(echo)),
    );
    let mut client = stage.client("ui").await;
    let to = "dst-addr:local:relay:dispenser\n";
    let text = "a: b\n\nc\n\n";
    assert_eq!(
        client.fetch("POST", "/x", to, text).await,
        (200, text.to_owned())
    );
    assert_eq!(
        client.fetch("POST", "/x", to, "{}").await,
        (200, "{}".into())
    );
    let (status, nodes) = client.fetch("GET", "/api/kos/node", "", "").await;
    assert!(
        status == 200 && nodes.contains("\"nodeName\":\"dispenser\""),
        "{nodes}"
    );
    assert_eq!(client.status("/api/dispenser/x", "").await, 200);
    assert_eq!(client.status("/n/dispenser/x", "").await, 200);
    for (headers, status) in [
        ("dst-addr:local:relay:nobody\n", 404),
        ("dst-addr:elsewhere:relay:dispenser\n", 404),
        ("dst-addr:a:b\n", 400),
        ("dst-addr:undefined\n", 404),
        ("content-encoding:base64\n", 404),
        ("content-encoding:br\n", 400),
    ] {
        assert_eq!(
            client.status("/nothing/here", headers).await,
            status,
            "{headers}"
        );
    }
    assert_eq!(client.status("/silent", to).await, 404);
    node.close().await;
}

#[tokio::test]
async fn topics_have_prefixes_and_tell_nothing_to_their_publisher() {
    let stage = Stage::start(PATIENCE).await;
    let (mut left, mut right) = (stage.client("left").await, stage.client("right").await);
    left.say("type:kos.broker.subscribe\n\n[\"/user/*\",\"/app\"]")
        .await;
    assert_eq!(left.status("/healthz", "").await, 200);
    left.say("type:kos.broker.send\ntopic:/user/own\n\n1").await;
    assert_eq!(left.status("/healthz", "").await, 200);
    for (topic, body) in [
        ("/user/a/b", "{\"ice\":true}"),
        ("/other", "1"),
        ("/app", ""),
    ] {
        right
            .say(&format!("topic:{topic}\ntype:kos.broker.send\n\n{body}"))
            .await;
    }
    for (topic, filter, body) in [
        ("/user/a/b", "/user/*", "{\"ice\":true}"),
        ("/app", "/app", ""),
    ] {
        let frame = left.hear_of("kos.broker.send").await;
        let got = ["topic", "subscription", "src-addr"].map(|name| frame.get(name).unwrap());
        assert_eq!(got, [topic, filter, "local:relay:right"]);
        assert_eq!(frame.body, body);
    }
    left.say("type:kos.broker.unsubscribe\n\n[\"/user/*\"]")
        .await;
    assert_eq!(left.status("/healthz", "").await, 200);
    right.say("topic:/user/x\ntype:kos.broker.send\n\n1").await;
    stage.relay.publish("/app", &2).await.unwrap();
    assert_eq!(left.hear_of("kos.broker.send").await.body, "2");
    let retain = peerage::service::broker::Publish {
        retain: true,
        ..Default::default()
    };
    stage
        .relay
        .topics()
        .publish("/tank", &json!({ "ml": 7 }), retain)
        .unwrap()
        .await
        .unwrap();
    let state = right.fetch("GET", "/api/kos/state/tank", "", "").await;
    assert_eq!(state, (200, "{\"ml\":7}".into()));
    let paths = right.fetch("GET", "/api/kos/state/paths", "", "").await;
    assert_eq!(paths, (200, "[\"/tank\"]".into()));
}

#[tokio::test]
async fn a_client_serves_and_is_told_nothing_that_it_could_take_for_something_else() {
    let stage = Stage::start(Duration::from_millis(1500)).await;
    let node = stage.node("other").await;
    let mut client = stage.client("ui").await;
    let request = ::http::Request::post("peer://ui/x?y").header("subscription", "/forged");
    let request = request.header("x-own", "1").body("a\n\nb").unwrap();
    let asking = tokio::spawn({
        let node = node.clone();
        async move { node.fetch(request).await }
    });
    let asked = client.hear_of("kos.http.request").await;
    let got = ["method", "url", "src-addr", "x-own"].map(|name| asked.get(name).unwrap());
    assert_eq!(got, ["POST", "/x?y", "local:relay:other", "1"]);
    assert_eq!(
        (asked.get("subscription"), asked.body.as_str()),
        (None, "a\n\nb")
    );
    // Nobody else's number answers it.
    client
        .say("type:kos.http.response\nresponse-id:1\nstatus:200\n\nforged")
        .await;
    let id = asked.get("request-id").unwrap();
    client
        .say(&format!(
            "type:kos.http.response\nresponse-id:{id}\nstatus:418\n\nc\n\nd"
        ))
        .await;
    let response = asking.await.unwrap().unwrap();
    assert_eq!(response.status().as_u16(), 418);
    assert_eq!(response.into_body().collect(99).await.unwrap(), "c\n\nd");
    // One that says nothing is silent, not gone.
    let request = ::http::Request::get("peer://ui/silent").body("").unwrap();
    assert_eq!(node.fetch(request).await.unwrap().status().as_u16(), 504);
    node.close().await;
}

#[tokio::test]
async fn messages_go_from_client_to_client_in_order_and_to_nobody_with_an_error() {
    let stage = Stage::start(PATIENCE).await;
    let (mut left, mut right) = (stage.client("left").await, stage.client("right").await);
    for n in 0..20 {
        let frame =
            format!("topic:/hello\ndst-addr:local:relay:right\ntype:kos.message.request\n\n{n}");
        left.say(&frame).await;
    }
    for n in 0..20 {
        let frame = right.hear_of("kos.message.request").await;
        let got = ["topic", "src-addr"].map(|name| frame.get(name).unwrap());
        assert_eq!(
            (got, frame.body.clone()),
            (["/hello", "local:relay:left"], n.to_string())
        );
    }
    for (to, code) in [
        ("local:relay:nobody", "unknown-name"),
        ("local:relay:0", "refused"),
        ("x:y", "bad-message"),
    ] {
        left.say(&format!("dst-addr:{to}\ntype:kos.message.request\n\n1"))
            .await;
        let error = left.hear_of("kos.error").await;
        assert!(error.body.contains(code), "{to}: {}", error.body);
    }
}

/// A node whose operation ends as it is told.
async fn dispenser(stage: &Stage) -> Node {
    let node = stage.node("dispenser").await;
    node.operation("end", |work| async move {
        let how: Value = work.args()?;
        work.progress(
            Progress::of(0.5)
                .note("half")
                .remaining(Duration::from_millis(700)),
        );
        match how["how"].as_str().unwrap_or_default() {
            "success" => Ok(json!({ "ml": 250 })),
            "fail" => Err(Unsuccessful::Fail {
                reason: "errNotPourable".into(),
                data: Parcel::of(&json!({ "tray": 2 }))?,
            }),
            "abort" => Err(Unsuccessful::Stopped(StopKind::Abort.because("the door"))),
            _ => Err(Unsuccessful::Stopped(work.stopped().await)),
        }
    });
    node
}

const TRACKER: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c";

impl Client {
    async fn start(&mut self, how: &str, tracker: &str) -> Value {
        let body = json!({ "how": how }).to_string();
        let headers = format!("tracker:{tracker}\n");
        let (status, body) = self
            .fetch("POST", "/api/dispenser/end", &headers, &body)
            .await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// What is pushed of a future once this is so.
    async fn future(&mut self, is: impl Fn(&Value) -> bool) -> Value {
        loop {
            let future = self.hear_of("kos.future").await;
            let future: Value = serde_json::from_str(&future.body).unwrap();
            if is(&future) {
                return future;
            }
        }
    }
}

#[tokio::test]
async fn a_future_is_tracked_to_each_of_its_ends() {
    let stage = Stage::start(PATIENCE).await;
    let node = dispenser(&stage).await;
    let mut client = stage.client("ui").await;
    for (n, how, end, reason) in [
        (0, "success", "SUCCESS", Value::Null),
        (1, "fail", "FAIL", json!("errNotPourable")),
        (2, "abort", "ABORT", json!("the door")),
    ] {
        let tracker = format!("{TRACKER}{n}");
        let begun = client.start(how, &tracker).await;
        assert_eq!(begun["tracker"], tracker.as_str());
        let ended = client.future(|f| f["endState"].is_string()).await;
        assert_eq!(
            (&ended["id"], &ended["endState"]),
            (&begun["id"], &json!(end))
        );
        assert_eq!(ended["reason"], reason, "{ended}");
        let progress = if how == "success" { 100 } else { 50 };
        assert_eq!(
            (&ended["progress"], &ended["note"]),
            (&json!(progress), &json!("half"))
        );
    }
    let begun = client.start("wait", &format!("{TRACKER}3")).await;
    let half = client.future(|f| f["progress"] == 50).await;
    assert_eq!(half["remainingTimeMs"], 700);
    let cancel = format!("/api/kos/future/{}/cancel", begun["id"]);
    let mut other = stage.client("other").await;
    assert_eq!(other.fetch("POST", &cancel, "", "").await.0, 403);
    client.ask("POST", &cancel, "ordered:true\n", "").await;
    let ended = client.future(|f| f["endState"].is_string()).await;
    assert_eq!(ended["endState"], "CANCEL", "{ended}");
    let (_, traces) = client.fetch("GET", "/api/kos/future/traces", "", "").await;
    let traces: Value = serde_json::from_str(&traces).unwrap();
    let ends: Vec<_> = traces
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["endState"])
        .collect();
    assert_eq!(ends, ["SUCCESS", "FAIL", "ABORT", "CANCEL"]);
    // Without such an operation, or node.
    let tracker = format!("tracker:{TRACKER}4\n");
    assert_eq!(client.status("/api/nobody/end", &tracker).await, 404);
    assert_eq!(client.status("/api/dispenser/other", &tracker).await, 502);
    assert_eq!(
        client.status("/api/dispenser/end", "tracker:x\n").await,
        400
    );
    node.close().await;
}

#[tokio::test]
async fn who_comes_back_finds_its_future_by_the_tracker() {
    let stage = Stage::start(PATIENCE).await;
    let node = dispenser(&stage).await;
    let mut client = stage.client("ui").await;
    let tracker = format!("{TRACKER}5");
    let begun = client.start("wait", &tracker).await;
    client.socket.close(None).await.unwrap();
    until(async || {
        stage
            .relay
            .peers()
            .iter()
            .all(|peer| peer.name.as_str() != "ui")
    })
    .await;
    let mut back = stage.client("ui").await;
    let again = back.start("wait", &tracker).await;
    assert_eq!(again["id"], begun["id"]);
    back.ask("POST", &format!("/api/kos/future/{tracker}/cancel"), "", "")
        .await;
    let ended = back.future(|f| f["endState"].is_string()).await;
    assert_eq!(ended["endState"], "CANCEL");
    node.close().await;
}

#[tokio::test]
async fn ordered_requests_are_done_in_the_order_in_which_they_were_sent() {
    let stage = Stage::start(PATIENCE).await;
    let node = stage.node("dispenser").await;
    let log = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&log);
    let note = move |request: Request| {
        let log = Arc::clone(&noted);
        async move {
            let what = request.uri().path().to_owned();
            // Some take longer, so that only order keeps them in order.
            let jitter = what.bytes().map(u64::from).sum::<u64>() * 7919 % 5;
            sleep(Duration::from_millis(jitter)).await;
            log.lock().unwrap().push(what);
        }
    };
    node.serve(Router::new().fallback(any(note)));
    let mut client = stage.client("ui").await;
    let expected: Vec<_> = (0..50)
        .flat_map(|n| [format!("/start/{n}"), format!("/stop/{n}")])
        .collect();
    let headers = "dst-addr:local:relay:dispenser\nordered:true\n";
    for path in &expected {
        client.ask("POST", path, headers, "").await;
    }
    for _ in &expected {
        let frame = client.hear_of("kos.http.response").await;
        assert_eq!(frame.get("status"), Some("200"));
    }
    assert_eq!(*log.lock().unwrap(), expected);
    node.close().await;
}

#[tokio::test]
async fn what_is_no_frame_is_answered_and_the_conversation_goes_on() {
    let stage = Stage::start(PATIENCE).await;
    let mut client = stage.client("ui").await;
    let long = format!("type:x\nlong:{}\n\n", "x".repeat(70_000));
    for (frame, code) in [
        ("type:x", "bad-message"),
        ("no colon\n\n", "bad-message"),
        ("type:x\ntype:kos.http.request\n\n", "bad-message"),
        ("{\"type\":", "bad-message"),
        (&*long, "too-large"),
        ("type:nobody.knows\n\n", "unknown-protocol"),
        ("type:kos.http.request\nurl:/\n\n", "bad-message"),
        ("type:kos.broker.send\n\n1", "bad-message"),
        ("type:kos.broker.send\ntopic:/a\n\n{", "bad-message"),
        ("type:kos.broker.subscribe\n\n/a", "bad-message"),
        ("type:kos.addr.alias\nalias:somebody-else\n\n", "refused"),
    ] {
        client.say(frame).await;
        let answer = client.hear().await;
        assert_eq!(answer.kind(), "kos.error", "{frame:?}");
        assert!(answer.body.contains(code), "{frame:?}: {}", answer.body);
    }
    client
        .socket
        .send(Message::Binary(vec![0, 1].into()))
        .await
        .unwrap();
    assert_eq!(client.hear().await.kind(), "kos.error");
    // It is still as good as any. What is in use is no one's twice, and what is given up is nobody's.
    client
        .say("{\"type\":\"kos.http.request\",\"request-id\":7,\"url\":\"/n/ui/x\"}")
        .await;
    let asked = client.hear().await;
    assert_eq!(
        (asked.kind(), asked.get("url")),
        ("kos.http.request", Some("/x"))
    );
    client
        .say("type:kos.http.request\nrequest-id:7\nurl:/healthz\n\n")
        .await;
    assert_eq!(client.hear().await.get("status"), Some("400"));
    client.say("type:kos.http.abort\nrequest-id:7\n\n").await;
    client
        .say("type:kos.http.request\nrequest-id:7\nurl:/healthz\n\n")
        .await;
    assert_eq!(client.hear().await.get("status"), Some("200"));
    // Too much at once is the end of who says it, and of nobody else.
    let mut large = stage.client("large").await;
    let text = format!("type:x\n\n{}", "x".repeat(3 << 20));
    // It may be ended before all of it is said.
    let _ = large.socket.send(Message::Text(text.into())).await;
    until(async || {
        stage
            .relay
            .peers()
            .iter()
            .all(|peer| peer.name.as_str() != "large")
    })
    .await;
    assert_eq!(client.status("/healthz", "").await, 200);
}

#[tokio::test]
async fn it_is_known_where_a_browser_was_sent_last() {
    let stage = Stage::start(PATIENCE).await;
    let mut ui = stage.client("ui").await;
    let mut other = stage.client("other").await;
    let json = "content-type:application/json\n";
    for url in ["/n/a/", "/n/dispenser/"] {
        let to = json!({ "url": url }).to_string();
        let (status, _) = other.fetch("POST", "/api/kos/browser/ui", json, &to).await;
        assert_eq!(status, 200);
        let told = ui.hear_of("kos.message.request").await;
        assert_eq!(told.get("topic"), Some("/kos/browser/url"));
        assert!(told.body.contains(url), "{told}");
    }
    let to = json!({ "url": "javascript:alert(1)" }).to_string();
    let (status, _) = other.fetch("POST", "/api/kos/browser/ui", json, &to).await;
    assert_eq!(status, 400);
    let (_, told) = other.fetch("GET", "/api/kos/browser", "", "").await;
    let told: Vec<Value> = serde_json::from_str(&told).unwrap();
    let mut last: Vec<_> = told.iter().map(|browser| &browser["lastUrl"]).collect();
    last.sort_by_key(|url| url.is_null());
    assert_eq!(last, [&json!("/n/dispenser/"), &Value::Null]);
}

#[tokio::test]
async fn clocks_of_nodes_are_compared() {
    let stage = Stage::start(PATIENCE).await;
    let node = stage.node("dispenser").await;
    let mut client = stage.client("ui").await;
    let offset = stage.relay.clock().offset("dispenser").await.unwrap();
    // It is the same clock.
    assert!(offset.ms.abs() <= offset.error_ms, "{offset:?}");
    let (_, told) = client.fetch("GET", "/api/v1/time", "", "").await;
    let told: Value = serde_json::from_str(&told).unwrap();
    let of = |name: &str| {
        let mut nodes = told["nodes"].as_array().unwrap().iter();
        nodes.find(|node| node["name"] == name).unwrap()["offset_ms"].clone()
    };
    assert!(of("dispenser").is_f64() && of("ui").is_null(), "{told}");
    node.close().await;
}
