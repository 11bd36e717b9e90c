//! The configuration file: JSON, with a clear word on what is wrong in it and where.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use peerage::limits::{DIRECT_LINKS_NATIVE, RESUME_WINDOW_BYTES_MIN, UNACKNOWLEDGED_BYTES_MAX};
use peerage::service::broker::{Filter, Options, Rule};
use peerage::{Config, Failure};
use serde::Deserialize;

use crate::broker::{FileStore, StoreError};
use crate::direct::Turn;
use crate::web::Settings;

/// Where KAI's nodes listen if they are told nothing else.
const DEFAULT_PORT: u16 = 14590;

/// What a file may say. All of it is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct FileConfig {
    /// The node's name.
    pub name: Option<String>,
    /// Where it listens, address and port. A peer that has neither this nor a port does not.
    pub listen: Option<SocketAddr>,
    /// The port at which it listens on this machine only.
    pub listen_port: Option<u16>,
    /// Whether it listens at all, which it does if it has an address or port; `true` without either is
    /// port 14590.
    pub auto_listen: Option<bool>,
    /// Whether a peer has a prompt. One that has none serves others until it is told to end.
    pub interactive: Option<bool>,
    /// The relays that it calls, by their `ws:` addresses: the next one when it has lost the last. A relay
    /// that calls none is the primary of its zone.
    pub relays: Vec<String>,
    /// More nodes that it calls, by host and port.
    pub peers: Vec<PeerConfig>,
    /// Origins, besides the relay's own, whose pages may link to it.
    pub origins: Vec<String>,
    /// How its sessions keep through an outage.
    pub links: LinksConfig,
    /// Aliases: words that stand for a command at this node.
    pub commands: BTreeMap<String, String>,
    /// Who may know what it tells of its work.
    pub log: LogConfig,
    /// How it shows the HTTP of other nodes.
    pub http: HttpConfig,
    /// What its broker keeps, and where.
    pub broker: BrokerConfig,
    /// Its direct links with tabs, and its server for STUN and TURN.
    pub webrtc: WebRtcConfig,
}

impl FileConfig {
    /// The same configuration of a node, with what the file says of its sessions and its log.
    #[must_use]
    pub fn applied_to(&self, config: Config) -> Config {
        let shows_log = self.log.remote.unwrap_or(config.shows_log);
        let direct_links = self.webrtc.links.unwrap_or(config.direct_links);
        Config {
            shows_log,
            direct_links: direct_links.min(DIRECT_LINKS_NATIVE),
            ..self.links.applied_to(config)
        }
    }
}

/// Who may read a node's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Whether other nodes may, which they may unless this is `false`.
    pub remote: Option<bool>,
}

/// How a relay shows the HTTP of nodes, at `/n/{name}/`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct HttpConfig {
    /// Whether pages of nodes are in an origin of their own, or share that of the console.
    pub node_pages: NodePages,
    /// Milliseconds that a node may be silent before its response begins.
    pub head_timeout_ms: Option<u64>,
}

/// What pages of nodes may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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
                .map_or(default.head_timeout, Duration::from_millis),
            ..default
        }
    }
}

/// Direct links with tabs, by WebRTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct WebRtcConfig {
    /// Where its UDP socket is: with the address and the number of the port at which the node listens, unless
    /// this is said. A node that does not listen has a socket when a tab asks for a link.
    pub listen: Option<SocketAddr>,
    /// The address at which others reach it, if that is another's, such as a router's.
    pub public: Option<IpAddr>,
    /// How many direct links with tabs there are at the most; 0 for none.
    pub links: Option<usize>,
    /// Its TURN server.
    pub turn: TurnConfig,
}

