//! Traces of a page's calls: where their spans go is the relay's affair, for a page reaches nobody else.

use std::sync::Arc;

use peerage::Time;
use peerage::rpc::Rpc;
use peerage::service::traces::Courier;
use peerage::trace::{Span, Tracer};

use crate::platform::random;

/// Traces a tab's calls for as long as its relay takes the spans.
#[derive(Debug, Default)]
pub(crate) struct Traces(Courier);

impl Traces {
    /// Hands spans over for as long as this is polled.
    pub(crate) async fn run(self: Arc<Self>, rpc: Rpc) {
        self.0.run(&rpc).await;
    }
}

impl Tracer for Traces {
    fn random(&self) -> Option<[u8; 24]> {
        random().ok()?.first_chunk().copied()
    }

    fn now(&self) -> Time {
        Time::try_from_secs_f64(js_sys::Date::now() / 1000.0).unwrap_or_default()
    }

    fn ratio(&self) -> f64 {
        if self.0.is_over() { 0.0 } else { 1.0 }
    }

    fn ended(&self, span: Span) {
        self.0.take(span);
    }
}
