//! A link joins two neighbouring processes. It carries packets in both directions, in order, until
//! it ends; what a packet holds is [`frame`], how the two sides meet is [`hello`], and what waits to
//! leave is [`queue`]. The sockets themselves are in the runtimes.

pub mod frame;
pub mod hello;
pub mod queue;

pub use frame::{Frame, Packet, RouteHandle};

use crate::NodeId;

/// Which link of this process: chosen by the runtime, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// How a link came to be, which decides who says hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// We called a relay.
    Dialled,
    /// Somebody called us.
    Accepted,
    /// Two nodes made it by signalling inside their session, so it needs no hello.
    Direct(NodeId),
}

impl Origin {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dialled => "dialled",
            Self::Accepted => "accepted",
            Self::Direct(_) => "direct",
        }
    }
}
