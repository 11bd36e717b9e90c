//! Commands as a page runs and offers them, and the console's prompt.

use fantoccini::key::Key;
use peerage_tests::{Browsers, Peer, Relay, Tab};
use serde_json::{Value, json};

async fn two_tabs(browsers: &Browsers, relay: &Relay) -> (Tab, Tab) {
    let left = browsers.open(&relay.console("left")).await;
    let right = browsers.open(&relay.console("right")).await;
    left.until("return peerage.peers().some(p => p.name === 'right')")
        .await;
    (left, right)
}

/// What an async function of the page returns.
async fn given(tab: &Tab, body: &str) -> Value {
    let script = format!(
        "(async () => {{ {body} }})().then(arguments[0], e => arguments[0]([e.name, e.code, e.message]))"
    );
    tab.wait_for(&script, vec![]).await
}

#[tokio::test]
async fn a_page_offers_commands_with_typed_arguments_and_runs_them_as_they_write() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    right
        .ask(
            "peerage.command('pour', async ([drink, ml, ice, ...guests], out) => {
                out.write(`${typeof ml} ${typeof ice} `);
                await new Promise(done => window.pour = done);
                out.write(`${drink} for ${guests.join('+')} of ${out.caller.name}`);
                return 3;
            }, { help: 'fills glasses', args: [
                { name: 'DRINK' }, { name: 'ML', type: 'number', help: 'how much' },
                { name: 'ICE', type: 'boolean', optional: true },
                { name: 'FOR', type: 'node', optional: true, rest: true } ] });
            peerage.command('words', (args, out) => out.write(JSON.stringify(args)));
            return 0",
        )
        .await;
    let streamed = given(
        &left,
        "const told = [];
        const line = `pour 'iced tea' 2.5 true @ada bob @right`;
        const ran = peerage.run(line, { onOutput: (text, target) => { told.push([text, target]); window.told = told; } });
        window.ran = ran;
        return 0",
    );
    assert_eq!(streamed.await, json!(0));
    left.until("return (window.told ?? []).length === 1").await;
    right.ask("pour(); return 0").await;
    assert_eq!(
        given(&left, "const ran = await window.ran; return [ran, told]").await,
        json!([
            { "status": 3, "output": "number boolean iced tea for ada+bob of left" },
            [["number boolean ", "right"], ["iced tea for ada+bob of left", "right"]]
        ])
    );
    let words = left.run(r#"words a 'b c' d\ e @right"#).await;
    assert_eq!(words["output"], r#"["a","b c","d e"]"#);
    let usage = left.run("pour tea much @right").await;
    assert_eq!(usage["status"], 2);
    let told = usage["output"].as_str().unwrap();
    assert!(
        told.contains("ML, a number, got `much`")
            && told.contains("usage: pour DRINK ML [ICE] [FOR…]"),
        "{told}"
    );
    let help = left.run("help pour @right").await;
    assert!(
        help["output"]
            .as_str()
            .unwrap()
            .contains("a number: how much"),
        "{help}"
    );
}

#[tokio::test]
async fn what_cannot_be_offered_or_run_is_refused_with_what_was_expected() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let left = browsers.open(&relay.console("left")).await;
    for (call, words) in [
        (
            "peerage.command('a b', () => 0)",
            "one word as a command's name",
        ),
        ("peerage.command('a', 7)", "a function"),
        (
            "peerage.command('a', () => 0, { args: [{ name: 'X', type: 'colour' }] })",
            "expected one of text, number",
        ),
        (
            "peerage.command('a', () => 0, { args: [{ name: 'X', optional: true }, { name: 'Y' }] })",
            "nothing required after [X]",
        ),
        (
            "peerage.command('a', () => 0, { hlep: '' })",
            "one of help, args",
        ),
        (
            "await peerage.run('help', { timeout: 3 })",
            "one of onOutput, signal, timeoutMs",
        ),
        ("await peerage.run('help', { signal: 3 })", "an AbortSignal"),
    ] {
        let refused = given(&left, &format!("{call}; return 'fine'")).await;
        assert_eq!(refused[1], "bad-message", "{call}: {refused}");
        assert!(
            refused[2].as_str().unwrap().contains(words),
            "{call}: {refused}"
        );
    }
}

#[tokio::test]
async fn an_interrupt_a_deadline_and_an_end_of_the_caller_reach_a_pages_handler() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    right
        .ask(
            "window.begun = 0; window.over = 0;
            peerage.command('hold', (args, out) => new Promise(done => {
                begun++;
                out.signal.addEventListener('abort', () => { over++; out.write('too late'); done(0); });
            }));
            return 0",
        )
        .await;
    let interrupted = given(
        &left,
        "const give = new AbortController();
        const ran = peerage.run('hold @right', { signal: give.signal });
        setTimeout(() => give.abort(), 200);
        return await ran",
    )
    .await;
    assert_eq!(interrupted[1], "cancelled", "{interrupted}");
    right.until("return over === 1").await;
    for (line, options) in [
        ("hold @right", "{ timeoutMs: 200 }"),
        ("hold @right[timeout=200ms]", "{}"),
    ] {
        let late = given(
            &left,
            &format!("return await peerage.run('{line}', {options})"),
        )
        .await;
        assert_eq!(late[1], "timed-out", "{late}");
    }
    right.until("return over === 3").await;
    left.ask("peerage.run('hold @right').catch(() => 0); return 0")
        .await;
    right.until("return begun === 4").await;
    left.client.clone().close().await.unwrap();
    right.until("return over === 4").await;
    // One that ends by itself is not interrupted.
    let calm = "window.signal = null;
        peerage.command('calm', (args, out) => { window.signal = out.signal; });
        await peerage.run('calm'); return [signal.aborted]";
    assert_eq!(given(&right, calm).await, json!([false]));
}

