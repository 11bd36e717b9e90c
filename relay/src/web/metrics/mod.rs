//! What a monitor asks, in Prometheus' text format. `docs/metrics.md` says what each name means; `docs/grafana.json`
//! shows them. What somebody counts anyway is read when it is asked for; only requests are counted here.

mod names;
mod process;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{
    counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
    with_local_recorder,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use peerage::Kind;
use peerage::node::Medium;
use peerage_enet::Counters;

use crate::enet::Port;
use crate::web::Web;
use names::{NAMES, Shape};

/// The upper bounds of what requests take, in seconds.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
/// Requests of which each time is kept until they are sorted into those bounds.
const UNSORTED_MAX: u64 = 1024;

/// Each medium of a link; one in memory has none.
const MEDIA: [Option<Medium>; 4] = [
    Some(Medium::WebSocket),
    Some(Medium::WebRtc),
    Some(Medium::Enet),
    None,
];

/// The numbers of a relay.
pub(super) struct Metrics {
    recorder: PrometheusRecorder,
    requests: AtomicU64,
    start_s: f64,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let builder = PrometheusBuilder::new();
        // There are bounds, which is all that could be wrong with them.
        let builder = builder.set_buckets(&SECONDS).unwrap_or_default();
        let recorder = builder.build_recorder();
        with_local_recorder(&recorder, || {
            for (name, shape, help) in NAMES {
                match shape {
                    Shape::Counter => describe_counter!(name, help),
                    Shape::Gauge => describe_gauge!(name, help),
                    Shape::Histogram => describe_histogram!(name, help),
                }
            }
        });
        Self {
            recorder,
            requests: AtomicU64::new(0),
            start_s: process::now_s(),
        }
    }

    /// All of them as they are now.
    pub(super) fn render(&self, web: &Web) -> String {
        with_local_recorder(&self.recorder, || {
            tell_node(web);
            tell_work(web);
            tell_broker(web);
            tell_fronts(web);
            process::tell(self.start_s);
        });
        self.recorder.handle().render()
    }

    fn answered(&self, status: u16, since: Instant) {
        with_local_recorder(&self.recorder, || {
            let status = status.to_string();
            counter!("peerage_http_requests_total", "status" => status.clone()).increment(1);
            histogram!("peerage_http_request_duration_seconds", "status" => status)
                .record(since.elapsed().as_secs_f64());
        });
        // Nobody may ever ask.
        if self
            .requests
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(UNSORTED_MAX)
        {
            self.recorder.handle().run_upkeep();
        }
    }
}

/// Counts a request when it is answered.
pub(super) async fn count(
    State(metrics): State<Arc<Metrics>>,
    request: Request,
    next: Next,
) -> Response {
    let since = Instant::now();
    let response = next.run(request).await;
    metrics.answered(response.status().as_u16(), since);
    response
}

fn tell_node(web: &Web) {
    let node = &web.node;
    let name = node
        .name()
        .map_or_else(String::new, |name| name.to_string());
    gauge!("peerage_info", "version" => env!("CARGO_PKG_VERSION"), "node" => name).set(1.0);
    let peers = node.peers();
    for kind in Kind::ALL {
        let count = peers.iter().filter(|peer| peer.kind == kind).count();
        gauge!("peerage_nodes", "kind" => kind.as_str()).set(count as f64);
    }
    let connections = node.connections();
    let links = connections.iter().filter(|c| c.link.is_some());
    for medium in MEDIA {
        let count = links.clone().filter(|c| c.medium == medium).count();
        let medium = medium.map_or("memory", Medium::as_str);
        gauge!("peerage_links", "medium" => medium).set(count as f64);
    }
    gauge!("peerage_sessions").set(node.sessions() as f64);
    let traffic = node.traffic();
    gauge!("peerage_routes").set(traffic.routes as f64);
    counter!("peerage_forwarded_records_total").absolute(traffic.forwarded_records);
    counter!("peerage_forwarded_bytes_total").absolute(traffic.forwarded_bytes);
    counter!("peerage_dropped_records_total").absolute(traffic.dropped_records);
    let load = node.load();
    counter!("peerage_received_bytes_total").absolute(load.received_bytes);
    counter!("peerage_sent_bytes_total").absolute(load.sent_bytes);
    counter!("peerage_refused_links_total").absolute(load.refused_links);
    gauge!("peerage_queued_bytes").set(load.queued_bytes as f64);
    gauge!("peerage_unacknowledged_bytes").set(load.unacknowledged_bytes as f64);
    gauge!("peerage_unread_bytes").set(load.unread_bytes as f64);
    gauge!("peerage_streams").set(load.streams as f64);
    gauge!("peerage_discovered_nodes").set(node.discovery().entries().len() as f64);
}

