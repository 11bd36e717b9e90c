//! Properties of the page's objects that tell what they become: a pair of accessors stands in for each. The
//! object alone keeps those, and its value stays with JavaScript, so that the collector sees whatever holds
//! whatever.

use std::rc::Rc;

use js_sys::{Function, Object, Reflect, WeakMap, WeakRef};
use wasm_bindgen::prelude::*;

use super::Objects;
use super::member::Member;
use crate::objects::object;
use crate::page;

impl Objects {
    /// From now on, setting the property tells those who watch it. One that cannot be changed that way
    /// is told when others set it.
    pub(super) fn watch(&self, watched: &Object, name: &str) -> Result<(), JsValue> {
        let Some(member) = Member::find(watched, name)? else {
            return Ok(());
        };
        let known = page::object(&member.part("set")).is_some_and(|set| self.0.accessors.has(set));
        if known || !member.is_settable() {
            return Ok(());
        }
        let property = Rc::new(Property::new(watched, &member));
        let reading = Rc::clone(&property);
        let get = Closure::<dyn Fn() -> Result<JsValue, JsValue>>::new(move || reading.read());
        let (objects, told) = (Rc::downgrade(&self.0), name.to_owned());
        let set = Closure::<dyn Fn(JsValue) -> Result<(), JsValue>>::new(move |value: JsValue| {
            property.write(&value)?;
            if let (Some(inner), Some(object)) = (objects.upgrade(), property.object.deref()) {
                Self(inner).tell_changed(object.unchecked_ref(), &told);
            }
            Ok(())
        });
        let set = set.into_js_value();
        let accessors = object(&[
            ("get", get.into_js_value()),
            ("set", set.clone()),
            ("enumerable", member.part("enumerable")),
            ("configurable", JsValue::TRUE),
        ]);
        // A property that is fixed stays as it is.
        if Reflect::define_property(watched, &name.into(), accessors.unchecked_ref())? {
            self.0.accessors.add(set.unchecked_ref());
        }
        Ok(())
    }

    /// The page has set a property of an object, which others may use or not.
    fn tell_changed(&self, object: &Object, name: &str) {
        if let Some(agent) = self.known_agent(object) {
            agent.tell_changed(name);
        }
    }
}

/// A property as it was before it was watched.
struct Property {
    object: WeakRef,
    /// Of the object: what its property was, as `{ value, get, set }`.
    before: WeakMap,
}

impl Property {
    fn new(watched: &Object, member: &Member) -> Self {
        let parts = ["value", "get", "set"].map(|part| (part, member.part(part)));
        let before = WeakMap::new();
        before.set(watched, object(&parts).unchecked_ref());
        Self {
            object: WeakRef::new(watched),
            before,
        }
    }

    fn read(&self) -> Result<JsValue, JsValue> {
        let Some((object, before)) = self.there() else {
            return Ok(JsValue::UNDEFINED);
        };
        match page::field(&before, "get")?.dyn_into::<Function>() {
            Ok(get) => get.call0(&object),
            Err(_) => page::field(&before, "value"),
        }
    }

    fn write(&self, value: &JsValue) -> Result<(), JsValue> {
        let Some((object, before)) = self.there() else {
            return Ok(());
        };
        match page::field(&before, "set")?.dyn_into::<Function>() {
            Ok(set) => set.call1(&object, value).map(drop),
            Err(_) => Reflect::set(&before, &"value".into(), value).map(drop),
        }
    }

    /// An accessor may outlive its object, in the hands of who took it.
    fn there(&self) -> Option<(JsValue, JsValue)> {
        let object = self.object.deref()?;
        let before = self.before.get(object.unchecked_ref());
        Some((object.into(), before))
    }
}
