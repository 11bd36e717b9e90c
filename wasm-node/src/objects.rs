//! Plain objects, as JavaScript gets them.

use js_sys::{Object, Reflect};
use peerage::{Node, NodeId, Peer};
use wasm_bindgen::JsValue;

/// Another node.
pub(crate) fn peer_object(peer: &Peer) -> JsValue {
    let rtt = peer.quality.rtt.map_or(JsValue::UNDEFINED, |rtt| {
        (rtt.as_secs_f64() * 1000.0).into()
    });
    object(&[
        ("id", peer.id.to_string().into()),
        ("name", peer.name.as_str().into()),
        ("kind", peer.kind.as_str().into()),
        (
            "type",
            peer.role
                .as_ref()
                .map_or(JsValue::UNDEFINED, |role| role.as_str().into()),
        ),
        ("path", peer.path.as_str().into()),
        ("rtt", rtt),
    ])
}

/// Another node by its id: all that this one knows of it.
pub(crate) fn node_object(node: &Node, id: NodeId) -> JsValue {
    let known = node.peers().into_iter().find(|peer| peer.id == id);
    known.map_or_else(
        || object(&[("id", id.to_string().into())]),
        |peer| peer_object(&peer),
    )
}

/// An object of these entries.
pub(crate) fn object(entries: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new().into();
    entries
        .iter()
        .for_each(|(key, value)| set(&object, key, value));
    object
}

/// One more entry.
pub(crate) fn set(object: &JsValue, key: &str, value: &JsValue) {
    // Setting a property of a fresh object does not fail.
    let _ = Reflect::set(object, &key.into(), value);
}
