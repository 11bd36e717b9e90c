//! Every limit of this crate, by name. What ENet itself fixes is marked so.

use crate::Millis;

/// Bytes of a datagram, at the least (ENet's).
pub(crate) const MTU_MIN: u16 = 576;
/// Bytes of a datagram, at the most (ENet's).
pub(crate) const MTU_MAX: u16 = 4096;
/// Bytes of a datagram if nothing else is said (ENet's).
pub(crate) const MTU: u16 = 1392;

/// Bytes that may be under way to a peer, at the least (ENet's).
pub(crate) const WINDOW_BYTES_MIN: u32 = 4096;
/// Bytes that may be under way to a stock peer (ENet's).
pub(crate) const WINDOW_BYTES: u32 = 65_536;
/// Bytes that may be under way between two hosts that both allow it.
pub(crate) const WINDOW_BYTES_MAX: u32 = 16 << 20;

/// Channels of a connection (ENet's).
pub(crate) const CHANNELS_MAX: u8 = 255;
/// Numbers of peers on the wire are below this one, which stands for nobody (ENet's).
pub(crate) const NOBODY: u16 = 0xFFF;
/// Peers of a host. A number on the wire means something only together with an address, so this
/// may be more than there are numbers.
pub(crate) const PEERS_MAX: usize = 65_535;
/// Handshakes of a host that are not complete.
pub(crate) const PENDING_MAX: usize = 65_536;
/// Milliseconds between two answers to one who asks for nothing, but is pending.
pub(crate) const PENDING_ANSWER_INTERVAL: Millis = 250;
/// How long a handshake may take.
pub(crate) const PENDING_AGE_MAX: Millis = 10_000;
/// Bytes to which a datagram of somebody unknown may unfold: one CONNECT.
pub(crate) const STRANGER_BYTES_MAX: usize = 48;
/// Numbers that are tried for one handshake.
pub(crate) const NUMBER_TRIES_MAX: u16 = 64;

/// Bytes of a packet, whatever a host allows (ENet's usual limit).
pub(crate) const PACKET_BYTES_MAX: usize = 32 << 20;
/// Fragments of a packet that is received (ENet's).
pub(crate) const FRAGMENTS_MAX: u32 = 1 << 20;
/// Fragments of a packet that is sent: with more, stock receivers would see the last ones as being
/// of the past, since they count forward from the packet's first one.
pub(crate) const FRAGMENTS_SENT_MAX: usize = 6 * 4096;

/// What may wait of all peers' packets that came, unless a host is told otherwise.
pub(crate) const HOST_WAITING_BYTES: usize = 256 << 20;
/// What may wait to leave for all peers, likewise.
pub(crate) const HOST_QUEUED_BYTES: usize = 256 << 20;

/// Milliseconds until who leaves no room is looked for again, after it was the one that was heard.
pub(crate) const CROWDED_INTERVAL: Millis = 10;

/// What a packet counts beside its bytes wherever packets wait: its place takes memory too.
pub(crate) const PACKET_COST: usize = 64;
/// Acknowledgements that wait to leave for one peer.
pub(crate) const ACKNOWLEDGEMENTS_MAX: usize = 4096;
/// Datagrams of handshakes, refusals and farewells that wait to leave.
pub(crate) const LOOSE_DATAGRAMS_MAX: usize = 1024;
/// Peers that are gone, and whose repeated farewell we still acknowledge.
pub(crate) const LINGERING_MAX: usize = 1024;
/// How long we do that.
pub(crate) const LINGERING_AGE_MAX: Millis = 5_000;

/// What a round trip may take longer than usual before something counts as lost, at the least.
pub(crate) const PATIENCE_MIN: u32 = 10;
