//! Remote objects, between nodes in memory.

mod attacks;
mod kai;
mod lanes;
mod order;
mod traces;
mod typed;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::NodeId;
use crate::Time;
use crate::object::Pointer;
use crate::service::zone::Zone;

/// Nodes `a`, `b` and `c` on a relay, each with its objects.
struct Stage {
    zone: Zone,
    a: Rpc,
    b: Rpc,
    c: Rpc,
}

impl Stage {
    fn new() -> Self {
        let mut zone = Zone::new();
        let [a, b, c] = ["a", "b", "c"].map(|name| {
            let rpc = Rpc::new(zone.join(name));
            let serving = rpc.clone();
            zone.spawn(async move { serving.serve().await });
            rpc
        });
        Self { zone, a, b, c }
    }

    fn id(&self, n: usize) -> NodeId {
        self.zone.node(n).id()
    }
}

/// Adds, keeps a total, counts its calls, makes counters, and calls back.
#[derive(Default)]
struct Calculator {
    rpc: Mutex<Option<Rpc>>,
    emitter: Mutex<Option<Emitter>>,
    total: Mutex<f64>,
    calls: AtomicUsize,
    alive: Alive,
    kept: Mutex<Vec<Reference>>,
}

/// How many calculators there are, of those that come from the same.
#[derive(Default)]
struct Alive(Arc<AtomicUsize>);

impl Clone for Alive {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Calculator {
    fn at(rpc: &Rpc) -> Self {
        Self {
            rpc: Mutex::new(Some(rpc.clone())),
            ..Self::default()
        }
    }

    fn rpc(&self) -> Rpc {
        self.rpc.lock().unwrap().clone().unwrap()
    }

    async fn call(&self, name: &str, args: Parcel) -> Result<Parcel, CallError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match name {
            "add" => {
                let (a, b): (f64, f64) = args.read()?;
                Ok(Parcel::of(&(a + b))?)
            }
            "slowly" => {
                let (seconds,): (u64,) = args.read()?;
                self.rpc().node().sleep(Time::from_secs(seconds)).await;
                Ok(Parcel::of("done")?)
            }
            "echo" => Ok(args),
            "panic" => panic!("secret"),
            "throw" => Err(Thrown::new("RangeError", "too much").into()),
            "another" => {
                let another = Arc::new(Self {
                    alive: self.alive.clone(),
                    ..Self::at(&self.rpc())
                });
                Ok(self.rpc().share(another).into())
            }
            "keep" => {
                self.kept.lock().unwrap().push(args.argument(0)?);
                Ok(Parcel::default())
            }
            "kept" => {
                let kept = self.kept.lock().unwrap().last().cloned();
                let nothing = || Thrown::new("Error", "nothing is kept");
                let kept = kept.ok_or_else(nothing)?;
                Ok(kept.into())
            }
            "drop" => {
                self.kept.lock().unwrap().clear();
                Ok(Parcel::default())
            }
            "apply" => {
                let callback: Reference = args.argument(0)?;
                let (x, y): (f64, f64) = (args.argument(1)?, args.argument(2)?);
                callback
                    .proxy()
                    .ask(Act::Call, "add", Parcel::of(&(x, y))?)
                    .await
            }
            "same" => Ok(Parcel::of(
                &(args.argument::<Reference>(0)? == args.argument(1)?),
            )?),
            "await" => {
                let value: Later<f64> = args.argument(0)?;
                Ok(Parcel::of(&(value.await? + 1.0))?)
            }
            _ => Err(self.interface().unknown(Act::Call, name)),
        }
    }
}

impl Agent for Calculator {
    fn interface(&self) -> Interface {
        Interface {
            name: "Calculator".into(),
            version: Some(2),
            methods: vec!["add".into()],
            properties: vec!["total".into()],
            events: Some(vec!["overflow".into()]),
        }
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let (name, args) = (request.name.to_owned(), request.args);
        match request.act {
            Act::Call => Box::pin(async move { self.call(&name, args).await }),
            Act::Get | Act::Watch if name == "total" => {
                let total = *self.total.lock().unwrap();
                Box::pin(async move { Ok(Parcel::of(&total)?) })
            }
            Act::Set if name == "total" => Box::pin(async move {
                // It is never more than 100.
                *self.total.lock().unwrap() = args.read::<f64>()?.min(100.0);
                Ok(Parcel::default())
            }),
            act => {
                let error = self.interface().unknown(act, &name);
                Box::pin(async move { Err(error) })
            }
        }
    }

