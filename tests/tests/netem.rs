//! Direct links on ways that lose, delay and reorder datagrams: with tabs over WebRTC, and between native nodes over
//! ENet. Numbered messages come once each and in order, though the path is cut off and on again under way.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests, whose reader wants the figures"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use peerage::{Config, Failure, Kind};
use peerage_relay::Node;
use peerage_tests::nat::{Home, Internet, Nat, Process, RELAY, mesh};
use peerage_tests::netem::Netem;
use peerage_tests::{Tab, serve};
use serde_json::json;
use tokio::sync::oneshot;

/// How long a change of the path may take: attempts fail on such ways, and are made again later and later.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often the path is cut.
const CUTS: usize = 2;
/// Numbers that are carried by each path.
const NUMBERS: u64 = 300;
/// Calls that are made by each path.
const CALLS: u32 = 40;
const PROTOCOL: &str = "acme/numbers/1";
/// Where the page is.
const PAGE_PORT: u16 = 8000;

/// It sends numbers to a node until it is told to stop, and keeps what comes back.
const PAGE: &str = "<!doctype html><script type=module>
    import init, { Node } from './peerage.js';
    await init();
    window.peerage = await Node.join({ relay: 'ws://203.0.113.1:7700/mesh', name: 'tab' });
    const text = new TextEncoder(), words = new TextDecoder();
    window.count = async (target, protocol) => {
        Object.assign(window, { sent: 0, got: [], over: false, stop: false, failed: null });
        const { readable, writable } = await peerage.open(target, protocol);
        const writer = writable.getWriter();
        (async () => {
            while (!stop) {
                await writer.write(text.encode(`${sent++} ${'x'.repeat(200)}`));
                if (sent % 5 == 0) await new Promise(r => setTimeout(r, 20));
            }
            await writer.close();
        })().catch(e => failed = `${e}`);
        (async () => {
            for await (const chunk of readable) got.push(parseInt(words.decode(chunk)));
            over = true;
        })().catch(e => failed = `${e}`);
    };
    window.call = async target => {
        Object.assign(window, { got: [], stop: false, over: false, failed: null });
        while (!stop) {
            const n = got.length;
            const { output } = await peerage.run(`echo ${n} @${target}`);
            got.push(+output);
            await new Promise(r => setTimeout(r, 10));
        }
        over = true;
    };
    </script>";

const fn netem(loss_percent: u32) -> Netem {
    Netem {
        loss_percent,
        delay: Duration::from_millis(50),
        jitter: Duration::from_millis(30),
        seed: 4,
    }
}

/// A native node in this process, at a machine: it keeps the numbers that come, and sends them back.
struct Native {
    numbers: Arc<Mutex<Vec<u64>>>,
    _end: oneshot::Sender<()>,
}

impl Native {
    async fn at(home: &Home, name: &'static str) -> Self {
        let numbers = Arc::new(Mutex::default());
        let kept = Arc::clone(&numbers);
        let (end, ended) = oneshot::channel::<()>();
        let (tell, online) = oneshot::channel();
        home.machine().network().spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let config = Config::new(Kind::Native).named(name.parse().unwrap());
                let joined = Node::join(config, vec![mesh().parse().unwrap()]).await;
                let node = joined.unwrap();
                let _ = tell.send(());
                tokio::select! {
                    _ = ended => {}
                    () = answer(&node, &kept) => {}
                }
            });
        });
        online.await.unwrap();
        Self { numbers, _end: end }
    }

    fn numbers(&self) -> Vec<u64> {
        self.numbers.lock().unwrap().clone()
    }
}

async fn answer(node: &Node, kept: &Mutex<Vec<u64>>) {
    let mut listener = node.listen(PROTOCOL);
    while let Some(stream) = listener.accept().await {
        let echo = async {
            while let Some(message) = stream.recv().await? {
                let text = String::from_utf8_lossy(&message);
                let number = text.split(' ').next().and_then(|word| word.parse().ok());
                kept.lock().unwrap().push(number.unwrap());
                stream.send(message).await?;
            }
            stream.finish();
            Ok::<_, Failure>(())
        };
        echo.await.unwrap();
    }
}

/// The internet with a relay that has direct links, and the page.
fn stage() -> (Internet, Process) {
    let internet = Internet::new();
    let origin = format!("http://{RELAY}:{PAGE_PORT}");
    let relay = Process::relay(&internet, &json!({ "origins": [origin] }));
    let network = internet.relay().network();
    serve::run(network.listen(&format!("{RELAY}:{PAGE_PORT}")), PAGE);
    (internet, relay)
}

