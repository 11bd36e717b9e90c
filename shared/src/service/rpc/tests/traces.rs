//! Traces of calls between nodes in memory.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::service::operation::{Operations, Options, Unsuccessful};
use crate::trace::{Context, Side, Span};

/// Keeps the spans of all nodes of a test; ids count, and so does the clock.
#[derive(Debug, Default)]
struct Kept {
    ratio: f64,
    count: AtomicUsize,
    spans: Mutex<Vec<Span>>,
}

impl Tracer for Kept {
    fn random(&self) -> Option<[u8; 24]> {
        let count = self.count.fetch_add(1, Ordering::Relaxed) as u8 + 1;
        Some([count; 24])
    }

    fn now(&self) -> Time {
        Time::from_secs(self.count.fetch_add(1, Ordering::Relaxed) as u64)
    }

    fn ratio(&self) -> f64 {
        self.ratio
    }

    fn ended(&self, span: Span) {
        self.spans.lock().unwrap().push(span);
    }
}

struct Traced {
    zone: Zone,
    a: Rpc,
    b: Rpc,
    at_a: Operations,
    at_b: Operations,
    kept: Arc<Kept>,
}

impl Traced {
    /// Nodes `a` and `b`, which trace this part of what begins there.
    fn new(ratio: f64) -> Self {
        let kept = Arc::new(Kept {
            ratio,
            ..Kept::default()
        });
        let mut zone = Zone::new();
        let mut join = |name| {
            let tracer: Arc<dyn Tracer> = kept.clone();
            let rpc = Rpc::new(zone.join_with(name, |config| config.tracer = Some(tracer)));
            let (serving, operations) = (rpc.clone(), Operations::new(rpc.clone()).unwrap());
            zone.spawn(async move { serving.serve().await });
            (rpc, operations)
        };
        let ((a, at_a), (b, at_b)) = (join("a"), join("b"));
        Self {
            zone,
            a,
            b,
            at_a,
            at_b,
            kept,
        }
    }

    /// What was kept so far, in the order in which it began.
    fn spans(&mut self) -> Vec<Span> {
        self.zone.sleep(Time::from_secs(1));
        let mut spans = std::mem::take(&mut *self.kept.spans.lock().unwrap());
        spans.sort_by_key(|span| span.began);
        spans
    }
}

/// Passes a call on, in the trace of its own.
struct Relays(Rpc);

impl Agent for Relays {
    fn interface(&self) -> Interface {
        Interface {
            name: "Relays".into(),
            ..Interface::default()
        }
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let proxy = self.0.proxy("b", "Calculator").below(request.trace);
        Box::pin(proxy.ask(Act::Call, "add", request.args))
    }
}

#[track_caller]
fn assert_chain(spans: &[Span], expected: &[(&str, &str, Side)]) {
    let seen: Vec<_> = spans
        .iter()
        .map(|span| (span.name.as_str(), span.node.as_str(), span.side))
        .collect();
    assert_eq!(seen, expected);
    assert_eq!(spans[0].parent, None);
    for pair in spans.windows(2) {
        assert_eq!(pair[1].context.trace(), pair[0].context.trace());
        assert_eq!(pair[1].parent, Some(pair[0].context.span()));
        assert!(pair[1].began >= pair[0].began && pair[1].ended <= pair[0].ended);
    }
}

#[test]
fn a_call_is_a_span_of_who_asks_and_below_it_one_of_who_answers() {
    let mut t = Traced::new(1.0);
    let _agent = t.b.agent("Calculator", Calculator::at(&t.b)).unwrap();
    let calc = t.a.proxy("b", "Calculator");
    assert_eq!(t.zone.run(calc.call::<f64>("add", &(1, 2))), Ok(3.0));
    let spans = t.spans();
    let (asked, answered) = (
        ("Calculator.add", "a", Side::Client),
        ("Calculator.add", "b", Side::Server),
    );
    assert_chain(&spans, &[asked, answered]);
    assert_eq!(spans[0].peer.as_deref(), Some("b"));
    assert_eq!(spans[1].peer, Some(t.a.node().id().to_string()));
    assert!(spans.iter().all(|span| span.fault.is_none()));
    // What is asked next is another trace.
    assert_eq!(t.zone.run(calc.set("total", &5)), Ok(()));
    assert_ne!(t.spans()[0].context.trace(), spans[0].context.trace());
}

