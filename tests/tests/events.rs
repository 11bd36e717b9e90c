//! Browsers of KOS at `/events`: a client that was written from the reference, in a real page, against our relay.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Html;
use axum::routing::{any, get, post};
use peerage::rpc::Parcel;
use peerage::service::operation::{Progress, StopKind, Unsuccessful};
use peerage_relay::Node;
use peerage_tests::{Browsers, Relay, Tab, join, serve, until};
use serde_json::{Value, json};

#[path = "events/frames.rs"]
mod frames;
#[path = "events/futures.rs"]
mod futures;

/// A relay, and a page of KOS that is served from elsewhere.
struct Stage {
    relay: Relay,
    tab: Tab,
    _browsers: Browsers,
}

impl Stage {
    async fn start(events: Value) -> Self {
        let (site, listener) = serve::bind().await;
        let relay = Relay::configured(&json!({ "origins": [&site], "events": events }));
        let page = async || Html("<!doctype html><title>kos</title>");
        let page = Router::new().route("/", get(page));
        tokio::spawn(async move { axum::serve(listener, page).await });
        let browsers = Browsers::start().await;
        let tab = browsers.show(&site).await;
        tab.ask(include_str!("events/kos.js")).await;
        let open = format!(
            "window.open = (alias, reader) => new Kos('ws://{}/events', alias, reader).opened; return 0",
            relay.address
        );
        tab.ask(&open).await;
        Self {
            relay,
            tab,
            _browsers: browsers,
        }
    }

    /// What an async function of the page returns, or throws.
    async fn given(&self, body: &str) -> Value {
        let script = format!(
            "(async () => {{ {body} }})().then(arguments[0], e => arguments[0](String(e.stack ?? e)))"
        );
        self.tab.wait_for(&script, vec![]).await
    }

    /// A client of this alias, which the page knows as `name`.
    async fn client(&self, name: &str, alias: &str) {
        let open = format!("window.{name} = await open('{alias}'); return 0");
        assert_eq!(self.given(&open).await, json!(0));
        self.relay.until_here(alias, true).await;
    }
}

/// A node that says what it was asked by HTTP.
async fn echoing(relay: &Relay, name: &str) -> Node {
    let node = join(relay, name).await;
    let echo = async |request: Request| {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let kind = head.headers.get("content-type").cloned();
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert("content-type", kind);
        }
        headers.insert("x-method", head.method.as_str().parse().unwrap());
        headers.insert("x-url", head.uri.to_string().parse().unwrap());
        (headers, body)
    };
    let sleep = async || {
        tokio::time::sleep(Duration::from_secs(600)).await;
        Bytes::new()
    };
    node.serve(
        Router::new()
            .route("/blank", get(async || "line1\n\nline2\n\n"))
            .route("/silent", get(sleep))
            .fallback(any(echo)),
    );
    node
}

