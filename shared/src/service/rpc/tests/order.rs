//! In which order things happen, what is cancelled with what, and what is left when something has ended.

use futures_util::{FutureExt, StreamExt};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn calculator(s: &Stage) -> (AgentHandle, Proxy) {
    let agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    (agent, s.a.proxy("b", "Calculator"))
}

fn running(rpc: &Rpc) -> usize {
    rpc.with(|state| state.connections.values().map(|c| c.running.len()).sum())
}

#[test]
fn a_session_that_has_ended_leaves_no_stream_and_no_task() {
    let mut s = Stage::new();
    let (_agent, calc) = calculator(&s);
    assert_eq!(s.zone.run(calc.call("add", &(1, 2))), Ok(3.0));
    let stream = s.a.with(|state| {
        let connection = state.connections.values().next().unwrap();
        Arc::downgrade(&connection.asking.as_ref().unwrap().stream)
    });
    s.b.node().close();
    s.zone.sleep(Time::from_secs(5));
    assert_eq!(stream.strong_count(), 0);
}

#[test]
fn calls_to_a_node_that_does_not_serve_yet_fail_and_later_ones_do_not() {
    let mut zone = Zone::new();
    let [a, b] = ["a", "b"].map(|name| Rpc::new(zone.join(name)));
    let serving = a.clone();
    zone.spawn(async move { serving.serve().await });
    let calc = a.proxy_at(b.node().id(), "Calculator");
    let early = [
        calc.call::<f64>("add", &(1, 2)),
        calc.call::<f64>("add", &(1, 2)),
    ];
    zone.sleep(Time::from_millis(50));
    let serving = b.clone();
    zone.spawn(async move { serving.serve().await });
    let _agent = b.agent("Calculator", Calculator::at(&b)).unwrap();
    let late = calc.call::<f64>("add", &(1, 2));
    for early in early {
        assert_eq!(code(zone.run(early)), Some(Code::UnknownProtocol));
    }
    assert_eq!(zone.run(late), Ok(3.0));
}

#[test]
fn what_was_held_in_a_session_that_ended_is_not_given_back_in_the_next() {
    let mut s = Stage::new();
    let (_agent, calc) = calculator(&s);
    let first: Reference = s.zone.run(calc.call("another", &())).unwrap();
    s.zone.run(calc.call::<()>("keep", &(&first,))).unwrap();
    s.a.with(|state| {
        let keys: Vec<_> = state.connections.keys().copied().collect();
        let lost = Code::Gone.because("lost");
        keys.into_iter().for_each(|key| state.end(key, &lost));
    });
    let again: Reference = s.zone.run(calc.call("kept", &())).unwrap();
    s.zone.run(calc.call::<()>("drop", &())).unwrap();
    drop(first);
    s.zone.sleep(Time::from_millis(10));
    assert_eq!(s.zone.run(again.proxy().call("add", &(1, 1))), Ok(2.0));
}

#[test]
fn a_subscription_keeps_the_object_to_which_it_listens() {
    let mut s = Stage::new();
    let (_agent, calc) = calculator(&s);
    let another: Reference = s.zone.run(calc.call("another", &())).unwrap();
    let mut heard = another.proxy().on::<u32>("overflow");
    s.zone.run(heard.begun()).unwrap();
    drop(another);
    s.zone.sleep(Time::from_secs(1));
    assert_eq!((s.b.counts().0, heard.next().now_or_never()), (2, None));
    drop(heard);
    s.zone.sleep(Time::from_secs(1));
    assert_eq!((s.b.counts().0, running(&s.b)), (1, 0));
}

#[test]
fn a_result_that_is_cancelled_ends_at_its_target_though_nobody_waits_for_it() {
    let mut s = Stage::new();
    let (_agent, calc) = calculator(&s);
    let base = calc.call::<String>("slowly", &(1000,)).pipelined();
    let asked = base.call::<f64>("add", &(1, 2));
    s.zone.sleep(Time::from_millis(10));
    base.cancel();
    s.zone.sleep(Time::from_secs(1));
    assert_eq!(running(&s.b), 0);
    assert_eq!(code(s.zone.run(asked)), Some(Code::Cancelled));
    assert_eq!(code(s.zone.run(base.resolved())), Some(Code::Cancelled));
}

