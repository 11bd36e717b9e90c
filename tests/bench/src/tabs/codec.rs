//! Values to bytes and back in a tab, by us and by others.
//!
//! Ours keep what is shared and what leads back to itself, as structured cloning does; so does cbor-x if it
//! is told to; JSON does not.

use serde_json::{Map, Value, json};

use super::Tabs;
use crate::client::Failed;
use crate::table::{heading, median, row};

/// Names, and what the page calls them.
const CODECS: [(&str, &str); 5] = [
    ("peerage", "peerage"),
    ("cbor-x", "cborX"),
    ("cbor-x, graphs", "cborXGraphs"),
    ("JSON", "json"),
    ("structuredClone, both ways", "clone"),
];
const DOCUMENTS: [(&str, &str); 4] = [
    ("tab codec, a record", "record"),
    ("tab codec, 1000 records", "records"),
    ("tab codec, bytes, 1 MiB", "bytes"),
    ("tab codec, 65536 numbers", "numbers"),
];
const SPAN_MILLIS: u32 = 150;

impl Tabs {
    /// Every document by everybody, in turn, round by round.
    pub(crate) async fn codec(&self, rounds: usize) -> Result<Value, Failed> {
        let mut results = Map::new();
        for (name, document) in DOCUMENTS {
            let mut found = CODECS.map(|_| [const { Vec::new() }; 3]);
            for _ in 0..rounds {
                for ((_, codec), found) in CODECS.iter().zip(&mut found) {
                    let call = format!("await codec('{codec}', '{document}', {SPAN_MILLIS})");
                    let numbers = self.numbers::<3>(&call).await?;
                    found
                        .iter_mut()
                        .zip(numbers)
                        .for_each(|(all, one)| all.push(one));
                }
            }
            let medians = found.map(|codec| codec.map(|numbers| median(numbers.into_iter())));
            results.insert(document.into(), table(name, &medians));
        }
        Ok(results.into())
    }
}

/// What writing, reading and bytes were, by each.
fn table(name: &str, medians: &[[f64; 3]]) -> Value {
    let columns = [
        "encode us",
        "decode us",
        "bytes",
        "encode, to cbor-x",
        "decode, to cbor-x",
    ];
    heading(name, &columns);
    let [rival_encode, rival_decode, _] = medians[1];
    let rows = CODECS.iter().zip(medians).map(|((name, _), [encode, decode, bytes])| {
        let ratios = [rival_encode / encode, rival_decode / decode];
        row(name, &[*encode, *decode, *bytes, ratios[0], ratios[1]]);
        json!({ "system": name, "encodeMicros": encode, "decodeMicros": decode, "bytes": bytes, "ratios": ratios })
    });
    rows.collect()
}
