//! What a page is told of its node's links, and how it ends and makes them, in a real browser.

use peerage_tests::{Browsers, Tab, serve};
use serde_json::{Value, json};

/// Keeps all that is told of connections.
const LISTEN: &str = "window.told = [];
    peerage.addEventListener('connection', e => told.push(e.detail)); return 0";

/// What a promise comes to: `null`, or the failure's code.
async fn outcome(tab: &Tab, promise: &str) -> Value {
    let script = format!("{promise}.then(() => arguments[0](null), e => arguments[0](e.code))");
    tab.wait_for(&script, vec![]).await
}

/// Waits until a link has been told of by these words.
async fn until_told(tab: &Tab, by: &str, change: &str, reason: &str) {
    let words = format!("e.by === '{by}' && e.change === '{change}' && e.reason === {reason}");
    // The page shows what was told instead.
    let show = "document.body.innerText = JSON.stringify(told);";
    tab.until(&format!("{show} return told.some(e => {words})"))
        .await;
}

#[tokio::test]
async fn a_page_sees_its_links_and_ends_one_which_both_sides_are_told_of() {
    let browsers = Browsers::start().await;
    let (relay, page) = serve::joining().await;
    let left = browsers.open(&format!("{page}left")).await;
    left.ask(LISTEN).await;
    let right = browsers.open(&format!("{page}right")).await;
    right.ask(LISTEN).await;
    left.until_path("right", "direct").await;
    until_told(&left, "webrtc", "connected", "undefined").await;

    let up = left
        .ask("return peerage.connections().find(c => c.by === 'websocket')")
        .await;
    for (key, value) in [
        ("address", json!(relay.mesh())),
        ("origin", json!("dialled")),
        ("state", json!("connected")),
    ] {
        assert_eq!(up[key], value, "{up}");
    }
    for key in ["age", "bytesIn", "bytesOut"] {
        assert!(up[key].as_f64() > Some(0.0), "{key} of {up}");
    }
    let id = right.ask("return peerage.id").await;
    let direct = left
        .ask("return peerage.connections().filter(c => c.by === 'webrtc')")
        .await;
    assert_eq!(direct.as_array().map(Vec::len), Some(1), "{direct}");
    let direct = &direct[0];
    assert_eq!(
        [&direct["node"], &direct["origin"], &direct["state"]],
        [&id, &json!("direct"), &json!("connected")]
    );

    assert_eq!(
        outcome(&left, "peerage.disconnect('right')").await,
        json!(null)
    );
    until_told(&left, "webrtc", "disconnected", "'cancelled'").await;
    until_told(&right, "webrtc", "disconnected", "'cancelled'").await;
    left.until_path("right", "relayed").await;
    let said = json!({ "status": 0, "output": "3" });
    assert_eq!(left.run("calc 1+2 @right").await, said);
    assert_eq!(right.run("calc 1+2 @left").await, said);
    for (target, code) in [
        ("right", "unreachable"),
        ("left", "refused"),
        ("nobody", "unknown-name"),
    ] {
        let promise = format!("peerage.disconnect('{target}')");
        assert_eq!(outcome(&left, &promise).await, json!(code), "{target}");
    }
}

#[tokio::test]
async fn a_page_leaves_its_relay_by_hand_and_calls_it_again_and_hears_of_what_fails() {
    let browsers = Browsers::start().await;
    let (mut relay, page) = serve::joining().await;
    let tab = browsers.open(&format!("{page}tab")).await;
    tab.ask(LISTEN).await;
    assert_eq!(
        outcome(&tab, "peerage.disconnect('relay')").await,
        json!(null)
    );
    tab.until("return peerage.state === 'offline'").await;
    until_told(&tab, "websocket", "disconnected", "'cancelled'").await;
    relay.until_here("tab", false).await;

    tab.ask("window.told.length = 0; return 0").await;
    let call = format!("peerage.connect('{}')", relay.mesh());
    assert_eq!(outcome(&tab, &call).await, json!(null));
    tab.until_online().await;
    until_told(&tab, "websocket", "connected", "undefined").await;
    assert_eq!(tab.run("calc 1+2 @relay").await["output"], "3");

    // Nobody is there; what is secret in the address is not shown.
    let call = "peerage.connect('ws://127.0.0.1:9/mesh?token=hush')";
    assert_eq!(outcome(&tab, call).await, json!("unreachable"));
    tab.until(
        "return told.some(e => e.change === 'failed' && e.address === 'ws://127.0.0.1:9/mesh')",
    )
    .await;
    let failed = "c => c.state === 'failed' && c.address === 'ws://127.0.0.1:9/mesh'";
    tab.until(&format!("return peerage.connections().some({failed})"))
        .await;
    let shown = tab
        .ask("return JSON.stringify([told, peerage.connections()])")
        .await;
    assert!(!shown.to_string().contains("hush"), "{shown}");
    assert_eq!(tab.ask("return peerage.state").await, json!("online"));

    relay.kill();
    tab.until(
        "return told.some(e => e.by === 'websocket' && ['lost', 'timeout'].includes(e.change))",
    )
    .await;
    tab.until("return peerage.state === 'offline'").await;
    tab.until("return peerage.connections().every(c => c.state !== 'connected')")
        .await;
}
