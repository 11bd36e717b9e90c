//! `cargo xtask bench`: ours and others in one run, with one client. Rates are what this machine gave just
//! now; what can be compared is the ratio, and the server's processor time for each message.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program"
)]

mod broker;
mod calls;
mod client;
mod codec;
mod crowd;
mod enet;
mod forwarder;
mod load;
mod mqtt;
mod objects;
mod server;
mod stuck;
mod table;
mod tabs;
mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use serde_json::{Value, json};

use client::Failed;
use load::{Load, quantile, round_trips, tcp_round_trips};
use server::{Server, System};
use table::{heading, median, row};
use tabs::Tabs;

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measure; `relay` is the program `peerage`. Results go to a file as JSON as well.
    Run {
        relay: PathBuf,
        json: PathBuf,
        /// Rounds of each load, of which the median counts.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Only the tables whose name begins like this.
        #[arg(long)]
        only: Option<String>,
    },
    /// Be the floor that others are measured against.
    Forwarder { address: SocketAddr },
    /// Be the echo of ENet that libenet's is measured against.
    EnetEcho { address: SocketAddr },
    /// Be the back end of requests by HTTP, also as a node on this relay.
    Backend { address: SocketAddr, relay: String },
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    match Args::parse().task {
        Task::Forwarder { address } => Ok(forwarder::run(address).await?),
        Task::EnetEcho { address } => enet::echo(address).await,
        Task::Backend { address, relay } => web::serve(address, &relay).await,
        Task::Run {
            relay,
            json,
            rounds,
            only,
        } => {
            let bench = Bench {
                relay,
                rounds,
                only,
            };
            let results = bench.all().await?;
            std::fs::write(&json, serde_json::to_string_pretty(&results)?)?;
            println!("\nas JSON: {}", json.display());
            Ok(())
        }
    }
}

struct Bench {
    relay: PathBuf,
    rounds: usize,
    only: Option<String>,
}

