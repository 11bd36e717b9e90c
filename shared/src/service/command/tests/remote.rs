//! One command at one target.

use core::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{FutureExt, StreamExt};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::Code;
use crate::service::command::{Call, News, Run, Status, param};

#[test]
fn a_command_runs_at_its_target_and_its_status_and_output_come_back() {
    let mut stage = Stage::with(&["a", "b"]);
    for (line, status, output) in [
        ("calc 1+2 @b", 0, "3"),
        ("@b calc (1+2)*3.5", 0, "10.5"),
        ("echo  two  words @b", 0, "two  words"),
        ("calc 1/0 @b", 1, "divides by zero"),
        (
            "calc @b",
            2,
            "calc: expected EXPRESSION, the rest of the line, got nothing",
        ),
        (
            "sleep soon @b",
            2,
            "expected SECONDS, a number, got `soon`\nusage: sleep SECONDS",
        ),
        ("peers all @b", 2, "expected nothing more, got `all`"),
        ("alias x=calc @b", 126, "own user"),
        ("foo @b", 127, "unknown command `foo`"),
        ("calc 1+1 @a", 0, "2"),
        ("calc 2*3", 0, "6"),
    ] {
        let ran = stage.ran(line);
        assert_eq!(ran.0, status, "{line}: {ran:?}");
        assert!(ran.1.contains(output), "{line}: {ran:?}");
    }
    let nobody = stage.run("calc 1 @nobody").unwrap_err();
    assert_eq!(
        (nobody.code, nobody.peer.as_deref()),
        (Code::UnknownName, Some("nobody"))
    );
    assert!(stage.ran("ping @b").1.starts_with("b: "));
    assert!(stage.ran("ping b").1.starts_with("b: "));
    assert_eq!(stage.ran("ping").0, 2);
}

#[test]
fn a_node_tells_how_it_is_and_how_its_commands_are_called() {
    let mut stage = Stage::with(&["a", "b"]);
    let (status, text) = stage.ran("status @b");
    assert_eq!(status, 0);
    for words in [
        "name      b",
        "state     online",
        "relays    relay",
        "peers     2",
        "sessions  ",
    ] {
        assert!(text.contains(words), "{text}");
    }
    assert!(
        stage
            .ran("help @b")
            .1
            .contains("sleep SECONDS           waits"),
        "{:?}",
        stage.ran("help")
    );
    let (_, text) = stage.ran("help sleep @b");
    assert_eq!(
        text,
        "usage: sleep SECONDS\nwaits\n  SECONDS  a number: how long, such as 0.5"
    );
    assert_eq!(stage.ran("help foo @b").0, 1);
}

/// A command of `b` that counts how often it runs and how often its run is over, and goes on for long.
fn clock(stage: &Stage) -> Arc<[AtomicUsize; 2]> {
    struct Ends(Arc<[AtomicUsize; 2]>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0[1].fetch_add(1, Ordering::Relaxed);
        }
    }
    let counts: Arc<[AtomicUsize; 2]> = Arc::default();
    let counted = Arc::clone(&counts);
    let ticks = param::integer("TICKS", "how many").optional();
    let run = move |call: Call, ticks: Option<i64>| {
        let ends = Ends(Arc::clone(&counted));
        ends.0[0].fetch_add(1, Ordering::Relaxed);
        async move {
            let _ends = ends;
            for tick in 0..ticks.unwrap_or(i64::MAX) {
                call.out.write(&format!("tick {tick}\n"));
                call.node().sleep(Time::from_secs(1)).await;
            }
            Status(7)
        }
    };
    stage
        .of("b")
        .register("clock", "ticks each second", ticks, run);
    counts
}

fn next(stage: &mut Stage, run: &mut Run) -> News {
    stage.zone.run(run.next()).unwrap().what
}

#[test]
fn output_comes_as_it_is_written() {
    let mut stage = Stage::with(&["a", "b"]);
    let counts = clock(&stage);
    let mut run = stage.of("a").start("clock 3 @b", None).unwrap();
    let begin = stage.zone.now;
    for tick in 0..3 {
        let news = next(&mut stage, &mut run);
        assert_eq!(news, News::Output(format!("tick {tick}\n")));
        let since = stage.zone.now - begin;
        assert!(
            since >= Time::from_secs(tick) && since < Time::from_secs(tick) + WHILE,
            "{since:?}"
        );
        assert_eq!(counts[1].load(Ordering::Relaxed), 0);
    }
    assert_eq!(next(&mut stage, &mut run), News::End(Ok(Status(7))));
    assert_eq!(stage.zone.run(run.next()), None);
}

#[test]
fn what_is_dropped_is_interrupted_at_its_target() {
    let mut stage = Stage::with(&["a", "b"]);
    let counts = clock(&stage);
    let mut run = stage.of("a").start("clock @b", None).unwrap();
    assert!(matches!(next(&mut stage, &mut run), News::Output(_)));
    drop(run);
    stage.zone.sleep(WHILE);
    assert_eq!(counts[1].load(Ordering::Relaxed), 1);
    assert_eq!(stage.ran("echo still here @b").0, 0);
}

