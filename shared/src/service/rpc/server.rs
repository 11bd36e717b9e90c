//! The answering side: requests of other nodes for this one's objects.

use core::panic::AssertUnwindSafe;
use core::task::{Context, Poll, Waker};
use std::panic::catch_unwind;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::abortable;

use super::agent::{Act, Agent, Handling, Request};
use super::client::{Pending, Wish, bad_value};
use super::connection::{body_of, stale};
use super::fault::{CallError, Thrown};
use super::later::Awaited;
use super::news::Listeners;
use super::parcel::Parcel;
use super::reference::{Exported, Held, Place, Reference};
use super::slot::Content;
use super::state::{Export, Key, Room, Running, Side, State};
use super::traced::Traced;
use super::wire::{self, Answer, Ask, Target, message};
use super::{Rpc, check_name};
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{ANSWERED_MAX, HELD_OBJECTS_MAX};
use crate::log::event;
use crate::object::{self, Handle, Pointer};
use crate::service::lane::Turn;
use crate::wire::DecodeError;

/// What a request is for.
pub(super) enum Found {
    Object(Handle, Arc<dyn Agent>),
    Future(Handle, Awaited),
    /// What another call returns.
    Pending(Handling),
}

/// What is done for a request.
enum Begun {
    Now(Handling),
    /// After those that wait for the same result already.
    InTurn(Handling),
    Listening,
}

/// How many wait for a result before it is looked who still does.
const WAITING_BEFORE_LOOKING: usize = 64;

impl Rpc {
    /// A message of a node that asks.
    ///
    /// # Errors
    /// If it is not of the protocol.
    pub(super) fn hear_ask(&self, key: Key, message: &Bytes) -> Result<(), Failure> {
        let (ask, rest) = wire::head::<Ask<'_>>(message, "a request of the protocol of objects")?;
        match ask {
            Ask::Request(request) => return self.hear_request(key, &request, &rest),
            Ask::Cancel(id) => self.with(|state| state.cancel(key, id)),
            Ask::Release { handle, count } => self.with(|state| state.release(key, handle, count)),
            Ask::Forget(id) => self.with(|state| state.forget(key, id)),
            Ask::Taken(transit) => self.with(|state| state.taken(key, Side::Answering, transit)),
        }
        Ok(())
    }

    fn hear_request(
        &self,
        key: Key,
        request: &wire::Request<'_>,
        rest: &Bytes,
    ) -> Result<(), Failure> {
        let id = request.id;
        event!(
            MESSAGE, TRACE, self.node().id(),
            peer = %key.0.short(), call = id, name = request.name,
            "a call comes"
        );
        let value = object::decode(rest).map_err(bad_value)?;
        if let (Target::Agent(name, _), Some(find)) = (&request.target, self.0.finder.get())
            && !self.with(|state| state.names.contains_key(*name))
        {
            find(name);
        }
        let (found, args) = self.with(|state| {
            let connection = state.connection(key)?;
            if connection.running.contains_key(&id) || connection.answered.contains_key(&id) {
                let expected = "the number of a new request";
                return Err(Failure::from(DecodeError::Unexpected { expected, got: id }));
            }
            let room = connection.room(rest.len());
            let side = (key, Side::Answering);
            // What came is held, whatever becomes of the request.
            let args = self.receive(state, side, value, request.transit, true)?;
            let found = room.map_err(CallError::from);
            let found = found.and_then(|room| Ok((self.find(state, key, request)?, room)));
            Ok((found, args))
        })?;
        let begun =
            found.and_then(|(found, room)| Ok((self.begin(key, request, found, args)?, room)));
        match begun {
            Ok((Begun::Now(handling), room)) => self.run(key, id, handling, room),
            Ok((Begun::InTurn(handling), room)) => self.run_later(key, id, handling, room),
            Ok((Begun::Listening, _)) => {}
            Err(error) => self.with(|state| state.fail(key, id, error)),
        }
        Ok(())
    }

    fn find(
        &self,
        state: &mut State,
        key: Key,
        request: &wire::Request<'_>,
    ) -> Result<Found, CallError> {
        check_name(request.name)?;
        let handle = match request.target {
            Target::Agent(name, _) => {
                let handle = state.names.get(name).copied();
                handle.ok_or_else(|| unknown_agent(name))?
            }
            Target::Object(handle) => handle,
            Target::Answer(id) => return self.find_answer(state, key, id),
        };
        match state.exports.get(&handle).map(|export| export.what.clone()) {
            Some(Exported::Object(agent)) => Ok(Found::Object(handle, agent)),
            Some(Exported::Future(future)) => Ok(Found::Future(handle, future)),
            None => Err(stale().into()),
        }
    }

