//! Operations as pages start and offer them: between tabs, and between a tab and a native node.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use std::time::Duration;

use peerage::rpc::Parcel;
use peerage::service::operation::{Options, Progress, Unsuccessful, Which};
use peerage_tests::{Browsers, Relay, Tab, join, until};
use serde_json::{Value, json};

#[path = "operations/ends.rs"]
mod ends;
#[path = "operations/lanes.rs"]
mod lanes;

async fn two_tabs(browsers: &Browsers, relay: &Relay) -> (Tab, Tab) {
    let left = browsers.open(&relay.console("left")).await;
    let right = browsers.open(&relay.console("right")).await;
    left.until("return peerage.peers().some(p => p.name === 'right')")
        .await;
    (left, right)
}

/// What an async function of the page returns; of what it throws, all that there is to know.
async fn given(tab: &Tab, body: &str) -> Value {
    let script = format!(
        "(async () => {{ {body} }})().then(arguments[0], e => arguments[0](
            {{ name: e.name, code: e.code, end: e.end, reason: e.reason, data: e.data, message: e.message }}))"
    );
    tab.wait_for(&script, vec![]).await
}

/// An operation that does what the test says: `next(...)` lets it tell, `finish(...)` lets it end.
const GUIDED: &str = "
    peerage.operation('guided', (args, op) => new Promise((resolve, reject) => {
        window.args = args; window.op = op;
        window.next = (...told) => op.progress(...told);
        window.finish = resolve; window.fail = reject;
        op.signal.addEventListener('abort', () => { window.stopped = op.signal.reason; reject(op.signal.reason) });
    }));
    return 0";

const COLLECT: &str = "window.seen = []; window.over = null;
    (async () => { for await (const p of started.progress) seen.push(p) })();
    started.result.then(value => over = { value },
        e => over = { name: e.name, code: e.code, end: e.end, reason: e.reason, data: e.data, peer: e.peer });";

/// Starts it on the right, and keeps what is seen of it in `seen` and `over`.
async fn start_guided(left: &Tab, right: &Tab, options: &str) {
    right.ask(GUIDED).await;
    right
        .ask("window.args = window.stopped = null; return 0")
        .await;
    let start = format!(
        "window.started = peerage.start('right', 'guided', {{ ml: 250 }}, {options}); {COLLECT} return 0"
    );
    left.ask(&start).await;
    right.until("return window.args !== null").await;
}

#[tokio::test]
async fn an_operation_tells_how_far_it_is_until_it_brings_its_value() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    start_guided(&left, &right, "{}").await;
    let told = "return [args.ml, op.name, op.caller.name, typeof op.id, op.signal.aborted]";
    assert_eq!(
        right.ask(told).await,
        json!([250, "guided", "left", "number", false])
    );
    right.ask("next(0.25); return 0").await;
    left.until("return seen.some(p => p.fraction === 0.25)")
        .await;
    right
        .ask("next(0.5, { note: 'half', remainingMs: 900, data: { cups: new Set([1, 2]) } }); return 0")
        .await;
    left.until("return seen.at(-1).fraction === 0.5").await;
    let last = "const p = seen.at(-1); return [p.note, p.remainingMs, [...p.data.cups]]";
    assert_eq!(left.ask(last).await, json!(["half", 900, [1, 2]]));
    right
        .ask("next(undefined, { note: 'soon' }); return 0")
        .await;
    left.until("return seen.at(-1).note === 'soon'").await;
    assert_eq!(
        left.ask("return seen.at(-1)").await,
        json!({"note": "soon"})
    );
    assert_eq!(left.ask("return over").await, Value::Null);

    right
        .ask("finish({ ml: 250, cups: new Map([['k', 1]]) }); return 0")
        .await;
    left.until("return over !== null").await;
    let value =
        "return [over.value.ml, over.value.cups.get('k'), /^[0-9a-f]{32}$/.test(started.tracker)]";
    assert_eq!(left.ask(value).await, json!([250, 1, true]));
    // Who looks at it late sees the latest, and that it is over.
    let late =
        "const late = []; for await (const p of started.progress) late.push(p); return late.length";
    let late = given(&left, late).await;
    assert!(late.as_u64().unwrap() <= 1, "{late}");
}

