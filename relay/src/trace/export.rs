//! Tells a collector of spans: in batches, each as soon as the one before is over.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use peerage::Time;
use peerage::limits::{TRACE_BATCH_EVERY, TRACE_BATCH_MAX, TRACE_EXPORT_TIMEOUT};
use peerage::log::ERROR;
use peerage::trace::{Side, Span};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Told;
use super::http::Client;
use crate::config::{HeaderText, OtlpAddress};

/// The name of this service, by which a collector knows it.
const SERVICE: &str = "peerage";

/// Exports what is told, until nobody is left to tell.
pub(super) async fn run(
    otlp: OtlpAddress,
    headers: BTreeMap<String, HeaderText>,
    mut told: mpsc::Receiver<Told>,
) {
    let headers = headers
        .into_iter()
        .map(|(name, text)| (name, text.as_str().to_owned()));
    let built = SpanExporter::builder()
        .with_http()
        .with_http_client(Client)
        .with_endpoint(otlp.traces())
        .with_timeout(TRACE_EXPORT_TIMEOUT)
        .with_headers(headers.collect())
        // The next batch is soon enough.
        .with_retry_policy(RetryPolicy::default().with_max_retries(0))
        .build();
    let mut exporter = match built {
        Ok(exporter) => exporter,
        Err(error) => {
            return tracing::warn!(target: ERROR, %error, "traces cannot be exported");
        }
    };
    let resource = Resource::builder_empty().with_service_name(SERVICE);
    exporter.set_resource(&resource.build());
    let scope = InstrumentationScope::builder(SERVICE).build();
    while let Some(first) = told.recv().await {
        let (batch, waiting) = gather(first, &mut told, &scope).await;
        if !batch.is_empty() {
            let spans = batch.len();
            if let Err(error) = exporter.export(batch).await {
                tracing::warn!(target: ERROR, spans, %error, "traces are lost: the collector did not take them");
            }
        }
        // Who waited may have gone.
        let _ = waiting.map(|waiting| waiting.send(()));
    }
}

/// What is told within a little time, as far as it fits a batch; and who waits for its end.
async fn gather(
    first: Told,
    told: &mut mpsc::Receiver<Told>,
    scope: &InstrumentationScope,
) -> (Vec<SpanData>, Option<tokio::sync::oneshot::Sender<()>>) {
    let mut batch = Vec::new();
    let mut waiting = None;
    let gathering = async {
        let mut next = Some(first);
        while let Some(what) = next {
            match what {
                Told::Ended(span) => batch.push(data(*span, scope)),
                Told::Flush(tell) => {
                    waiting = Some(tell);
                    return;
                }
            }
            if batch.len() >= TRACE_BATCH_MAX {
                return;
            }
            next = told.recv().await;
        }
    };
    // When the time is over, the batch is full enough.
    let _ = timeout(TRACE_BATCH_EVERY, gathering).await;
    (batch, waiting)
}

/// A span as OpenTelemetry has it.
fn data(span: Span, scope: &InstrumentationScope) -> SpanData {
    let context = SpanContext::new(
        TraceId::from_bytes(span.context.trace()),
        SpanId::from_bytes(span.context.span()),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    let mut attributes = vec![
        KeyValue::new("rpc.system", SERVICE),
        KeyValue::new("rpc.method", span.name.clone()),
        KeyValue::new("peerage.node", span.node),
    ];
    attributes.extend(span.peer.map(|peer| KeyValue::new("peerage.peer", peer)));
    let status = match span.fault {
        None => Status::Unset,
        Some(fault) => {
            attributes.push(KeyValue::new("error.type", fault.clone()));
            Status::error(fault)
        }
    };
    SpanData {
        span_context: context,
        parent_span_id: span.parent.map_or(SpanId::INVALID, SpanId::from_bytes),
        parent_span_is_remote: span.side == Side::Server,
        span_kind: match span.side {
            Side::Client => SpanKind::Client,
            Side::Server => SpanKind::Server,
        },
        name: span.name.into(),
        start_time: at(span.began),
        end_time: at(span.ended),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status,
        instrumentation_scope: scope.clone(),
    }
}

fn at(time: Time) -> SystemTime {
    UNIX_EPOCH.checked_add(time).unwrap_or(UNIX_EPOCH)
}
