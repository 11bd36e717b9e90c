//! Agents: objects that others use, and what they tell those who listen.

use core::any::Any;
use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::fault::CallError;
use super::parcel::Parcel;
use super::reference::Reference;
use super::{Rpc, wire};
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::object::{Handle, ObjectError};
use crate::service::lane::Turn;
use crate::trace::Context;

/// What is done for a request.
pub type Handling = Pin<Box<dyn Future<Output = Result<Parcel, CallError>> + Send>>;

/// An object that can be used from elsewhere. `#[peerage::agent]` on a trait writes this.
pub trait Agent: Any + Send + Sync {
    /// What it is and has.
    fn interface(&self) -> Interface;

    /// The types of its methods, where they are known.
    fn signatures(&self) -> Vec<Signature> {
        Vec::new()
    }

    /// Sees to a request. What is done before the first wait is done in the order of the requests.
    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling;

    /// It can be reached from now on, and tells its events by `emitter`.
    fn attached(&self, emitter: Emitter) {
        drop(emitter);
    }
}

/// A request to an agent.
#[derive(Debug)]
pub struct Request<'a> {
    /// What is wanted: [`Act::Call`], [`Act::Get`], [`Act::Set`], or [`Act::Watch`], which is to get a property
    /// of which every change is to be told from now on.
    pub act: Act,
    /// Of the method or the property.
    pub name: &'a str,
    /// The list of arguments, or what the property is set to.
    pub args: Parcel,
    /// Who asks; `None` if it is this node itself.
    pub caller: Option<NodeId>,
    /// Its place in a lane: the next begins when the request has ended and every clone of this is dropped,
    /// or when this [lets it](Turn::let_next).
    pub turn: Option<Turn>,
    /// The span of a trace for which it is done: what is asked of others for it goes on
    /// [below](super::Proxy::below) that.
    pub trace: Option<Context>,
}

pub use wire::Act;

/// What an agent is and has, for those who look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its version, if it has any.
    pub version: Option<u32>,
    /// Its methods.
    pub methods: Vec<String>,
    /// Its properties.
    pub properties: Vec<String>,
    /// Its events; `None` if it may have any.
    pub events: Option<Vec<String>>,
}

/// The types of a method, as they are written in the language of who declared it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The method's name.
    pub method: String,
    /// Its parameters, in their order.
    pub params: Vec<Param>,
    /// What it returns.
    pub returns: String,
}

/// A parameter of a method.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
}

impl Signature {
    /// A method with these parameters, each a name and a type.
    pub fn new(method: &str, params: &[(&str, &str)], returns: &str) -> Self {
        let param = |(name, ty): &(&str, &str)| Param {
            name: (*name).to_owned(),
            ty: (*ty).to_owned(),
        };
        Self {
            method: method.to_owned(),
            params: params.iter().map(param).collect(),
            returns: returns.to_owned(),
        }
    }
}

impl Interface {
    /// The failure of a request for what the agent has not.
    pub fn unknown(&self, act: Act, name: &str) -> CallError {
        let (kind, all): (_, &[String]) = match act {
            Act::Get | Act::Set | Act::Watch => ("property", &self.properties),
            Act::Subscribe => ("event", self.events.as_deref().unwrap_or_default()),
            _ => ("method", &self.methods),
        };
        let all = if all.is_empty() {
            String::from("it has none")
        } else {
            format!("it has {}", all.join(", "))
        };
        let message = format!("{} has no {kind} `{name}`; {all}", self.name);
        Code::UnknownMethod.because(message).into()
    }

    /// Whether a request that expects this version may be answered.
    pub(super) fn check(&self, expected: Option<u32>) -> Result<(), Failure> {
        let Some(expected) = expected.filter(|expected| self.version != Some(*expected)) else {
            return Ok(());
        };
        let name = &self.name;
        let message = match self.version {
            Some(version) => {
                format!("{name}: the caller has version {expected}, the agent {version}")
            }
            None => format!("{name}: the caller has version {expected}, the agent none"),
        };
        Err(Code::IncompatibleVersion.because(message))
    }
}

/// An agent that can be found by its name; until this is dropped.
#[derive(Debug)]
pub struct AgentHandle {
    emitter: Emitter,
    reference: Reference,
    name: String,
}

impl AgentHandle {
    pub(super) fn new(emitter: Emitter, reference: Reference, name: String) -> Self {
        Self {
            emitter,
            reference,
            name,
        }
    }

    /// By what name it is found.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The agent by reference, to be handed on.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// What tells its events.
    pub fn emitter(&self) -> &Emitter {
        &self.emitter
    }

    /// Tells an event to those who subscribed to it.
    ///
    /// # Errors
    /// What cannot be serialised.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, detail: &T) -> Result<(), ObjectError> {
        self.emitter.emit(event, detail)
    }
}

impl Drop for AgentHandle {
    fn drop(&mut self) {
        self.emitter.rpc.withdraw(self.emitter.handle);
    }
}

/// What an object tells those who listen. Clones are the same.
#[derive(Clone, Debug)]
pub struct Emitter {
    rpc: Rpc,
    handle: Handle,
}

impl Emitter {
    pub(super) fn new(rpc: Rpc, handle: Handle) -> Self {
        Self { rpc, handle }
    }

    /// Tells an event to those who subscribed to it.
    ///
    /// # Errors
    /// What cannot be serialised.
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, detail: &T) -> Result<(), ObjectError> {
        self.tell(Act::Subscribe, event, Parcel::of(detail)?);
        Ok(())
    }

    /// Tells a property's new value to those who watch it.
    ///
    /// # Errors
    /// What cannot be serialised.
    pub fn changed<T: Serialize + ?Sized>(
        &self,
        property: &str,
        value: &T,
    ) -> Result<(), ObjectError> {
        self.tell(Act::Watch, property, Parcel::of(value)?);
        Ok(())
    }

    /// As [`Emitter::emit`] and [`Emitter::changed`], for what is made already.
    pub fn tell(&self, act: Act, name: &str, parcel: Parcel) {
        self.rpc.tell(self.handle, act, name, parcel);
    }

    /// Whether anybody listens.
    pub fn is_heard(&self, act: Act, name: &str) -> bool {
        self.rpc.is_heard(self.handle, act, name)
    }
}
