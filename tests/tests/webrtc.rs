//! Direct links of tabs with native nodes, and what a relay does for those who can be reached by nobody.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use std::process::Command;
use std::time::Duration;

use peerage::service::signal::ice::{Credential, Server, ask};
use peerage::{Kind, PathKind};
use peerage_tests::{Browsers, Peer, Relay, Tab, join, serve, until};
use serde_json::{Value, json};

/// Works on a node until it is told otherwise, so that the session is in use: numbers, one after the other, of
/// which `failed` tells those that did not come back.
async fn work(tab: &Tab, target: &str) {
    tab.ask(&format!(
        "window.failed = []; window.done = 0; window.target = '{target}';
        (async () => {{
            while (target === '{target}') {{
                const n = done++;
                try {{
                    const {{ output }} = await peerage.run(`echo ${{n}} @{target}`);
                    if (+output !== n) failed.push([n, output]);
                }} catch (e) {{ failed.push([n, e.code]); }}
                await new Promise(r => setTimeout(r, 20));
            }}
        }})(); return 0"
    ))
    .await;
}

async fn until_more_is_done(tab: &Tab) {
    let done = tab.ask("return done").await.as_u64().unwrap();
    tab.until(&format!("return done >= {}", done + 20)).await;
}

async fn links(tab: &Tab) -> Value {
    let script = "return connections.filter(c => c.connectionState === 'connected').length";
    tab.ask(script).await
}

/// Only in the network that the test itself was given.
fn nft(rule: &str) {
    let status = Command::new("nft").arg(rule).status().unwrap();
    assert!(status.success(), "nft {rule}");
}

#[tokio::test]
async fn a_tab_and_a_native_node_turn_direct_and_the_relay_forwards_no_more() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let native = join(&relay, "native").await;
    let tab = browsers.open(&relay.console("tab")).await;
    work(&tab, "native").await;
    tab.until_path("native", "direct").await;
    until("the native node sees the same", async || {
        let peers = native.peers();
        let tab = peers.iter().find(|peer| peer.name.as_str() == "tab");
        tab.is_some_and(|tab| tab.path == PathKind::Direct)
    })
    .await;
    // The console looks at the relay as well, by a direct link of its own.
    let links = format!(
        "return peerage.connections().filter(c => c.by === 'webrtc' && c.node === '{}').length",
        native.id()
    );
    assert_eq!(tab.ask(&links).await, json!(1));
    let pairs = tab.selected_pairs().await;
    let by_relay = |pair: &Value| pair["local"] == "relay" || pair["remote"] == "relay";
    let pairs = pairs.as_array().unwrap();
    assert!(
        !pairs.is_empty() && !pairs.iter().any(by_relay),
        "{pairs:?}"
    );
    tab.ask("window.target = null; return 0").await;
    let before = relay.forwarded_bytes().await;
    for n in 0..20 {
        let said = tab.run(&format!("calc {n}+1 @native")).await;
        assert_eq!(said["output"], (n + 1).to_string());
        let said = native.run(&format!("calc {n}+2 @tab")).await.unwrap();
        assert_eq!(said.output, (n + 2).to_string());
    }
    let after = relay.forwarded_bytes().await;
    assert_eq!(after, before, "the relay has forwarded something");
    assert_eq!(tab.ask("return failed").await, json!([]));
}

#[tokio::test]
async fn a_path_that_is_closed_or_blocked_costs_no_message_and_comes_back() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let _native = join(&relay, "native").await;
    let tab = browsers.open(&relay.console("tab")).await;
    work(&tab, "native").await;
    tab.until_path("native", "direct").await;
    let close = "connections.filter(c => c.connectionState === 'connected').forEach(c => c.close()); return 0";
    for _ in 0..3 {
        tab.ask(close).await;
        until_more_is_done(&tab).await;
        tab.until_path("native", "direct").await;
    }
    nft(
        "table inet cut { chain input { type filter hook input priority 0; udp dport 1-65535 drop; }; }",
    );
    tab.until_path("native", "relayed").await;
    until_more_is_done(&tab).await;
    nft("delete table inet cut");
    tab.until_path("native", "direct").await;
    until_more_is_done(&tab).await;
    assert_eq!(tab.ask("return failed").await, json!([]));
}

