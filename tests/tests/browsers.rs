//! Tabs of separate browser processes, as a user sees them.

use peerage_tests::{Browsers, Peer, Recorder, Relay, Tab, serve};
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
    let before = relay.forwarded_bytes().await;
    for n in 0..20 {
        assert_eq!(
            left.run(&format!("calc {n}+1 @right")).await,
            said(0, &(n + 1).to_string())
        );
    }
    assert_eq!(
        relay.forwarded_bytes().await,
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
    right.until_online().await;
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

#[tokio::test]
async fn a_duplicated_tab_is_another_node() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let tab = browsers.open(&relay.console("left")).await;
    let id = tab.ask("return peerage.id").await;
    // A page that opens another of its own origin hands it a copy of its session storage.
    tab.ask("window.copy = window.open(location.href); return 0")
        .await;
    tab.until("return !!copy.peerage && copy.peerage.state === 'online'")
        .await;
    assert_eq!(
        tab.ask("return Object.keys(copy.sessionStorage).length")
            .await,
        1
    );
    assert_ne!(tab.ask("return copy.peerage.id").await, id);
    assert_eq!(tab.ask("return copy.peerage.name").await, "left-2");
    assert_eq!(
        tab.ask("return [peerage.id, peerage.state]").await,
        json!([id, "online"])
    );
    assert_eq!(tab.run("calc 1+2 @left-2").await, said(0, "3"));
}

#[tokio::test]
async fn tabs_and_native_peers_run_commands_on_each_other() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let commands = json!({ "commands": { "add": "calc 1+2" } });
    let peer = Peer::start(&relay, "B", &commands).await;
    let tab = browsers.open(&relay.console("left")).await;
    assert_eq!(tab.run("add @B").await, said(0, "3"));
    assert_eq!(tab.run("foo @B").await["status"], 127);
    assert_eq!(
        tab.ask("return peerage.peers().map(p => [p.name, p.kind, p.path]).sort()")
            .await,
        json!([["B", "native", "relayed"], ["relay", "relay", "direct"]])
    );
    tab.ask("peerage.command('title', async (args, out) => { out.write(args.join('+')); return 7; }); return 0").await;
    let ran = relay.run("title a b @left", &[]).await;
    assert_eq!((ran.status, ran.output.as_str()), (7, "a+b"));
    assert_eq!(tab.run("sleep 3600 @nobody").await["code"], "unknown-name");
    tab.ask("window.ended = peerage.run('sleep 3600 @B').catch(e => [e.name, e.code, e.peer]); return 0").await;
    assert_eq!(tab.run("echo after @B").await, said(0, "after"));
    assert_eq!(peer.leave(), 0);
    let ended = tab.wait_for("ended.then(arguments[0])", vec![]).await;
    assert_eq!(ended, json!(["PeerageError", "left", "B"]));
}

#[tokio::test]
async fn the_relay_forwards_what_it_cannot_read() {
    let (recorder, listener) = Recorder::bind().await;
    let relay = Relay::configured(&json!({ "origins": [format!("http://{}", recorder.address)] }));
    recorder.pass_on(listener, relay.address.clone());
    let browsers = Browsers::start().await;
    let page = |name: &str| format!("http://{}/?name={name}", recorder.address);
    let left = browsers.open(&page("left")).await;
    let right = browsers.open(&page("right")).await;
    until_direct(&left, &right).await;
    // A native peer has no direct path, so all that is said goes through the relay.
    let mesh = format!("ws://{}/mesh", recorder.address);
    for (command, output) in [
        ("echo quite a secret @left", "quite a secret"),
        ("calc 123456789*1000 @right", "123456789000"),
    ] {
        let options = ["--relay", &mesh, "--name", "B"];
        assert_eq!(relay.run(command, &options).await.output, output);
    }

    let recorded = recorder.messages();
    let holds = |text: &str| recorded.windows(text.len()).any(|w| w == text.as_bytes());
    // It is the whole of it: who is here is told in the clear, and the rest was forwarded.
    assert!(holds("left") && holds("right"));
    let forwarded = usize::try_from(relay.forwarded_bytes().await).unwrap();
    assert!(
        forwarded > 2000 && recorded.len() > 2 * forwarded,
        "{forwarded} of {}",
        recorded.len()
    );
    for secret in [
        "secret",
        "echo",
        "calc",
        "123456789",
        "a=fingerprint",
        "candidate:",
        "peerage/signal",
    ] {
        assert!(!holds(secret), "the relay has seen `{secret}`");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_uses_the_package_in_plain_javascript() {
    let (site, listener) = serve::bind().await;
    let relay = Relay::configured(&json!({ "origins": [&site] }));
    let mesh = relay.mesh();
    serve::run(
        listener,
        &format!(
            "<!doctype html><title>mine</title><script type=module>
        import init, {{ Node }} from './peerage.js';
        await init();
        window.Node = Node;
        window.peerage = await Node.join({{ relay: '{mesh}', name: 'mine' }});
        window.told = [];
        for (const kind of ['peerjoin', 'peerleave', 'pathchange', 'state'])
            peerage.addEventListener(kind, e => told.push([kind, e.detail.name ?? e.detail.state]));
        </script>"
        ),
    );
    let browsers = Browsers::start().await;
    let mine = browsers.open(&site).await;
    let left = browsers.open(&relay.console("left")).await;
    mine.until_path("left", "direct").await;
    assert_eq!(mine.run("calc 1+2 @left").await, said(0, "3"));
    mine.ask("peerage.command('roll', async (args, out) => { out.write('rolling…'); }); return 0")
        .await;
    assert_eq!(left.run("roll @mine").await, said(0, "rolling…"));
    let refused = "Node.join({ relay: 'ws://127.0.0.1:9/mesh' }).catch(e => arguments[0]([e.name, e.code, e instanceof Error]))";
    assert_eq!(
        mine.wait_for(refused, vec![]).await,
        json!(["PeerageError", "unreachable", true])
    );
    let insisted = format!(
        "Node.join({{ relay: '{mesh}', name: 'left', insist: true }}).catch(e => arguments[0]([e.code, e.peer]))"
    );
    assert_eq!(
        mine.wait_for(&insisted, vec![]).await,
        json!(["refused", "left"])
    );
    left.client.clone().close().await.unwrap();
    mine.until("return told.some(([kind, name]) => kind === 'peerleave' && name === 'left')")
        .await;
    // The way to the relay may change as well.
    assert_eq!(
        mine.ask("return told.filter(([kind, name]) => name === 'left').slice(0, 2)")
            .await,
        json!([["peerjoin", "left"], ["pathchange", "left"]])
    );
    mine.wait_for("peerage.close().then(() => arguments[0](1))", vec![])
        .await;
    mine.until("return peerage.state === 'closed'").await;
    relay.until_here("mine", false).await;
}
