//! Commands in lanes, beside calls and operations.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::error::Code;
use crate::rpc::{CallError, Rpc};
use crate::service::command::{Call, param};
use crate::service::operation::{Operations, Options, Progress};

type Record = Arc<Mutex<Vec<String>>>;

struct Lanes {
    stage: Stage,
    a: Rpc,
    operations: Operations,
    at_b: Operations,
    record: Record,
}

/// `a` and `b` with lanes, and at `b` the command `turn WORD MILLISECONDS` and the operation `turn`, which
/// write down when they begin and end.
fn lanes() -> Lanes {
    let mut stage = Stage::with(&["a", "b"]);
    let record = Record::default();
    let [(a, at_a), (_, at_b)] = ["a", "b"].map(|name| {
        let rpc = Rpc::new(stage.of(name).node().clone());
        stage.of(name).share_lanes(&rpc).unwrap();
        let operations = Operations::new(rpc.clone()).unwrap();
        let serving = rpc.clone();
        stage.zone.spawn(async move { serving.serve().await });
        (rpc, operations)
    });
    let written = Arc::clone(&record);
    let turn = move |call: Call, (word, millis): (String, i64)| {
        let (record, node) = (Arc::clone(&written), call.node().clone());
        async move {
            record.lock().unwrap().push(format!("{word} begins"));
            node.sleep(Time::from_millis(millis as u64)).await;
            record.lock().unwrap().push(format!("{word} ends"));
            Status::OK
        }
    };
    let params = (
        param::text("WORD", "what"),
        param::integer("MS", "how long"),
    );
    for name in ["a", "b"] {
        let commands = stage.of(name);
        commands.register("turn", "takes a turn", params.clone(), turn.clone());
    }
    let written = Arc::clone(&record);
    at_b.offer("turn", move |work| {
        let record = Arc::clone(&written);
        async move {
            record.lock().unwrap().push("operation begins".into());
            let node = work.operations().rpc().node().clone();
            node.sleep(Time::from_millis(300)).await;
            record.lock().unwrap().push("operation ends".into());
            Ok(())
        }
    });
    Lanes {
        stage,
        a,
        operations: at_a,
        at_b,
        record,
    }
}

fn in_lane(options: &str) -> Options {
    Options {
        lane: Some(options.into()),
        ..Options::default()
    }
}

#[test]
fn commands_and_operations_of_one_lane_follow_each_other_as_they_were_made() {
    let mut l = lanes();
    let commands = l.stage.of("a");
    let first = commands
        .start("turn first 500 @b[lane=valve]", None)
        .unwrap();
    let second = l.operations.start("b", "turn", &(), in_lane("valve"));
    let third = commands
        .start_in(Some("valve"), "turn third 1 @b", None)
        .unwrap();
    let other = commands
        .start_in(Some("light"), "turn other 1 @b", None)
        .unwrap();
    let last = l.operations.start("b", "turn", &(), in_lane("valve"));
    l.stage.zone.run(other.outcome()).unwrap();
    // They need not be looked at in their order.
    let (mut first, mut third) = (first.outcome().boxed(), third.outcome().boxed());
    l.stage.zone.run(async {
        let both = futures_util::future::join(&mut third, &mut first).await;
        assert!(both.0.is_ok() && both.1.is_ok());
    });
    l.stage.zone.run(second).unwrap();
    l.stage.zone.run(last).unwrap();
    let record: Vec<_> = l.record.lock().unwrap().clone();
    let of_valve: Vec<_> = record.iter().filter(|e| !e.starts_with("other")).collect();
    let expected = [
        "first begins",
        "first ends",
        "operation begins",
        "operation ends",
        "third begins",
        "third ends",
        "operation begins",
        "operation ends",
    ];
    assert_eq!(of_valve, expected);
    let at = |entry: &str| record.iter().position(|e| e == entry);
    assert!(at("other ends") < at("first ends"));
}

