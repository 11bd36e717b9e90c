//! Group `discovery`: how a node finds others without being told of them, and is found.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::discovery::dns::DOMAIN_BYTES_MAX;
use crate::discovery::message::{TEXT_BYTES_MAX, is_plain};
use crate::discovery::{self, Method};

/// Bytes of a part of a domain's name.
const LABEL_BYTES_MAX: usize = 63;
/// What a domain's name looks like.
const DOMAIN_PATTERN: &str = r"^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$";
/// What a zone's name looks like.
const ZONE_PATTERN: &str = r"^[\p{Alphabetic}\p{N}!-~]+$";

/// How a node finds others without being told of them, and is found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiscoveryConfig {
    /// Whether it announces itself, which it does if it listens beyond this machine.
    pub announce: Option<bool>,
    /// Whether it looks for others all the time, and not only when somebody asks.
    pub browse: bool,
    /// By what, on the local network: `broadcast` and `dns-sd`, unless it is said.
    pub methods: Option<Vec<Method>>,
    /// The UDP port of announcements.
    pub port: Option<NonZeroU16>,
    /// A domain whose records are followed.
    pub domain: Option<DomainText>,
    /// The zone whose nodes it links to, if it is to find them.
    pub zone: Option<ZoneText>,
    /// Whether other nodes may ask it whom it finds.
    pub remote: bool,
}

/// A domain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("pattern" = DOMAIN_PATTERN, "maxLength" = DOMAIN_BYTES_MAX))]
pub struct DomainText(String);

impl TryFrom<String> for DomainText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match is_domain(&text) {
            true => Ok(Self(text)),
            false => Err(format!(
                "expected a domain such as example.org, of at most {DOMAIN_BYTES_MAX} bytes, got `{text}`"
            )),
        }
    }
}

/// Whether a text is a domain's name (RFC 1035, 2.3.1), with or without the dot at its end; a name may begin with `_`.
fn is_domain(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.chars().all(is_plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= DOMAIN_BYTES_MAX
        && text
            .strip_suffix('.')
            .unwrap_or(text)
            .split('.')
            .all(is_label)
}

/// A zone's name, as it is announced.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("pattern" = ZONE_PATTERN, "maxLength" = TEXT_BYTES_MAX))]
pub struct ZoneText(String);

impl TryFrom<String> for ZoneText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match !text.is_empty() && is_plain(&text) {
            true => Ok(Self(text)),
            false => Err(format!(
                "expected a zone's name such as home, of 1 to {TEXT_BYTES_MAX} bytes without spaces, got `{}`",
                text.escape_debug()
            )),
        }
    }
}

impl DiscoveryConfig {
    /// How the node discovers.
    pub fn settings(&self) -> discovery::Settings {
        let default = discovery::Settings::default();
        discovery::Settings {
            announce: self.announce,
            browse: self.browse,
            methods: self.methods.clone().unwrap_or(default.methods),
            port: self.port.map_or(default.port, NonZeroU16::get),
            domain: self.domain.as_ref().map(|domain| domain.0.clone()),
            zone: self.zone.as_ref().map(|zone| zone.0.clone()),
            remote: self.remote,
        }
    }
}
