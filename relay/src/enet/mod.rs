//! ENet over UDP: the port that this process has, and those by which it calls others.

pub(crate) mod link;
mod peer;
mod port;
mod ports;

pub(crate) use peer::{About, Gone, Peer, Sender};
pub(crate) use port::{DialError, Hook, Port};
pub use port::PortError;
pub(crate) use ports::Ports;
