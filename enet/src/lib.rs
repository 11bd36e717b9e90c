//! ENet's protocol, version 1.3, as a state machine: it opens no socket, reads no clock and draws no
//! randomness that is not handed in. The other end may be a stock ENet of any 1.3 release.
//!
//! A [`Host`] is one end of one UDP socket. Its platform
//!
//! - gives it each datagram that arrives ([`Host::handle_datagram`]), and the time when
//!   [`Host::deadline`] has come ([`Host::handle_time`]),
//! - after that, sends what it has to send ([`Host::poll_transmit`] until there is nothing),
//! - and takes what happened ([`Host::poll_event`] until there is nothing). Packets count as waiting
//!   until it says that they are [taken](Host::taken): who sends faster than that is slowed down.
//!
//! Several datagrams that have arrived are best handed in one after another before anything is
//! sent: then their acknowledgements leave together. After a call that sends or connects, poll for
//! datagrams as well.
//!
//! A datagram that the socket does not take may be dropped: it counts as lost on the way.
//!
//! Addresses are compared as they are given: a socket for both IPv4 and IPv6 has to connect to
//! mapped addresses if it receives from such.
//!
//! # What differs from stock ENet, compatibly
//!
//! - A CONNECT takes no place: who sent it gets one by acknowledging a number that only who reads at
//!   that address can know. A flood of forged ones leaves room for others, and each is answered
//!   by one datagram that is smaller than itself, or not at all.
//! - A peer's number on the wire counts together with its address, so there may be more peers than
//!   the 4,095 numbers.
//! - A full host says so by a DISCONNECT, which ends a stock client's attempt at once.
//! - Who says goodbye twice, since our acknowledgement was lost, is answered twice.
//! - What waits counts by the memory that it takes, and is given back whenever it is dropped. All
//!   peers together have a limit as well; who keeps most is ended if others have no room.
//! - Fragments have to be where stock senders put them; nothing overlaps.
//! - The window of stock ENet ends at 64 KiB. A host that allows more
//!   ([`Config::window_bytes_max`]) says so in its CONNECT, where stock hosts cut it down to
//!   64 KiB, and uses more only if the answer is more, which no stock host says.

mod channel;
mod checksum;
mod compress;
mod config;
mod error;
mod event;
mod fragments;
mod host;
mod limits;
mod path;
mod peer;
mod wire;

pub use config::{Config, Timeouts};
pub use error::{ConnectError, SendError};
pub use event::{Event, Kind, Packet, PeerId, Reason, Room, Stats};
pub use host::{Counters, Host};

/// The time since some origin; it never runs backwards.
pub type Time = core::time::Duration;

/// The same inside, as it is on the wire.
type Millis = u64;