#[tokio::test]
async fn a_client_is_a_node_by_its_alias_until_it_goes() {
    let stage = Stage::start(json!({})).await;
    stage.client("left", "screen-left").await;
    let (_, nodes) = stage.relay.get("/api/v1/nodes", "").await;
    assert!(nodes.contains(r#""kind":"client""#), "{nodes}");
    stage
        .tab
        .until("return left.address === 'local:relay:screen-left'")
        .await;

    let again = stage.given("const again = await open('screen-left'); \
        while (!again.address) await new Promise(done => setTimeout(done, 20)); return again.address");
    assert_eq!(again.await, "local:relay:screen-left-2");
    stage.tab.ask("left.socket.close(); return 0").await;
    stage.relay.until_here("screen-left", false).await;
    let stamped = stage.given("window.stamped = await open('ui-{{TIMESTAMP}}'); \
        while (!stamped.address) await new Promise(done => setTimeout(done, 20)); return stamped.address");
    let stamped = stamped.await;
    let stamp = stamped
        .as_str()
        .unwrap()
        .strip_prefix("local:relay:ui-")
        .unwrap();
    assert!(stamp.parse::<u64>().is_ok(), "{stamped}");
}

#[tokio::test]
async fn a_client_asks_the_relay_and_any_node_by_http() {
    let stage = Stage::start(json!({ "requestTimeoutMs": 1500 })).await;
    let node = echoing(&stage.relay, "dispenser").await;
    stage.client("kos", "ui").await;
    let names = "const { status, text } = await kos.fetch('/api/kos/node');
        return [status, JSON.parse(text).map(node => node.id).sort()]";
    assert_eq!(stage.given(names).await, json!([200, ["dispenser", "ui"]]));

    let to = "const to = 'local:relay:dispenser';";
    let posted = format!(
        "{to} const body = 'a: b\\n\\nc\\n\\n'; const r = await kos.fetch('/x/y?z=1', {{ method: 'PUT', body, to,
            headers: {{ 'Content-Type': 'text/x' }} }});
        return [r.status, r.text === body, r.headers['x-method'], r.headers['x-url'], r.headers['content-type']]"
    );
    assert_eq!(
        stage.given(&posted).await,
        json!([200, true, "PUT", "/x/y?z=1", "text/x"])
    );
    let bytes = format!(
        "{to} const r = await kos.fetch('/', {{ method: 'POST', body: new Uint8Array([0, 255, 10, 10, 7]), to }});
        return [r.headers['content-encoding'], r.bytes]"
    );
    assert_eq!(
        stage.given(&bytes).await,
        json!(["base64", [0, 255, 10, 10, 7]])
    );
    let form = format!(
        "{to} const body = JSON.stringify({{ fields: {{ a: '1\\n\\n2' }}, files: [] }});
        const r = await kos.fetch('/', {{ method: 'POST', body, to,
            headers: {{ 'content-type': 'multipart/form-data', 'content-encoding': 'json' }} }});
        const form = await new Response(r.text, {{ headers: {{ 'content-type': r.headers['content-type'] }} }}).formData();
        return [...form]"
    );
    assert_eq!(stage.given(&form).await, json!([["a", "1\n\n2"]]));
    // By the application's name, and by the address of HTTP.
    let by_name = "return [(await kos.fetch('/api/dispenser/x')).headers['x-url'],
        (await kos.fetch('/n/dispenser/y')).headers['x-url'], (await kos.fetch('/', { to: 'dispenser' })).status]";
    assert_eq!(
        stage.given(by_name).await,
        json!(["/api/dispenser/x", "/y", 200])
    );
    // Who cuts frames at every empty line still gets the whole body.
    let old = "window.old = await open('old', readAsBefore);
        const r = await old.fetch('/blank', { to: 'local:relay:dispenser' }); return r.text";
    assert_eq!(stage.given(old).await, "line1\n\nline2\n\n");

    let missing = "const status = async (url, to) => (await kos.fetch(url, { to })).status;
        return [await status('/', 'local:relay:nobody'), await status('/', 'elsewhere:relay:dispenser'),
            await status('/', 'local:nobody:dispenser'), await status('/', 'a:b'), await status('/api/nobody/x'),
            await status('/silent', 'local:relay:dispenser')]";
    assert_eq!(
        stage.given(missing).await,
        json!([404, 404, 404, 400, 404, 404])
    );
    node.close().await;
}

#[tokio::test]
async fn topics_come_with_the_filter_that_meant_them_to_all_but_their_publisher() {
    let stage = Stage::start(json!({})).await;
    let node = join(&stage.relay, "dispenser").await;
    stage.client("left", "left").await;
    stage.client("right", "right").await;
    let heard = "window.heard = [];
        left.subscribe(['/app/state', '/user/*'], m => heard.push([m.topic, m.value]));
        await left.fetch('/api/kos/time');
        left.publish('/user/left', 'own');
        right.publish('/user/a/b', { ice: true }); right.publish('/other', 1); right.publish('/app/state', [1, '\\n\\n']);
        right.publish('/user/none');
        while (heard.length < 3) await new Promise(done => setTimeout(done, 20));
        return heard";
    // Each filter has its own order.
    let heard = stage.given(heard).await;
    let heard = heard.as_array().unwrap();
    let by_filter = |begin: &str| {
        let own = |told: &&Value| {
            told[0]
                .as_str()
                .is_some_and(|topic| topic.starts_with(begin))
        };
        Value::from_iter(heard.iter().filter(own).cloned())
    };
    assert_eq!(by_filter("/app/"), json!([["/app/state", [1, "\n\n"]]]));
    assert_eq!(
        by_filter("/user/"),
        json!([["/user/a/b", { "ice": true }], ["/user/none", null]])
    );
    let both = "const frame = left.frames.find(frame => frame.includes('topic:/user/a/b'));
        return ['type:kos.broker.send', 'subscription:/user/*', 'src-addr:local:relay:right'].every(line => frame.includes(line + '\\n'))";
    assert_eq!(stage.given(both).await, json!(true));

    // Nodes of the mesh are in it as any, and a broker may be another's.
    node.publish("/user/node", &7).await.unwrap();
    stage
        .tab
        .until("return heard.some(([topic, value]) => topic === '/user/node' && value === 7)")
        .await;
    stage.tab.ask("window.there = []; right.subscribe(['/d/*'], m => there.push(m.value), 'local:relay:dispenser'); return 0").await;
    let at = peerage::service::broker::Publish {
        at: Some("dispenser".into()),
        ..Default::default()
    };
    let other = join(&stage.relay, "other").await;
    until("it is subscribed there", async || {
        let published = other
            .topics()
            .publish("/d/x", &"there", at.clone())
            .unwrap();
        published.await.unwrap();
        stage.tab.ask("return there.length > 0").await == json!(true)
    })
    .await;

    let quiet = "left.unsubscribe(['/user/*']); await left.fetch('/api/kos/time'); const before = heard.length;
        right.publish('/user/late', 1); right.publish('/app/state', 'last');
        while (heard.at(-1)[1] !== 'last') await new Promise(done => setTimeout(done, 20));
        return heard.length - before";
    assert_eq!(stage.given(quiet).await, json!(1));
}

