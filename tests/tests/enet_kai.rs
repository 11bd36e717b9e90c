//! Nodes of KAI, by a peer that is written from the layouts of its messages: its calculator is used from a tab,
//! and it uses one there.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use peerage::Code;
use peerage::rpc::{CallError, Thrown};
use peerage_tests::c::{C, Running};
use peerage_tests::{Browsers, Relay, Tab, join, until};
use serde_json::{Value, json};

const PEER: &str = "tests/enet/kai_peer.c";

/// What an async function of the page returns, or what it throws.
async fn given(tab: &Tab, body: &str) -> Value {
    let script = format!(
        "(async () => {{ {body} }})().then(arguments[0], e => arguments[0](
            {{ name: e.name, code: e.code, message: e.message }}))"
    );
    tab.wait_for(&script, vec![]).await
}

fn port_of(relay: &mut Relay) -> String {
    let enet = relay.enet();
    enet.rsplit(':').next().unwrap().to_owned()
}

fn relay_with(kai: &Value) -> Relay {
    Relay::configured(&json!({ "enet": { "listen": "127.0.0.1:0", "kai": kai } }))
}

/// Types a line, and waits for what is said.
async fn asked(kai: &mut Running, line: &str, said: &str) {
    kai.type_line(line);
    kai.until_said(said).await;
}

const CALCULATOR: &str = "
    class Calculator {
        total = 0;
        add(a, b) { return this.total = a + b }
        join(a, b) { return a + b }
        later(p, n) { return p.then(v => v + n) }
        refuse(why) { throw new RangeError(why) }
        nothing() {}
    }
    window.agent = peerage.agent('Calculator', new Calculator);
    return 0";

#[tokio::test]
async fn a_node_of_kai_and_a_tab_use_each_others_calculators() {
    let mut relay = relay_with(&json!({
        "names": { "127.0.0.1": "old" }, "commands": true, "console": ["tab"],
        "agents": { "5": "tab/Calculator" }, "offers": { "7": "Calc" },
    }));
    let port = port_of(&mut relay);
    let browsers = Browsers::start().await;
    let tab = browsers.open(&relay.console("tab")).await;
    let mut kai = C::build(PEER).run(&["connect", "127.0.0.1", &port]);
    tab.until("return peerage.peers().some(p => p.name === 'old' && p.kind === 'enet')")
        .await;
    a_tab_uses_kai(&tab).await;
    tab.ask(CALCULATOR).await;
    kai_uses_a_tab(&mut kai).await;
    events_and_objects_go_both_ways(&tab, &mut kai).await;
    // Lines of consoles, both ways, for who may.
    let other = browsers.open(&relay.console("other")).await;
    let refused = other.run("3+4 @old").await;
    assert_eq!(refused["status"], 126, "{refused}");
    let told = refused["output"].as_str().unwrap();
    assert!(
        told.contains("unauthorised") && told.contains("`enet.kai.console`"),
        "{told}"
    );
    let ran = tab.run("1+2 @old").await;
    assert_eq!(ran["output"], "3", "{ran}");
    kai.until_said("command from tab: 1+2").await;
    assert!(!kai.said().iter().any(|line| line.contains("3+4")));
    asked(
        &mut kai,
        "command calc 2+3 @tab",
        "result from old of calc 2+3 @tab: 5",
    )
    .await;
    asked(
        &mut kai,
        "command @tab calc 3+4",
        "result from old of @tab calc 3+4: 7",
    )
    .await;
}