    fn attached(&self, emitter: Emitter) {
        *self.emitter.lock().unwrap() = Some(emitter);
    }
}

fn code<T>(result: Result<T, CallError>) -> Option<Code> {
    result.err().and_then(|error| error.code())
}

#[test]
fn methods_and_properties_of_an_agent_are_used_from_another_node() {
    let mut s = Stage::new();
    let _agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let calc = s.a.proxy("b", "Calculator");
    assert_eq!(s.zone.run(calc.call::<f64>("add", &(1, 2))), Ok(3.0));
    assert_eq!(s.zone.run(calc.get::<f64>("total")), Ok(0.0));
    assert_eq!(s.zone.run(calc.set("total", &5)), Ok(()));
    assert_eq!(s.zone.run(calc.get::<f64>("total")), Ok(5.0));
    // And of this node itself, without leaving it.
    let own = s.b.proxy("b", "Calculator");
    assert_eq!(s.zone.run(own.call::<f64>("add", &(2, 2))), Ok(4.0));
    let interface = s.zone.run(calc.describe()).unwrap();
    assert_eq!(
        (interface.version, interface.methods),
        (Some(2), vec!["add".into()])
    );
}

#[test]
fn what_fails_has_its_type_and_its_words() {
    let mut s = Stage::new();
    let _agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let calc = s.a.proxy("b", "Calculator");
    let thrown = s.zone.run(calc.call::<f64>("throw", &()));
    assert_eq!(thrown, Err(Thrown::new("RangeError", "too much").into()));
    let unknown = s.zone.run(calc.call::<f64>("divide", &())).unwrap_err();
    assert_eq!(unknown.code(), Some(Code::UnknownMethod));
    assert!(
        unknown
            .to_string()
            .contains("no method `divide`; it has add"),
        "{unknown}"
    );
    let wrong = s.zone.run(calc.call::<f64>("add", &("x", 2))).unwrap_err();
    assert_eq!(wrong.code(), Some(Code::BadMessage));
    let nobody = s
        .zone
        .run(s.a.proxy("b", "Nobody").call::<f64>("add", &(1, 2)));
    assert_eq!(code(nobody), Some(Code::UnknownName));
    let nowhere = s
        .zone
        .run(s.a.proxy("z", "Calculator").call::<f64>("add", &(1, 2)));
    assert_eq!(code(nowhere), Some(Code::UnknownName));
}

#[test]
fn an_agent_that_is_missing_is_made_when_it_is_asked_for() {
    let mut s = Stage::new();
    let made: Arc<Mutex<Vec<AgentHandle>>> = Arc::default();
    let (making, b) = (Arc::clone(&made), s.b.clone());
    s.b.on_missing(move |name| {
        if name.parse::<u32>().is_ok() {
            let agent = b.agent(name, Calculator::at(&b)).unwrap();
            making.lock().unwrap().push(agent);
        }
    });
    let calc = s.a.proxy("b", "7");
    assert_eq!(s.zone.run(calc.call::<f64>("add", &(1, 2))), Ok(3.0));
    assert_eq!(s.zone.run(calc.call::<f64>("add", &(2, 2))), Ok(4.0));
    assert_eq!(made.lock().unwrap().len(), 1);
    let nobody = s.zone.run(s.a.proxy("b", "x").call::<f64>("add", &(1, 2)));
    assert_eq!(code(nobody), Some(Code::UnknownName));
    // It is gone with what was made.
    made.lock().unwrap().clear();
    let again = s.zone.run(s.a.proxy("b", "x").call::<f64>("add", &(1, 2)));
    assert_eq!(code(again), Some(Code::UnknownName));
}

#[test]
fn events_reach_who_subscribed_and_nobody_else_and_end_with_the_agent() {
    let mut s = Stage::new();
    let agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let mut at_a = s.a.proxy("b", "Calculator").on::<u32>("overflow");
    let mut at_b = s.b.proxy("b", "Calculator").on::<u32>("overflow");
    let mut wrong = s.a.proxy("b", "Calculator").on::<u32>("underflow");
    s.zone.run(at_a.begun()).unwrap();
    s.zone.run(at_b.begun()).unwrap();
    assert_eq!(
        code(s.zone.run(wrong.next()).unwrap()),
        Some(Code::UnknownMethod)
    );
    agent.emit("overflow", &7).unwrap();
    agent.emit("overflow", &8).unwrap();
    for heard in [&mut at_a, &mut at_b] {
        assert_eq!(s.zone.run(heard.next()), Some(Ok(7)));
        assert_eq!(s.zone.run(heard.next()), Some(Ok(8)));
    }
    // Nobody else has so much as a session.
    assert!(s.c.with(|state| state.connections.is_empty()));
    drop(agent);
    for heard in [&mut at_a, &mut at_b] {
        assert_eq!(code(s.zone.run(heard.next()).unwrap()), Some(Code::Left));
        assert_eq!(s.zone.run(heard.next()), None);
    }
    let again = s.a.proxy("b", "Calculator").get::<f64>("total");
    assert_eq!(code(s.zone.run(again)), Some(Code::UnknownName));
}