#[tokio::test]
async fn who_is_slow_sees_the_latest_progress_and_always_the_end() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    let fast = "peerage.operation('fast', async (n, op) => {
            for (let i = 1; i <= n; i++) {
                op.progress(i / n, { data: i });
                if (i % 100 === 0) await new Promise(done => setTimeout(done));
            }
            return n;
        }); return 0";
    right.ask(fast).await;
    let slow = "const op = peerage.start('right', 'fast', 20000), seen = [];
        for await (const { data } of op.progress) {
            if (data !== undefined) seen.push(data);
            await new Promise(done => setTimeout(done, 20));
        }
        const ordered = seen.every((n, i) => i === 0 || n > seen[i - 1]);
        return { value: await op.result, ordered, last: seen.at(-1), count: seen.length }";
    let seen = given(&left, slow).await;
    println!("of 20000 progress events a slow page saw {}", seen["count"]);
    assert_eq!(seen["value"], 20000);
    assert_eq!(seen["ordered"], true);
    assert_eq!(seen["last"], 20000, "{seen}");
    assert!(seen["count"].as_u64().unwrap() < 10_000, "{seen}");
}

#[tokio::test]
async fn who_knows_the_tracker_attaches_from_another_tab_and_after_a_reload() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    let third = browsers.open(&relay.console("third")).await;
    start_guided(&left, &right, "{}").await;
    right.ask("next(0.5); return 0").await;
    let tracker = left.ask("return started.tracker").await;
    let tracker = tracker.as_str().unwrap();

    // Another tab: it follows, and may stop it as who started it.
    let attach =
        format!("window.started = peerage.attach('right', '{tracker}'); {COLLECT} return 0");
    third.ask(&attach).await;
    third.until("return seen.at(-1)?.fraction === 0.5").await;

    // A reload: the same node, which is told its trackers.
    left.client.refresh().await.unwrap();
    left.until_online().await;
    let own = "const [op] = await peerage.operations('right'); return [op.name, op.state, op.fraction, op.tracker]";
    assert_eq!(
        given(&left, own).await,
        json!(["guided", "running", 0.5, tracker])
    );
    left.ask(&attach).await;
    left.until("return seen.at(-1)?.fraction === 0.5").await;

    right.ask("finish('full'); return 0").await;
    for tab in [&left, &third] {
        tab.until("return over?.value === 'full'").await;
    }
    // What has ended is known for some time, from wherever it is asked for.
    let again = format!("return await peerage.attach('right', '{tracker}').result");
    assert_eq!(given(&third, &again).await, "full");
    let unknown = "return await peerage.attach('right', '00112233445566778899aabbccddeeff').result";
    let unknown = given(&third, unknown).await;
    assert_eq!(
        (&unknown["code"], &unknown["end"]),
        (&json!("unknown-name"), &json!("fail"))
    );
}

