//! What is too much, wrong, or goes wrong.

use futures_util::FutureExt;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn what_is_too_much_is_refused_and_what_ended_long_ago_makes_room() {
    let mut s = Stage::new();
    s.b.offer("wait", |_| async {
        core::future::pending::<()>().await;
        Ok(())
    });
    s.b.offer("quick", |_| async { Ok(()) });
    let other = s.c.start("b", "quick", &(), Options::default());
    let kept = other.which();
    s.zone.run(other).unwrap();
    for _ in 0..ENDED_OPERATIONS_OF_CALLER_MAX + 10 {
        s.zone.run(s.start("quick", &())).unwrap();
    }
    assert_eq!(s.b.own().len(), ENDED_OPERATIONS_OF_CALLER_MAX + 1);
    // What another has had done is known still.
    s.zone.run(s.c.attach("b", kept)).unwrap();
    let held: Vec<_> = (0..OPERATIONS_OF_CALLER_MAX)
        .map(|_| s.start("wait", &()))
        .collect();
    let refused = s.zone.run(s.start("wait", &())).unwrap_err();
    assert_eq!(refused.code(), Code::Overloaded);
    // Another caller has its own room.
    let other = s.c.start("b", "quick", &(), Options::default());
    s.zone.run(other).unwrap();
    drop(held);
}

#[test]
fn what_is_no_request_of_the_protocol_gets_a_typed_error() {
    let mut s = Stage::new();
    let raw = s.a.rpc().proxy("b", AGENT);
    let long = "x".repeat(300);
    let tracker = Tracker([1; 16]).to_string();
    let attempts: Vec<Result<Parcel, CallError>> = vec![
        s.zone
            .run(raw.ask(crate::rpc::Act::Call, "start", Parcel::default())),
        s.zone.run(raw.ask(
            crate::rpc::Act::Call,
            "start",
            Parcel::of(&("zz", "pour")).unwrap(),
        )),
        s.zone.run(raw.ask(
            crate::rpc::Act::Call,
            "start",
            Parcel::of(&(&tracker, "pour", 1, &long)).unwrap(),
        )),
        s.zone.run(raw.ask(
            crate::rpc::Act::Call,
            "start",
            Parcel::of(&(&tracker, "none")).unwrap(),
        )),
        s.zone.run(raw.ask(
            crate::rpc::Act::Call,
            "attach",
            Parcel::of(&("#x",)).unwrap(),
        )),
        s.zone.run(raw.ask(
            crate::rpc::Act::Call,
            "stop",
            Parcel::of(&("#1", "kill")).unwrap(),
        )),
        s.zone
            .run(raw.ask(crate::rpc::Act::Call, "other", Parcel::default())),
        s.zone
            .run(raw.ask(crate::rpc::Act::Get, "other", Parcel::default())),
    ];
    for attempt in attempts {
        assert!(
            attempt.as_ref().is_err_and(|e| e.code().is_some()),
            "{attempt:?}"
        );
    }
    assert!(s.b.own().is_empty());
}

#[test]
fn an_operation_is_stopped_though_its_caller_has_no_room_for_more_calls() {
    let mut s = Stage::new();
    let operation = s.start("pour", &600);
    s.b.offer("wait", |work| async move {
        work.operations().rpc().node().sleep(3 * SECOND).await;
        Ok(())
    });
    let others: Vec<_> = (0..OPERATIONS_OF_CALLER_MAX - 1)
        .map(|_| s.start("wait", &()))
        .collect();
    let raw = s.a.rpc().proxy("b", AGENT);
    let which = operation.which().to_string();
    let watched: Vec<_> = (0..4096).map(|_| raw.watch::<()>(&which)).collect();
    operation.cancel("enough");
    s.zone.sleep(SECOND);
    drop((others, watched));
    assert_eq!(ended(s.zone.run(operation)), ("cancel", "enough".into()));
}

#[test]
fn an_operation_at_nobody_fails() {
    let mut s = Stage::new();
    let nobody = s.a.start("nobody", "pour", &1, Options::default());
    nobody.cancel("it matters not");
    let failed = s.zone.run(nobody).unwrap_err();
    assert_eq!(failed.code(), Code::UnknownName);
    assert!(!s.a.rpc().is_departing("nobody"));
    let none = s.start("none", &());
    assert_eq!(s.zone.run(none).unwrap_err().code(), Code::UnknownMethod);
    assert!(s.start("pour", &1).now_or_never().is_none());
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn a_panic_is_a_failure_of_this_operation_alone() {
    let mut s = Stage::new();
    s.b.offer("panic", |_| async {
        panic!("secret");
        #[expect(unreachable_code, reason = "its type must be known")]
        Ok(())
    });
    let (end, reason) = ended(s.zone.run(s.start("panic", &())));
    assert_eq!(end, "fail");
    assert!(!reason.contains("secret"));
    assert_eq!(s.zone.run(s.start("pour", &1).value::<u64>()).unwrap(), 10);
}
