//! Completion: what could stand where the cursor is.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::service::command::{Status, param};

fn texts(completion: Completion) -> (usize, Vec<String>) {
    let texts = completion.candidates.into_iter().map(|c| c.text);
    (completion.start, texts.collect())
}

#[test]
fn commands_aliases_and_nodes_are_completed() {
    let mut stage = Stage::with(&["kitchen", "kiosk"]);
    stage.join("a", &[("calculate", "calc")]);
    for (line, start, expected) in [
        ("cal", 0, &["calc", "calculate"][..]),
        ("  pe", 2, &["peers"]),
        ("calc 1+2 @ki", 10, &["kiosk", "kitchen"]),
        ("echo x @", 8, &["*", "kiosk", "kitchen", "relay"]),
        ("echo x @kiosk,k", 14, &["kiosk", "kitchen"]),
        ("ping @k", 6, &["kiosk", "kitchen"]),
        ("ping @", 6, &["kiosk", "kitchen", "relay"]),
        ("ping kit", 5, &["kitchen"]),
        ("help sl", 5, &["sleep"]),
        ("system sl", 7, &["sleep"]),
        ("calc 1", 5, &[]),
        ("echo a", 5, &[]),
        ("nothing x", 8, &[]),
        ("echo x @kiosk[t", 8, &[]),
    ] {
        let completed = texts(stage.complete(line));
        let expected = expected.iter().map(|&text| text.to_owned()).collect();
        if completed.1.is_empty() {
            assert_eq!(completed.1, expected, "{line}");
        } else {
            assert_eq!(completed, (start, expected), "{line}");
        }
    }
    assert!(stage.complete("").candidates.len() > 8);
}

#[test]
fn a_remote_nodes_commands_are_completed_and_remembered_for_a_while() {
    let mut stage = Stage::with(&["a", "b"]);
    let b = stage.of("b");
    let sides = (param::boolean("LOADED", ""), param::node("FOR", ""));
    b.register("roll", "throws dice", sides, |_, _| async { Status::OK });
    assert_eq!(texts(stage.complete("ro")).1, [""; 0]);
    assert_eq!(texts(stage.complete("@b ro")), (3, vec!["roll".into()]));
    assert_eq!(texts(stage.complete("@b roll t")), (8, vec!["true".into()]));
    assert_eq!(
        texts(stage.complete("@b roll true rel")),
        (13, vec!["relay".into()])
    );
    let a = stage.of("a");
    let before = stage.zone.run(a.complete("ro @b", 2));
    assert_eq!(texts(before), (0, vec!["roll".into()]));
    b.register("roam", "walks", (), |_, ()| async { Status::OK });
    assert_eq!(texts(stage.complete("@b ro")).1, ["roll"]);
    stage
        .zone
        .sleep(crate::limits::LISTING_AGE + Time::from_secs(2));
    assert_eq!(texts(stage.complete("@b ro")).1, ["roam", "roll"]);
}

#[test]
fn a_node_that_does_not_answer_holds_completion_up_for_a_moment_only() {
    let mut stage = Stage::with(&["a"]);
    stage.zone.join("mute");
    let begin = stage.zone.now;
    assert_eq!(texts(stage.complete("@mute ca")).1, [""; 0]);
    assert_eq!(texts(stage.complete("@nobody ca")).1, [""; 0]);
    assert!(stage.zone.now - begin < Time::from_secs(4));
}

#[test]
fn no_line_or_cursor_makes_completion_panic() {
    let mut stage = Stage::with(&["a", "b"]);
    let a = stage.of("a");
    for line in [
        "",
        " ",
        "@",
        "@,",
        "@*",
        "@b",
        "@b ",
        "ä ö",
        "'a",
        "@b 'a",
        "calc ü@",
        "@\u{0} x",
        "help \u{2003}x",
        "system ",
        "system  system",
    ] {
        for cursor in [0, 1, 2, 3, line.len(), usize::MAX] {
            stage.zone.run(a.complete(line, cursor));
        }
    }
    let long = "x".repeat(100_000);
    assert_eq!(stage.complete(&long), Completion::default());
}

#[test]
fn what_others_tell_is_shown_only_if_it_is_a_word() {
    let mut stage = Stage::with(&["a", "b"]);
    for name in ["roll\u{1b}[31m", "ro\nll"] {
        stage.of("b").lock().aliases.insert(name.into(), "x".into());
    }
    stage
        .of("b")
        .lock()
        .aliases
        .insert("rock".into(), "a\u{1b}[2Jb".into());
    let completion = stage.complete("@b ro");
    assert_eq!(completion.candidates.len(), 1);
    assert_eq!(completion.candidates[0].help, "alias of `a[2Jb`");
}
