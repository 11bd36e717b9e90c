//! Between a node and its platform. The platform's loop is the same everywhere: tell the driver what
//! happened, do what it says, and come back at the deadline at the latest.

use core::task::{Context, Poll};
use std::sync::Arc;

use bytes::Bytes;

use crate::Time;
use crate::config::Config;
use crate::id::{Identity, NodeId};
use crate::link::{LinkId, Origin};
use crate::node::connection::Medium;
use crate::node::events::State;
use crate::node::handle::{Node, Shared};
use crate::node::machine::{Machine, Output};
use crate::node::tap::Direction;

/// The platform's side of a node. The node goes on for as long as somebody runs this.
pub struct Driver(Arc<Shared>);

/// What happened outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// A link has come to be.
    LinkUp(LinkId, Origin),
    /// Whoever is at the other end of a link that this node has made must be this node.
    Expect(LinkId, NodeId),
    /// The relay could not be called, and why.
    DialFailed(String),
    /// A packet came.
    Packet(LinkId, Bytes),
    /// Where a link leads, told once it is up.
    Place(LinkId, Medium, Option<String>),
    /// A relay's address is called now.
    Calling(String),
    /// A relay's address was called in vain, and why. [`Input::DialFailed`] tells once all were.
    CallFailed(String, String),
    /// The link takes packets, or takes none for now.
    Writable(LinkId, bool),
    /// The link has ended, and why.
    LinkDown(LinkId, String),
    /// The relay may be reachable again.
    Online,
}

/// What the platform is to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Call the relay.
    Dial,
    /// Call the relay at this address now, and from now on before the others.
    DialAt(String),
    /// Send a packet.
    Send(LinkId, Bytes),
    /// End a link after what was sent before; the reason's name goes along where the transport has
    /// room for one.
    Close(LinkId, crate::Failure),
    /// The node has left, and nothing more is to be done.
    Finish,
}

impl Driver {
    /// A node and its driver, at the time `now`. All its random numbers come from `seed`.
    pub fn new(config: Config, identity: Identity, seed: [u8; 32], now: Time) -> (Node, Self) {
        let shared = Arc::new(Shared::new(Machine::new(config, identity, seed, now)));
        (Node(Arc::clone(&shared)), Self(shared))
    }

    /// Tells what happened.
    pub fn handle(&self, now: Time, input: Input) {
        let mut inner = self.0.lock();
        if let Input::Packet(id, packet) = &input {
            inner.taps.note_packet(now, Direction::In, *id, packet);
        }
        let machine = &mut inner.machine;
        match input {
            Input::LinkUp(id, origin) => machine.handle_link_up(now, id, origin),
            Input::Expect(id, node) => machine.handle_expect(id, node),
            Input::DialFailed(reason) => machine.handle_dial_failed(now, &reason),
            Input::Packet(id, packet) => machine.handle_packet(now, id, packet),
            Input::Writable(id, writable) => machine.handle_writable(now, id, writable),
            Input::LinkDown(id, reason) => machine.handle_link_down(now, id, &reason),
            Input::Place(id, medium, address) => {
                machine.handle_place(now, id, medium, address.as_deref());
            }
            Input::Calling(address) => machine.handle_calling(now, &address),
            Input::CallFailed(address, reason) => {
                machine.handle_call_failed(now, &address, &reason);
            }
            Input::Online => machine.handle_online(now),
        }
    }

    /// The next thing to do. Pending until something happens, or until [`Driver::deadline`].
    pub fn poll_action(&self, now: Time, cx: &Context<'_>) -> Poll<Action> {
        let mut inner = self.0.lock();
        inner.machine.handle_time(now);
        inner.timers.run(now);
        if let Some(output) = inner.poll_output() {
            return Poll::Ready(match output {
                Output::Dial => Action::Dial,
                Output::DialAt(address) => Action::DialAt(address),
                Output::Send(id, packet) => {
                    inner.taps.note_packet(now, Direction::Out, id, &packet);
                    Action::Send(id, packet)
                }
                Output::Close(id, failure) => Action::Close(id, failure),
                Output::Event(_) => return Poll::Pending,
            });
        }
        if *inner.machine.state() == State::Closed {
            return Poll::Ready(Action::Finish);
        }
        inner.driver = Some(cx.waker().clone());
        Poll::Pending
    }

    /// When [`Driver::poll_action`] must be called again at the latest.
    pub fn deadline(&self) -> Option<Time> {
        let inner = self.0.lock();
        [inner.machine.deadline(), inner.timers.due()]
            .into_iter()
            .flatten()
            .min()
    }
}
