//! Why something cannot be done.

/// Why no connection is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// There are as many peers as the host may have.
    #[error("the host has {0} peers, as many as it may have")]
    Full(usize),
    /// There is no number left for a connection with this very address.
    #[error("there are as many connections with this address as the protocol can number")]
    Numbers,
}

/// Why a packet is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no such peer, or it is gone.
    #[error("there is no such peer")]
    NoPeer,
    /// The connection is not there yet, or is being closed.
    #[error("the peer is not connected")]
    NotConnected,
    /// The connection has fewer channels.
    #[error("the connection has {0} channels")]
    NoChannel(u8),
    /// The packet has more bytes than it may have.
    #[error("a packet may have {0} bytes")]
    TooLarge(usize),
    /// Too much waits already; [`Event::Writable`](crate::Event::Writable) tells when to go on.
    #[error("too much waits to leave")]
    Full,
}