/// A server for TURN. It needs a port, so a node that does not listen has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct TurnConfig {
    /// Whether there is one, which there is unless this is `false`.
    pub enabled: Option<bool>,
    /// Networks of this machine or near it to which it leads nevertheless, such as `10.0.0.0/8`.
    pub allow: Vec<Network>,
    /// What passwords are made with, if they are to be good beyond a restart, or at more than one relay.
    pub secret: Option<String>,
    /// Bytes a second that one allocation carries in each direction.
    pub bytes_per_second: Option<u64>,
}

impl TurnConfig {
    /// What the server is told.
    pub fn settings(&self) -> Turn {
        Turn {
            off: self.enabled == Some(false),
            allow: self.allow.iter().map(|network| network.0).collect(),
            secret: self.secret.clone(),
            bytes_per_second: self.bytes_per_second,
        }
    }
}

/// A network, by an address and the bits of it that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(IpNet);

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let expected = |_| format!("expected a network such as 10.0.0.0/8, got {text}");
        text.parse().map(Self).map_err(expected)
    }
}

/// What a broker keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrokerConfig {
    /// The file in which it is kept; in memory without one.
    pub store: Option<PathBuf>,
    /// How much history topics have, which is that of the first rule that fits.
    pub history: Vec<HistoryConfig>,
}

