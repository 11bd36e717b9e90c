//! Whom the relay lists: of a zone with many nodes, a node itself is told of the first only.

use leptos::prelude::window;
use peerage::{Kind, NodeId};
use serde::{Deserialize, Deserializer};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::Response;

use super::Known;

/// A node, as `GET /api/v1/nodes` tells of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Listed {
    #[serde(deserialize_with = "node_id")]
    pub(super) id: NodeId,
    name: String,
    kind: String,
    rtt_ms: Option<f64>,
}

impl Listed {
    pub(super) fn known(&self) -> Known {
        let all = [Kind::Browser, Kind::Native, Kind::Relay, Kind::Enet];
        let kind = all.into_iter().find(|kind| kind.as_str() == self.kind);
        Known {
            rtt: self.rtt_ms,
            ..Known::new(self.id, self.name.clone(), kind.unwrap_or(Kind::Native))
        }
    }
}

fn node_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NodeId, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// The relay's list; nothing if it is away.
pub(super) async fn list() -> Option<Vec<Listed>> {
    let response = JsFuture::from(window().fetch_with_str("/api/v1/nodes")).await;
    let response = response.ok()?.dyn_into::<Response>().ok()?;
    let text = JsFuture::from(response.text().ok()?).await.ok()?;
    serde_json::from_str(&text.as_string()?).ok()
}
