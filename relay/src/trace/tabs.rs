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

#[cfg(test)]
mod tests {
    use peerage::trace::{Context, Side, Span};
    use peerage::{Config, Kind, Time};

    use super::*;

    /// Keeps what it gets.
    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<Span>>);

    impl Tracer for Kept {
        fn random(&self) -> Option<[u8; 24]> {
            None
        }

        fn now(&self) -> Time {
            Time::ZERO
        }

        fn ratio(&self) -> f64 {
            1.0
        }

        fn ended(&self, span: Span) {
            self.0.lock().unwrap().push(span);
        }
    }

    fn told(name: &str) -> Told {
        let span = Span {
            context: Context::new([1; 16], [2; 8], true).unwrap(),
            parent: None,
            side: Side::Client,
            name: name.to_owned(),
            node: String::from("somebody else"),
            peer: None,
            began: Time::ZERO,
            ended: Time::ZERO,
            fault: None,
        };
        span.into()
    }

    fn hears() -> (Hears, Arc<Kept>) {
        let config = Config::new(Kind::Relay).named("relay".parse().unwrap());
        let node = crate::Node::launch(config, Vec::new()).unwrap();
        let kept = Arc::new(Kept::default());
        (Hears::new((*node).clone(), kept.clone()), kept)
    }

    fn put(hears: &Hears, spans: &[Told]) -> Result<(), Option<Code>> {
        let args = Parcel::of(&(spans,)).unwrap();
        let id = peerage::Identity::from_secret(&[7; 32]).id();
        let put = hears.put(&args, Some(id));
        put.map_err(|error| error.code())
    }

    #[tokio::test]
    async fn spans_are_those_of_who_hands_them_over_whatever_it_says() {
        let (hears, kept) = hears();
        assert_eq!(put(&hears, &[told("a"), told("b")]), Ok(()));
        let kept = kept.0.lock().unwrap();
        let id = peerage::Identity::from_secret(&[7; 32]).id().to_string();
        assert!(kept.len() == 2 && kept.iter().all(|span| span.node == id));
    }

    #[tokio::test]
    async fn too_much_at_once_too_often_or_no_span_at_all_is_refused() {
        let (hears, kept) = hears();
        let many = vec![told("a"); TRACE_PUT_SPANS_MAX + 1];
        assert_eq!(put(&hears, &many), Err(Some(Code::TooLarge)));
        let heavy = told(&"x".repeat(TRACE_PUT_BYTES_MAX));
        assert_eq!(put(&hears, &[heavy]), Err(Some(Code::TooLarge)));
        let mut wrong = told("a");
        wrong.context = String::from("00-0-0-01");
        // None of a batch is taken of which one is wrong.
        assert_eq!(
            put(&hears, &[told("a"), wrong]),
            Err(Some(Code::BadMessage))
        );
        assert!(kept.0.lock().unwrap().is_empty());
        *hears.rate.lock().unwrap() = Rate::new(0);
        assert_eq!(put(&hears, &[told("a")]), Err(Some(Code::Overloaded)));
    }
}
