//! Group `events`: the text dialect of KOS at `/events`.

use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::front::events::Settings;

/// How browsers of KOS are spoken with, at `/events`, and with them `/api/kos/`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct EventsConfig {
    /// Whether they are let in: unless it is said, where only this machine can reach it. What they say is not encrypted, and
    /// nothing proves who they are.
    pub enabled: Option<bool>,
    /// Milliseconds that a request of theirs may take.
    pub request_timeout_ms: Option<u64>,
}

impl EventsConfig {
    /// How they are spoken with by a node that listens at this address, if they are.
    pub fn settings(&self, listen: IpAddr) -> Option<Settings> {
        let default = Settings::default();
        let timeout = self.request_timeout_ms.map(Duration::from_millis);
        let enabled = self.enabled.unwrap_or(listen.is_loopback());
        enabled.then(|| Settings {
            request_timeout: timeout.unwrap_or(default.request_timeout),
        })
    }
}