async fn a_tab_uses_kai(tab: &Tab) {
    for (body, result) in [
        ("return await peerage.proxy('old', '7').Add(1, 2)", json!(3)),
        ("return await peerage.proxy('old', 'Calc').Add(-1, 0.5)", json!(-0.5)),
        ("return await peerage.proxy('old', '7').Echo('häuser')", json!("häuser")),
        ("return await peerage.proxy('old', '7').Echo(true)", json!(true)),
        ("return await peerage.proxy('old', '7').get('Total')", json!(3)),
        (
            "const kai = peerage.proxy('old', '7'); await kai.set('Total', 9); return await kai.get('Total')",
            json!(9),
        ),
        (
            "const kai = peerage.proxy('old', '7');
             const one = kai.AddLater(new Promise(done => setTimeout(done, 300, 40)), 2), two = kai.Add(1, 1);
             return [await two, await one]",
            json!([2, 42]),
        ),
    ] {
        assert_eq!(given(tab, body).await, result, "{body}");
    }
    for (body, code, message) in [
        (
            "return await peerage.proxy('old', '7').Fail()",
            "refused",
            "it cannot be",
        ),
        (
            "return await peerage.proxy('old', '7').Nothing()",
            "unknown-method",
            "Unknown agent",
        ),
        (
            "return await peerage.proxy('old', '8').Add(1, 2)",
            "unknown-method",
            "Unknown agent",
        ),
        (
            "return await peerage.proxy('old', '7').get('Nothing')",
            "unknown-method",
            "Unknown property",
        ),
        (
            "return await peerage.proxy('old', 'nobody').Add(1, 2)",
            "unknown-name",
            "nobody",
        ),
        (
            "return await peerage.proxy('old', '7').Add(peerage.byReference({}))",
            "bad-message",
            "a reference",
        ),
        (
            "return await peerage.proxy('old', '7').with({ timeoutMs: 300 }).Silent()",
            "timed-out",
            "",
        ),
    ] {
        let failed = given(tab, body).await;
        assert_eq!(failed["code"], code, "{body}: {failed}");
        assert!(
            failed["message"].as_str().unwrap().contains(message),
            "{failed}"
        );
    }
}

