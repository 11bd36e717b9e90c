//! The defects of KAI that concern objects, by their numbers in its list: none is repeated here.

use futures_util::{FutureExt, StreamExt};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::object;

#[test]
fn defect_1_a_local_agent_never_answers_for_a_remote_handle() {
    let mut s = Stage::new();
    let _b = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let own = Arc::new(Calculator::at(&s.a));
    let _a = s.a.agent_of("Calculator", own.clone()).unwrap();
    let there: Reference = {
        let call = s.a.proxy("b", "Calculator").call("another", &());
        s.zone.run(call).unwrap()
    };
    // An object of A's own that is called the same.
    s.a.with(|state| {
        let handle = *state.names.get("Calculator").unwrap();
        let export = state.exports.remove(&handle).unwrap();
        state.exports.insert(there.pointer().handle, export);
    });
    assert_eq!(s.zone.run(there.proxy().call("add", &(1, 2))), Ok(3.0));
    assert_eq!(own.calls.load(Ordering::Relaxed), 0);
}

#[test]
fn defect_2_only_the_node_that_was_asked_can_answer() {
    let mut s = Stage::new();
    let _b = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let _c = s.c.agent("Calculator", Calculator::at(&s.c)).unwrap();
    let asked = s.a.proxy("b", "Calculator").call::<String>("slowly", &(5,));
    let other = s.a.proxy("c", "Calculator").call::<String>("slowly", &(9,));
    s.zone.sleep(Time::from_secs(1));
    let ids =
        s.a.with(|state| state.slots.keys().copied().collect::<Vec<_>>());
    let a = s.id(1);
    s.c.with(|state| {
        let key = *state.connections.keys().find(|key| key.0 == a).unwrap();
        for id in ids {
            let answer = wire::Answer::Return { id, transit: None };
            let answer = wire::message(&answer, &[0x61, b'x']);
            let line = state.line(key, state::Side::Answering).unwrap();
            line.push(answer).unwrap();
        }
    });
    assert_eq!(s.zone.run(asked), Ok("done".into()));
    assert_eq!(s.zone.run(other), Ok("x".into()));
}

#[test]
fn defect_2_handles_cannot_be_guessed() {
    let mut s = Stage::new();
    let handles: std::collections::HashSet<_> = (0..1000)
        .map(|_| s.b.share(Arc::new(Calculator::default())).pointer().handle)
        .collect();
    assert_eq!(handles.len(), 1000);
    let _b = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let calc = s.a.proxy("b", "Calculator");
    let guess = Pointer {
        node: s.id(2),
        handle: [0; 16],
        future: false,
    };
    let guessed = s.zone.run(calc.call::<f64>("apply", &(guess, 1, 2)));
    assert_eq!(code(guessed), Some(Code::Gone));
}

#[test]
fn defect_3_values_to_come_of_two_senders_are_not_confused() {
    let mut s = Stage::new();
    let _b = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let later = |rpc: &Rpc, seconds, value: f64| {
        let node = rpc.node().clone();
        rpc.later(async move {
            node.sleep(Time::from_secs(seconds)).await;
            Ok(value)
        })
    };
    let (ours, theirs) = (later(&s.a, 2, 10.0), later(&s.c, 1, 20.0));
    let a = s.a.proxy("b", "Calculator").call::<f64>("await", &(&ours,));
    let c =
        s.c.proxy("b", "Calculator")
            .call::<f64>("await", &(&theirs,));
    assert_eq!(s.zone.run(a), Ok(11.0));
    assert_eq!(s.zone.run(c), Ok(21.0));
}

#[test]
fn defect_4_a_call_goes_to_the_node_that_is_named_or_nowhere() {
    let mut s = Stage::new();
    let near = Arc::new(Calculator::at(&s.c));
    let _c = s.c.agent_of("Calculator", near.clone()).unwrap();
    let to_b = s.a.proxy("b", "Calculator");
    s.zone
        .run(s.a.proxy("c", "Calculator").call::<f64>("add", &(1, 2)))
        .unwrap();
    assert_eq!(
        code(s.zone.run(to_b.call::<f64>("add", &(1, 2)))),
        Some(Code::UnknownName)
    );
    assert_eq!(near.calls.load(Ordering::Relaxed), 1);
}

