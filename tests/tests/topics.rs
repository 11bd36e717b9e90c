//! Topics between tabs: over the relay's broker, and, without the relay, over that of one of them.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use peerage_tests::{Browsers, Relay, Tab};
use serde_json::{Value, json};

/// What an asynchronous function's body gives, or its failure's code.
async fn result(tab: &Tab, body: &str) -> Value {
    let script = format!(
        "const done = arguments[arguments.length - 1];
        (async () => {{ {body} }})().then(value => done(value ?? null),
            e => done({{ code: e.code, message: String(e && e.message) }}));"
    );
    tab.wait_for(&script, vec![]).await
}

/// Reads so many items: of messages topic, value and whether they are retained, or `gap`.
const READ: &str = "window.read = async (sub, count) => { const got = [];
    while (got.length < count) { const { value: m, done } = await sub.next(); if (done) { got.push('done'); break }
        got.push(m.gap ? 'gap' : [m.topic, m.value, m.retained]); window.last = m }
    return got }; return true";

async fn two_tabs(browsers: &Browsers, relay: &Relay) -> (Tab, Tab) {
    let left = browsers.open(&relay.console("left")).await;
    let right = browsers.open(&relay.console("right")).await;
    left.until_path("right", "direct").await;
    right.until_path("left", "direct").await;
    for tab in [&left, &right] {
        tab.ask(READ).await;
    }
    (left, right)
}

#[tokio::test]
async fn tabs_publish_and_subscribe_with_a_relay_and_without() {
    let (browsers, mut relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;

    let first = "await peerage.publish('cups/left', { ice: true }, { retain: true });
        window.own = await peerage.subscribe('cups/#'); window.echo = await peerage.subscribe('#', { echo: true });
        return await read(own, 1)";
    let retained = json!([["cups/left", { "ice": true }, true]]);
    assert_eq!(result(&left, first).await, retained);
    let begin = "window.sub = await peerage.subscribe('cups/*'); return await read(sub, 1)";
    assert_eq!(result(&right, begin).await, retained);

    let more = "await peerage.publish('cups/right', new Map([[1, new Date(5)]])); await peerage.publish('cups/left', 7);
        return (await read(echo, 3)).length";
    assert_eq!(result(&left, more).await, json!(3));
    let got = "const [[, map], [, seven]] = await read(sub, 2); return [map.get(1).getTime(), seven, last.filter]";
    assert_eq!(result(&right, got).await, json!([5, 7, "cups/*"]));

    // Who comes back after a message gets what came since, and a bare offset will do.
    let back = "sub.close(); const over = await sub.next(); const { offset, epoch } = last;
        await peerage.publish('cups/left', 8); await peerage.publish('other', 9); await peerage.publish('cups/x', 10);
        const subs = [offset, last, { offset, epoch }].map(after => peerage.subscribe('cups/#', { after, echo: true }));
        const got = []; for (const sub of await Promise.all(subs)) got.push((await read(sub, 2)).map(m => m[1]));
        const gap = await read(await peerage.subscribe('cups/#', { after: 5 }), 1);
        return [over.done, ...got, ...gap]";
    assert_eq!(
        result(&right, back).await,
        json!([true, [8, 10], [8, 10], [8, 10], "gap"])
    );

    // The same id counts once; what is undefined clears.
    let once = "const id = { publisher: 'right', number: 1 };
        const a = await peerage.publish('once', 1, { id }), b = await peerage.publish('once', 1, { id });
        await peerage.publish('cups/left', undefined, { retain: true });
        const fresh = await peerage.subscribe('cups/left'); const timeout = new Promise(done => setTimeout(done, 100, 'nothing'));
        return [a.offset > 0, b.offset ?? 'known', await Promise.race([read(fresh, 1), timeout])]";
    assert_eq!(
        result(&right, once).await,
        json!([true, "known", "nothing"])
    );

    // Who is here.
    let here = "const presence = await peerage.presence('here/x'); window.changes = []; (async () => {
            for await (const { kind, member } of presence) changes.push([kind, member.name, member.filter]) })();
        return presence.members.map(m => [m.name, m.filter])";
    // Its own, to everything, is there already.
    assert_eq!(result(&left, here).await, json!([["left", "#"]]));
    let come = "const stop = new AbortController(); const sub = await peerage.subscribe('here/+', { signal: stop.signal });
        const next = sub.next(); stop.abort(); return (await next).done";
    assert_eq!(result(&right, come).await, json!(true));
    left.until("return JSON.stringify(changes) === '[[\"join\",\"right\",\"here/+\"],[\"leave\",\"right\",\"here/+\"]]'")
        .await;
    assert_eq!(right.run("publish cups/left 3").await["status"], json!(0));

    relay.kill();
    let here = "await peerage.publish('near', 'by', { at: 'left', retain: true });
        window.near = await peerage.subscribe('near', { at: 'left', echo: true }); return await read(near, 1)";
    assert_eq!(result(&left, here).await, json!([["near", "by", true]]));
    let there = "window.near = await peerage.subscribe('near', { at: 'left' }); const first = await read(near, 1);
        for (let n = 0; n < 100; n++) peerage.publish('near', n, { at: 'left' }); return first";
    assert_eq!(result(&right, there).await, json!([["near", "by", true]]));
    let all: Vec<_> = (0..100).map(|n| json!(["near", n, false])).collect();
    assert_eq!(
        result(&left, "return await read(near, 100)").await,
        json!(all)
    );
    let back = "await peerage.publish('near', 'back', { at: 'left' })";
    assert_eq!(result(&left, back).await, Value::Null);
    assert_eq!(
        result(&right, "return await read(near, 1)").await,
        json!([["near", "back", false]])
    );
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_told_with_its_code() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let tab = browsers.open(&relay.console("tab")).await;
    for (call, code) in [
        ("publish('a/#', 1)", "bad-message"),
        ("publish('a', () => 1)", "bad-message"),
        ("publish('a', 'x'.repeat(2 << 20))", "too-large"),
        ("publish('a', 1, { retained: true })", "bad-message"),
        ("publish('a', 1, { id: 5 })", "bad-message"),
        ("publish('a', 1, { at: 'nobody' })", "unknown-name"),
        ("subscribe('#/a')", "bad-message"),
        ("subscribe('')", "bad-message"),
        ("subscribe('a', { after: 'x' })", "bad-message"),
        ("subscribe('a', { slow: 'never' })", "bad-message"),
        (
            "subscribe('a', { group: 'g', history: true })",
            "bad-message",
        ),
        (
            "subscribe('a', { signal: AbortSignal.abort() })",
            "cancelled",
        ),
        ("subscribe('a', { at: 'nobody' })", "unknown-name"),
        ("presence('a/#/b')", "bad-message"),
    ] {
        let failed = result(&tab, &format!("await peerage.{call}; return 'fine'")).await;
        assert_eq!(failed["code"], json!(code), "{call}: {failed}");
    }
}
