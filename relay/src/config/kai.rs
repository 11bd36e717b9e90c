//! The group `enet.kai`: which nodes of KAI there are, and who may do what with them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use peerage::limits::{KAI_OFFERS_MAX, OBJECT_NAME_BYTES_MAX};
use peerage::{Name, NodeId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::access::List;
use crate::config::enet::Allowed;
use crate::config::values::NAME_PATTERN;

/// What an address looks like, with a port or without.
const ADDRESS_PATTERN: &str = r"^([0-9]{1,3}(\.[0-9]{1,3}){3}(:[0-9]{1,5})?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5})$";
/// What a handle looks like.
const HANDLE_PATTERN: &str = "^[1-9][0-9]{0,9}$";
/// What a node looks like, or all of them.
const NODE_PATTERN: &str = r"^(\*|[A-Za-z0-9][A-Za-z0-9._-]{0,62})$";
/// What an agent looks like with its node.
const AGENT_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}/.+$";

/// Nodes of KAI.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct KaiConfig {
    /// From where they may come.
    pub allow: Allowed,
    /// Under which names they are held, by address, with or without a port.
    #[schemars(
        with = "BTreeMap<String, String>",
        extend("propertyNames" = { "pattern": ADDRESS_PATTERN },
            "additionalProperties" = { "type": "string", "pattern": NAME_PATTERN })
    )]
    pub names: BTreeMap<KaiAddress, Name>,
    /// The agents that they may use: by handle, the node's name and the agent's.
    #[schemars(
        with = "BTreeMap<String, AgentAddress>",
        extend("propertyNames" = { "pattern": HANDLE_PATTERN })
    )]
    pub agents: BTreeMap<KaiHandle, AgentAddress>,
    /// Their own agents: by handle, the name under which it is found, beside the handle itself.
    pub offers: Offers,
    /// Whether lines of their consoles are run.
    pub commands: bool,
    /// Which nodes may run lines at their consoles: names or ids, or `*` for all. Nobody unless it is said, since
    /// KAI runs whatever it is sent. A name is whoever has it: only an id is proof.
    pub console: List<NodeText>,
}

/// The address of a node of KAI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct KaiAddress {
    ip: IpAddr,
    port: Option<u16>,
}

/// The number of an agent at a node of KAI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct KaiHandle(i32);

/// Names of agents of a node of KAI, by handle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "BTreeMap<KaiHandle, String>")]
#[schemars(
    inline,
    with = "BTreeMap<String, String>",
    extend("maxProperties" = KAI_OFFERS_MAX, "propertyNames" = { "pattern": HANDLE_PATTERN },
        "additionalProperties" = { "type": "string", "pattern": "^(?!kai$|[0-9]+$)", "minLength": 1 })
)]
pub struct Offers(BTreeMap<KaiHandle, String>);

/// A node, or all of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, with = "String", extend("pattern" = NODE_PATTERN))]
pub enum NodeText {
    /// Every node.
    All,
    /// Who has this name.
    Named(Name),
    /// Who has this identity.
    Id(NodeId),
}

/// An agent at a node, as `node/agent`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, with = "String", extend("pattern" = AGENT_PATTERN))]
pub struct AgentAddress {
    /// The node's name, or its id.
    pub node: String,
    /// The agent's.
    pub agent: String,
}

impl TryFrom<String> for KaiAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self {
                ip: address.ip().to_canonical(),
                port: Some(address.port()),
            });
        }
        let ip: Result<IpAddr, _> = text.parse();
        let ip = ip.map_err(|_| {
            format!("expected an address such as 10.0.0.5 or 10.0.0.5:14589, got `{text}`")
        })?;
        Ok(Self {
            ip: ip.to_canonical(),
            port: None,
        })
    }
}

impl KaiHandle {
    /// The number.
    pub fn get(self) -> i32 {
        self.0
    }

    /// The number that a text is, if it is written as numbers are: each has one text.
    pub fn parse(text: &str) -> Option<Self> {
        let number: i32 = text.parse().ok()?;
        (number > 0 && number.to_string() == text).then_some(Self(number))
    }
}

impl TryFrom<String> for KaiHandle {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let most = i32::MAX;
        Self::parse(&text).ok_or_else(|| format!("expected a handle, 1 to {most}, got `{text}`"))
    }
}

impl TryFrom<BTreeMap<KaiHandle, String>> for Offers {
    type Error = String;