/// Waits until a script returns something true, for as long as such a way may need.
async fn until_true(tab: &Tab, script: &str) {
    let begun = Instant::now();
    while tab.ask(script).await != json!(true) {
        if begun.elapsed() > PATIENCE {
            let seen =
                "return JSON.stringify([peerage.state, peerage.peers(), got.length, failed])";
            panic!("never true: {script}; {}", tab.ask(seen).await);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn until_path(tab: &Tab, target: &str, is_direct: bool) -> Duration {
    let begun = Instant::now();
    // The relay is always reached directly: by a data channel or by its WebSocket.
    let by = match is_direct {
        true => "c => c.by === 'webrtc' && c.state === 'connected'",
        false => "c => c.by === 'webrtc'",
    };
    let peer = format!("p => p.name === '{target}' && (p.path === 'direct' || p.kind === 'relay')");
    let direct = format!("peerage.peers().some({peer}) && peerage.connections().some({by})");
    until_true(tab, &format!("return ({direct}) === {is_direct}")).await;
    begun.elapsed()
}

async fn until_more_come(tab: &Tab, more: u64) {
    let got = tab.ask("return got.length").await.as_u64().unwrap();
    until_true(tab, &format!("return got.length >= {}", got + more)).await;
}

/// Under the numbers that a page has going with a node, cuts the way off and on.
async fn off_and_on(tab: &Tab, home: &Home, target: &str, more: u64) {
    let cable = home.cable().unwrap();
    let first = until_path(tab, target, true).await;
    until_more_come(tab, more).await;
    for _ in 0..CUTS {
        cable.cut(true);
        let off = until_path(tab, target, false).await;
        until_more_come(tab, more).await;
        cable.cut(false);
        let on = until_path(tab, target, true).await;
        until_more_come(tab, more).await;
        println!("{target}: off after {off:.1?}, on after {on:.1?}");
    }
    tab.ask("window.stop = true; return 0").await;
    until_true(tab, "return over").await;
    let counts = cable.counts();
    println!("{target}: direct after {first:.1?}; {counts:?}");
    assert!(counts.lost > 0 && counts.overtaken > 0, "{counts:?}");
    assert_eq!(tab.ask("return failed").await, json!(null));
    let in_order = "return got.every((number, n) => number === n)";
    assert_eq!(tab.ask(in_order).await, json!(true));
}

async fn numbers_between_a_tab_and_a_native_node(loss_percent: u32) {
    let (internet, _relay) = stage();
    let home = internet.home_over(Nat::PortRestricted, netem(loss_percent));
    let other = internet.home(Nat::PortRestricted);
    let native = Native::at(&other, "native").await;
    let browsers = home.machine().browsers().await;
    let tab = browsers.open(&format!("http://{RELAY}:{PAGE_PORT}/")).await;
    tab.ask(&format!("count('native', '{PROTOCOL}'); return 0"))
        .await;
    off_and_on(&tab, &home, "native", NUMBERS).await;
    let sent = tab.ask("return sent").await.as_u64().unwrap();
    assert_eq!(tab.ask("return got.length").await, json!(sent));
    assert!(native.numbers().into_iter().eq(0..sent));
    println!("{loss_percent} % lost: {sent} numbers there and back");
}

#[tokio::test]
async fn numbers_between_a_tab_and_a_native_node_survive_a_loss_of_5_percent() {
    numbers_between_a_tab_and_a_native_node(5).await;
}

#[tokio::test]
async fn numbers_between_a_tab_and_a_native_node_survive_a_loss_of_20_percent() {
    numbers_between_a_tab_and_a_native_node(20).await;
}

#[tokio::test]
async fn calls_of_a_tab_at_its_relay_survive_loss_and_a_path_that_comes_and_goes() {
    for loss_percent in [5, 20] {
        let (internet, _relay) = stage();
        let home = internet.home_over(Nat::PortRestricted, netem(loss_percent));
        let browsers = home.machine().browsers().await;
        let tab = browsers.open(&format!("http://{RELAY}:{PAGE_PORT}/")).await;
        tab.ask("call('relay').catch(e => failed = `${e}`); return 0")
            .await;
        off_and_on(&tab, &home, "relay", CALLS.into()).await;
    }
}

#[test]
fn native_nodes_find_a_way_and_lose_no_call_on_ways_that_lose_and_reorder() {
    for loss_percent in [5, 20] {
        let internet = Internet::new();
        let _relay = Process::relay(&internet, &json!({}));
        let home = internet.home_over(Nat::PortRestricted, netem(loss_percent));
        let other = internet.home(Nat::PortRestricted);
        let mut a = Process::peer(&home, "a");
        let _b = Process::peer(&other, "b");
        let cable = home.cable().unwrap();
        let mut number = 0;
        let mut calls = |a: &mut Process| {
            for _ in 0..CALLS {
                number += 1;
                assert_eq!(a.ask(&format!("echo {number} @b")), number.to_string());
            }
        };
        calls(&mut a);
        for is_cut in [false, true, false] {
            cable.cut(is_cut);
            let begun = Instant::now();
            let path = if is_cut { "relayed" } else { "direct" };
            until_native_path(&mut a, path);
            println!(
                "{loss_percent} % lost: {path} after {:.1?}",
                begun.elapsed()
            );
            calls(&mut a);
        }
        let counts = cable.counts();
        assert!(counts.lost > 0 && counts.overtaken > 0, "{counts:?}");
    }
}

/// Waits until a ping travels by this path, of which some get lost.
fn until_native_path(a: &mut Process, path: &str) {
    let begun = Instant::now();
    // A session that nobody uses needs no link.
    while a.ask("echo on @b") != "on" || !a.ask("ping @b").ends_with(path) {
        assert!(begun.elapsed() < PATIENCE, "never {path}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
