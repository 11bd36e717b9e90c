//! What the machine knows of its links beyond what it needs itself: where they lead, what has passed, and what
//! became of those that are no more.

use std::collections::BTreeMap;

use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{ADDRESS_BYTES_MAX, ADDRESSES_MAX, CLOSING_LINKS_MAX, CLOSING_MAX};
use crate::link::{LinkId, Origin};
use crate::log::event;
use crate::node::connection::{Change, Connection, ConnectionEvent, ConnectionState, Medium};
use crate::node::events::Event;
use crate::node::machine::neighbour::{Link, Phase};
use crate::node::machine::{Machine, Output};
use crate::quality::Quality;

/// The connections that are not links any more, or not yet.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// Ended here; the socket is still there. With the time of the end.
    closing: BTreeMap<LinkId, (Time, Connection)>,
    /// Addresses that are called, or were in vain.
    calls: BTreeMap<String, Call>,
}

/// The last call of an address.
#[derive(Debug)]
struct Call {
    since: Time,
    failed: bool,
}

/// Where a link leads.
#[derive(Debug)]
pub(super) struct Place {
    medium: Medium,
    address: Option<Box<str>>,
}

impl Machine {
    /// Its links, and the addresses that it calls.
    pub fn connections(&self) -> Vec<Connection> {
        let links = self.links.iter();
        let links = links.map(|(id, link)| self.connection(*id, link));
        let Connections { closing, calls } = &self.connections;
        let recent = |since: &Time| self.now < *since + CLOSING_MAX;
        let closing = closing.values().filter(|(since, _)| recent(since));
        let closing = closing.map(|(_, connection)| connection.clone());
        let calls = calls.iter();
        let calls = calls.map(|(address, call)| self.called(address, call));
        links.chain(closing).chain(calls).collect()
    }

    /// The platform tells where a link leads.
    pub fn handle_place(&mut self, now: Time, id: LinkId, medium: Medium, address: Option<&str>) {
        self.handle_time(now);
        let address = address.filter(|address| address.len() <= ADDRESS_BYTES_MAX);
        if let Some(link) = self.links.get_mut(&id) {
            if let (Origin::Dialled, Some(address)) = (link.origin, address) {
                self.connections.calls.remove(address);
            }
            let address = address.map(Into::into);
            link.place = Some(Box::new(Place { medium, address }));
        }
    }

    /// The platform has begun to call an address.
    pub fn handle_calling(&mut self, now: Time, address: &str) {
        self.handle_time(now);
        self.note_call(address, false);
    }

    /// The platform has called an address in vain.
    pub fn handle_call_failed(&mut self, now: Time, address: &str, reason: &str) {
        self.handle_time(now);
        self.note_call(address, true);
        let (since, failed) = (self.now, true);
        let connection = self.called(address, &Call { since, failed });
        let reason = Code::Unreachable.because(reason);
        self.tell_change(Change::Failed, connection, Some(reason));
    }

    fn note_call(&mut self, address: &str, failed: bool) {
        let calls = &mut self.connections.calls;
        let known = calls.contains_key(address) || calls.len() < ADDRESSES_MAX;
        if known && address.len() <= ADDRESS_BYTES_MAX {
            let since = self.now;
            calls.insert(address.to_owned(), Call { since, failed });
        }
    }

    /// Ends all links with a node, which is told the reason.
    pub fn disconnect(&mut self, peer: NodeId, reason: &str) -> Result<(), Failure> {
        let failure = Code::Cancelled.because(reason);
        let with_it = self.links.iter().filter(|(_, link)| link.is_with(peer));
        let links: Vec<_> = with_it.map(|(id, link)| (*id, link.origin)).collect();
        if links.is_empty() {
            return Err(Code::Unreachable
                .because("there is no link with it")
                .of(peer));
        }
        for (id, origin) in links {
            if origin == Origin::Dialled {
                self.leave_relay(id, &failure);
            } else {
                self.refuse(id, failure.clone());
            }
        }
        Ok(())
    }

    /// A link is in use from now on.
    pub(super) fn connected(&mut self, id: LinkId) {
        if let Some(link) = self.links.get(&id) {
            let connection = self.connection(id, link);
            self.tell_change(Change::Connected, connection, None);
        }
    }

    /// A link is no more. Strangers that never said who they are need no mention.
    pub(super) fn disconnected(&mut self, id: LinkId, link: &Link, change: Change, why: Failure) {
        let mut connection = self.connection(id, link);
        let was_up = connection.state == ConnectionState::Connected;
        if change == Change::Lost {
            self.connections.closing.remove(&id);
        } else {
            connection.state = ConnectionState::Disconnecting;
            self.keep_closing(id, connection.clone());
        }
        if was_up {
            self.tell_change(change, connection, Some(why));
        } else if link.origin != Origin::Accepted {
            self.tell_change(Change::Failed, connection, Some(why));
        }
    }

    /// Its socket is closed as well.
    pub(super) fn closed(&mut self, id: LinkId) {
        self.connections.closing.remove(&id);
    }

    fn keep_closing(&mut self, id: LinkId, connection: Connection) {
        let closing = &mut self.connections.closing;
        if closing.len() >= CLOSING_LINKS_MAX {
            closing.pop_first();
        }
        closing.insert(id, (self.now, connection));
    }

    fn tell_change(&mut self, change: Change, connection: Connection, reason: Option<Failure>) {
        let told = ConnectionEvent {
            change,
            connection,
            reason,
        };
        event!(
            CONNECTION,
            DEBUG,
            self.id,
            link = told.connection.link.map(|link| link.0),
            change = change.as_str(),
            reason = told.reason.as_ref().map(|reason| reason.code.as_str()),
            "a connection"
        );
        self.outputs
            .push_back(Output::Event(Event::Connection(Box::new(told))));
    }

    fn connection(&self, id: LinkId, link: &Link) -> Connection {
        let (node, state) = match &link.phase {
            Phase::Up(node) => (Some(*node), ConnectionState::Connected),
            Phase::Probing(node) => (Some(*node), ConnectionState::Connecting),
            Phase::SaidHello(said) => (Some(said.0.id), ConnectionState::Connecting),
            Phase::Called | Phase::Challenged(_) | Phase::Applying => {
                (None, ConnectionState::Connecting)
            }
        };
        let place = link.place.as_deref();
        Connection {
            link: Some(id),
            node,
            medium: place.map(|place| place.medium),
            address: place.and_then(|place| Some(place.address.as_deref()?.to_owned())),
            origin: link.origin,
            state,
            age: self.now.saturating_sub(link.since),
            quality: link.quality,
            bytes_in: link.bytes_in,
            bytes_out: link.bytes_out,
        }
    }

    fn called(&self, address: &str, call: &Call) -> Connection {
        Connection {
            link: None,
            node: None,
            medium: None,
            address: Some(address.to_owned()),
            origin: Origin::Dialled,
            state: match call.failed {
                true => ConnectionState::Failed,
                false => ConnectionState::Connecting,
            },
            age: self.now.saturating_sub(call.since),
            quality: Quality::default(),
            bytes_in: 0,
            bytes_out: 0,
        }
    }
}
