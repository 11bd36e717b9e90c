//! Keys `relays` and `peers`: whom a node calls, by address, and as KAI's files name them.

use std::str::FromStr;

use peerage::Name;
use peerage::node::without_secrets;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::config::values::NAME_PATTERN;
use crate::discovery::{DISCOVER, DNS};
use crate::link::address;

/// A node to call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Its machine, by name or address.
    pub host: String,
    /// The port at which it listens.
    pub port: u16,
    /// It is a node of KAI, which speaks ENet: the name under which it is held. Without this it is called as one of
    /// ours, by WebSocket, which no node of KAI answers.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("pattern" = NAME_PATTERN))]
    pub kai: Option<Name>,
}

impl PeerConfig {
    /// The address of its mesh socket.
    pub fn url(&self) -> String {
        let Self { host, port, .. } = self;
        match host.contains(':') {
            true => format!("ws://[{host}]:{port}/mesh"),
            false => format!("ws://{host}:{port}/mesh"),
        }
    }
}

/// A relay's address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("pattern" = "^((wss?|enet)://[^/]|discover:|dns:[^/])"))]
pub struct RelayAddress(#[schemars(with = "String")] Url);

impl RelayAddress {
    /// The address.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for RelayAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = address::parse(text).map_err(|error| error.to_string())?;
        let known = match url.scheme() {
            "ws" | "wss" | "enet" => url.has_host(),
            DISCOVER => true,
            DNS => !url.path().is_empty(),
            _ => false,
        };
        let expected = "expected a relay's address such as ws://127.0.0.1:7700/mesh, enet://127.0.0.1:14589, \
             discover: or dns:example.org";
        known
            .then_some(Self(url))
            .ok_or_else(|| format!("{expected}, got `{}`", without_secrets(text)))
    }
}

impl TryFrom<String> for RelayAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
