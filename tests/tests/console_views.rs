//! The console's views: of a small mesh by what they do, and of one with many nodes by how they bear it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on must say where it stopped, and figures are to be read"
)]

use fantoccini::key::Key;
use peerage_tests::{Browsers, Relay, Swarm, Tab, until};
use serde_json::{Value, json};

/// How many nodes are many.
const MANY: usize = 500;
/// The views, by their words in the address.
const VIEWS: [&str; 7] = [
    "map",
    "nodes",
    "operations",
    "topics",
    "frames",
    "log",
    "prompt",
];

/// Goes to an address of the page, and waits until its view is shown.
async fn go(tab: &Tab, address: &str) {
    tab.ask(&format!("location.hash = '#/{address}'; return 0"))
        .await;
    let view = address.split('/').next().unwrap();
    let shown = format!("return !!document.querySelector('[data-testid=\"view-{view}\"]')");
    tab.until(&shown).await;
}

/// Waits until what a selector finds has this in its text.
async fn until_says(tab: &Tab, selector: &str, text: &str) {
    tab.until(&format!(
        "return [...document.querySelectorAll(`{selector}`)].some(e => e.textContent.includes(`{text}`))"
    ))
    .await;
}

/// Types into a field as hands do, whatever was there before.
async fn fill(tab: &Tab, selector: &str, text: &str) {
    tab.until(&format!(
        "const field = document.querySelector(`{selector}`);
        if (!field) return false;
        field.focus(); field.select?.(); return true"
    ))
    .await;
    tab.press(&[text]).await;
}

async fn click(tab: &Tab, selector: &str) {
    tab.until(&format!(
        "const it = document.querySelector(`{selector}`); it?.click(); return !!it"
    ))
    .await;
}

/// What axe has to say against the page as it is.
async fn complaints(tab: &Tab) -> Value {
    let script = "const done = arguments[arguments.length - 1];
        axe.run(document).then(
            found => done(found.violations.map(v => [v.id, v.help, v.nodes.slice(0, 3).map(n => n.html)])),
            error => done([String(error)]));";
    tab.wait_for(script, vec![]).await
}

/// Gives a page axe, which looks for what keeps people out.
async fn arm(tab: &Tab) {
    let file = std::env::var_os("PEERAGE_AXE").expect("run this by `cargo xtask test`");
    let axe = std::fs::read_to_string(file).unwrap();
    tab.ask(&format!("{axe}; return 0")).await;
}

