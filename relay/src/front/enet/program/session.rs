//! A program that has said hello: what it offers, and what it asks for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use peerage::Failure;
use peerage::error::Code;
use peerage::limits::{
    OBJECT_NAME_BYTES_MAX, PROGRAM_NAMES_MAX, PROGRAM_OFFERS_MAX, PROGRAM_REQUESTS_MAX,
};
use peerage::rpc::{Act, AgentHandle, Interface, Parcel};
use peerage::service::operation::StopKind;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::agent::Offered;
use super::asks;
use super::desk::{Answer, Desk, progress};
use super::wire::{Said, Wish, failed, of, say};
use crate::front::held::Held;
use crate::front::out::Out;

/// A program, and the node that is held for it.
pub(super) struct Session {
    held: Held,
    out: Out,
    desk: Arc<Desk>,
    offers: HashMap<String, (AgentHandle, Arc<Offered>)>,
    operations: usize,
    asking: Asking,
}

/// What the program has asked for and is not over.
pub(super) type Asking = Arc<Mutex<HashMap<u32, Ask>>>;

/// A request of the program.
pub(super) struct Ask {
    pub(super) task: Option<AbortHandle>,
    /// Where an operation is told to stop.
    pub(super) stop: mpsc::UnboundedSender<(StopKind, String)>,
}

impl Session {
    pub(super) fn new(held: Held, out: Out) -> Self {
        Self {
            held,
            desk: Desk::new(out.clone()),
            out,
            offers: HashMap::new(),
            operations: 0,
            asking: Asking::default(),
        }
    }

    /// Hears what the program says.
    ///
    /// # Errors
    /// What ends the conversation.
    pub(super) fn hear(&mut self, said: Said) -> Result<(), Failure> {
        match said {
            Said::Hello { .. } => {
                return Err(Code::BadMessage.because("expected `hello` once"));
            }
            Said::Offer {
                id,
                agent,
                methods,
                properties,
                events,
            } => {
                let interface = Interface {
                    name: agent,
                    version: None,
                    methods,
                    properties,
                    events: Some(events),
                };
                let offered = self.offer(interface);
                self.reply(id, offered)?;
            }
            Said::Operation { id, name } => {
                let offered = self.offer_operation(name);
                self.reply(id, offered)?;
            }
            Said::Property { agent, name, value } => self.changed(&agent, &name, value)?,
            Said::Emit {
                agent,
                event,
                detail,
            } => self.emit(&agent, &event, detail)?,
            Said::Return { of, value } => self.desk.answer(of, Answer::Value(value)),
            Said::Throw {
                of,
                kind,
                message,
                data,
            } => {
                let thrown = Answer::Thrown {
                    kind,
                    message,
                    data,
                };
                self.desk.answer(of, thrown);
            }
            Said::Progress {
                of,
                fraction,
                remaining_ms,
                note,
                data,
            } => self
                .desk
                .progress(of, progress(fraction, remaining_ms, note, data)),
            Said::Ask { id, what } => self.ask(id, what)?,
            Said::Cancel { id } => self.cancel(id),
            Said::Stop { id, kind, reason } => self.stop(id, &kind, reason)?,
        }
        Ok(())
    }

    /// The program has gone: in good order, or nobody knows why.
    pub(super) fn end(self, in_good_order: bool) {
        self.desk.end();
        let asking = std::mem::take(&mut *lock(&self.asking));
        for task in asking.into_values().filter_map(|ask| ask.task) {
            task.abort();
        }
        if !in_good_order {
            self.held.vanish();
        }
    }

    fn offer(&mut self, interface: Interface) -> Result<(), Failure> {
        self.check_offers()?;
        check_names(&interface)?;
        let name = interface.name.clone();
        let offered = Arc::new(Offered::new(interface, Arc::clone(&self.desk)));
        let handle = self.held.rpc().agent_of(&name, offered.clone())?;
        self.offers.insert(name, (handle, offered));
        Ok(())
    }

    fn offer_operation(&mut self, name: String) -> Result<(), Failure> {
        self.check_offers()?;
        self.operations += 1;
        let (desk, of) = (Arc::clone(&self.desk), name.clone());
        let run = move |work| {
            let running = Arc::clone(&desk).run(of.clone(), work);
            Box::pin(running) as _
        };
        self.held.operations().offer_made(&name, true, run);
        Ok(())
    }

