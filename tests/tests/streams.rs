//! Streams and datagrams of a page's own protocols, between tabs.

use peerage_tests::{Browsers, Relay, Tab};
use serde_json::{Value, json};

/// Two tabs; the right one speaks the protocols of these tests.
async fn two_tabs(browsers: &Browsers, relay: &Relay) -> (Tab, Tab) {
    let left = browsers.open(&relay.console("left")).await;
    let right = browsers.open(&relay.console("right")).await;
    right
        .ask(
            "window.got = [];
            peerage.handle('test/echo/1', ({ readable, writable }) => readable.pipeTo(writable));
            peerage.handle('test/fails/1', () => { throw new Error('not today'); });
            peerage.handle('test/silent/1', stream => { window.silent = stream; });
            peerage.handle('test/collect/1', async ({ readable, peer }) => {
                for await (const chunk of readable) got.push([peer.name, chunk.length]);
                got.push('end');
            });
            return 0",
        )
        .await;
    left.ask("window.bytes = (n, of = 7) => new Uint8Array(n).fill(of); return 0")
        .await;
    (left, right)
}

/// What an asynchronous function of this body returns, or the `code` and `message` of its failure.
async fn result(tab: &Tab, body: &str) -> Value {
    let script = format!(
        "const done = arguments[arguments.length - 1];
        (async () => {{ {body} }})().then(done, e => done({{ code: e.code, message: e.message }}));"
    );
    tab.wait_for(&script, vec![]).await
}

#[tokio::test]
async fn a_pages_own_protocols_are_streams_of_whole_messages() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;

    let echoed = "const { readable, writable, peer } = await peerage.open('right', 'test/echo/1');
        const sizes = [1, 0, 70000, 3000000, 5];
        const writing = (async () => {
            const writer = writable.getWriter();
            for (const n of sizes) await writer.write(bytes(n));
            await writer.close();
        })();
        const got = [];
        for await (const chunk of readable) got.push(chunk.every(b => b === 7) && chunk.length);
        await writing;
        return [peer.name, got];";
    assert_eq!(
        result(&left, echoed).await,
        json!(["right", [1, 0, 70_000, 3_000_000, 5]])
    );

    // Half closed: the reader learns the end, and who it was.
    let one_way = "const { writable } = await peerage.open('right', 'test/collect/1');
        const writer = writable.getWriter();
        for (let n = 1; n <= 3; n++) await writer.write(bytes(n).buffer);
        await writer.close(); return 'closed'";
    assert_eq!(result(&left, one_way).await, json!("closed"));
    right.until("return got.at(-1) === 'end'").await;
    let expected = json!([["left", 1], ["left", 2], ["left", 3], "end"]);
    assert_eq!(right.ask("return got").await, expected);

    // 3,000 streams, one after the other: none is left behind, or 1,024 would be the end.
    let many = "for (let n = 0; n < 3000; n++) {
            const { readable, writable } = await peerage.open('right', 'test/echo/1');
            await writable.getWriter().close();
            await readable.getReader().closed;
        } return 'done'";
    assert_eq!(result(&left, many).await, json!("done"));
}

