//! Scripts at real nodes.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerage::node::{Captured, Direction, What};
use peerage::rpc::Thrown;
use peerage_relay::Node;
use peerage_script::{Script, ScriptError};
use peerage_tests::{Browsers, Relay, join, until};
use serde_json::json;

#[peerage::agent]
trait Calculator {
    async fn add(&self, a: f64, b: f64) -> f64;
    async fn refuse(&self) -> Result<(), Thrown>;
    #[property]
    async fn total(&self) -> f64;
    #[property]
    async fn set_total(&self, total: f64);
}

#[derive(Default)]
struct Native {
    total: Mutex<f64>,
    calls: Arc<Mutex<u32>>,
}

impl Calculator for Native {
    async fn add(&self, a: f64, b: f64) -> f64 {
        *self.calls.lock().unwrap() += 1;
        a + b
    }

    async fn refuse(&self) -> Result<(), Thrown> {
        Err(Thrown::new("RangeError", "not today"))
    }

    async fn total(&self) -> f64 {
        *self.total.lock().unwrap()
    }

    async fn set_total(&self, total: f64) {
        *self.total.lock().unwrap() = total;
    }
}

fn script(source: &str) -> Script {
    Script {
        source: source.to_owned(),
        args: vec!["one".into(), "two".into()],
    }
}

/// Runs a script at a node, from another, and gives what it wrote and its result.
async fn run_at(from: &Node, at: &str, source: &str) -> Result<(String, String), ScriptError> {
    let written = Arc::new(Mutex::new(String::new()));
    let out = Arc::clone(&written);
    let out = move |text: &str| out.lock().unwrap().push_str(text);
    let result = from.scripts().run_at(at, script(source), out).await?;
    let written = written.lock().unwrap().clone();
    Ok((written, result))
}