async fn kai_uses_a_tab(kai: &mut Running) {
    for (line, said) in [
        ("call 5 1 add 1 2", r#"response 1 6 "" 3"#),
        (r#"call 5 2 join "a" "b""#, r#"response 2 6 "" "ab""#),
        ("call 5 3 nothing", r#"response 3 6 "" null"#),
        ("call 5 4 refuse 7", r#"response 4 4 "7" null"#),
        (
            "call 5 5 unknown",
            r#"response 5 4 "Unknown agent or method" null"#,
        ),
        (
            "call 6 6 add 1 2",
            r#"response 6 4 "Unknown agent or method" null"#,
        ),
        ("get 5 7 total", r#"response 7 6 "" 3"#),
        ("set 5 8 total 12", r#"response 8 6 "" null"#),
        ("get 5 9 total", r#"response 9 6 "" 12"#),
        (
            "get 5 10 unknown",
            r#"response 10 4 "Unknown property" null"#,
        ),
        // A value that is there already is an argument like any other.
        ("call 5 11 add !40 2", r#"response 11 6 "" 42"#),
    ] {
        asked(kai, line, said).await;
    }
    // One that is to come keeps its call waiting, and nothing else.
    kai.type_line("call 5 12 later ?77 1");
    asked(kai, "call 5 13 add 1 1", r#"response 13 6 "" 2"#).await;
    assert!(
        !kai.said()
            .iter()
            .any(|line| line.starts_with("response 12"))
    );
    asked(kai, "resolve 77 41", r#"response 12 6 "" 42"#).await;
    // Who wants no answer gets none.
    kai.type_line("call 5 0 add 20 3");
    asked(kai, "get 5 14 total", r#"response 14 6 "" 23"#).await;
    assert!(!kai.said().iter().any(|line| line.starts_with("response 0")));
}

async fn events_and_objects_go_both_ways(tab: &Tab, kai: &mut Running) {
    let listen = "window.heard = []; const kai = peerage.proxy('old', 'kai');
        const on = [kai.on('OnOpen', b => heard.push(new TextDecoder().decode(b))), kai.on('object', o => heard.push(o))];
        await Promise.all(on.map(o => o.begun)); return 0";
    given(tab, listen).await;
    // A subscription has begun once a call after it was answered.
    given(tab, "return await peerage.proxy('old', '7').Add(1, 1)").await;
    kai.type_line("event OnOpen the door");
    kai.type_line(r#"object "for all""#);
    tab.until("return JSON.stringify(heard) === JSON.stringify(['the door', 'for all'])")
        .await;
    given(
        tab,
        "await peerage.proxy('old', 'kai').emit('Hello', new TextEncoder().encode('you'))",
    )
    .await;
    kai.until_said("event Hello you").await;
    given(tab, "await peerage.proxy('old', 'kai').send([1, 'two'])").await;
    kai.until_said(r#"object [1 "two"]"#).await;
}

#[tokio::test]
async fn a_stranger_runs_nothing_and_what_is_hostile_is_refused() {
    let mut relay = relay_with(&json!({}));
    let port = port_of(&mut relay);
    let peer = C::build(PEER);
    let mut kai = peer.run(&["connect", "127.0.0.1", &port]);
    relay.until_here("kai-127.0.0.1", true).await;
    asked(&mut kai, "command calc 1+2", "not allowed").await;
    asked(
        &mut kai,
        "call 1 1 anything",
        r#"response 1 4 "Unknown agent or method""#,
    )
    .await;
    let node = join(&relay, "node").await;
    for hostile in [
        "82ffffff7f",
        "82ffffffff",
        "8100000000",
        "80ffffff7f1c000000ffffff7f",
        "800c0000001c000000ffffff7f00000000",
        "8e0000000000000080",
        "ff",
        "87",
    ] {
        kai.type_line(&format!("hex {hostile}"));
    }
    // It is as it was.
    let sum: i64 = node
        .proxy("kai-127.0.0.1", "7")
        .call("Add", &(1, 2))
        .await
        .unwrap();
    assert_eq!(sum, 3);
    // Who may not come is told so.
    let mut closed = relay_with(&json!({ "allow": ["10.0.0.0/8"] }));
    let port = port_of(&mut closed);
    let mut kai = peer.run(&["connect", "127.0.0.1", &port]);
    kai.until_said("disconnected 50450001").await;
    assert_eq!(kai.ended().await, 0);
}

#[tokio::test]
async fn more_than_32_nodes_of_kai_are_there_at_once() {
    const NODES: usize = 48;
    let mut relay = relay_with(&json!({}));
    let port = port_of(&mut relay);
    let kai = C::build(PEER).run(&["connect", "127.0.0.1", &port, &NODES.to_string()]);
    kai.until_said(&format!("connected {NODES}")).await;
    let node = join(&relay, "node").await;
    let is_kai = |name: &str| name.starts_with("kai-127.0.0.1");
    until("all are here", async || {
        node.peers()
            .iter()
            .filter(|peer| is_kai(peer.name.as_str()))
            .count()
            == NODES
    })
    .await;
    let calls = node
        .peers()
        .into_iter()
        .filter(|peer| is_kai(peer.name.as_str()));
    let calls: Vec<_> = calls
        .enumerate()
        .map(|(n, peer)| {
            (
                n,
                node.proxy(peer.name.as_str(), "7")
                    .call::<usize>("Add", &(n, 1)),
            )
        })
        .collect();
    assert_eq!(calls.len(), NODES);
    for (n, call) in calls {
        assert_eq!(call.await, Ok(n + 1));
    }
}

#[tokio::test]
async fn a_node_of_kai_that_listens_is_called_and_called_again() {
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let program = C::build(PEER);
    let mut kai = program.run(&["listen", &port.to_string()]);
    let relay = Relay::configured(
        &json!({ "peers": [{ "host": "127.0.0.1", "port": port, "kai": "listener" }] }),
    );
    relay.until_here("listener", true).await;
    let node = join(&relay, "node").await;
    let proxy = node.proxy("listener", "7");
    assert_eq!(proxy.call::<i64>("Add", &(20, 1)).await, Ok(21));
    let failed = proxy.call::<i64>("Fail", &()).await;
    assert_eq!(
        failed,
        Err(CallError::Thrown(Thrown::new("Error", "it cannot be")))
    );
    // It is killed while somebody waits.
    let waiting = proxy.call::<i64>("Silent", &());
    kai.kill();
    let code = waiting.await.unwrap_err().code();
    assert!(matches!(code, Some(Code::Gone)), "{code:?}");
    relay.until_here("listener", false).await;
    let _again = program.run(&["listen", &port.to_string()]);
    relay.until_here("listener", true).await;
    assert_eq!(proxy.call::<i64>("Add", &(1, 1)).await, Ok(2));
}