    fn find_answer(&self, state: &mut State, key: Key, id: u64) -> Result<Found, CallError> {
        let answered = state.connection(key)?.answered.get(&id).cloned();
        let slot = state.new_slot(None, Content::Nothing);
        if let Some(reference) = answered {
            state.put(slot, Ok(reference.into()));
            return Ok(Found::Pending(Box::pin(Pending::new(self.clone(), slot))));
        }
        let slots = &mut state.slots;
        let connection = state.connections.get_mut(&key);
        match connection.and_then(|connection| connection.running.get_mut(&id)) {
            Some(Running::Call { waiting, .. }) => {
                if waiting.len() >= WAITING_BEFORE_LOOKING {
                    // Those that were cancelled wait no longer.
                    waiting.retain(|slot| slots.contains_key(slot));
                }
                waiting.push(slot);
                Ok(Found::Pending(Box::pin(Pending::new(self.clone(), slot))))
            }
            _ => {
                slots.remove(&slot);
                Err(no_object())
            }
        }
    }

    /// What is to be done for a request.
    fn begin(
        &self,
        key: Key,
        request: &wire::Request<'_>,
        found: Found,
        args: Parcel,
    ) -> Result<Begun, CallError> {
        let (act, name, caller) = (request.act, request.name, key.0);
        if let (Target::Agent(_, version), Found::Object(_, agent)) = (&request.target, &found)
            && version.is_some()
        {
            agent.interface().check(*version)?;
        }
        let (lane, trace) = (request.lane, request.trace);
        let wish = Wish {
            act,
            name,
            lane,
            trace,
        };
        Ok(match (act, found) {
            (Act::Hold, Found::Object(handle, _) | Found::Future(handle, _)) => {
                self.with(|state| state.hold_asked(key, handle))?;
                Begun::Now(ready(Parcel::default()))
            }
            (Act::Watch | Act::Subscribe, Found::Object(handle, agent)) => {
                self.listen(key, request.id, (act, name), handle, &agent)?;
                Begun::Listening
            }
            (Act::Hold | Act::Watch | Act::Subscribe, _) => return Err(not_of_an_object()),
            (_, found @ Found::Pending(_)) => {
                Begun::InTurn(self.see_to(found, wish, args, Some(caller))?)
            }
            (_, found) => Begun::Now(self.see_to(found, wish, args, Some(caller))?),
        })
    }

    /// Sees to a call, or to what is asked of a property or a future, when its lane lets it.
    pub(super) fn see_to(
        &self,
        found: Found,
        wish: Wish<'_>,
        args: Parcel,
        caller: Option<NodeId>,
    ) -> Result<Handling, CallError> {
        let Some(lane) = wish.lane else {
            return self.see_to_now(found, wish, args, (caller, None));
        };
        let whose = caller.unwrap_or_else(|| self.node().id());
        let weight = args.value().weight();
        let turn = self.lanes().enter(whose, lane, weight)?;
        let (this, act, name) = (self.clone(), wish.act, wish.name.to_owned());
        let trace = wish.trace;
        Ok(Box::pin(async move {
            turn.come().await;
            let wish = Wish {
                trace,
                ..Wish::plain(act, &name)
            };
            let held = Some(turn.clone());
            let result = this.see_to_now(found, wish, args, (caller, held))?.await;
            drop(turn);
            result
        }))
    }

    fn see_to_now(
        &self,
        found: Found,
        wish: Wish<'_>,
        args: Parcel,
        (caller, turn): (Option<NodeId>, Option<Turn>),
    ) -> Result<Handling, CallError> {
        let Wish { act, name, .. } = wish;
        Ok(match found {
            Found::Object(handle, agent) => {
                let traced = self.answers(wish, &*agent, &args, caller);
                let trace = traced.as_ref().map(Traced::context).or(wish.trace);
                let request = Request {
                    act,
                    name,
                    args,
                    caller,
                    turn,
                    trace,
                };
                let handling = self.apply(handle, agent, request)?;
                match traced {
                    Some(traced) => traced.over(handling),
                    None => handling,
                }
            }
            Found::Future(_, future) if act == Act::Await => future.boxed(),
            Found::Future(_, future) => self.apply_later(future, wish, args),
            Found::Pending(pending) => self.apply_later(pending, wish, args),
        })
    }

