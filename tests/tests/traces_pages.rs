//! A trace that begins in a page: its spans go to its relay, which tells the collector.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use peerage_tests::adapter::Adapter;
use peerage_tests::collector::{Collector, attribute};
use peerage_tests::{Browsers, Relay, serve};
use serde_json::json;

/// A page whose node traces its calls.
fn page(relay: &Relay) -> String {
    format!(
        "<!doctype html><script type=module>
        import init, {{ Node }} from './peerage.js';
        await init();
        window.peerage = await Node.join({{ relay: '{}', name: 'tab', traces: true }});
        </script>",
        relay.mesh()
    )
}

const POURED: &str = "peerage.start('dispenser', 'pour', { ml: 1 }).result.then(
    poured => arguments[0](poured.ml), error => arguments[0](error.message))";

#[tokio::test]
async fn one_trace_follows_an_operation_from_a_tab_through_the_relay_to_the_adapter() {
    let collector = Collector::start().await;
    let (site, listener) = serve::bind().await;
    let mut relay = Relay::configured(&json!({
        "origins": [&site],
        "adapters": { "listen": "127.0.0.1:0" },
        "traces": { "otlp": collector.address },
    }));
    let adapters = relay.adapters();
    serve::run(listener, &page(&relay));
    let traces = collector.address.as_str();
    let adapter = Adapter::start(&["dispenser", "--connect", &adapters, "--traces", traces]);
    adapter.until_said("linked: dispenser").await;
    let browsers = Browsers::start().await;
    let tab = browsers.open(&site).await;
    tab.until("return window.peerage?.peers().some(p => p.name === 'dispenser')")
        .await;
    assert_eq!(tab.wait_for(POURED, vec![]).await, json!(1));
    let chain = collector.chain("pour", 3).await;
    let told: Vec<_> = chain
        .iter()
        .map(|span| {
            let node = attribute(&span.attributes, "peerage.node").unwrap();
            (span.name.as_str(), span.kind(), node)
        })
        .collect();
    let step = |name, kind, node: &str| (name, kind, node.to_owned());
    let expected = [
        step("pour", SpanKind::Client, "tab"),
        step("pour", SpanKind::Server, "dispenser"),
        step("adapter Dispenser.pour", SpanKind::Server, "dispenser"),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_tab_whose_relay_exports_no_traces_calls_as_ever() {
    let (site, listener) = serve::bind().await;
    let mut relay = Relay::configured(&json!({
        "origins": [&site],
        "adapters": { "listen": "127.0.0.1:0" },
    }));
    let adapters = relay.adapters();
    serve::run(listener, &page(&relay));
    let adapter = Adapter::start(&["dispenser", "--connect", &adapters]);
    adapter.until_said("linked: dispenser").await;
    let browsers = Browsers::start().await;
    let tab = browsers.open(&site).await;
    tab.until("return window.peerage?.peers().some(p => p.name === 'dispenser')")
        .await;
    for _ in 0..3 {
        assert_eq!(tab.wait_for(POURED, vec![]).await, json!(1));
    }
}