#[tokio::test]
async fn what_goes_wrong_with_a_pages_stream_is_told_to_both_sides() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    let read = async |target: &str, protocol: &str| {
        let body = format!(
            "const {{ readable }} = await peerage.open('{target}', '{protocol}');
            return await readable.getReader().read();"
        );
        result(&left, &body).await
    };
    let unknown = read("right", "test/nobody/1").await;
    assert_eq!(unknown["code"], "unknown-protocol", "{unknown}");
    let nobody = read("nobody", "test/echo/1").await;
    assert_eq!(nobody["code"], "unknown-name", "{nobody}");
    let oneself = read("left", "test/echo/1").await;
    assert_eq!(oneself["code"], "refused", "{oneself}");
    let failed = read("right", "test/fails/1").await;
    assert_eq!(failed["code"], "refused", "{failed}");
    assert_eq!(failed["message"], "not today", "{failed}");
    let urgent = result(
        &left,
        "await peerage.open('right', 'test/echo/1', { priority: 'very' })",
    )
    .await;
    assert_eq!(urgent["code"], "bad-message", "{urgent}");
    let wrong = result(
        &left,
        "const { writable } = await peerage.open('right', 'test/echo/1');
        await writable.getWriter().write({ not: 'bytes' });",
    )
    .await;
    assert_eq!(wrong["code"], "bad-message", "{wrong}");

    // A writer that gives up is an error where it is read, never an end.
    let aborted = "const { writable } = await peerage.open('right', 'test/silent/1');
        window.writer = writable.getWriter(); await writer.write(bytes(9)); return 'sent'";
    assert_eq!(result(&left, aborted).await, json!("sent"));
    right.until("return !!window.silent").await;
    left.ask("writer.abort(new Error('changed my mind')); return 0")
        .await;
    let ended = result(
        &right,
        "const reader = silent.readable.getReader();
        while (!(await reader.read()).done); return 'ended'",
    )
    .await;
    assert_eq!(ended["code"], "cancelled", "{ended}");
    assert_eq!(ended["message"], "changed my mind", "{ended}");
}

#[tokio::test]
async fn datagrams_arrive_whole_and_those_too_large_are_refused() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    right
        .ask(
            "window.seen = 0;
            (async () => {
                const { readable, writable } = peerage.datagrams('left', 'test/ticks/1');
                const writer = writable.getWriter();
                for await (const tick of readable) { seen++; writer.write(tick); }
            })(); return 0",
        )
        .await;
    // One alone may be lost: it is sent until the echo comes.
    let echoed = "const { readable, writable } = peerage.datagrams('right', 'test/ticks/1');
        const [writer, reader] = [writable.getWriter(), readable.getReader()];
        const sending = setInterval(() => writer.write(bytes(1000, 3)), 20);
        const { value } = await reader.read();
        clearInterval(sending);
        return [value.length, value[999]];";
    assert_eq!(result(&left, echoed).await, json!([1000, 3]));
    let large =
        "await peerage.datagrams('right', 'test/ticks/1').writable.getWriter().write(bytes(8193));";
    assert_eq!(result(&left, large).await["code"], "too-large");
    let nobody =
        "await peerage.datagrams('nobody', 'test/ticks/1').writable.getWriter().write(bytes(1));";
    assert_eq!(result(&left, nobody).await["code"], "unknown-name");
}

#[tokio::test]
async fn a_reader_that_stops_holds_up_its_writer_and_nobody_else() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    left.ask(
        "window.written = 0;
        (async () => {
            const { writable } = await peerage.open('right', 'test/silent/1');
            const writer = writable.getWriter();
            while (written < 4000) { await writer.write(bytes(10000)); written++; }
            await writer.close();
        })(); return 0",
    )
    .await;
    // 40 MB in all; what fits the queues on the way is far less.
    left.until("return written > 10").await;
    left.until(
        "if (window.last !== written) { window.last = written; window.since = performance.now(); }
        return performance.now() - since > 1000",
    )
    .await;
    let stuck = left.ask("return written").await.as_u64().unwrap();
    assert!(stuck < 200, "{stuck} messages of 10 kB were taken");

    // Other streams, to the same tab and back, are as they were.
    for n in 0..50 {
        let line = format!("calc {n}*2 @right");
        let expected = json!({ "status": 0, "output": (n * 2).to_string() });
        assert_eq!(left.run(&line).await, expected);
    }
    let bulk = "const { readable, writable } = await peerage.open('right', 'test/echo/1', { priority: 'bulk' });
        const writer = writable.getWriter();
        writer.write(bytes(5000000)).then(() => writer.close());
        let length = 0; for await (const chunk of readable) length += chunk.length; return length";
    assert_eq!(result(&left, bulk).await, json!(5_000_000));

    // It reads again: everything comes.
    let all = "let n = 0; for await (const chunk of silent.readable) n += chunk.length; return n";
    assert_eq!(result(&right, all).await, json!(40_000_000));
    assert_eq!(left.ask("return written").await, json!(4000));
}
