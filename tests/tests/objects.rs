//! Remote objects between real nodes: two tabs, a tab and a native node, two native nodes.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use peerage::rpc::{CallError, Thrown};
use peerage_tests::{Browsers, Relay, Tab, join};
use serde_json::{Value, json};

#[path = "objects/page.rs"]
mod page;

/// The calculator of these tests, in JavaScript: `window.calc` and its agent.
const CALCULATOR: &str = "
    class Calculator {
        total = 0; #limit = 10;
        get limit() { return this.#limit }
        set limit(n) { this.#limit = Math.min(n, 99) }
        add(a, b) { return a + b }
        async later(ms, value) {
            const { signal, peer } = peerage.currentCall;
            window.caller = peer?.name;
            await new Promise((done, fail) => {
                setTimeout(done, ms);
                signal.addEventListener('abort', () => { window.aborted = (window.aborted ?? 0) + 1; fail(signal.reason); });
            });
            return value;
        }
        refuse(why) { throw new RangeError(why) }
        odd() { class Odd extends Error { name = 'OddError' } throw new Odd('odd') }
        child(name) { return peerage.byReference({ name, rename(to) { this.name = to; return this.name } }) }
        each(list, f) { return Promise.all(list.map(x => f(x))) }
        keep(x) { this.kept = x; return typeof x }
        same(a, b) { return a === b }
        give() { return this.kept }
        drop() { this.kept = undefined }
        plus1(n) { return n + 1 }
        await1(p) { return p.then(n => n + 1) }
        sizes(o) { return [o.map.get('k'), [...o.set], o.self === o, o.big + 1n, o.bytes.length] }
    }
    window.calc = new Calculator;
    window.agent = peerage.agent('Calculator', calc);
    return 0";

/// What fails, and as what: the name of the error, a part of its message, its code.
const FAILURES: [(&str, &str, &str, &str); 14] = [
    (
        "await calc.refuse('too much')",
        "RangeError",
        "too much",
        "refused",
    ),
    ("await calc.odd()", "OddError", "odd", "refused"),
    (
        "await calc.nothing()",
        "PeerageError",
        "Calculator has no method `nothing`",
        "unknown-method",
    ),
    (
        "await calc.constructor()",
        "PeerageError",
        "has no method `constructor`",
        "unknown-method",
    ),
    (
        "await calc.hasOwnProperty('x')",
        "PeerageError",
        "has no method",
        "unknown-method",
    ),
    (
        "await calc.get('nothing')",
        "PeerageError",
        "has no property",
        "unknown-method",
    ),
    (
        "await peerage.proxy('right', 'Nobody').add(1, 2)",
        "PeerageError",
        "no agent `Nobody`",
        "unknown-name",
    ),
    (
        "await peerage.proxy('nobody', 'X').add(1, 2)",
        "PeerageError",
        "nobody",
        "unknown-name",
    ),
    (
        "await calc.add(document.body, 1)",
        "PeerageError",
        "can be cloned",
        "bad-message",
    ),
    (
        "await calc.with({ timeoutMs: 50 }).later(60000, 1)",
        "PeerageError",
        "in time",
        "timed-out",
    ),
    (
        "const p = calc.later(60000, 1); setTimeout(() => p.cancel(), 50); await p",
        "PeerageError",
        "cancelled",
        "cancelled",
    ),
    (
        "await calc.with({ signal: AbortSignal.timeout(50) }).later(60000, 1)",
        "PeerageError",
        "cancelled",
        "cancelled",
    ),
    (
        "await calc.with({ wrong: 1 }).add(1, 2)",
        "PeerageError",
        "one of timeoutMs, signal, version",
        "bad-message",
    ),
    (
        "await peerage.proxy('right', 'Calculator', { version: 2 }).add(1, 2)",
        "PeerageError",
        "version 2, the agent none",
        "incompatible-version",
    ),
];

/// What an asynchronous function of this body returns, or the failure's name, message, code and peer.
async fn result(tab: &Tab, body: &str) -> Value {
    let script = format!(
        "const done = arguments[arguments.length - 1];
        (async () => {{ const calc = peerage.proxy('right', 'Calculator'); {body} }})().then(done, e => done(
            {{ name: e.name, message: e.message, code: e.code, peer: e.peer }}));"
    );
    tab.wait_for(&script, vec![]).await
}

async fn two_tabs(browsers: &Browsers, relay: &Relay) -> (Tab, Tab) {
    let left = browsers.open(&relay.console("left")).await;
    let right = browsers.open(&relay.console("right")).await;
    right.ask(CALCULATOR).await;
    (left, right)
}

#[tokio::test]
async fn two_tabs_use_each_others_objects() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    let used =
        "return [await calc.add(1, 2), await calc.get('total'), await calc.set('total', 5) ?? null,
        await calc.get('total'), await calc.call('add', 3, 4), await calc.later(1, 'x')]";
    assert_eq!(result(&left, used).await, json!([3, 0, null, 5, 7, "x"]));
    assert_eq!(
        right.ask("return [window.caller, calc.total]").await,
        json!(["left", 5])
    );

    let graph = "const o = { map: new Map([['k', 1]]), set: new Set([1, 2]), big: 2n ** 70n, bytes: new Uint8Array(9) };
        o.self = o; const [k, set, self, big, n] = await calc.sizes(o); return [k, set, self, String(big), n]";
    assert_eq!(
        result(&left, graph).await,
        json!([1, [1, 2], true, "1180591620717411303425", 9])
    );

    for (body, name, message, code) in FAILURES {
        let failed = result(&left, body).await;
        let told = failed["message"].as_str().unwrap_or_default();
        assert!(told.contains(message), "{body}: {failed}");
        assert_eq!(
            (&failed["name"], &failed["code"]),
            (&json!(name), &json!(code)),
            "{body}"
        );
    }
    right.until("return window.aborted === 3").await;
    assert_eq!(
        result(
            &left,
            "return await calc.refuse('x').catch(e => e instanceof RangeError)"
        )
        .await,
        json!(true)
    );
}