impl Bench {
    async fn all(&self) -> Result<Value, Failed> {
        let mut results = serde_json::Map::new();
        for (pairs, size) in [(1, 64), (50, 64), (1, 1024), (50, 1024), (50, 128)] {
            let name = format!("forward, {pairs} pairs, {size} B");
            if self.wants(&name) {
                results.insert(name.clone(), self.forward(&name, pairs, size).await?);
            }
        }
        for size in [64, 1024] {
            let name = format!("fan-out to 1000, {size} B");
            if self.wants(&name) {
                results.insert(name.clone(), self.fan(&name, size).await?);
            }
        }
        for (name, loaded) in [("round trip, idle", false), ("round trip, half load", true)] {
            if self.wants(name) {
                results.insert(name.into(), self.round_trip(name, loaded).await?);
            }
        }
        if self.wants("connections") {
            results.insert("connections".into(), self.connections(10_000).await?);
        }
        if self.wants("stuck") {
            results.insert("stuck".into(), self.stuck().await?);
        }
        if self.wants("http") {
            results.insert("http".into(), web::measure(&self.relay, self.rounds).await?);
        }
        if self.wants("enet") {
            results.insert("enet".into(), enet::measure(self.rounds).await?);
        }
        if self.wants("tab native") {
            let found = tabs::native::measure("tab native", self.rounds).await?;
            results.insert("tab native".into(), found);
        }
        if self.wants("tabs") {
            results.insert("tabs".into(), self.tabs().await?);
        }
        self.objects(&mut results).await?;
        self.broker(&mut results).await?;
        if self.wants("resume") {
            results.insert("resume".into(), self.resume(5_000, 500).await?);
        }
        Ok(results.into())
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.starts_with(only))
    }

    fn start(&self, system: System) -> Result<Server, Failed> {
        Ok(Server::start(system, &self.relay)?)
    }

    async fn forward(&self, name: &str, pairs: u32, size: usize) -> Result<Value, Failed> {
        self.load(name, async |server| {
            Load::pairs(server, pairs, size, None).await
        })
        .await
    }

    async fn fan(&self, name: &str, size: usize) -> Result<Value, Failed> {
        self.load(name, async |server| Load::fan(server, 1000, size).await)
            .await
    }

    /// Every system under a load, in turn, round by round.
    async fn load(
        &self,
        name: &str,
        begin: impl AsyncFn(&Server) -> Result<Load, Failed>,
    ) -> Result<Value, Failed> {
        let mut costs = vec![Vec::new(); System::ALL.len()];
        for _ in 0..self.rounds {
            for (system, costs) in System::ALL.into_iter().zip(&mut costs) {
                let server = self.start(system)?;
                let load = begin(&server).await?;
                costs.push(load.measure(&server).await);
                load.end().await;
            }
        }
        let medians = costs.iter().map(|costs| {
            let median = |value: fn(&load::Cost) -> f64| median(costs.iter().map(value));
            [median(|cost| cost.rate), median(|cost| cost.micros)]
        });
        let medians: Vec<_> = medians.collect();
        heading(name, &["k msgs/s", "ratio to axum", "CPU us/msg"]);
        let floor = medians[1][0];
        let rows = System::ALL.into_iter().zip(medians).map(|(system, [rate, micros])| {
            row(system.name(), &[rate / 1e3, rate / floor, micros]);
            json!({ "system": system.name(), "messagesPerSecond": rate, "ratio": rate / floor, "cpuMicros": micros })
        });
        Ok(rows.collect())
    }

    async fn round_trip(&self, name: &str, loaded: bool) -> Result<Value, Failed> {
        heading(name, &["p50 us", "p99 us", "p50 to axum"]);
        let mut results = Vec::new();
        for system in System::ALL {
            let server = self.start(system)?;
            let load = if loaded {
                Some(self.half_load(&server).await?)
            } else {
                None
            };
            let times = round_trips(&server, 10_000).await?;
            if let Some(load) = load {
                load.end().await;
            }
            results.push((system, quantile(&times, 0.5), quantile(&times, 0.99)));
        }
        let floor = results[1].1;
        let tcp = tcp_round_trips(10_000).await?;
        let limit = [0.5, 0.99].map(|share| 2.0 * quantile(&tcp, share));
        row(
            "loopback TCP, twice",
            &[limit[0], limit[1], limit[0] / floor],
        );
        let rows = results.into_iter().map(|(system, p50, p99)| {
            row(system.name(), &[p50, p99, p50 / floor]);
            json!({ "system": system.name(), "p50Micros": p50, "p99Micros": p99 })
        });
        Ok(rows.collect())
    }

    /// Fifty pairs at half of what this server takes from them.
    async fn half_load(&self, server: &Server) -> Result<Load, Failed> {
        let full = Load::pairs(server, 50, 64, None).await?;
        let cost = full.measure(server).await;
        full.end().await;
        let batches = cost.rate / 2.0 / 50.0 / 128.0;
        Load::pairs(server, 50, 64, Some(batches)).await
    }

    async fn connections(&self, count: u32) -> Result<Value, Failed> {
        heading(
            &format!("{count} connections"),
            &["conns/s", "CPU us each", "KB each, idle"],
        );
        let mut rows = Vec::new();
        for system in System::ALL {
            let server = self.start(system)?;
            let crowd = crowd::idle(&server, count).await?;
            row(
                system.name(),
                &[crowd.rate, crowd.micros, crowd.bytes / 1024.0],
            );
            rows.push(json!({ "system": system.name(), "perSecond": crowd.rate, "cpuMicros": crowd.micros, "idleBytes": crowd.bytes }));
        }
        Ok(rows.into())
    }

    async fn stuck(&self) -> Result<Value, Failed> {
        heading(
            "one reader stuck for 10 s",
            &["p99 before, us", "p99 during, us", "growth, KB"],
        );
        let mut rows = Vec::new();
        for system in System::ALL {
            let server = self.start(system)?;
            let found = stuck::stuck(&server).await?;
            row(
                system.name(),
                &[found.before, found.during, found.growth / 1024.0],
            );
            rows.push(json!({ "system": system.name(), "p99BeforeMicros": found.before, "p99DuringMicros": found.during, "growthBytes": found.growth }));
        }
        Ok(rows.into())
    }

    async fn tabs(&self) -> Result<Value, Failed> {
        let tabs = Tabs::open().await?;
        heading(
            "tabs that join",
            &["ms, online", "ms, answered", "ms, direct"],
        );
        let mut joined = Vec::new();
        for delay in [0, 25] {
            let times = tabs
                .join(Duration::from_millis(delay), 3 * self.rounds)
                .await?;
            row(
                &format!("round trip {} ms", 2 * delay),
                &[times.online, times.answered, times.direct],
            );
            joined.push(json!({ "roundTripMillis": 2 * delay, "onlineMillis": times.online, "answeredMillis": times.answered, "directMillis": times.direct }));
        }
        heading(
            "tabs, one data channel",
            &[
                "raw, msgs/s",
                "peerage, msgs/s",
                "peerage, MB/s",
                "ratio to raw",
            ],
        );
        let mut rates = Vec::new();
        for size in [64, 1024, 16 * 1024, 64 * 1024] {
            let [raw, ours] = tabs.rates(size, self.rounds).await?;
            row(
                &format!("{size} B"),
                &[raw, ours, ours * size as f64 / 1e6, ours / raw],
            );
            rates.push(json!({ "bytes": size, "rawPerSecond": raw, "perSecond": ours, "ratio": ours / raw }));
        }
        Ok(json!({ "joining": joined, "channel": rates }))
    }

    async fn resume(&self, nodes: usize, pairs: usize) -> Result<Value, Failed> {
        heading(
            &format!("{nodes} nodes after kill -9 of the relay"),
            &["s until all are back", "messages, each once"],
        );
        let server = self.start(System::Peerage)?;
        let resumed = crowd::resume(server, nodes, pairs).await?;
        let seconds = resumed.online.as_secs_f64();
        row("peerage", &[seconds, resumed.delivered as f64]);
        Ok(json!({ "nodes": nodes, "seconds": seconds, "delivered": resumed.delivered }))
    }
}
