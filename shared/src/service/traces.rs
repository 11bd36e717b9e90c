//! How a node without a collector of its own, such as a tab, hands its spans to its relay, which has one: an agent there,
//! `put(spans)`. A relay that exports no traces has no such agent, and the node stops.

use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;
use futures_util::future::select;
use serde::{Deserialize, Serialize};

use crate::error::{Code, Failure};
use crate::limits::{
    REQUEST_TIMEOUT, TRACE_BATCH_EVERY, TRACE_PUT_SPANS_MAX, TRACE_TEXT_BYTES_MAX,
    TRACE_WAITING_MAX,
};
use crate::rpc::Rpc;
use crate::service::millis::{millis, of_millis};
use crate::trace::{Side, Span};

/// The service's name, as an agent.
pub const AGENT: &str = "peerage/traces/1";

/// A span as it is handed over. At which node it was done is what its relay knows, and is not told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Which it is: a `traceparent`.
    pub context: String,
    /// The id of the span of which it is a part, in hexadecimal.
    pub parent: Option<String>,
    /// Whether it is of who asked, or else of who did it.
    pub is_client: bool,
    /// What it was.
    pub name: String,
    /// The other node.
    pub peer: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub began_ms: f64,
    /// When it ended.
    pub ended_ms: f64,
    /// Why it failed, in a word, if it did.
    pub fault: Option<String>,
}

impl From<Span> for Told {
    fn from(span: Span) -> Self {
        Self {
            context: span.context.to_string(),
            parent: span.parent.map(|parent| HEXLOWER.encode(&parent)),
            is_client: span.side == Side::Client,
            name: span.name,
            peer: span.peer,
            began_ms: millis(span.began),
            ended_ms: millis(span.ended),
            fault: span.fault,
        }
    }
}

impl Told {
    /// The span, as one of this node.
    ///
    /// # Errors
    /// `bad-message` for what is none; `too-large` for a text that is too long.
    pub fn at(self, node: String) -> Result<Span, Failure> {
        let wrong = |what: &str| Code::BadMessage.because(format!("expected {what} of a span"));
        let parent = self.parent.map(|parent| {
            let bytes = HEXLOWER.decode(parent.as_bytes()).ok();
            let id = bytes.and_then(|bytes| bytes.try_into().ok());
            id.ok_or_else(|| wrong("the parent's id"))
        });
        let time = |ms: f64| of_millis(ms).ok_or_else(|| wrong("the time"));
        let texts = [Some(&self.name), self.peer.as_ref(), self.fault.as_ref()];
        for text in texts.into_iter().flatten() {
            if text.len() > TRACE_TEXT_BYTES_MAX {
                let (most, got) = (TRACE_TEXT_BYTES_MAX, text.len());
                let message = format!("expected texts of at most {most} bytes, got {got}");
                return Err(Code::TooLarge.because(message));
            }
        }
        let (began, ended) = (time(self.began_ms)?, time(self.ended_ms)?);
        Ok(Span {
            context: self.context.parse().map_err(|_| wrong("the context"))?,
            parent: parent.transpose()?,
            side: match self.is_client {
                true => Side::Client,
                false => Side::Server,
            },
            name: self.name,
            node,
            peer: self.peer,
            began,
            ended: ended.max(began),
            fault: self.fault,
        })
    }
}

/// Spans that wait to be handed over.
#[derive(Debug, Default)]
pub struct Courier {
    waiting: Mutex<VecDeque<Span>>,
    is_over: AtomicBool,
}

impl Courier {
    /// Takes a span, if there is room for it, and somebody to take it further.
    pub fn take(&self, span: Span) {
        let mut waiting = self.lock();
        if waiting.len() < TRACE_WAITING_MAX && !self.is_over() {
            waiting.push_back(span);
        }
    }

    /// Whether the relay takes none.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Hands spans over, some each second, until the relay takes none or the node leaves.
    pub async fn run(&self, rpc: &Rpc) {
        let left = pin!(rpc.node().left());
        select(pin!(self.hand_over(rpc)), left).await;
    }

    async fn hand_over(&self, rpc: &Rpc) {
        loop {
            rpc.node().sleep(TRACE_BATCH_EVERY).await;
            let Some(relay) = rpc.node().uplink() else {
                continue;
            };
            let batch: Vec<_> = {
                let mut waiting = self.lock();
                let count = waiting.len().min(TRACE_PUT_SPANS_MAX);
                waiting.drain(..count).map(Told::from).collect()
            };
            if batch.is_empty() {
                continue;
            }
            let proxy = rpc.proxy_at(relay, AGENT).with_timeout(REQUEST_TIMEOUT);
            let put = proxy.call::<()>("put", &(batch,)).await;
            // What is lost for another reason is lost: nobody waits for a trace.
            if let Err(Some(Code::UnknownName | Code::Left)) = put.map_err(|error| error.code()) {
                self.is_over.store(true, Ordering::Relaxed);
                self.lock().clear();
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Span>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::service::zone::Zone;
    use crate::trace::Context;
    use crate::{Node, Time};

    fn span() -> Span {
        Span {
            context: Context::new([1; 16], [2; 8], true).unwrap(),
            parent: Some([3; 8]),
            side: Side::Client,
            name: String::from("Dispenser.pour"),
            node: String::from("tab"),
            peer: Some(String::from("dispenser")),
            began: Time::from_millis(1_700_000_000_000),
            ended: Time::from_millis(1_700_000_000_250),
            fault: Some(String::from("gone")),
        }
    }

    #[test]
    fn a_span_that_is_handed_over_is_the_same() {
        assert_eq!(Told::from(span()).at(String::from("tab")), Ok(span()));
    }

    #[test]
    fn what_is_no_span_is_refused() {
        let told = || Told::from(span());
        let code = |told: Told| told.at(String::new()).unwrap_err().code;
        let context = String::from("00-1-2-01");
        assert_eq!(code(Told { context, ..told() }), Code::BadMessage);
        let parent = Some(String::from("abc"));
        assert_eq!(code(Told { parent, ..told() }), Code::BadMessage);
        for began_ms in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(code(Told { began_ms, ..told() }), Code::BadMessage);
        }
        let name = "x".repeat(TRACE_TEXT_BYTES_MAX + 1);
        assert_eq!(code(Told { name, ..told() }), Code::TooLarge);
    }

    fn serving(zone: &mut Zone, node: Node) -> Rpc {
        let rpc = Rpc::new(node);
        let serving = rpc.clone();
        zone.spawn(async move { serving.serve().await });
        rpc
    }

    #[test]
    fn it_ends_when_the_relay_takes_none_or_the_node_leaves() {
        let mut zone = Zone::new();
        let relay = zone.node(0).clone();
        serving(&mut zone, relay);
        let courier = Courier::default();
        courier.take(span());
        let node = zone.join("a");
        let rpc = serving(&mut zone, node);
        zone.run(courier.run(&rpc));
        assert!(courier.is_over() && courier.lock().is_empty());

        let courier = Courier::default();
        let node = zone.join("b");
        let rpc = serving(&mut zone, node);
        let leaving = async {
            rpc.node().sleep(TRACE_BATCH_EVERY * 3).await;
            rpc.node().close();
        };
        zone.run(join(courier.run(&rpc), leaving));
        assert!(!courier.is_over());
    }

    #[test]
    fn what_waits_has_an_end() {
        let courier = Courier::default();
        for _ in 0..TRACE_WAITING_MAX + 10 {
            courier.take(span());
        }
        assert_eq!(courier.lock().len(), TRACE_WAITING_MAX);
    }
}