#[tokio::test]
async fn a_native_peer_that_is_killed_is_noticed_and_the_next_is_direct_again() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let peer = Peer::start(&relay, "peer", &json!({})).await;
    let tab = browsers.open(&relay.console("tab")).await;
    work(&tab, "peer").await;
    tab.until_path("peer", "direct").await;
    drop(peer);
    tab.until("return !peerage.peers().some(p => p.name === 'peer')")
        .await;
    let ended = |failed: &Value| failed.as_array().is_some_and(|all| !all.is_empty());
    assert!(
        ended(&tab.ask("return failed").await),
        "nobody was there to answer"
    );
    tab.ask("window.target = null; return 0").await;
    // Its name is kept for it; this is another node.
    let _peer = Peer::start(&relay, "another", &json!({})).await;
    work(&tab, "another").await;
    tab.until_path("another", "direct").await;
}

#[tokio::test]
async fn a_tab_has_a_direct_link_with_its_own_relay_and_goes_on_by_it_alone() {
    let (browsers, relay) = (Browsers::start().await, Relay::start("127.0.0.1:0"));
    let tab = browsers.open(&relay.console("tab")).await;
    assert_eq!(links(&tab).await, 0);
    work(&tab, "relay").await;
    tab.until("return connections.some(c => c.connectionState === 'connected')")
        .await;
    until_more_is_done(&tab).await;
    // The WebSocket is no more: what is under way goes on.
    let port = relay.address.rsplit(':').next().unwrap();
    let drop = format!("tcp dport {port} drop; tcp sport {port} drop;");
    nft(&format!(
        "table inet cut {{ chain input {{ type filter hook input priority 0; {drop} }}; }}"
    ));
    tab.until("return peerage.state === 'offline'").await;
    until_more_is_done(&tab).await;
    assert_eq!(links(&tab).await, 1);
    nft("delete table inet cut");
    tab.until_online().await;
    until_more_is_done(&tab).await;
    assert_eq!(tab.ask("return failed").await, json!([]));
}

#[tokio::test]
async fn nobody_has_links_with_a_node_that_wants_none() {
    let browsers = Browsers::start().await;
    let relay = Relay::configured(&json!({ "webrtc": { "links": 0 } }));
    let tab = browsers.open(&relay.console("tab")).await;
    work(&tab, "relay").await;
    tab.until("return connections.length > 0").await;
    tab.until("return connections.every(c => c.connectionState === 'closed')")
        .await;
    until_more_is_done(&tab).await;
    assert_eq!(links(&tab).await, 0);
    assert_eq!(tab.ask("return failed").await, json!([]));
}

/// Two tabs whose direct links go by the relay's TURN server only.
async fn tabs_by_turn(browsers: &Browsers) -> (Relay, Tab, Tab) {
    let (site, listener) = serve::bind().await;
    let relay = Relay::configured(&json!({ "origins": [&site] }));
    let page = format!(
        "<!doctype html><script type=module>
        import init, {{ Node }} from './peerage.js';
        await init();
        const name = new URLSearchParams(location.search).get('name');
        window.peerage = await Node.join({{ relay: '{}', name, turnOnly: true }});
        </script>",
        relay.mesh()
    );
    serve::run(listener, &page);
    let left = browsers.open(&format!("{site}/?name=left")).await;
    let right = browsers.open(&format!("{site}/?name=right")).await;
    (relay, left, right)
}

#[tokio::test]
async fn two_tabs_that_can_be_reached_by_nobody_are_direct_by_the_relays_turn() {
    let browsers = Browsers::start().await;
    let (relay, left, right) = tabs_by_turn(&browsers).await;
    left.until_path("right", "direct").await;
    right.until_path("left", "direct").await;
    let pairs = left.selected_pairs().await;
    assert_eq!(
        (&pairs[0]["local"], &pairs[0]["remote"]),
        (&json!("relay"), &json!("relay"))
    );
    let before = relay.forwarded_bytes().await;
    for n in 0..20 {
        assert_eq!(
            left.run(&format!("calc {n}+1 @right")).await["output"],
            (n + 1).to_string()
        );
    }
    assert_eq!(relay.forwarded_bytes().await, before);
    let size = left
        .run(&format!("echo {} @right", "x".repeat(100_000 / 16)))
        .await["output"]
        .as_str()
        .map(str::len);
    assert_eq!(size, Some(100_000 / 16));
}

