//! How operations end, and what cannot be begun.

use super::*;

fn ended(over: &Value) -> [&Value; 4] {
    ["name", "code", "end", "reason"].map(|key| &over[key])
}

#[tokio::test]
async fn an_operation_ends_as_it_is_told_to_by_one_of_four_ends() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    start_guided(&left, &right, "{}").await;
    right
        .ask("fail(op.fail('errNoWater', { level: 0 })); return 0")
        .await;
    left.until("return over !== null").await;
    let over = left.ask("return over").await;
    assert_eq!(
        ended(&over),
        ["PeerageError", "refused", "fail", "errNoWater"]
    );
    assert_eq!(over["data"], json!({ "level": 0 }));

    start_guided(&left, &right, "{}").await;
    right
        .ask("fail(new RangeError('too much')); return 0")
        .await;
    left.until("return over !== null").await;
    let over = left.ask("return over").await;
    assert_eq!(
        ended(&over),
        ["PeerageError", "refused", "fail", "too much"]
    );

    for end in ["cancel", "abort"] {
        start_guided(&left, &right, "{}").await;
        left.ask(&format!("started.{end}('enough'); return 0"))
            .await;
        left.until("return over !== null").await;
        let over = left.ask("return over").await;
        assert_eq!(ended(&over), ["PeerageError", "cancelled", end, "enough"]);
        // The handler was told why.
        let told = right.ask("return [stopped.end, stopped.reason]").await;
        assert_eq!(told, json!([end, "enough"]));
        // Once over, it stays so.
        left.ask("started.cancel('again'); started.abort(); return 0")
            .await;
        assert_eq!(
            given(&left, "return await started.result").await["reason"],
            "enough"
        );
    }

    let timed = "return await peerage.start('right', 'guided', 0, { timeoutMs: 200 }).result";
    let timed = given(&left, timed).await;
    assert_eq!(
        ended(&timed),
        ["PeerageError", "cancelled", "abort", "its time was over"]
    );
    // It is in time until its time is over.
    start_guided(&left, &right, "{ timeoutMs: 60000 }").await;
    right.ask("finish(7); return 0").await;
    left.until("return over?.value === 7").await;
}

#[tokio::test]
async fn a_signal_cancels_and_who_does_not_heed_it_is_given_up() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    left.ask("window.give = new AbortController(); return 0")
        .await;
    start_guided(&left, &right, "{ signal: give.signal }").await;
    left.ask("give.abort(new Error('let go')); return 0").await;
    left.until("return over !== null").await;
    let over = left.ask("return over").await;
    assert_eq!(over["end"], "cancel");
    assert!(
        over["reason"].as_str().unwrap().contains("let go"),
        "{over}"
    );
    let before = "return await peerage.start('right', 'guided', 0, { signal: give.signal }).result";
    let before = given(&left, before).await;
    assert_eq!(
        [&before["code"], &before["end"]],
        ["cancelled", "cancel"],
        "{before}"
    );

    let deaf = "peerage.operation('deaf', (args, op) => { window.held = op; return new Promise(() => {}) }); return 0";
    right.ask(deaf).await;
    left.ask("window.deaf = peerage.start('right', 'deaf'); return 0")
        .await;
    right.until("return !!window.held").await;
    let given_up = "deaf.cancel('enough'); return await deaf.result";
    let given_up = given(&left, given_up).await;
    assert_eq!(
        [&given_up["end"], &given_up["reason"]],
        ["cancel", "enough"]
    );
    // What it says from then on is heard by nobody, and harms nothing.
    right
        .ask("held.progress(0.5); held.accept(); return 0")
        .await;
}

#[tokio::test]
async fn a_node_that_leaves_fails_its_operations_at_once() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    start_guided(&left, &right, "{}").await;
    // One that says so, and one that is lost with its browser.
    for end in ["left", "gone"] {
        match end {
            "left" => drop(right.ask("peerage.close(); return 0").await),
            _ => right.client.clone().close().await.unwrap(),
        }
        left.until("return over !== null").await;
        let over = left.ask("return over").await;
        assert_eq!(
            [&over["end"], &over["peer"]],
            ["fail", "right"],
            "{end}: {over}"
        );
        let code = over["code"].as_str().unwrap();
        // A browser that is closed may let its page say a word.
        assert!(code == end || code == "left", "{end}: {over}");
        if end == "left" {
            right.client.refresh().await.unwrap();
            right.until_online().await;
            left.until("return peerage.peers().some(p => p.name === 'right')")
                .await;
            start_guided(&left, &right, "{}").await;
        }
    }
    let nobody = given(&left, "return await peerage.start('nobody', 'x').result").await;
    assert_eq!(
        [&nobody["end"], &nobody["code"]],
        ["fail", "unknown-name"],
        "{nobody}"
    );
}