/// How much history some topics have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TopicFilter(Filter);

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
        let config = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| invalid(error.path().to_string(), error.inner().to_string()))?;
        json.end()
            .map_err(|error| invalid(".".into(), error.to_string()))?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use peerage::Kind;

    use super::*;

    fn parse(text: &str) -> Result<FileConfig, String> {
        FileConfig::parse(Path::new("peer.json"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_may_say_all_or_nothing() {
        assert_eq!(parse("{}"), Ok(FileConfig::default()));
        let config = parse(r#"{"name":"b","listen":"127.0.0.1:1","commands":{"add":"calc 1+2"}}"#);
        assert_eq!(config.unwrap().commands["add"], "calc 1+2");
        let config = parse(r#"{"links":{"resumeWindowMs":5000,"resumeWindowBytes":65536}}"#);
        let config = config.unwrap().links.applied_to(Config::new(Kind::Native));
        assert_eq!(config.resume_window, Duration::from_secs(5));
        assert_eq!(config.resume_window_bytes, 65_536);
        let config = parse(r#"{"log":{"remote":false}}"#).unwrap();
        assert!(!config.applied_to(Config::new(Kind::Native)).shows_log);
        let config = parse(r#"{"http":{"nodePages":"trusted","headTimeoutMs":5}}"#).unwrap();
        let settings = config.http.settings();
        assert_eq!(
            (settings.sandboxed, settings.head_timeout),
            (false, Duration::from_millis(5))
        );
        let config = parse(
            r#"{"webrtc":{"listen":"0.0.0.0:7","public":"192.0.2.1","links":0,
            "turn":{"enabled":false,"allow":["10.0.0.0/8"],"secret":"s","bytesPerSecond":9}}}"#,
        );
        let config = config.unwrap();
        assert_eq!(config.webrtc.listen, "0.0.0.0:7".parse().ok());
        assert_eq!(config.applied_to(Config::new(Kind::Native)).direct_links, 0);
        let turn = config.webrtc.turn.settings();
        assert!(turn.off && turn.allow == ["10.0.0.0/8".parse().unwrap()]);
        let config = parse(r#"{"listenPort":7701}"#).unwrap();
        assert_eq!(config.address(), "127.0.0.1:7701".parse().ok());
    }

    #[test]
    fn what_a_broker_keeps_is_said_by_filter() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store");
        let text = r##"{"broker":{"history":[{"filter":"a/#","count":5,"ageMs":9},{"filter":"#","bytes":7}]}}"##;
        let mut broker = parse(text).unwrap().broker;
        broker.store = Some(file.clone());
        let options = broker.options().unwrap();
        assert!(options.store.is_some() && file.exists());
        let [first, second] = &options.rules[..] else {
            panic!("{:?}", options.rules)
        };
        assert_eq!(
            (first.filter.as_str(), first.count, first.age),
            ("a/#", 5, Duration::from_millis(9))
        );
        let usual = Rule::usual(second.filter.clone());
        assert_eq!(*second, Rule { bytes: 7, ..usual });
    }

    /// The sample as KAI's documents have it.
    const KAI: &str = r#"{ "listenPort": 14590, "autoListen": true, "interactive": true,
  "peers": [ { "host": "127.0.0.1", "port": 14591 } ],
  "commands": { "add": "calc 1+2", "status": "system status", "help": "system help" } }"#;

    #[test]
    fn kais_sample_configuration_is_understood_as_it_is() {
        let config = parse(KAI).unwrap();
        assert_eq!(config.address(), "127.0.0.1:14590".parse().ok());
        assert_eq!(config.interactive, Some(true));
        assert_eq!(config.peers[0].url(), "ws://127.0.0.1:14591/mesh");
        assert_eq!(config.commands["status"], "system status");
        assert_eq!(config.commands.len(), 3);
    }

    #[test]
    fn a_node_listens_if_it_is_told_where_and_not_told_otherwise() {
        for (text, address) in [
            ("{}", None),
            (r#"{"listenPort":1}"#, Some("127.0.0.1:1")),
            (r#"{"listenPort":1,"autoListen":false}"#, None),
            (r#"{"autoListen":true}"#, Some("127.0.0.1:14590")),
            (r#"{"listen":"[::1]:2","autoListen":true}"#, Some("[::1]:2")),
        ] {
            let address = address.map(|address| address.parse().unwrap());
            assert_eq!(parse(text).unwrap().address(), address, "{text}");
        }
        let peer = parse(r#"{"peers":[{"host":"::1","port":3}]}"#)
            .unwrap()
            .peers
            .remove(0);
        assert_eq!(peer.url(), "ws://[::1]:3/mesh");
    }

    #[test]
    fn what_is_wrong_is_told_with_file_path_and_expectation() {
        for (text, words) in [
            (r#"{"nmae":"b"}"#, ["peer.json", "nmae", "expected one of"]),
            (
                r#"{"commands":{"add":3}}"#,
                ["commands.add", "integer `3`", "expected a string"],
            ),
            (
                r#"{"listen":"here"}"#,
                ["listen", "invalid socket address", "peer.json"],
            ),
            (
                r#"{"relays":["ws://x",7]}"#,
                ["relays[1]", "expected a string", "peer.json"],
            ),
            (
                r#"{"links":{"resumeWindowBytes":9}}"#,
                ["links.resumeWindowBytes", "expected 65536 to", "got 9"],
            ),
            (
                r#"{"peers":[{"host":"a","port":70000}]}"#,
                ["peers[0].port", "70000", "expected u16"],
            ),
            (
                r#"{"peers":[{"host":"a","port":1,"x":1}]}"#,
                ["peers[0].x", "expected `host` or `port`", "peer.json"],
            ),
            (
                r#"{"broker":{"history":[{"filter":"a/#/b"}]}}"#,
                ["broker.history[0].filter", "expected `+`", "a/#/b"],
            ),
            (
                r##"{"broker":{"history":[{"filter":"#","counts":1}]}}"##,
                ["broker.history[0].counts", "expected one of", "count"],
            ),
            (
                r#"{"broker":{"history":[{"count":1}]}}"#,
                ["broker.history[0]", "missing field `filter`", "peer.json"],
            ),
            (
                r#"{"autoListen":"yes"}"#,
                ["autoListen", "expected a boolean", "peer.json"],
            ),
            (
                r#"{"webrtc":{"turn":{"allow":["ten"]}}}"#,
                ["webrtc.turn.allow[0]", "expected a network", "got ten"],
            ),
            (r#"{"name":"b"} x"#, ["peer.json", "trailing", "."]),
            ("{", ["peer.json", "EOF", "line 1"]),
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                words.iter().all(|word| error.contains(word)),
                "{text}: {error}"
            );
        }
    }
}
