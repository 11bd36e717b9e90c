//! STUN and TURN for those who reach this relay: by which address they are seen (RFC 8489), and addresses of the
//! relay's own for those who can be reached at none (RFC 8656, over UDP). Who has an allocation has a credential
//! of this relay's, which lasts an hour; [`fence`] says where an allocation leads, [`pace`] how much it carries.
//! [`server`] is without I/O: what it does outside is behind [`Outside`].

mod allocation;
mod credentials;
mod fence;
mod message;
mod pace;
mod server;
mod tally;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub(crate) use credentials::Secret;
pub(crate) use fence::Fence;
pub(crate) use message::For;
pub(crate) use server::Stun;
pub(crate) use tally::Tally;

/// Which allocation.
pub(crate) type AllocationId = u64;

/// Who asks: from where, and at which of our addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    pub(crate) from: SocketAddr,
    pub(crate) at: SocketAddr,
}

/// The time, as it passes and as credentials have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    /// Seconds since 1970.
    pub(crate) unix: u64,
}

impl Now {
    /// This moment.
    pub(crate) fn read() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            instant: Instant::now(),
            unix: unix.unwrap_or_default().as_secs(),
        }
    }
}

/// What came in for an allocation.
#[derive(Clone, Debug)]
pub(crate) struct FromPeer {
    pub(crate) allocation: AllocationId,
    pub(crate) from: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// What the server does outside.
pub(crate) trait Outside {
    /// Sends a datagram to who asked.
    fn answer(&mut self, client: Client, bytes: Vec<u8>);
    /// Binds a port at an address for an allocation.
    fn open(&mut self, allocation: AllocationId, at: IpAddr) -> io::Result<SocketAddr>;
    /// Sends a datagram from there.
    fn send(&mut self, allocation: AllocationId, to: SocketAddr, bytes: &[u8]);
    /// All addresses of this machine.
    fn here(&self) -> Vec<IpAddr>;
    /// The port is needed no more.
    fn close(&mut self, allocation: AllocationId);
}

/// How a server is set.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What credentials are made with.
    pub(crate) secret: Secret,
    /// The address of allocations as others see it, if it is another than that of this machine.
    pub(crate) public: Option<IpAddr>,
    /// Where allocations lead.
    pub(crate) fence: Fence,
    /// Bytes a second that one user's allocations carry together in each direction, headers included.
    pub(crate) bytes_per_second: u64,
    /// How many allocations there may be.
    pub(crate) allocations_max: usize,
    /// Whether there are allocations at all.
    pub(crate) relays: bool,
    /// Where it is told how many there are.
    pub(crate) tally: Tally,
}