/// What is wrong in a call, and a part of what is said of it.
const REFUSED: [(&str, &str); 15] = [
    (
        "peerage.start('right', 'guided', 0, { timeout: 3 }).result",
        "one of lane, signal, timeoutMs",
    ),
    (
        "peerage.start('right', 'guided', 0, { timeoutMs: 'x' }).result",
        "timeoutMs",
    ),
    (
        "peerage.start('right', 'guided', 0, { timeoutMs: -1 }).result",
        "timeoutMs",
    ),
    (
        "peerage.start('right', 'guided', 0, { lane: 7 }).result",
        "lane",
    ),
    (
        "peerage.start('right', 'guided', 0, { signal: {} }).result",
        "an AbortSignal",
    ),
    (
        "peerage.start('right', 'guided', 0, { tracker: 'abc' }).result",
        "32 hexadecimal digits",
    ),
    (
        "peerage.start('right', 'guided', 0, 'lane').result",
        "an object",
    ),
    (
        "peerage.start('right', 'guided', 0, null).result",
        "an object",
    ),
    (
        "peerage.start('right', 'guided', document.body).result",
        "can be cloned",
    ),
    ("peerage.attach('right', {}).result", "a tracker"),
    ("peerage.attach('right', -1).result", "operation"),
    ("peerage.attach('right', 1.5).result", "operation"),
    ("peerage.operation('x', 7)", "a function"),
    (
        "peerage.operation('x', () => 0, { secret: true })",
        "private",
    ),
    (
        "peerage.operation('x', () => 0, { private: 'yes' })",
        "private",
    ),
];

#[tokio::test]
async fn what_cannot_be_started_or_offered_is_refused_with_what_was_expected() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    right.ask(GUIDED).await;
    for (call, words) in REFUSED {
        let refused = given(&left, &format!("return await {call}")).await;
        assert_eq!(refused["name"], "PeerageError", "{call}: {refused}");
        assert_eq!(refused["code"], "bad-message", "{call}: {refused}");
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains(words), "{call}: {refused}");
    }
    let unknown = given(
        &left,
        "return await peerage.start('right', 'nothing').result",
    )
    .await;
    assert_eq!(
        [&unknown["end"], &unknown["code"]],
        ["fail", "unknown-method"]
    );
}

#[tokio::test]
async fn a_handlers_own_mistakes_are_told_to_it_and_end_nothing() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    start_guided(&left, &right, "{}").await;
    for (call, words) in [
        ("op.progress('half')", "a number from 0 to 1"),
        ("op.progress(0.5, { rest: 1 })", "note, remainingMs, data"),
        ("op.progress(0.5, { remainingMs: 'x' })", "remainingMs"),
        ("op.progress(0.5, { note: 7 })", "note"),
        ("op.progress(0.5, { data: document.body })", "can be cloned"),
    ] {
        let told = format!(
            "try {{ {call}; return 'fine' }} catch (e) {{ return [e.name, e.code, e.message] }}"
        );
        let refused = right.ask(&told).await;
        assert_eq!(
            [&refused[0], &refused[1]],
            ["PeerageError", "bad-message"],
            "{call}: {refused}"
        );
        let message = refused[2].as_str().unwrap();
        assert!(message.contains(words), "{call}: {refused}");
    }
    for call in [
        "op.parallel('all')",
        "op.parallel([{ name: 'x' }])",
        "op.sequence([{ at: 'right', name: 'x', lasts: 1 }])",
        "op.start('right', 'x', {}, { wrong: 1 }).result",
    ] {
        let refused = given(&right, &format!("return await {call}")).await;
        assert_eq!(refused["code"], "bad-message", "{call}: {refused}");
    }
    right.ask("finish(1); return 0").await;
    left.until("return over?.value === 1").await;
}
