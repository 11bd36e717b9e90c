//! One allocation: its port, who may send to it, and for how long.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use peerage::limits::{
    TURN_AGE_MAX, TURN_CHANNEL_LIFETIME, TURN_CHANNELS_MAX, TURN_LIFETIME, TURN_LIFETIME_MAX,
    TURN_PERMISSION_LIFETIME, TURN_PERMISSIONS_MAX,
};

use crate::stun::AllocationId;

/// The numbers that channels have: those of RFC 8656 end at 0x4FFF, and older clients have those of RFC 5766.
const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x7FFF;

/// One allocation.
#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) id: AllocationId,
    /// Its address, as others see it.
    pub(super) relayed: SocketAddr,
    /// Whose it is.
    pub(super) user: String,
    /// Which request made it: asked again, it is answered again.
    pub(super) transaction: u128,
    pub(super) until: Instant,
    ends: Instant,
    permissions: HashMap<IpAddr, Instant>,
    channels: HashMap<u16, (SocketAddr, Instant)>,
}

/// Why a channel is not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoChannel {
    /// Its number is none, or it or the peer has another.
    Mismatch,
    /// There are too many.
    Full,
}

impl Allocation {
    pub(super) fn new(
        id: AllocationId,
        relayed: SocketAddr,
        (user, transaction): (String, u128),
        now: Instant,
    ) -> Self {
        Self {
            id,
            relayed,
            user,
            transaction,
            until: now + TURN_LIFETIME,
            ends: now + TURN_AGE_MAX,
            permissions: HashMap::new(),
            channels: HashMap::new(),
        }
    }

    /// Keeps it for so many seconds, or as many as it may have; tells how many.
    pub(super) fn keep(&mut self, seconds: Option<u32>, now: Instant) -> u32 {
        let wish = seconds.map_or(TURN_LIFETIME, |seconds| Duration::from_secs(seconds.into()));
        let wish = wish.clamp(TURN_LIFETIME, TURN_LIFETIME_MAX);
        self.until = (now + wish).min(self.ends);
        self.lifetime(now)
    }

    /// Seconds that are left of it.
    pub(super) fn lifetime(&self, now: Instant) -> u32 {
        self.until.saturating_duration_since(now).as_secs() as u32
    }

    /// Lets hosts send to it; `false` if that were too many.
    pub(super) fn permit(&mut self, ips: &[IpAddr], now: Instant) -> bool {
        self.permissions.retain(|_, until| *until > now);
        let new = ips.iter().filter(|ip| !self.permissions.contains_key(ip));
        if self.permissions.len() + new.count() > TURN_PERMISSIONS_MAX {
            return false;
        }
        let until = now + TURN_PERMISSION_LIFETIME;
        self.permissions.extend(ips.iter().map(|ip| (*ip, until)));
        true
    }

    /// Whether a host may send to it, and be sent to.
    pub(super) fn permits(&self, ip: IpAddr, now: Instant) -> bool {
        self.permissions.get(&ip).is_some_and(|until| *until > now)
    }

    /// Gives a peer a number.
    pub(super) fn bind(
        &mut self,
        channel: u16,
        peer: SocketAddr,
        now: Instant,
    ) -> Result<(), NoChannel> {
        self.channels.retain(|_, (_, until)| *until > now);
        let has_another = match self.channels.get(&channel) {
            Some((bound, _)) => *bound != peer,
            None => self.channel_of(peer, now).is_some(),
        };
        if !CHANNELS.contains(&channel) || has_another {
            return Err(NoChannel::Mismatch);
        }
        if self.channels.len() >= TURN_CHANNELS_MAX && !self.channels.contains_key(&channel) {
            return Err(NoChannel::Full);
        }
        if !self.permit(&[peer.ip()], now) {
            return Err(NoChannel::Full);
        }
        let until = now + TURN_CHANNEL_LIFETIME;
        self.channels.insert(channel, (peer, until));
        Ok(())
    }

    /// The peer of a number.
    pub(super) fn peer_of(&self, channel: u16, now: Instant) -> Option<SocketAddr> {
        let (peer, until) = self.channels.get(&channel)?;
        (*until > now).then_some(*peer)
    }

    /// The number of a peer.
    pub(super) fn channel_of(&self, peer: SocketAddr, now: Instant) -> Option<u16> {
        let mut channels = self.channels.iter();
        let bound = channels.find(|(_, (bound, until))| *bound == peer && *until > now);
        bound.map(|(channel, _)| *channel)
    }
}
