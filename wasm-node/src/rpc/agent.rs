//! JavaScript's own objects as agents.

use core::cell::{Cell, RefCell};
use std::any::Any;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use js_sys::{Array, Function, Object, Promise, Reflect};
use peerage::NodeId;
use peerage::error::Code;
use peerage::rpc::{self, Act, CallError, Emitter, Handling, Interface, Parcel, Request};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortController;

use super::Objects;
use crate::error::{call_to_js, from_js_error, to_js};
use crate::objects::{node_object, object};

/// An agent of this page, as the page holds it.
#[wasm_bindgen]
pub struct Agent {
    objects: Objects,
    name: String,
}

#[wasm_bindgen]
impl Agent {
    /// By what name it is found.
    #[wasm_bindgen(getter)]
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// Tells an event to those who subscribed to it.
    pub fn emit(
        &self,
        event: &str,
        #[wasm_bindgen(unchecked_param_type = "unknown")] detail: &JsValue,
    ) -> Result<(), JsValue> {
        let parcel = self
            .objects
            .parcel(detail)
            .map_err(|error| call_to_js(&error))?;
        match self.objects.0.named.borrow().get(&self.name) {
            Some(handle) => handle.emitter().tell(Act::Subscribe, event, parcel),
            None => return Err(to_js(&Code::Left.because("the agent was withdrawn"))),
        }
        Ok(())
    }

    /// It can be found no more, and who listens to it learns that.
    pub fn close(&self) {
        let withdrawn = self.objects.0.named.borrow_mut().remove(&self.name);
        drop(withdrawn);
    }
}

/// A call that is being answered, as its method may look at it.
pub(super) struct CurrentCall {
    caller: Option<NodeId>,
    controller: RefCell<Option<AbortController>>,
}

impl Objects {
    /// Lets others find an object by this name.
    pub(crate) fn offer(
        &self,
        name: &str,
        object: &JsValue,
        version: Option<u32>,
    ) -> Result<Agent, JsValue> {
        let Some(object) = object.dyn_ref::<Object>() else {
            return Err(to_js(
                &Code::BadMessage.because("expected an object as an agent"),
            ));
        };
        let agent = self.agent_of(object);
        // What it was told before, or as whom it was known, does not matter.
        let _ = agent.0.called.set((name.to_owned(), version));
        let handle = self
            .rpc()
            .agent_of(name, agent)
            .map_err(|failure| to_js(&failure))?;
        self.0.named.borrow_mut().insert(name.to_owned(), handle);
        Ok(Agent {
            objects: self.clone(),
            name: name.to_owned(),
        })
    }

    /// The call that is being answered: `{ peer, signal }`; `undefined` beyond the part of a method that
    /// runs before its first wait.
    pub(crate) fn current_call(&self) -> JsValue {
        let Some(call) = self.0.current.borrow().clone() else {
            return JsValue::UNDEFINED;
        };
        let mut controller = call.controller.borrow_mut();
        if controller.is_none() {
            *controller = AbortController::new().ok();
        }
        let signal = controller.as_ref().map(AbortController::signal);
        let peer = call.caller.map(|id| node_object(self.rpc().node(), id));
        object(&[("peer", peer.into()), ("signal", signal.into())])
    }
}

/// One of the page's objects, as others use it.
pub(super) struct JsAgent(SendWrapper<Own>);

struct Own {
    objects: Objects,
    number: u32,
    object: Object,
    /// Its name and version, if it has been given any.
    called: OnceLock<(String, Option<u32>)>,
    emitter: OnceLock<Emitter>,
    watched: RefCell<HashSet<String>>,
    /// Whether a property is being set for another node, who tells of it itself.
    setting: Rc<Cell<bool>>,
}

impl Drop for Own {
    fn drop(&mut self) {
        self.objects.forget_agent(self.number);
    }
}

impl JsAgent {
    pub(super) fn new(objects: &Objects, number: u32, object: &Object) -> Self {
        Self(SendWrapper::new(Own {
            objects: objects.clone(),
            number,
            object: object.clone(),
            called: OnceLock::new(),
            emitter: OnceLock::new(),
            watched: RefCell::default(),
            setting: Rc::default(),
        }))
    }