#[tokio::test]
async fn several_targets_have_results_of_their_own() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let _b = Peer::start(&relay, "B", &json!({})).await;
    let (left, _right) = two_tabs(&browsers, &relay).await;
    let told = given(
        &left,
        "const { status, output, results } = await peerage.run('calc 6*7 @right,B,nobody');
        return [status, output, results.map(r => [r.target, r.status ?? r.error.code, r.output])]",
    )
    .await;
    assert_eq!(told[0], 1);
    assert_eq!(
        told[2],
        json!([
            ["right", 0, "42"],
            ["B", 0, "42"],
            ["nobody", "unknown-name", null]
        ])
    );
    let table = told[1].as_str().unwrap();
    assert!(
        table.starts_with("right   42\nB       42\nnobody  unknown-name"),
        "{table}"
    );
    let everyone = given(
        &left,
        "const { results } = await peerage.run('calc 1+2 @*'); return results.map(r => r.target).sort()",
    )
    .await;
    assert_eq!(everyone, json!(["B", "relay", "right"]));
}

const TYPED: &str = "return document.querySelector('[data-testid=\"prompt\"]').value";
const LAST: &str = "const all = document.querySelectorAll('[data-testid=\"result\"]');
    const last = all[all.length - 1]; return last && [last.dataset.status, last.textContent]";

#[tokio::test]
async fn the_console_shows_output_as_it_comes_and_interrupts() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    right
        .ask(
            "window.over = 0;
            peerage.command('tick', (args, out) => new Promise(() => {
                out.write('tick 1\\n');
                out.signal.addEventListener('abort', () => over++);
            }));
            return 0",
        )
        .await;
    let running = "const r = document.querySelector('[data-testid=\"running\"]'); return !!r && r.textContent === 'tick 1\\n'";
    left.type_line("tick @right").await;
    left.until(running).await;
    left.press(&[&(Key::Control + "c")]).await;
    left.until_results(1).await;
    assert_eq!(left.ask(LAST).await, json!(["130", "tick 1\ninterrupted"]));
    right.until("return over === 1").await;

    left.type_line("tick @right").await;
    left.until(running).await;
    left.ask("document.querySelector('[data-testid=\"stop\"]').click(); return 0")
        .await;
    left.until_results(2).await;
    right.until("return over === 2").await;
    left.until("return !document.querySelector('[data-testid=\"stop\"]')")
        .await;

    left.press(&["half a line", &(Key::Control + "c")]).await;
    assert_eq!(left.ask(TYPED).await, "");
    left.type_line("calc 1+1 @right,left").await;
    left.until_results(3).await;
    // In the order in which they have ended.
    let last = left.ask(LAST).await;
    let mut lines: Vec<_> = last[1].as_str().unwrap().lines().collect();
    lines.sort_unstable();
    assert_eq!(
        (&last[0], lines),
        (&json!("0"), vec!["left   2", "right  2"])
    );
}

#[tokio::test]
async fn the_console_completes_lines_and_remembers_them_over_a_reload() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    right
        .ask("peerage.command('brew', (args, out) => out.write('coffee')); return 0")
        .await;
    let tab = Key::Tab + "";
    let typed = |line: &str| format!("{} === '{line}'", TYPED);
    left.press(&["@ri", &tab]).await;
    left.until(&typed("@right ")).await;
    left.press(&["br", &tab]).await;
    left.until(&typed("@right brew ")).await;
    left.press(&[&(Key::Enter + "")]).await;
    left.until_results(1).await;
    assert_eq!(left.ask(LAST).await, json!(["0", "coffee"]));

    left.press(&["@r", &tab]).await;
    left.until_candidate("relay").await;
    left.until_candidate("right").await;
    let pressed = "[...document.querySelectorAll('[data-testid=\"candidates\"] button')]
        .find(b => b.textContent === 'relay').click(); return 0";
    left.ask(pressed).await;
    left.until(&typed("@relay ")).await;
    left.press(&["calc 2*2", &(Key::Enter + "")]).await;
    left.until_results(2).await;

    left.client.refresh().await.unwrap();
    left.until_online().await;
    let up = Key::Up + "";
    left.press(&[&up]).await;
    assert_eq!(left.ask(TYPED).await, "@relay calc 2*2");
    left.press(&[&up]).await;
    assert_eq!(left.ask(TYPED).await, "@right brew");
    // Who has nothing to complete is not held by the prompt.
    left.press(&[&(Key::Escape + ""), &tab]).await;
    let focused =
        "return document.activeElement.dataset.testid ?? document.activeElement.textContent";
    assert_ne!(left.ask(focused).await, "prompt");
}