fn tell_work(web: &Web) {
    counter!("peerage_commands_total").absolute(web.node.commands().ran());
    let operations = web.node.operations();
    let own = operations.own();
    for state in ["waiting", "running"] {
        let count = own.iter().filter(|info| info.state == state).count();
        gauge!("peerage_operations", "state" => state).set(count as f64);
    }
    for (end, count) in operations.ends() {
        counter!("peerage_operations_ended_total", "end" => end).absolute(count);
    }
}

fn tell_broker(web: &Web) {
    let stats = web.node.broker().stats();
    gauge!("peerage_broker_topics").set(stats.topics as f64);
    gauge!("peerage_broker_kept_bytes").set(stats.kept_bytes as f64);
    gauge!("peerage_broker_held_bytes").set(stats.held_bytes as f64);
    gauge!("peerage_broker_subscriptions").set(stats.subscriptions as f64);
    gauge!("peerage_broker_groups").set(stats.groups as f64);
    counter!("peerage_broker_published_total").absolute(stats.published);
    counter!("peerage_broker_delivered_total").absolute(stats.delivered);
    counter!("peerage_broker_gaps_total").absolute(stats.gaps);
}

fn tell_fronts(web: &Web) {
    tell_enet(web);
    let turn = &web.node.runtime().turn;
    gauge!("peerage_turn_allocations").set(turn.allocations() as f64);
    counter!("peerage_turn_relayed_bytes_total").absolute(turn.relayed_bytes());
    let events = web.events.as_ref();
    gauge!("peerage_events_clients").set(events.map_or(0, |events| events.connected()) as f64);
    let mqtt = web.mqtt.as_ref();
    gauge!("peerage_mqtt_connections").set(mqtt.map_or(0, |mqtt| mqtt.connected()) as f64);
    gauge!("peerage_mqtt_sessions").set(mqtt.map_or(0, |mqtt| mqtt.sessions()) as f64);
    for (level, count) in crate::log::told() {
        let level = level.as_str().to_ascii_lowercase();
        counter!("peerage_log_events_total", "level" => level).absolute(count);
    }
    let journal = peerage::log::Journal::of_process();
    counter!("peerage_log_dropped_total").absolute(journal.dropped());
}

/// All ports of ENet together.
fn tell_enet(web: &Web) {
    let tallies: Vec<_> = web
        .node
        .runtime()
        .enet
        .all()
        .iter()
        .map(Port::tally)
        .collect();
    let peers: usize = tallies.iter().map(|tally| tally.peers).sum();
    gauge!("peerage_enet_peers").set(peers as f64);
    let sum = |of: fn(&Counters) -> u64| tallies.iter().map(|tally| of(&tally.datagrams)).sum();
    for (direction, count) in [
        ("received", sum(|seen| seen.received)),
        ("sent", sum(|seen| seen.sent)),
    ] {
        counter!("peerage_enet_datagrams_total", "direction" => direction).absolute(count);
    }
    for (reason, count) in [
        ("unknown", sum(|seen| seen.unknown)),
        ("malformed", sum(|seen| seen.malformed)),
        ("checksum", sum(|seen| seen.checksum)),
        ("compression", sum(|seen| seen.compression)),
        ("no-room", sum(|seen| seen.no_room)),
    ] {
        counter!("peerage_enet_ignored_datagrams_total", "reason" => reason).absolute(count);
    }
    for (reason, count) in [
        ("full", sum(|seen| seen.refused)),
        ("no-room", sum(|seen| seen.crowded)),
        ("hurried", sum(|seen| seen.forgotten)),
    ] {
        counter!("peerage_enet_refused_peers_total", "reason" => reason).absolute(count);
    }
}
