//! Key `peers`: more nodes to call, as KAI's files name them.

use serde::Deserialize;

/// A node to call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Its machine, by name or address.
    pub host: String,
    /// The port at which it listens.
    pub port: u16,
}

impl PeerConfig {
    /// The address of its mesh socket.
    pub fn url(&self) -> String {
        let Self { host, port } = self;
        match host.contains(':') {
            true => format!("ws://[{host}]:{port}/mesh"),
            false => format!("ws://{host}:{port}/mesh"),
        }
    }
}
