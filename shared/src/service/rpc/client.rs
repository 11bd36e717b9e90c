//! The asking side: requests for other nodes' objects, and their answers.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::abortable;

use super::Rpc;
use super::agent::{Act, Handling};
use super::call::Listening;
use super::connection::{body_of, stale};
use super::fault::CallError;
use super::news::Listener;
use super::parcel::Parcel;
use super::reference::{Exported, Place, Reference};
use super::server::{Found, check_interface, no_object, unknown_agent};
use super::slot::Content;
use super::state::{Key, Side, State};
use super::wire::{self, Answer, Ask, Target, message};
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::REQUESTS_MAX;
use crate::log::event;
use crate::object;
use crate::trace;

/// What is wanted of an object.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) act: Act,
    /// Of a method, a property or an event.
    pub(super) name: &'a str,
    pub(super) lane: Option<&'a str>,
    /// The span of a trace to which it belongs.
    pub(super) trace: Option<trace::Context>,
}

impl<'a> Wish<'a> {
    /// In no lane, and no trace.
    pub(super) fn plain(act: Act, name: &'a str) -> Self {
        Self {
            act,
            name,
            lane: None,
            trace: None,
        }
    }
}

/// The slot of an answer; what was asked is cancelled when this is dropped before.
pub(super) struct Pending {
    rpc: Rpc,
    id: u64,
}

impl Pending {
    pub(super) fn new(rpc: Rpc, id: u64) -> Self {
        Self { rpc, id }
    }

    /// Through which connection it was asked, and by what number; what is done here has none.
    pub(super) fn asked(&self) -> Option<(Key, u64)> {
        let through = self.rpc.with(|state| state.slots.get(&self.id)?.through);
        through.map(|key| (key, self.id))
    }

    /// Why it failed, if that is known and was not taken.
    pub(super) fn failure(&self) -> Option<CallError> {
        self.rpc
            .with(|state| match &state.slots.get(&self.id)?.content {
                Content::Result(Err(error)) => Some(error.clone()),
                _ => None,
            })
    }

    /// Lets it end as cancelled, here and there.
    pub(super) fn cancel(&self) {
        self.rpc.with(|state| state.cancel_slot(self.id));
    }

    pub(super) fn missed(&self) -> u64 {
        self.rpc.with(
            |state| match state.slots.get_mut(&self.id).map(|slot| &mut slot.content) {
                Some(Content::Stream { missed, .. }) => std::mem::take(missed),
                _ => 0,
            },
        )
    }

    pub(super) fn poll_result(&self, cx: &Context<'_>) -> Poll<Result<Parcel, CallError>> {
        self.poll(cx, |content| {
            match std::mem::replace(content, Content::Taken) {
                Content::Result(result) => Some(result),
                other => {
                    *content = other;
                    None
                }
            }
        })
    }

    pub(super) fn poll_next(&self, cx: &Context<'_>) -> Poll<Result<Parcel, CallError>> {
        self.poll(cx, |content| match content {
            Content::Stream {
                items,
                bytes,
                ended,
                ..
            } => match items.pop_front() {
                Some((item, size)) => {
                    *bytes -= size;
                    Some(Ok(item))
                }
                None => ended.clone().map(Err),
            },
            _ => None,
        })
    }

    pub(super) fn poll_begun(&self, cx: &Context<'_>) -> Poll<Result<(), CallError>> {
        self.poll(cx, |content| match content {
            Content::Stream { begun: true, .. } => Some(Ok(())),
            Content::Stream {
                ended: Some(error), ..
            } => Some(Err(error.clone())),
            _ => None,
        })
    }

    fn poll<T>(
        &self,
        cx: &Context<'_>,
        look: impl FnOnce(&mut Content) -> Option<Result<T, CallError>>,
    ) -> Poll<Result<T, CallError>> {
        self.rpc.with(|state| {
            let Some(slot) = state.slots.get_mut(&self.id) else {
                return Poll::Ready(Err(Code::Cancelled.because("the call is over").into()));
            };
            if let Some(found) = look(&mut slot.content) {
                return Poll::Ready(found);
            }
            slot.waker = Some(cx.waker().clone());
            Poll::Pending
        })
    }
}