#[test]
fn defect_5_a_call_without_a_connection_fails_and_leaves_nothing() {
    let mut s = Stage::new();
    let _b = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    s.zone.kill(2);
    let lost = s
        .zone
        .run(s.a.proxy("b", "Calculator").call::<f64>("add", &(1, 2)));
    assert!(matches!(
        code(lost),
        Some(Code::Gone | Code::Unreachable | Code::UnknownName)
    ));
    assert_eq!(s.a.with(|state| state.slots.len()), 0);
}

#[test]
fn defect_13_what_cannot_be_read_is_told_and_not_taken_for_nothing() {
    let mut s = Stage::new();
    let _b = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let calc = s.a.proxy("b", "Calculator");
    let wrong = s
        .zone
        .run(calc.call::<Vec<u8>>("add", &(1, 2)))
        .unwrap_err();
    assert_eq!(wrong.code(), Some(Code::BadMessage));
    let wrong = s.zone.run(calc.set("total", &"much")).unwrap_err();
    assert!(wrong.to_string().contains("expected f64"), "{wrong}");
}

#[test]
fn defect_21_another_version_of_an_interface_is_refused_with_both() {
    let mut s = Stage::new();
    let _b = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let calc = s.a.proxy("b", "Calculator");
    let same = calc.clone().with_version(2).call("add", &(1, 2));
    assert_eq!(s.zone.run(same), Ok(3.0));
    let other = s
        .zone
        .run(calc.with_version(3).call::<f64>("add", &(1, 2)))
        .unwrap_err();
    assert_eq!(other.code(), Some(Code::IncompatibleVersion));
    assert!(
        other
            .to_string()
            .contains("the caller has version 3, the agent 2"),
        "{other}"
    );
}

#[test]
fn defect_23_a_slow_method_holds_up_no_other() {
    let mut s = Stage::new();
    let _b = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let calc = s.a.proxy("b", "Calculator");
    let slow = calc.call::<String>("slowly", &(100,));
    assert_eq!(s.zone.run(calc.call("add", &(1, 2))), Ok(3.0));
    drop(slow);
}

#[test]
fn defect_7_who_subscribed_hears_and_learns_of_the_end_and_nobody_else() {
    let mut s = Stage::new();
    let agent = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let _bystander = s.c.agent("Calculator", Calculator::at(&s.c)).unwrap();
    let mut heard = s.a.proxy("b", "Calculator").on::<u32>("overflow");
    let mut other = s.a.proxy("c", "Calculator").on::<u32>("overflow");
    s.zone.run(heard.begun()).unwrap();
    s.zone.run(other.begun()).unwrap();
    agent.emit("overflow", &1).unwrap();
    assert_eq!(s.zone.run(heard.next()), Some(Ok(1)));
    assert_eq!(other.next().now_or_never(), None);
    s.zone.kill(2);
    assert_eq!(code(s.zone.run(heard.next()).unwrap()), Some(Code::Gone));
}

#[test]
fn defect_11_a_number_is_the_same_bytes_wherever_it_was_written() {
    let bytes = |value: &Parcel| object::encode(value.value(), object::Form::Natural);
    let written = bytes(&Parcel::of(&(1u8, -2i64, 0x0102_0304u32, 1.5f64)).unwrap());
    let expected = [0x84, 1, 0x21, 0x1a, 1, 2, 3, 4, 0xf9, 0x3e, 0];
    assert_eq!(written[..], expected);
}

#[test]
fn defect_12_what_is_shared_cyclic_or_deep_arrives_as_it_was() {
    let mut s = Stage::new();
    let _b = s.b.agent("Calculator", Calculator::at(&s.b)).unwrap();
    let mut value = object::Value::default();
    let shared = value.add(object::Node::List(vec![object::Item::text("one")]));
    let mut deep = shared.clone();
    for _ in 0..10_000 {
        deep = value.add(object::Node::List(vec![deep, shared.clone()]));
    }
    // The innermost leads back to the outermost.
    if let object::Item::Node(slot) = &shared {
        *value.node_mut(*slot).unwrap() = object::Node::List(vec![deep.clone()]);
    }
    let root = value.add(object::Node::List(vec![deep]));
    value.set_root(root);
    let args = Parcel::new(value, Vec::new());
    let call =
        s.a.proxy("b", "Calculator")
            .ask(Act::Call, "echo", args.clone());
    let back = s.zone.run(call).unwrap();
    assert!(back.value().is_same_graph(args.value()));
}