#[test]
fn who_does_not_listen_any_longer_is_not_told() {
    let mut s = Stage::new();
    let agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let mut heard = s.a.proxy("b", "Calculator").on::<u32>("overflow");
    s.zone.run(heard.begun()).unwrap();
    assert!(agent.emitter().is_heard(Act::Subscribe, "overflow"));
    drop(heard);
    s.zone.sleep(Time::from_millis(10));
    assert!(!agent.emitter().is_heard(Act::Subscribe, "overflow"));
    assert!(s.b.with(|state| state.connections.values().all(|c| c.running.is_empty())));
}

#[test]
fn a_watched_property_is_told_at_once_and_whenever_it_changes() {
    let mut s = Stage::new();
    let agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let calc = s.a.proxy("b", "Calculator");
    let mut here = s.b.proxy("b", "Calculator").watch::<f64>("total");
    let mut there = calc.watch::<f64>("total");
    assert_eq!(s.zone.run(there.next()), Some(Ok(0.0)));
    assert_eq!(s.zone.run(here.next()), Some(Ok(0.0)));
    // What it becomes is told, which need not be what it was set to.
    s.zone.run(calc.set("total", &1e9)).unwrap();
    assert_eq!(s.zone.run(there.next()), Some(Ok(100.0)));
    assert_eq!(s.zone.run(here.next()), Some(Ok(100.0)));
    for value in 0..1000 {
        agent.emitter().changed("total", &value).unwrap();
    }
    // Who is slow gets the latest, and need not see all.
    let mut last = 0.0;
    while last < 999.0 {
        last = s.zone.run(there.next()).unwrap().unwrap();
    }
}

#[test]
fn a_call_that_is_dropped_or_late_ends_at_its_target() {
    let mut s = Stage::new();
    let _agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let calc = s.a.proxy("b", "Calculator");
    let running = |s: &Stage| -> usize {
        s.b.with(|state| state.connections.values().map(|c| c.running.len()).sum())
    };
    let call = calc.call::<String>("slowly", &(1000,));
    s.zone.sleep(Time::from_secs(1));
    assert_eq!(running(&s), 1);
    drop(call);
    s.zone.sleep(Time::from_secs(1));
    assert_eq!(running(&s), 0);
    let hasty = calc.clone().with_timeout(Time::from_secs(2));
    assert_eq!(
        code(s.zone.run(hasty.call::<String>("slowly", &(1000,)))),
        Some(Code::TimedOut)
    );
    s.zone.sleep(Time::from_secs(1));
    assert_eq!(running(&s), 0);
    assert_eq!(
        s.zone.run(hasty.call("slowly", &(1,))),
        Ok(String::from("done"))
    );
}

#[test]
fn when_a_node_goes_every_call_on_it_fails_at_once_with_the_reason() {
    let mut s = Stage::new();
    let _agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let calc = s.a.proxy("b", "Calculator");
    let calls: Vec<_> = (0..10)
        .map(|_| calc.call::<String>("slowly", &(1000,)))
        .collect();
    let mut heard = calc.on::<u32>("overflow");
    s.zone.run(heard.begun()).unwrap();
    s.b.node().close();
    for call in calls {
        let error = s.zone.run(call).unwrap_err();
        assert_eq!(error.code(), Some(Code::Left));
        let CallError::Failed(failure) = error else {
            panic!()
        };
        assert_eq!(failure.peer.as_deref(), Some("b"));
    }
    assert_eq!(code(s.zone.run(heard.next()).unwrap()), Some(Code::Left));
    assert_eq!(
        s.a.with(|state| (state.slots.len(), state.connections.len())),
        (0, 0)
    );
}

