//! The tab's links, as a page sees them.

use peerage::error::Code;
use peerage::node::{Connection, ConnectionEvent};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use crate::error::to_js;
use crate::node::Node;
use crate::objects::{object, set};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
export interface Connection { node?: string; by?: "websocket" | "webrtc" | "enet"; address?: string; origin: "dialled" | "accepted" | "direct";
  state: "connecting" | "connected" | "disconnecting" | "failed"; age: number; rtt?: number; bytesIn: number; bytesOut: number }
export interface ConnectionDetail extends Connection { change: "connected" | "disconnected" | "failed" | "lost" | "timeout"; reason?: Code }
"#;

#[wasm_bindgen]
impl Node {
    /// The links of this node, and the addresses that it calls. Times are in milliseconds.
    #[wasm_bindgen(unchecked_return_type = "Connection[]")]
    pub fn connections(&self) -> Vec<JsValue> {
        let all = self.commands().node().connections();
        all.iter().map(connection_object).collect()
    }

    /// Ends the links with a node, by its name or id; it is told why. What goes over them looks for another way.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn disconnect(&self, target: String) -> js_sys::Promise {
        let node = self.commands().node().clone();
        future_to_promise(async move {
            let resolved = node.resolve(&target).await;
            let ended = resolved.and_then(|peer| match peer {
                Some(peer) => node.disconnect(peer, "the other page has ended the link"),
                None => Err(Code::Refused.because("this is the node itself")),
            });
            ended
                .map(|()| JsValue::UNDEFINED)
                .map_err(|failure| to_js(&failure))
        })
    }

    /// Calls another relay, and changes over to it once it is welcome there.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn connect(&self, relay: String) -> js_sys::Promise {
        let node = self.commands().node().clone();
        future_to_promise(async move {
            let called = node.dialled(&relay).await;
            called
                .map(|_| JsValue::UNDEFINED)
                .map_err(|failure| to_js(&failure))
        })
    }
}

/// What became of a connection, as listeners get it.
pub(crate) fn event_object(event: &ConnectionEvent) -> JsValue {
    let detail = connection_object(&event.connection);
    set(&detail, "change", &event.change.as_str().into());
    if let Some(reason) = &event.reason {
        set(&detail, "reason", &reason.code.as_str().into());
    }
    detail
}

fn connection_object(connection: &Connection) -> JsValue {
    let text = |text: Option<String>| text.map_or(JsValue::UNDEFINED, JsValue::from);
    let millis = |time: peerage::Time| JsValue::from(time.as_secs_f64() * 1000.0);
    let medium = connection.medium.map(|medium| medium.to_string());
    let rtt = connection.quality.rtt.map_or(JsValue::UNDEFINED, millis);
    object(&[
        ("node", text(connection.node.map(|node| node.to_string()))),
        ("by", text(medium)),
        ("address", text(connection.address.clone())),
        ("origin", connection.origin.as_str().into()),
        ("state", connection.state.as_str().into()),
        ("age", millis(connection.age)),
        ("rtt", rtt),
        ("bytesIn", (connection.bytes_in as f64).into()),
        ("bytesOut", (connection.bytes_out as f64).into()),
    ])
}
