//! Failures as JavaScript sees them: `PeerageError { code, message, peer? }`.

use js_sys::{Error, Reflect};
use peerage::Failure;
use wasm_bindgen::JsValue;

/// The JavaScript error of a failure.
pub(crate) fn to_js(failure: &Failure) -> JsValue {
    let error = Error::new(&failure.message);
    error.set_name("PeerageError");
    // Setting a property of a fresh error does not fail.
    let _ = Reflect::set(&error, &"code".into(), &failure.code.as_str().into());
    if let Some(peer) = &failure.peer {
        let _ = Reflect::set(&error, &"peer".into(), &peer.as_str().into());
    }
    error.into()
}
