//! A reader that stops reading while others go on.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};

use crate::client::{Client, Failed};
use crate::load::{quantile, round_trips};
use crate::server::Server;

/// How long the reader is stuck.
const STUCK: Duration = Duration::from_secs(10);
const SIZE: usize = 1024;

/// What a stuck reader does to others.
pub(crate) struct Stuck {
    /// A bystander's p99 before, in microseconds.
    pub(crate) before: f64,
    /// And while the reader is stuck.
    pub(crate) during: f64,
    /// Bytes by which the server has grown.
    pub(crate) growth: f64,
}

/// One sends as much as is taken to one who does not read; two others ask and answer.
pub(crate) async fn stuck(server: &Server) -> Result<Stuck, Failed> {
    let p99 = |times: Vec<f64>| quantile(&times, 0.99);
    let before = p99(round_trips(server, 3000).await?);
    let memory = server.memory();
    let reader = Client::connect(server.system, &server.url, 0, &[]).await?;
    let sender = Client::connect(server.system, &server.url, 1, &[0]).await?;
    let batch = sender.batch(&[0], SIZE, 16);
    let (mut sink, mut stream) = {
        let Client { socket, .. } = sender;
        socket.split()
    };
    let listening = tokio::spawn(async move { while let Some(Ok(_)) = stream.next().await {} });
    let sending = tokio::spawn(async move {
        loop {
            for message in &batch {
                if sink.send(message.clone()).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let start = Instant::now();
    let mut during = Vec::new();
    let mut growth: f64 = 0.0;
    while start.elapsed() < STUCK {
        during.extend(round_trips(server, 500).await?);
        growth = growth.max(server.memory() - memory);
    }
    during.sort_by(f64::total_cmp);
    sending.abort();
    listening.abort();
    drop(reader);
    Ok(Stuck {
        before,
        during: p99(during),
        growth,
    })
}