#[test]
fn an_object_by_reference_is_used_where_it_is_and_dropped_with_its_last_holder() {
    let mut s = Stage::new();
    let calculator = Calculator::at(&s.b);
    let alive = Arc::clone(&calculator.alive.0);
    let _agent = s.b.agent("Calculator", calculator).unwrap();
    let calc = s.a.proxy("b", "Calculator");
    let another: Reference = s.zone.run(calc.call("another", &())).unwrap();
    assert_eq!(another.node(), s.id(2));
    assert_eq!(s.zone.run(another.proxy().call("add", &(4, 5))), Ok(9.0));
    assert_eq!(
        (
            alive.load(Ordering::Relaxed),
            s.b.counts().0,
            s.a.counts().1
        ),
        (1, 2, 1)
    );
    drop(another);
    s.zone.sleep(Time::from_millis(10));
    assert_eq!(
        (
            alive.load(Ordering::Relaxed),
            s.b.counts().0,
            s.a.counts().1
        ),
        (0, 1, 0)
    );
}

#[test]
fn ten_thousand_short_lived_references_leave_nothing_behind() {
    let mut s = Stage::new();
    let _agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let calc = s.a.proxy("b", "Calculator");
    for _ in 0..100 {
        let made: Vec<_> = (0..100)
            .map(|_| calc.call::<Reference>("another", &()))
            .collect();
        for made in made {
            let another = s.zone.run(made).unwrap();
            drop(another);
        }
    }
    s.zone.sleep(Time::from_millis(10));
    assert_eq!((s.a.counts(), s.b.counts()), ((0, 0), (1, 0)));
    let residue = |rpc: &Rpc| {
        rpc.with(|state| {
            let each = state.connections.values();
            let of = |c: &state::Connection| {
                c.holds.len() + c.answered.len() + c.running.len() + c.asked
            };
            (
                state.slots.len(),
                state.identities.len(),
                each.map(of).sum::<usize>(),
            )
        })
    };
    assert_eq!(residue(&s.a), (0, 0, 0));
    assert_eq!(residue(&s.b), (0, 1, 0));
}

#[test]
fn what_a_node_held_is_free_when_it_goes() {
    let mut s = Stage::new();
    let calculator = Calculator::at(&s.b);
    let alive = Arc::clone(&calculator.alive.0);
    let _agent = s.b.agent("Calculator", calculator).unwrap();
    let another: Reference = {
        let call = s.a.proxy("b", "Calculator").call("another", &());
        s.zone.run(call).unwrap()
    };
    assert_eq!(alive.load(Ordering::Relaxed), 1);
    s.a.node().close();
    s.zone.sleep(Time::from_millis(10));
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    drop(another);
}

#[test]
fn a_callback_is_called_where_it_was_made() {
    let mut s = Stage::new();
    let _agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let own = Arc::new(Calculator::at(&s.a));
    let callback = s.a.share(own.clone());
    let applied =
        s.a.proxy("b", "Calculator")
            .call::<f64>("apply", &(&callback, 20, 22));
    assert_eq!(s.zone.run(applied), Ok(42.0));
    assert_eq!(own.calls.load(Ordering::Relaxed), 1);
    drop(callback);
    s.zone.sleep(Time::from_millis(10));
    assert_eq!((s.a.counts(), s.b.counts()), ((0, 0), (1, 0)));
    assert_eq!(Arc::strong_count(&own), 1);
}

#[test]
fn a_reference_handed_from_a_to_b_to_c_is_used_at_a() {
    let mut s = Stage::new();
    let _b = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let own = Arc::new(Calculator::at(&s.a));
    let shared = s.a.share(own.clone());
    // A gives it to B, and keeps nothing.
    s.zone
        .run(s.a.proxy("b", "Calculator").call::<()>("keep", &(&shared,)))
        .unwrap();
    drop(shared);
    s.zone.sleep(Time::from_millis(10));
    assert_eq!(s.a.counts().0, 1);
    // B gives it to C, and keeps nothing.
    let got: Reference = s
        .zone
        .run(s.c.proxy("b", "Calculator").call("kept", &()))
        .unwrap();
    s.zone
        .run(s.c.proxy("b", "Calculator").call::<()>("drop", &()))
        .unwrap();
    s.zone.sleep(Time::from_secs(1));
    assert_eq!((s.b.counts().1, s.c.counts().1), (0, 1));
    assert_eq!(got.node(), s.id(1));
    assert_eq!(s.zone.run(got.proxy().call("add", &(1, 1))), Ok(2.0));
    assert_eq!(own.calls.load(Ordering::Relaxed), 1);
    drop(got);
    s.zone.sleep(Time::from_millis(10));
    assert_eq!(s.a.counts().0, 0);
    assert_eq!(Arc::strong_count(&own), 1);
}

