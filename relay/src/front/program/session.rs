//! A program that has said hello: what it offers, and what it asks for.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use peerage::Failure;
use peerage::error::Code;
use peerage::limits::{OBJECT_NAME_BYTES_MAX, PROGRAM_NAMES_MAX, PROGRAM_OFFERS_MAX};
use peerage::rpc::{Act, AgentHandle, Interface, Parcel};

use super::agent::Offered;
use super::desk::Desk;
use super::log::log;
use super::requests::Requests;
use super::wire::{Said, failed, of, say};
use crate::front::held::Held;
use crate::front::out::Out;

/// A program, and the node that is held for it.
pub(crate) struct Session {
    held: Held,
    out: Out,
    desk: Arc<Desk>,
    offers: HashMap<String, (AgentHandle, Arc<Offered>)>,
    operations: usize,
    requests: Requests,
}

impl Session {
    pub(crate) fn new(held: Held, out: Out) -> Self {
        Self {
            held,
            desk: Desk::new(out.clone()),
            out,
            offers: HashMap::new(),
            operations: 0,
            requests: Requests::default(),
        }
    }

    /// Hears what the program says.
    ///
    /// # Errors
    /// What ends the conversation.
    pub(crate) fn hear(&mut self, said: Said) -> Result<(), Failure> {
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
                self.requests.check(id)?;
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
                self.requests.check(id)?;
                let offered = self.offer_operation(name);
                self.reply(id, offered)?;
            }
            Said::Property { agent, name, value } => self.changed(&agent, &name, value)?,
            Said::Emit {
                agent,
                event,
                detail,
            } => self.emit(&agent, &event, detail)?,
            Said::Answer { of, answer } => self.desk.answer(of, answer),
            Said::Progress { of, progress } => self.desk.progress(of, progress),
            Said::Accept { of } => self.desk.accept(of),
            Said::Log { level, text } => log(&self.held, &level, &text),
            Said::Ping => self.out.push(say("pong", [])?)?,
            Said::Pong => {}
            Said::Ask { id, what } => self.requests.ask(&self.held, &self.out, id, what)?,
            Said::Cancel { id } => self.requests.cancel(&self.out, id)?,
            Said::Stop { id, kind, reason } => self.requests.stop(id, &kind, reason)?,
        }
        Ok(())
    }

    /// The program has gone: in good order, or nobody knows why.
    pub(crate) fn end(self, in_good_order: bool) {
        self.desk.end();
        drop(self.requests);
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
            let running = Arc::clone(&desk).run(of.clone(), None, work);
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