#[tokio::test]
async fn a_client_serves_and_messages_go_from_one_to_another() {
    let stage = Stage::start(json!({ "requestTimeoutMs": 1500 })).await;
    let node = join(&stage.relay, "other").await;
    stage.client("left", "left").await;
    stage.client("right", "right").await;
    let serve = "left.serve(async ({ headers, body }) => headers.url === '/silent' ? undefined
        : ({ status: headers.url === '/teapot' ? 418 : 200, body: JSON.stringify([headers.method, headers.url, headers['src-addr'], body]) }));
        return 0";
    stage.tab.ask(serve).await;
    let by_client = "const r = await right.fetch('/x?y', { method: 'POST', body: 'a\\n\\nb', to: left.address });
        return [r.status, JSON.parse(r.text), (await right.fetch('/silent', { to: left.address })).status]";
    assert_eq!(
        stage.given(by_client).await,
        json!([200, ["POST", "/x?y", "local:relay:right", "a\n\nb"], 404])
    );
    let request = Request::get("peer://left/teapot");
    let request = request
        .header("subscription", "/forged")
        .body(peerage::http::Body::empty());
    let response = node.fetch(request.unwrap()).await.unwrap();
    assert_eq!(response.status().as_u16(), 418);
    let body = response.into_body().collect(1 << 16).await.unwrap();
    assert_eq!(body, r#"["GET","/teapot","local:relay:other",""]"#);
    let forged = "return left.frames.some(frame => frame.includes('/forged'))";
    assert_eq!(stage.tab.ask(forged).await, json!(false));
    let (status, body) = stage.relay.get("/n/left/page", "").await;
    assert_eq!(status, 200, "{body}");

    let told = "right.message(left.address, '/hello', { n: 1 }); right.message(left.address, '/hello', { n: 2 });
        while (left.messages.length < 2) await new Promise(done => setTimeout(done, 20));
        return left.messages.map(({ headers, body }) => [headers.topic, headers['src-addr'], JSON.parse(body)])";
    assert_eq!(
        stage.given(told).await,
        json!([["/hello", "local:relay:right", { "n": 1 }], ["/hello", "local:relay:right", { "n": 2 }]])
    );
    let unknown = "for (const to of ['local:relay:nobody', 'local:relay:0', 'x:y']) right.message(to, '/hello', 1);
        while (right.errors.length < 3) await new Promise(done => setTimeout(done, 20));
        return right.errors.map(error => error.code).sort()";
    assert_eq!(
        stage.given(unknown).await,
        json!(["bad-message", "refused", "unknown-name"])
    );
    node.close().await;
}

#[tokio::test]
async fn who_asks_for_a_nodes_page_is_sent_to_where_it_is() {
    let relay = Relay::start("127.0.0.1:0");
    let node = echoing(&relay, "dispenser-left").await;
    let go = async |path: &str| relay.get(path, "").await.0;
    assert_eq!(go("/go/dispenser-left/x/y?z").await, 302);
    assert_eq!(go("/n/dispenser-left/x/y?z").await, 200);
    assert_eq!(go("/go/nobody/").await, 404);
    node.close().await;
    relay.until_here("dispenser-left", false).await;
    assert_eq!(go("/go/dispenser-left/").await, 503);
}

#[tokio::test]
async fn a_page_goes_where_it_is_sent_within_its_origin_unless_it_does_not_want_to() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let left = browsers.open(&relay.console("left")).await;
    let right = browsers.open(&relay.console("right")).await;
    left.until("return peerage.peers().some(p => p.name === 'right')")
        .await;
    let send = async |url: &str| {
        let script = "const [url, done] = arguments; peerage.navigate('right', url).then(r => done(r.status))";
        left.wait_for(script, vec![json!(url)]).await
    };
    assert_eq!(send("http://evil.example/").await, json!(126));
    assert_eq!(send("javascript:alert(1)").await, json!(2));
    right
        .ask(
            "peerage.addEventListener('navigate', e => {
                window.told = [e.detail.url, e.detail.caller?.name];
                if (e.detail.url.endsWith('/kept')) e.preventDefault();
            }); return 0",
        )
        .await;
    assert_eq!(send("/kept").await, json!(0));
    let told = right.ask("return told").await;
    assert_eq!(told, json!([relay.page("kept"), "left"]));
    assert_eq!(send("/pour/").await, json!(0));
    right.until("return location.pathname === '/pour/'").await;
}
