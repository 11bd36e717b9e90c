//! What is documented is there, and what is shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use peerage::{Config, Kind};
use serde_json::Value;

use super::*;
use crate::Node;
use crate::web::origin::Origins;

const DOCUMENT: &str = include_str!("../../../../docs/metrics.md");
const DASHBOARD: &str = include_str!("../../../../docs/grafana.json");

async fn rendered() -> String {
    let config = Config::new(Kind::Relay).named("relay".parse().unwrap());
    let node = Node::launch(config, Vec::new()).unwrap();
    node.online(true).await.unwrap();
    node.publish("a", "b").await.unwrap();
    let web = Web {
        node,
        origins: Arc::new(Origins::new("127.0.0.1:1".parse().unwrap(), &[])),
        nodes: crate::web::Settings::default(),
        events: None,
        mqtt: None,
    };
    let metrics = Metrics::new();
    for status in [200, 200, 404] {
        metrics.answered(status, Instant::now());
    }
    metrics.render(&web)
}

/// The value of a line that begins so.
fn value(text: &str, begins: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(begins));
    let line = line.unwrap_or_else(|| panic!("no {begins} in {text}"));
    line.trim().parse().unwrap()
}

#[tokio::test]
async fn every_name_is_told_and_documented_and_no_other_is() {
    let text = rendered().await;
    let mut names = BTreeSet::new();
    for (name, shape, help) in NAMES {
        names.insert(name);
        let kind = match shape {
            Shape::Counter => "counter",
            Shape::Gauge => "gauge",
            Shape::Histogram => "histogram",
        };
        // What has no label value yet has only a name.
        let is_empty = name == "peerage_operations_ended_total";
        assert!(
            is_empty || text.contains(&format!("# TYPE {name} {kind}\n")),
            "{name}: {text}"
        );
        let row = format!("| `{name}` | {kind} |");
        let row = DOCUMENT.lines().find(|line| line.starts_with(&row));
        assert!(
            row.is_some_and(|row| row.contains(help)),
            "{name} in docs/metrics.md"
        );
        assert_eq!(name.ends_with("_total"), shape == Shape::Counter, "{name}");
    }
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(names.contains(name), "{name} has no description");
    }
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| `"));
    assert_eq!(rows.count(), names.len());
}

#[tokio::test]
async fn what_happened_is_counted() {
    let text = rendered().await;
    assert_eq!(value(&text, "peerage_broker_published_total "), 1.0);
    assert_eq!(
        value(&text, "peerage_http_requests_total{status=\"200\"} "),
        2.0
    );
    let count = "peerage_http_request_duration_seconds_count{status=\"404\"} ";
    assert_eq!(value(&text, count), 1.0);
    let within = "peerage_http_request_duration_seconds_bucket{status=\"404\",le=\"+Inf\"} ";
    assert_eq!(value(&text, within), 1.0);
    assert!(value(&text, "process_start_time_seconds ") > 1e9);
}

#[test]
fn the_dashboard_shows_what_there_is() {
    let board: Value = serde_json::from_str(DASHBOARD).unwrap();
    let names: BTreeSet<_> = NAMES.iter().map(|(name, ..)| *name).collect();
    let mut shown = BTreeSet::new();
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for word in words.filter(|w| w.starts_with("peerage_") || w.starts_with("process_")) {
                let name = word.trim_end_matches("_bucket");
                assert!(names.contains(name), "{word} in docs/grafana.json");
                shown.insert(name.to_owned());
            }
        }
    }
    assert!(shown.len() > names.len() / 2, "{shown:?}");
}
