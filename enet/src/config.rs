//! What a host is told once.

use crate::limits::{
    CHANNELS_MAX, HOST_QUEUED_BYTES, HOST_WAITING_BYTES, MTU, MTU_MAX, MTU_MIN, PACKET_BYTES_MAX,
    PACKET_COST, PEERS_MAX, PENDING_MAX, WINDOW_BYTES, WINDOW_BYTES_MAX,
};
use crate::{Millis, Time};

/// What a host allows, and how it speaks. Values beyond what ENet can do are cut down to it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Peers, connected or being connected to by us, at the most.
    pub peers_max: usize,
    /// Those of them that one address may have: an IPv4 address, or an IPv6 network (`/64`).
    pub peers_per_address_max: usize,
    /// Handshakes that are not complete. If there are more, the oldest are forgotten.
    pub pending_max: usize,
    /// Channels of a connection; 0 means 255.
    pub channels_max: u8,
    /// Bytes that we can receive in a second; 0 means any number.
    pub incoming_bandwidth: u32,
    /// Bytes that we can send in a second; 0 means any number.
    pub outgoing_bandwidth: u32,
    /// Bytes of a datagram: 576 to 4096.
    pub mtu: u16,
    /// Whether each datagram has a CRC32. Both ends have to agree.
    pub checksum: bool,
    /// Whether datagrams are compressed by ENet's range coder. Both ends have to agree.
    pub compression: bool,
    /// Bytes of a packet.
    pub packet_bytes_max: usize,
    /// What may wait of one peer's packets until it is complete, in its order, and
    /// [taken](crate::Host::taken). For the packet that is next, `packet_bytes_max` are there beyond
    /// this.
    pub waiting_bytes_max: usize,
    /// What may wait of all peers' packets. What comes when there is no room is refused, and who keeps
    /// most of it is ended for the others: of the address that has most, the peer that has most.
    pub host_waiting_bytes_max: usize,
    /// What may wait to leave for one peer, or to be acknowledged by it.
    pub queued_bytes_max: usize,
    /// What may wait to leave for all peers. Once half of this does, who has more than an equal share of
    /// the other half better waits; once all of it does, no more than that is taken of anybody.
    pub host_queued_bytes_max: usize,
    /// Bytes that may be under way to one peer that allows as much: 64 KiB is what stock ENet has.
    /// The receiver's socket has to have the buffers for more.
    pub window_bytes_max: u32,
    /// When a peer counts as lost.
    pub timeouts: Timeouts,
    /// How long nothing may be heard of a peer before it is asked.
    pub ping_interval: Time,
    /// Whether others may connect to us.
    pub accepts: bool,
}

/// When a peer counts as lost: something reliable has not been acknowledged for `maximum`, or for
/// `minimum` after having been sent so often that the waiting time has grown to `limit` times
/// of what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// The factor by which the time between two attempts has grown.
    pub limit: u32,
    /// No peer is lost before this time.
    pub minimum: Time,
    /// Every peer is lost after this time.
    pub maximum: Time,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            limit: 32,
            minimum: Time::from_secs(5),
            maximum: Time::from_secs(30),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            peers_max: 4095,
            peers_per_address_max: 4095,
            pending_max: 4096,
            channels_max: 0,
            incoming_bandwidth: 0,
            outgoing_bandwidth: 0,
            mtu: MTU,
            checksum: false,
            compression: false,
            packet_bytes_max: 1 << 20,
            waiting_bytes_max: 4 << 20,
            host_waiting_bytes_max: HOST_WAITING_BYTES,
            queued_bytes_max: 4 << 20,
            host_queued_bytes_max: HOST_QUEUED_BYTES,
            window_bytes_max: WINDOW_BYTES,
            timeouts: Timeouts::default(),
            ping_interval: Time::from_millis(500),
            accepts: true,
        }
    }
}

impl Config {
    /// The same within what ENet can do.
    pub(crate) fn bounded(mut self) -> Self {
        self.peers_max = self.peers_max.min(PEERS_MAX);
        self.pending_max = self.pending_max.clamp(1, PENDING_MAX);
        if self.channels_max == 0 {
            self.channels_max = CHANNELS_MAX;
        }
        self.mtu = self.mtu.clamp(MTU_MIN, MTU_MAX);
        self.packet_bytes_max = self.packet_bytes_max.min(PACKET_BYTES_MAX);
        // One packet of the longest, in however many fragments, has room at least.
        let packet = 2 * self.packet_bytes_max + PACKET_COST;
        self.host_waiting_bytes_max = self.host_waiting_bytes_max.max(packet);
        self.window_bytes_max = self.window_bytes_max.clamp(WINDOW_BYTES, WINDOW_BYTES_MAX);
        self
    }

    pub(crate) fn ping_millis(&self) -> Millis {
        millis(self.ping_interval).max(1)
    }
}

/// What the clock says, as it is used inside.
pub(crate) fn millis(time: Time) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}
