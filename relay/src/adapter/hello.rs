//! What an adapter and its front say of themselves before anything else.

use peerage::limits::ADAPTER_INTERFACES_MAX;
use serde::{Deserialize, Serialize};

/// The only version there is.
pub(crate) const VERSION: u32 = 1;

/// What an adapter says in `hello`, beside its version and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct About {
    /// What sort of hardware it is.
    pub(crate) kind: String,
    /// Which one of its sort: who comes back with the same is the same.
    pub(crate) instance: String,
    /// The node that it works for; without one that to which it is connected.
    pub(crate) node: Option<String>,
    /// What those know who may be adapters.
    pub(crate) token: Option<String>,
    /// A number drawn for this hello, by which its answer is known.
    pub(crate) epoch: u64,
    /// The greatest number of a request that it has heard.
    pub(crate) after: u64,
    /// What it can do.
    pub(crate) interfaces: Vec<Announced>,
}

/// An interface, as an adapter announces it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Announced {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: Option<u32>,
    /// The hash of its schema.
    pub(crate) hash: String,
    /// Its schema, in Tau, unless the front has it.
    pub(crate) schema: Option<String>,
}

/// What the front says in `welcome`, beside the node's name and id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Welcome {
    /// That of the hello.
    pub(crate) epoch: u64,
    /// The version that is spoken.
    pub(crate) version: u32,
    /// The interfaces that are supported here.
    pub(crate) interfaces: Vec<Announced>,
}

impl About {
    /// Whether it is within its limits.
    pub(crate) fn is_bounded(&self) -> bool {
        let texts = [&self.kind, &self.instance];
        let short = |text: &str| text.len() <= TEXT_BYTES_MAX;
        texts.into_iter().all(|text| short(text))
            && self.interfaces.len() <= ADAPTER_INTERFACES_MAX
            && self.node.as_deref().is_none_or(short)
            && self.token.as_deref().is_none_or(short)
    }
}

/// Bytes of each text.
const TEXT_BYTES_MAX: usize = 255;
