//! One trace follows a call from whoever makes it, through the relay, to the hardware: told to a collector by OTLP.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode as Outcome};
use peerage::service::operation::Options;
use peerage::{Config, Kind};
use peerage_relay::Node;
use peerage_relay::trace::Traces;
use peerage_tests::adapter::Adapter;
use peerage_tests::collector::{Collector, attribute};
use peerage_tests::{Relay, until};
use serde_json::{Value, json};

/// Name, kind, and node of each.
fn told(chain: &[Span]) -> Vec<(&str, SpanKind, String)> {
    chain
        .iter()
        .map(|span| {
            let node = attribute(&span.attributes, "peerage.node").unwrap();
            (span.name.as_str(), span.kind(), node)
        })
        .collect()
}

fn step(name: &str, kind: SpanKind, node: &str) -> (String, SpanKind, String) {
    (name.to_owned(), kind, node.to_owned())
}

#[track_caller]
fn assert_told(chain: &[Span], expected: &[(String, SpanKind, String)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, kind, node)| (name.as_str(), *kind, node.clone()))
        .collect();
    assert_eq!(told(chain), expected);
    for pair in chain.windows(2) {
        assert!(pair[0].start_time_unix_nano <= pair[0].end_time_unix_nano);
        assert!(pair[0].start_time_unix_nano <= pair[1].start_time_unix_nano);
    }
}

/// A relay and a dispenser, which tell a collector of traces.
struct Stage {
    collector: Collector,
    relay: Relay,
    _dispenser: Adapter,
}

impl Stage {
    async fn set() -> Self {
        let collector = Collector::start().await;
        let mut relay = Relay::configured(&json!({
            "adapters": { "listen": "127.0.0.1:0" },
            "traces": { "otlp": collector.address, "headers": { "x-key": "open" } },
        }));
        let dispenser = Adapter::start(&[
            "dispenser",
            "--connect",
            &relay.adapters(),
            "--rate",
            "200",
            "--traces",
            &collector.address,
        ]);
        dispenser.until_said("linked: dispenser").await;
        relay.until_here("dispenser", true).await;
        Self {
            collector,
            relay,
            _dispenser: dispenser,
        }
    }

    /// A node that keeps this share of its traces, and tells whoever is at the address `otlp` of them.
    async fn caller(&self, otlp: &str, ratio: f64) -> (Node, Arc<Traces>) {
        let group = json!({ "otlp": otlp, "ratio": ratio });
        let traces = Traces::open(&serde_json::from_value(group).unwrap()).unwrap();
        let mut config = Config::new(Kind::Native).named("caller".parse().unwrap());
        config.tracer = Some(traces.clone());
        let node = Node::join(config, vec![self.relay.mesh().parse().unwrap()]);
        (node.await.unwrap(), traces)
    }
}

#[tokio::test]
async fn one_trace_follows_an_operation_from_its_caller_through_the_relay_to_the_adapter() {
    let stage = Stage::set().await;
    let collector = &stage.collector;
    let (node, _traces) = stage.caller(&collector.address, 1.0).await;
    let poured = node.start("dispenser", "pour", &json!({ "ml": 1 }), Options::default());
    assert_eq!(poured.value::<Value>().await.unwrap(), json!({ "ml": 1.0 }));
    let chain = collector.chain("pour", 3).await;
    assert_told(
        &chain,
        &[
            step("pour", SpanKind::Client, "caller"),
            step("pour", SpanKind::Server, "dispenser"),
            step("adapter Dispenser.pour", SpanKind::Server, "dispenser"),
        ],
    );
    let caller = attribute(&chain[1].attributes, "peerage.peer");
    assert_eq!(caller, Some(node.id().to_string()));
    let failed = |span: &Span| span.status.as_ref().map(|status| status.code());
    assert!(
        chain
            .iter()
            .all(|span| failed(span) != Some(Outcome::Error))
    );
    let services = collector.services.lock().unwrap().clone();
    assert!(services.iter().all(|service| service == "peerage"));
    let keys = collector.keys.lock().unwrap().clone();
    assert!(!keys.is_empty() && keys.iter().all(|key| key == "open"));
}

#[tokio::test]
async fn a_call_of_an_adapter_that_throws_fails_in_each_of_its_spans() {
    let stage = Stage::set().await;
    let collector = &stage.collector;
    let (node, _traces) = stage.caller(&collector.address, 1.0).await;
    let options = Options::default();
    let spilt = node.start("dispenser", "pour", &json!({ "ml": 1000 }), options);
    assert!(spilt.await.is_err());
    let chain = collector.chain("pour", 3).await;
    for span in &chain {
        let status = span.status.as_ref().unwrap();
        assert_eq!(status.code(), Outcome::Error, "{span:?}");
        assert!(attribute(&span.attributes, "error.type").is_some());
    }
}

#[tokio::test]
async fn what_is_not_kept_is_told_by_nobody_and_a_collector_that_is_gone_is_no_ones_trouble() {
    let stage = Stage::set().await;
    let collector = &stage.collector;
    let (unsampled, _traces) = stage.caller(&collector.address, 0.0).await;
    let pour = async |node: &Node| {
        let poured = node.start("dispenser", "pour", &json!({ "ml": 1 }), Options::default());
        poured.value::<Value>().await.unwrap()
    };
    assert_eq!(pour(&unsampled).await, json!({ "ml": 1.0 }));
    unsampled.close().await;
    let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let nobody = "http://127.0.0.1:1";
    let (node, traces) = stage.caller(nobody, 1.0).await;
    assert_eq!(pour(&node).await, json!({ "ml": 1.0 }));
    traces.flush().await;
    // Of the second the others tell, and of the first nobody.
    until("the relay's span is there, and the adapter's", async || {
        collector.spans.lock().unwrap().len() >= 2
    })
    .await;
    let spans = collector.spans.lock().unwrap().clone();
    assert_eq!(spans.len(), 2, "{spans:?}");
    let is_second = |span: &Span| u128::from(span.start_time_unix_nano) >= second.as_nanos();
    assert!(spans.iter().all(is_second), "{spans:?}");
}
