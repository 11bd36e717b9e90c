//! An agent of a program, as the mesh sees it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use peerage::limits::PROGRAM_VALUES_BYTES_MAX;
use peerage::rpc::{Act, Agent, Handling, Interface, Parcel, Request};
use peerage::{Code, Failure};

use super::desk::{Desk, caller};
use super::wire::of;

/// An agent whose methods are the program's. Its properties have the values that the program told last.
pub(super) struct Offered {
    interface: Interface,
    desk: Arc<Desk>,
    /// What each property has, and how much that is.
    values: Mutex<BTreeMap<String, (Parcel, usize)>>,
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

    /// Takes the value of a property.
    ///
    /// # Errors
    /// `bad-message` if there is no such property, `too-large` if all values together are too much.
    pub(super) fn set(&self, name: &str, value: Parcel) -> Result<(), Failure> {
        if !has(&self.interface.properties, name) {
            let agent = &self.interface.name;
            let message = format!("expected a property of `{agent}`, got `{name}`");
            return Err(Code::BadMessage.because(message));
        }
        let bytes = value.value().weight();
        self.with(|values| {
            let others = values.iter().filter(|(known, _)| *known != name);
            let all = others.map(|(_, (_, bytes))| bytes).sum::<usize>() + bytes;
            if all > PROGRAM_VALUES_BYTES_MAX {
                let message = format!(
                    "expected values of at most {PROGRAM_VALUES_BYTES_MAX} bytes in all, got {all}"
                );
                return Err(Code::TooLarge.because(message));
            }
            values.insert(name.to_owned(), (value, bytes));
            Ok(())
        })
    }

    /// Whether it has such an event.
    pub(super) fn has_event(&self, name: &str) -> bool {
        has(self.interface.events.as_deref().unwrap_or_default(), name)
    }

    fn with<T>(&self, action: impl FnOnce(&mut BTreeMap<String, (Parcel, usize)>) -> T) -> T {
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
                self.desk.ask("call", None, fields)
            }
            Act::Set if has(&self.interface.properties, name) => {
                let fields = |id| [id, agent, of(name), args, who];
                self.desk.ask("set", None, fields)
            }
            Act::Get | Act::Watch if has(&self.interface.properties, name) => {
                let value = self.with(|values| values.get(name).map(|(value, _)| value.clone()));
                Box::pin(core::future::ready(Ok(value.unwrap_or_default())))
            }
            _ => Box::pin(core::future::ready(Err(self.interface.unknown(act, name)))),
        }
    }
}

fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known == name)
}
