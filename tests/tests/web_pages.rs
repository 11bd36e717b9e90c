//! HTTP of tabs: they serve, and they ask; and a browser that knows nothing of the mesh opens a tab's site.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{any, get};
use peerage_relay::Node;
use peerage_tests::{Browsers, Relay, Tab, join};
use serde_json::{Value, json};

/// What an asynchronous function of this body returns, or the `code` and `name` of its failure.
async fn result(tab: &Tab, body: &str) -> Value {
    let script = format!(
        "const done = arguments[arguments.length - 1];
        (async () => {{ {body} }})().then(done, e => done({{ code: e.code, name: e.name, message: e.message }}));"
    );
    tab.wait_for(&script, vec![]).await
}

/// A tab that serves.
async fn serving(browsers: &Browsers, relay: &Relay) -> Tab {
    let tab = browsers.open(&relay.console("tab")).await;
    tab.ask(
        r#"window.gone = 0;
        const page = `<!doctype html><title>Site</title><link rel=stylesheet href="style.css">
            <h1>A tab's site</h1><img src="dot.svg" onload="document.title = 'Seen'">
            <a href="second?x=1">second</a><form method=post action="form"><input name=a value=b><button>Go</button></form>`;
        const html = { headers: { 'content-type': 'text/html' } };
        const endless = () => new ReadableStream({ async pull(c) { await new Promise(r => setTimeout(r, 10)); c.enqueue(new Uint8Array(1000)); } });
        peerage.serve(async (request, { peer, headers }) => {
            const url = new URL(request.url);
            switch (url.pathname) {
                case '/': return new Response(page, html);
                case '/style.css': return new Response('h1 { color: rgb(1, 2, 3) }', { headers: { 'content-type': 'text/css' } });
                case '/dot.svg': return new Response('<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"/>',
                    { headers: { 'content-type': 'image/svg+xml' } });
                case '/second': return new Response(`<p id=said>second ${url.search}</p>`, html);
                case '/form': return new Response(`<p id=said>${request.method} ${await request.text()}</p>`, html);
                case '/echo': return new Response(request.body, { headers: { 'x-a': request.headers.get('x-a') ?? '', 'x-cookie': headers.get('cookie') ?? '' } });
                case '/who': return new Response(`${peer.name} ${request.method} ${request.url}`);
                case '/move': return Response.redirect ? new Response(null, { status: 302, headers: { location: '/who' } }) : 0;
                case '/none': return new Response(null, { status: 204 });
                case '/throws': throw new Error('hush');
                case '/odd': return 7;
                case '/endless': request.signal.addEventListener('abort', () => gone++); return new Response(endless());
                case '/silent': request.signal.addEventListener('abort', () => gone++); return new Promise(() => {});
                default: return new Response('none', { status: 404 });
            }
        });
        return 0"#,
    )
    .await;
    tab
}

async fn curl(args: &[&str]) -> String {
    let output = tokio::process::Command::new("curl")
        .args(args)
        .output()
        .await
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_tab_is_a_web_server_to_programs_and_to_other_tabs() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let _tab = serving(&browsers, &relay).await;
    let url = |path: &str| format!("http://{}/n/tab{path}", relay.address);
    assert_eq!(
        curl(&["-s", &url("/who?x=1")]).await,
        "relay GET peer://tab/who?x=1"
    );
    let echo = url("/echo");
    let echoed = curl(&[
        "-s",
        "-i",
        "-H",
        "x-a: 1",
        "-H",
        "cookie: tab~c=d; other=1",
        "-d",
        "body\r\n\r\n",
        &echo,
    ])
    .await;
    assert!(echoed.ends_with("\r\n\r\nbody\r\n\r\n"), "{echoed}");
    assert!(
        echoed.contains("x-a: 1\r\n") && echoed.contains("x-cookie: c=d\r\n"),
        "{echoed}"
    );
    let status =
        async |path: &str| curl(&["-s", "-o", "/dev/null", "-w", "%{http_code}", &url(path)]).await;
    assert_eq!(status("/none").await, "204");
    assert_eq!(status("/nowhere").await, "404");
    assert_eq!(status("/throws").await, "500");
    assert_eq!(status("/odd").await, "500");
    assert!(!curl(&["-s", &url("/throws")]).await.contains("hush"));
    assert_eq!(
        curl(&["-s", "-L", &url("/move")]).await,
        "relay GET peer://tab/who"
    );
    let trace = curl(&[
        "-s",
        "-X",
        "TRACE",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        &url("/who"),
    ])
    .await;
    assert_eq!(trace, "501");
    let head = curl(&[
        "-s",
        "-I",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        &url("/who"),
    ])
    .await;
    assert_eq!(head, "200");
}

#[tokio::test]
async fn a_tab_knows_when_a_caller_goes_and_streams_at_the_callers_pace() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let tab = serving(&browsers, &relay).await;
    let url = |path: &str| format!("http://{}/n/tab{path}", relay.address);
    // Who goes away is noticed by the page, before the response and in its middle.
    for (path, count) in [("/silent", 1), ("/endless", 2)] {
        curl(&["-s", "-m", "1", "-o", "/dev/null", &url(path)]).await;
        tab.until(&format!("return gone === {count}")).await;
    }

    // 30 MB up and down, in pieces, at the pace of whoever reads.
    let large = format!(
        "head -c 30000000 /dev/zero | curl -s -T - -X POST {} | wc -c",
        url("/echo")
    );
    let output = tokio::process::Command::new("sh")
        .args(["-c", &large])
        .output()
        .await
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "30000000");

    let other = browsers.open(&relay.console("other")).await;
    let asked = "const r = await peerage.fetch('peer://tab/who'); return [r.status, r.ok, r instanceof Response, await r.text()]";
    assert_eq!(
        result(&other, asked).await,
        json!([200, true, true, "other GET peer://tab/who"])
    );
    let itself = "return await (await peerage.fetch('peer://tab/who')).text()";
    assert_eq!(result(&tab, itself).await, json!("tab GET peer://tab/who"));
}

