//! Group `links`: how a node's sessions keep through an outage.

use std::time::Duration;

use peerage::Config;
use peerage::limits::{RESUME_WINDOW_BYTES_MIN, UNACKNOWLEDGED_BYTES_MAX};
use serde::Deserialize;

/// How long, and how much, sessions without a link wait for one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct LinksConfig {
    /// Milliseconds until a session without a link ends.
    pub resume_window_ms: Option<u64>,
    /// Bytes that a session keeps for the other node; beyond, its writers wait.
    pub resume_window_bytes: Option<WindowBytes>,
}

/// Bytes within the core's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "usize")]
pub struct WindowBytes(usize);

impl TryFrom<usize> for WindowBytes {
    type Error = String;

    fn try_from(bytes: usize) -> Result<Self, String> {
        let range = RESUME_WINDOW_BYTES_MIN..=UNACKNOWLEDGED_BYTES_MAX;
        let (least, most) = (range.start(), range.end());
        let expected = || format!("expected {least} to {most} bytes, got {bytes}");
        range
            .contains(&bytes)
            .then_some(Self(bytes))
            .ok_or_else(expected)
    }
}

impl LinksConfig {
    /// The same configuration of a node, with what the file says.
    #[must_use]
    pub fn applied_to(&self, mut config: Config) -> Config {
        if let Some(ms) = self.resume_window_ms {
            config.resume_window = Duration::from_millis(ms);
        }
        if let Some(WindowBytes(bytes)) = self.resume_window_bytes {
            config.resume_window_bytes = bytes;
        }
        config
    }
}
