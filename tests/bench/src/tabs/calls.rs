//! Calls between two tabs, each a browser of its own, by us; beside Comlink, the library of choice within
//! one browser, and Comlink on a bare data channel between the same two tabs.
//!
//! To a window or a worker Comlink's messages are cloned in memory and pass no network; on the channel
//! they are JSON, sealed by the browser alone. Ours are sealed once more, resumable, and open to promises.

use serde_json::{Value, json};

use super::Tabs;
use crate::client::Failed;
use crate::table::{heading, median, row};

/// Names, and what the page calls them.
const WAYS: [(&str, &str); 4] = [
    ("Comlink, data channel", "channel"),
    ("peerage", "peerage"),
    ("Comlink, window", "window"),
    ("Comlink, worker", "worker"),
];
const SPAN_MILLIS: u32 = 1000;

impl Tabs {
    /// Each way with so many calls under way at a time, in turn, round by round.
    pub(crate) async fn calls(
        &self,
        name: &str,
        in_flight: usize,
        rounds: usize,
    ) -> Result<Value, Failed> {
        self.right.ask("answerCalls()").await;
        let mut found = WAYS.map(|_| [const { Vec::new() }; 3]);
        for _ in 0..rounds {
            for ((_, way), found) in WAYS.iter().zip(&mut found) {
                let call = format!("await calls('{way}', {in_flight}, {SPAN_MILLIS})");
                let numbers = self.numbers::<3>(&call).await?;
                found
                    .iter_mut()
                    .zip(numbers)
                    .for_each(|(all, one)| all.push(one));
            }
        }
        let medians = found.map(|way| way.map(|numbers| median(numbers.into_iter())));
        heading(name, &["calls/s", "ratio to the first", "p50 us", "p99 us"]);
        let floor = medians[0][0];
        let rows = WAYS.iter().zip(medians).map(|((name, _), [rate, p50, p99])| {
            row(name, &[rate, rate / floor, p50, p99]);
            json!({ "system": name, "callsPerSecond": rate, "ratio": rate / floor, "p50Micros": p50, "p99Micros": p99 })
        });
        Ok(rows.collect())
    }
}
