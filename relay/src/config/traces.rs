//! Group `traces`: where traces of calls go, and which.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use http::{HeaderName, HeaderValue};
use peerage::node::without_secrets;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use url::Url;

/// Where OTLP takes traces below an address (OpenTelemetry, *OTLP exporter*).
const TRACES: &str = "v1/traces";

/// Where traces of calls go. Nothing is traced unless it is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct TracesConfig {
    /// The collector, which speaks OTLP over HTTP: 4318 is the usual port.
    pub otlp: Option<OtlpAddress>,
    /// Which part of the traces that begin at this node is kept, from 0 to 1; all unless it is said.
    pub ratio: Ratio,
    /// Headers for the collector, such as `authorization`.
    #[schemars(with = "BTreeMap<String, String>")]
    #[serde(deserialize_with = "headers")]
    pub headers: BTreeMap<String, HeaderText>,
}

/// A collector's address, to which `/v1/traces` is added.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("pattern" = "^https?://[^/?#]"))]
pub struct OtlpAddress(#[schemars(with = "String")] Url);

impl OtlpAddress {
    /// Where it takes traces.
    pub fn traces(&self) -> String {
        format!("{}/{TRACES}", self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for OtlpAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            let got = without_secrets(text);
            format!("expected a collector's address such as http://127.0.0.1:4318, got `{got}`")
        };
        let url = Url::parse(text).map_err(|_| expected())?;
        let is_one = matches!(url.scheme(), "http" | "https") && url.has_host();
        let is_bare =
            url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        (is_one && is_bare)
            .then_some(Self(url))
            .ok_or_else(expected)
    }
}

impl TryFrom<String> for OtlpAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A part of a whole, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "f64")]
#[schemars(inline, extend("minimum" = 0, "maximum" = 1))]
pub struct Ratio(f64);

/// A number from 0 to 1 is equal to itself.
impl Eq for Ratio {}

impl Ratio {
    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Default for Ratio {
    fn default() -> Self {
        Self(1.0)
    }
}

impl TryFrom<f64> for Ratio {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, String> {
        let expected = || format!("expected a number from 0 to 1, got {number}");
        (0.0..=1.0)
            .contains(&number)
            .then_some(Self(number))
            .ok_or_else(expected)
    }
}

/// What a header says, which may be secret.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HeaderText(String);

impl HeaderText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HeaderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeaderText")
    }
}

impl TryFrom<String> for HeaderText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match HeaderValue::from_str(&text) {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err("expected the text of a header: visible ASCII"),
        }
    }
}

/// Reads headers, each of which has the name of one.
fn headers<'de, D>(from: D) -> Result<BTreeMap<String, HeaderText>, D::Error>
where
    D: Deserializer<'de>,
{
    let headers = BTreeMap::<String, HeaderText>::deserialize(from)?;
    let is_none = |name: &&String| HeaderName::from_bytes(name.as_bytes()).is_err();
    match headers.keys().find(is_none) {
        None => Ok(headers),
        Some(name) => {
            let message = format!("expected the name of a header, got `{name}`");
            Err(Error::custom(message))
        }
    }
}