#[tokio::test]
async fn a_script_runs_at_another_node_and_uses_the_network() {
    let relay = Relay::start("127.0.0.1:0");
    let (a, b) = (join(&relay, "a").await, join(&relay, "b").await);
    let c = join(&relay, "c").await;
    let own = Native::default();
    let calls = Arc::clone(&own.calls);
    let _calc = c.agent("Calculator", CalculatorAgent::new(own)).unwrap();
    let source = r#"
        let calc = peer("c").proxy("Calculator");
        let sum = calc.add(1, 2);
        print(`at ${here()}: ${sum}`);
        calc.set("total", sum * 2);
        sleep(0.01);
        print(peer("c").run("calc 6*7"));
        try { calc.refuse(); } catch (error) { print(error); }
        for x in [1, 2, 3] { calc.add(x, x); }
        `${calc.get("total")} ${args} ${peers().len()}`
    "#;
    let (written, result) = run_at(&a, "b", source).await.unwrap();
    assert_eq!(written, "at b: 3.0\n42\nRangeError: not today\n");
    assert_eq!(result, r#"6.0 ["one", "two"] 3"#);
    // Though it began again for each, nothing was done twice.
    assert_eq!(*calls.lock().unwrap(), 4);
    drop(b);
}

#[tokio::test]
async fn what_travels_binds_every_name_that_it_uses_or_does_not_leave() {
    let relay = Relay::start("127.0.0.1:0");
    let (a, _b) = (join(&relay, "a").await, join(&relay, "b").await);
    let unbound = run_at(&a, "b", "let x = 1; x + factor + offset(x)").await;
    assert_eq!(unbound, Err(ScriptError::Unbound(vec!["factor".into()])));
    let unbound = run_at(&a, "b", "let x = 1; offset(x) + more()").await;
    let names = vec!["more()".to_owned(), "offset()".to_owned()];
    assert_eq!(unbound, Err(ScriptError::Unbound(names)));
    let two = run_at(&a, "b", "left + right").await;
    assert_eq!(
        two,
        Err(ScriptError::Unbound(vec!["left".into(), "right".into()]))
    );
    let syntax = run_at(&a, "b", "let x = ;").await.unwrap_err();
    assert!(
        matches!(&syntax, ScriptError::Syntax(text) if text.contains("line 1")),
        "{syntax}"
    );
    let closure = "let k = 3; across([\"b\"], [1], |x| x * k)";
    let closure = run_at(&a, "b", closure).await.unwrap_err().to_string();
    assert!(
        closure.contains("only names that it binds itself; this uses k"),
        "{closure}"
    );
}

#[tokio::test]
async fn work_is_spread_over_nodes_and_each_item_is_done_once_though_one_leaves() {
    let relay = Relay::start("127.0.0.1:0");
    let a = join(&relay, "a").await;
    let mut others = Vec::new();
    for name in ["b", "c", "d"] {
        others.push(join(&relay, name).await);
    }
    let source = r#"
        fn slow(x) { sleep(0.05); [here(), x * x] }
        let data = []; for n in range(0, 60) { data.push(n); }
        let done = across(["b", "c", "d"], data, slow);
        let names = []; let values = [];
        for pair in done { values.push(pair[1]); if !names.contains(pair[0]) { names.push(pair[0]); } }
        names.sort();
        `${names} ${values}`
    "#;
    let leaving = others.remove(1);
    let tap = leaving.tap();
    let leaves = async {
        let mut said = 0;
        let is_said = |seen: &Captured| {
            seen.direction == Direction::Out && matches!(seen.what, What::Message { .. })
        };
        until("it has done some of it", async || {
            said += tap.take().0.iter().filter(|seen| is_said(seen)).count();
            said >= 6
        })
        .await;
        leaving.close().await;
    };
    let written = |_: &str| {};
    let (result, ()) = tokio::join!(a.scripts().run(script(source), written), leaves);
    let squares: Vec<_> = (0..60).map(|n: i64| n * n).collect();
    let squares = format!("{squares:?}");
    assert_eq!(result.unwrap(), format!(r#"["b", "c", "d"] {squares}"#));
    // What is left without anybody tells so, and what the function throws is thrown.
    let nobody = a
        .scripts()
        .run(script(r#"across(["c"], [1], |x| x)"#), written)
        .await;
    assert!(nobody.unwrap_err().to_string().contains("no node is left"));
    let thrown = a
        .scripts()
        .run(
            script(r#"across(["b"], [1], |x| throw "no " + x)"#),
            written,
        )
        .await;
    assert!(thrown.unwrap_err().to_string().contains("no 1"));
}

#[tokio::test]
async fn a_script_takes_no_more_than_it_may() {
    let relay = Relay::start("127.0.0.1:0");
    let (a, b) = (join(&relay, "a").await, join(&relay, "b").await);
    for (source, limit) in [
        ("loop {}", "Too many operations"),
        ("let a = [0]; loop { a += a; }", "Size of array"),
        ("let a = \"x\"; loop { a += a; }", "Length of string"),
        (
            "let a = #{}; for n in range(0, 100000) { a[`${n}`] = n; }",
            "more memory",
        ),
        ("let a = []; loop { a = [a]; }", "more memory"),
        ("let a = #{}; loop { a[\"x\"] = a; }", "more memory"),
        ("let a = #{}; loop { a.x = [a]; }", "more memory"),
        ("fn f(a) { loop { a = [a]; } } f(1)", "more memory"),
        ("fn f(x) { f(x + 1) } f(0)", "Stack overflow"),
        ("loop { print(\"x\"); }", "more output"),
        ("eval(\"1\")", "eval"),
        ("import \"x\" as x;", "import"),
    ] {
        let error = run_at(&a, "b", source).await.expect_err(source).to_string();
        assert!(error.contains(limit), "{source}: {error}");
    }
    // And the node lives on.
    assert_eq!(run_at(&a, "b", "1 + 1").await.unwrap().1, "2");
    // Who gives up stops it there.
    let endless = run_at(&a, "b", "loop { sleep(0.01); }");
    assert!(
        tokio::time::timeout(Duration::from_millis(300), endless)
            .await
            .is_err()
    );
    until("the script has ended", async || b.rpc().counts().1 == 0).await;
}

#[tokio::test]
async fn tabs_run_scripts_of_each_other_and_of_native_nodes() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let left = browsers.open(&relay.console("left")).await;
    let right = browsers.open(&relay.console("right")).await;
    right
        .ask("peerage.agent('Adder', { add(a, b) { return a + b } }); return 0")
        .await;
    let node = join(&relay, "native").await;

    // From a tab at a tab, at a native node, and back.
    let source =
        "let sum = peer(\"right\").proxy(\"Adder\").add(1, 2); print(here()); sum * args.len()";
    for at in ["right", "native"] {
        let script = format!(
            "const done = arguments[arguments.length - 1], lines = [];
            peerage.script('{source}', {{ at: '{at}', args: ['x', 'y'], onOutput: l => lines.push(l) }})
                .then(result => done([result, lines]), e => done([e.code, e.message]))"
        );
        let result = left.wait_for(&script, vec![]).await;
        assert_eq!(result, json!(["6", [format!("{at}\n")]]));
    }
    let (written, result) = run_at(&node, "left", source).await.unwrap();
    assert_eq!((written.as_str(), result.as_str()), ("left\n", "6"));

    // Work that four nodes share, three of them tabs, one of which closes.
    let third = browsers.open(&relay.console("third")).await;
    let source = r#"
        let data = []; for n in range(0, 200) { data.push(n); }
        let done = across(["left", "right", "third", "native"], data, |x| { sleep(0.02); x * x });
        done.len() + done.reduce(|sum, x| sum + x, 0)
    "#;
    let closes = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        third.client.clone().close().await.unwrap();
    };
    let (result, ()) = tokio::join!(run_at(&node, "left", source), closes);
    let sum: i64 = (0..200).map(|n| n * n).sum();
    assert_eq!(result.unwrap().1, (200 + sum).to_string());

    // A tab's script takes no more than it may, and the tab lives on.
    for hostile in [
        "loop {}",
        "let a = []; loop { a = [a]; }",
        "let a = #{}; loop { a[\"x\"] = a; }",
        "fn f(x) { f(x + 1) } f(0)",
    ] {
        let failed = run_at(&node, "left", hostile).await.unwrap_err();
        assert!(!failed.to_string().is_empty());
    }
    let unbound = left
        .wait_for(
            "const done = arguments[0]; peerage.script('x + y').then(done, e => done([e.code, e.message]))",
            vec![],
        )
        .await;
    let message = "what travels may use only names that it binds itself; this uses x, y";
    assert_eq!(unbound, json!(["bad-message", message]));
}

#[tokio::test]
async fn the_command_run_takes_a_file_to_where_the_line_says() {
    let relay = Relay::start("127.0.0.1:0");
    let (a, _b) = (join(&relay, "a").await, join(&relay, "b").await);
    let file = tempfile::NamedTempFile::with_suffix(".rhai").unwrap();
    let line = |rest: &str| format!("run {} {rest}", file.path().display());
    std::fs::write(file.path(), "print(`at ${here()}`); args.len()").unwrap();
    let ran = a.run(&line("x y @b")).await.unwrap();
    assert_eq!((ran.status.0, ran.output.as_str()), (0, "at b\n2"));
    let ran = a.run(&line("")).await.unwrap();
    assert_eq!((ran.status.0, ran.output.as_str()), (0, "at a\n0"));
    std::fs::write(file.path(), "factor * 2").unwrap();
    let ran = a.run(&line("@b")).await.unwrap();
    assert_eq!(ran.status.0, 2);
    assert!(ran.output.contains("this uses factor"), "{}", ran.output);
    let ran = a.run("run /nowhere.rhai @b").await.unwrap();
    assert!(ran.status.0 == 1 && ran.output.contains("/nowhere.rhai"));
    // What another node has is not for others to run.
    let there = a.run("system run /etc/passwd @b").await.unwrap();
    assert_eq!(there.status.0, 126, "{}", there.output);
}