#[tokio::test]
async fn everyone_may_see_what_runs_but_not_what_is_private_and_not_stop_it() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    let third = browsers.open(&relay.console("third")).await;
    start_guided(&left, &right, "{}").await;
    right
        .ask(
            "peerage.operation('secret', () => new Promise(() => {}), { private: true }); return 0",
        )
        .await;
    left.ask("window.secret = peerage.start('right', 'secret'); return 0")
        .await;
    let names = "const all = await peerage.operations('right'); return all.map(op => op.name)";
    until("both are listed for who started them", async || {
        given(&left, names).await == json!(["secret", "guided"])
    })
    .await;
    assert_eq!(given(&third, names).await, json!(["guided"]));
    let own = "const all = await peerage.operations(); return all.map(op => op.name)";
    assert_eq!(given(&right, own).await, json!(["secret", "guided"]));
    let untold = "const [op] = await peerage.operations('right'); return [op.tracker ?? null, op.caller === peerage.peers().find(p => p.name === 'left').id]";
    assert_eq!(given(&third, untold).await, json!([null, true]));

    let attach = format!(
        "const [op] = await peerage.operations('right'); window.started = peerage.attach('right', op.id); {COLLECT}
        const secret = await peerage.attach('right', op.id + 1).result.catch(e => e.code);
        started.cancel('not mine'); return [secret, started.tracker ?? null]"
    );
    assert_eq!(given(&third, &attach).await, json!(["unknown-name", null]));
    right.ask("next(0.75); return 0").await;
    third.until("return seen.at(-1)?.fraction === 0.75").await;
    // It goes on: by its number, it is only watched.
    assert_eq!(
        right.ask("return window.stopped ?? null").await,
        Value::Null
    );
    right.ask("finish(1); return 0").await;
    // That it is over, and not what it brought.
    third.until("return !!over && over.value == null").await;
}

#[tokio::test]
async fn parts_of_an_operation_are_told_together_and_stop_with_it() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    let step = "window.stops = [];
        peerage.operation('step', ({ name, hold, fails }, op) => new Promise((resolve, reject) => {
            op.progress(0.5, { note: name, remainingMs: 1000 });
            op.signal.addEventListener('abort', () => { stops.push([name, op.signal.reason.end]); reject(op.signal.reason) });
            if (fails) setTimeout(() => reject(op.fail('errStep', { name })), 200);
            else if (!hold) setTimeout(() => resolve(name), 200);
        }));
        const part = (name, more) => ({ at: 'right', name: 'step', args: { name, ...more } });
        peerage.operation('both', (args, op) => op.parallel([part('a'), part('b', args)]));
        peerage.operation('chain', (args, op) => op.sequence([
            { ...part('a'), lastsMs: 1000 }, { ...part('b', args), lastsMs: 3000 }]));
        return 0";
    right.ask(step).await;
    let follow = "window.follow = async (name, args) => {
        const op = peerage.start('right', name, args), seen = [];
        for await (const p of op.progress) seen.push(p);
        return [await op.result, seen.map(p => p.fraction).filter(f => f !== undefined), seen.some(p => p.remainingMs > 1000)];
    }; return 0";
    left.ask(follow).await;
    let both = given(&left, "return await follow('both', {})").await;
    assert_eq!(both[0], json!(["a", "b"]));
    let fractions = |told: &Value| -> Vec<f64> {
        let fractions = told[1].as_array().unwrap();
        fractions.iter().map(|f| f.as_f64().unwrap()).collect()
    };
    let seen = fractions(&both);
    assert!(seen.contains(&0.5) && seen.is_sorted(), "{both}");
    let chain = given(&left, "return await follow('chain', {})").await;
    assert_eq!(chain[0], json!(["a", "b"]));
    let seen = fractions(&chain);
    // The first is a quarter of the whole, and half of it is an eighth.
    assert!(
        seen.contains(&0.125) && seen.contains(&0.625) && seen.is_sorted(),
        "{chain}"
    );
    assert_eq!(chain[2], true, "{chain}");

    let failed = given(&left, "return await follow('both', { fails: true })").await;
    assert_eq!(
        [&failed["end"], &failed["reason"], &failed["data"]["name"]],
        ["fail", "errStep", "b"],
        "{failed}"
    );
    let cancelled = "const op = peerage.start('right', 'chain', { hold: true });
        for await (const p of op.progress) if (p.note === 'b') op.cancel('enough');
        return await op.result";
    let cancelled = given(&left, cancelled).await;
    assert_eq!(
        [&cancelled["end"], &cancelled["reason"]],
        ["cancel", "enough"]
    );
    right
        .until("return JSON.stringify(stops) === '[[\"b\",\"cancel\"]]'")
        .await;
    let parents = "const all = await peerage.operations('right');
        const of = new Set(all.filter(op => op.name === 'step').map(op => op.parent.split('/')[1]));
        return all.filter(op => op.name !== 'step').every(op => of.has(String(op.id)))";
    assert_eq!(given(&left, parents).await, true);
}

