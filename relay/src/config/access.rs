//! Group `access`: whom a node lets in, by address and by identity.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use peerage::config::{Access, OwnNodes};
use peerage::{Config, NodeId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::access::{Addresses, Network};
use crate::config::values;

/// Entries of one list.
const ENTRIES_MAX: usize = 4096;
/// What an address or a network looks like.
const ADDRESS_PATTERN: &str =
    r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)(/[0-9]{1,3})?$";
/// What a node's id looks like: 32 bytes in base 32.
const ID_PATTERN: &str = "^[A-Za-z2-7]{51}[AaQq]$";

/// Whom a node lets in. Nobody is named: everyone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// By the address that a caller comes from, over TCP and UDP alike.
    #[serde(deserialize_with = "values::group")]
    pub addresses: AddressLists,
    /// By the identity that a node proves.
    #[serde(deserialize_with = "values::group")]
    pub nodes: NodeLists,
}

/// Addresses that may call, and those that may not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AddressLists {
    /// Addresses, or networks such as `10.0.0.0/8`, that may; empty for all.
    pub allow: List<AddressText>,
    /// Addresses, or networks, that may not, whatever else is said.
    pub deny: List<AddressText>,
}

/// Nodes that may link to this one and have sessions with it, and those that may not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NodeLists {
    /// Ids of the nodes that may; empty for all. The relay that is called need not be named, nor the nodes that are held
    /// here for programs.
    pub allow: List<IdText>,
    /// Ids of the nodes that may not, whatever else is said.
    pub deny: List<IdText>,
}

/// A list that is not too long.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<T>", bound(deserialize = "T: Deserialize<'de>"))]
#[schemars(inline, extend("maxItems" = ENTRIES_MAX))]
pub struct List<T>(Vec<T>);

impl<T> List<T> {
    /// Its entries, in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> TryFrom<Vec<T>> for List<T> {
    type Error = String;

    fn try_from(list: Vec<T>) -> Result<Self, String> {
        match list.len() {
            0..=ENTRIES_MAX => Ok(Self(list)),
            many => Err(format!(
                "expected at most {ENTRIES_MAX} entries, got {many}"
            )),
        }
    }
}

/// An address, or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("pattern" = ADDRESS_PATTERN))]
pub struct AddressText(#[schemars(with = "String")] Network);

impl AddressText {
    /// Which.
    pub fn network(self) -> Network {
        self.0
    }
}

impl From<IpNet> for AddressText {
    fn from(net: IpNet) -> Self {
        Self(net.into())
    }
}

impl TryFrom<String> for AddressText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Network::from_str(&text).map(Self)
    }
}

/// A node's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("pattern" = ID_PATTERN))]
pub struct IdText(#[schemars(with = "String")] NodeId);

impl TryFrom<String> for IdText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|error: peerage::id::IdError| error.to_string())
    }
}

impl AccessConfig {
    /// The same configuration of a node, with what the file says of nodes.
    #[must_use]
    pub fn applied_to(&self, mut config: Config) -> Config {
        let ids = |list: &List<IdText>| list.0.iter().map(|id| id.0).collect::<BTreeSet<_>>();
        config.access = Arc::new(Access {
            allow: ids(&self.nodes.allow),
            deny: ids(&self.nodes.deny),
            own: OwnNodes::default(),
        });
        config
    }

    /// Which addresses may call.
    pub fn addresses(&self) -> Addresses {
        let networks = |list: &List<AddressText>| list.iter().map(|text| text.0).collect();
        Addresses {
            allow: networks(&self.addresses.allow),
            deny: networks(&self.addresses.deny),
        }
    }
}
