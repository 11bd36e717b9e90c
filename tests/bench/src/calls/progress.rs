//! Progress: how many events of an operation reach who watches it, a second.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use peerage::service::operation::{Options, Progress};
use serde_json::{Value, json};

use super::{Answering, System, grpc, objects, runtime};
use crate::client::Failed;
use crate::server::Server;
use crate::table::{heading, median, row};

/// How long events are counted, after they have warmed up.
const SPAN: Duration = Duration::from_millis(700);
const WARM_UP: Duration = Duration::from_millis(200);

const SYSTEMS: [System; 3] = [System::Grpc, System::Direct, System::Relayed];

/// Every system in turn, round by round.
pub(crate) async fn bench(relay: &Path, rounds: usize) -> Result<Value, Failed> {
    let mut rates = SYSTEMS.map(|_| Vec::new());
    for _ in 0..rounds {
        for (system, rates) in SYSTEMS.into_iter().zip(&mut rates) {
            let relay = relay.to_owned();
            let measured = move || measure(system, &relay);
            rates.push(tokio::task::spawn_blocking(measured).await??);
        }
    }
    let rates = rates.map(|rates| median(rates.into_iter()));
    heading(
        "progress events",
        &["k events/s", "ratio to tonic's stream"],
    );
    let rows = SYSTEMS.into_iter().zip(rates).map(|(system, rate)| {
        row(system.name(), &[rate / 1e3, rate / rates[0]]);
        json!({ "system": system.name(), "eventsPerSecond": rate, "ratio": rate / rates[0] })
    });
    Ok(rows.collect())
}

fn measure(system: System, relay: &Path) -> Result<f64, Failed> {
    let relay = match system {
        System::Relayed => Some(Server::start(crate::server::System::Peerage, relay)?),
        _ => None,
    };
    let url = relay.as_ref().map(|relay| relay.url.clone());
    let answering = Answering::start(system, url.clone())?;
    let address = url.unwrap_or_else(|| answering.address.clone());
    runtime()?.block_on(async {
        match system {
            System::Grpc => {
                let mut told = grpc::connect(&address).await?.watch().await?;
                count(async || Ok(told.message().await?.map(drop))).await
            }
            _ => {
                let (node, _) = objects::connect(&address).await?;
                let mut operation = node.start(objects::NAME, "tell", &(), Options::default());
                let rate = count(async || Ok(operation.next().await.map(drop))).await;
                operation.cancel("enough");
                node.close().await;
                rate
            }
        }
    })
}

/// How many come a second.
async fn count(mut next: impl AsyncFnMut() -> Result<Option<()>, Failed>) -> Result<f64, Failed> {
    let begin = Instant::now() + WARM_UP;
    let mut events = 0_u64;
    loop {
        next().await?.ok_or("the events have ended")?;
        let now = Instant::now();
        if now >= begin {
            events += 1;
        }
        if now >= begin + SPAN {
            return Ok(events as f64 / begin.elapsed().as_secs_f64());
        }
    }
}

/// What an operation tells, time and again.
pub(super) fn told(number: u64) -> Progress {
    let fraction = (number % 1000) as f64 / 1000.0;
    Progress::of(fraction)
        .remaining(Duration::from_secs(7))
        .note("half")
}