#[tokio::test]
async fn a_tab_starts_operations_of_a_native_node() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let left = browsers.open(&relay.console("left")).await;
    let native = join(&relay, "native").await;
    native.operation("grind", |work| async move {
        let beans: u32 = work.args()?;
        if beans == 0 {
            let data = Parcel::of(&json!({ "hopper": "empty" }))?;
            let reason = "errNoBeans".to_owned();
            return Err(Unsuccessful::Fail { reason, data });
        }
        for bean in 1..=beans {
            let fraction = f64::from(bean) / f64::from(beans);
            let left = Duration::from_millis((beans - bean).into());
            work.progress(Progress::of(fraction).remaining(left).note("grinding"));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if beans == 13 {
            let stop = work.stopped().await;
            return Err(Unsuccessful::Stopped(stop));
        }
        Ok(json!({ "ground": beans }))
    });
    left.until("return peerage.peers().some(p => p.name === 'native')")
        .await;
    let ground = "const op = peerage.start('native', 'grind', 50); let last, count = 0;
        for await (const p of op.progress) { last = p; count++ }
        return [await op.result, last, count > 1]";
    assert_eq!(
        given(&left, ground).await,
        json!([{ "ground": 50 }, { "fraction": 1, "remainingMs": 0, "note": "grinding" }, true])
    );
    let empty = given(
        &left,
        "return await peerage.start('native', 'grind', 0).result",
    )
    .await;
    assert_eq!(
        [&empty["end"], &empty["reason"], &empty["data"]["hopper"]],
        ["fail", "errNoBeans", "empty"]
    );
    let cancelled = "const op = peerage.start('native', 'grind', 13);
        for await (const p of op.progress) if (p.fraction === 1) op.cancel('enough');
        return await op.result";
    let cancelled = given(&left, cancelled).await;
    assert_eq!(
        [&cancelled["end"], &cancelled["reason"]],
        ["cancel", "enough"]
    );

    native.close().await;
}

#[tokio::test]
async fn a_native_node_starts_operations_of_a_tab_and_attaches_to_them() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let left = browsers.open(&relay.console("left")).await;
    let native = join(&relay, "native").await;
    let offer = "peerage.operation('brew', async (args, op) => {
            if (!args.cups) throw op.fail('errNoCups', { cups: 0 });
            for (let n = 1; n <= 4; n++) { op.progress(n / 4, { note: `cup ${n}` }); await new Promise(done => setTimeout(done, 20)) }
            return { cups: args.cups };
        }); return 0";
    left.ask(offer).await;
    let mut brewed = native.start("left", "brew", &json!({ "cups": 2 }), Options::default());
    let mut notes = Vec::new();
    while let Some(progress) = brewed.progress().await {
        notes.extend(progress.note);
    }
    assert_eq!(notes.last().unwrap(), "cup 4");
    let Which::Tracked(tracker) = brewed.which() else {
        panic!("{:?}", brewed.which());
    };
    let value: Value = brewed.value().await.unwrap();
    assert_eq!(value["cups"], 2);
    let again = native.attach("left", Which::Tracked(tracker));
    assert_eq!(again.value::<Value>().await.unwrap()["cups"], 2);
    let failed = native.start("left", "brew", &json!({}), Options::default());
    match failed.value::<Value>().await.unwrap_err() {
        Unsuccessful::Fail { reason, data } => {
            assert_eq!(reason, "errNoCups");
            assert_eq!(data.read::<Value>().unwrap()["cups"], 0);
        }
        other => panic!("{other}"),
    }
    native.close().await;
}
