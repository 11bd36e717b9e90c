//! An agent of a program, as the mesh sees it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use peerage::rpc::{Act, Agent, Handling, Interface, Parcel, Request};

use super::desk::{Desk, caller};
use super::wire::of;

/// An agent whose methods are the program's. Its properties have the values that the program told last.
pub(super) struct Offered {
    interface: Interface,
    desk: Arc<Desk>,
    values: Mutex<BTreeMap<String, Parcel>>,
}

impl Offered {
    pub(super) fn new(interface: Interface, desk: Arc<Desk>) -> Self {
        let values = Mutex::default();
        Self {
            interface,
            desk,
            values,
        }
    }

    /// Takes the value of a property; `false` if there is no such property.
    pub(super) fn set(&self, name: &str, value: Parcel) -> bool {
        let is_known = has(&self.interface.properties, name);
        if is_known {
            self.with(|values| values.insert(name.to_owned(), value));
        }
        is_known
    }

    /// Whether it has such an event.
    pub(super) fn has_event(&self, name: &str) -> bool {
        has(self.interface.events.as_deref().unwrap_or_default(), name)
    }

    fn with<T>(&self, action: impl FnOnce(&mut BTreeMap<String, Parcel>) -> T) -> T {
        action(&mut self.values.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Agent for Offered {
    fn interface(&self) -> Interface {
        self.interface.clone()
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let Request {
            act, name, args, ..
        } = request;
        let who = caller(request.caller);
        let agent = of(&self.interface.name);
        match act {
            Act::Call if has(&self.interface.methods, name) => {
                let fields = |id| [id, agent, of(name), args, who];
                self.desk.ask("call", fields)
            }
            Act::Set if has(&self.interface.properties, name) => {
                let fields = |id| [id, agent, of(name), args, who];
                self.desk.ask("set", fields)
            }
            Act::Get | Act::Watch if has(&self.interface.properties, name) => {
                let value = self.with(|values| values.get(name).cloned());
                Box::pin(core::future::ready(Ok(value.unwrap_or_default())))
            }
            _ => Box::pin(core::future::ready(Err(self.interface.unknown(act, name)))),
        }
    }
}

fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known == name)
}
