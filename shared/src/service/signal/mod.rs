//! Signalling: how two nodes, of which one is a browser, agree on a direct link, inside their encrypted
//! session, so that a relay sees neither a description nor an address. [`negotiation`] decides, by the "perfect
//! negotiation" pattern of the WebRTC specification (W3C WebRTC 1.0, section 10.7), so that both
//! sides may begin at once; the browser's connection itself is in the runtime.
//!
//! ```text
//! stream `peerage/signal/1`, one by each side; a new one begins a new attempt
//!   opener → other   descriptions and candidates, as they come
//!   a native node never offers: a stream of its own says that it answers
//!   reset as `overloaded`, by either: no room for a direct link, or no more; nothing to try again soon
//! ```

pub mod degree;
pub mod ice;
pub mod negotiation;
pub mod wire;

pub use degree::{Admission, Degree};
pub use negotiation::{Decision, Negotiation};
pub use wire::Signal;

/// The protocol's id.
pub const PROTOCOL: &str = "peerage/signal/1";
