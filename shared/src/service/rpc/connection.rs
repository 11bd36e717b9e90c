//! Connections: how they begin and end, and how values with references pass through them.

use core::future::poll_fn;
use core::sync::atomic::AtomicU64;
use core::task::Poll;
use std::sync::Arc;

use bytes::Bytes;

use super::Rpc;
use super::agent::Act;
use super::client::{Pending, Wish};
use super::fault::CallError;
use super::line::Line;
use super::parcel::{self, Parcel};
use super::reference::{Held, Place, Reference};
use super::state::{Connection, Key, Side, State};
use super::wire::{Answer, Ask, Target, message};
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{FETCHES_MAX, HELD_OBJECTS_MAX};
use crate::log::event;
use crate::node::Stream;
use crate::object::{Form, Handle, Pointer, Value, encode};

impl Rpc {
    /// The connection by which a node is asked; opened if there is none.
    pub(super) fn connection_to(&self, state: &mut State, peer: NodeId) -> Result<Key, Failure> {
        if let Some(key) = state.asked_by.get(&peer) {
            return Ok(*key);
        }
        if let Some(failure) = &state.closed {
            return Err(failure.clone());
        }
        let stream = Arc::new(self.node().open(peer, super::PROTOCOL)?);
        let key = state.connection_of(peer, stream.session());
        state.asked_by.insert(peer, key);
        event!(
            MESSAGE, DEBUG, state.me,
            peer = %peer.short(), session = stream.session(),
            "objects: a node is asked from now on"
        );
        state.connection(key)?.asking = Some(Line::new(Arc::clone(&stream)));
        self.attend(state, key, Side::Asking, stream);
        Ok(key)
    }

    /// Another node asks.
    pub(super) fn accept(&self, stream: Stream) {
        let stream = Arc::new(stream);
        self.with(|state| {
            event!(
                MESSAGE, DEBUG, state.me,
                peer = %stream.peer().short(), session = stream.session(),
                "objects: a node asks from now on"
            );
            let mut key = state.connection_of(stream.peer(), stream.session());
            if state.line(key, Side::Answering).is_some() {
                // The other node has begun anew before the end of what was could be seen here.
                state.end(key, &Code::Cancelled.because("the other node began anew"));
                key = state.connection_of(stream.peer(), stream.session());
            }
            if let Ok(connection) = state.connection(key) {
                connection.answering = Some(Line::new(Arc::clone(&stream)));
            }
            self.attend(state, key, Side::Answering, stream);
        });
    }

    /// Everything ends: nobody serves any more.
    pub(super) fn end_all(&self) {
        let failure = Code::Left.because("this node serves its objects no more");
        self.with(|state| {
            state.closed = Some(failure.clone());
            let (tasks, server) = (std::mem::take(&mut state.spawned), state.server.take());
            state.discard((tasks, server));
            let keys: Vec<_> = state.connections.keys().copied().collect();
            keys.into_iter().for_each(|key| state.end(key, &failure));
            let handles: Vec<_> = state.exports.keys().copied().collect();
            for handle in handles {
                state.remove_export(handle, &failure);
            }
            let slots: Vec<_> = state.slots.keys().copied().collect();
            for slot in slots {
                state.put(slot, Err(failure.clone().into()));
            }
        });
    }

    /// A value has come: what its references refer to is held from now on. Of one that nobody wants, only
    /// what the other node has counted is taken, to be given back.
    ///
    /// # Errors
    /// If there are more references in it than may be.
    pub(super) fn receive(
        &self,
        state: &mut State,
        (key, side): (Key, Side),
        value: Value,
        transit: Option<u64>,
        is_wanted: bool,
    ) -> Result<Parcel, Failure> {
        let mut fetched = Vec::new();
        let pointers = parcel::pointers(&value)?.into_iter();
        let pointers = pointers.filter(|pointer| is_wanted || pointer.node == key.0);
        let references = pointers.map(|pointer| self.take(state, key, pointer, &mut fetched));
        let references = references.collect();
        if !fetched.is_empty() {
            self.await_holds(state, (key, side), fetched, transit);
        } else if let Some(transit) = transit {
            state.say_taken(key, side, transit);
        }
        Ok(Parcel::new(value, references))
    }

    /// Waits until objects of third nodes are held, and then tells who sent them.
    fn await_holds(
        &self,
        state: &mut State,
        (key, side): (Key, Side),
        fetched: Vec<Pending>,
        transit: Option<u64>,
    ) {
        let (this, count) = (self.clone(), fetched.len());
        if let Ok(connection) = state.connection(key) {
            connection.fetching += count;
        }
        state.spawn(Box::pin(async move {
            for fetched in fetched {
                // Where the object is gone, there is nothing to hold.
                let _ = fetched.await;
            }
            this.with(|state| {
                if let Ok(connection) = state.connection(key) {
                    connection.fetching -= count;
                }
                if let Some(transit) = transit {
                    state.say_taken(key, side, transit);
                }
            });
        }));
    }

    /// What a pointer refers to, from now on held here.
    fn take(
        &self,
        state: &mut State,
        from: Key,
        pointer: &Pointer,
        fetched: &mut Vec<Pending>,
    ) -> Reference {
        let taken = if pointer.node == state.me {
            // It comes home.
            let export = state.exports.get_mut(&pointer.handle);
            let own = export.map(|export| export.held(self, pointer.handle));
            own.ok_or_else(|| stale().into())
        } else if pointer.node == from.0 {
            self.take_theirs(state, from, pointer)
        } else {
            self.take_third(state, from, pointer, fetched)
        };
        taken.unwrap_or_else(|error| Reference::stale(self.clone(), pointer.clone(), error))
    }

