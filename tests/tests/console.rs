//! The console page, as hands use it.

use fantoccini::key::Key;
use peerage_tests::{Browsers, Relay, Tab};
use serde_json::json;

#[tokio::test]
async fn the_keyboard_alone_works_the_console() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, _right) = (
        browsers.open(&relay.console("left")).await,
        browsers.open(&relay.console("right")).await,
    );
    left.until(r#"return !!document.querySelector('[data-testid="peer-right"]')"#)
        .await;

    left.type_line("calc 1+2 @right").await;
    left.until_results(1).await;
    left.type_line("calc 1/0 @right").await;
    left.until_results(2).await;
    let results = "return [...document.querySelectorAll('[data-testid=\"result\"]')]
        .map(r => [r.dataset.status, r.textContent])";
    let results = left.ask(results).await;
    assert_eq!(results[0], json!(["0", "3"]));
    assert_ne!(results[1][0], json!("0"), "{results}");

    let typed = "return document.querySelector('[data-testid=\"prompt\"]').value";
    let [up, down, enter] = [Key::Up, Key::Down, Key::Enter].map(|key| key + "");
    left.press(&[&up, &up]).await;
    assert_eq!(left.ask(typed).await, "calc 1+2 @right");
    left.press(&[&down, &down]).await;
    assert_eq!(left.ask(typed).await, "");

    left.press(&[&up]).await;
    for (peer, line) in [("right", "calc 1/0 @right"), ("relay", "calc 1/0 @relay")] {
        walk_to(&left, peer).await;
        left.press(&[&enter]).await;
        assert_eq!(left.ask(typed).await, line);
    }
    left.press(&[&enter]).await;
    left.until_results(3).await;
}

/// Walks backwards through the page until a peer's button has the focus.
async fn walk_to(tab: &Tab, peer: &str) {
    let script =
        format!("return !!document.activeElement.closest('[data-testid=\"peer-{peer}\"]')");
    for _ in 0..20 {
        if tab.ask(&script).await == json!(true) {
            return;
        }
        tab.press(&[&(Key::Shift + &Key::Tab)]).await;
    }
    panic!("no way to {peer} by the keyboard");
}
