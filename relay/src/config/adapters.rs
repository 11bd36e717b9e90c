//! The group `adapters`: where hardware connects, and which adapters are started here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use peerage::Name;
use peerage::limits::{ADAPTER_KEPT, ADAPTER_RETRY_MAX};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::adapter::serial::DEFAULT_BAUD;
use crate::config::Allowed;
use crate::config::values::{self, NAME_PATTERN, SOCKET_PATTERN, Whole};

/// The number of the TCP port at which adapters connect unless another is said.
pub const ADAPTER_PORT: u16 = 10001;

/// Where the kernel tells of terminal devices.
const SYSFS: &str = "/sys/class/tty";

/// Where hardware connects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct AdaptersConfig {
    /// Where adapters connect, address and TCP port.
    #[schemars(with = "Option<String>", extend("pattern" = SOCKET_PATTERN))]
    pub listen: Option<SocketAddr>,
    /// A Unix socket at which they connect as well.
    pub unix: Option<PathBuf>,
    /// From where they may come by TCP.
    pub allow: Allowed,
    /// What they must know.
    pub token: Option<String>,
    /// Milliseconds that the node of an adapter stays when the adapter is lost.
    pub keep_ms: Option<Whole<0, 86_400_000>>,
    /// Files in Tau: the schemas that adapters must use for these interfaces.
    pub schemas: Vec<PathBuf>,
    /// Boards on serial lines.
    pub serial: Vec<SerialConfig>,
    /// Adapters that are started here, and started again when they end.
    pub supervised: Vec<SupervisedConfig>,
    /// Where the kernel tells of serial devices, `/sys/class/tty` unless it is said.
    pub sysfs: Option<PathBuf>,
}

/// A board on a serial line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SerialConfig {
    /// Which device it is.
    pub when: SerialDevice,
    /// Bits per second, 115200 unless it is said.
    #[serde(default = "SerialConfig::usual_baud")]
    pub baud: u32,
}

/// A serial device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SerialDevice {
    /// By its path.
    Path(DevicePath),
    /// By the ids of its USB device.
    Usb(UsbDevice),
}

/// A serial device by its path.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DevicePath {
    /// The path.
    pub device: PathBuf,
}

/// A serial device by the ids of its USB device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsbDevice {
    /// The vendor's, four hexadecimal digits.
    pub vendor: UsbId,
    /// The product's, likewise.
    pub product: UsbId,
}

/// A number of USB, four hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, with = "String", extend("pattern" = "^[0-9A-Fa-f]{4}$"))]
pub struct UsbId(pub u16);

/// An adapter that is started here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SupervisedConfig {
    /// Its name, for the log.
    #[schemars(with = "String", extend("pattern" = NAME_PATTERN))]
    pub name: Name,
    /// Program and arguments; no shell reads them. `{device}` is the path of its device.
    #[schemars(extend("minItems" = 1))]
    #[serde(deserialize_with = "command")]
    pub command: Vec<String>,
    /// How long it is waited until it is started again.
    #[serde(default, deserialize_with = "values::group")]
    pub restart: RestartConfig,
    /// The device with which it comes and goes; without one it always runs.
    pub when: Option<SerialDevice>,
}

/// How long it is waited until an adapter is started again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct RestartConfig {
    /// Milliseconds at first; each pause is twice the last.
    pub min_ms: Option<Whole<10, 3_600_000>>,
    /// Milliseconds at the most.
    pub max_ms: Option<Whole<10, 3_600_000>>,
}

impl AdaptersConfig {
    /// How long the node of an adapter stays that is lost.
    pub fn kept(&self) -> Duration {
        self.keep_ms.map_or(ADAPTER_KEPT, Whole::millis)
    }

    /// Where the kernel tells of serial devices.
    pub fn sysfs(&self) -> PathBuf {
        self.sysfs.clone().unwrap_or_else(|| SYSFS.into())
    }
}

impl SerialConfig {
    const fn usual_baud() -> u32 {
        DEFAULT_BAUD
    }
}

impl RestartConfig {
    /// The first pause.
    pub fn min(&self) -> Duration {
        self.min_ms.map_or(Duration::from_secs(1), Whole::millis)
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        let usual = ADAPTER_RETRY_MAX * 15;
        self.max_ms.map_or(usual, Whole::millis).max(self.min())
    }
}

impl TryFrom<String> for UsbId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_hex = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u16::from_str_radix(&text, 16).ok().filter(|_| is_hex);
        let number =
            number.ok_or_else(|| format!("expected four hexadecimal digits, got `{text}`"));
        number.map(Self)
    }
}

fn command<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    match words.is_empty() {
        true => Err(serde::de::Error::custom(
            "expected a program and its arguments",
        )),
        false => Ok(words),
    }
}
