//! JavaScript's own objects as agents.

use core::cell::RefCell;
use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;

use js_sys::{Array, Function, Object, Reflect};
use peerage::NodeId;
use peerage::error::Code;
use peerage::log::ERROR;
use peerage::rpc::{self, Act, CallError, Emitter, Handling, Interface, Parcel, Request};
use peerage::service::lane::Turn;
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use web_sys::AbortController;

use super::Objects;
use super::member::Member;
use crate::error::{call_to_js, from_js_error, to_js};
use crate::lane::hold_until_settled;
use crate::objects::{node_object, object};
use crate::page;

/// An agent of this page, as the page holds it.
#[wasm_bindgen]
pub struct Agent {
    objects: Objects,
    /// By which it is known among those that can be found.
    number: u32,
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
        match self.objects.0.offered.borrow().get(&self.number) {
            Some(handle) => handle.emitter().tell(Act::Subscribe, event, parcel),
            None => return Err(to_js(&Code::Left.because("the agent was withdrawn"))),
        }
        Ok(())
    }

    /// It can be found no more, and who listens to it learns that.
    pub fn close(&self) {
        let withdrawn = self.objects.0.offered.borrow_mut().remove(&self.number);
        drop(withdrawn);
    }
}

/// A call that is being answered, as its method may look at it.
pub(super) struct CurrentCall {
    caller: Option<NodeId>,
    turn: Option<Turn>,
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
        let Some(object) = page::object(object) else {
            return Err(to_js(
                &Code::BadMessage.because("expected an object as an agent"),
            ));
        };
        let agent = self.agent_of(object);
        let shared: Arc<dyn rpc::Agent> = agent.clone();
        let handle = self.rpc().agent_of(name, shared);
        let handle = handle.map_err(|failure| to_js(&failure))?;
        agent.0.called.replace((name.to_owned(), version));
        let number = self.next_number();
        self.0.offered.borrow_mut().insert(number, handle);
        Ok(Agent {
            objects: self.clone(),
            number,
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
        let turn = call.turn.clone();
        // It lives for as long as the page holds it.
        let accept = Closure::<dyn Fn()>::new(move || {
            if let Some(turn) = &turn {
                turn.let_next();
            }
        });
        object(&[
            ("peer", peer.into()),
            ("signal", signal.into()),
            ("accept", accept.into_js_value()),
        ])
    }
}

/// One of the page's objects, as others use it.
pub(super) struct JsAgent(SendWrapper<Own>);

struct Own {
    objects: Objects,
    number: u32,
    object: Object,
    /// Its name and version, if it has been given any.
    called: RefCell<(String, Option<u32>)>,
    /// By what it tells its changes: anew each time that it begins to be used by others.
    emitter: RefCell<Option<Emitter>>,
    /// The property that is being set for another node, who tells of it itself.
    setting: RefCell<Option<String>>,
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
            called: RefCell::default(),
            emitter: RefCell::default(),
            setting: RefCell::default(),
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

    /// The page has set a property.
    pub(super) fn tell_changed(&self, name: &str) {
        self.0.tell_changed(name);
    }
}

impl rpc::Agent for JsAgent {
    fn interface(&self) -> Interface {
        self.0.interface()
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let current = Rc::new(CurrentCall {
            caller: request.caller,
            turn: request.turn.clone(),
            controller: RefCell::default(),
        });
        let begun = match request.act {
            Act::Call => self.0.call(request.name, &request.args, &current),
            Act::Set => self.0.set(request.name, &request.args),
            Act::Watch => {
                // What cannot be watched can be read, or that says why not.
                let _ = self.0.objects.watch(&self.0.object, request.name);
                self.0.get(request.name)
            }
            _ => self.0.get(request.name),
        };
        let begun = begun.and_then(|js| Ok((page::is_thenable(&js).map_err(thrown)?, js)));
        let objects = self.0.objects.clone();
        match begun {
            Ok((true, js)) => {
                let turn = request.turn.map(|turn| (turn, js.clone()));
                let mut ending = Ending(current, turn);
                let awaited = page::awaited(&js);
                Box::pin(SendWrapper::new(async move {
                    let value = awaited.await;
                    drop(ending.0.controller.take());
                    drop(ending.1.take());
                    objects.parcel(&value.map_err(thrown)?)
                }))
            }
            Ok((false, js)) => Box::pin(core::future::ready(objects.parcel(&js))),
            Err(error) => Box::pin(core::future::ready(Err(error))),
        }
    }