    fn check_offers(&self) -> Result<(), Failure> {
        if self.offers.len() + self.operations < PROGRAM_OFFERS_MAX {
            return Ok(());
        }
        let message = format!("expected at most {PROGRAM_OFFERS_MAX} agents and operations");
        Err(Code::Overloaded.because(message))
    }

    fn changed(&self, agent: &str, name: &str, value: Parcel) -> Result<(), Failure> {
        let (handle, offered) = self.offered(agent)?;
        offered.set(name, value.clone())?;
        handle.emitter().tell(Act::Watch, name, value);
        Ok(())
    }

    fn emit(&self, agent: &str, event: &str, detail: Parcel) -> Result<(), Failure> {
        let (handle, offered) = self.offered(agent)?;
        if !offered.has_event(event) {
            let message = format!("expected an event of `{agent}`, got `{event}`");
            return Err(Code::BadMessage.because(message));
        }
        handle.emitter().tell(Act::Subscribe, event, detail);
        Ok(())
    }

    fn offered(&self, agent: &str) -> Result<&(AgentHandle, Arc<Offered>), Failure> {
        let unknown = || Code::BadMessage.because(format!("`{agent}` was not offered"));
        self.offers.get(agent).ok_or_else(unknown)
    }

    /// Tells whether something could be done.
    fn reply(&self, id: u32, done: Result<(), Failure>) -> Result<(), Failure> {
        let message: Bytes = match done {
            Ok(()) => say("result", [of(&id), Parcel::default()])?,
            Err(failure) => failed(id, &failure.into())?,
        };
        self.out.push(message)
    }

    fn ask(&self, id: u32, what: Wish) -> Result<(), Failure> {
        let (stop, stopped) = mpsc::unbounded_channel();
        {
            let mut asking = lock(&self.asking);
            if asking.contains_key(&id) {
                let message = format!("request {id} is not over yet");
                return Err(Code::BadMessage.because(message));
            }
            if asking.len() >= PROGRAM_REQUESTS_MAX {
                let message = format!("expected at most {PROGRAM_REQUESTS_MAX} requests at once");
                let failure = Code::Overloaded.because(message);
                drop(asking);
                return self.reply(id, Err(failure));
            }
            asking.insert(id, Ask { task: None, stop });
        }
        // What is asked leaves in its order: before anything waits.
        let working = asks::begin(&self.held, id, what, self.out.clone(), stopped);
        let asking = Arc::clone(&self.asking);
        let task = tokio::spawn(async move {
            working.await;
            lock(&asking).remove(&id);
        });
        if let Some(ask) = lock(&self.asking).get_mut(&id) {
            ask.task = Some(task.abort_handle());
        }
        Ok(())
    }

    fn cancel(&self, id: u32) {
        let ask = lock(&self.asking).remove(&id);
        if let Some(task) = ask.and_then(|ask| ask.task) {
            task.abort();
        }
    }

    fn stop(&self, id: u32, kind: &str, reason: String) -> Result<(), Failure> {
        let kind = match kind {
            "cancel" => StopKind::Cancel,
            "abort" => StopKind::Abort,
            other => {
                let message = format!("expected `cancel` or `abort`, got `{other}`");
                return Err(Code::BadMessage.because(message));
            }
        };
        if let Some(ask) = lock(&self.asking).get(&id) {
            // It may be over.
            let _ = ask.stop.send((kind, reason));
        }
        Ok(())
    }
}

fn lock(asking: &Asking) -> std::sync::MutexGuard<'_, HashMap<u32, Ask>> {
    asking.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an agent of a program has is of a size.
fn check_names(interface: &Interface) -> Result<(), Failure> {
    let events = interface.events.as_deref().unwrap_or_default();
    let lists = [&interface.methods[..], &interface.properties, events];
    let names = lists.into_iter().flatten();
    let (count, longest) = names.fold((0, 0), |(count, longest), name| {
        (count + 1, name.len().max(longest))
    });
    if count > PROGRAM_NAMES_MAX || longest > OBJECT_NAME_BYTES_MAX {
        let message = format!(
            "expected at most {PROGRAM_NAMES_MAX} names of at most {OBJECT_NAME_BYTES_MAX} bytes, \
             got {count} of up to {longest}"
        );
        return Err(Code::TooLarge.because(message));
    }
    Ok(())
}
