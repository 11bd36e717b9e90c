//! Group `webrtc`: direct links with tabs, and the server for STUN and TURN.

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::access::AddressText;
use crate::config::values::{self, SOCKET_PATTERN};
use crate::direct::Turn;

/// Direct links with tabs, by WebRTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct WebRtcConfig {
    /// Where its UDP socket is: with the address and the number of the port at which the node listens, unless
    /// this is said. A node that does not listen has a socket when a tab asks for a link.
    #[schemars(with = "Option<String>", extend("pattern" = SOCKET_PATTERN))]
    pub listen: Option<SocketAddr>,
    /// The address at which others reach it, if that is another's, such as a router's.
    pub public: Option<IpAddr>,
    /// How many direct links with tabs there are at the most, and how many with native nodes; 0 for none.
    pub links: Option<usize>,
    /// Its TURN server.
    #[serde(deserialize_with = "values::group")]
    pub turn: TurnConfig,
}

/// A server for TURN. It needs a port, so a node that does not listen has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct TurnConfig {
    /// Whether there is one, which there is unless this is `false`.
    pub enabled: Option<bool>,
    /// Networks of this machine or near it to which it leads nevertheless, such as `10.0.0.0/8`.
    pub allow: Vec<AddressText>,
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
            allow: self.allow.iter().map(|text| text.network().net()).collect(),
            secret: self.secret.clone(),
            bytes_per_second: self.bytes_per_second,
        }
    }
}
