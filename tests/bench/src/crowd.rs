//! Many connections: what each costs while it is idle, how fast they come, and how fast whole nodes are
//! back after the relay was killed.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use peerage::node::{Event, Node, State};
use peerage::{Config, Kind};
use peerage_relay::Runtime;
use peerage_relay::discovery::Discovery;
use url::Url;

use crate::client::{Client, Failed};
use crate::server::Server;

/// Connections that are made at once.
const AT_ONCE: usize = 64;
/// How long nodes may take to be back.
const BACK_MAX: Duration = Duration::from_secs(60);
/// The protocol of the numbered messages.
const PROTOCOL: &str = "bench/numbers/1";

/// What many connections cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    /// Connections a second.
    pub(crate) rate: f64,
    /// Microseconds of the server's processor time for each.
    pub(crate) micros: f64,
    /// Bytes of the server's memory for each, idle.
    pub(crate) bytes: f64,
}

/// So many clients connect, and stay.
pub(crate) async fn idle(server: &Server, count: u32) -> Result<Crowd, Failed> {
    let (start, cpu, memory) = (Instant::now(), server.cpu(), server.memory());
    let clients = stream::iter(0..count)
        .map(async |n| {
            let client = Client::connect(server.system, &server.url, n, &[]).await?;
            Ok::<_, Failed>(tokio::spawn(client.stay()))
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    let clients: Vec<_> = clients.into_iter().collect::<Result<_, _>>()?;
    let took = start.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let crowd = Crowd {
        rate: f64::from(count) / took,
        micros: (server.cpu() - cpu) * 1e6 / f64::from(count),
        bytes: (server.memory() - memory) / f64::from(count),
    };
    clients.iter().for_each(|client| client.abort());
    Ok(crowd)
}

/// What happened to nodes whose relay was killed.
pub(crate) struct Resumed {
    /// From the relay's start until all were online again.
    pub(crate) online: Duration,
    /// Numbered messages that arrived, each once and in order; anything else is a failure.
    pub(crate) delivered: u64,
}

/// So many whole nodes, and pairs of them that count all the while; the relay is killed and started.
pub(crate) async fn resume(server: Server, count: usize, pairs: usize) -> Result<Resumed, Failed> {
    let url: Url = server.url.parse()?;
    let nodes = stream::iter(0..count)
        .map(|n| join(url.clone(), n))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    let nodes: Vec<Node> = nodes.into_iter().collect::<Result<_, _>>()?;
    let counting: Vec<_> = (0..pairs)
        .map(|n| tokio::spawn(numbers(nodes[2 * n].clone(), nodes[2 * n + 1].clone())))
        .collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut events: Vec<_> = nodes.iter().map(Node::events).collect();
    let server = tokio::task::spawn_blocking(move || server.restart()).await??;
    let start = Instant::now();
    // A node tells that it is online only after it was not.
    let all_back = async {
        for events in &mut events {
            while !matches!(events.next().await, Event::State(State::Online(_))) {}
        }
    };
    tokio::time::timeout(BACK_MAX, all_back).await?;
    let online = start.elapsed();
    let mut delivered = 0;
    for task in counting {
        delivered += task.await??;
    }
    drop(server);
    Ok(Resumed { online, delivered })
}

async fn join(url: Url, n: usize) -> Result<Node, Failed> {
    let config = Config::new(Kind::Native).named(format!("node-{n}").parse()?);
    let (node, _) = Runtime::start(config, vec![url], Discovery::default())?;
    node.online(true).await?;
    Ok(node)
}

/// One counts and the other checks, until well after the relay was started again.
async fn numbers(from: Node, to: Node) -> Result<u64, Failed> {
    const COUNT: u64 = 120;
    let mut listener = to.listen(PROTOCOL);
    let stream = from.open(to.id(), PROTOCOL)?;
    let reading = tokio::spawn(async move {
        let stream = listener.accept().await.ok_or("the node has left")?;
        for expected in 0..COUNT {
            let message = stream.recv().await?.ok_or("the stream has ended")?;
            if message[..] != expected.to_be_bytes() {
                return Err(Failed::from(format!(
                    "expected {expected}, got {message:?}"
                )));
            }
        }
        Ok(COUNT)
    });
    for n in 0..COUNT {
        stream
            .send(Bytes::copy_from_slice(&n.to_be_bytes()))
            .await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    reading.await?
}