    /// An object of the node that sent it, which has counted that.
    fn take_theirs(
        &self,
        state: &mut State,
        from: Key,
        pointer: &Pointer,
    ) -> Result<Reference, CallError> {
        let connection = state.connection(from)?;
        if let Some(known) = connection.known(pointer) {
            known.came_again();
            return Ok(known);
        }
        Ok(connection.add(self, from, pointer))
    }

    /// An object of a third node, which is asked to keep it for this one.
    fn take_third(
        &self,
        state: &mut State,
        from: Key,
        pointer: &Pointer,
        fetched: &mut Vec<Pending>,
    ) -> Result<Reference, CallError> {
        let through = self.connection_to(state, pointer.node)?;
        if let Some(known) = state.connection(through)?.known(pointer) {
            return Ok(known);
        }
        if state.connection(from)?.fetching + fetched.len() >= FETCHES_MAX {
            let message =
                format!("{FETCHES_MAX} objects that this node told of are being asked for");
            return Err(Code::Overloaded.because(message).into());
        }
        let (target, nothing) = (Target::Object(pointer.handle), Parcel::default());
        let asked = (&nothing, &body_of(&nothing));
        fetched.push(self.ask(state, through, target, Wish::plain(Act::Hold, ""), asked)?);
        Ok(state.connection(through)?.add(self, through, pointer))
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
            let release = Ask::Release { handle, count };
            state.say(through, Side::Asking, message(&release, &[]));
        });
    }

    /// Lets somebody read from a line, and somebody write to it.
    fn attend(&self, state: &mut State, key: Key, side: Side, stream: Arc<Stream>) {
        let (reading, writing) = (self.clone(), self.clone());
        state.spawn(Box::pin(
            async move { reading.read(key, side, stream).await },
        ));
        state.spawn(Box::pin(async move { writing.write(key, side).await }));
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
                event!(
                    ERROR, WARN, self.node().id(),
                    peer = %key.0.short(), session = stream.session(), code = %failure.code,
                    "not of the protocol of objects"
                );
                stream.reset(failure.clone());
                break failure;
            }
        };
        self.with(|state| state.end(key, &failure));
    }

    async fn write(&self, key: Key, side: Side) {
        poll_fn(|cx| {
            self.with(|state| {
                loop {
                    let Some(line) = state.line(key, side) else {
                        return Poll::Ready(());
                    };
                    match line.poll_flush(cx) {
                        Poll::Ready(Err(failure)) => {
                            state.end(key, &failure);
                            return Poll::Ready(());
                        }
                        Poll::Ready(Ok(())) if side == Side::Answering && state.tell_next(key) => {}
                        Poll::Ready(Ok(())) | Poll::Pending => return Poll::Pending,
                    }
                }
            })
        })
        .await;
    }
}

impl State {
    /// Sends a message with a value in it, made when it is known under which number its references stay
    /// held. References of this node's objects are counted; those of others stay held until the other
    /// node holds them.
    pub(super) fn send(
        &mut self,
        key: Key,
        side: Side,
        parcel: &Parcel,
        message: impl FnOnce(Option<u64>) -> Bytes,
    ) -> Result<(), Failure> {
        let pointers = parcel::pointers(parcel.value())?;
        let me = self.me;
        let (own, others): (Vec<_>, Vec<_>) = pointers.into_iter().partition(|p| p.node == me);
        if self.connection(key)?.holds.len() + own.len() > HELD_OBJECTS_MAX {
            let message =
                format!("the other node holds {HELD_OBJECTS_MAX} objects of this one already");
            return Err(Code::Overloaded.because(message));
        }
        let kept = others.iter().filter_map(|p| parcel.reference(p)).cloned();
        let kept: Vec<_> = kept.collect();
        let line = self.line(key, side).ok_or_else(no_connection)?;
        let transit = match kept.is_empty() {
            true => None,
            false => Some(line.keep(kept)?),
        };
        if let Err(failure) = line.push(message(transit)) {
            let kept = transit.and_then(|transit| line.transits.remove(&transit));
            self.discard(kept);
            return Err(failure);
        }
        for pointer in own {
            self.hold(key, pointer.handle);
        }
        Ok(())
    }

    fn say_taken(&mut self, key: Key, side: Side, transit: u64) {
        let said = match side {
            Side::Asking => message(&Ask::Taken(transit), &[]),
            Side::Answering => message(&Answer::Taken(transit), &[]),
        };
        self.say(key, side, said);
    }

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

impl Connection {
    /// An object that is held here already.
    fn known(&self, pointer: &Pointer) -> Option<Reference> {
        self.held.get(&pointer.handle)?.upgrade().map(Reference)
    }

    /// One more object that is held here.
    fn add(&mut self, rpc: &Rpc, through: Key, pointer: &Pointer) -> Reference {
        let held = Arc::new(Held {
            pointer: pointer.clone(),
            place: Place::There {
                through,
                count: AtomicU64::new(1),
            },
            rpc: rpc.clone(),
        });
        self.held.insert(pointer.handle, Arc::downgrade(&held));
        Reference(held)
    }
}

/// The bytes of a value.
pub(super) fn body_of(parcel: &Parcel) -> Bytes {
    encode(parcel.value(), Form::Natural)
}

pub(super) fn stale() -> Failure {
    Code::Gone.because("the reference is stale: its object is no longer there")
}

fn no_connection() -> Failure {
    Code::Gone.because("the session has ended")
}
