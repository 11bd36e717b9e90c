//! Group `discovery`: how a node finds others without being told of them, and is found.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::discovery::{self, Method};

/// How a node finds others without being told of them, and is found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiscoveryConfig {
    /// Whether it announces itself, which it does if it listens beyond this machine.
    pub announce: Option<bool>,
    /// Whether it looks for others all the time, and not only when somebody asks.
    pub browse: bool,
    /// By what, on the local network: `broadcast` and `dns-sd`, unless it is said.
    pub methods: Option<Vec<Method>>,
    /// The UDP port of announcements.
    pub port: Option<NonZeroU16>,
    /// A domain whose records are followed.
    pub domain: Option<String>,
    /// The zone whose nodes it links to, if it is to find them.
    pub zone: Option<String>,
    /// Whether other nodes may ask it whom it finds.
    pub remote: bool,
}

impl DiscoveryConfig {
    /// How the node discovers.
    pub fn settings(&self) -> discovery::Settings {
        let default = discovery::Settings::default();
        discovery::Settings {
            announce: self.announce,
            browse: self.browse,
            methods: self.methods.clone().unwrap_or(default.methods),
            port: self.port.map_or(default.port, NonZeroU16::get),
            domain: self.domain.clone(),
            zone: self.zone.clone(),
            remote: self.remote,
        }
    }
}
