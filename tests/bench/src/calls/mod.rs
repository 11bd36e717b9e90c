//! Calls: `add(a, b)` by our remote objects and by others', in one run.
//!
//! Who answers and who asks have a thread and a runtime of one thread each, as processes of their own
//! would; the relay is a process. What each does for a call differs, and is said in `System`.

mod grpc;
mod objects;
pub(crate) mod progress;
mod tarpc;
mod tcp;

use std::future::Future;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::client::Failed;
use crate::load::quantile;
use crate::server::{Server, cpu_of};
use crate::table::{heading, median, row};

/// How long calls are counted, after they have warmed up.
const SPAN: Duration = Duration::from_millis(700);
const WARM_UP: Duration = Duration::from_millis(200);

/// Who sees to the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    /// The floor: 24 bytes there and 16 back, behind a length, over TCP.
    Tcp,
    /// tarpc's: bincode over TCP, in the clear.
    Tarpc,
    /// tonic's: protobuf and HTTP/2 over TCP, in the clear.
    Grpc,
    /// Ours, where one lets the other in: CBOR, sealed by who asks for who answers, over a WebSocket.
    Direct,
    /// Ours, through a relay: the same, and a process more on the way.
    Relayed,
}

impl System {
    const ALL: [Self; 5] = [
        Self::Tcp,
        Self::Tarpc,
        Self::Grpc,
        Self::Direct,
        Self::Relayed,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP by hand",
            Self::Tarpc => "tarpc, bincode",
            Self::Grpc => "tonic, gRPC",
            Self::Direct => "peerage, direct",
            Self::Relayed => "peerage, relayed",
        }
    }
}

/// A way to have two numbers added elsewhere.
trait Adder: Clone + Send + 'static {
    fn add(&self, a: u64, b: u64) -> impl Future<Output = Result<u64, Failed>> + Send;
}

/// What calls have cost.
#[derive(Default)]
struct Cost {
    /// Calls a second.
    rate: f64,
    /// Microseconds from the question to its answer.
    p50: f64,
    p99: f64,
    /// Microseconds of processor time for each, of all who have a part in it.
    cpu: f64,
}

/// Every system with so many calls under way at a time, in turn, round by round.
pub(crate) async fn bench(
    name: &str,
    relay: &Path,
    in_flight: usize,
    rounds: usize,
) -> Result<Value, Failed> {
    let mut costs = System::ALL.map(|_| Vec::new());
    for _ in 0..rounds {
        for (system, costs) in System::ALL.into_iter().zip(&mut costs) {
            let relay = relay.to_owned();
            let measured = move || measure(system, &relay, in_flight);
            costs.push(tokio::task::spawn_blocking(measured).await??);
        }
    }
    let medians = costs.map(|costs| Cost {
        rate: median(costs.iter().map(|cost| cost.rate)),
        p50: median(costs.iter().map(|cost| cost.p50)),
        p99: median(costs.iter().map(|cost| cost.p99)),
        cpu: median(costs.iter().map(|cost| cost.cpu)),
    });
    heading(
        name,
        &[
            "k calls/s",
            "ratio to tarpc",
            "p50 us",
            "p99 us",
            "CPU us/call",
        ],
    );
    let rival = medians[1].rate;
    let rows = System::ALL.into_iter().zip(medians).map(|(system, cost)| {
        let ratio = cost.rate / rival;
        row(
            system.name(),
            &[cost.rate / 1e3, ratio, cost.p50, cost.p99, cost.cpu],
        );
        json!({ "system": system.name(), "callsPerSecond": cost.rate, "ratio": ratio, "p50Micros": cost.p50, "p99Micros": cost.p99, "cpuMicros": cost.cpu })
    });
    Ok(rows.collect())
}

/// One system, from its start to its end.
fn measure(system: System, relay: &Path, in_flight: usize) -> Result<Cost, Failed> {
    let relay = match system {
        System::Relayed => Some(Server::start(crate::server::System::Peerage, relay)?),
        _ => None,
    };
    let url = relay.as_ref().map(|relay| relay.url.clone());
    let answering = Answering::start(system, url.clone())?;
    // Through a relay it is the relay that is called.
    let address = url.unwrap_or_else(|| answering.address.clone());
    let cpu = || cpu_of("self") + relay.as_ref().map_or(0.0, Server::cpu);
    runtime()?.block_on(async {
        match system {
            System::Tcp => load(tcp::connect(&address).await?, in_flight, cpu).await,
            System::Tarpc => load(tarpc::connect(&address).await?, in_flight, cpu).await,
            System::Grpc => load(grpc::connect(&address).await?, in_flight, cpu).await,
            System::Direct | System::Relayed => {
                let (node, adder) = objects::connect(&address).await?;
                let cost = load(adder, in_flight, cpu).await;
                node.close().await;
                cost
            }
        }
    })
}

/// A thread that answers, and ends with this.
struct Answering {
    /// Where.
    address: String,
    _stop: oneshot::Sender<()>,
}

impl Answering {
    fn start(system: System, relay: Option<String>) -> Result<Self, Failed> {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let answer = || {
                let runtime = runtime()?;
                let address = runtime.block_on(answer(system, relay))?;
                Ok::<_, Failed>((runtime, address))
            };
            match answer() {
                Ok((runtime, address)) => {
                    let _ = tell.send(Ok(address));
                    let _ = runtime.block_on(stopped);
                }
                Err(error) => drop(tell.send(Err(error))),
            }
        });
        Ok(Self {
            address: told.recv()??,
            _stop: stop,
        })
    }
}

/// Answers from now on; where.
async fn answer(system: System, relay: Option<String>) -> Result<String, Failed> {
    match (system, relay) {
        (System::Tcp, _) => tcp::serve().await,
        (System::Tarpc, _) => tarpc::serve().await,
        (System::Grpc, _) => grpc::serve().await,
        (System::Relayed, Some(relay)) => objects::serve_through(relay).await,
        (System::Direct | System::Relayed, _) => objects::serve().await,
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build()
}

/// So many callers, each of which asks again as soon as it has its answer.
async fn load(adder: impl Adder, in_flight: usize, cpu: impl Fn() -> f64) -> Result<Cost, Failed> {
    let begin = Instant::now() + WARM_UP;
    let end = begin + SPAN;
    let mut callers = JoinSet::new();
    for n in 0..in_flight as u64 {
        callers.spawn(call(adder.clone(), n, begin, end));
    }
    tokio::time::sleep_until(begin.into()).await;
    let before = cpu();
    let mut times = Vec::new();
    while let Some(taken) = callers.join_next().await {
        times.append(&mut taken??);
    }
    let calls = times.len() as f64;
    times.sort_by(f64::total_cmp);
    Ok(Cost {
        rate: calls / begin.elapsed().as_secs_f64(),
        p50: quantile(&times, 0.5),
        p99: quantile(&times, 0.99),
        cpu: (cpu() - before) * 1e6 / calls,
    })
}

/// Microseconds of the calls of one caller that began in time.
async fn call(adder: impl Adder, n: u64, begin: Instant, end: Instant) -> Result<Vec<f64>, Failed> {
    let mut times = Vec::new();
    loop {
        let start = Instant::now();
        if start >= end {
            return Ok(times);
        }
        let sum = adder.add(n, 2).await?;
        if sum != n + 2 {
            return Err(format!("{n} + 2 is not {sum}").into());
        }
        if start >= begin {
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
}