#[tokio::test]
async fn a_tab_that_shows_no_address_reaches_a_native_node_by_turn() {
    let browsers = Browsers::start().await;
    let (relay, left, _right) = tabs_by_turn(&browsers).await;
    // It is on this machine, which is closed to allocations: the session stays where it is.
    let _native = join(&relay, "native").await;
    work(&left, "native").await;
    until_more_is_done(&left).await;
    left.until("return connections.length >= 2").await;
    until_more_is_done(&left).await;
    left.until("return peerage.peers().some(p => p.name === 'native' && p.path === 'relayed')")
        .await;
    assert_eq!(left.ask("return failed").await, json!([]));
}

/// Where a relay's server is, and a credential for it.
async fn server(relay: &Relay) -> (Server, Credential) {
    let native = join(relay, "asker").await;
    let peers = native.peers();
    let at = peers.iter().find(|peer| peer.kind == Kind::Relay).unwrap();
    let server = ask(&native, at.id).await.unwrap();
    let credential = server.turn.clone().unwrap();
    (server, credential)
}

/// What a program of coturn's prints.
fn turnutils(program: &str, args: &[&str]) -> String {
    let output = Command::new("timeout")
        .arg("60")
        .arg(program)
        .args(args)
        .output()
        .unwrap();
    let (out, err) = (output.stdout, output.stderr);
    String::from_utf8_lossy(&[out, err].concat()).into_owned()
}

#[tokio::test]
async fn coturns_clients_find_a_server_for_stun_and_turn() {
    let relay = Relay::start("127.0.0.1:0");
    let (server, credential) = server(&relay).await;
    let port = server.port.to_string();
    assert!(relay.address.ends_with(&format!(":{port}")));
    let seen = turnutils("turnutils_stunclient", &["-p", &port, "127.0.0.1"]);
    assert!(seen.contains("UDP reflexive addr: 127.0.0.1:"), "{seen}");

    let client = |name: &str, password: &str, more: &[&str]| {
        let mut args = vec![
            "-p", &port, "-u", name, "-w", password, "-c", "-n", "100", "-z", "1",
        ];
        args.extend(more);
        args.push("127.0.0.1");
        turnutils("turnutils_uclient", &args)
    };
    let Credential { name, password, .. } = &credential;
    for how in [&["-y", "-m", "4"][..], &["-y", "-m", "4", "-s"]] {
        let said = client(name, password, how);
        assert!(
            said.contains("Total lost packets 0 (0.000000%)"),
            "{how:?}: {said}"
        );
        assert!(said.contains("tot_recv_msgs=400"), "{how:?}: {said}");
    }
    let said = client(name, "wrong", &["-y"]);
    assert!(said.contains("Cannot complete Allocation"), "{said}");
    let said = client(name, password, &["-e", "127.0.0.2", "-v"]);
    assert!(said.contains("403"), "{said}");
}

#[tokio::test]
async fn a_stranger_is_told_no_more_than_an_address() {
    let relay = Relay::start("127.0.0.1:0");
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(&relay.address).await.unwrap();
    let mut buffer = [0; 2048];
    // An allocation without a credential, as on the wire.
    let mut request = vec![0, 3, 0, 8, 0x21, 0x12, 0xA4, 0x42];
    request.extend([7; 12]);
    request.extend([0, 0x19, 0, 4, 17, 0, 0, 0]);
    socket.send(&request).await.unwrap();
    let len = socket.recv(&mut buffer).await.unwrap();
    assert_eq!(buffer[..2], [0x01, 0x13], "an error");
    assert_eq!(buffer[20..28], [0, 9, 0, 4, 0, 0, 4, 1], "of code 401");
    assert!(len <= 64, "{len} bytes");
    // What is no request is not answered: the next answer is that to the next question.
    let garbage: [&[u8]; 4] = [
        &[0x40, 0, 0, 4, 1, 2, 3, 4],
        &[22, 254, 253, 0],
        &[0; 3],
        &[255; 1200],
    ];
    for garbage in garbage {
        socket.send(garbage).await.unwrap();
    }
    let mut question = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    question.extend([9; 12]);
    socket.send(&question).await.unwrap();
    let answered = tokio::time::timeout(Duration::from_secs(30), socket.recv(&mut buffer));
    let len = answered.await.unwrap().unwrap();
    assert_eq!((len, &buffer[8..20]), (32, &[9; 12][..]));
}
