//! Connections: how they begin and end, and how values with references pass through them.

use core::future::poll_fn;
use core::sync::atomic::AtomicU64;
use core::task::Poll;
use std::sync::Arc;

use bytes::Bytes;

use super::Rpc;
use super::agent::Act;
use super::fault::CallError;
use super::line::Line;
use super::parcel::{self, Parcel};
use super::reference::{Held, Place, Reference};
use super::state::{Connection, Key, Side, State};
use super::wire::{Answer, Ask, Target, message};
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::HELD_OBJECTS_MAX;
use crate::node::Stream;
use crate::object::{Form, Handle, Pointer, Value, encode};

impl Rpc {
    /// The connection by which a node is asked; opened if there is none.
    pub(super) fn connection_to(&self, state: &mut State, peer: NodeId) -> Result<Key, Failure> {
        let known = state.sessions.get(&peer).map(|session| (peer, *session));
        if let Some(key) = known
            && state.line(key, Side::Asking).is_some()
        {
            return Ok(key);
        }
        let stream = Arc::new(self.node().open(peer, super::PROTOCOL)?);
        let key = (peer, stream.session());
        state.sessions.insert(peer, stream.session());
        state.connections.entry(key).or_default().asking = Some(Line::new(Arc::clone(&stream)));
        self.attend(state, key, Side::Asking, stream);
        Ok(key)
    }

    /// Another node asks.
    pub(super) fn accept(&self, stream: Stream) {
        let stream = Arc::new(stream);
        let key = (stream.peer(), stream.session());
        self.with(|state| {
            if state.line(key, Side::Answering).is_some() {
                // The other node has begun anew before the end of what was could be seen here.
                state.end(key, &Code::Cancelled.because("the other node began anew"));
            }
            let connection = state.connections.entry(key).or_default();
            connection.answering = Some(Line::new(Arc::clone(&stream)));
            self.attend(state, key, Side::Answering, stream);
        });
    }

    /// Everything ends: this node has left.
    pub(super) fn end_all(&self) {
        let failure = Code::Left.because("this node has left");
        self.with(|state| {
            let keys: Vec<_> = state.connections.keys().copied().collect();
            keys.into_iter().for_each(|key| state.end(key, &failure));
            let handles: Vec<_> = state.exports.keys().copied().collect();
            for handle in handles {
                state.remove_export(handle);
            }
        });
    }

    /// Sends a message with a value in it, made when it is known under which number its references stay
    /// held. References of this node's objects are counted; those of others stay held until the other
    /// node holds them.
    pub(super) fn send(
        state: &mut State,
        key: Key,
        side: Side,
        parcel: &Parcel,
        message: impl FnOnce(Option<u64>) -> Bytes,
    ) -> Result<(), Failure> {
        let pointers = parcel::pointers(parcel.value())?;
        let me = state.me;
        let (own, others): (Vec<_>, Vec<_>) = pointers.into_iter().partition(|p| p.node == me);
        let connection = state.connections.get(&key).ok_or_else(no_connection)?;
        if connection.holds.len() + own.len() > HELD_OBJECTS_MAX {
            let reason =
                format!("the other node holds {HELD_OBJECTS_MAX} objects of this one already");
            return Err(Code::Overloaded.because(reason));
        }
        let kept: Vec<_> = others.iter().filter_map(|p| parcel.reference(p)).collect();
        let kept: Vec<_> = kept.into_iter().cloned().collect();
        let line = state.line(key, side).ok_or_else(no_connection)?;
        let transit = (!kept.is_empty()).then(|| line.keep(kept));
        if let Err(failure) = line.push(message(transit)) {
            let kept = transit.and_then(|transit| line.transits.remove(&transit));
            state.discard(kept);
            return Err(failure);
        }
        for pointer in own {
            state.hold(key, pointer.handle);
        }
        Ok(())
    }

    /// A value has come: what its references refer to is held from now on.
    pub(super) fn receive(
        &self,
        state: &mut State,
        (key, side): (Key, Side),
        value: Value,
        transit: Option<u64>,
    ) -> Result<Parcel, CallError> {
        let mut fetched = Vec::new();
        let references = parcel::pointers(&value).map(|pointers| {
            let each = pointers.into_iter();
            each.map(|pointer| self.take(state, key, pointer, &mut fetched))
                .collect::<Vec<_>>()
        });
        if let Some(transit) = transit {
            if fetched.is_empty() {
                Self::say_taken(state, key, side, transit);
            } else {
                let this = self.clone();
                state.spawn(Box::pin(async move {
                    for fetched in fetched {
                        // Where the object is gone, there is nothing to hold.
                        let _ = fetched.await;
                    }
                    this.with(|state| Self::say_taken(state, key, side, transit));
                }));
            }
        }
        Ok(Parcel::new(value, references?))
    }

