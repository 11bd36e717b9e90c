//! What MQTT clients may take.

use std::num::NonZeroU16;
use std::time::Duration;

use peerage::limits::{HELD_NODES_MAX, PUBLISH_BYTES_MAX};

/// Connections at once.
pub(super) const CONNECTIONS_MAX: usize = HELD_NODES_MAX;
/// Connections from one address that have not said who they are.
pub(super) const STRANGERS_PER_ADDRESS_MAX: usize = 256;
/// Nodes that are being held at once; more wait.
pub(super) const HOLDS_MAX: usize = 64;
/// Passwords that are being checked at once; more wait.
pub(super) const CHECKS_MAX: usize = 2;
/// Sessions at once, of clients that are away as well.
pub(super) const SESSIONS_MAX: usize = HELD_NODES_MAX;
/// How long a client may take to say who it is.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long its node may take to be in the mesh, and its broker to answer a subscription.
pub(super) const MESH_TIMEOUT: Duration = Duration::from_secs(10);
/// How long who has a client's session may take to hand it over.
pub(super) const HANDOVER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a will may take to be published.
pub(super) const WILL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may take nothing of what is sent to it.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the last words to a client may take.
pub(super) const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a session is kept for a client that is away, whatever that has asked for.
pub(super) const SESSION_EXPIRY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of the packet by which a client says who it is: its will may have 65,535.
pub(super) const CONNECT_BYTES_MAX: u32 = 128 * 1024;
/// Bytes of any other packet: a message, with its topic and properties.
pub(super) const PACKET_BYTES_MAX: u32 = PUBLISH_BYTES_MAX as u32 + 128 * 1024;
/// Bytes of a client's id.
pub(super) const CLIENT_ID_BYTES_MAX: usize = 255;
/// Bytes that are read at once.
pub(super) const READ_BYTES: usize = 4 * 1024;
/// Bytes that wait to be written when a client gets no more messages…
pub(super) const OUT_BYTES_FULL: usize = 64 * 1024;
/// …and when no more is read of it.
pub(super) const OUT_BYTES_MAX: usize = 1024 * 1024;

/// Messages of a client that the broker has not answered; no more are read meanwhile…
pub(super) const UNANSWERED_MAX: usize = 64;
/// …and bytes of them.
pub(super) const UNANSWERED_BYTES_MAX: usize = PUBLISH_BYTES_MAX;
/// Messages of quality 1 and 2 that a client may have under way, as it is told.
pub(super) const RECEIVE_MAX: NonZeroU16 = NonZeroU16::MIN.saturating_add(255);
/// Messages of quality 1 and 2 to a client that it has not acknowledged, unless it wants fewer.
pub(super) const INFLIGHT_MAX: usize = 64;
/// Numbers by which a client may abbreviate topics.
pub(super) const TOPIC_ALIASES_MAX: u16 = 32;
/// Subscriptions of a client.
pub(super) const SUBSCRIPTIONS_MAX: usize = 256;
/// Properties of a message that are its user's own.
pub(super) const USER_PROPERTIES_MAX: usize = 64;
/// Bytes between a WebSocket and what is spoken on it.
pub(super) const WEB_SOCKET_BYTES: usize = 16 * 1024;