#[test]
fn a_command_that_is_given_up_lets_the_next_of_its_lane_begin() {
    let mut l = lanes();
    let commands = l.stage.of("a");
    let lane = |word: &str, ms: u64| {
        let line = format!("turn {word} {ms} @b[lane=valve,timeout=1h]");
        commands.start(&line, None).unwrap().outcome().boxed()
    };
    let (running, waiting, last) = (lane("running", 60_000), lane("waiting", 1), lane("last", 1));
    let mut both = futures_util::future::join(running, waiting).boxed();
    assert!((&mut both).now_or_never().is_none());
    l.stage.zone.sleep(WHILE);
    drop(both);
    l.stage.zone.run(last).unwrap();
    let record: Vec<_> = l.record.lock().unwrap().clone();
    assert_eq!(record, ["running begins", "last begins", "last ends"]);
}

#[test]
fn lanes_of_this_node_itself_are_as_good_by_any_of_its_names() {
    let mut l = lanes();
    let (commands, id) = (l.stage.of("a"), l.a.node().id());
    let lines = [
        String::from("turn 1 300"),
        String::from("turn 2 200 @a"),
        format!("turn 3 100 @{id}"),
    ];
    let runs = lines.map(|line| {
        let run = commands.start_in(Some("valve"), &line, None).unwrap();
        run.outcome().boxed()
    });
    let all = l.stage.zone.run(futures_util::future::join_all(runs));
    assert!(
        all.iter()
            .all(|o| o.as_ref().is_ok_and(|o| o.status == Status::OK))
    );
    let record: Vec<_> = l.record.lock().unwrap().clone();
    let begins: Vec<_> = record.iter().step_by(2).collect();
    assert_eq!(begins, ["1 begins", "2 begins", "3 begins"]);
    assert_eq!(record.len(), 6);
}

#[test]
fn a_node_without_lanes_says_so() {
    let mut stage = Stage::with(&["a", "b"]);
    let none = stage.of("a").start_in(Some("valve"), "echo x @b", None);
    assert_eq!(none.err().map(|failure| failure.code), Some(Code::Refused));
    let mut l = lanes();
    l.stage.join("c", &[]);
    let failure = l.stage.run("echo x @c[lane=valve]").unwrap_err();
    assert_eq!(failure.code, Code::Refused, "{failure}");
    stage.zone.sleep(WHILE);
}

#[test]
fn operations_are_started_and_listed_at_a_prompt() {
    let mut l = lanes();
    for (operations, commands) in [(&l.operations, "a"), (&l.at_b, "b")] {
        operations.register(&l.stage.of(commands));
    }
    l.at_b.offer("double", |work| async move {
        let value: f64 = work.args()?;
        work.progress(Progress::of(0.5).note("half"));
        Ok(value * 2.0)
    });
    let (status, output) = l.stage.ran("start double 21 @b");
    assert_eq!(status, 0, "{output}");
    assert!(output.ends_with("42.0"), "{output}");
    let (status, output) = l.stage.ran("start double x @b");
    assert_eq!(status, 1, "{output}");
    assert!(output.starts_with("fail: "), "{output}");
    let (status, output) = l.stage.ran("operations @b");
    assert_eq!(status, 0);
    assert!(output.contains("#1 double success"), "{output}");
    // Who interrupts the command cancels the operation.
    l.at_b.offer("long", |work| async move {
        work.stopped().await;
        Ok(())
    });
    let mut long = l
        .stage
        .of("a")
        .start("start long @b", None)
        .unwrap()
        .outcome()
        .boxed();
    assert!((&mut long).now_or_never().is_none());
    l.stage.zone.sleep(WHILE);
    drop(long);
    l.stage.zone.sleep(WHILE);
    assert_eq!(l.at_b.own()[0].state, "cancel");
}

