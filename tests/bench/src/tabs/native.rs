//! A tab and native nodes in this process: one that has direct links, over WebRTC, beside one that has none and
//! is reached over WebSocket through the relay.

use bytes::Bytes;
use peerage::{Config, Kind};
use peerage_relay::Node;
use peerage_tests::{Browsers, Relay, Tab, serve};
use serde_json::{Value, json};

use super::{PAGE, script};
use crate::client::Failed;
use crate::table::{heading, median, row};

const COUNT: &str = "bench/count/1";
const SEND: &str = "bench/send/1";
const ECHO: &str = "bench/echo/1";

/// Names of ways, and of the nodes that are reached by them.
const WAYS: [(&str, &str, usize); 2] = [
    ("WebSocket, by the relay", "by-relay", 0),
    ("WebRTC, direct", "by-udp", 16),
];
const SPAN_MILLIS: u32 = 2000;
const ROUND_TRIPS: u32 = 1000;

/// Each way in turn, round by round.
pub(crate) async fn measure(name: &str, rounds: usize) -> Result<Value, Failed> {
    let (site, listener) = serve::bind().await;
    let relay = Relay::configured(&json!({ "origins": [&site] }));
    serve::run_with(listener, PAGE, std::env::var("PEERAGE_MODULES")?);
    let mut nodes = Vec::new();
    for (_, node, links) in WAYS {
        nodes.push(join(&relay, node, links).await?);
    }
    let browsers = Browsers::start().await;
    let tab = browsers
        .open(&format!("{site}/?name=tab&relay={}", relay.mesh()))
        .await;
    for _ in 0..20 {
        ask(&tab, "await roundTrip('by-udp', 200)").await?;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    tab.until_path("by-udp", "direct").await;
    tab.until_path("by-relay", "relayed").await;

    let mut found = WAYS.map(|_| [const { Vec::new() }; 5]);
    for _ in 0..rounds {
        for ((_, node, _), found) in WAYS.iter().zip(&mut found) {
            let measures = [
                format!("await rateTo('{node}', 64, {SPAN_MILLIS})"),
                format!("await rateFrom('{node}', 64, {SPAN_MILLIS})"),
                format!("await rateTo('{node}', 16384, {SPAN_MILLIS}) * 16384 / 1e6"),
                format!("await rateFrom('{node}', 16384, {SPAN_MILLIS}) * 16384 / 1e6"),
                format!("await roundTrip('{node}', {ROUND_TRIPS}) * 1000"),
            ];
            for (measure, found) in measures.iter().zip(found) {
                found.push(ask(&tab, measure).await?);
            }
        }
    }
    tab.until_path("by-udp", "direct").await;
    let columns = ["msgs/s out", "msgs/s in", "MB/s out", "MB/s in", "p50 us"];
    heading(name, &columns);
    let medians = found.map(|way| way.map(|numbers| median(numbers.into_iter())));
    let rows = WAYS.iter().zip(medians).map(|((name, ..), numbers)| {
        row(name, &numbers);
        let [to, from, mb_to, mb_from, p50] = numbers;
        json!({ "way": name, "toPerSecond": to, "fromPerSecond": from, "megabytesTo": mb_to, "megabytesFrom": mb_from, "p50Micros": p50 })
    });
    Ok(rows.collect())
}

async fn join(relay: &Relay, name: &str, links: usize) -> Result<Node, Failed> {
    let mut config = Config::new(Kind::Native).named(name.parse()?);
    config.direct_links = links;
    let node = Node::join(config, vec![relay.mesh().parse()?]).await?;
    for protocol in [COUNT, SEND, ECHO] {
        tokio::spawn(serve_all(node.clone(), protocol));
    }
    Ok(node)
}

async fn serve_all(node: Node, protocol: &'static str) {
    let mut listener = node.listen(protocol);
    while let Some(stream) = listener.accept().await {
        tokio::spawn(async move {
            // Who asks may have had enough.
            let _ = match protocol {
                COUNT => count(&stream).await,
                SEND => send(&stream).await,
                _ => echo(&stream).await,
            };
        });
    }
}

async fn count(stream: &peerage::node::Stream) -> Result<(), peerage::Failure> {
    let mut count = 0u64;
    while stream.recv().await?.is_some() {
        count += 1;
    }
    stream.send(count.to_string().into()).await?;
    stream.finish();
    Ok(())
}

async fn send(stream: &peerage::node::Stream) -> Result<(), peerage::Failure> {
    let size = stream.recv().await?.unwrap_or_default();
    let size = String::from_utf8_lossy(&size).parse().unwrap_or_default();
    let message = Bytes::from(vec![7; size]);
    loop {
        stream.send(message.clone()).await?;
    }
}

async fn echo(stream: &peerage::node::Stream) -> Result<(), peerage::Failure> {
    while let Some(message) = stream.recv().await? {
        stream.send(message).await?;
    }
    Ok(())
}

async fn ask(tab: &Tab, expression: &str) -> Result<f64, Failed> {
    let found = tab.wait_for(&script(expression), vec![]).await;
    Ok(found.as_f64().ok_or_else(|| found.to_string())?)
}