#[test]
fn the_same_object_sent_twice_arrives_as_one_and_comes_home_as_itself() {
    let mut s = Stage::new();
    let _agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let calc = s.a.proxy("b", "Calculator");
    let (one, two) = (
        Arc::new(Calculator::at(&s.a)),
        Arc::new(Calculator::at(&s.a)),
    );
    let [first, again, other] = [&one, &one, &two].map(|object| s.a.share(object.clone()));
    assert_eq!(s.zone.run(calc.call("same", &(&first, &again))), Ok(true));
    assert_eq!(s.zone.run(calc.call("same", &(&first, &other))), Ok(false));
    s.zone.run(calc.call::<()>("keep", &(&first,))).unwrap();
    let home: Reference = s.zone.run(calc.call("kept", &())).unwrap();
    let home: Arc<dyn Agent> = Arc::clone(home.local().unwrap());
    assert!(std::ptr::addr_eq(Arc::as_ptr(&home), Arc::as_ptr(&one)));
}

#[test]
fn a_stale_reference_is_an_error_and_never_another_object() {
    let mut s = Stage::new();
    let _agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let calc = s.a.proxy("b", "Calculator");
    let another: Reference = s.zone.run(calc.call("another", &())).unwrap();
    let pointer = another.pointer().clone();
    drop(another);
    // It is no longer there when its name comes home.
    let applied = s.zone.run(calc.call::<f64>("apply", &(pointer, 1, 2)));
    assert_eq!(code(applied), Some(Code::Gone));
    // What came in a session ends with it, though the object's node lives.
    let another: Reference = s.zone.run(calc.call("another", &())).unwrap();
    s.a.with(|state| {
        let keys: Vec<_> = state.connections.keys().copied().collect();
        let lost = Code::Gone.because("lost");
        keys.into_iter().for_each(|key| state.end(key, &lost));
    });
    let used = s.zone.run(another.proxy().call::<f64>("add", &(1, 2)));
    assert_eq!(code(used), Some(Code::Gone));
    assert_eq!(s.zone.run(calc.call("add", &(1, 2))), Ok(3.0));
}

#[test]
fn a_call_on_a_result_that_has_not_come_takes_no_further_trip() {
    let mut s = Stage::new();
    let _agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let calc = s.a.proxy("b", "Calculator");
    let another = calc.call::<Reference>("another", &()).pipelined();
    let sum = another.call::<f64>("add", &(1, 2));
    let deeper = another
        .ask(Act::Call, "another", Parcel::default())
        .pipelined();
    let product = deeper.call::<f64>("add", &(3, 4));
    // All of it was sent before any of it was answered.
    assert_eq!(s.a.with(|state| state.slots.len()), 4);
    drop((another, deeper));
    assert_eq!(s.zone.run(sum), Ok(3.0));
    assert_eq!(s.zone.run(product), Ok(7.0));
    // What is no object cannot be asked.
    let number = calc.call::<f64>("add", &(1, 2)).pipelined();
    assert_eq!(
        code(s.zone.run(number.call::<f64>("add", &(1, 2)))),
        Some(Code::UnknownMethod)
    );
    drop(number);
    s.zone.sleep(Time::from_millis(10));
    assert_eq!((s.a.counts(), s.b.counts()), ((0, 0), (1, 0)));
}

#[test]
fn a_value_to_come_is_an_argument_and_resolves_over_the_wire() {
    let mut s = Stage::new();
    let _agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let calc = s.a.proxy("b", "Calculator");
    let node = s.a.node().clone();
    let later = s.a.later(async move {
        node.sleep(Time::from_secs(3)).await;
        Ok(41.0)
    });
    assert_eq!(s.zone.run(calc.call("await", &(&later,))), Ok(42.0));
    let fails =
        s.a.later::<f64, _>(async { Err(Thrown::new("Error", "never").into()) });
    let failed = s.zone.run(calc.call::<f64>("await", &(&fails,)));
    assert_eq!(failed, Err(Thrown::new("Error", "never").into()));
    // Whose node goes is awaited no more, wherever it was handed on to.
    let node = s.a.node().clone();
    let never = s.a.later::<f64, _>(async move {
        node.sleep(Time::from_secs(1000)).await;
        Ok(0.0)
    });
    s.zone.run(calc.call::<()>("keep", &(&never,))).unwrap();
    let got: Later<f64> = s
        .zone
        .run(s.c.proxy("b", "Calculator").call("kept", &()))
        .unwrap();
    let waits = async {
        s.a.node().close();
        got.await
    };
    assert_eq!(code(s.zone.run(waits)), Some(Code::Left));
}
