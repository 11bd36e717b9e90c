//! What others may use of an object: what is its own, or its class's, and not what every object or function
//! has. It is known by how it is declared: no getter of the page's runs for it.

use js_sys::{Array, Object, Reflect};
use wasm_bindgen::prelude::*;

use crate::page;

/// The most classes above an object: the page may make one that never ends.
const LEVELS_MAX: usize = 100;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(thread_local_v2, js_namespace = Object, js_name = prototype)]
    static OBJECT: JsValue;
    #[wasm_bindgen(thread_local_v2, js_namespace = Function, js_name = prototype)]
    static FUNCTION: JsValue;
    #[wasm_bindgen(catch, js_namespace = Reflect, js_name = ownKeys)]
    fn own_keys(object: &JsValue) -> Result<Array, JsValue>;
    #[wasm_bindgen(catch, js_namespace = Reflect, js_name = getPrototypeOf)]
    fn prototype_of(object: &JsValue) -> Result<JsValue, JsValue>;
}

/// How something that an object has is declared.
pub(super) struct Member(JsValue);

impl Member {
    /// What an object has by this name.
    pub(super) fn find(object: &Object, name: &str) -> Result<Option<Self>, JsValue> {
        if name == "constructor" {
            return Ok(None);
        }
        for level in levels(object)? {
            let descriptor = Reflect::get_own_property_descriptor(&level, &name.into())?;
            if !descriptor.is_undefined() {
                return Ok(Some(Self(descriptor)));
            }
        }
        Ok(None)
    }

    /// The names of all methods, and of all properties.
    pub(super) fn all(object: &Object) -> Result<(Vec<String>, Vec<String>), JsValue> {
        let mut names = Vec::new();
        for level in levels(object)? {
            names.extend(own_keys(&level)?.iter().filter_map(|key| key.as_string()));
        }
        names.sort();
        names.dedup();
        let (mut methods, mut properties) = (Vec::new(), Vec::new());
        for name in names {
            match Self::find(object, &name)? {
                Some(member) if member.is_method() => methods.push(name),
                Some(_) => properties.push(name),
                None => {}
            }
        }
        Ok((methods, properties))
    }

    /// Whether it is declared as a function, and so is no property.
    pub(super) fn is_method(&self) -> bool {
        self.part("value").is_function()
    }

    /// Whether the page itself may set it.
    pub(super) fn is_settable(&self) -> bool {
        self.part("set").is_function() || self.part("writable").is_truthy()
    }

    /// A part of the declaration: `value`, `get`, `set`, `enumerable`.
    pub(super) fn part(&self, name: &str) -> JsValue {
        // It is the browser's own object.
        page::field(&self.0, name).unwrap_or_default()
    }
}

/// An object and its classes, without those that every object or function is of.
fn levels(object: &Object) -> Result<Vec<Object>, JsValue> {
    let mut levels = Vec::new();
    let mut next: JsValue = object.into();
    while let Some(level) = page::object(&next)
        && levels.len() < LEVELS_MAX
        && !OBJECT.with(|everybody| next == *everybody)
        && !FUNCTION.with(|functions| next == *functions)
    {
        levels.push(level.clone());
        next = prototype_of(&next)?;
    }
    Ok(levels)
}
