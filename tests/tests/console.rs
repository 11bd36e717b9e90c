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

/// Chooses in a list of the log's view.
async fn choose(tab: &Tab, list: &str, text: &str) {
    let chosen = format!(
        "const list = document.querySelector('[data-testid=\"log-{list}\"]');
        const option = [...list.options].find(o => o.text === '{text}');
        if (!option) return false;
        list.value = option.value;
        list.dispatchEvent(new Event('change', {{ bubbles: true }}));
        return true"
    );
    tab.until(&chosen).await;
}

/// What a script makes of `lines`, the log's lines as they are shown.
fn of_log(script: &str) -> String {
    format!(
        "const lines = [...document.querySelectorAll('[data-testid=\"log\"] li')]; return {script}"
    )
}

#[tokio::test]
async fn the_log_of_any_node_is_shown_live() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let left = browsers.open(&relay.console("left")).await;
    let right = browsers.open(&relay.console("right")).await;
    right
        .ask(
            "window.told = [];
            peerage.addEventListener('log', e => told.push(e.detail));",
        )
        .await;
    left.ask("location.hash = '#/log'; return 0").await;
    choose(&left, "node", "right").await;
    assert_eq!(left.ask("return location.hash").await, "#/log/right");
    left.until(&of_log(
        "lines.some(l => l.textContent.includes('step=execute'))",
    ))
    .await;
    left.run("echo hush @right").await;
    let delivered = "lines.some(l => l.textContent.includes('command=echo'))";
    left.until(&of_log(delivered)).await;
    assert_eq!(
        left.ask(&of_log(
            "lines.some(l => l.textContent.includes('step=parse'))"
        ))
        .await,
        false
    );
    choose(&left, "category", "connection").await;
    choose(&left, "level", "debug").await;
    left.until(&of_log(
        "lines.length > 0 && lines.every(l => l.dataset.category === 'connection')",
    ))
    .await;
    left.until(&of_log("lines.some(l => l.classList.contains('debug'))"))
        .await;

    choose(&left, "category", "anything").await;
    choose(&left, "node", "this node").await;
    left.until(&of_log(
        "lines.some(l => l.textContent.includes('step=parse'))",
    ))
    .await;
    assert_eq!(
        left.ask(&of_log(
            "lines.some(l => l.textContent.includes('step=deliver'))"
        ))
        .await,
        false
    );

    let told = "return told.some(e => e.level === 'INFO' && e.target === 'peerage::command'
        && e.category === 'message' && e.fields.step === 'execute' && e.fields.command === 'echo'
        && typeof e.fields.trace === 'number' && Math.abs(Date.now() - e.time) < 3600e3
        && e.text.includes('the command runs'))";
    right.until(told).await;
    // What was followed is followed no more: the right one's command has ended.
    right
        .until("return !told.some(e => JSON.stringify(e).includes('hush'))")
        .await;
    let reset =
        "return told.some(e => e.level === 'DEBUG' && e.text.includes('a stream was reset'))";
    right.until(reset).await;
}
