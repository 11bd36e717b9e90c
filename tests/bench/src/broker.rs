//! Publish and subscribe: our broker beside nats-server and Mosquitto. Ours has whole nodes as clients, which
//! encrypt end to end, and acknowledges each message; theirs are bare sockets and acknowledge nothing (NATS
//! core, quality of service 0).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::{StreamExt, stream};
use peerage::service::broker::{Item, Publish};
use peerage::{Config, Kind};
use peerage_relay::Node;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::Bench;
use crate::client::Failed;
use crate::load::{Cost, Load};
use crate::server::{Server, System};
use crate::table::{heading, median, row};

/// Those who have a broker.
const SYSTEMS: [System; 3] = [System::Peerage, System::Nats, System::Mosquitto];
/// Nodes that join at once.
const AT_ONCE: usize = 64;
/// Messages that may be under way to each subscriber.
const WINDOW: usize = 256;
const WINDOW_EACH_OF_MANY: usize = 8;

impl Bench {
    /// Adds to the results.
    pub(crate) async fn broker(&self, results: &mut Map<String, Value>) -> Result<(), Failed> {
        for readers in [1, 1000] {
            for size in [64, 1024] {
                let name = format!("broker, to {readers}, {size} B");
                if self.wants(&name) {
                    let found = self.publishing(&name, readers, size).await?;
                    results.insert(name, found);
                }
            }
        }
        Ok(())
    }

    async fn publishing(&self, name: &str, readers: u32, size: usize) -> Result<Value, Failed> {
        let mut costs = vec![Vec::new(); SYSTEMS.len()];
        for _ in 0..self.rounds {
            for (system, costs) in SYSTEMS.into_iter().zip(&mut costs) {
                let server = self.start(system)?;
                let load = match (system, readers) {
                    (System::Peerage, _) => topics(&server, readers, size).await?,
                    (_, 1) => Load::pairs(&server, 1, size, None).await?,
                    _ => Load::fan(&server, readers, size).await?,
                };
                costs.push(load.measure(&server).await);
                load.end().await;
            }
        }
        let medians = costs.iter().map(|costs: &Vec<Cost>| {
            let median = |value: fn(&Cost) -> f64| median(costs.iter().map(value));
            [median(|cost| cost.rate), median(|cost| cost.micros)]
        });
        let medians: Vec<_> = medians.collect();
        heading(
            name,
            &["k msgs/s", "peerage to it", "CPU us/msg", "peerage to it"],
        );
        let [our_rate, our_micros] = medians[0];
        let rows = SYSTEMS
            .into_iter()
            .zip(medians)
            .map(|(system, [rate, micros])| {
                row(
                    system.name(),
                    &[rate / 1e3, our_rate / rate, micros, our_micros / micros],
                );
                json!({ "system": system.name(), "messagesPerSecond": rate, "cpuMicros": micros,
                "rateRatio": our_rate / rate, "cpuRatio": our_micros / micros })
            });
        Ok(rows.collect())
    }
}

/// One node that publishes as much as is taken to this many that subscribe.
async fn topics(server: &Server, readers: u32, size: usize) -> Result<Load, Failed> {
    let mut load = Load::new();
    let each = if readers == 1 {
        WINDOW
    } else {
        WINDOW_EACH_OF_MANY
    };
    let window = Arc::new(Semaphore::new(each * readers as usize));
    let nodes = stream::iter(0..readers).map(async |n| join(server, n).await);
    let nodes: Vec<_> = nodes.buffered(AT_ONCE).collect().await;
    for node in nodes {
        let node = node?;
        let mut subscription = node.subscribe("all").await?;
        let (received, window) = (Arc::clone(&load.received), Arc::clone(&window));
        load.tasks.spawn(async move {
            let _node = node;
            while let Some(Ok(item)) = subscription.next().await {
                if let Item::Message(_) = item {
                    received.fetch_add(1, Ordering::Relaxed);
                    window.add_permits(1);
                }
            }
        });
    }
    let node = join(server, readers).await?;
    let (over, value) = (Arc::clone(&load.over), vec![7_u8; size]);
    load.tasks.spawn(async move {
        let value = peerage::object::Value::of(peerage::object::Item::Text(
            String::from_utf8_lossy(&value).into(),
        ));
        while !over.load(Ordering::Relaxed) {
            let Ok(room) = window.acquire_many(readers).await else {
                return;
            };
            room.forget();
            // Whether it arrives, the subscribers tell.
            let sent = node
                .topics()
                .publish_value("all", &value, Publish::default());
            if sent.is_err() {
                window.add_permits(readers as usize);
                tokio::task::yield_now().await;
            }
        }
    });
    Ok(load)
}

async fn join(server: &Server, n: u32) -> Result<Node, Failed> {
    let config = Config::new(Kind::Native).named(format!("node-{n}").parse()?);
    Ok(Node::join(config, vec![server.url.parse()?]).await?)
}
