//! Group `links`: how a node's sessions keep through an outage, and when it calls its relay again.

use std::time::Duration;

use peerage::Config;
use peerage::config::Reconnect;
use peerage::limits::{RESUME_WINDOW_BYTES_MIN, UNACKNOWLEDGED_BYTES_MAX};
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::config::values::{self, Whole};

/// How long, and how much, sessions without a link wait for one, and when the relay is called again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct LinksConfig {
    /// Milliseconds until a session without a link ends; 120000 unless stated.
    pub resume_window_ms: Option<Whole<0, { u32::MAX as u64 }>>,
    /// Bytes that a session keeps for the other node; beyond, its writers wait. 1048576 unless stated.
    pub resume_window_bytes:
        Option<Whole<{ RESUME_WINDOW_BYTES_MIN as u64 }, { UNACKNOWLEDGED_BYTES_MAX as u64 }>>,
    /// When the relay is called again.
    #[serde(deserialize_with = "reconnect")]
    pub reconnect: ReconnectConfig,
}

/// When a relay that was lost, or did not answer, is called again. The waits double, and are spread at random.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ReconnectConfig {
    /// Milliseconds of the first wait; 200 unless stated.
    pub min_ms: Option<Whole<10, 3_600_000>>,
    /// Milliseconds of the longest wait; 10000 unless stated.
    pub max_ms: Option<Whole<10, 3_600_000>>,
    /// After how many rounds of calls in vain the node gives up; never unless stated.
    pub attempts: Option<Whole<1, { u32::MAX as u64 }>>,
}

/// Reads when the relay is called again: the longest wait is not shorter than the first.
fn reconnect<'de, D: Deserializer<'de>>(from: D) -> Result<ReconnectConfig, D::Error> {
    let config: ReconnectConfig = values::group(from)?;
    match (config.min_ms, config.max_ms) {
        (Some(min), Some(max)) if min.get() > max.get() => Err(D::Error::custom(format!(
            "expected `minMs` to be at most `maxMs`, got {} and {}",
            min.get(),
            max.get()
        ))),
        _ => Ok(config),
    }
}

impl ReconnectConfig {
    /// The first wait and the longest; what is not stated gives way to what is.
    fn waits(&self, usual: &Reconnect) -> (Duration, Duration) {
        let (min, max) = (
            self.min_ms.map(Whole::millis),
            self.max_ms.map(Whole::millis),
        );
        (
            min.unwrap_or(usual.min.min(max.unwrap_or(usual.max))),
            max.unwrap_or(usual.max.max(min.unwrap_or(usual.min))),
        )
    }
}

impl LinksConfig {
    /// The same configuration of a node, with what the file says.
    #[must_use]
    pub fn applied_to(&self, mut config: Config) -> Config {
        if let Some(ms) = self.resume_window_ms {
            config.resume_window = ms.millis();
        }
        if let Some(bytes) = self.resume_window_bytes {
            config.resume_window_bytes = bytes.get() as usize;
        }
        let policy = &mut config.reconnect;
        (policy.min, policy.max) = self.reconnect.waits(policy);
        policy.attempts = self.reconnect.attempts.map(|most| most.get() as u32);
        config
    }
}
