//! What remote objects cost: calls and values, natively and in tabs.

use serde_json::{Map, Value};

use crate::client::Failed;
use crate::tabs::Tabs;
use crate::{Bench, calls, codec};

impl Bench {
    /// Adds to the results.
    pub(crate) async fn objects(&self, results: &mut Map<String, Value>) -> Result<(), Failed> {
        for in_flight in [1, 64, 1000] {
            let name = format!("calls, {in_flight} in flight");
            if self.wants(&name) {
                let found = calls::bench(&name, &self.relay, in_flight, self.rounds).await?;
                results.insert(name, found);
            }
        }
        if self.wants("progress") {
            let found = calls::progress::bench(&self.relay, self.rounds).await?;
            results.insert("progress".into(), found);
        }
        if self.wants("codec") {
            results.insert("codec".into(), codec::bench(self.rounds)?);
        }
        for in_flight in [1, 64] {
            let name = format!("tab calls, {in_flight} in flight");
            if self.wants(&name) {
                let tabs = Tabs::open().await?;
                let found = tabs.calls(&name, in_flight, self.rounds).await?;
                results.insert(name, found);
            }
        }
        if self.wants("tab codec") {
            let tabs = Tabs::open().await?;
            results.insert("tab codec".into(), tabs.codec(self.rounds).await?);
        }
        Ok(())
    }
}