#[tokio::test]
async fn events_and_watched_properties_reach_the_tabs_that_listen() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    let listen = "window.got = []; window.calc = calc;
        window.heard = calc.on('overflow', detail => got.push(detail));
        window.watched = calc.watch('total', value => got.push(['total', value]));
        window.limits = calc.watch('limit', value => got.push(['limit', value]));
        for (const s of [heard, watched, limits]) await s.begun;
        return 0";
    result(&left, listen).await;
    left.until("return got.length === 2").await;
    right.ask("agent.emit('overflow', { at: 7 }); agent.emit('other', 1); calc.total = 3; calc.limit = 500; return 0").await;
    left.until("return got.length === 5").await;
    let told = left
        .ask("return got.slice(2).map(x => JSON.stringify(x)).sort()")
        .await;
    assert_eq!(
        told,
        json!(["[\"limit\",99]", "[\"total\",3]", "{\"at\":7}"])
    );
    // Set from afar, it is told once.
    result(&left, "await calc.set('total', 4); return 0").await;
    left.until("return got.length === 6").await;
    assert_eq!(left.ask("return got[5]").await, json!(["total", 4]));
    left.ask("watched.off(); return 0").await;
    result(&left, "await calc.set('total', 5); return 0").await;
    right.ask("agent.emit('overflow', 8); return 0").await;
    left.until("return got.length === 7").await;
    assert_eq!(left.ask("return got[6]").await, json!(8));
    // The agent goes, and who listens learns it.
    right.ask("agent.close(); return 0").await;
    let ended = result(
        &left,
        "const e = await heard.ended; return [e.code, e.message]",
    )
    .await;
    assert_eq!(
        ended,
        json!(["left", "the agent `Calculator` was withdrawn"])
    );
    let gone = result(&left, "await calc.add(1, 2)").await;
    assert_eq!(gone["code"], json!("unknown-name"));
}

