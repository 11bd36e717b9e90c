//! Tabs behind routers of every kind, with each other and with native nodes: which of them find a way that nobody
//! relays, which go by the relay's TURN server, and that all of them work from the first message on. Their browsers
//! hide addresses behind names of mDNS, as any user's do. Times are told, and none is demanded.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests, whose reader wants the figures"
)]

use std::time::{Duration, Instant};

use peerage_tests::nat::{Home, Internet, Nat, Process, RELAY, mesh};
use peerage_tests::{Browsers, Tab, serve};
use serde_json::{Value, json};

/// How long a way may take that is to come: a machine under load is slow, not wrong.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it is watched that none comes.
const RELAYED_FOR: Duration = Duration::from_secs(8);
/// Calls that are made in the end, whatever the way.
const CALLS: u32 = 20;
/// Where the page is.
const PAGE_PORT: u16 = 8000;

/// Who is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Other {
    Tab,
    Native,
}

impl Other {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Tab => "tab",
            Self::Native => "native",
        }
    }
}

/// By which way two nodes talk in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Datagrams from one to the other.
    Direct,
    /// A data channel by the relay's TURN server.
    Turn,
    /// The relay, as at first.
    Relayed,
}

/// The internet, with a relay and a page that joins when it is told.
struct Stage {
    internet: Internet,
    _relay: Process,
}

impl Stage {
    fn set(turn: bool) -> Self {
        let internet = Internet::new();
        // The relay itself has no direct links, so that all of a tab's are with whom it calls.
        // Addresses of documentation, which this internet is made of, are closed to allocations elsewhere.
        let turn = json!({ "enabled": turn, "allow": ["203.0.113.0/24"] });
        let webrtc = json!({ "links": 0, "turn": turn });
        let origin = format!("http://{RELAY}:{PAGE_PORT}");
        let config = json!({ "origins": [origin], "webrtc": webrtc });
        let relay = Process::relay(&internet, &config);
        let listener = internet
            .relay()
            .network()
            .listen(&format!("{RELAY}:{PAGE_PORT}"));
        let page = format!(
            "<!doctype html><script type=module>
            import init, {{ Node }} from './peerage.js';
            await init();
            window.join = async name => {{ window.peerage = await Node.join({{ relay: '{}', name }}); }};
            </script>",
            mesh()
        );
        serve::run(listener, &page);
        Self {
            internet,
            _relay: relay,
        }
    }
}

/// A tab at a home, whose page is there and has not joined yet.
async fn tab(home: &Home) -> (Browsers, Tab) {
    let browsers = home.machine().browsers().await;
    let tab = browsers.show(&format!("http://{RELAY}:{PAGE_PORT}/")).await;
    tab.until("return !!window.join").await;
    (browsers, tab)
}

async fn join(tab: &Tab, name: &str) {
    let script =
        "const [name, done] = arguments; join(name).then(() => done(true), e => done(`${e}`));";
    assert_eq!(tab.wait_for(script, vec![json!(name)]).await, json!(true));
}

/// By which way the tab talks with `b` now.
async fn way(tab: &Tab) -> Way {
    let path = "return peerage.peers().some(p => p.name === 'b' && p.path === 'direct')";
    if tab.ask(path).await != json!(true) {
        return Way::Relayed;
    }
    let pairs = tab.selected_pairs().await;
    let is_relay = |pair: &Value| pair["local"] == "relay" || pair["remote"] == "relay";
    match pairs.as_array().map(Vec::as_slice) {
        Some([pair]) if !is_relay(pair) => Way::Direct,
        Some([_]) => Way::Turn,
        // It has changed just now.
        _ => Way::Relayed,
    }
}

