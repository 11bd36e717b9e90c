//! Calls in lanes.

use futures_util::FutureExt;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// A valve that takes its time, and writes down what begins and ends.
#[derive(Default)]
struct Valve {
    rpc: Mutex<Option<Rpc>>,
    record: Mutex<Vec<String>>,
}

impl Valve {
    fn write(&self, entry: String) {
        self.record.lock().unwrap().push(entry);
    }

    fn read(&self) -> Vec<String> {
        self.record.lock().unwrap().clone()
    }
}

impl Agent for Valve {
    fn interface(&self) -> Interface {
        Interface::default()
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let (name, args) = (request.name.to_owned(), request.args);
        Box::pin(async move {
            self.write(format!("{name} begins"));
            let millis: u64 = args.argument(0)?;
            let rpc = self.rpc.lock().unwrap().clone().unwrap();
            rpc.node().sleep(Time::from_millis(millis)).await;
            self.write(format!("{name} ends"));
            match &*name {
                "fail" => Err(Thrown::new("Error", "no water").into()),
                _ => Ok(Parcel::of(&name)?),
            }
        })
    }
}

fn valve(s: &Stage) -> (Arc<Valve>, AgentHandle, Proxy) {
    let valve = Arc::new(Valve::default());
    *valve.rpc.lock().unwrap() = Some(s.b.clone());
    let agent = s.b.agent_of("Valve", valve.clone()).unwrap();
    (valve, agent, s.a.proxy("b", "Valve"))
}

#[test]
fn calls_of_one_lane_follow_each_other_though_the_first_takes_longer() {
    let mut s = Stage::new();
    let (valve, _agent, proxy) = valve(&s);
    let lane = proxy.in_lane("1");
    let (start, stop) = (lane.call("start", &(500,)), lane.call("stop", &(1,)));
    assert_eq!(s.zone.run(stop), Ok(String::from("stop")));
    assert_eq!(s.zone.run(start), Ok(String::from("start")));
    let expected = ["start begins", "start ends", "stop begins", "stop ends"];
    assert_eq!(valve.read(), expected);
    assert!(s.b.lanes().is_empty());
}

#[test]
fn other_lanes_and_calls_in_none_do_not_wait() {
    let mut s = Stage::new();
    let (valve, _agent, proxy) = valve(&s);
    let slow = proxy.clone().in_lane("1").call::<String>("slow", &(5000,));
    let (one, none) = (proxy.clone().in_lane("2"), proxy);
    let quick = one.call::<String>("one", &(1,));
    s.zone.run(quick).unwrap();
    s.zone.run(none.call::<String>("none", &(1,))).unwrap();
    assert!(!valve.read().contains(&"slow ends".into()));
    s.zone.run(slow).unwrap();
}

#[test]
fn lanes_of_different_callers_are_different() {
    let mut s = Stage::new();
    let (valve, _agent, proxy) = valve(&s);
    let _slow = proxy.in_lane("1").call::<String>("slow", &(5000,));
    s.zone.sleep(Time::from_millis(100));
    let other = s.c.proxy("b", "Valve").in_lane("1");
    s.zone.run(other.call::<String>("other", &(1,))).unwrap();
    let own = s.b.proxy("b", "Valve").in_lane("1");
    s.zone.run(own.call::<String>("own", &(1,))).unwrap();
    assert!(!valve.read().contains(&"slow ends".into()));
}

#[test]
fn what_fails_or_is_given_up_lets_the_next_of_its_lane_begin() {
    let mut s = Stage::new();
    let (valve, _agent, proxy) = valve(&s);
    let lane = proxy.in_lane("1");
    let failing = lane.call::<String>("fail", &(10,));
    let (running, waiting) = (
        lane.call::<String>("running", &(60_000,)),
        lane.call::<String>("waiting", &(10,)),
    );
    let last = lane.call::<String>("last", &(10,));
    assert!(s.zone.run(failing).is_err());
    s.zone.sleep(Time::from_millis(100));
    drop(waiting);
    drop(running);
    s.zone.run(last).unwrap();
    let begun: Vec<_> = valve.read();
    assert!(!begun.iter().any(|entry| entry.starts_with("waiting")));
    assert!(!begun.contains(&"running ends".into()));
}

#[test]
fn what_waits_in_a_lane_when_its_session_ends_never_begins_and_fails() {
    let mut s = Stage::new();
    let (valve, _agent, proxy) = valve(&s);
    let lane = proxy.in_lane("1");
    let running = lane.call::<String>("running", &(60_000,));
    let waiting = lane.call::<String>("waiting", &(1,));
    s.zone.sleep(Time::from_millis(100));
    s.a.node().close();
    s.zone.sleep(Time::from_secs(5));
    assert!(s.zone.run(running).is_err());
    assert!(s.zone.run(waiting).is_err());
    assert_eq!(valve.read(), ["running begins"]);
    assert!(s.b.lanes().is_empty());
}

#[test]
fn a_call_to_a_name_that_must_be_asked_for_is_not_overtaken() {
    let mut s = Stage::new();
    let (valve, _agent, _proxy) = valve(&s);
    // The beginning of an id is asked for; an id is not.
    let id = s.b.node().id().to_string();
    let lane = s.a.proxy(&id[..12], "Valve").in_lane("1");
    let mut first = lane.call::<String>("first", &(50,));
    let mut second = lane.call::<String>("second", &(1,));
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    s.zone.run(second).unwrap();
    s.zone.run(first).unwrap();
    assert_eq!(valve.read()[1], "first ends");
    assert!(!s.a.is_departing("1"));
}

#[test]
fn what_is_asked_of_a_result_to_come_has_its_turn_as_well() {
    let mut s = Stage::new();
    let (_agent, calc) = {
        let agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
        (agent, s.a.proxy("b", "Calculator"))
    };
    let another = calc.ask(Act::Call, "another", Parcel::default());
    let lane = another.pipelined().in_lane("1");
    let (slow, quick) = (
        lane.call::<String>("slowly", &(2,)),
        lane.call::<f64>("add", &(1, 2)),
    );
    let mut quick = Box::pin(quick);
    s.zone.sleep(Time::from_secs(1));
    assert!(quick.as_mut().now_or_never().is_none());
    s.zone.run(slow).unwrap();
    assert_eq!(s.zone.run(quick), Ok(3.0));
}
