//! Where the spans of a native process go: by OTLP over HTTP to a collector, many at once.

mod export;
mod http;
mod tabs;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use peerage::limits::{TRACE_FLUSH_MAX, TRACE_QUEUE_MAX};
use peerage::log::ERROR;
use peerage::rpc::{AgentHandle, Rpc};
use peerage::service::traces::AGENT;
use peerage::trace::{Span, Tracer};
use peerage::{Failure, Time};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::config::TracesConfig;
use tabs::Hears;

/// Takes the spans of this process's nodes, and lets a task tell the collector of them.
#[derive(Debug)]
pub struct Traces {
    ratio: f64,
    queue: mpsc::Sender<Told>,
}

/// What the task is told.
enum Told {
    Ended(Box<Span>),
    /// Somebody waits until what came before is exported.
    Flush(oneshot::Sender<()>),
}

impl Traces {
    /// Exports as a configuration says from now on; nothing, if it says nothing.
    pub fn open(config: &TracesConfig) -> Option<Arc<Self>> {
        let otlp = config.otlp.as_ref()?;
        let (queue, told) = mpsc::channel(TRACE_QUEUE_MAX);
        tokio::spawn(export::run(otlp.clone(), config.headers.clone(), told));
        let ratio = config.ratio.get();
        Some(Arc::new(Self { ratio, queue }))
    }

    /// Lets tabs hand their spans to this node, until what this returns is dropped.
    ///
    /// # Errors
    /// `refused` if they may already.
    pub fn hear_tabs(self: &Arc<Self>, rpc: &Rpc) -> Result<AgentHandle, Failure> {
        let tracer: Arc<dyn Tracer> = Arc::clone(self) as _;
        rpc.agent(AGENT, Hears::new(rpc.node().clone(), tracer))
    }

    /// Waits until what has ended is exported, or that takes too long.
    pub async fn flush(&self) {
        let (tell, done) = oneshot::channel();
        let flushed = async {
            if self.queue.send(Told::Flush(tell)).await.is_ok() {
                // An error means that nobody exports any more.
                let _ = done.await;
            }
        };
        if timeout(TRACE_FLUSH_MAX, flushed).await.is_err() {
            tracing::warn!(target: ERROR, "traces are lost: the collector takes too long");
        }
    }
}

impl Tracer for Traces {
    fn random(&self) -> Option<[u8; 24]> {
        let mut random = [0; 24];
        getrandom::fill(&mut random).ok()?;
        Some(random)
    }

    fn now(&self) -> Time {
        // A clock before 1970 is a clock that was never set.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn ratio(&self) -> f64 {
        self.ratio
    }

    fn ended(&self, span: Span) {
        // Beyond what the queue holds, spans are dropped: nobody waits for a trace.
        let _ = self.queue.try_send(Told::Ended(Box::new(span)));
    }
}