#[test]
fn a_command_that_takes_too_long_is_interrupted_and_has_timed_out() {
    let mut stage = Stage::with(&["a", "b"]);
    let counts = clock(&stage);
    let timeout = Some(Time::from_secs(2));
    for (line, option) in [("clock @b[timeout=2s]", None), ("clock @b", timeout)] {
        let begin = stage.zone.now;
        let commands = stage.of("a");
        let outcome = stage
            .zone
            .run(commands.start(line, option).unwrap().outcome());
        let failure = outcome.unwrap_err();
        assert_eq!(
            (failure.code, failure.peer.as_deref()),
            (Code::TimedOut, Some("b"))
        );
        assert!(stage.zone.now - begin < Time::from_secs(2) + WHILE);
    }
    stage.zone.sleep(WHILE);
    assert_eq!(counts.each_ref().map(|n| n.load(Ordering::Relaxed)), [2, 2]);
    // Here as well, and not before its time.
    let commands = stage.of("a");
    let mut here = pin!(commands.start("sleep 5", timeout).unwrap().outcome());
    stage.zone.sleep(Time::from_secs(1));
    assert!(here.as_mut().now_or_never().is_none());
    assert_eq!(stage.zone.run(here).unwrap_err().code, Code::TimedOut);
    assert_eq!(stage.ran("echo quick @b[timeout=2s]"), (0, "quick".into()));
}

#[test]
fn a_target_ends_what_is_too_late_though_its_caller_does_not_say_so() {
    let mut stage = Stage::with(&["a", "b"]);
    let counts = clock(&stage);
    let mut run = stage.of("a").start("clock @b[timeout=2s]", None).unwrap();
    assert!(matches!(next(&mut stage, &mut run), News::Output(_)));
    // Nobody looks at the caller's own deadline from here on.
    stage.zone.sleep(Time::from_secs(3));
    assert_eq!(counts[1].load(Ordering::Relaxed), 1);
    assert!(matches!(next(&mut stage, &mut run), News::Output(_)));
    let News::End(Err(failure)) = next(&mut stage, &mut run) else {
        panic!("expected a failure");
    };
    assert_eq!(failure.code, Code::TimedOut);
}

#[test]
fn arguments_are_read_as_their_parameters_say() {
    let mut stage = Stage::with(&["a", "b"]);
    let params = (
        param::text("DRINK", "which"),
        param::number("ML", "how much"),
        param::node("FOR", "whom").optional(),
    );
    stage.of("b").register(
        "pour",
        "fills a glass",
        params,
        |call, (drink, ml, guest)| async move {
            let (drink, ml, guest): (String, f64, Option<String>) = (drink, ml, guest);
            call.end(
                Status::OK,
                format!("{drink}/{}/{}", ml * 2.0, guest.unwrap_or_default()),
            )
        },
    );
    let words = param::text("WORD", "any").optional().rest();
    stage.of("b").register(
        "count",
        "counts",
        words,
        |call, words: Vec<String>| async move { call.end(Status::OK, format!("{words:?}")) },
    );
    assert_eq!(stage.ran("pour 'iced tea' 1.25 a @b").1, "iced tea/2.5/a");
    assert_eq!(stage.ran("pour tea 1 @b").1, "tea/2/");
    assert_eq!(stage.ran("pour tea @b").0, 2);
    assert_eq!(
        stage.ran(r#"count a "b c" d\ e @b"#).1,
        r#"["a", "b c", "d e"]"#
    );
    assert_eq!(stage.ran("count @b").1, "[]");
}

#[test]
fn a_caller_that_takes_no_output_does_not_make_its_target_hold_more_than_a_limit() {
    let mut stage = Stage::with(&["a", "b"]);
    stage.of("b").register(
        "flood",
        "writes and writes",
        (),
        |call: Call, ()| async move {
            let block = "x".repeat(64 * 1024);
            for _ in 0..200 {
                call.out.write(&block);
                call.node().sleep(Time::from_millis(1)).await;
            }
            Status::OK
        },
    );
    let mut run = stage.of("a").start("flood @b", None).unwrap();
    let mut bytes = 0;
    let mut last = String::new();
    assert!(matches!(next(&mut stage, &mut run), News::Output(_)));
    stage.zone.sleep(Time::from_secs(1));
    while let News::Output(text) = next(&mut stage, &mut run) {
        bytes += text.len();
        last = text;
    }
    assert!(bytes < 200 * 64 * 1024, "{bytes}");
    assert!(
        last.ends_with("bytes of output were dropped]"),
        "{}",
        last.len()
    );
}

#[test]
fn who_speaks_for_a_node_runs_what_others_ask_for_there() {
    let mut stage = Stage::with(&["a", "b"]);
    stage
        .of("b")
        .hand_over(|call: Call, line: String| async move {
            let status = if line == "fail" {
                Status::FAILED
            } else {
                Status::OK
            };
            call.end(status, format!("told: {line}"))
        });
    for (line, status, output) in [
        ("calc 1+2 @b", 0, "told: calc 1+2"),
        ("anything at all @b", 0, "told: anything at all"),
        ("fail @b", 1, "told: fail"),
        ("calc 1+2 @relay", 0, "3"),
    ] {
        assert_eq!(stage.ran(line), (status, output.to_owned()), "{line}");
    }
    // Its own user has the commands that it had.
    let commands = stage.of("b");
    let own = stage
        .zone
        .run(async move { commands.run("calc 1+2").await });
    assert_eq!(own.unwrap().output, "3");
}