#[test]
fn what_is_asked_of_a_call_that_failed_fails_for_the_same_reason() {
    let mut s = Stage::new();
    let (_agent, calc) = calculator(&s);
    let thrown: CallError = Thrown::new("RangeError", "too much").into();
    let base = calc.call::<Reference>("throw", &()).pipelined();
    let at_once = base.call::<f64>("add", &(1, 2));
    s.zone.sleep(Time::from_millis(10));
    let later = base.call::<f64>("add", &(1, 2));
    assert_eq!(s.zone.run(at_once), Err(thrown.clone()));
    assert_eq!(s.zone.run(later), Err(thrown));
}

#[test]
fn calls_of_a_result_begin_in_their_order_whether_it_was_there_or_not() {
    let mut s = Stage::new();
    let (_agent, calc) = calculator(&s);
    let own = Arc::new(Calculator::at(&s.a));
    let first = s.a.share(own);
    s.zone.run(calc.call::<()>("keep", &(first,))).unwrap();
    // The result comes after a while, with some that wait for it, and some that come just then.
    let another = calc.call::<Reference>("another", &()).pipelined();
    let before: Vec<_> = (0..5).map(|n| another.set("total", &n)).collect();
    s.zone.sleep(Time::from_millis(1));
    let after: Vec<_> = (5..10).map(|n| another.set("total", &n)).collect();
    let total = another.get::<f64>("total");
    for set in before.into_iter().chain(after) {
        s.zone.run(set).unwrap();
    }
    assert_eq!(s.zone.run(total), Ok(9.0));
}

#[test]
fn who_begins_to_watch_while_a_property_is_being_set_learns_what_it_becomes() {
    /// Takes a second to be set.
    struct Lazy {
        rpc: Rpc,
        x: Mutex<u32>,
    }
    impl Agent for Lazy {
        fn interface(&self) -> Interface {
            Interface::default()
        }
        fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
            let (act, args) = (request.act, request.args);
            Box::pin(async move {
                if act == Act::Set {
                    self.rpc.node().sleep(Time::from_secs(1)).await;
                    *self.x.lock().unwrap() = args.read()?;
                }
                let x = *self.x.lock().unwrap();
                Ok(Parcel::of(&x)?)
            })
        }
    }
    let mut s = Stage::new();
    let (rpc, x) = (s.b.clone(), Mutex::default());
    let _agent = s.b.agent("Lazy", Lazy { rpc, x }).unwrap();
    let lazy = s.a.proxy("b", "Lazy");
    let set =
        s.a.proxy("b", "Lazy")
            .ask(Act::Set, "x", Parcel::of(&7).unwrap());
    s.zone.sleep(Time::from_millis(100));
    let mut watched = lazy.watch::<u32>("x");
    assert_eq!(s.zone.run(watched.next()), Some(Ok(0)));
    s.zone.run(set).unwrap();
    assert_eq!(s.zone.run(watched.next()), Some(Ok(7)));
}

#[test]
fn a_slow_watcher_sees_the_latest_alone() {
    let mut s = Stage::new();
    let (agent, calc) = calculator(&s);
    let mut there = calc.watch::<f64>("total");
    let mut here = s.b.proxy("b", "Calculator").watch::<f64>("total");
    assert_eq!(s.zone.run(there.next()), Some(Ok(0.0)));
    assert_eq!(s.zone.run(here.next()), Some(Ok(0.0)));
    for value in 1..=50 {
        agent.emitter().changed("total", &value).unwrap();
        s.zone.sleep(Time::from_millis(1));
    }
    for watched in [&mut there, &mut here] {
        assert_eq!(s.zone.run(watched.next()), Some(Ok(50.0)));
        assert_eq!(watched.next().now_or_never(), None);
        assert_eq!(watched.missed(), 0);
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn an_agent_that_panics_fails_that_request_and_no_other() {
    let mut s = Stage::new();
    let (_agent, calc) = calculator(&s);
    let other = calc.call::<String>("slowly", &(1,));
    let failed = s.zone.run(calc.call::<()>("panic", &())).unwrap_err();
    let CallError::Thrown(thrown) = &failed else {
        panic!("{failed}")
    };
    assert!(thrown.kind == "Panic" && !thrown.message.contains("secret"));
    assert_eq!(s.zone.run(other), Ok("done".into()));
}
