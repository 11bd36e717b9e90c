//! Remote objects in a tab: JavaScript's objects as agents, and proxies for those of others. What goes by
//! reference keeps its identity: one object is one proxy, and an object that comes home is itself.

mod agent;
mod handler;
mod interest;
mod member;
mod remote;
mod types;
mod watched;

use core::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::{self, Arc};

use futures_util::FutureExt;
use js_sys::{Array, FinalizationRegistry, Function, Object, Promise, WeakMap, WeakRef, WeakSet};
use peerage::Failure;
use peerage::object::{Item, Pointer, Value};
use peerage::rpc::{Act, AgentHandle, CallError, Parcel, Reference, Rpc};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

pub use agent::Agent;
use agent::{CurrentCall, JsAgent};
pub use interest::Interest;
use remote::{Entry, Remote};

use crate::error::{call_to_js, from_js_error};
use crate::page;
use crate::value::{self, References};

/// The remote objects of a tab's node. Clones are the same.
#[derive(Clone)]
pub(crate) struct Objects(Rc<Inner>);

struct Inner {
    rpc: Rpc,
    /// What every proxy does when it is used.
    handler: Object,
    /// A function of which every proxy's target is a copy: what can be called must be one.
    target: Function,
    /// The numbers of proxies and of their targets.
    numbers: WeakMap,
    entries: RefCell<HashMap<u32, Entry>>,
    /// Of each method that was taken of a proxy, the target of that proxy.
    owners: WeakMap,
    /// The one proxy of each reference.
    known: RefCell<HashMap<Pointer, (u32, WeakRef)>>,
    /// Hears which targets are there no more.
    registry: FinalizationRegistry,
    /// The numbers of own objects that are, or were, used by others.
    own: WeakMap,
    agents: RefCell<HashMap<u32, sync::Weak<JsAgent>>>,
    /// Own objects that go by reference.
    by_reference: WeakSet,
    /// Own objects that can be found by a name.
    offered: RefCell<HashMap<u32, AgentHandle>>,
    /// Setters that tell of a property.
    accessors: WeakSet,
    current: RefCell<Option<Rc<CurrentCall>>>,
    last_number: Cell<u32>,
}

impl Objects {
    pub(crate) fn new(rpc: Rpc) -> Self {
        Self(Rc::new_cyclic(|this: &Weak<Inner>| {
            let gone = this.clone();
            let gone = Closure::<dyn FnMut(JsValue)>::new(move |number: JsValue| {
                if let (Some(inner), Some(number)) = (gone.upgrade(), number.as_f64()) {
                    Self(inner).forget(number as u32);
                }
            });
            let gone: Function = gone.into_js_value().unchecked_into();
            Inner {
                rpc,
                handler: handler::handler(this),
                target: handler::target(),
                numbers: WeakMap::new(),
                entries: RefCell::default(),
                owners: WeakMap::new(),
                known: RefCell::default(),
                registry: FinalizationRegistry::new(gone.unchecked_ref()),
                own: WeakMap::new(),
                agents: RefCell::default(),
                by_reference: WeakSet::new(),
                offered: RefCell::default(),
                accessors: WeakSet::new(),
                current: RefCell::default(),
                last_number: Cell::new(0),
            }
        }))
    }

    pub(crate) fn rpc(&self) -> &Rpc {
        &self.0.rpc
    }

    /// From now on the object travels by reference.
    pub(crate) fn mark_by_reference(&self, object: &Object) {
        self.0.by_reference.add(object);
    }

    /// What travels for a value.
    pub(crate) fn parcel(&self, js: &JsValue) -> Result<Parcel, CallError> {
        let references = RefCell::default();
        let value = value::from_js_with(
            js,
            &Packing {
                objects: self,
                references: &references,
            },
        )?;
        Ok(Parcel::new(value, references.into_inner()))
    }

    /// The value of what has travelled.
    pub(crate) fn unpack(&self, parcel: &Parcel) -> Result<JsValue, CallError> {
        self.unpack_value(parcel, parcel.value())
    }

    /// The arguments of a call.
    fn arguments(&self, parcel: &Parcel) -> Result<Array, CallError> {
        let list = self.unpack(parcel)?;
        Ok(list.dyn_into().unwrap_or_else(|_| Array::new()))
    }

    fn unpack_value(&self, parcel: &Parcel, value: &Value) -> Result<JsValue, CallError> {
        let resolve = |pointer: &Pointer| match parcel.reference(pointer) {
            Some(reference) => Ok(self.js_of(reference)),
            None => Ok(JsValue::NULL),
        };
        Ok(value::into_js_with(value, &resolve)?)
    }

