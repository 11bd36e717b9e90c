//! Publish and subscribe: a broker, which any node can be, gives what is published under a topic to all who
//! have subscribed to it, and keeps what those who come later are to have. The relay at the root of a zone is
//! its broker unless another node is named.
//!
//! ```text
//! streams `peerage/broker/1`, each for what its first message says
//!   publish    → message (topic, retain, number)…     ← its offset, or why not: in the same order
//!   subscribe  → filter, position; taken…             ← begun, then message or gap…
//!   presence   → filter                               ← who is subscribed, and who comes and goes
//!   topics     → filter                               ← what is kept
//!   where      → nothing                              ← who is the broker of the zone
//! ```
//!
//! **Positions.** A broker numbers all messages by one sequence, of which an epoch is one life of what is kept.
//! A subscriber who comes back after an offset gets everything that is kept since, in order, and then what is
//! published, without a gap; or a [`Gap`] in its place says what is missing. Without a position a subscription
//! begins with the retained values.
//!
//! **Exactly once.** A publisher's stream is as reliable as its session. If that ends, what is not answered
//! fails, and may or may not have been published: who numbers messages ([`Publish::number`]) sends them again,
//! and each counts once.
//!
//! **Durability.** With a [`Store`], what is to be kept, retained or in a history, is on disk before it is
//! answered or told to anybody.

mod client;
mod commands;
mod commit;
mod conversation;
mod filter;
mod gone;
mod group;
mod index;
mod kept;
mod line;
mod members;
mod presence;
mod publisher;
mod publishing;
mod queue;
mod server;
mod state;
mod store;
mod subscriber;
mod subscription;
#[cfg(test)]
mod tests;
mod way;
mod window;
mod wire;

pub use client::Topics;
pub use commands::register;
pub use filter::Filter;
pub use kept::Rule;
pub use presence::{Change, Presence};
pub use publishing::{Publish, Published, Publishing};
pub use server::{Broker, Options};
pub use state::Stats;
pub use store::{Row, Store};
pub use subscription::{Item, Message, Position, Subscribe, Subscription};
pub use wire::{Gap, Member, Slow, Topic, Why};

/// The protocol's id.
pub const PROTOCOL: &str = "peerage/broker/1";