    /// The page's own object that an agent is.
    pub(super) fn of(agent: &Arc<dyn rpc::Agent>) -> Option<&Self> {
        let any: &dyn Any = &**agent;
        any.downcast_ref()
    }

    pub(super) fn object(&self) -> JsValue {
        self.0.object.clone().into()
    }
}

impl rpc::Agent for JsAgent {
    fn interface(&self) -> Interface {
        self.0.interface()
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let current = Rc::new(CurrentCall {
            caller: request.caller,
            controller: RefCell::default(),
        });
        let begun = match request.act {
            Act::Call => self.0.call(request.name, &request.args, &current),
            Act::Set => self.0.set(request.name, &request.args),
            Act::Watch => {
                self.0.watch(request.name);
                self.0.get(request.name)
            }
            _ => self.0.get(request.name),
        };
        let objects = self.0.objects.clone();
        match begun {
            Ok(js) if js.has_type::<Promise>() || is_thenable(&js) => {
                let ending = Ending(current);
                Box::pin(SendWrapper::new(async move {
                    let value = JsFuture::from(Promise::resolve(&js)).await;
                    drop(ending.0.controller.take());
                    objects.parcel(&value.map_err(|error| from_js_error(&error))?)
                }))
            }
            Ok(js) => Box::pin(core::future::ready(objects.parcel(&js))),
            Err(error) => Box::pin(core::future::ready(Err(error))),
        }
    }

    fn attached(&self, emitter: Emitter) {
        let _ = self.0.emitter.set(emitter);
    }
}

/// Tells a method that its result is not wanted any longer, unless it is there.
struct Ending(Rc<CurrentCall>);

// It is made and dropped in the tab's only thread, within a `SendWrapper`.
impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(controller) = self.0.controller.take() {
            controller.abort();
        }
    }
}

impl Own {
    fn interface(&self) -> Interface {
        let (name, version) = self.called.get().cloned().unwrap_or_default();
        let mut interface = Interface {
            name,
            version,
            ..Interface::default()
        };
        for key in keys_of(&self.object) {
            let value = Reflect::get(&self.object, &key.as_str().into()).unwrap_or_default();
            if value.is_function() {
                interface.methods.push(key);
            } else {
                interface.properties.push(key);
            }
        }
        interface
    }

    fn call(
        &self,
        name: &str,
        args: &Parcel,
        current: &Rc<CurrentCall>,
    ) -> Result<JsValue, CallError> {
        let unknown = || self.interface().unknown(Act::Call, name);
        let method = match name {
            "" => self.object.dyn_ref::<Function>().cloned(),
            name if has(&self.object, name) => self.read(name)?.dyn_into().ok(),
            _ => None,
        };
        let method = method.ok_or_else(unknown)?;
        let args: Array = self.objects.arguments(args)?;
        let before = self.objects.0.current.replace(Some(Rc::clone(current)));
        let returned = method.apply(&self.object, &args);
        self.objects.0.current.replace(before);
        returned.map_err(|error| from_js_error(&error))
    }

    fn get(&self, name: &str) -> Result<JsValue, CallError> {
        if !has(&self.object, name) {
            return Err(self.interface().unknown(Act::Get, name));
        }
        self.read(name)
    }

    fn set(&self, name: &str, value: &Parcel) -> Result<JsValue, CallError> {
        if !has(&self.object, name) || self.read(name)?.is_function() {
            return Err(self.interface().unknown(Act::Set, name));
        }
        let value = self.objects.unpack(value)?;
        self.setting.set(true);
        let set = Reflect::set(&self.object, &name.into(), &value);
        self.setting.set(false);
        if set.map_err(|error| from_js_error(&error))? {
            return Ok(JsValue::UNDEFINED);
        }
        Err(rpc::Thrown::new("TypeError", format!("the property `{name}` cannot be set")).into())
    }

    fn read(&self, name: &str) -> Result<JsValue, CallError> {
        Reflect::get(&self.object, &name.into()).map_err(|error| from_js_error(&error))
    }

