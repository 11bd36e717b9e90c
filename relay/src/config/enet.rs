//! The group `enet`: where ENet is spoken, and what programs that speak it may do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use peerage::Name;
use peerage::limits::{ENET_PEERS, ENET_PEERS_PER_ADDRESS, ENET_SILENCE};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::access::AddressText;
use crate::config::kai::KaiConfig;
use crate::config::values::{self, NAME_PATTERN, SOCKET_PATTERN, Whole};

/// The number of the UDP port at which ENet is spoken unless another is said.
pub const ENET_PORT: u16 = 14589;

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
    /// Connections at once; 1024 unless stated.
    pub peers_max: Option<Whole<1, 65_535>>,
    /// Those of one address; 256 unless stated.
    pub per_address_max: Option<Whole<1, 65_535>>,
    /// Milliseconds that who calls may be silent until it is taken for a program that waits to be spoken to; 1000
    /// unless stated.
    pub silent_ms: Option<Whole<0, 600_000>>,
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

/// From where programs may come: addresses, or networks such as `10.0.0.0/8`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Allowed(Vec<AddressText>);

/// Small programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ProgramsConfig {
    /// From where they may come.
    pub allow: Allowed,
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

impl Default for Allowed {
    /// This machine.
    fn default() -> Self {
        let here: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        Self(here.map(|ip| IpNet::from(ip).into()).into())
    }
}

impl Allowed {
    /// Whether who is at an address is let in.
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0
            .iter()
            .any(|text| text.network().net().contains(&address))
    }
}

impl RawServer {
    const fn usual_channels() -> u8 {
        2
    }
}

impl EnetConfig {
    /// How long who calls may be silent.
    pub fn silence(&self) -> Duration {
        self.silent_ms.map_or(ENET_SILENCE, Whole::millis)
    }

    /// What a host of ENet is told.
    pub fn host(&self) -> peerage_enet::Config {
        let stated = |number: Option<Whole<1, 65_535>>, usual| {
            number.map_or(usual, |number| number.get() as usize)
        };
        peerage_enet::Config {
            peers_max: stated(self.peers_max, ENET_PEERS),
            peers_per_address_max: stated(self.per_address_max, ENET_PEERS_PER_ADDRESS),
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
        // As a socket for both families shows them.
        let lan: Allowed = serde_json::from_str(r#"["::ffff:10.0.0.0/104"]"#).unwrap();
        assert!(lan.has("10.1.2.3".parse().unwrap()) && !lan.has("11.1.2.3".parse().unwrap()));
    }
}