    /// Lets one of this node's own objects see to a request.
    fn apply(
        &self,
        handle: Handle,
        agent: Arc<dyn Agent>,
        request: Request<'_>,
    ) -> Result<Handling, CallError> {
        let (act, name, caller) = (request.act, request.name, request.caller);
        match act {
            Act::Call | Act::Get => Ok(self.guarded(agent, request)),
            Act::Set => {
                let set = self.guarded(Arc::clone(&agent), request);
                let (this, name) = (self.clone(), name.to_owned());
                Ok(Box::pin(async move {
                    let done = set.await?;
                    if this.is_heard(handle, Act::Watch, &name) {
                        // What it is now may not be what it was set to.
                        let value = this.guarded(agent, read(Act::Get, &name, caller)).await;
                        let values = value.into_iter();
                        values.for_each(|value| this.tell(handle, Act::Watch, &name, value));
                    }
                    Ok(done)
                }))
            }
            Act::Describe => Ok(ready(Parcel::of(&agent.interface())?)),
            Act::Await => Ok(ready(self.share(agent).into())),
            Act::Hold | Act::Watch | Act::Subscribe => Err(not_of_an_object()),
        }
    }

    /// Lets an agent see to a request. If it panics, that is an error of this request and of no other.
    pub(super) fn guarded(&self, agent: Arc<dyn Agent>, request: Request<'_>) -> Handling {
        let this = self.clone();
        match catch_unwind(AssertUnwindSafe(|| agent.handle(request))) {
            Ok(handling) => {
                let handled = AssertUnwindSafe(handling).catch_unwind();
                Box::pin(handled.map(move |result| result.unwrap_or_else(|_| Err(this.panicked()))))
            }
            Err(_) => Box::pin(core::future::ready(Err(self.panicked()))),
        }
    }

    /// What a panic said may hold anything, and so is told to nobody: the platform's own hook has it.
    fn panicked(&self) -> CallError {
        event!(ERROR, ERROR, self.node().id(), "an agent panicked");
        let message = "the object failed in a way that it did not foresee";
        Thrown::new("Panic", message).into()
    }

    /// Asks what is not there yet.
    fn apply_later<F>(&self, coming: F, wish: Wish<'_>, args: Parcel) -> Handling
    where
        F: Future<Output = Result<Parcel, CallError>> + Send + 'static,
    {
        let (act, name, trace) = (wish.act, wish.name.to_owned(), wish.trace);
        Box::pin(async move {
            let come = coming.await?;
            let reference = come.as_reference().ok_or_else(no_object)?;
            reference.proxy().below(trace).ask(act, &name, args).await
        })
    }

    /// Sees to a request: at once as far as it goes, and then beside others.
    fn run(&self, key: Key, id: u64, mut handling: Handling, room: Room) {
        let mut nobody = Context::from_waker(Waker::noop());
        if let Poll::Ready(result) = handling.as_mut().poll(&mut nobody) {
            return self.answer(key, id, result);
        }
        self.run_later(key, id, handling, room);
    }

    fn run_later(&self, key: Key, id: u64, handling: Handling, room: Room) {
        let this = self.clone();
        let (task, abort) = abortable(async move {
            let result = handling.await;
            drop(room);
            this.answer(key, id, result);
        });
        self.with(|state| {
            let waiting = Vec::new();
            let Ok(connection) = state.connection(key) else {
                return state.discard(task);
            };
            let running = Running::Call { abort, waiting };
            connection.running.insert(id, running);
            state.spawn(Box::pin(task.map(drop)));
        });
    }

    fn answer(&self, key: Key, id: u64, result: Result<Parcel, CallError>) {
        let result = result.map(|parcel| (body_of(&parcel), parcel));
        let done = self.with(|state| {
            let Ok(connection) = state.connection(key) else {
                state.discard(result);
                return None;
            };
            let waiting = match connection.running.remove(&id) {
                Some(Running::Call { waiting, .. }) => waiting,
                _ => Vec::new(),
            };
            let reference = match &result {
                Ok((_, parcel)) => Ok(parcel.as_reference().cloned()),
                Err(error) => Err(error.clone()),
            };
            if let Ok(Some(reference)) = &reference
                && connection.answered.len() < ANSWERED_MAX
            {
                connection.answered.insert(id, reference.clone());
            }
            for slot in waiting {
                let come = match &reference {
                    Ok(Some(reference)) => Ok(reference.clone().into()),
                    Ok(None) => Err(no_object()),
                    Err(error) => Err(error.clone()),
                };
                state.put(slot, come);
            }
            match result {
                Ok((body, parcel)) => {
                    let whole = |transit| message(&Answer::Return { id, transit }, &body);
                    if let Err(failure) = state.send(key, Side::Answering, &parcel, whole) {
                        state.forget(key, id);
                        state.fail(key, id, failure.into());
                    }
                    Some((parcel, reference))
                }
                Err(error) => {
                    state.fail(key, id, error);
                    None
                }
            }
        });
        // It may be a program's own: not under the lock.
        drop(done);
    }
}

impl State {
    pub(super) fn fail(&mut self, key: Key, id: u64, error: CallError) {
        let error = error.into();
        let fail = message(&Answer::Fail { id, error }, &[]);
        self.say(key, Side::Answering, fail);
    }