impl Future for Pending {
    type Output = Result<Parcel, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_result(cx)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // What was in the slot is dropped here, when the lock is free.
        drop(self.rpc.with(|state| state.abandon(self.id)));
    }
}

impl Rpc {
    /// A message of a node that answers.
    ///
    /// # Errors
    /// If it is not of the protocol.
    pub(super) fn hear_answer(&self, key: Key, message: &Bytes) -> Result<(), Failure> {
        let (answer, rest) = wire::head::<Answer>(message, "an answer of the protocol of objects")?;
        match answer {
            Answer::Return { id, transit } => {
                let value = object::decode(&rest).map_err(bad_value)?;
                self.with(|state| {
                    state.connection(key)?;
                    let (side, asked) = ((key, Side::Asking), state.is_asked(key, id));
                    let come = self.receive(state, side, value, transit, asked)?;
                    state.put_from(key, id, Ok(come));
                    Ok::<_, Failure>(())
                })?;
            }
            Answer::Fail { id, error } => {
                self.with(|state| state.put_from(key, id, Err(error.into())));
            }
            Answer::Next {
                id,
                missed,
                transit,
            } => {
                let (size, value) = (rest.len(), object::decode(&rest).map_err(bad_value)?);
                self.with(|state| {
                    state.connection(key)?;
                    let (side, asked) = ((key, Side::Asking), state.is_asked(key, id));
                    let come = self.receive(state, side, value, transit, asked)?;
                    match asked {
                        true => state.put_next(id, come, size, missed),
                        false => state.discard(come),
                    }
                    Ok::<_, Failure>(())
                })?;
            }
            Answer::Taken(transit) => self.with(|state| state.taken(key, Side::Asking, transit)),
        }
        Ok(())
    }

    /// Asks a node, over the connection that there is or a new one.
    pub(super) fn send_to(
        &self,
        peer: NodeId,
        target: Target<'_>,
        wish: Wish<'_>,
        args: &Parcel,
    ) -> Result<Pending, CallError> {
        let body = body_of(args);
        self.with(|state| {
            let key = self.connection_to(state, peer)?;
            match self.ask(state, key, target.clone(), wish, (args, &body)) {
                // What had ended before it was asked does not answer; another may.
                Err(CallError::Failed(failure)) if is_end(failure.code) => {
                    state.end(key, &failure);
                    let key = self.connection_to(state, peer)?;
                    self.ask(state, key, target, wish, (args, &body))
                }
                other => other,
            }
        })
    }

    pub(super) fn send_through(
        &self,
        key: Key,
        target: Target<'_>,
        wish: Wish<'_>,
        args: &Parcel,
    ) -> Result<Pending, CallError> {
        let body = body_of(args);
        self.with(|state| {
            state.connection(key)?;
            if state.line(key, Side::Asking).is_none() && self.connection_to(state, key.0)? != key {
                return Err(stale().into());
            }
            self.ask(state, key, target, wish, (args, &body))
        })
    }

    pub(super) fn ask(
        &self,
        state: &mut State,
        key: Key,
        target: Target<'_>,
        Wish {
            act,
            name,
            lane,
            trace,
        }: Wish<'_>,
        (args, body): (&Parcel, &Bytes),
    ) -> Result<Pending, CallError> {
        if state.connection(key)?.asked >= REQUESTS_MAX {
            let message = format!("{REQUESTS_MAX} calls to this node are under way already");
            return Err(Code::Overloaded.because(message).into());
        }
        let content = match act {
            Act::Watch | Act::Subscribe => Content::stream(act),
            _ => Content::Nothing,
        };
        let id = state.new_slot(Some(key), content);
        event!(MESSAGE, TRACE, state.me, peer = %key.0.short(), call = id, name, "a call");
        let whole = |transit| {
            let request = wire::Request {
                id,
                act,
                target,
                name,
                transit,
                lane,
                trace,
            };
            message(&Ask::Request(request), body)
        };
        if let Err(failure) = state.send(key, Side::Asking, args, whole) {
            state.slots.remove(&id);
            return Err(failure.into());
        }
        state.connection(key)?.asked += 1;
        Ok(Pending::new(self.clone(), id))
    }

