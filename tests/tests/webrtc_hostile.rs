//! What a node does with those who ask for direct links and mean no good, and with strangers at its UDP port, while
//! others work on it: tabs by data channels, native nodes by the relay.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use bytes::Bytes;
use peerage::limits::{DIRECT_LINKS_NATIVE, SDP_BYTES_MAX};
use peerage::node::Stream;
use peerage::service::signal::{PROTOCOL, Signal};
use peerage::{Config, Kind, NodeId};
use peerage_relay::Node;
use peerage_tests::{Browsers, Bystanders, Relay, Tab, serve};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::json;
use tokio::net::UdpSocket;

/// An offer of a data channel by somebody who is never heard of again.
const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n\
a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n\
a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n\
a=setup:actpass\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";
/// What the process may need more than before, whatever it is sent.
const MEMORY_MAX: u64 = 64 << 20;
/// Rounds of each kind of garbage.
const ROUNDS: usize = 200;

/// One who says to be a tab.
async fn impostor(relay: &Relay, name: &str) -> Node {
    let config = Config::new(Kind::Browser).named(name.parse().unwrap());
    let relays = vec![relay.mesh().parse().unwrap()];
    Node::join(config, relays).await.unwrap()
}

/// Asks for a link, and says all of this.
async fn attempt(node: &Node, relay: NodeId, messages: impl IntoIterator<Item = Bytes>) -> Stream {
    let stream = node.open(relay, PROTOCOL).unwrap();
    for message in messages {
        // It may have been refused after the first.
        if stream.send(message).await.is_err() {
            break;
        }
    }
    stream
}

fn offer(sdp: &str) -> Bytes {
    Signal::Offer(sdp.to_owned()).encode()
}

fn candidate(candidate: String) -> Bytes {
    let mid = Some("0".to_owned());
    Signal::Candidate { candidate, mid }.encode()
}

/// A tab that works on the relay all the while, by a data channel.
async fn working_tab(browsers: &Browsers, page: &str) -> Tab {
    let tab = browsers.open(&format!("{page}tab")).await;
    tab.ask(
        "window.failed = []; window.done = 0;
        (async () => {
            for (;;) {
                const n = done++;
                try {
                    const { output } = await peerage.run(`echo ${n} @relay`);
                    if (+output !== n) failed.push([n, output]);
                } catch (e) { failed.push([n, e.code]); }
                await new Promise(r => setTimeout(r, 20));
            }
        })(); return 0",
    )
    .await;
    tab.until(
        "window.link = connections.find(c => c.connectionState === 'connected'); return !!link",
    )
    .await;
    tab
}

/// It has gone on, by the same data channel.
async fn still_works(tab: &Tab) {
    let done = tab.ask("return done").await.as_u64().unwrap();
    tab.until(&format!("return done >= {}", done + 20)).await;
    assert_eq!(tab.ask("return failed").await, json!([]));
    let state = tab.ask("return link.connectionState").await;
    assert_eq!(state, json!("connected"));
}

#[tokio::test]
async fn who_asks_for_links_with_garbage_gets_an_end_and_others_go_on() {
    let browsers = Browsers::start().await;
    let (relay, page) = serve::joining().await;
    let (tab, bystanders) = (
        working_tab(&browsers, &page).await,
        Bystanders::start(&relay).await,
    );
    let node = impostor(&relay, "impostor").await;
    let at = node.uplink().unwrap();
    let before = relay.peak_bytes();
    let mut chance = ChaCha8Rng::seed_from_u64(11);
    let bad = [
        Bytes::new(),
        vec![0xff; SDP_BYTES_MAX].into(),
        vec![0; SDP_BYTES_MAX + 1].into(),
        offer(""),
        offer("v=0"),
        offer(&"a=candidate:".repeat(1000)),
        offer(&OFFER.replace("abcdefghijklmnopqrstuvwx", &"x".repeat(4000))),
        offer(&OFFER.replace("application", "video")),
        offer(&OFFER.replace("00:11:22", "zz")),
    ];
    for message in bad {
        let stream = attempt(&node, at, [message.clone()]).await;
        let answer = stream.recv().await;
        assert!(!matches!(answer, Ok(Some(_))), "{message:?}: {answer:?}");
    }
    for _ in 0..ROUNDS {
        let mut message = offer(OFFER).to_vec();
        for _ in 0..=chance.next_u32() % 8 {
            let place = chance.next_u32() as usize % message.len();
            message[place] = chance.next_u32() as u8;
        }
        drop(attempt(&node, at, [message.into()]).await);
    }
    still_works(&tab).await;
    bystanders.end().await;
    let more = relay.peak_bytes() - before;
    assert!(more < MEMORY_MAX, "{more} bytes more");
}