    /// What a reference is in JavaScript: this page's own object, a promise, or a proxy.
    fn js_of(&self, reference: &Reference) -> JsValue {
        if let Some(own) = reference.local().and_then(JsAgent::of) {
            return own.object();
        }
        if reference.pointer().future {
            return self.promise_of(reference);
        }
        self.proxy_of(reference)
    }

    /// A value to come is awaited from now on, as a promise is.
    fn promise_of(&self, reference: &Reference) -> JsValue {
        let (this, reference) = (self.clone(), reference.clone());
        let value = async move {
            let asking = reference.proxy().ask(Act::Await, "", Parcel::default());
            let parcel = asking.await.map_err(|error| call_to_js(&error))?;
            this.unpack(&parcel).map_err(|error| call_to_js(&error))
        };
        let promise = wasm_bindgen_futures::future_to_promise(value);
        // Whoever does not look at it does not care how it ends.
        let ignored = promise.clone();
        wasm_bindgen_futures::spawn_local(async move { drop(JsFuture::from(ignored).await) });
        promise.into()
    }

    fn next_number(&self) -> u32 {
        self.0
            .last_number
            .set(self.0.last_number.get().wrapping_add(1));
        self.0.last_number.get()
    }

    /// The agent that is one of this page's own objects; the same as long as anybody uses it.
    fn agent_of(&self, object: &Object) -> Arc<JsAgent> {
        if let Some(agent) = self.known_agent(object) {
            return agent;
        }
        let number = self.own_number(object).unwrap_or_else(|| {
            let number = self.next_number();
            self.0.own.set(object, &number.into());
            number
        });
        let agent = Arc::new(JsAgent::new(self, number, object));
        let known = Arc::downgrade(&agent);
        self.0.agents.borrow_mut().insert(number, known);
        agent
    }

    /// As [`Objects::agent_of`], if anybody uses it.
    fn known_agent(&self, object: &Object) -> Option<Arc<JsAgent>> {
        let number = self.own_number(object)?;
        self.0.agents.borrow().get(&number)?.upgrade()
    }

    fn own_number(&self, object: &Object) -> Option<u32> {
        let number = self.0.own.get(object).as_f64();
        number.map(|number| number as u32)
    }

    fn forget_agent(&self, number: u32) {
        let mut agents = self.0.agents.borrow_mut();
        if agents
            .get(&number)
            .is_some_and(|agent| agent.strong_count() == 0)
        {
            agents.remove(&number);
        }
    }
}

/// How one value's references are found.
struct Packing<'a> {
    objects: &'a Objects,
    references: &'a RefCell<Vec<Reference>>,
}

impl References for Packing<'_> {
    fn reference(&self, js: &JsValue) -> Option<Result<Item, Failure>> {
        let object = page::object(js)?;
        let reference = self.objects.reference_to(object)?;
        let item = Item::Pointer(reference.pointer().clone().into());
        let mut references = self.references.borrow_mut();
        if !references.contains(&reference) {
            references.push(reference);
        }
        Some(Ok(item))
    }
}

impl Objects {
    /// The reference as which an object travels, if it does not travel by its value.
    fn reference_to(&self, object: &Object) -> Option<Reference> {
        if let Some(remote) = self.remote_of(object) {
            return Some(match remote.reference() {
                Some(reference) => reference,
                None => self.share_coming(&remote),
            });
        }
        if object.is_instance_of::<Promise>() {
            return Some(self.share_promise(object));
        }
        let by_reference = object.is_function() || self.0.by_reference.has(object);
        by_reference.then(|| self.rpc().share(self.agent_of(object)))
    }

    /// What will be an object travels as a value to come.
    fn share_coming(&self, remote: &Remote) -> Reference {
        let proxy = remote.proxy().clone();
        let coming = async move {
            match proxy.resolved().await {
                // It is found by its name, and not the result of a call.
                Err(error) if error.code() == Some(peerage::Code::BadMessage) => {
                    proxy.ask(Act::Await, "", Parcel::default()).await
                }
                other => other,
            }
        };
        self.rpc().share_future(coming)
    }

    fn share_promise(&self, promise: &JsValue) -> Reference {
        let this = self.clone();
        let awaited = page::awaited(promise).map(move |result| match result {
            Ok(value) => this.parcel(&value),
            Err(error) => Err(from_js_error(&error)),
        });
        self.rpc().share_future(SendWrapper::new(awaited))
    }
}
