//! Operations, between nodes in memory.

mod limits;
mod parts;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::Time;
use crate::error::Code;
use crate::id::NodeId;
use crate::limits::{
    ENDED_OPERATION_KEPT, ENDED_OPERATIONS_OF_CALLER_MAX, OPERATIONS_OF_CALLER_MAX,
};
use crate::rpc::CallError;
use crate::service::zone::Zone;

/// Nodes `a`, `b` and `c` on a relay, each with its operations.
struct Stage {
    zone: Zone,
    a: Operations,
    b: Operations,
    c: Operations,
}

const SECOND: Time = Time::from_secs(1);

impl Stage {
    fn new() -> Self {
        let mut zone = Zone::new();
        let [a, b, c] = ["a", "b", "c"].map(|name| {
            let rpc = Rpc::new(zone.join(name));
            let operations = Operations::new(rpc.clone()).unwrap();
            zone.spawn(async move { rpc.serve().await });
            operations
        });
        b.offer("pour", pour);
        Self { zone, a, b, c }
    }

    fn id(&self, n: usize) -> NodeId {
        self.zone.node(n).id()
    }

    fn start(&self, name: &str, args: &impl Serialize) -> Operation {
        self.a.start("b", name, args, Options::default())
    }
}

#[test]
fn a_list_that_is_followed_tells_of_beginnings_progress_and_ends_but_not_of_others_own() {
    let mut stage = Stage::new();
    stage
        .b
        .offer_made("secret", false, |_| Box::pin(core::future::pending()));
    let mut listed = stage.c.listed("b");
    assert_eq!(stage.zone.run(listed.next()).unwrap(), []);
    let pour = stage.start("pour", &2_u64);
    let _secret = stage.start("secret", &());
    let mut states = Vec::new();
    let mut fractions = 0;
    while states.last().is_none_or(|state| state != "success") {
        let list = stage.zone.run(listed.next()).unwrap();
        assert!(list.len() <= 1, "{list:?}");
        let Some(info) = list.first() else { continue };
        fractions += usize::from(info.fraction.is_some_and(|done| done > 0.0 && done < 1.0));
        if states.last() != Some(&info.state) {
            states.push(info.state.clone());
        }
    }
    assert!(fractions >= 3, "{fractions}");
    assert_eq!(states.last().map(String::as_str), Some("success"));
    assert!(stage.zone.run(pour).is_ok());
}

/// Pours for so many seconds, a tenth of it at a time.
async fn pour(work: Work) -> Result<u64, Unsuccessful> {
    let seconds: u64 = work.args()?;
    let node = work.operations().rpc().node().clone();
    for tenth in 0..10_u32 {
        let left = Time::from_secs(seconds) / 10 * (10 - tenth);
        let progress = Progress::of(f64::from(tenth) / 10.0);
        work.progress(progress.remaining(left).note(format!("tenth {tenth}")));
        let wait = std::pin::pin!(node.sleep(Time::from_secs(seconds) / 10));
        if let futures_util::future::Either::Right((stop, _)) =
            futures_util::future::select(wait, std::pin::pin!(work.stopped())).await
        {
            return Err(Unsuccessful::Stopped(stop));
        }
    }
    Ok(seconds * 10)
}

/// Everything that an operation tells, and how it ended.
async fn follow(mut operation: Operation) -> (Vec<Progress>, Result<Parcel, Unsuccessful>) {
    let mut all = Vec::new();
    while let Some(progress) = operation.progress().await {
        all.push(progress);
    }
    (all, operation.await)
}

fn ended<T>(result: Result<T, Unsuccessful>) -> (&'static str, String) {
    match result {
        Ok(_) => ("success", String::new()),
        Err(unsuccessful) => (unsuccessful.end(), unsuccessful.reason()),
    }
}