/// A native node that serves.
async fn native(relay: &Relay) -> Node {
    let native = join(relay, "native").await;
    let site = Router::new()
        .route(
            "/mirror",
            any(|request: axum::extract::Request| async {
                axum::response::Response::new(request.into_body())
            }),
        )
        .route(
            "/type",
            any(|headers: HeaderMap| async move {
                format!("{:?} {:?}", headers.get("content-type"), headers.get("x-a"))
            }),
        )
        .route("/none", get(|| async { StatusCode::NOT_MODIFIED }))
        .route("/silent", get(std::future::pending::<()>));
    native.serve(site);
    native
}

#[tokio::test]
async fn a_tab_asks_native_nodes_as_fetch_does() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let _native = native(&relay).await;
    let tab = browsers.open(&relay.console("tab")).await;
    tab.ask(
        "window.send = async (body, more) => (await peerage.fetch('peer://native/mirror', { method: 'POST', body, ...more })).text(); return 0",
    )
    .await;
    for (body, expected) in [
        ("'text'", "text"),
        ("new Uint8Array([97, 98])", "ab"),
        ("new Blob(['blob'])", "blob"),
        ("new URLSearchParams({ a: 'b c' })", "a=b+c"),
        (
            "new ReadableStream({ start(c) { c.enqueue(new Uint8Array([99])); c.close(); } })",
            "c",
        ),
    ] {
        let sent = format!("return await send({body})");
        assert_eq!(result(&tab, &sent).await, json!(expected), "{body}");
    }
    let form = "const f = new FormData(); f.append('a', 'b'); const t = await send(f); return t.includes('name=\"a\"')";
    assert_eq!(result(&tab, form).await, json!(true));
    let request = "return await (await peerage.fetch(new Request('peer://native/type', { method: 'POST', headers: { 'x-a': '1' }, body: 'x' }))).text()";
    let told = result(&tab, request).await;
    assert_eq!(
        told,
        json!("Some(\"text/plain;charset=UTF-8\") Some(\"1\")")
    );
    let none = "const r = await peerage.fetch('peer://native/none'); return [r.status, r.body]";
    assert_eq!(result(&tab, none).await, json!([304, null]));
    let large = "const n = 3000000; const r = await send(new Uint8Array(n).fill(97)); return r.length === n";
    assert_eq!(result(&tab, large).await, json!(true));
}

#[tokio::test]
async fn a_tabs_request_fails_with_a_reason_of_its_own() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let _native = native(&relay).await;
    let tab = browsers.open(&relay.console("tab")).await;
    let aborted = "const c = new AbortController(); setTimeout(() => c.abort(), 100);
        return await peerage.fetch('peer://native/silent', { signal: c.signal })";
    assert_eq!(result(&tab, aborted).await["name"], "AbortError");
    let late =
        "return await peerage.fetch('peer://native/silent', { signal: AbortSignal.abort() })";
    assert_eq!(result(&tab, late).await["name"], "AbortError");
    for (call, code) in [
        ("peerage.fetch('peer://nobody/')", "unknown-name"),
        ("peerage.fetch('peer://tab/')", "unknown-protocol"),
        ("peerage.fetch('http://native/')", "bad-message"),
        ("peerage.fetch('native')", "bad-message"),
        (
            "peerage.fetch('peer://native/', { mode: 'cors' })",
            "bad-message",
        ),
        ("(async () => peerage.serve(7))()", "bad-message"),
    ] {
        let failure = result(&tab, &format!("return await {call}")).await;
        assert_eq!(failure["code"], code, "{call}: {failure}");
    }
}

#[tokio::test]
async fn an_ordinary_browser_opens_a_tabs_site() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let _tab = serving(&browsers, &relay).await;
    // Its own console serves as the page that it begins with.
    let visitor = browsers.open(&relay.console("visitor")).await;
    let site = format!("http://{}/n/tab", relay.address);
    visitor.client.goto(&site).await.unwrap();
    visitor.until("return document.title === 'Seen'").await;
    let seen = visitor
        .ask("return [location.pathname, getComputedStyle(document.querySelector('h1')).color, document.images[0].width]")
        .await;
    assert_eq!(seen, json!(["/n/tab/", "rgb(1, 2, 3)", 7]));
    // What the console keeps is not the site's to read.
    let kept = visitor
        .ask("try { return sessionStorage.length } catch (e) { return e.name }")
        .await;
    assert_eq!(kept, json!("SecurityError"));
    visitor
        .ask("document.querySelector('a').click(); return 0")
        .await;
    visitor
        .until("return document.querySelector('#said')?.textContent === 'second ?x=1'")
        .await;
    visitor.client.back().await.unwrap();
    visitor
        .until("return !!document.querySelector('button')")
        .await;
    visitor
        .ask("document.querySelector('button').click(); return 0")
        .await;
    visitor
        .until("return document.querySelector('#said')?.textContent === 'POST a=b'")
        .await;
}
