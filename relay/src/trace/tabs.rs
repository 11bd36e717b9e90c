//! What a relay takes from tabs, which reach no collector: an agent that is handed their spans.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use peerage::limits::{TRACE_PUT_BYTES_MAX, TRACE_PUT_SPANS_MAX, TRACE_PUTS_PER_SECOND};
use peerage::rpc::{Act, Agent, CallError, Handling, Interface, Parcel, Request};
use peerage::service::traces::{AGENT, Told};
use peerage::trace::Tracer;
use peerage::{Code, Failure, Node, NodeId};

use crate::rate::Rate;

/// Hands what it gets to the tracer of its process.
pub(super) struct Hears {
    node: Node,
    tracer: Arc<dyn Tracer>,
    rate: Mutex<Rate>,
}

impl Hears {
    pub(super) fn new(node: Node, tracer: Arc<dyn Tracer>) -> Self {
        let rate = Mutex::new(Rate::new(TRACE_PUTS_PER_SECOND));
        Self { node, tracer, rate }
    }

    fn put(&self, args: &Parcel, caller: Option<NodeId>) -> Result<(), CallError> {
        let bytes = args.value().weight();
        if bytes > TRACE_PUT_BYTES_MAX {
            let most = TRACE_PUT_BYTES_MAX;
            return Err(too_much(&format!("{most} bytes of spans, got {bytes}")).into());
        }
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        if !rate.allows(Instant::now()) {
            let message = format!("spans are taken {TRACE_PUTS_PER_SECOND} times a second");
            return Err(Code::Overloaded.because(message).into());
        }
        drop(rate);
        let told: Vec<Told> = args.argument_called(0, "spans")?;
        if told.len() > TRACE_PUT_SPANS_MAX {
            let (most, got) = (TRACE_PUT_SPANS_MAX, told.len());
            return Err(too_much(&format!("{most} spans, got {got}")).into());
        }
        let whose = self.name_of(caller.unwrap_or_else(|| self.node.id()));
        let spans = told.into_iter().map(|told| told.at(whose.clone()));
        for span in spans.collect::<Result<Vec<_>, _>>()? {
            self.tracer.ended(span);
        }
        Ok(())
    }

    /// By what a node is known here.
    fn name_of(&self, id: NodeId) -> String {
        let peers = self.node.peers();
        let known = peers.into_iter().find(|peer| peer.id == id);
        known.map_or_else(|| id.to_string(), |peer| peer.name.to_string())
    }
}

impl Agent for Hears {
    fn interface(&self) -> Interface {
        Interface {
            name: AGENT.into(),
            version: Some(1),
            methods: vec![String::from("put")],
            events: Some(Vec::new()),
            ..Interface::default()
        }
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let answer = match (request.act, request.name) {
            (Act::Call, "put") => self.put(&request.args, request.caller),
            (act, name) => Err(self.interface().unknown(act, name)),
        };
        Box::pin(core::future::ready(answer.map(|()| Parcel::default())))
    }
}

fn too_much(what: &str) -> Failure {
    Code::TooLarge.because(format!("expected at most {what}"))
}
