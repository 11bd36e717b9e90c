//! The names: part of the contract, see `docs/metrics.md`.

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Counter,
    Gauge,
    Histogram,
}

/// Every name, what it stands for, and its meaning.
pub(super) const NAMES: [(&str, Shape, &str); 43] = {
    use Shape::{Counter, Gauge, Histogram};
    [
        (
            "peerage_info",
            Gauge,
            "Always 1; the labels tell the version and the node's name",
        ),
        (
            "peerage_nodes",
            Gauge,
            "Nodes in the zone by kind, this one not among them",
        ),
        ("peerage_links", Gauge, "Links to neighbours by medium"),
        (
            "peerage_received_bytes_total",
            Counter,
            "Bytes that came by links",
        ),
        (
            "peerage_sent_bytes_total",
            Counter,
            "Bytes that left by links",
        ),
        (
            "peerage_refused_links_total",
            Counter,
            "Callers that were turned away before their link was in use",
        ),
        (
            "peerage_queued_bytes",
            Gauge,
            "Bytes that wait to leave by links",
        ),
        (
            "peerage_unacknowledged_bytes",
            Gauge,
            "Bytes of this node's sessions that others have not acknowledged yet",
        ),
        (
            "peerage_unread_bytes",
            Gauge,
            "Bytes of its sessions that are here and not read yet",
        ),
        ("peerage_streams", Gauge, "Streams of its sessions"),
        (
            "peerage_sessions",
            Gauge,
            "Nodes with which this one has a session",
        ),
        ("peerage_routes", Gauge, "Routes in use"),
        (
            "peerage_forwarded_records_total",
            Counter,
            "Records passed on",
        ),
        ("peerage_forwarded_bytes_total", Counter, "Their bytes"),
        (
            "peerage_dropped_records_total",
            Counter,
            "Records not passed on because the link beyond takes too little; their senders send them again",
        ),
        (
            "peerage_commands_total",
            Counter,
            "Commands that others have run here",
        ),
        (
            "peerage_operations",
            Gauge,
            "Operations at this node that wait or run, by state",
        ),
        (
            "peerage_operations_ended_total",
            Counter,
            "Operations that have ended at this node, by how",
        ),
        (
            "peerage_broker_topics",
            Gauge,
            "Topics of which something is kept",
        ),
        (
            "peerage_broker_kept_bytes",
            Gauge,
            "Bytes that are kept of topics",
        ),
        (
            "peerage_broker_held_bytes",
            Gauge,
            "Bytes of messages in memory, kept or on their way",
        ),
        (
            "peerage_broker_subscriptions",
            Gauge,
            "Subscriptions at this broker",
        ),
        (
            "peerage_broker_groups",
            Gauge,
            "Groups that share a subscription",
        ),
        (
            "peerage_broker_published_total",
            Counter,
            "Messages published at this broker",
        ),
        (
            "peerage_broker_delivered_total",
            Counter,
            "Messages sent to its subscribers",
        ),
        (
            "peerage_broker_gaps_total",
            Counter,
            "Gaps that subscribers were told of",
        ),
        (
            "peerage_http_requests_total",
            Counter,
            "HTTP requests answered, by status",
        ),
        (
            "peerage_http_request_duration_seconds",
            Histogram,
            "Until the head of the response, by status",
        ),
        (
            "peerage_discovered_nodes",
            Gauge,
            "Nodes known by discovery",
        ),
        ("peerage_enet_peers", Gauge, "Connections of ENet"),
        (
            "peerage_enet_datagrams_total",
            Counter,
            "Datagrams at its ports, by direction",
        ),
        (
            "peerage_enet_ignored_datagrams_total",
            Counter,
            "Datagrams that came there and are none of a connection, or no good, by reason",
        ),
        (
            "peerage_enet_refused_peers_total",
            Counter,
            "Who was turned away there for want of room, by reason",
        ),
        ("peerage_turn_allocations", Gauge, "Allocations of TURN"),
        (
            "peerage_turn_relayed_bytes_total",
            Counter,
            "Bytes of data that TURN has passed on",
        ),
        (
            "peerage_events_clients",
            Gauge,
            "Clients that are connected at `/events`",
        ),
        (
            "peerage_mqtt_connections",
            Gauge,
            "Clients of MQTT that are connected",
        ),
        (
            "peerage_mqtt_sessions",
            Gauge,
            "Sessions of MQTT, of clients that are away as well",
        ),
        (
            "peerage_log_events_total",
            Counter,
            "Events told in the log, by level",
        ),
        (
            "peerage_log_dropped_total",
            Counter,
            "Events that the log no longer holds",
        ),
        (
            "process_resident_memory_bytes",
            Gauge,
            "Memory of the process",
        ),
        ("process_open_fds", Gauge, "Open file descriptors"),
        (
            "process_start_time_seconds",
            Gauge,
            "When the process began, in seconds since 1970",
        ),
    ]
};
