//! ENet over UDP: the port that this process has, and those by which it calls others.

pub(crate) mod link;
mod peer;
mod port;
mod ports;
#[cfg(test)]
mod tests;

pub(crate) use peer::{Gone, Peer, Sender};
pub use port::{Hook, Port, PortError, Tally};
pub(crate) use ports::Ports;