    /// A request is wanted no more.
    fn cancel(&mut self, key: Key, id: u64) {
        self.forget(key, id);
        let Some(connection) = self.connections.get_mut(&key) else {
            return;
        };
        if let Some(running) = connection.running.remove(&id) {
            connection.ready.retain(|ready| *ready != id);
            let cancelled = Code::Cancelled.because("the call before it was cancelled");
            self.stop(key, id, running, &cancelled);
        }
    }

    fn forget(&mut self, key: Key, id: u64) {
        let connection = self.connections.get_mut(&key);
        let answered = connection.and_then(|connection| connection.answered.remove(&id));
        self.discard(answered);
    }

    pub(super) fn taken(&mut self, key: Key, side: Side, transit: u64) {
        let line = self.line(key, side);
        let kept = line.and_then(|line| line.transits.remove(&transit));
        self.discard(kept);
    }

    /// Another node asks to hold an object, of which a third has told it.
    fn hold_asked(&mut self, key: Key, handle: Handle) -> Result<(), CallError> {
        if self.connection(key)?.holds.len() >= HELD_OBJECTS_MAX {
            let message = format!("expected at most {HELD_OBJECTS_MAX} objects to be held");
            return Err(Code::Overloaded.because(message).into());
        }
        let held = self.hold(key, handle);
        held.then_some(()).ok_or_else(|| stale().into())
    }
}

impl Export {
    pub(super) fn new(what: Exported) -> Self {
        Self {
            what,
            guard: Weak::new(),
            holders: 0,
            name: None,
            listeners: Listeners::default(),
        }
    }

    /// The object, held by this node itself: once more, or anew.
    pub(super) fn held(&mut self, rpc: &Rpc, handle: Handle) -> Reference {
        if let Some(held) = self.guard.upgrade() {
            return Reference(held);
        }
        let held = Arc::new(Held {
            pointer: Pointer {
                node: rpc.node().id(),
                handle,
                future: matches!(self.what, Exported::Future(_)),
            },
            place: Place::Here(self.what.clone()),
            rpc: rpc.clone(),
        });
        self.guard = Arc::downgrade(&held);
        Reference(held)
    }
}

impl Exported {
    /// By which the same object is known again.
    pub(super) fn identity(&self) -> Option<usize> {
        match self {
            Self::Object(agent) => Some(Arc::as_ptr(agent).cast::<()>() as usize),
            Self::Future(_) => None,
        }
    }
}

/// Whether an agent has such an event, or property.
pub(super) fn check_interface(agent: &dyn Agent, act: Act, name: &str) -> Result<(), CallError> {
    let interface = agent.interface();
    let has = match (act, &interface.events) {
        (Act::Subscribe, Some(events)) => events.iter().any(|event| event == name),
        _ => true,
    };
    has.then_some(())
        .ok_or_else(|| interface.unknown(act, name))
}

pub(super) fn unknown_agent(name: &str) -> CallError {
    Code::UnknownName
        .because(format!("there is no agent `{name}` there"))
        .into()
}

/// A request for what a property is.
pub(super) fn read(act: Act, name: &str, caller: Option<NodeId>) -> Request<'_> {
    Request {
        act,
        name,
        args: Parcel::default(),
        caller,
        turn: None,
        trace: None,
    }
}

fn ready(parcel: Parcel) -> Handling {
    Box::pin(core::future::ready(Ok(parcel)))
}

fn not_of_an_object() -> CallError {
    Code::BadMessage
        .because("this cannot be asked of an object")
        .into()
}

pub(super) fn no_object() -> CallError {
    Code::UnknownMethod
        .because("the call returned no object that could be asked")
        .into()
}
