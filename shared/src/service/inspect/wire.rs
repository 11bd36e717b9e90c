//! What a node tells of itself, and its form on the wire.

use serde::{Deserialize, Serialize};

use crate::rpc::{Interface, Signature};

/// How a node is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// Its id.
    pub id: String,
    /// Its name, while it has one.
    pub name: Option<String>,
    /// What it is.
    pub kind: String,
    /// Its zone.
    pub zone: String,
    /// How it stands with its relay.
    pub state: String,
    /// The version of Peerage that it runs.
    pub version: String,
    /// For how many milliseconds it has run.
    pub uptime_ms: f64,
    /// With how many nodes it has a session.
    pub sessions: u64,
    /// How many links it has, those that are being made included.
    pub links: u64,
    /// How many records it has forwarded for others.
    pub forwarded_records: u64,
    /// Bytes of these.
    pub forwarded_bytes: u64,
}

/// A link of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkInfo {
    /// The id of the other node, once that is known.
    pub node: Option<String>,
    /// Its name, as far as the node that tells knows it.
    pub name: Option<String>,
    /// `websocket`, `webrtc` or `enet`, as far as the platform tells.
    pub medium: Option<String>,
    /// `dialled`, `accepted` or `direct`.
    pub origin: String,
    /// `connecting`, `connected`, `disconnecting` or `failed`.
    pub state: String,
    /// For how many milliseconds it has been there, or in this state.
    pub age_ms: f64,
    /// Milliseconds there and back, if that is known.
    pub rtt_ms: Option<f64>,
    /// Bytes of packets that came.
    pub bytes_in: u64,
    /// Bytes of packets that left.
    pub bytes_out: u64,
}

/// An agent of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentInfo {
    /// By what name it is found.
    pub name: String,
    /// What it is and has.
    pub interface: Interface,
    /// The types of its methods, where they are known.
    pub signatures: Vec<Signature>,
}