    fn try_from(offers: BTreeMap<KaiHandle, String>) -> Result<Self, String> {
        if offers.len() > KAI_OFFERS_MAX {
            let got = offers.len();
            return Err(format!(
                "expected at most {KAI_OFFERS_MAX} agents, got {got}"
            ));
        }
        let mut known = BTreeSet::new();
        for (handle, name) in &offers {
            let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
            let fits = name.len() <= OBJECT_NAME_BYTES_MAX && !is_number && name != "kai";
            if !fits {
                return Err(format!(
                    "expected a name of 1 to {OBJECT_NAME_BYTES_MAX} bytes that is no number and not `kai`, got `{name}` \
                     for handle {}",
                    handle.0
                ));
            }
            if !known.insert(name) {
                return Err(format!(
                    "expected each name once, got `{name}` again for handle {}",
                    handle.0
                ));
            }
        }
        Ok(Self(offers))
    }
}

impl Offers {
    /// Each with its handle.
    pub fn iter(&self) -> impl Iterator<Item = (KaiHandle, &str)> {
        self.0.iter().map(|(handle, name)| (*handle, name.as_str()))
    }
}

impl TryFrom<String> for NodeText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::All);
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let name = text.parse().map(Self::Named);
        name.map_err(|_| format!("expected a node's name or id, or `*` for all, got `{text}`"))
    }
}

impl TryFrom<String> for AgentAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_node = |node: &str| node.parse::<Name>().is_ok() || node.parse::<NodeId>().is_ok();
        let parts = text.split_once('/');
        let parts = parts.filter(|(node, agent)| {
            is_node(node) && (1..=OBJECT_NAME_BYTES_MAX).contains(&agent.len())
        });
        let (node, agent) = parts
            .ok_or_else(|| format!("expected a node and an agent, `node/agent`, got `{text}`"))?;
        Ok(Self {
            node: node.into(),
            agent: agent.into(),
        })
    }
}

impl KaiConfig {
    /// The name of who is at an address, if it has one.
    pub fn name_of(&self, address: SocketAddr) -> Option<&Name> {
        let ip = address.ip().to_canonical();
        let name = |port| self.names.get(&KaiAddress { ip, port });
        name(Some(address.port())).or_else(|| name(None))
    }

    /// What a handle means that a node of KAI uses.
    pub fn agent(&self, handle: i32) -> Option<&AgentAddress> {
        self.agents.get(&KaiHandle(handle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<KaiConfig, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn agents_are_said_with_their_node() {
        let config = parse(r#"{"agents":{"7":"screen-left/Calculator"}}"#).unwrap();
        let agent = config.agent(7).unwrap();
        assert_eq!(
            (agent.node.as_str(), agent.agent.as_str()),
            ("screen-left", "Calculator")
        );
        assert_eq!(config.agent(8), None);
    }

    #[test]
    fn a_node_of_kai_is_known_by_its_address_however_that_is_written() {
        let config = parse(
            r#"{"names":{"10.0.0.5":"a","10.0.0.5:7":"b","::ffff:10.0.0.6":"c","FD00:0:0::1":"d","[fd00::1]:9":"e"}}"#,
        )
        .unwrap();
        let name = |text: &str| config.name_of(text.parse().unwrap()).map(Name::as_str);
        for (address, known) in [
            ("10.0.0.5:9", Some("a")),
            ("10.0.0.5:7", Some("b")),
            ("10.0.0.6:7", Some("c")),
            ("[::ffff:10.0.0.5]:9", Some("a")),
            ("[fd00::1]:1", Some("d")),
            ("[fd00::1]:9", Some("e")),
            ("10.0.0.7:7", None),
        ] {
            assert_eq!(name(address), known, "{address}");
        }
    }

    #[test]
    fn nobody_runs_lines_unless_it_is_said() {
        assert_eq!(KaiConfig::default().console.iter().count(), 0);
        let id = peerage::Identity::from_secret(&[7; 32]).id();
        let config = parse(&format!(r#"{{"console":["*","left","{id}"]}}"#)).unwrap();
        let [all, left, known] = &config.console.iter().collect::<Vec<_>>()[..] else {
            panic!("{config:?}")
        };
        assert_eq!(**all, NodeText::All);
        assert_eq!(**left, NodeText::Named("left".parse().unwrap()));
        assert_eq!(**known, NodeText::Id(id));
    }
}