#[test]
fn an_operation_tells_how_far_it_is_and_then_what_it_brought() {
    let mut s = Stage::new();
    let (progress, result) = s.zone.run(follow(s.start("pour", &20)));
    assert_eq!(result.unwrap().read::<u64>(), Ok(200));
    let fractions: Vec<_> = progress.iter().filter_map(|p| p.fraction).collect();
    let expected: Vec<_> = (0..10).map(|n| f64::from(n) / 10.0).collect();
    assert!(fractions.ends_with(&expected[1..]), "{fractions:?}");
    let last = progress.last().unwrap();
    assert_eq!(last.remaining, Some(2 * SECOND));
    assert_eq!(last.note.as_deref(), Some("tenth 9"));
}

#[test]
fn it_may_be_of_this_node_itself() {
    let mut s = Stage::new();
    let own = s.b.start("b", "pour", &1, Options::default());
    assert_eq!(s.zone.run(own.value::<u64>()).unwrap(), 10);
}

#[test]
fn who_is_slow_sees_the_latest_and_always_the_end() {
    let mut s = Stage::new();
    s.b.offer("count", |work| async move {
        for n in 0..10_000 {
            work.progress(Progress::of(f64::from(n) / 10_000.0));
        }
        work.progress(Progress::of(1.0));
        Ok("done")
    });
    let operation = s.start("count", &());
    s.zone.sleep(SECOND);
    let (progress, result) = s.zone.run(follow(operation));
    assert!(progress.len() < 3, "{} were kept", progress.len());
    assert_eq!(result.unwrap().read::<String>(), Ok("done".into()));
}

#[test]
fn a_failure_has_a_reason_and_data() {
    let mut s = Stage::new();
    s.b.offer("fail", |_| async {
        Err::<(), _>(Unsuccessful::Fail {
            reason: "errNotPourable".into(),
            data: Parcel::of(&("lemon", 3))?,
        })
    });
    let failed = s.zone.run(s.start("fail", &())).unwrap_err();
    let Unsuccessful::Fail { reason, data } = failed else {
        panic!("{failed}");
    };
    assert_eq!(reason, "errNotPourable");
    assert_eq!(data.read(), Ok((String::from("lemon"), 3)));
}

#[test]
fn what_does_not_stop_when_it_is_told_to_is_given_up() {
    let mut s = Stage::new();
    s.b.offer("stubborn", |_| async {
        core::future::pending::<()>().await;
        Ok(())
    });
    let operation = s.start("stubborn", &());
    s.zone.sleep(SECOND);
    operation.cancel("enough");
    assert_eq!(ended(s.zone.run(operation)), ("cancel", "enough".into()));
}

#[test]
fn the_node_that_leaves_or_vanishes_is_a_failure_at_once() {
    for vanishes in [false, true] {
        let mut s = Stage::new();
        let operation = s.start("pour", &60);
        s.zone.sleep(2 * SECOND);
        match vanishes {
            true => s.zone.kill(2),
            false => s.b.rpc().node().close(),
        }
        let lost = s.zone.run(operation).unwrap_err();
        let code = if vanishes { Code::Gone } else { Code::Left };
        assert_eq!((lost.end(), lost.code()), ("fail", code), "{lost}");
    }
}

#[test]
fn it_goes_on_without_its_caller_and_is_found_again_by_its_tracker() {
    let mut s = Stage::new();
    let tracker = Tracker([7; 16]);
    let options = Options {
        tracker: Some(tracker),
        ..Options::default()
    };
    let operation = s.a.start("b", "pour", &20, options);
    s.zone.sleep(3 * SECOND);
    s.a.rpc().node().close();
    drop(operation);
    s.zone.sleep(3 * SECOND);
    let attached = s.c.attach("b", Which::Tracked(tracker));
    let (progress, result) = s.zone.run(follow(attached));
    assert!(progress[0].fraction.unwrap() >= 0.2, "{progress:?}");
    assert_eq!(result.unwrap().read::<u64>(), Ok(200));
    // Its result is kept for a while, and then forgotten.
    s.zone.sleep(ENDED_OPERATION_KEPT / 2);
    let again = s.c.attach("b", Which::Tracked(tracker));
    assert_eq!(s.zone.run(again.value::<u64>()).unwrap(), 200);
    s.zone.sleep(ENDED_OPERATION_KEPT);
    let late = s.zone.run(s.c.attach("b", Which::Tracked(tracker)));
    assert_eq!(late.unwrap_err().code(), Code::UnknownName);
    assert!(s.b.own().is_empty());
}

