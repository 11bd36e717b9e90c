//! Tabs of separate browser processes, as a user sees them.

use peerage_tests::{Browsers, Relay, Tab};
use serde_json::{Value, json};

fn said(status: u8, output: &str) -> Value {
    json!({ "status": status, "output": output })
}

async fn two_tabs(browsers: &Browsers, relay: &Relay) -> (Tab, Tab) {
    let left = browsers.open(&relay.console("left")).await;
    let right = browsers.open(&relay.console("right")).await;
    (left, right)
}

async fn until_direct(left: &Tab, right: &Tab) {
    left.until_path("right", "direct").await;
    right.until_path("left", "direct").await;
}

#[tokio::test]
async fn two_tabs_run_commands_on_each_other_and_turn_direct() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    assert_eq!(left.run("calc 1+2 @right").await, said(0, "3"));
    assert_eq!(right.run("calc (1+2)*3.5 @left").await, said(0, "10.5"));
    assert_eq!(left.run("foo @right").await["status"], 127);
    assert_eq!(left.run("calc 1 @nobody").await["code"], "unknown-name");

    until_direct(&left, &right).await;
    let pairs = left.selected_pairs().await;
    assert_eq!(pairs[0]["local"], "host", "{pairs}");
    assert_ne!(pairs[0]["remote"], "relay", "{pairs}");
    let before = relay.forwarded_bytes(&left).await;
    for n in 0..20 {
        assert_eq!(
            left.run(&format!("calc {n}+1 @right")).await,
            said(0, &(n + 1).to_string())
        );
    }
    assert_eq!(
        relay.forwarded_bytes(&left).await,
        before,
        "the relay has forwarded something"
    );
}

#[tokio::test]
async fn two_tabs_go_on_without_the_relay_and_return_to_it() {
    let (browsers, mut relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    until_direct(&left, &right).await;
    let ids = (
        left.ask("return peerage.id").await,
        right.ask("return peerage.id").await,
    );

    relay.kill();
    left.until("return peerage.state === 'offline'").await;
    right.until("return peerage.state === 'offline'").await;
    assert_eq!(left.run("calc 6*7 @right").await, said(0, "42"));
    assert_eq!(right.run("calc 7*6 @left").await, said(0, "42"));

    let relay = Relay::start(&relay.address);
    left.until("return peerage.state === 'online' && peerage.name === 'left'")
        .await;
    right
        .until("return peerage.state === 'online' && peerage.name === 'right'")
        .await;
    let now = (
        left.ask("return peerage.id").await,
        right.ask("return peerage.id").await,
    );
    assert_eq!(ids, now);
    let third = browsers.open(&relay.console("third")).await;
    assert_eq!(third.run("calc 2+2 @left").await, said(0, "4"));
    assert_eq!(left.run("calc 2+3 @third").await, said(0, "5"));
}

#[tokio::test]
async fn ten_thousand_messages_survive_the_path_being_torn_down_once_and_in_order() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    until_direct(&left, &right).await;
    right
        .ask("window.got = []; peerage.command('note', a => { got.push(+a[0]); }); return 0")
        .await;
    left.ask(
        "window.moves = 0; peerage.addEventListener('pathchange', () => moves++);
        window.sent = 0; window.failed = [];
        const worker = async () => {
            while (sent < 10000) {
                const n = sent++;
                try { await peerage.run(`note ${n} @right`); } catch (e) { failed.push([n, e.code]); }
            }
        };
        window.all = Promise.all(Array.from({ length: 32 }, worker)).then(() => window.over = true);
        return 0",
    )
    .await;
    for part in 1..5 {
        left.until(&format!("return sent >= {}", part * 2000)).await;
        left.until_path("right", "direct").await;
        left.ask("connections.filter(c => c.connectionState === 'connected').forEach(c => c.close()); return 0").await;
    }
    left.until("return window.over === true").await;
    assert_eq!(left.ask("return failed").await, json!([]));
    assert_eq!(right.ask("return got.length").await, json!(10_000));
    assert_eq!(
        right.ask("return got.every((n, i) => n === i)").await,
        json!(true)
    );
    assert!(
        left.ask("return moves").await.as_u64() >= Some(4),
        "the path never moved"
    );
}

#[tokio::test]
async fn a_reload_keeps_the_id_and_a_closed_tab_is_gone() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let (left, right) = two_tabs(&browsers, &relay).await;
    until_direct(&left, &right).await;
    let id = right.ask("return peerage.id").await;
    right.client.refresh().await.unwrap();
    right
        .until("return !!window.peerage && window.peerage.state === 'online'")
        .await;
    assert_eq!(
        right.ask("return [peerage.id, peerage.name]").await,
        json!([id, "right"])
    );
    until_direct(&left, &right).await;
    assert_eq!(left.run("calc 1+1 @right").await, said(0, "2"));
    right.client.clone().close().await.unwrap();
    left.until("return !peerage.peers().some(p => p.name === 'right')")
        .await;
    assert_eq!(left.run("calc 1+1 @right").await["code"], "unknown-name");
}
