//! The group `enet`: where ENet is spoken, and what programs that speak it may do.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use peerage::Name;
use peerage::limits::{ENET_PEERS, ENET_PEERS_PER_ADDRESS, ENET_SILENCE};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access::Network;
use crate::config::values::{self, NAME_PATTERN, NETWORK_PATTERN, SOCKET_PATTERN, Whole};

/// The number of the UDP port at which ENet is spoken unless another is said.
pub const ENET_PORT: u16 = 14589;

/// As many connections as a port of ENet can number.
const CONNECTIONS_MAX: u64 = 4095;

/// How ENet is spoken, and with whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct EnetConfig {
    /// Where it is spoken, address and UDP port.
    #[schemars(with = "Option<String>", extend("pattern" = SOCKET_PATTERN))]
    pub listen: Option<SocketAddr>,
    /// Whether each datagram has a checksum, here and at everybody who is called or calls.
    pub checksum: bool,
    /// Whether datagrams are compressed, likewise.
    pub compression: bool,
    /// Connections at once.
    pub peers_max: Option<Whole<1, CONNECTIONS_MAX>>,
    /// Those of one address.
    pub per_address_max: Option<Whole<1, CONNECTIONS_MAX>>,
    /// Milliseconds that who calls may be silent until it is taken for a program that waits to be spoken to.
    pub silent_ms: Option<Whole<1, 600_000>>,
    /// Small programs, which say what they are.
    #[serde(deserialize_with = "values::group")]
    pub programs: ProgramsConfig,
    /// Nodes of KAI.
    #[serde(deserialize_with = "values::group")]
    pub kai: KaiConfig,
    /// Anything else that speaks ENet.
    #[serde(deserialize_with = "values::group")]
    pub raw: RawConfig,
}

/// From where programs may come.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Allowed(
    #[schemars(with = "Vec<String>", inner(regex(pattern = NETWORK_PATTERN)))] Vec<IpNet>,
);

/// Small programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ProgramsConfig {
    /// From where they may come.
    pub allow: Allowed,
}

/// Nodes of KAI.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct KaiConfig {
    /// From where they may come.
    pub allow: Allowed,
    /// Under which names they are held, by address, with or without a port.
    #[schemars(with = "BTreeMap<String, String>")]
    pub names: BTreeMap<String, Name>,
    /// The agents that they may use: by handle, the node's name and the agent's.
    pub agents: BTreeMap<i32, AgentAddress>,
    /// Their own agents: by handle, the name under which it is found, beside the handle itself.
    pub offers: BTreeMap<i32, String>,
    /// Whether lines of their consoles are run.
    pub commands: bool,
}

/// Anything else that speaks ENet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct RawConfig {
    /// From where they may come, if there is a node for them.
    pub allow: Allowed,
    /// The node to which those are handed who come.
    #[schemars(with = "Option<String>", extend("pattern" = NAME_PATTERN))]
    pub target: Option<Name>,
    /// Servers that can be reached as nodes.
    pub servers: Vec<RawServer>,
}

/// A server that can be reached as a node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawServer {
    /// The node's name.
    #[schemars(with = "String", extend("pattern" = NAME_PATTERN))]
    pub name: Name,
    /// The server's address.
    #[schemars(with = "String", extend("pattern" = SOCKET_PATTERN))]
    pub address: SocketAddr,
    /// How many channels a connection has, 2 unless it is said.
    #[serde(default = "RawServer::usual_channels")]
    pub channels: u8,
}

/// An agent at a node, as `node/agent`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, with = "String", extend("pattern" = "^[^/]+/.+$"))]
pub struct AgentAddress {
    /// The node's name.
    pub node: String,
    /// The agent's.
    pub agent: String,
}

impl TryFrom<String> for AgentAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts = text.split_once('/');
        let parts = parts.filter(|(node, agent)| !node.is_empty() && !agent.is_empty());
        let (node, agent) = parts
            .ok_or_else(|| format!("expected a node and an agent, `node/agent`, got `{text}`"))?;
        Ok(Self {
            node: node.into(),
            agent: agent.into(),
        })
    }
}

impl Default for Allowed {
    /// This machine.
    fn default() -> Self {
        Self(vec![
            IpNet::from(IpAddr::from(Ipv4Addr::LOCALHOST)),
            IpNet::from(IpAddr::from(Ipv6Addr::LOCALHOST)),
        ])
    }
}

impl Allowed {
    /// Whether who is at an address is let in.
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let mut nets = self.0.iter().map(|net| Network::from(*net).net());
        nets.any(|net| net.contains(&address))
    }
}

impl RawServer {
    const fn usual_channels() -> u8 {
        2
    }
}

impl KaiConfig {
    /// The name of who is at an address, if it has one.
    pub fn name_of(&self, address: SocketAddr) -> Option<&Name> {
        let exact = self.names.get(&address.to_string());
        exact.or_else(|| self.names.get(&address.ip().to_string()))
    }
}

impl EnetConfig {
    /// How long who calls may be silent.
    pub fn silence(&self) -> Duration {
        self.silent_ms.map_or(ENET_SILENCE, Whole::millis)
    }

    /// What a host of ENet is told.
    pub fn host(&self) -> peerage_enet::Config {
        let count = |stated: Option<Whole<1, CONNECTIONS_MAX>>, usual| {
            stated.map_or(usual, |most| most.get() as usize)
        };
        peerage_enet::Config {
            peers_max: count(self.peers_max, ENET_PEERS),
            peers_per_address_max: count(self.per_address_max, ENET_PEERS_PER_ADDRESS),
            checksum: self.checksum,
            compression: self.compression,
            ..peerage_enet::Config::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_but_this_machine_is_let_in_unless_it_is_said() {
        let usual = Allowed::default();
        for (address, is_in) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("127.0.0.2", false),
            ("192.168.0.1", false),
            ("::2", false),
        ] {
            assert_eq!(usual.has(address.parse().unwrap()), is_in, "{address}");
        }
        let lan: Allowed = serde_json::from_str(r#"["::ffff:10.0.0.0/104"]"#).unwrap();
        assert!(lan.has("10.1.2.3".parse().unwrap()) && !lan.has("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn agents_are_said_with_their_node() {
        let parse = |text: &str| serde_json::from_str::<KaiConfig>(text);
        let config = parse(r#"{"agents":{"7":"screen-left/Calculator"}}"#).unwrap();
        assert_eq!(config.agents[&7].node, "screen-left");
        assert_eq!(config.agents[&7].agent, "Calculator");
        for wrong in [
            r#"{"agents":{"7":"Calculator"}}"#,
            r#"{"agents":{"7":"/x"}}"#,
        ] {
            let error = parse(wrong).unwrap_err().to_string();
            assert!(error.contains("expected a node and an agent"), "{error}");
        }
        assert!(parse(r#"{"agents":{"seven":"a/b"}}"#).is_err());
    }

    #[test]
    fn a_node_of_kai_is_known_by_its_address() {
        let text = r#"{"names":{"10.0.0.5":"a","10.0.0.5:7":"b"}}"#;
        let config: KaiConfig = serde_json::from_str(text).unwrap();
        let name = |text: &str| config.name_of(text.parse().unwrap()).map(Name::as_str);
        assert_eq!(name("10.0.0.5:9"), Some("a"));
        assert_eq!(name("10.0.0.5:7"), Some("b"));
        assert_eq!(name("10.0.0.6:7"), None);
    }
}
