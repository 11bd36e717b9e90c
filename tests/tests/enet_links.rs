//! Links of nodes over ENet: as good as any other, and sessions move onto them and off them.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

use std::net::SocketAddr;

use bytes::Bytes;
use peerage::object::Blob;
use peerage::{Config, Kind};
use peerage_relay::Node;
use peerage_tests::{Bystanders, Peer, Ran, Relay, free_port, join, until};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

#[peerage::agent]
trait Store {
    async fn take(&self, bytes: Blob) -> Blob;
}

struct Own;

impl Store for Own {
    async fn take(&self, bytes: Blob) -> Blob {
        bytes
    }
}

/// A node of this name, online by the first of these addresses that is there.
async fn join_at(relays: &[&str], name: &str) -> Node {
    let config = Config::new(Kind::Native).named(name.parse().unwrap());
    let relays = relays.iter().map(|relay| relay.parse().unwrap());
    Node::join(config, relays.collect()).await.unwrap()
}

#[tokio::test]
async fn nodes_meet_over_enet_and_what_is_large_arrives() {
    const LARGE: usize = 8 * 1024 * 1024;
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let mut relay = Relay::start(address);
        let enet = format!("enet://{}", relay.enet());
        let (a, b) = (join_at(&[&enet], "a").await, join_at(&[&enet], "b").await);
        let c = join(&relay, "c").await;
        for to in ["a", "b", "relay"] {
            assert_eq!(c.run(&format!("calc 1+2 @{to}")).await.unwrap().output, "3");
        }
        let _store = b.agent("Store", StoreAgent::new(Own)).unwrap();
        let bytes: Bytes = (0..LARGE).map(|n| (n % 251) as u8).collect();
        let back = StoreProxy::new(a.rpc(), "b")
            .take(Blob(bytes.clone()))
            .await;
        assert!(back.unwrap().0 == bytes);
        // Who leaves is known to have left.
        b.close().await;
        until("b has left", async || {
            !a.peers().iter().any(|peer| peer.name.as_str() == "b")
        })
        .await;
    }
}

#[tokio::test]
async fn datagrams_of_nodes_travel_over_enet() {
    let mut relay = Relay::start("127.0.0.1:0");
    let enet = format!("enet://{}", relay.enet());
    let (a, b) = (join_at(&[&enet], "a").await, join_at(&[&enet], "b").await);
    let (to_b, to_a) = (
        a.datagrams(b.id(), "test/1").unwrap(),
        b.datagrams(a.id(), "test/1").unwrap(),
    );
    // One that is long enough to need more than one of UDP, too.
    for len in [1, 900, 8000] {
        let datagram = Bytes::from(vec![7; len]);
        let got = loop {
            to_b.send(datagram.clone()).unwrap();
            let got =
                tokio::time::timeout(std::time::Duration::from_millis(200), to_a.recv()).await;
            match got {
                Ok(got) if got.as_ref().is_ok_and(|got| got.len() == len) => break got.unwrap(),
                _ => {}
            }
        };
        assert_eq!(got, datagram);
    }
}

/// Passes on to an address, until it is cut.
struct Wire {
    address: SocketAddr,
    tasks: JoinSet<()>,
}

impl Wire {
    async fn of_tcp(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let mut far = TcpStream::connect(&to).await.unwrap();
                passing.spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { address, tasks }
    }

    fn cut(mut self) {
        self.tasks.abort_all();
    }
}

/// Sends numbers from one node to another, and lets something happen meanwhile: each arrives once, in its order.
async fn count_across(a: &Node, b: &Node, happen: impl FnOnce()) {
    const MESSAGES: u32 = 20_000;
    let mut listener = b.listen("test/1");
    let stream = a.open(b.id(), "test/1").unwrap();
    // A session that was never there cannot move.
    assert!(a.ping(b.id()).await.is_ok());
    let sending = async {
        let mut happen = Some(happen);
        for n in 0..MESSAGES {
            if n == MESSAGES / 4 {
                happen.take().into_iter().for_each(|happen| happen());
            }
            stream
                .send(Bytes::copy_from_slice(&n.to_be_bytes()))
                .await
                .unwrap();
        }
        stream.finish();
    };
    let receiving = async {
        let stream = listener.accept().await.unwrap();
        let mut next = 0u32;
        while let Some(message) = stream.recv().await.unwrap() {
            assert_eq!(message[..], next.to_be_bytes());
            next += 1;
        }
        assert_eq!(next, MESSAGES);
    };
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn a_session_moves_from_a_websocket_to_enet_without_loss() {
    let mut relay = Relay::start("127.0.0.1:0");
    let enet = format!("enet://{}", relay.enet());
    let wire = Wire::of_tcp(relay.address.clone()).await;
    let web = format!("ws://{}/mesh", wire.address);
    let (a, b) = (join_at(&[&web, &enet], "a").await, join(&relay, "b").await);
    count_across(&a, &b, || wire.cut()).await;
}

#[tokio::test]
async fn a_session_moves_from_enet_to_a_websocket_without_loss() {
    let primary = Relay::start("127.0.0.1:0");
    let mut middle = Relay::below(&[&primary], "middle").await;
    let enet = format!("enet://{}", middle.enet());
    let bystanders = Bystanders::start(&primary).await;
    let (a, b) = (
        join_at(&[&enet, &primary.mesh()], "a").await,
        join(&primary, "b").await,
    );
    // Who has the link leaves.
    count_across(&a, &b, || middle.terminate()).await;
    bystanders.end().await;
}

#[tokio::test]
async fn many_nodes_share_one_port() {
    const NODES: usize = 40;
    let mut relay = Relay::start("127.0.0.1:0");
    let enet = format!("enet://{}", relay.enet());
    let mut nodes = Vec::new();
    for n in 0..NODES {
        nodes.push(join_at(&[&enet], &format!("n{n}")).await);
    }
    // Who came last is known to the first a little later.
    until("the first knows all", async || {
        nodes[0].peers().len() == NODES
    })
    .await;
    let everyone = nodes[0].run("echo here @*").await.unwrap();
    assert_eq!(everyone.results.len(), NODES);
}

#[tokio::test]
async fn kais_port_lets_nodes_in_by_enet() {
    let relay = Relay::start("127.0.0.1:0");
    let port = free_port();
    let _peer = Peer::start(&relay, "kai-like", &json!({ "listenPort": port })).await;
    let at = format!("enet://127.0.0.1:{port}");
    let ran = Ran::of(&["peer", "-c", "calc 1+2 @kai-like", "--relay", &at]).await;
    assert_eq!(
        (ran.status, ran.output.as_str()),
        (0, "3"),
        "{}",
        ran.complaint
    );
}

#[tokio::test]
async fn a_port_that_is_asked_for_and_taken_is_an_error() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.json");
    std::fs::write(&file, json!({ "enet": { "listen": address } }).to_string()).unwrap();
    let ran = Ran::of(&[
        "relay",
        "--listen",
        "127.0.0.1:0",
        "--config",
        file.to_str().unwrap(),
    ])
    .await;
    assert_eq!(ran.status, 1);
    assert!(
        ran.complaint
            .contains(&format!("cannot open the UDP port {address}")),
        "{}",
        ran.complaint
    );
}
