//! How two native nodes agree on a direct link over UDP, inside their encrypted session: each tells at which
//! addresses it may be reached, and both check every pair of addresses at once (ICE, RFC 8445), which opens the
//! way through their routers. Along the pair that works the node that has asked calls the other, by ENet.
//!
//! ```text
//! stream `peerage/punch/1`, opened by the node of the smaller id
//!   opener → other   an invitation
//!   other → opener   the same
//!   open for as long as the link; reset as `overloaded`, by either: no room for one, or no more
//! ```

mod wire;

pub use wire::{Invitation, Place};

/// The protocol's id.
pub const PROTOCOL: &str = "peerage/punch/1";
/// What the opener says first on the connection, before the token of the other's invitation.
pub const GREETING: &[u8] = b"peerage/direct/1";