async fn small(browsers: &Browsers) -> (Relay, Swarm, Tab) {
    let relay = Relay::start("127.0.0.1:0");
    let swarm = Swarm::join(&relay.mesh().parse().unwrap(), 3).await;
    let tab = browsers.open(&relay.console("tab")).await;
    tab.until("return peerage.peers().some(p => p.name === 'sensor-3')")
        .await;
    (relay, swarm, tab)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nodes_page_calls_its_methods_and_shows_what_they_return_or_throw() {
    let browsers = Browsers::start().await;
    let (_relay, _swarm, tab) = small(&browsers).await;
    go(&tab, "nodes").await;
    until_says(&tab, "[data-testid=count]", "5 nodes").await;
    fill(&tab, "[data-testid=filter]", "sensor-2").await;
    until_says(&tab, "[data-testid=count]", "1 nodes").await;
    click(&tab, "[data-testid=node-sensor-2] a").await;
    until_says(&tab, "[data-testid=links]", "websocket").await;
    until_says(&tab, "[data-testid=latency]", "mean").await;
    until_says(&tab, "[data-testid=node-page] dl", "clock").await;
    until_says(&tab, "[data-testid=node-page] dl", " ms ").await;

    click(&tab, "[data-testid=agent-Sensor] summary").await;
    until_says(&tab, "[data-testid=property-limit]", "85").await;
    click(&tab, "[data-testid=method-read] button").await;
    until_says(&tab, "[data-testid=method-read] .tree", "20.5").await;
    fill(&tab, "[data-testid=calibrate-offset]", "1.5").await;
    fill(&tab, "[data-testid=calibrate-reason]", "drift").await;
    tab.press(&[&(Key::Enter + "")]).await;
    until_says(&tab, "[data-testid=method-calibrate] .tree", "21.5").await;
    fill(&tab, "[data-testid=calibrate-offset]", "7").await;
    tab.press(&[&(Key::Enter + "")]).await;
    let thrown = "RangeError: expected at most 5 degrees for";
    until_says(&tab, "[data-testid=method-calibrate] .bad", thrown).await;

    // The browser's own buttons go from view to view.
    tab.ask("history.back(); return 0").await;
    tab.until("return location.hash === '#/nodes'").await;
    until_says(&tab, "[data-testid=count]", "5 nodes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_shown_as_they_go_with_their_parts_and_can_be_cancelled() {
    let browsers = Browsers::start().await;
    let (_relay, _swarm, tab) = small(&browsers).await;
    go(&tab, "operations").await;
    let parts = "const rows = [...document.querySelectorAll('.operations tbody tr:not(.room)')];
        const depth = row => parseInt(row.querySelector('th').style.paddingLeft);
        const mix = rows.findIndex(row => row.textContent.startsWith('mix') && row.textContent.includes('running'));
        const heat = rows[mix + 1];
        return mix >= 0 && heat?.textContent.startsWith('heat') && depth(heat) > depth(rows[mix])";
    tab.until(parts).await;
    tab.until("return document.querySelector('.operations progress')?.value > 0.05")
        .await;

    // What others have started is theirs to stop, and that is said.
    click(&tab, ".operations .stop button").await;
    until_says(&tab, "[role=alert]", "unauthorised").await;
    tab.ask(
        "peerage.operation('pour', async (args, op) => { op.progress(0.25); await new Promise(done => op.signal.onabort = done); op.signal.throwIfAborted(); });
        window.poured = peerage.start('tab', 'pour', {}).result.catch(e => e.end + ' ' + e.reason); return 0",
    )
    .await;
    fill(&tab, "[data-testid=filter]", "pour").await;
    click(&tab, "[data-testid^=operation-tab-] .stop button").await;
    until_says(&tab, "[data-testid^=operation-tab-] .badge", "cancel").await;
    let ended = tab.wait_for("poured.then(arguments[0])", vec![]).await;
    assert_eq!(ended, "cancel cancelled at the console");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_shown_live_and_published_by_a_form() {
    let browsers = Browsers::start().await;
    let (_relay, _swarm, tab) = small(&browsers).await;
    go(&tab, "topics").await;
    until_says(
        &tab,
        "[data-testid='topic-plant/line-1/seat-1/temperature']",
        "degrees",
    )
    .await;
    until_says(
        &tab,
        "[data-testid='topic-plant/line-1/seat-1/state']",
        "retained",
    )
    .await;
    fill(&tab, "[data-testid=publish-topic]", "cups/left").await;
    fill(&tab, "[data-testid=publish-value]", "{\"ice\": [1, true]}").await;
    click(&tab, "[data-testid=publish]").await;
    until_says(
        &tab,
        "[data-testid='topic-cups/left'] .value",
        "{ice: [1, true]}",
    )
    .await;
    click(&tab, "[data-testid='topic-cups/left'] a").await;
    until_says(&tab, "[data-testid=values]", "from tab").await;

    // What is paused stands still, though more comes.
    click(&tab, "[data-testid=pause]").await;
    fill(&tab, "[data-testid=publish-value]", "7").await;
    click(&tab, "[data-testid=publish]").await;
    until_says(&tab, ".publish [role=status]", "offset").await;
    let values = "return document.querySelectorAll('[data-testid=values] li').length";
    assert_eq!(tab.ask(values).await, 1);
    click(&tab, "[data-testid=pause]").await;
    tab.until(&format!("{values} === 2")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_recorded_filtered_and_read() {
    let browsers = Browsers::start().await;
    let (_relay, _swarm, tab) = small(&browsers).await;
    go(&tab, "frames").await;
    // What passed before somebody looked is not recorded.
    until_says(&tab, "[data-testid=count]", " of ").await;
    tab.run("echo looked-for @sensor-2").await;
    fill(
        &tab,
        "[data-testid=filter]",
        "peer:sensor-2 proto:command dir:out looked-for",
    )
    .await;
    let row = "[data-testid=frames] tr[data-way=out]";
    click(&tab, &format!("{row} button")).await;
    until_says(&tab, "[data-testid=decoded]", "looked-for").await;
    until_says(&tab, ".hex", "0000").await;
    fill(&tab, "[data-testid=filter]", "kind:record dir:in").await;
    until_says(&tab, "[data-testid=frames]", "route").await;

    click(&tab, "[data-testid=record]").await;
    click(&tab, "[data-testid=clear]").await;
    until_says(&tab, "[data-testid=count]", "0 of 0").await;
    tab.run("echo unseen @sensor-2").await;
    assert_eq!(
        tab.ask("return document.querySelectorAll('[data-testid=frames] tr[data-way]').length")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_alone_tours_the_views() {
    let browsers = Browsers::start().await;
    let (_relay, _swarm, tab) = small(&browsers).await;
    let [tab_key, enter, right, escape] =
        [Key::Tab, Key::Enter, Key::Right, Key::Escape].map(|key| key + "");
    // From the prompt, which has the focus, to the map: its nodes are walked, and one is opened.
    for _ in 0..30 {
        if tab
            .ask("return document.activeElement.dataset.testid")
            .await
            == "map"
        {
            break;
        }
        tab.press(&[&(Key::Shift + &Key::Tab)]).await;
    }
    tab.press(&[&right]).await;
    until_says(&tab, "[data-testid=map-focus]", "tab").await;
    let mut seen = Vec::new();
    for key in [Key::Left, Key::Up, Key::Right, Key::Down, Key::Left] {
        tab.press(&[&(key + "")]).await;
        let words = tab
            .ask("return document.querySelector('[data-testid=map-focus]').textContent")
            .await;
        seen.push(words);
    }
    seen.dedup();
    assert!(seen.len() > 1, "{seen:?}");
    tab.press(&[&enter]).await;
    tab.until("return location.hash.startsWith('#/nodes/')")
        .await;

    // Each entry of the rail by Tab and Enter, and from there its filter by a key and the prompt by another.
    for view in &VIEWS[..6] {
        tab.ask("document.querySelector('.rail a').focus(); return 0")
            .await;
        for _ in 0..VIEWS.len() {
            let here = tab
                .ask("return document.activeElement.dataset.testid")
                .await;
            if here == format!("go-{view}") {
                break;
            }
            tab.press(&[&tab_key]).await;
        }
        tab.press(&[&enter]).await;
        tab.until(&format!("return location.hash === '#/{view}'"))
            .await;
        if *view != "map" {
            tab.press(&["/"]).await;
            let focused = "return document.activeElement.type";
            assert_eq!(tab.ask(focused).await, "search", "{view}");
            tab.press(&[&escape]).await;
            tab.ask("document.activeElement.blur(); return 0").await;
        }
        tab.press(&[":"]).await;
        let focused = "return document.activeElement.dataset.testid";
        assert_eq!(tab.ask(focused).await, "prompt", "{view}");
    }
    tab.type_line("calc 1+2 @sensor-1").await;
    tab.until_results(1).await;
    until_says(&tab, "[data-testid=result]", "3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_bears_many_nodes_and_keeps_nobody_out() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let _swarm = Swarm::join(&relay.mesh().parse().unwrap(), MANY).await;
    let tab = browsers.open(&relay.console("tab")).await;
    tab.resize(1280, 800, "light").await;
    arm(&tab).await;
    go(&tab, "nodes").await;
    // All that the relay knows, not only those of whom this node was told.
    until_says(&tab, "[data-testid=count]", &format!("{} nodes", MANY + 2)).await;
    let rows = "return document.querySelectorAll('main tbody tr').length";
    let rows = tab.ask(rows).await.as_u64().unwrap();
    assert!(rows < 100, "{rows} rows are made, of which few can be seen");
    go(&tab, "topics").await;
    until_says(&tab, "[data-testid=count]", "40 topics").await;
    go(&tab, "operations").await;
    until("operations of several nodes are shown", async || {
        let running = tab
            .ask("return parseInt(document.querySelector('[data-testid=count]').textContent)")
            .await;
        running.as_u64().unwrap_or_default() > 10
    })
    .await;

    for view in VIEWS
        .iter()
        .copied()
        .chain(["nodes/sensor-1", "log/sensor-1"])
    {
        go(&tab, view).await;
        for (width, height, scheme) in [(1280, 800, "light"), (390, 844, "dark")] {
            tab.resize(width, height, scheme).await;
            assert_eq!(complaints(&tab).await, json!([]), "{view} {scheme}");
            let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(tab.ask(overflow).await, 0, "{view} at {width}");
        }
        tab.resize(1280, 800, "light").await;
    }
    go(&tab, "map").await;
    print_figures(&tab).await;
}

/// Frames in a second while nothing is done and while the map is moved all the time, and memory: to be looked at.
async fn print_figures(tab: &Tab) {
    let script = "const done = arguments[arguments.length - 1];
        const frames = (ms, each) => new Promise(over => {
            const times = [];
            const frame = now => {
                times.push(now); each(times.length);
                now - times[0] < ms ? requestAnimationFrame(frame) : over(times);
            };
            requestAnimationFrame(frame);
        });
        const told = times => {
            const gaps = times.slice(1).map((t, n) => t - times[n]).sort((a, b) => a - b);
            const rate = 1000 * gaps.length / (times.at(-1) - times[0]);
            return `${rate.toFixed(1)} frames a second, of 100 gaps 99 below ${gaps[Math.floor(gaps.length * 0.99)].toFixed(1)} ms`;
        };
        const map = document.querySelector('[data-testid=map]');
        const wheel = n => map.dispatchEvent(new WheelEvent('wheel', { deltaY: n % 120 < 60 ? -20 : 20, cancelable: true }));
        (async () => {
            const still = await frames(5000, () => {});
            const moved = await frames(5000, wheel);
            const wasm = await (await import('/console.js')).default();
            const mb = bytes => (bytes / 1e6).toFixed(1) + ' MB';
            done([`still: ${told(still)}`, `moved: ${told(moved)}`,
                `WebAssembly ${mb(wasm.memory.buffer.byteLength)}, JavaScript ${mb(performance.memory.usedJSHeapSize)}`,
                `${document.querySelectorAll('*').length} elements`]);
        })().catch(error => done([String(error)]));";
    let figures = tab.wait_for(script, vec![]).await;
    for line in figures.as_array().unwrap() {
        println!("{MANY} nodes, {}", line.as_str().unwrap());
    }
}