    /// What a pointer refers to, from now on held here.
    fn take(
        &self,
        state: &mut State,
        from: Key,
        pointer: &Pointer,
        fetched: &mut Vec<super::client::Pending>,
    ) -> Reference {
        if pointer.node == state.me {
            return self.own(state, pointer);
        }
        let through = if pointer.node == from.0 {
            Ok(from)
        } else {
            self.connection_to(state, pointer.node)
        };
        let through = match through {
            Ok(through) => through,
            Err(failure) => return Reference::stale(self.clone(), pointer.clone(), failure.into()),
        };
        let connection = state.connections.entry(through).or_default();
        let known = connection
            .held
            .get(&pointer.handle)
            .and_then(|held| held.upgrade());
        if let Some(held) = known {
            let reference = Reference(held);
            if through == from {
                reference.came_again();
            }
            return reference;
        }
        let held = Arc::new(Held {
            pointer: pointer.clone(),
            place: Place::There {
                through,
                count: AtomicU64::new(1),
            },
            rpc: self.clone(),
        });
        connection
            .held
            .insert(pointer.handle, Arc::downgrade(&held));
        if through != from {
            let target = Target::Object(pointer.handle);
            let nothing = Parcel::default();
            let asked = (&nothing, &body_of(&nothing));
            // If it cannot be asked, its connection has ended, and every use of it tells so.
            fetched.extend(self.ask(state, through, Act::Hold, target, "", asked).ok());
        }
        Reference(held)
    }

    /// An object of this node that comes home.
    fn own(&self, state: &mut State, pointer: &Pointer) -> Reference {
        let Some(export) = state.exports.get_mut(&pointer.handle) else {
            return Reference::stale(self.clone(), pointer.clone(), stale().into());
        };
        if let Some(held) = export.guard.upgrade() {
            return Reference(held);
        }
        let held = Arc::new(Held {
            pointer: pointer.clone(),
            place: Place::Here(export.what.clone()),
            rpc: self.clone(),
        });
        export.guard = Arc::downgrade(&held);
        Reference(held)
    }

    fn say_taken(state: &mut State, key: Key, side: Side, transit: u64) {
        let said = match side {
            Side::Asking => message(&Ask::Taken(transit), &[]),
            Side::Answering => message(&Answer::Taken(transit), &[]),
        };
        if let Some(line) = state.line(key, side) {
            // If it cannot be said, the connection has ended, and with it what was kept for it.
            let _ = line.push(said);
        }
    }

    /// An object of another node is not held here any longer.
    pub(super) fn release(&self, through: Key, handle: Handle, count: u64) {
        self.with(|state| {
            let Some(connection) = state.connections.get_mut(&through) else {
                return;
            };
            let held = connection.held.get(&handle);
            if held.is_some_and(|held| held.strong_count() == 0) {
                connection.held.remove(&handle);
            }
            if connection.asking.is_none() && self.connection_to(state, through.0) != Ok(through) {
                return;
            }
            if let Some(line) = state.line(through, Side::Asking) {
                let _ = line.push(message(&Ask::Release { handle, count }, &[]));
            }
        });
    }

    /// Lets somebody read from a line, and somebody write to it.
    fn attend(&self, state: &mut State, key: Key, side: Side, stream: Arc<Stream>) {
        let (reading, writing) = (self.clone(), self.clone());
        let read = Arc::clone(&stream);
        state.spawn(Box::pin(async move { reading.read(key, side, read).await }));
        state.spawn(Box::pin(
            async move { writing.write(key, side, stream).await },
        ));
    }

    async fn read(&self, key: Key, side: Side, stream: Arc<Stream>) {
        let failure = loop {
            let heard = match stream.recv().await {
                Ok(Some(message)) => match side {
                    Side::Asking => self.hear_answer(key, &message),
                    Side::Answering => self.hear_ask(key, &message),
                },
                Ok(None) => break Code::Left.because("the other node has no more to say"),
                Err(failure) => break failure,
            };
            if let Err(failure) = heard {
                tracing::warn!(peer = %key.0.short(), %failure, "not of the protocol of objects");
                stream.reset(failure.clone());
                break failure;
            }
        };
        self.with(|state| {
            let line = state.line(key, side);
            if line.is_some_and(|line| Arc::ptr_eq(&line.stream, &stream)) {
                state.end(key, &failure);
            }
        });
    }

    async fn write(&self, key: Key, side: Side, stream: Arc<Stream>) {
        poll_fn(|cx| {
            self.with(|state| {
                loop {
                    let line = state.line(key, side);
                    let line = line.filter(|line| Arc::ptr_eq(&line.stream, &stream));
                    let Some(line) = line else {
                        return Poll::Ready(());
                    };
                    match line.poll_flush(cx) {
                        // Who reads learns why.
                        Poll::Ready(Err(_)) => return Poll::Ready(()),
                        Poll::Ready(Ok(()))
                            if side == Side::Answering && Self::tell_next(state, key) => {}
                        Poll::Ready(Ok(())) | Poll::Pending => return Poll::Pending,
                    }
                }
            })
        })
        .await;
    }
}

impl State {
    /// Another node holds an object of this one, once more.
    pub(super) fn hold(&mut self, key: Key, handle: Handle) -> bool {
        let Some(export) = self.exports.get_mut(&handle) else {
            return false;
        };
        let Some(connection) = self.connections.get_mut(&key) else {
            return false;
        };
        let times = connection.holds.entry(handle).or_default();
        export.holders += usize::from(*times == 0);
        *times += 1;
        true
    }

    pub(super) fn connection(&mut self, key: Key) -> Result<&mut Connection, Failure> {
        self.connections.get_mut(&key).ok_or_else(no_connection)
    }
}

/// The bytes of a value; none for none.
pub(super) fn body_of(parcel: &Parcel) -> Bytes {
    encode(parcel.value(), Form::Natural)
}

pub(super) fn stale() -> Failure {
    Code::Gone.because("the reference is stale: its object is no longer there")
}

fn no_connection() -> Failure {
    Code::Gone.because("the session has ended")
}
