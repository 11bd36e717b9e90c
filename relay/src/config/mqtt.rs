//! Group `mqtt`: where MQTT is spoken, and with whom.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use data_encoding::BASE64;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::values::SOCKET_PATTERN;
use crate::config::{Allowed, TopicFilter};

/// What the hash of a password looks like.
const HASH_PATTERN: &str = r"^\$7\$[1-9][0-9]{0,5}\$[A-Za-z0-9+/]+={0,2}\$[A-Za-z0-9+/]{86}==$";
/// Turns of a password's hash: more would keep the relay from its work.
const TURNS_MAX: u32 = 999_999;
/// Bytes of such a hash.
const HASH_BYTES: usize = 64;

/// Where MQTT is spoken, and with whom. Nowhere unless it is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct MqttConfig {
    /// Where it is spoken, address and TCP port; 1883 is the usual one.
    #[schemars(with = "Option<String>", extend("pattern" = SOCKET_PATTERN))]
    pub listen: Option<SocketAddr>,
    /// Whether it is spoken over WebSocket as well, at `/mqtt` where the node listens for others.
    pub web_socket: bool,
    /// From where clients may come: from anywhere if there are users, and else from this machine only.
    pub allow: Option<Allowed>,
    /// Who may come, by name, each with a password; anybody if there are none.
    pub users: BTreeMap<String, MqttUser>,
}

/// A user of MQTT.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MqttUser {
    /// The hash of its password, as `mosquitto_passwd` writes it.
    pub password: PasswordHash,
    /// Under which topics it may publish; all unless it is said.
    #[serde(default)]
    pub publish: Option<Vec<TopicFilter>>,
    /// To which topics it may subscribe; all unless it is said.
    #[serde(default)]
    pub subscribe: Option<Vec<TopicFilter>>,
}

/// The hash of a password, `$7$turns$salt$hash`: PBKDF2 with HMAC and SHA-512, salt and hash in base 64.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, with = "String", extend("pattern" = HASH_PATTERN))]
pub struct PasswordHash {
    turns: NonZeroU32,
    salt: Vec<u8>,
    hash: [u8; HASH_BYTES],
}

impl PasswordHash {
    /// Whether it is that of this password. It takes a while.
    pub fn is_of(&self, password: &[u8]) -> bool {
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA512;
        pbkdf2::verify(algorithm, self.turns, &self.salt, password, &self.hash).is_ok()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

impl TryFrom<String> for PasswordHash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts: Vec<_> = text.split('$').collect();
        let ["", "7", turns, salt, hash] = parts[..] else {
            return Err("expected a hash as `mosquitto_passwd` writes it, `$7$…`".into());
        };
        let turns = turns.parse::<NonZeroU32>().ok();
        let turns = turns.filter(|turns| turns.get() <= TURNS_MAX);
        let turns = turns.ok_or_else(|| format!("expected 1 to {TURNS_MAX} turns of a hash"))?;
        let bytes = |text: &str| BASE64.decode(text.as_bytes()).ok();
        let hash = bytes(hash).and_then(|hash| hash.try_into().ok());
        let expected = || format!("expected salt and {HASH_BYTES} bytes of hash in base 64");
        Ok(Self {
            turns,
            salt: bytes(salt)
                .filter(|salt| !salt.is_empty())
                .ok_or_else(expected)?,
            hash: hash.ok_or_else(expected)?,
        })
    }
}

impl MqttConfig {
    /// Whether it is spoken anywhere.
    pub fn is_on(&self) -> bool {
        self.listen.is_some() || self.web_socket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_of_another_form_is_refused_and_none_is_told() {
        for wrong in [
            "secret",
            "$6$101$c2FsdA==$aGFzaA==",
            "$7$0$c2FsdA==$aGFzaA==",
            "$7$9999999$c2FsdA==$aGFzaA==",
            "$7$101$c2FsdA==$aGFzaA==",
        ] {
            let error = PasswordHash::try_from(wrong.to_owned()).unwrap_err();
            assert!(
                error.contains("expected") && !error.contains(wrong),
                "{error}"
            );
        }
        let hash = format!("$7$101$c2FsdA==${}", BASE64.encode(&[7; HASH_BYTES]));
        let hash = PasswordHash::try_from(hash).unwrap();
        assert_eq!(format!("{hash:?}"), "PasswordHash");
        assert!(!hash.is_of(b"secret"));
    }
}
