//! One command at several targets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::limits::TARGETS_AT_ONCE;
use crate::service::command::{Call, News, Status, TargetResult};

type Results = Vec<(String, Result<(u8, String), crate::Code>)>;

fn results(stage: &mut Stage, line: &str) -> (u8, Results) {
    let outcome = stage.run(line).unwrap();
    let told = |result: TargetResult| {
        let ended = result.result.map(|(status, output)| (status.0, output));
        (
            result.target.to_string(),
            ended.map_err(|failure| failure.code),
        )
    };
    let results = outcome.results.into_iter().map(told);
    (outcome.status.0, results.collect())
}

fn well(output: &str) -> Result<(u8, String), crate::Code> {
    Ok((0, output.into()))
}

#[test]
fn each_of_several_targets_has_a_result_of_its_own() {
    let mut stage = Stage::with(&["a", "b", "c"]);
    let (status, told) = results(&mut stage, "calc 1+2 @c,b,a");
    assert_eq!(status, 0);
    let expected = ["c", "b", "a"].map(|name| (name.to_owned(), well("3")));
    assert_eq!(told, expected);
    let (status, told) = results(&mut stage, "@b,nobody status");
    assert_eq!(status, 1);
    assert_eq!(told[0].1.as_ref().unwrap().0, 0);
    assert_eq!(told[1], ("nobody".into(), Err(crate::Code::UnknownName)));
    let (status, told) = results(&mut stage, "calc 1/0 @b,c");
    assert_eq!((status, told[0].1.as_ref().unwrap().0), (1, 1));
    assert_eq!(stage.ran("calc 1+1 @b,c"), (0, "b  2\nc  2".into()));
}

#[test]
fn everyone_is_everyone_else_relays_included() {
    let mut stage = Stage::with(&["a", "b", "c"]);
    let (status, mut told) = results(&mut stage, "calc 6*7 @*");
    told.sort_by(|x, y| x.0.cmp(&y.0));
    assert_eq!(status, 0);
    let expected = ["b", "c", "relay"].map(|name| (name.to_owned(), well("42")));
    assert_eq!(told, expected);
    let (_, told) = results(&mut stage, "ping @b,c");
    assert!(
        told.iter()
            .all(|(name, ended)| { ended.as_ref().unwrap().1.starts_with(&format!("{name}: ")) })
    );
    let alone = Commands::new(Zone::new().node(0).clone(), BTreeMap::new());
    assert_eq!(
        alone.start("calc 1 @*", None).err().unwrap().code,
        crate::Code::UnknownName
    );
}

#[test]
fn targets_run_at_once_and_the_slow_ones_time_out_alone() {
    let mut stage = Stage::with(&["a", "b", "c"]);
    stage
        .of("b")
        .register("work", "for long", (), |call, ()| async move {
            call.node().sleep(Time::from_secs(60)).await;
            Status::OK
        });
    stage
        .of("c")
        .register("work", "for short", (), |call, ()| async move {
            call.node().sleep(Time::from_secs(1)).await;
            call.end(Status::OK, "done")
        });
    let begin = stage.zone.now;
    let (status, told) = results(&mut stage, "work @b,c[timeout=1500ms]");
    assert!(stage.zone.now - begin < Time::from_millis(1500) + WHILE);
    assert_eq!(status, 1);
    assert_eq!(
        told,
        [
            ("b".into(), Err(crate::Code::TimedOut)),
            ("c".into(), well("done"))
        ]
    );
}

#[test]
fn what_several_write_is_told_as_it_comes() {
    let mut stage = Stage::with(&["a", "b", "c"]);
    let mut run = stage.of("a").start("sleep 1 @b,c", None).unwrap();
    assert!(run.is_several());
    let mut ended = Vec::new();
    while let Some(told) = stage.zone.run(run.next()) {
        assert_eq!(told.what, News::End(Ok(Status::OK)));
        ended.push(told.target.to_string());
    }
    ended.sort();
    assert_eq!(ended, ["b", "c"]);
}

#[test]
fn no_more_than_a_limit_run_at_once() {
    let mut stage = Stage::with(&["a", "b"]);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut names = Vec::new();
    for node in ["a", "b"] {
        let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
        stage
            .of(node)
            .register("hold", "for a while", (), move |call: Call, ()| {
                peak.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                let now = Arc::clone(&now);
                async move {
                    call.node().sleep(Time::from_secs(1)).await;
                    now.fetch_sub(1, Ordering::Relaxed);
                    Status::OK
                }
            });
        // A node goes by every beginning of its id.
        let id = stage.of(node).node().id().to_string();
        names.extend((6..id.len()).map(|len| id[..len].to_owned()));
    }
    let (status, told) = results(&mut stage, &format!("hold @{}", names.join(",")));
    assert_eq!((status, told.len()), (0, names.len()));
    assert!(names.len() > TARGETS_AT_ONCE);
    assert_eq!(most.load(Ordering::Relaxed), TARGETS_AT_ONCE);
}
