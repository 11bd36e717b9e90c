//! Group `webrtc`: direct links with tabs, and the server for STUN and TURN.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use peerage::limits::{DIRECT_LINKS_NATIVE, TURN_SECRET_CHARS_MIN};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::access::AddressText;
use crate::config::values::{self, SOCKET_PATTERN, Whole};
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
    pub links: Option<Whole<0, { DIRECT_LINKS_NATIVE as u64 }>>,
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
    pub secret: Option<SecretText>,
    /// Bytes a second that one node's allocations carry together in each direction; 8388608 unless stated.
    pub bytes_per_second: Option<Whole<1024, { u32::MAX as u64 }>>,
}

/// A secret that is long enough.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("minLength" = TURN_SECRET_CHARS_MIN))]
pub struct SecretText(String);

impl TryFrom<String> for SecretText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.chars().count() {
            few @ 0..TURN_SECRET_CHARS_MIN => Err(format!(
                "expected a secret of at least {TURN_SECRET_CHARS_MIN} characters, got {few}"
            )),
            _ => Ok(Self(text)),
        }
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText")
    }
}

impl TurnConfig {
    /// What the server is told.
    pub fn settings(&self) -> Turn {
        Turn {
            off: self.enabled == Some(false),
            allow: self.allow.iter().map(|text| text.network().net()).collect(),
            secret: self.secret.as_ref().map(|secret| secret.0.clone()),
            bytes_per_second: self.bytes_per_second.map(Whole::get),
        }
    }
}