#[test]
fn to_start_it_again_under_its_tracker_is_to_attach_to_it() {
    let mut s = Stage::new();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    s.b.offer("count", move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok(1) }
    });
    let options = || Options {
        tracker: Some(Tracker([1; 16])),
        ..Options::default()
    };
    for _ in 0..3 {
        let operation = s.a.start("b", "count", &(), options());
        s.zone.run(operation).unwrap();
    }
    assert_eq!(count.load(Ordering::Relaxed), 1);
    // Of another node, or for something else, it is refused.
    for (who, name) in [(&s.c, "count"), (&s.a, "pour")] {
        let stolen = who.start("b", name, &1, options());
        let refused = s.zone.run(stolen).unwrap_err();
        assert_eq!(refused.code(), Code::Refused);
    }
}

#[test]
fn everyone_sees_what_is_public_and_only_who_knows_the_tracker_can_stop_it() {
    let mut s = Stage::new();
    s.b.offer_made("secret", false, |work| {
        Box::pin(async move { Ok(Parcel::of(&pour(work).await?)?) })
    });
    let (public, secret) = (s.start("pour", &20), s.start("secret", &20));
    s.zone.sleep(3 * SECOND);
    let (own, theirs) = (
        s.zone.run(s.a.list("b")).unwrap(),
        s.zone.run(s.c.list("b")).unwrap(),
    );
    assert_eq!(own.len(), 2);
    assert!(own.iter().all(|info| info.tracker.is_some()));
    assert_eq!(theirs.len(), 1);
    assert_eq!((&*theirs[0].name, &theirs[0].tracker), ("pour", &None));
    let mut watched = s.c.attach("b", Which::Numbered(theirs[0].id));
    watched.cancel("not mine");
    let first = s.zone.run(async { watched.progress().await }).unwrap();
    assert!(first.fraction.unwrap() >= 0.1);
    let hidden = s.c.attach("b", Which::Numbered(own[0].id));
    let hidden = s.zone.run(hidden).unwrap_err();
    assert_eq!(hidden.code(), Code::UnknownName);
    for operation in [public, secret] {
        assert_eq!(s.zone.run(operation.value::<u64>()).unwrap(), 200);
    }
    // Who only watches sees that it succeeded, and not what it brought.
    assert_eq!(s.zone.run(watched.value::<()>()).unwrap(), ());
}

#[test]
fn operations_of_one_lane_begin_when_the_one_before_has_ended_or_was_accepted() {
    let mut s = Stage::new();
    let record = Arc::new(Mutex::new(Vec::new()));
    for (name, accepts) in [("whole", false), ("begun", true), ("stop", false)] {
        let record = Arc::clone(&record);
        s.b.offer(name, move |work| {
            let record = Arc::clone(&record);
            async move {
                let node = work.operations().rpc().node().clone();
                record.lock().unwrap().push(format!("{name} begins"));
                node.sleep(SECOND).await;
                if accepts {
                    work.accept();
                }
                node.sleep(SECOND).await;
                record.lock().unwrap().push(format!("{name} ends"));
                Ok(())
            }
        });
    }
    let lane = |name| {
        let options = Options {
            lane: Some("valve-1".into()),
            ..Options::default()
        };
        s.a.start("b", name, &(), options)
    };
    let all = [lane("whole"), lane("begun"), lane("stop")];
    for operation in all {
        s.zone.run(operation).unwrap();
    }
    let record = record.lock().unwrap().clone();
    let expected = [
        "whole begins",
        "whole ends",
        "begun begins",
        "stop begins",
        "begun ends",
        "stop ends",
    ];
    assert_eq!(record, expected);
}