/// A tab and another node that talk with each other, until they do so by this way.
async fn meet(left: Nat, other: Other, right: Nat, turn: bool, expected: Way) -> bool {
    let stage = Stage::set(turn);
    let homes = (stage.internet.home(left), stage.internet.home(right));
    let (_browsers, a) = tab(&homes.0).await;
    let _b = match other {
        Other::Native => {
            let peer = Process::peer(&homes.1, "b");
            (Some(peer), None)
        }
        Other::Tab => {
            let b = tab(&homes.1).await;
            join(&b.1, "b").await;
            (None, Some(b))
        }
    };
    join(&a, "a").await;
    let begun = Instant::now();
    assert_eq!(a.run("calc 1+2 @b").await["output"], "3");
    let first = begun.elapsed();
    let mut found = (Way::Relayed, first);
    let patience = match expected {
        Way::Relayed => RELAYED_FOR,
        _ => PATIENCE,
    };
    while begun.elapsed() < patience && (expected == Way::Relayed || found.0 != expected) {
        // A session that nobody uses needs no link.
        assert_eq!(a.run("calc 1+2 @b").await["output"], "3");
        let way = way(&a).await;
        if way != found.0 {
            found = (way, begun.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for n in 0..CALLS {
        let said = a.run(&format!("calc {n}+1 @b")).await;
        assert_eq!(said["output"], (n + 1).to_string());
    }
    let after = found.1.as_secs_f64() * 1000.0;
    let told = match found.0 {
        Way::Direct => format!("direct after {after:.0} ms"),
        Way::Turn => format!("by TURN after {after:.0} ms"),
        Way::Relayed => String::from("relayed"),
    };
    println!(
        "tab {:>9}  {:>6} {:>9}  first message {:>5.0} ms  {told}",
        left.as_str(),
        other.as_str(),
        right.as_str(),
        first.as_secs_f64() * 1000.0
    );
    found.0 == expected
}

/// Each of these pairs, and which of them went another way than they should.
async fn meet_all(other: Other, pairs: &[(Nat, Nat)]) {
    let mut wrong = Vec::new();
    for &(left, right) in pairs {
        let expected = match left.is_way(right) {
            true => Way::Direct,
            false => Way::Turn,
        };
        if !meet(left, other, right, true, expected).await {
            wrong.push((left, right));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[tokio::test]
async fn tabs_are_direct_where_there_is_a_way_and_go_by_turn_where_there_is_none() {
    let pairs = [
        (Nat::None, Nat::Symmetric),
        (Nat::FullCone, Nat::AddressRestricted),
        (Nat::AddressRestricted, Nat::Symmetric),
        (Nat::PortRestricted, Nat::PortRestricted),
        (Nat::Symmetric, Nat::FullCone),
        (Nat::PortRestricted, Nat::None),
        (Nat::Symmetric, Nat::PortRestricted),
        (Nat::Symmetric, Nat::Symmetric),
    ];
    meet_all(Other::Tab, &pairs).await;
}

#[tokio::test]
async fn a_tab_and_a_native_node_are_direct_where_there_is_a_way_and_go_by_turn_where_there_is_none()
 {
    let pairs = [
        (Nat::None, Nat::AddressRestricted),
        (Nat::FullCone, Nat::Symmetric),
        (Nat::AddressRestricted, Nat::PortRestricted),
        (Nat::PortRestricted, Nat::PortRestricted),
        (Nat::PortRestricted, Nat::FullCone),
        (Nat::Symmetric, Nat::None),
        (Nat::PortRestricted, Nat::Symmetric),
        (Nat::Symmetric, Nat::PortRestricted),
        (Nat::Symmetric, Nat::Symmetric),
    ];
    meet_all(Other::Native, &pairs).await;
}

#[tokio::test]
async fn without_turn_what_finds_no_way_is_relayed_from_the_first_message_on() {
    for (left, other, right) in [
        (Nat::Symmetric, Other::Tab, Nat::Symmetric),
        (Nat::Symmetric, Other::Tab, Nat::PortRestricted),
        (Nat::PortRestricted, Other::Native, Nat::Symmetric),
    ] {
        assert!(meet(left, other, right, false, Way::Relayed).await);
    }
}

#[tokio::test]
async fn a_tab_without_udp_works_by_the_relay() {
    assert!(meet(Nat::UdpBlocked, Other::Tab, Nat::None, true, Way::Relayed).await);
    assert!(
        meet(
            Nat::UdpBlocked,
            Other::Native,
            Nat::FullCone,
            true,
            Way::Relayed
        )
        .await
    );
}
