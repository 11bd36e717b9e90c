//! What a monitor asks, in Prometheus' text format.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use peerage::Node;

/// The numbers of a relay as they are now.
pub(super) fn render(node: &Node) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || tell(node));
    recorder.handle().render()
}

fn tell(node: &Node) {
    let traffic = node.traffic();
    describe_gauge!(
        "peerage_nodes",
        "Nodes in the zone, this relay not among them"
    );
    gauge!("peerage_nodes").set(node.peers().len() as f64);
    describe_gauge!("peerage_routes", "Routes in use");
    gauge!("peerage_routes").set(traffic.routes as f64);
    describe_counter!("peerage_forwarded_records_total", "Records passed on");
    counter!("peerage_forwarded_records_total").absolute(traffic.forwarded_records);
    describe_counter!("peerage_forwarded_bytes_total", Unit::Bytes, "Their bytes");
    counter!("peerage_forwarded_bytes_total").absolute(traffic.forwarded_bytes);
    describe_counter!(
        "peerage_dropped_records_total",
        "Records not passed on because the link beyond takes too little; their senders send them again"
    );
    counter!("peerage_dropped_records_total").absolute(traffic.dropped_records);
}
