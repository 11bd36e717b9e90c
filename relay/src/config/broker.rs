//! Group `broker`: what a broker keeps, and where.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use peerage::Failure;
use peerage::limits::TOPIC_BYTES_MAX;
use peerage::service::broker::{Filter, Options, Rule};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::broker::{FileStore, StoreError};

/// What a filter of topics looks like.
const FILTER_PATTERN: &str = r"^(#|([^+#*/]*|\+)(/([^+#*/]*|\+))*(/[#*])?)$";

/// What a broker keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BrokerConfig {
    /// The file in which it is kept; in memory without one.
    pub store: Option<PathBuf>,
    /// How much history topics have, which is that of the first rule that fits.
    pub history: Vec<HistoryConfig>,
}

/// How much history some topics have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HistoryConfig {
    /// Which topics.
    pub filter: TopicFilter,
    /// Messages; 0 for no history.
    pub count: Option<usize>,
    /// Bytes of them.
    pub bytes: Option<usize>,
    /// Milliseconds until a message is dropped.
    pub age_ms: Option<u64>,
}

/// A filter of topics.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("pattern" = FILTER_PATTERN, "maxLength" = TOPIC_BYTES_MAX))]
pub struct TopicFilter(#[schemars(with = "String")] Filter);

impl TopicFilter {
    /// The filter itself.
    pub fn filter(&self) -> Filter {
        self.0.clone()
    }
}

impl TryFrom<String> for TopicFilter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|failure: Failure| failure.message)
    }
}

impl BrokerConfig {
    /// What the broker is told, with its store open.
    ///
    /// # Errors
    /// If the store's file cannot be used.
    pub fn options(&self) -> Result<Options, StoreError> {
        let rules = self.history.iter().map(|history| {
            let usual = Rule::usual(history.filter.0.clone());
            Rule {
                count: history.count.unwrap_or(usual.count),
                bytes: history.bytes.unwrap_or(usual.bytes),
                age: history.age_ms.map_or(usual.age, Duration::from_millis),
                ..usual
            }
        });
        let store = self.store.as_deref().map(FileStore::open).transpose()?;
        Ok(Options {
            rules: rules.collect(),
            store: store.map(|store| Arc::new(store) as _),
        })
    }
}
