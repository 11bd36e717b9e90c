//! Group `log`: who may know what a node tells of its work.

use schemars::JsonSchema;
use serde::Deserialize;

/// Who may read a node's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Whether other nodes may, which they may unless this is `false`.
    pub remote: Option<bool>,
}