    /// From now on, setting the property tells those who watch it. One that cannot be changed that way
    /// is told when others set it.
    fn watch(&self, name: &str) {
        let Some(emitter) = self.emitter.get() else {
            return;
        };
        if !has(&self.object, name) || !self.watched.borrow_mut().insert(name.to_owned()) {
            return;
        }
        let Some(descriptor) = descriptor_of(&self.object, name) else {
            return;
        };
        let field = |key: &str| Reflect::get(&descriptor, &key.into()).unwrap_or_default();
        let property = Rc::new(Property {
            object: self.object.clone(),
            value: RefCell::new(field("value")),
            get: field("get").dyn_into().ok(),
            set: field("set").dyn_into().ok(),
        });
        if property.get.is_some() && property.set.is_none() {
            return;
        }
        let reading = Rc::clone(&property);
        let get = Closure::<dyn Fn() -> Result<JsValue, JsValue>>::new(move || reading.read());
        let (emitter, objects) = (emitter.clone(), Rc::downgrade(&self.objects.0));
        let (setting, name_told) = (Rc::clone(&self.setting), name.to_owned());
        let set = Closure::<dyn Fn(JsValue) -> Result<(), JsValue>>::new(move |value: JsValue| {
            property.write(&value)?;
            if let Some(inner) = objects.upgrade()
                && !setting.get()
                && emitter.is_heard(Act::Watch, &name_told)
            {
                let told = Objects(inner).parcel(&property.read()?);
                let told = told.map_err(|error| call_to_js(&error))?;
                emitter.tell(Act::Watch, &name_told, told);
            }
            Ok(())
        });
        let accessor = object(&[
            ("get", get.into_js_value()),
            ("set", set.into_js_value()),
            ("enumerable", field("enumerable")),
            ("configurable", JsValue::TRUE),
        ]);
        // A property that is fixed stays as it is.
        let _ = Reflect::define_property(&self.object, &name.into(), accessor.unchecked_ref());
    }
}

/// A property as it was before it was watched.
struct Property {
    object: Object,
    value: RefCell<JsValue>,
    get: Option<Function>,
    set: Option<Function>,
}

impl Property {
    fn read(&self) -> Result<JsValue, JsValue> {
        match &self.get {
            Some(get) => get.call0(&self.object),
            None => Ok(self.value.borrow().clone()),
        }
    }

    fn write(&self, value: &JsValue) -> Result<(), JsValue> {
        match &self.set {
            Some(set) => set.call1(&self.object, value).map(drop),
            None => {
                self.value.replace(value.clone());
                Ok(())
            }
        }
    }
}

/// Whether others may use what an object has by this name: what is its own, or its class's, and not what
/// every object or function has.
fn has(object: &Object, name: &str) -> bool {
    name != "constructor" && prototypes(object).any(|level| Object::has_own(&level, &name.into()))
}

fn keys_of(object: &Object) -> Vec<String> {
    let mut keys = Vec::new();
    for level in prototypes(object) {
        let names = Object::get_own_property_names(&level);
        let names = names.iter().filter_map(|name| name.as_string());
        keys.extend(names.filter(|name| name != "constructor"));
    }
    keys.sort();
    keys.dedup();
    keys
}

fn descriptor_of(object: &Object, name: &str) -> Option<Object> {
    let level = prototypes(object).find(|level| Object::has_own(level, &name.into()))?;
    let descriptor = Reflect::get_own_property_descriptor(&level, &name.into());
    descriptor.ok()?.dyn_into().ok()
}

/// An object and its classes, without those that every object or function is of.
fn prototypes(object: &Object) -> impl Iterator<Item = Object> {
    let everybody = Object::get_prototype_of(&Object::new());
    let functions = Object::get_prototype_of(&Closure::<dyn Fn()>::new(|| {}).into_js_value());
    core::iter::successors(Some(object.clone()), |level| {
        Object::get_prototype_of(level).dyn_into().ok()
    })
    .take_while(move |level| *level != everybody && *level != functions)
}

fn is_thenable(js: &JsValue) -> bool {
    js.is_object() && Reflect::get(js, &"then".into()).is_ok_and(|then| then.is_function())
}