#[tokio::test]
async fn functions_and_marked_objects_travel_by_reference_and_are_released() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    let third = browsers.open(&relay.console("third")).await;
    // A node has objects of its own, such as its scripts.
    left.ask("window.before = peerage.objectCounts().own; return 0")
        .await;
    let given = "return peerage.objectCounts().own - before";

    // A callback, and a pending promise, as arguments.
    let each = "return [await calc.each([1, 2, 3], x => x * 2),
        await calc.await1(new Promise(done => setTimeout(() => done(41), 50))),
        await calc.plus1(await calc.plus1(40))]";
    assert_eq!(result(&left, each).await, json!([[2, 4, 6], 42, 42]));

    // An object of the other node: used, asked before it is there, one proxy for one object.
    let child = "const child = await calc.child('a');
        const renamed = await child.rename('b');
        const early = await calc.child('c').rename('d');
        await calc.keep(child);
        const again = await calc.give();
        const out = [renamed, early, await child.get('name'), child === again, await calc.same(child, again)];
        peerage.release(child);
        return out";
    assert_eq!(
        result(&left, child).await,
        json!(["b", "d", "b", true, true])
    );
    left.until("gc(); return peerage.objectCounts().held === 0")
        .await;

    // From left to right to third, who uses it at left; nobody keeps it but third.
    let give = "window.own = { n: 0, inc() { return ++this.n } };
        await calc.keep(peerage.byReference(own)); return await calc.same(own, await calc.give())";
    assert_eq!(result(&left, give).await, json!(true));
    let take = "window.taken = await calc.give(); await calc.drop(); return [await taken.inc(), await taken.inc()]";
    assert_eq!(result(&third, take).await, json!([1, 2]));
    assert_eq!(left.ask("return own.n").await, json!(2));
    right
        .until("gc(); return peerage.objectCounts().held === 0")
        .await;
    assert_eq!(left.ask(given).await, json!(1));
    third.ask("peerage.release(taken); return 0").await;
    left.until("return peerage.objectCounts().own === before")
        .await;
    let released = result(&third, "await taken.inc()").await;
    assert_eq!(released["code"], json!("gone"));

    // And what a tab holds is free when it closes.
    assert_eq!(result(&left, give).await, json!(true));
    right.client.clone().close().await.unwrap();
    left.until("return peerage.objectCounts().own === before")
        .await;
}

#[tokio::test]
async fn a_call_on_a_tab_that_closes_fails_at_once_with_the_reason() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    left.ask(
        "const calc = peerage.proxy('right', 'Calculator'); window.ends = [];
        for (let n = 0; n < 3; n++) calc.later(600000, n).catch(e => ends.push(e.code + ' ' + e.peer));
        calc.on('overflow', () => {}).ended.then(e => ends.push(e.code));
        return 0",
    )
    .await;
    right.until("return window.caller === 'left'").await;
    right.client.clone().close().await.unwrap();
    left.until("return ends.length === 4").await;
    // Whether it could say so depends on how it was closed.
    let ends = left.ask("return ends.sort()").await;
    let told = |code: &str| {
        let call = format!("{code} right");
        json!([code, call, call, call])
    };
    assert!(ends == told("left") || ends == told("gone"), "{ends}");
}

/// The calculator of these tests, in Rust.
#[peerage::agent]
trait Calculator {
    async fn add(&self, a: f64, b: f64) -> f64;
    async fn refuse(&self, why: String) -> Result<(), Thrown>;
    async fn later(&self, ms: u64, value: String) -> String;
    #[property]
    async fn total(&self) -> f64;
    #[property]
    async fn set_total(&self, total: f64);
    #[event]
    fn overflow(at: f64);
}

#[derive(Default)]
struct Native {
    total: std::sync::Mutex<f64>,
    events: std::sync::OnceLock<CalculatorEvents>,
}

impl Calculator for Native {
    async fn add(&self, a: f64, b: f64) -> f64 {
        let over = self.events.get().filter(|_| a + b > 100.0);
        over.map(|events| events.overflow(a + b))
            .transpose()
            .unwrap();
        a + b
    }

    async fn refuse(&self, why: String) -> Result<(), Thrown> {
        Err(Thrown::new("RangeError", why))
    }

    async fn later(&self, ms: u64, value: String) -> String {
        tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
        value
    }

    async fn total(&self) -> f64 {
        *self.total.lock().unwrap()
    }

    async fn set_total(&self, total: f64) {
        *self.total.lock().unwrap() = total;
    }

