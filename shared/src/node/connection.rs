//! What a node tells of its links: with whom, by what, how they stand, and how they begin and end.

use core::fmt;

use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::link::{LinkId, Origin};
use crate::node::{Events, Node};
use crate::quality::Quality;

/// By what a link carries packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Medium {
    /// A WebSocket.
    WebSocket,
    /// A data channel of WebRTC.
    WebRtc,
    /// A peer of ENet, over UDP.
    Enet,
}

impl Medium {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::WebRtc => "webrtc",
            Self::Enet => "enet",
        }
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// It is called, or the two have not greeted each other yet.
    Connecting,
    /// It is in use.
    Connected,
    /// It has ended here, and its last words are on their way.
    Disconnecting,
    /// The last call of this address came to nothing.
    Failed,
}

impl ConnectionState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Disconnecting => "disconnecting",
            Self::Failed => "failed",
        }
    }
}

/// A link of this node, or an address that it calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Which link; `None` for an address without one.
    pub link: Option<LinkId>,
    /// The other node, once that is known.
    pub node: Option<NodeId>,
    /// By what packets travel, as far as the platform tells.
    pub medium: Option<Medium>,
    /// The other end's address, as far as the platform tells.
    pub address: Option<String>,
    /// How it came to be.
    pub origin: Origin,
    /// How it stands.
    pub state: ConnectionState,
    /// For how long there has been a link, or for how long the address has been in this state.
    pub age: Time,
    /// How good it is.
    pub quality: Quality,
    /// Bytes of packets that came.
    pub bytes_in: u64,
    /// Bytes of packets that left.
    pub bytes_out: u64,
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is in use.
    Connected,
    /// It was ended in good order, here or there.
    Disconnected,
    /// It did not come to be.
    Failed,
    /// It broke.
    Lost,
    /// The other side gave no sign of life.
    TimedOut,
}

impl Change {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::TimedOut => "timeout",
        }
    }
}

/// What a node tells its program of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionEvent {
    /// What became of it.
    pub change: Change,
    /// The connection, as it was just then.
    pub connection: Connection,
    /// Why it is no more; `None` if it is in use.
    pub reason: Option<Failure>,
}

impl ConnectionEvent {
    /// With whom a direct link was ended on request, here or there: there shall be none for a while.
    pub fn ended_by_hand(&self) -> Option<NodeId> {
        let by_hand = self.change == Change::Disconnected
            && self.reason.as_ref().map(|reason| reason.code) == Some(Code::Cancelled);
        match self.connection.origin {
            Origin::Direct(peer) if by_hand => Some(peer),
            _ => None,
        }
    }
}

impl Node {
    /// Its links, and the addresses that it calls.
    pub fn connections(&self) -> Vec<Connection> {
        self.lock().machine.connections()
    }

    /// Ends the links with this node, which is told why. What goes over them looks for another way; nobody else
    /// notices. The relay above is not called again before [`Node::dial`] or [`Node::redial`].
    ///
    /// # Errors
    /// `unreachable` if there is no link with it.
    pub fn disconnect(&self, peer: NodeId, reason: &str) -> Result<(), Failure> {
        self.act(|machine| machine.disconnect(peer, reason))
    }

    /// Calls this relay now, and from now on before the others. A node that is linked to another one changes over
    /// once it is welcome; until then, and if it is not, all stays as it is. [`Event::Connection`] tells.
    ///
    /// [`Event::Connection`]: crate::node::Event::Connection
    ///
    /// # Errors
    /// `refused` at the root of a zone, which calls nobody; `left` if this node has left.
    pub fn dial(&self, address: &str) -> Result<(), Failure> {
        self.act(|machine| machine.dial_at(address))
    }

    /// Calls its relays now, unless it is linked to one.
    ///
    /// # Errors
    /// As [`Node::dial`].
    pub fn redial(&self) -> Result<(), Failure> {
        self.act(super::Machine::redial)
    }

    /// Calls a relay as [`Node::dial`] does, and waits for what comes of it.
    ///
    /// # Errors
    /// As [`Node::dial`]; why there is no link.
    pub async fn dialled(&self, address: &str) -> Result<Connection, Failure> {
        let events = self.events();
        self.dial(address)?;
        outcome(events, &without_secrets(address)).await
    }
}

/// A relay's address as it may be told: a password or a token in it may not.
pub fn without_secrets(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// What becomes of the call of an address: the first thing that is told of it.
async fn outcome(mut events: Events, address: &str) -> Result<Connection, Failure> {
    use crate::node::{Event, State};
    loop {
        match events.next().await {
            Event::Connection(event) if event.connection.address.as_deref() == Some(address) => {
                return event.reason.map_or(Ok(event.connection), Err);
            }
            Event::State(State::Closed) => return Err(Code::Left.because("this node has left")),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn an_address_is_told_without_what_is_secret_in_it() {
        for (address, told) in [
            ("ws://me:hush@host:1/mesh?token=hush", "ws://host:1/mesh"),
            ("wss://me:hu@sh@host", "wss://host"),
            ("ws://[::1]:7/mesh#hush", "ws://[::1]:7/mesh"),
            ("enet://host:1", "enet://host:1"),
            ("host:1?hush", "host:1"),
        ] {
            assert_eq!(without_secrets(address), told);
        }
    }
}
