//! Operations that are parts of others.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn a_deadline_aborts_what_takes_longer_and_all_its_parts() {
    let mut s = Stage::new();
    s.b.offer("outer", |work| async move {
        work.start("c", "pour", &60).await?;
        Ok(())
    });
    s.c.offer("pour", pour);
    let options = Options {
        timeout: Some(5 * SECOND),
        ..Options::default()
    };
    let operation = s.a.start("b", "outer", &(), options);
    let (end, reason) = ended(s.zone.run(operation));
    assert_eq!((end, &*reason), ("abort", "its time was over"));
    s.zone.sleep(SECOND);
    let part = &s.c.own()[0];
    assert_eq!(part.state, "abort");
    let parent = format!("{}/1", s.id(2).short());
    assert_eq!(part.parent.as_deref(), Some(&*parent));
}

#[test]
fn a_cancel_reaches_the_parts_and_keeps_its_kind() {
    let mut s = Stage::new();
    s.b.offer("outer", |work| async move {
        let parts = vec![work.start("c", "pour", &60), work.start("c", "pour", &50)];
        work.parallel(parts).await?;
        Ok(())
    });
    s.c.offer("pour", pour);
    let operation = s.start("outer", &());
    s.zone.sleep(2 * SECOND);
    operation.cancel("user let go");
    assert_eq!(ended(s.zone.run(operation)).0, "cancel");
    s.zone.sleep(SECOND);
    let parts = s.c.own();
    assert_eq!(parts.len(), 2);
    assert!(parts.iter().all(|part| part.state == "cancel"), "{parts:?}");
}

#[test]
fn a_part_that_is_given_up_or_outlives_its_whole_is_aborted() {
    let mut s = Stage::new();
    s.c.offer("pour", pour);
    s.b.offer("careless", |work| async move {
        drop(work.start("c", "pour", &60));
        let _forgotten = work.start("c", "pour", &60);
        let node = work.operations().rpc().node().clone();
        node.sleep(SECOND).await;
        Ok(())
    });
    s.zone.run(s.start("careless", &())).unwrap();
    s.zone.sleep(SECOND);
    assert!(s.c.own().iter().all(|part| part.state == "abort"));
}

#[test]
fn parts_at_once_are_together_as_far_as_all_and_take_as_long_as_the_longest() {
    let mut s = Stage::new();
    s.b.offer("both", |work| async move {
        let parts = vec![work.start("b", "pour", &10), work.start("b", "pour", &20)];
        let values = work.parallel(parts).await?;
        Ok(values
            .iter()
            .map(|v| v.read::<u64>())
            .sum::<Result<u64, _>>()?)
    });
    let (progress, result) = s.zone.run(follow(s.start("both", &())));
    assert_eq!(result.unwrap().read::<u64>(), Ok(300));
    let at = |fraction: f64| {
        let near = |p: &&Progress| p.fraction.is_some_and(|f| (f - fraction).abs() < 0.001);
        progress.iter().find(near).cloned()
    };
    // After ten seconds: the one is done, of the other a half is left.
    assert_eq!(at(0.75).unwrap().remaining, Some(10 * SECOND));
    let fractions: Vec<_> = progress.iter().filter_map(|p| p.fraction).collect();
    assert!(fractions.is_sorted(), "{fractions:?}");
    assert_eq!(fractions.last(), Some(&1.0));
}

#[test]
fn steps_weigh_as_long_as_they_last_and_what_is_left_is_added_up() {
    let mut s = Stage::new();
    s.b.offer("steps", |work| async move {
        let step = |seconds: u64| {
            let start = move |work: &Work| work.start("b", "pour", &seconds);
            Step::new(start).lasting(Time::from_secs(seconds))
        };
        work.sequence(vec![step(10), step(30)]).await?;
        Ok(())
    });
    let (progress, result) = s.zone.run(follow(s.start("steps", &())));
    result.unwrap();
    let first = progress.iter().find(|p| p.fraction.is_some()).unwrap();
    assert_eq!(first.remaining, Some(40 * SECOND));
    let half = |p: &&Progress| p.fraction.is_some_and(|f| (f - 0.55).abs() < 0.001);
    let left = progress.iter().find(half).unwrap().remaining.unwrap();
    assert_eq!(left, 18 * SECOND);
}

#[test]
fn the_first_part_that_fails_aborts_the_others_and_ends_the_whole() {
    let mut s = Stage::new();
    s.b.offer("fail", |work| async move {
        work.operations().rpc().node().sleep(SECOND).await;
        Err::<(), _>(Unsuccessful::fail("no water"))
    });
    s.b.offer("both", |work| async move {
        let parts = vec![work.start("b", "pour", &60), work.start("b", "fail", &())];
        work.parallel(parts).await?;
        Ok(())
    });
    let operation = s.start("both", &());
    assert_eq!(ended(s.zone.run(operation)), ("fail", "no water".into()));
    s.zone.sleep(SECOND);
    let states: Vec<_> = s.b.own().into_iter().map(|info| info.state).collect();
    assert_eq!(states, ["fail", "abort", "fail"]);
}

#[test]
fn parts_end_when_the_node_of_their_whole_is_gone() {
    let mut s = Stage::new();
    s.c.offer("pour", pour);
    s.b.offer("outer", |work| async move {
        work.start("c", "pour", &600).await?;
        Ok(())
    });
    let operation = s.start("outer", &());
    s.zone.sleep(2 * SECOND);
    assert_eq!(s.c.own()[0].state, "running");
    s.zone.kill(2);
    assert_eq!(s.zone.run(operation).unwrap_err().end(), "fail");
    s.zone.sleep(10 * SECOND);
    let part = &s.c.own()[0];
    assert_eq!(
        (&*part.state, part.reason.as_deref()),
        ("abort", Some("what it is a part of is gone"))
    );
}

#[test]
fn a_step_that_will_take_for_ever_does_no_harm() {
    let mut s = Stage::new();
    s.b.offer("endless", |work| async move {
        work.progress(Progress::of(f64::NAN).remaining(Time::MAX));
        work.operations().rpc().node().sleep(SECOND).await;
        Ok(())
    });
    s.b.offer("steps", |work| async move {
        let step = || Step::new(|work: &Work| work.start("b", "endless", &()));
        work.sequence(vec![
            step().lasting(Time::from_secs(1 << 40)),
            step().lasting(SECOND),
        ])
        .await?;
        Ok(())
    });
    let (progress, result) = s.zone.run(follow(s.start("steps", &())));
    result.unwrap();
    assert!(
        progress
            .iter()
            .all(|p| p.fraction.is_none_or(|f| (0.0..=1.0).contains(&f)))
    );
}
