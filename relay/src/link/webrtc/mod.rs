//! Links over WebRTC data channels: all of a node's on one UDP socket, in one task. The socket is also where a
//! relay answers STUN and TURN; by the first byte of a datagram (RFC 7983) it is known for whom it is.

mod addresses;
mod mirror;
mod peer;
mod port;
mod relayed;
mod socket;
mod sources;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peerage::error::Code;
use peerage::{Failure, NodeId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::runtime::Runtime;
use crate::stun::Stun;
use port::{Order, Port};
pub(crate) use relayed::allocations_max;
pub(crate) use socket::{Datagram, Socket};

/// How often a STUN server is asked until it answers.
const ASK_AGAIN: Duration = Duration::from_millis(150);

/// The way to the task; clones are the same. It ends when the last one is dropped, with its node.
#[derive(Clone)]
pub(crate) struct WebRtc {
    orders: mpsc::UnboundedSender<Order>,
    address: SocketAddr,
}

/// Which connection.
pub(crate) type ConnectionId = u64;

/// A connection that was answered; it ends when this is dropped.
pub(crate) struct Connection {
    id: ConnectionId,
    orders: mpsc::UnboundedSender<Order>,
    told: mpsc::UnboundedReceiver<Told>,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is a link of the node from now on.
    Open,
    /// It has ended.
    Closed,
}

impl WebRtc {
    /// Starts the task on an address. `public` is the one at which others reach it, if it is another's, such as
    /// that of a router; `stun` answers what is not for a connection.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub(crate) fn open(
        runtime: &Runtime,
        address: SocketAddr,
        public: Option<IpAddr>,
        stun: Option<Stun>,
    ) -> io::Result<Self> {
        let socket = Socket::bind(address)?;
        let address = socket.address();
        let (orders, received) = mpsc::unbounded_channel();
        let port = Port::new(runtime.clone(), socket, public, stun);
        runtime.links.spawn(port.run(received));
        Ok(Self { orders, address })
    }

    /// Where its socket is bound.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the task has ended, so that nothing more comes of it.
    pub(crate) fn is_over(&self) -> bool {
        self.orders.is_closed()
    }

    /// Asks a STUN server by which address the socket is seen, again and again until it answers.
    pub(crate) async fn ask(&self, server: SocketAddr) {
        loop {
            let (reply, answered) = oneshot::channel();
            if self.orders.send(Order::Ask(server, reply)).is_err() {
                return;
            }
            match timeout(ASK_AGAIN, answered).await {
                Ok(Ok(())) => return,
                // Another server was asked meanwhile.
                Ok(Err(_)) => tokio::time::sleep(ASK_AGAIN).await,
                Err(_) => {}
            }
        }
    }

    /// Answers the offer of a peer: the connection, and the description to send back.
    ///
    /// # Errors
    /// If it is no offer of a data channel, or there is no room for one more.
    pub(crate) async fn answer(
        &self,
        peer: NodeId,
        offer: String,
    ) -> Result<(Connection, String), Failure> {
        let (tell, told) = mpsc::unbounded_channel();
        let (reply, answered) = oneshot::channel();
        let order = Order::Answer {
            peer,
            offer,
            tell,
            reply,
        };
        let over = || Code::Gone.because("the node has left");
        self.orders.send(order).map_err(|_| over())?;
        let (id, answer) = answered.await.map_err(|_| over())??;
        let orders = self.orders.clone();
        Ok((Connection { id, orders, told }, answer))
    }
}

impl Connection {
    /// Takes an address at which the peer may be reached.
    pub(crate) fn candidate(&self, text: String) {
        // The task may have ended, with its node.
        let _ = self.orders.send(Order::Candidate(self.id, text));
    }

    /// What becomes of it next.
    pub(crate) async fn told(&mut self) -> Told {
        self.told.recv().await.unwrap_or(Told::Closed)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::End(self.id));
    }
}
