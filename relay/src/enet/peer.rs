//! A connection of ENet, as who speaks on it holds it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use peerage::limits::{ENET_ANSWER_TIMEOUT, ENET_ROOM_BYTES, ENET_TAKEN_BYTES};
use peerage_enet::{Kind, Packet, PeerId, Reason};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

/// A connection. Dropped, it is ended in good order.
pub(crate) struct Peer {
    sender: Sender,
    /// What it holds counts at the port as long as it is not told that it was read.
    inbox: mpsc::UnboundedReceiver<Incoming>,
    /// What was read that the port has not been told of.
    read: usize,
    ended: Option<Gone>,
    /// With which word it ends if it is dropped.
    word: u32,
    /// How it came to be.
    pub(crate) about: About,
}

/// What is known of a connection from its beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    /// Where the other side is.
    pub(crate) address: SocketAddr,
    /// How many channels there are.
    pub(crate) channels: u8,
    /// What the caller has said.
    pub(crate) data: u32,
}

/// The way to send on a connection. Clones are the same.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(super) id: PeerId,
    pub(super) orders: mpsc::UnboundedSender<Order>,
    /// Bytes that may be ordered and are not on their way.
    pub(super) room: Arc<Semaphore>,
}

/// A connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    /// What the other side has said.
    pub(crate) data: u32,
    /// Why.
    pub(crate) reason: Reason,
}

/// What the port is to do.
pub(super) enum Order {
    /// Call an address.
    Connect(super::port::Call),
    /// Send a packet, for which room was taken.
    Send(PeerId, u8, Packet),
    /// End it after what was sent.
    Disconnect(PeerId, u32),
    /// So much that came was read.
    Taken(PeerId, usize),
    /// Tell when it has answered.
    Ask(PeerId, oneshot::Sender<()>),
    /// It is lost.
    GiveUp(PeerId),
}

/// What comes to a connection.
pub(super) enum Incoming {
    Packet(u8, Packet),
    Gone(Gone),
}

/// The port's side of a connection.
pub(super) struct Inlet {
    pub(super) inbox: mpsc::UnboundedSender<Incoming>,
    pub(super) room: Arc<Semaphore>,
    /// Room to be given back once what was sent has left.
    pub(super) owed: usize,
    /// Who wants to know that the other side is there.
    pub(super) asking: Vec<oneshot::Sender<()>>,
}

/// A connection, as its two sides hold it.
pub(super) fn pair(
    id: PeerId,
    about: About,
    orders: mpsc::UnboundedSender<Order>,
) -> (Peer, Inlet) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(ENET_ROOM_BYTES));
    let inlet = Inlet {
        inbox: sender,
        room: Arc::clone(&room),
        owed: 0,
        asking: Vec::new(),
    };
    let sender = Sender { id, orders, room };
    let peer = Peer {
        sender,
        inbox: receiver,
        read: 0,
        ended: None,
        word: 0,
        about,
    };
    (peer, inlet)
}

impl Inlet {
    /// Hands over a packet. What nobody reads any more is dropped: that the connection is to end is on its way.
    pub(super) fn put(&self, channel: u8, packet: Packet) {
        let _ = self.inbox.send(Incoming::Packet(channel, packet));
    }
}

impl Peer {
    /// The next packet, and its channel.
    ///
    /// # Errors
    /// That the connection has ended.
    pub(crate) async fn recv(&mut self) -> Result<(u8, Packet), Gone> {
        if let Some(gone) = self.ended {
            return Err(gone);
        }
        let gone = match self.inbox.recv().await {
            Some(Incoming::Packet(channel, packet)) => {
                self.read += packet.cost();
                if self.read >= ENET_TAKEN_BYTES {
                    self.sender.order(Order::Taken(self.sender.id, self.read));
                    self.read = 0;
                }
                return Ok((channel, packet));
            }
            Some(Incoming::Gone(gone)) => gone,
            None => Gone::HERE,
        };
        self.ended = Some(gone);
        Err(gone)
    }

    /// Ends it after what was sent, with a word for the other side.
    pub(crate) fn close(mut self, data: u32) {
        self.ended = Some(Gone::HERE);
        self.sender.disconnect(data);
    }

    /// If it is dropped, it ends with this word.
    pub(crate) fn or_else(mut self, data: u32) -> Self {
        self.word = data;
        self
    }

    /// The way to send on it.
    pub(crate) fn sender(&self) -> &Sender {
        &self.sender
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.sender.disconnect(self.word);
        }
    }
}

impl Sender {
    /// Sends a reliable packet, once there is room for it.
    ///
    /// # Errors
    /// That the connection has ended.
    pub(crate) async fn send(&self, channel: u8, bytes: Bytes) -> Result<(), Gone> {
        let kind = Kind::Reliable;
        self.send_packet(channel, Packet { bytes, kind }).await
    }

    /// As [`Sender::send`], for a packet of any kind.
    ///
    /// # Errors
    /// That the connection has ended.
    pub(crate) async fn send_packet(&self, channel: u8, packet: Packet) -> Result<(), Gone> {
        let room = self.room.acquire_many(room_of(&packet)).await;
        // The port gives it back.
        room.map_err(|_| Gone::HERE)?.forget();
        let order = Order::Send(self.id, channel, packet);
        self.orders.send(order).map_err(|_| Gone::HERE)
    }

    /// Sends a packet if there is room for it now.
    pub(crate) fn try_send(&self, channel: u8, packet: Packet) -> bool {
        let Ok(room) = self.room.try_acquire_many(room_of(&packet)) else {
            return false;
        };
        room.forget();
        self.orders
            .send(Order::Send(self.id, channel, packet))
            .is_ok()
    }

    /// Ends the connection after what was sent, with a word for the other side.
    pub(crate) fn disconnect(&self, data: u32) {
        self.order(Order::Disconnect(self.id, data));
    }

    /// Whether the other side is there: it answers, or does not.
    pub(crate) async fn is_there(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Ask(self.id, answer));
        matches!(timeout(ENET_ANSWER_TIMEOUT, answered).await, Ok(Ok(())))
    }

    /// Ends it as one that is lost: nothing is said to the other side.
    pub(crate) fn give_up(&self) {
        self.order(Order::GiveUp(self.id));
    }

    fn order(&self, order: Order) {
        // A port that is no more has ended all that it had.
        let _ = self.orders.send(order);
    }
}

/// What of the room a packet takes, by the memory that it does: one that is larger takes all of it.
pub(super) fn room_of(packet: &Packet) -> u32 {
    packet.cost().min(ENET_ROOM_BYTES) as u32
}

impl Gone {
    /// This process has ended it.
    pub(crate) const HERE: Self = Self {
        data: 0,
        reason: Reason::Asked,
    };
}
