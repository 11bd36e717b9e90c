//! A collector of traces, which are told by OTLP over HTTP.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;

use crate::until;

/// A collector of OpenTelemetry, as far as it takes spans and keeps them.
#[derive(Clone, Default)]
pub struct Collector {
    /// Where it is, as a configuration says it.
    pub address: String,
    /// What it was told.
    pub spans: Arc<Mutex<Vec<Span>>>,
    /// Of which services.
    pub services: Arc<Mutex<Vec<String>>>,
    /// What requests had as the header `x-key`.
    pub keys: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let collector = Self {
            address,
            ..Self::default()
        };
        let taking = collector.clone();
        let take = async move |headers: HeaderMap, body: Bytes| taking.take(&headers, body);
        let app = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async move { axum::serve(listener, app).await });
        collector
    }

    fn take(&self, headers: &HeaderMap, body: Bytes) -> StatusCode {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        let key = headers
            .get("x-key")
            .map(|key| key.to_str().unwrap().to_owned());
        self.keys.lock().unwrap().extend(key);
        for resource in request.resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            let service = attribute(&attributes, "service.name").unwrap();
            self.services.lock().unwrap().push(service);
            let spans = resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans);
            self.spans.lock().unwrap().extend(spans);
        }
        StatusCode::OK
    }

    /// The spans of one name's trace, from the first down, once there are so many.
    pub async fn chain(&self, first: &str, count: usize) -> Vec<Span> {
        let mut chain = Vec::new();
        until(&format!("{count} spans of {first}"), async || {
            let spans = self.spans.lock().unwrap().clone();
            let root = spans
                .iter()
                .find(|span| span.name == first && span.parent_span_id.is_empty());
            chain = root.cloned().into_iter().collect();
            while let Some(last) = chain.last()
                && let Some(next) = spans.iter().find(|span| {
                    span.parent_span_id == last.span_id && span.trace_id == last.trace_id
                })
            {
                chain.push(next.clone());
            }
            chain.len() >= count
        })
        .await;
        assert_eq!(chain.len(), count, "{chain:?}");
        chain
    }
}

/// What an attribute says.
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.clone()?.value? {
        Any::StringValue(text) => Some(text),
        other => panic!("{other:?}"),
    }
}
