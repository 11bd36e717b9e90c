//! The commands about links.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn links_are_listed_with_who_is_there_and_how() {
    let mut stage = Stage::with(&["a", "b"]);
    let (status, text) = stage.ran("links");
    assert_eq!(status, 0);
    let rows: Vec<Vec<_>> = text
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 2, "{text}");
    assert_eq!(rows[0][..3], ["node", "state", "how"]);
    assert_eq!(rows[1][..3], ["relay", "connected", "dialled"]);
    let (_, text) = stage.ran("links @relay");
    assert_eq!(text.matches("accepted").count(), 2, "{text}");
}

#[test]
fn who_has_no_link_with_a_node_is_told_so() {
    let mut stage = Stage::with(&["a", "b"]);
    let (status, text) = stage.ran("disconnect @b");
    assert_eq!(status, 1);
    assert!(text.contains("no link"), "{text}");
    let (status, text) = stage.ran("disconnect a");
    assert!(status == 1 && text.contains("itself"), "{text}");
}

#[test]
fn a_link_ends_and_begins_by_hand() {
    let mut stage = Stage::with(&["a", "b"]);
    assert_eq!(stage.ran("disconnect @relay"), (0, String::new()));
    let (_, text) = stage.ran("status");
    assert!(text.contains("offline"), "{text}");
    let (status, text) = stage.ran("connect");
    assert_eq!((status, text.as_str()), (0, "online as a"));
}

#[test]
fn others_may_look_at_links_but_not_change_them() {
    let mut stage = Stage::with(&["a", "b"]);
    assert_eq!(stage.ran("links @b").0, 0);
    for line in ["system disconnect relay @b", "connect ws://x @b"] {
        let (status, text) = stage.ran(line);
        assert_eq!(status, 126, "{line}: {text}");
    }
}

#[test]
fn the_root_of_a_zone_is_told_that_it_calls_nobody() {
    let mut stage = Stage::with(&["a"]);
    let commands = stage.of("relay");
    let outcome = stage
        .zone
        .run(async move { commands.run("connect ws://elsewhere/mesh").await });
    let outcome = outcome.unwrap();
    let (status, text) = (outcome.status.0, outcome.output);
    assert!(status == 1 && text.contains("root of its zone"), "{text}");
}