    pub(super) fn ask_object(
        &self,
        reference: &Reference,
        wish: Wish<'_>,
        args: Parcel,
    ) -> Result<Pending, CallError> {
        let handle = reference.pointer().handle;
        let found = match &reference.0.place {
            Place::Here(Exported::Object(agent)) => Found::Object(handle, Arc::clone(agent)),
            Place::Here(Exported::Future(future)) => Found::Future(handle, future.clone()),
            Place::There { through, .. } => {
                return self.send_through(*through, Target::Object(handle), wish, &args);
            }
            Place::Stale(error) => return Err(error.clone()),
        };
        Ok(self.start(self.see_to(found, wish, args, None)?))
    }

    /// Does something here, from now on, for which somebody waits.
    pub(super) fn start(&self, mut handling: Handling) -> Pending {
        let id = self.with(|state| state.new_slot(None, Content::Nothing));
        let mut nobody = Context::from_waker(Waker::noop());
        let this = self.clone();
        match handling.as_mut().poll(&mut nobody) {
            Poll::Ready(result) => self.with(|state| state.put(id, result)),
            Poll::Pending => {
                let (task, abort) = abortable(async move {
                    let result = handling.await;
                    this.with(|state| state.put(id, result));
                });
                self.with(|state| {
                    if let Some(failure) = state.closed.clone() {
                        state.put(id, Err(failure.into()));
                    }
                    if let Some(slot) = state.slots.get_mut(&id) {
                        slot.task = Some(abort);
                    }
                    state.spawn(Box::pin(task.map(drop)));
                });
            }
        }
        Pending::new(self.clone(), id)
    }

    /// An agent of this node's own.
    pub(super) fn named(&self, name: &str, version: Option<u32>) -> Result<Reference, CallError> {
        let found = self.with(|state| {
            let handle = state.names.get(name)?;
            state.exports.get(handle)?.guard.upgrade().map(Reference)
        });
        let reference = found.ok_or_else(|| unknown_agent(name))?;
        if let Some(agent) = reference.local() {
            agent.interface().check(version)?;
        }
        Ok(reference)
    }

    pub(super) fn listen_to(
        &self,
        reference: &Reference,
        act: Act,
        name: &str,
    ) -> Result<Listening, CallError> {
        let handle = reference.pointer().handle;
        let agent = match &reference.0.place {
            Place::Here(Exported::Object(agent)) => agent,
            Place::Here(Exported::Future(_)) => return Err(no_object()),
            Place::There { through, .. } => {
                let target = Target::Object(handle);
                let wish = Wish::plain(act, name);
                let sent = self.send_through(*through, target, wish, &Parcel::default())?;
                return Ok(Listening::On {
                    pending: sent,
                    _object: Some(reference.clone()),
                });
            }
            Place::Stale(error) => return Err(error.clone()),
        };
        check_interface(&**agent, act, name)?;
        let listener = self.with(|state| {
            let id = state.new_slot(None, Content::stream(act));
            state.put(id, Ok(Parcel::default()));
            if let Some(slot) = state.slots.get_mut(&id) {
                slot.listens_to = Some(handle);
            }
            let listener = Listener {
                act,
                name: name.into(),
                through: None,
                id,
            };
            state.add_listener(handle, listener.clone());
            listener
        });
        let pending = Pending::new(self.clone(), listener.id);
        if act == Act::Watch {
            self.tell_present(handle, Arc::clone(agent), listener);
        }
        Ok(Listening::On {
            pending,
            _object: Some(reference.clone()),
        })
    }
}

/// What is no value is against the protocol: nobody sends one that is too large for the other side.
pub(super) fn bad_value(error: object::ObjectError) -> Failure {
    Code::BadMessage.because(error.to_string())
}

/// Whether a failure to send means that nothing can be sent any more.
fn is_end(code: Code) -> bool {
    !matches!(code, Code::TooLarge | Code::Overloaded)
}
