//! Group `http`: how a relay shows the HTTP of nodes.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::values::Whole;
use crate::web::Settings;

/// How a relay shows the HTTP of nodes, at `/n/{name}/`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct HttpConfig {
    /// Whether pages of nodes are in an origin of their own, or share that of the console.
    pub node_pages: NodePages,
    /// Milliseconds that a node may be silent before its response begins.
    pub head_timeout_ms: Option<Whole<1, 3_600_000>>,
}

/// What pages of nodes may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodePages {
    /// They are apart from the console, and from each other.
    #[default]
    Sandboxed,
    /// They can do what the console's own page can.
    Trusted,
}

impl HttpConfig {
    /// How nodes are shown.
    pub fn settings(&self) -> Settings {
        let default = Settings::default();
        Settings {
            sandboxed: self.node_pages == NodePages::Sandboxed,
            head_timeout: self
                .head_timeout_ms
                .map_or(default.head_timeout, Whole::millis),
            ..default
        }
    }
}