    fn attached(&self, events: CalculatorEvents) {
        let _ = self.events.set(events);
    }
}

#[tokio::test]
async fn a_tab_and_a_native_node_use_each_others_objects() {
    use futures_util::StreamExt;
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (_, right) = two_tabs(&browsers, &relay).await;
    let node = join(&relay, "native").await;

    // The tab's from the native node.
    let calc = CalculatorProxy::new(node.rpc(), "right");
    assert_eq!(calc.add(1.0, 2.0).await, Ok(3.0));
    calc.set_total(8.0).await.unwrap();
    assert_eq!(calc.total().await, Ok(8.0));
    let thrown: CallError = Thrown::new("RangeError", "no").into();
    assert_eq!(calc.refuse("no".into()).await, Err(thrown));
    let hasty = calc
        .later(60_000, "x".into())
        .within(std::time::Duration::from_millis(50));
    assert_eq!(
        hasty.await.unwrap_err().code(),
        Some(peerage::Code::TimedOut)
    );
    right.until("return window.aborted === 1").await;
    let (mut watched, mut heard) = (calc.watch_total(), calc.on_overflow());
    assert_eq!(watched.next().await, Some(Ok(8.0)));
    heard.begun().await.unwrap();
    right
        .ask("calc.total = 9; agent.emit('overflow', { at: 7 }); return 0")
        .await;
    assert_eq!(watched.next().await, Some(Ok(9.0)));
    assert_eq!(heard.next().await.unwrap().unwrap().at, 7.0);

    // The native node's from the tab.
    let _agent = node
        .agent("Calculator", CalculatorAgent::new(Native::default()))
        .unwrap();
    let used = "const calc2 = peerage.proxy('native', 'Calculator'), got = [];
        const on = calc2.on('overflow', e => got.push(e.at)), watch = calc2.watch('total', t => got.push(t));
        await on.begun; await watch.begun;
        await calc2.set('total', 4);
        const sum = await calc2.add(100, 1);
        while (got.length < 3) await new Promise(done => setTimeout(done, 10));
        const e = await calc2.refuse('why').catch(e => e);
        return [sum, await calc2.get('total'), e.name, e.message, got.sort()]";
    assert_eq!(
        result(&right, used).await,
        json!([101, 4, "RangeError", "why", [0, 101, 4]])
    );
    node.close().await;
}

#[tokio::test]
async fn two_native_nodes_use_each_others_objects() {
    use futures_util::StreamExt;
    let relay = Relay::start("127.0.0.1:0");
    let (one, two) = (join(&relay, "one").await, join(&relay, "two").await);
    let _one = one
        .agent("Calculator", CalculatorAgent::new(Native::default()))
        .unwrap();
    let _two = two
        .agent("Calculator", CalculatorAgent::new(Native::default()))
        .unwrap();
    for (here, there) in [(&one, "two"), (&two, "one")] {
        let calc = CalculatorProxy::new(here.rpc(), there);
        let (mut watched, mut heard) = (calc.watch_total(), calc.on_overflow());
        assert_eq!(watched.next().await, Some(Ok(0.0)));
        heard.begun().await.unwrap();
        assert_eq!(calc.add(100.0, 2.0).await, Ok(102.0));
        assert_eq!(heard.next().await.unwrap().unwrap().at, 102.0);
        calc.set_total(8.0).await.unwrap();
        assert_eq!(watched.next().await, Some(Ok(8.0)));
        assert_eq!(
            calc.refuse("no".into()).await,
            Err(Thrown::new("RangeError", "no").into())
        );
        let hasty = calc
            .later(60_000, "x".into())
            .within(std::time::Duration::from_millis(50));
        assert_eq!(
            hasty.await.unwrap_err().code(),
            Some(peerage::Code::TimedOut)
        );
    }
    // Whoever is asked and goes is known to have gone.
    let calc = CalculatorProxy::new(one.rpc(), "two");
    let waiting = tokio::spawn(calc.later(60_000, "x".into()));
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    two.close().await;
    let failed = waiting.await.unwrap().unwrap_err();
    assert_eq!(failed.code(), Some(peerage::Code::Left));
}
