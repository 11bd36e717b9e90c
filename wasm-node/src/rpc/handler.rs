//! What every proxy of a remote object does when it is used.

use std::rc::Weak;

use js_sys::{Array, Function, Object, TypeError};
use peerage::error::Code;
use wasm_bindgen::prelude::*;

use super::{Inner, Objects};
use crate::error::to_js;
use crate::objects::object;

/// The handler of all proxies.
pub(super) fn handler(objects: &Weak<Inner>) -> Object {
    let (getting, applying) = (objects.clone(), objects.clone());
    let get = move |target: Object, key: JsValue, _: JsValue| match getting.upgrade() {
        Some(inner) => Objects(inner).property(&target, &key),
        None => JsValue::UNDEFINED,
    };
    let apply = move |target: Object, _: JsValue, args: Array| match applying.upgrade() {
        Some(inner) => Objects(inner).apply(&target, &args),
        None => Err(to_js(&Code::Left.because("this node has left"))),
    };
    let get = Closure::<dyn Fn(Object, JsValue, JsValue) -> JsValue>::new(get);
    let apply = Closure::<dyn Fn(Object, JsValue, Array) -> Result<JsValue, JsValue>>::new(apply);
    let fixed = Closure::<dyn Fn(Object, JsValue) -> Result<bool, JsValue>>::new(refuse);
    let fixed = fixed.into_js_value();
    let handler = object(&[
        ("get", get.into_js_value()),
        ("apply", apply.into_js_value()),
        ("set", fixed.clone()),
        ("defineProperty", fixed.clone()),
        ("deleteProperty", fixed),
    ]);
    handler.unchecked_into()
}

/// A function that does nothing.
pub(super) fn target() -> Function {
    Closure::<dyn Fn()>::new(|| {})
        .into_js_value()
        .unchecked_into()
}

/// What is set here would not be set there, and that takes time, and may fail.
fn refuse(_: Object, key: JsValue) -> Result<bool, JsValue> {
    let name = key.as_string().unwrap_or_else(|| "a symbol".into());
    let message = format!("`{name}` of a remote object: use .set(name, value), and await it");
    Err(TypeError::new(&message).into())
}
