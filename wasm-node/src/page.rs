//! What the page's own values are asked. They may be proxies, or have getters that throw: what is thrown
//! comes back as an error here, for no exception may pass through the core.

use js_sys::{Array, ArrayBuffer, Error, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    /// What a value says it is: `[object Map]`.
    #[wasm_bindgen(catch, js_namespace = ["Object", "prototype", "toString"], js_name = call)]
    pub(crate) fn tag_of(value: &JsValue) -> Result<String, JsValue>;

    /// The names of an object's own properties that can be seen.
    #[wasm_bindgen(catch, js_namespace = Object, js_name = keys)]
    pub(crate) fn keys(object: &JsValue) -> Result<Array, JsValue>;

    #[wasm_bindgen(catch, js_namespace = Array, js_name = isArray)]
    pub(crate) fn is_array(value: &JsValue) -> Result<bool, JsValue>;

    /// The milliseconds of a date.
    #[wasm_bindgen(catch, js_namespace = ["Date", "prototype", "getTime"], js_name = call)]
    pub(crate) fn time_of(date: &JsValue) -> Result<f64, JsValue>;

    #[wasm_bindgen(catch, js_namespace = ["Map", "prototype", "entries"], js_name = call)]
    fn entries_of(map: &JsValue) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_namespace = ["Set", "prototype", "values"], js_name = call)]
    fn values_of(set: &JsValue) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = String)]
    fn described(value: &JsValue) -> Result<String, JsValue>;

    /// A view of bytes of the browser's own making, of which nothing was changed.
    #[wasm_bindgen(js_name = Uint8Array, extends = Uint8Array)]
    type View;

    #[wasm_bindgen(catch, constructor, js_class = "Uint8Array")]
    fn new(buffer: &JsValue, offset: &JsValue, length: &JsValue) -> Result<View, JsValue>;
}

/// A value that has properties, of whatever class and from wherever it is.
pub(crate) fn object(js: &JsValue) -> Option<&Object> {
    (js.is_object() || js.is_function()).then(|| js.unchecked_ref())
}

/// The value of a property.
pub(crate) fn field(object: &JsValue, name: &str) -> Result<JsValue, JsValue> {
    Reflect::get(object, &name.into())
}

/// The name of what was thrown, such as `TypeError`: its words may be anybody's, and have no place in a log.
pub(crate) fn name_of(error: &JsValue) -> String {
    let name = field(error, "name").ok();
    name.and_then(|name| name.as_string()).unwrap_or_default()
}

/// The items of an array.
pub(crate) fn items(array: &JsValue) -> Result<Vec<JsValue>, JsValue> {
    let length = field(array, "length")?.as_f64().unwrap_or_default() as u32;
    (0..length)
        .map(|place| Reflect::get_u32(array, place))
        .collect()
}

/// The keys and values of a map.
pub(crate) fn entries(map: &JsValue) -> Result<Vec<(JsValue, JsValue)>, JsValue> {
    let entries = Array::from(&entries_of(map)?);
    let pair = |entry: JsValue| {
        let entry: &Array = entry.unchecked_ref();
        (entry.get(0), entry.get(1))
    };
    Ok(entries.iter().map(pair).collect())
}

/// The items of a set.
pub(crate) fn members(set: &JsValue) -> Result<Vec<JsValue>, JsValue> {
    Ok(Array::from(&values_of(set)?).to_vec())
}

/// The bytes of a buffer, or of a typed array's part of one.
pub(crate) fn bytes(js: &JsValue) -> Result<Vec<u8>, JsValue> {
    let view = if js.is_instance_of::<ArrayBuffer>() {
        View::new(js, &JsValue::UNDEFINED, &JsValue::UNDEFINED)
    } else {
        let (offset, length) = (field(js, "byteOffset")?, field(js, "byteLength")?);
        View::new(&field(js, "buffer")?, &offset, &length)
    };
    Ok(view?.to_vec())
}

/// Whether a value is to be awaited: a promise, or what can do as one.
pub(crate) fn is_thenable(js: &JsValue) -> Result<bool, JsValue> {
    match object(js) {
        Some(object) => Ok(field(object, "then")?.is_function()),
        None => Ok(false),
    }
}

/// What becomes of a value, as `await` has it.
pub(crate) fn awaited(js: &JsValue) -> JsFuture {
    // A promise of the browser's own making is what catches what a page's own throws.
    let promise = Promise::new(&mut |resolve, _| {
        // To resolve a promise does not fail.
        let _ = resolve.call1(&JsValue::UNDEFINED, js);
    });
    JsFuture::from(promise)
}

/// What a value has to say, for a person to read: an error's message, or the value as text.
pub(crate) fn text_of(js: &JsValue) -> String {
    let error = js.is_instance_of::<Error>();
    let message = error.then(|| field(js, "message").ok()?.as_string());
    let text = message.flatten().or_else(|| js.as_string());
    text.or_else(|| described(js).ok())
        .unwrap_or_else(|| "a value that cannot be shown".into())
}
