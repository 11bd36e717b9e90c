//! The configuration file: JSON, with a clear word on what is wrong in it and where. One file for each group.

mod access;
mod adapters;
mod broker;
mod discovery;
mod enet;
mod events;
mod http;
mod kai;
mod links;
mod log;
mod mqtt;
mod peers;
mod schema;
#[cfg(test)]
mod tests;
mod timeouts;
mod traces;
mod values;
mod webrtc;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use peerage::Config;
use schemars::JsonSchema;
use serde::Deserialize;

pub use access::{AccessConfig, AddressLists, AddressText, List, NodeLists};
pub use adapters::{
    ADAPTER_PORT, AdaptersConfig, DevicePath, RestartConfig, SerialConfig, SerialDevice,
    SupervisedConfig, UsbDevice, UsbId,
};
pub use broker::{BrokerConfig, HistoryConfig, TopicFilter};
pub use discovery::{DiscoveryConfig, DomainText, ZoneText};
pub use enet::{Allowed, ENET_PORT, EnetConfig, ProgramsConfig, RawConfig, RawServer};
pub use events::EventsConfig;
pub use http::{HttpConfig, NodePages};
pub use kai::{AgentAddress, KaiAddress, KaiConfig, KaiHandle, NodeText, Offers};
pub use links::{LinksConfig, ReconnectConfig};
pub use log::LogConfig;
pub use mqtt::{MqttConfig, MqttUser, PasswordHash};
pub use peers::{PeerConfig, RelayAddress};
pub use schema::schema;
pub use timeouts::TimeoutsConfig;
pub use traces::{HeaderText, OtlpAddress, Ratio, TracesConfig};
pub use values::Whole;
pub use webrtc::{SecretText, TurnConfig, WebRtcConfig};

/// Where KAI's nodes listen if they are told nothing else.
const DEFAULT_PORT: u16 = 14590;

/// What a file may say. All of it is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct FileConfig {
    /// The node's name.
    #[serde(deserialize_with = "values::name")]
    #[schemars(with = "Option<String>", extend("pattern" = values::NAME_PATTERN))]
    pub name: Option<String>,
    /// What it is for: the operator's word for nodes of its type, such as `dispenser`.
    #[serde(rename = "type", deserialize_with = "values::name")]
    #[schemars(with = "Option<String>", extend("pattern" = values::NAME_PATTERN))]
    pub role: Option<String>,
    /// Where it listens, address and port. A peer that has neither this nor a port does not.
    #[schemars(with = "Option<String>", extend("pattern" = values::SOCKET_PATTERN))]
    pub listen: Option<SocketAddr>,
    /// The port at which it listens on this machine only.
    pub listen_port: Option<u16>,
    /// Whether it listens at all, which it does if it has an address or port; `true` without either is
    /// port 14590.
    pub auto_listen: Option<bool>,
    /// Whether a peer has a prompt. One that has none serves others until it is told to end.
    pub interactive: Option<bool>,
    /// The relays that it calls, by their `ws:` or `wss:` addresses, or `discover:` for any on the local network,
    /// `dns:example.org` for those of a domain: the next one when it has lost the last. A relay that calls none is the primary of its zone.
    pub relays: Vec<RelayAddress>,
    /// More nodes that it calls, by host and port.
    pub peers: Vec<PeerConfig>,
    /// Origins, besides the relay's own, whose pages may link to it.
    pub origins: Vec<String>,
    /// How its sessions keep through an outage, and when it calls its relay again.
    #[serde(deserialize_with = "values::group")]
    pub links: LinksConfig,
    /// How long others may take.
    #[serde(deserialize_with = "values::group")]
    pub timeouts: TimeoutsConfig,
    /// Whom it lets in.
    #[serde(deserialize_with = "values::group")]
    pub access: AccessConfig,
    /// Aliases: words that stand for a command at this node.
    pub commands: BTreeMap<String, String>,
    /// Who may know what it tells of its work.
    #[serde(deserialize_with = "values::group")]
    pub log: LogConfig,
    /// Where traces of its calls go.
    #[serde(deserialize_with = "values::group")]
    pub traces: TracesConfig,
    /// How it shows the HTTP of other nodes.
    #[serde(deserialize_with = "values::group")]
    pub http: HttpConfig,
    /// How it speaks with browsers of KOS.
    #[serde(deserialize_with = "values::group")]
    pub events: EventsConfig,
    /// What its broker keeps, and where.
    #[serde(deserialize_with = "values::group")]
    pub broker: BrokerConfig,
    /// How it finds others, and is found.
    #[serde(deserialize_with = "values::group")]
    pub discovery: DiscoveryConfig,
    /// How ENet is spoken, and with whom.
    #[serde(deserialize_with = "values::group")]
    pub enet: EnetConfig,
    /// Hardware, which connects here.
    #[serde(deserialize_with = "values::group")]
    pub adapters: AdaptersConfig,
    /// Where it speaks MQTT, and with whom.
    #[serde(deserialize_with = "values::group")]
    pub mqtt: MqttConfig,
    /// Its direct links, and its server for STUN and TURN.
    #[serde(deserialize_with = "values::group")]
    pub webrtc: WebRtcConfig,
}

impl FileConfig {
    /// The same configuration of a node, with what the file says of all that the node itself decides.
    #[must_use]
    pub fn applied_to(&self, config: Config) -> Config {
        let shows_log = self.log.remote.unwrap_or(config.shows_log);
        let config = self.timeouts.applied_to(self.links.applied_to(config));
        let stated = self.webrtc.links.map(|most| most.get() as usize);
        let direct_links = stated.unwrap_or(config.direct_links);
        Config {
            // The reader has checked that it is a name.
            role: self.role.as_ref().and_then(|role| role.parse().ok()),
            shows_log,
            direct_links,
            ..self.access.applied_to(config)
        }
    }
}

/// The whole file.
#[derive(Deserialize)]
#[serde(transparent)]
struct Root(#[serde(deserialize_with = "values::group")] FileConfig);

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{file}: {source}")]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Something in it is not as expected.
    #[error("{file}: at `{path}`: {reason}")]
    Invalid {
        /// Which file.
        file: PathBuf,
        /// Where in it.
        path: String,
        /// What was expected and what is there.
        reason: String,
    },
}

impl FileConfig {
    /// Reads a file; no file is an empty one.
    ///
    /// # Errors
    /// The file, the path inside it, and what was expected.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(file) = file else {
            return Ok(Self::default());
        };
        let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Unreadable {
            file: file.into(),
            source,
        })?;
        Self::parse(file, &text)
    }

    /// Where it listens, if it does.
    pub fn address(&self) -> Option<SocketAddr> {
        let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stated = self.listen.or(self.listen_port.map(here));
        match self.auto_listen {
            None => stated,
            Some(true) => stated.or(Some(here(DEFAULT_PORT))),
            Some(false) => None,
        }
    }

    fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let invalid = |path: String, reason: String| ConfigError::Invalid {
            file: file.into(),
            path,
            reason,
        };
        let Root(config) = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| invalid(error.path().to_string(), error.inner().to_string()))?;
        json.end()
            .map_err(|error| invalid(".".into(), error.to_string()))?;
        Ok(config)
    }
}