#[test]
fn what_waits_in_its_lane_can_be_cancelled_and_outlives_its_caller() {
    let mut s = Stage::new();
    let lane = |s: &Stage| {
        let options = Options {
            lane: Some("valve-1".into()),
            ..Options::default()
        };
        s.a.start("b", "pour", &10, options)
    };
    let [first, second, third] = [lane(&s), lane(&s), lane(&s)];
    s.zone.sleep(SECOND);
    let states: Vec<_> = s.b.own().into_iter().map(|info| info.state).collect();
    assert_eq!(states, ["waiting", "waiting", "running"]);
    second.cancel("no");
    assert_eq!(ended(s.zone.run(second)), ("cancel", "no".into()));
    s.a.rpc().node().close();
    drop((first, third));
    s.zone.sleep(25 * SECOND);
    let states: Vec<_> = s.b.own().into_iter().map(|info| info.state).collect();
    assert_eq!(states, ["success", "cancel", "success"]);
}

#[test]
fn to_progress_and_its_result_two_may_listen() {
    let mut s = Stage::new();
    let tracker = Tracker([3; 16]);
    let options = Options {
        tracker: Some(tracker),
        ..Options::default()
    };
    let first = s.a.start("b", "pour", &5, options);
    s.zone.sleep(SECOND);
    let second = s.c.attach("b", Which::Tracked(tracker));
    let (one, two) = s.zone.run(join(follow(first), follow(second)));
    assert_eq!(one.1.unwrap().read::<u64>(), two.1.unwrap().read::<u64>());
    assert!(!one.0.is_empty() && !two.0.is_empty());
}

#[test]
fn the_last_progress_comes_though_the_end_is_there() {
    let mut s = Stage::new();
    s.b.offer("burst", |work| async move {
        for n in 1..=5000 {
            let data = Parcel::of(&"x".repeat(200))?;
            let progress = Progress {
                data,
                ..Progress::of(f64::from(n) / 5000.0)
            };
            work.progress(progress);
        }
        Ok(())
    });
    for _ in 0..20 {
        let (progress, result) = s.zone.run(follow(s.start("burst", &())));
        result.unwrap();
        assert_eq!(progress.last().and_then(|last| last.fraction), Some(1.0));
        let numbers: Vec<_> = progress.iter().map(|progress| progress.number).collect();
        assert!(
            numbers.windows(2).all(|pair| pair[0] < pair[1]),
            "{numbers:?}"
        );
    }
}

#[test]
fn what_fails_in_its_own_words_when_it_is_told_to_stop_has_failed() {
    let mut s = Stage::new();
    s.b.offer("stuck", |work| async move {
        work.stopped().await;
        Err::<(), _>(Unsuccessful::fail("the valve is stuck open"))
    });
    let operation = s.start("stuck", &());
    s.zone.sleep(SECOND);
    operation.cancel("enough");
    let end = ended(s.zone.run(operation));
    assert_eq!(end, ("fail", "the valve is stuck open".into()));
}

#[test]
fn a_cancel_reaches_what_is_done_and_is_told_apart_from_an_abort() {
    let mut s = Stage::new();
    for (kind, name) in [(StopKind::Cancel, "cancel"), (StopKind::Abort, "abort")] {
        let operation = s.start("pour", &20);
        s.zone.sleep(3 * SECOND);
        operation.stop(kind, "user let go");
        let end = s.zone.run(async move { ended(operation.await) });
        assert_eq!(end, (name, "user let go".into()));
    }
    let list = s.zone.run(s.a.list("b")).unwrap();
    let states: Vec<_> = list.iter().map(|info| &*info.state).collect();
    assert_eq!(states, ["abort", "cancel"]);
}
