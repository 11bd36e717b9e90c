//! The command `log`, here and at other nodes.

use futures_util::StreamExt;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::log::Ear;
use crate::service::command::{News, log};

/// Nodes `a` and `b`, which keep what they tell.
fn stage() -> (Stage, Ear) {
    let ear = Ear::default();
    let mut stage = ear.listen(|| Stage::with(&["a", "b"]));
    for name in ["a", "b"] {
        log::register(&stage.of(name), ear.journal.clone());
    }
    let _ = ear.listen(|| stage.ran("calc 1+2 @b"));
    (stage, ear)
}

#[test]
fn the_recent_events_of_a_node_are_told_and_of_no_other() {
    let (mut stage, _) = stage();
    let (a, b) = (
        stage.of("a").node().id().short(),
        stage.of("b").node().id().short(),
    );
    let (status, text) = stage.ran("log @b");
    assert_eq!(status, 0);
    assert!(text.contains("step=deliver"), "{text}");
    assert!(text.contains(" DEBUG connection "), "{text}");
    assert!(text.contains(" INFO discovery name=b "), "{text}");
    assert!(text.contains(&format!("peer={a}")), "{text}");
    assert!(!text.contains("step=route"), "{text}");
    assert!(!text.contains(&b), "{text}");
    assert!(stage.ran("log").1.contains("step=route"));
}

#[test]
fn lines_are_chosen_by_number_level_and_category() {
    let (mut stage, _) = stage();
    let (_, text) = stage.ran("log --level info --category=message @b");
    let steps = ["deliver", "translate", "execute", "return"];
    assert_eq!(text.lines().count(), 4, "{text}");
    for (line, step) in text.lines().zip(steps) {
        assert!(
            line.contains(&format!(" INFO message step={step} ")),
            "{line}"
        );
    }
    let (_, last) = stage.ran("log -n 1 --level info --category=message @b");
    assert!(last.contains("step=return"), "{last}");
    let (_, json) = stage.ran("log --json @b");
    assert!(json.lines().count() > 4);
    for line in json.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["time", "level", "category", "node", "message"] {
            assert!(line[key].is_string(), "{line}");
        }
    }
}

#[test]
fn what_cannot_be_meant_is_refused_in_words() {
    let (mut stage, _) = stage();
    for (line, words) in [
        ("log b", "another node's log is `log @NODE`"),
        ("log -n", "-n: expected more"),
        ("log -n many", "got `many`"),
        ("log --level trace", "expected error, warn, info or debug"),
        ("log --category links", "expected one of connection"),
    ] {
        let (status, text) = stage.ran(line);
        assert_eq!(status, Status::USAGE.0, "{line}");
        assert!(text.contains(words), "{line}: {text}");
    }
}

#[test]
fn a_log_is_followed_until_it_is_interrupted() {
    let (mut stage, ear) = stage();
    let commands = stage.of("a");
    ear.listen(|| {
        let mut run = commands
            .start("log -f -n 1 --category message @b", None)
            .unwrap();
        for n in 0..3 {
            // Its own execution is the first that it tells.
            let News::Output(text) = stage.zone.run(run.next()).unwrap().what else {
                panic!("it has ended");
            };
            assert!(text.contains(" INFO message "), "{n}: {text}");
            let _ = stage.ran("echo more @b");
        }
        drop(run);
        stage.zone.sleep(WHILE);
    });
    let before = ear.heard().len();
    ear.listen(|| stage.zone.sleep(WHILE));
    assert_eq!(
        ear.heard().len(),
        before,
        "what is followed tells of itself"
    );
}

#[test]
fn a_node_may_keep_its_log_to_itself() {
    let mut stage = Stage::with(&["a"]);
    let node = stage.zone.join_with("c", |config| config.shows_log = false);
    stage.serve("c", Commands::new(node, BTreeMap::new()));
    let (status, text) = stage.ran("log @c");
    assert_eq!(status, Status::FORBIDDEN.0, "{text}");
    let commands = stage.of("c");
    let own = stage.zone.run(async move { commands.run("log").await });
    assert_eq!(own.unwrap().status, Status::OK);
}