#[test]
fn what_is_asked_for_a_request_goes_on_below_it() {
    let mut t = Traced::new(1.0);
    let _calc = t.b.agent("Calculator", Calculator::at(&t.b)).unwrap();
    let _relays = t.b.agent("Relays", Relays(t.b.clone())).unwrap();
    let lane = t.a.proxy("b", "Relays").in_lane("one");
    assert_eq!(t.zone.run(lane.call::<f64>("any", &(1, 2))), Ok(3.0));
    assert_chain(
        &t.spans(),
        &[
            ("Relays.any", "a", Side::Client),
            ("Relays.any", "b", Side::Server),
            ("Calculator.add", "b", Side::Client),
            ("Calculator.add", "b", Side::Server),
        ],
    );
}

#[test]
fn a_span_tells_that_its_call_failed_and_why_in_a_word() {
    let mut t = Traced::new(1.0);
    let _agent = t.b.agent("Calculator", Calculator::at(&t.b)).unwrap();
    let calc = t.a.proxy("b", "Calculator");
    let faults = |spans: Vec<Span>| spans.into_iter().map(|span| span.fault).collect::<Vec<_>>();
    let _ = t.zone.run(calc.call::<f64>("throw", &()));
    assert_eq!(faults(t.spans()), vec![Some("RangeError".to_owned()); 2]);
    let _ = t.zone.run(calc.call::<f64>("divide", &()));
    assert_eq!(
        faults(t.spans()),
        vec![Some("unknown-method".to_owned()); 2]
    );
    let _ = t
        .zone
        .run(t.a.proxy("b", "Nobody").call::<f64>("add", &(1, 2)));
    assert_eq!(faults(t.spans()), [Some("unknown-name".to_owned())]);
    let call = calc.call::<String>("slowly", &(1000,));
    t.zone.sleep(Time::from_secs(1));
    drop(call);
    assert_eq!(faults(t.spans()), vec![Some("cancelled".to_owned()); 2]);
}

#[test]
fn an_operation_is_a_span_by_its_name_as_long_as_it_takes_and_its_parts_are_below() {
    let mut t = Traced::new(1.0);
    t.at_b.offer("pour", |work| async move {
        let rpc = work.operations().rpc().clone();
        rpc.node().sleep(Time::from_secs(5)).await;
        work.start("b", "fail", &()).await.map(drop)
    });
    let fail = |_| async { Err::<(), _>(Unsuccessful::fail("no water")) };
    t.at_b.offer("fail", fail);
    let operation = t.at_a.start("b", "pour", &(), Options::default());
    assert!(t.zone.run(operation).is_err());
    let spans = t.spans();
    assert_chain(
        &spans,
        &[
            ("pour", "a", Side::Client),
            ("pour", "b", Side::Server),
            ("fail", "b", Side::Client),
            ("fail", "b", Side::Server),
        ],
    );
    assert!(
        spans
            .iter()
            .all(|span| span.fault.as_deref() == Some("fail"))
    );
}

#[test]
fn what_is_not_kept_is_not_told_and_the_services_own_calls_are_not() {
    let mut t = Traced::new(0.0);
    let _agent = t.b.agent("Calculator", Calculator::at(&t.b)).unwrap();
    let calc = t.a.proxy("b", "Calculator");
    assert_eq!(t.zone.run(calc.call::<f64>("add", &(1, 2))), Ok(3.0));
    assert_eq!(t.spans(), []);
    let unsampled = Context::new([7; 16], [7; 8], false).unwrap();
    let below = calc.clone().below(Some(unsampled));
    assert_eq!(t.zone.run(below.call::<f64>("add", &(1, 2))), Ok(3.0));
    assert_eq!(t.spans(), []);
    // What somebody else has begun to keep goes on.
    let sampled = Context::new([7; 16], [7; 8], true).unwrap();
    let below = calc.below(Some(sampled));
    assert_eq!(t.zone.run(below.call::<f64>("add", &(1, 2))), Ok(3.0));
    assert_eq!(t.spans().len(), 2);
    let mut t = Traced::new(1.0);
    assert!(t.zone.run(t.at_a.list("b")).is_ok());
    assert_eq!(t.spans(), []);
}

#[test]
fn a_node_without_a_tracer_hands_the_trace_on() {
    let mut t = Traced::new(1.0);
    let plain = Rpc::new(t.zone.join("c"));
    let serving = plain.clone();
    t.zone.spawn(async move { serving.serve().await });
    let _calc = t.b.agent("Calculator", Calculator::at(&t.b)).unwrap();
    let _relays = plain.agent("Relays", Relays(plain.clone())).unwrap();
    let relayed = t.a.proxy("c", "Relays");
    assert_eq!(t.zone.run(relayed.call::<f64>("any", &(1, 2))), Ok(3.0));
    let expected = [
        ("Relays.any", "a", Side::Client),
        ("Calculator.add", "b", Side::Server),
    ];
    assert_chain(&t.spans(), &expected);
}
