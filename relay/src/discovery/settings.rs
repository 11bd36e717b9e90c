//! How a node discovers, and is discovered.

use std::net::SocketAddr;

use crate::discovery::PORT;

/// A way in which nodes become known.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Announcements of our own on the local network.
    Broadcast,
    /// DNS-based service discovery by multicast (RFC 6762, 6763), which other programs know too.
    DnsSd,
    /// Records of a domain, SRV and TXT.
    #[serde(skip)]
    Dns,
}

impl Method {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::DnsSd => "dns-sd",
            Self::Dns => "dns",
        }
    }
}

/// How a node discovers, and is discovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether it announces itself; by default if it lets others in from beyond its machine.
    pub announce: Option<bool>,
    /// Whether it looks for others all the time.
    pub browse: bool,
    /// By what, on the local network.
    pub methods: Vec<Method>,
    /// UDP port of announcements.
    pub port: u16,
    /// A domain whose records are followed while it looks.
    pub domain: Option<String>,
    /// The zone whose nodes it links to; any, without one.
    pub zone: Option<String>,
    /// Whether other nodes may ask it whom it has discovered.
    pub remote: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            announce: None,
            browse: false,
            methods: vec![Method::Broadcast, Method::DnsSd],
            port: PORT,
            domain: None,
            zone: None,
            remote: false,
        }
    }
}

/// A way in to a node: the scheme of its address, where it is bound, and what follows in its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Such as `ws`.
    pub scheme: &'static str,
    /// Where it is bound; a wildcard is every address of this machine.
    pub at: SocketAddr,
    /// Such as `/mesh`.
    pub path: &'static str,
}
