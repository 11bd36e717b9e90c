//! Failures as JavaScript sees them: `PeerageError { code, message, peer? }`.

use js_sys::{
    Error, EvalError, RangeError, ReferenceError, Reflect, SyntaxError, TypeError, UriError,
};
use peerage::Failure;
use peerage::error::Code;
use peerage::rpc::{CallError, Thrown};
use wasm_bindgen::{JsCast, JsValue};

use crate::page::{self, text_of};

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

/// The JavaScript error of a call: a `PeerageError`, or what the object threw, by its own type's name and
/// with the code `refused`.
pub(crate) fn call_to_js(error: &CallError) -> JsValue {
    let Thrown { kind, message } = match error {
        CallError::Failed(failure) => return to_js(failure),
        CallError::Thrown(thrown) => thrown,
    };
    let error: Error = match kind.as_str() {
        "EvalError" => EvalError::new(message).into(),
        "RangeError" => RangeError::new(message).into(),
        "ReferenceError" => ReferenceError::new(message).into(),
        "SyntaxError" => SyntaxError::new(message).into(),
        "TypeError" => TypeError::new(message).into(),
        "URIError" => UriError::new(message).into(),
        _ => Error::new(message),
    };
    error.set_name(kind);
    let _ = Reflect::set(&error, &"code".into(), &Code::Refused.as_str().into());
    error.into()
}

/// What a page's own code threw, as others get it.
pub(crate) fn from_js_error(js: &JsValue) -> CallError {
    if !js.is_instance_of::<Error>() {
        return Thrown::new("Error", text_of(js)).into();
    }
    let field = |key: &str| page::field(js, key).ok()?.as_string();
    let kind = field("name").unwrap_or_else(|| "Error".into());
    let message = field("message").unwrap_or_default();
    // A failure of Peerage's own passes through as what it is.
    let code = field("code").filter(|_| kind == "PeerageError");
    match code.and_then(|code| Code::from_name(&code)) {
        Some(code) => CallError::Failed(Failure {
            peer: field("peer"),
            ..code.because(message)
        }),
        None => Thrown { kind, message }.into(),
    }
}
