//! Agents of a node of KAI, as the mesh uses them: each has a handle there, and what it has nobody says.

use std::sync::{Arc, Weak};

use peerage::error::Code;
use peerage::limits::KAI_ANSWER_TIMEOUT;
use peerage::object::Blob;
use peerage::rpc::{Act, Agent, CallError, Handling, Interface, Parcel, Request};
use tokio::time::timeout;

use super::futures::{self, Exported};
use super::session::Shared;
use super::wire::Message;

/// The agent whose events are those of the node of KAI: each under its name, objects for everybody as
/// `object`, bytes for its console as `binary`. `emit(name, bytes)` and `send(object)` tell the node.
pub(super) const EVENTS: &str = "kai";

/// An agent of a node of KAI.
pub(super) struct KaiAgent {
    shared: Weak<Shared>,
    handle: i32,
    name: String,
}

impl KaiAgent {
    pub(super) fn new(shared: &Arc<Shared>, handle: i32, name: &str) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            handle,
            name: name.to_owned(),
        }
    }

    fn begin(&self, act: Act, name: &str, args: Parcel) -> Result<Handling, CallError> {
        let shared = self.shared.upgrade().ok_or_else(gone)?;
        let (handle, name) = (self.handle, name.to_owned());
        shared.agents.used(handle);
        let (asked, told) = match act {
            Act::Call => {
                let (args, exported) = futures::export_all(&shared, args)?;
                let asked = shared.ask(|future| Message::Call {
                    handle,
                    future,
                    method: name,
                    args,
                })?;
                // A value that is there already must not overtake the call.
                exported.into_iter().for_each(Exported::tell);
                asked
            }
            Act::Get => shared.ask(|future| Message::Get {
                handle,
                future,
                name,
            })?,
            Act::Set => shared.ask(|future| Message::Set {
                handle,
                future,
                name,
                value: args.value().clone(),
            })?,
            _ => {
                let message = "a node of KAI tells nobody of what changes; its events are those of the agent `kai`";
                return Err(Code::Refused.because(message).into());
            }
        };
        Ok(Box::pin(async move {
            let answer = timeout(KAI_ANSWER_TIMEOUT, told).await;
            drop(asked);
            let late = |_| Code::TimedOut.because("the node of KAI does not answer");
            answer.map_err(late)?.unwrap_or_else(|_| Err(gone()))
        }))
    }
}

impl Agent for KaiAgent {
    fn interface(&self) -> Interface {
        Interface {
            name: self.name.clone(),
            ..Interface::default()
        }
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let begun = self.begin(request.act, request.name, request.args);
        begun.unwrap_or_else(|error| Box::pin(core::future::ready(Err(error))))
    }
}

/// The agent of its events.
pub(super) struct EventsAgent(Weak<Shared>);

impl EventsAgent {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::downgrade(shared))
    }

    fn tell(&self, method: &str, args: Parcel) -> Result<Parcel, CallError> {
        let shared = self.0.upgrade().ok_or_else(gone)?;
        let message = match method {
            "emit" => Message::Event {
                name: args.argument_called(0, "name")?,
                payload: args
                    .argument_called::<Option<Blob>>(1, "payload")?
                    .unwrap_or_default()
                    .0,
            },
            "send" => {
                let [object] = args.into_parts();
                Message::Object(object.value().clone())
            }
            other => return Err(self.interface().unknown(Act::Call, other)),
        };
        shared.say(&message)?;
        Ok(Parcel::default())
    }
}

impl Agent for EventsAgent {
    fn interface(&self) -> Interface {
        Interface {
            name: EVENTS.to_owned(),
            methods: vec![String::from("emit"), String::from("send")],
            ..Interface::default()
        }
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let done = match request.act {
            Act::Call => self.tell(request.name, request.args),
            act => Err(self.interface().unknown(act, request.name)),
        };
        Box::pin(core::future::ready(done))
    }
}

fn gone() -> CallError {
    Code::Gone.because("the node of KAI has gone").into()
}