    fn attached(&self, emitter: Emitter) {
        self.0.emitter.replace(Some(emitter));
    }
}

/// Tells a method that its result is not wanted any longer, unless it is there. What follows in its lane
/// waits until it has ended nevertheless.
struct Ending(Rc<CurrentCall>, Option<(Turn, JsValue)>);

// It is made and dropped in the tab's only thread, within a `SendWrapper`.
impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(controller) = self.0.controller.take() {
            controller.abort();
        }
        if let Some((turn, promise)) = self.1.take() {
            hold_until_settled(turn, &promise);
        }
    }
}

impl Own {
    fn interface(&self) -> Interface {
        let (name, version) = self.called.borrow().clone();
        // What does not let itself be looked at has nothing that others could know of.
        let (methods, properties) = Member::all(&self.object).unwrap_or_default();
        Interface {
            name,
            version,
            methods,
            properties,
            events: None,
        }
    }

    fn member(&self, act: Act, name: &str) -> Result<Member, CallError> {
        let member = Member::find(&self.object, name).map_err(thrown)?;
        member.ok_or_else(|| self.interface().unknown(act, name))
    }

    fn call(
        &self,
        name: &str,
        args: &Parcel,
        current: &Rc<CurrentCall>,
    ) -> Result<JsValue, CallError> {
        let method = if name.is_empty() {
            self.object.dyn_ref::<Function>().cloned()
        } else {
            self.member(Act::Call, name)?;
            self.read(name)?.dyn_into().ok()
        };
        let method = method.ok_or_else(|| self.interface().unknown(Act::Call, name))?;
        let args: Array = self.objects.arguments(args)?;
        let before = self.objects.0.current.replace(Some(Rc::clone(current)));
        let returned = method.apply(&self.object, &args);
        self.objects.0.current.replace(before);
        returned.map_err(thrown)
    }

    fn get(&self, name: &str) -> Result<JsValue, CallError> {
        self.member(Act::Get, name)?;
        self.read(name)
    }

    fn set(&self, name: &str, value: &Parcel) -> Result<JsValue, CallError> {
        if self.member(Act::Set, name)?.is_method() {
            return Err(self.interface().unknown(Act::Set, name));
        }
        let value = self.objects.unpack(value)?;
        let before = self.setting.replace(Some(name.to_owned()));
        let set = Reflect::set(&self.object, &name.into(), &value);
        self.setting.replace(before);
        if set.map_err(thrown)? {
            return Ok(JsValue::UNDEFINED);
        }
        Err(rpc::Thrown::new("TypeError", format!("the property `{name}` cannot be set")).into())
    }

    fn read(&self, name: &str) -> Result<JsValue, CallError> {
        page::field(&self.object, name).map_err(thrown)
    }

    fn tell_changed(&self, name: &str) {
        let emitter = self.emitter.borrow().clone();
        let Some(emitter) = emitter.filter(|emitter| emitter.is_heard(Act::Watch, name)) else {
            return;
        };
        if self.setting.borrow().as_deref() == Some(name) {
            return;
        }
        match self.read(name).and_then(|js| self.objects.parcel(&js)) {
            Ok(value) => emitter.tell(Act::Watch, name, value),
            // The page does not fail for who looks at it.
            Err(_) => tracing::warn!(target: ERROR, name, "a property cannot be told"),
        }
    }
}

fn thrown(js: JsValue) -> CallError {
    from_js_error(&js)
}