#[test]
fn an_operation_that_is_started_at_a_prompt_is_in_the_lane_of_its_node() {
    let mut l = lanes();
    for (operations, commands) in [(&l.operations, "a"), (&l.at_b, "b")] {
        operations.register(&l.stage.of(commands));
    }
    let commands = l.stage.of("a");
    let start = commands.start("start turn @b[lane=valve]", None).unwrap();
    let mut start = start.outcome().boxed();
    assert!((&mut start).now_or_never().is_none());
    let stop = commands.start("turn stop 1 @b[lane=valve]", None).unwrap();
    l.stage.zone.run(stop.outcome()).unwrap();
    l.stage.zone.run(start).unwrap();
    let record: Vec<_> = l.record.lock().unwrap().clone();
    let expected = [
        "operation begins",
        "operation ends",
        "stop begins",
        "stop ends",
    ];
    assert_eq!(record, expected);
    // A timeout is the operation's.
    l.at_b.offer("long", |work| async move {
        work.stopped().await;
        Ok(())
    });
    let (status, output) = l.stage.ran("start long @b[timeout=1s]");
    assert_ne!(status, 0, "{output}");
    l.stage.zone.sleep(Time::from_secs(6));
    assert_ne!(l.at_b.own()[0].state, "running");
}

#[test]
fn a_lane_that_cannot_be_is_an_error_and_nobody_waits_for_it() {
    let mut l = lanes();
    let long = "x".repeat(256);
    for line in ["turn 1 1", "turn 1 1 @a", "turn 1 1 @b"] {
        let refused = l.stage.of("a").start_in(Some(&long), line, None);
        assert_eq!(
            refused.err().map(|failure| failure.code),
            Some(Code::TooLarge)
        );
    }
    // A turn of which the command never comes is given up.
    let ticket = crate::object::Blob(vec![7; 16].into());
    let turn =
        l.a.proxy("b", "peerage/command/1")
            .call::<()>("turn", &(ticket, "valve"));
    let after = l
        .stage
        .of("a")
        .start("turn after 1 @b[lane=valve]", None)
        .unwrap();
    l.stage.zone.run(after.outcome()).unwrap();
    let error = l.stage.zone.run(turn).unwrap_err();
    assert_eq!(error.code(), Some(Code::TimedOut));
}

#[test]
fn many_targets_do_not_wait_for_one_another_in_a_lane() {
    let mut l = lanes();
    let names: Vec<_> = (0..crate::limits::TARGETS_AT_ONCE)
        .map(|n| format!("n{n}"))
        .collect();
    let mut kept = Vec::new();
    for name in &names {
        l.stage.join(name, &[]);
        let commands = l.stage.of(name);
        let rpc = Rpc::new(commands.node().clone());
        commands.share_lanes(&rpc).unwrap();
        commands.register(
            "turn",
            "waits",
            param::text("WORD", "any").rest(),
            |call: Call, _| async move {
                call.node().sleep(Time::from_secs(60)).await;
                Status::OK
            },
        );
        let serving = rpc.clone();
        l.stage.zone.spawn(async move { serving.serve().await });
        kept.push(rpc);
    }
    // All others are slow, and come first.
    let line = format!("turn x 1 @{},b[lane=valve]", names.join(","));
    let run = l.stage.of("a").start(&line, None).unwrap();
    let mut run = run.outcome().boxed();
    assert!((&mut run).now_or_never().is_none());
    let after = l
        .stage
        .of("a")
        .start("turn after 1 @b[lane=valve]", None)
        .unwrap();
    let mut after = after.outcome().boxed();
    let begin = l.stage.zone.now;
    l.stage.zone.run(async {
        let both = futures_util::future::select(&mut run, &mut after).await;
        assert!(matches!(both, futures_util::future::Either::Right(_)));
    });
    assert!(l.stage.zone.now - begin < Time::from_secs(30));
}

#[test]
fn a_turn_for_a_ticket_that_is_none_is_an_error() {
    let mut l = lanes();
    let turn =
        l.a.proxy("b", "peerage/command/1")
            .call::<()>("turn", &("x",));
    let error = l.stage.zone.run(turn).unwrap_err();
    assert!(matches!(error, CallError::Failed(_)), "{error}");
}
