//! A connection of ENet, as who speaks on it holds it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use peerage::limits::{ENET_INBOX_BYTES_MAX, ENET_ROOM_BYTES};
use peerage_enet::{Kind, Packet, PeerId, Reason};
use tokio::sync::{Semaphore, mpsc};

/// What a packet in an inbox is held to take beside its own bytes.
const PACKET_OVERHEAD_BYTES: usize = 128;

/// A connection. Dropped, it is ended in good order.
pub(crate) struct Peer {
    sender: Sender,
    inbox: mpsc::UnboundedReceiver<Incoming>,
    bytes: Arc<AtomicUsize>,
    ended: Option<Gone>,
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
}

/// What comes to a connection.
pub(super) enum Incoming {
    Packet(u8, Packet),
    Gone(Gone),
}

/// The port's side of a connection.
pub(super) struct Inlet {
    pub(super) inbox: mpsc::UnboundedSender<Incoming>,
    bytes: Arc<AtomicUsize>,
    pub(super) room: Arc<Semaphore>,
    /// Room to be given back once what was sent has left.
    pub(super) owed: usize,
}

/// A connection, as its two sides hold it.
pub(super) fn pair(
    id: PeerId,
    about: About,
    orders: mpsc::UnboundedSender<Order>,
) -> (Peer, Inlet) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let bytes = Arc::new(AtomicUsize::new(0));
    let room = Arc::new(Semaphore::new(ENET_ROOM_BYTES));
    let inlet = Inlet {
        inbox: sender,
        bytes: Arc::clone(&bytes),
        room: Arc::clone(&room),
        owed: 0,
    };
    let sender = Sender { id, orders, room };
    let peer = Peer {
        sender,
        inbox: receiver,
        bytes,
        ended: None,
        about,
    };
    (peer, inlet)
}

impl Inlet {
    /// Hands over a packet; `false` if too much waits already. What nobody reads any more is dropped: that the
    /// connection is to end is on its way.
    pub(super) fn put(&self, channel: u8, packet: Packet) -> bool {
        let bytes = packet.bytes.len() + PACKET_OVERHEAD_BYTES;
        let before = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        if self.inbox.is_closed() {
            return true;
        }
        if before > ENET_INBOX_BYTES_MAX {
            return false;
        }
        // It may have been closed just now.
        let _ = self.inbox.send(Incoming::Packet(channel, packet));
        true
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
                let bytes = packet.bytes.len() + PACKET_OVERHEAD_BYTES;
                self.bytes.fetch_sub(bytes, Ordering::AcqRel);
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

    /// The way to send on it.
    pub(crate) fn sender(&self) -> &Sender {
        &self.sender
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.sender.disconnect(0);
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
        // A port that is no more has ended it.
        let _ = self.orders.send(Order::Disconnect(self.id, data));
    }
}

/// What of the room a packet takes: one that is larger takes all of it.
pub(super) fn room_of(packet: &Packet) -> u32 {
    packet.bytes.len().clamp(1, ENET_ROOM_BYTES) as u32
}

impl Gone {
    /// This process has ended it.
    pub(crate) const HERE: Self = Self {
        data: 0,
        reason: Reason::Asked,
    };
}