#[tokio::test]
async fn candidates_without_end_and_attempts_without_end_are_bounded() {
    let browsers = Browsers::start().await;
    let (relay, page) = serve::joining().await;
    let (tab, bystanders) = (
        working_tab(&browsers, &page).await,
        Bystanders::start(&relay).await,
    );
    let node = impostor(&relay, "impostor").await;
    let at = node.uplink().unwrap();
    let before = relay.peak_bytes();
    let bogus = |n: usize| {
        let kinds = [
            format!("127.0.0.1 {}", 1 + n % 65_535),
            format!("224.0.{}.{} 5353", n % 256, n / 256 % 256),
            format!("10.{}.{}.1 9", n % 256, n / 256 % 256),
            format!("{n}.local 9"),
            format!("ff02::{:x} 9", n % 65_536),
            format!("{} 9", "x".repeat(n % 1000)),
        ];
        let place = &kinds[n % kinds.len()];
        candidate(format!("candidate:{n} 1 udp 2130706431 {place} typ host"))
    };
    // Before the offer and after it, and in it.
    let lines: String = (0..200)
        .map(|n| format!("a=candidate:{n} 1 udp 2130706431 10.1.1.{n} 9 typ host\r\n"))
        .collect();
    let early = (0..2000).map(bogus);
    let late = (2000..5000).map(bogus);
    let offered = offer(&format!("{OFFER}{lines}"));
    let stream = attempt(&node, at, early.chain([offered]).chain(late)).await;
    still_works(&tab).await;
    // Each attempt takes the place of the one before.
    for _ in 0..2 * DIRECT_LINKS_NATIVE {
        drop(attempt(&node, at, [offer(OFFER)]).await);
    }
    drop(stream);
    still_works(&tab).await;
    bystanders.end().await;
    let more = relay.peak_bytes() - before;
    assert!(more < MEMORY_MAX, "{more} bytes more");
    // There is room for a tab that means well.
    let other = browsers.open(&format!("{page}other")).await;
    assert_eq!(other.run("calc 1+2 @relay").await["output"], "3");
    other
        .until("peerage.run('echo on @relay'); return connections.some(c => c.connectionState === 'connected')")
        .await;
}

/// A datagram as strangers send them: STUN with a name that nobody has, the first of a handshake, or anything.
fn datagram(chance: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = vec![0; (chance.next_u32() % 1400) as usize];
    chance.fill_bytes(&mut bytes);
    match chance.next_u32() % 4 {
        0 => {
            // A check of ICE: USERNAME is 6, of 9 bytes here.
            let mut check = vec![0, 1, 0, 16, 0x21, 0x12, 0xA4, 0x42];
            check.extend(bytes.iter().chain(&[0; 12]).take(12));
            check.extend([0, 6, 0, 9]);
            check.extend(b"abcd:efgh\0\0\0");
            check
        }
        1 => {
            // A ClientHello of DTLS 1.2 in a record, of which the rest is by chance.
            let mut hello = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0];
            hello.extend((bytes.len() as u16 + 1).to_be_bytes());
            hello.push(1);
            hello.extend(bytes);
            hello
        }
        2 => {
            // Of STUN, with attributes that are none.
            bytes.splice(0..bytes.len().min(8), [0, 1, 1, 0, 0x21, 0x12, 0xA4, 0x42]);
            bytes
        }
        _ => bytes,
    }
}

#[tokio::test]
async fn a_flood_of_strangers_at_the_udp_port_is_let_be() {
    let browsers = Browsers::start().await;
    let (relay, page) = serve::joining().await;
    let (tab, bystanders) = (
        working_tab(&browsers, &page).await,
        Bystanders::start(&relay).await,
    );
    let before = relay.peak_bytes();
    let mut chance = ChaCha8Rng::seed_from_u64(12);
    for _ in 0..ROUNDS {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(&relay.address).await.unwrap();
        for _ in 0..100 {
            // What the system does not take is as good as lost.
            let _ = socket.send(&datagram(&mut chance)).await;
        }
    }
    still_works(&tab).await;
    bystanders.end().await;
    let more = relay.peak_bytes() - before;
    assert!(more < MEMORY_MAX, "{more} bytes more");
}
