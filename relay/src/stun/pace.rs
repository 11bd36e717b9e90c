//! How much is carried: bytes a second of a user, and answers a second to who is not known.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use peerage::limits::{STUN_ANSWERS_PER_SECOND, STUN_ASKERS};

/// A bucket that fills with time, up to a second's worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    per_second: u64,
    left: u64,
    filled: Instant,
}

impl Bucket {
    pub(super) fn new(per_second: u64, now: Instant) -> Self {
        Self {
            per_second,
            left: per_second,
            filled: now,
        }
    }

    /// Takes so much, if there is so much.
    pub(super) fn take(&mut self, amount: u64, now: Instant) -> bool {
        let micros = now.saturating_duration_since(self.filled).as_micros();
        let more = micros.saturating_mul(self.per_second.into()) / 1_000_000;
        // Not for each call: what is less than one would be lost.
        if more > 0 {
            self.left = u64::try_from(more)
                .unwrap_or(u64::MAX)
                .saturating_add(self.left)
                .min(self.per_second);
            self.filled = now;
        }
        let enough = self.left >= amount;
        if enough {
            self.left -= amount;
        }
        enough
    }

    /// Whether it is as one that was never used.
    fn is_full(&mut self, now: Instant) -> bool {
        self.take(0, now) && self.left == self.per_second
    }
}

/// What one user may have carried, by all of his allocations together, and how many these are.
#[derive(Debug)]
pub(super) struct User {
    pub(super) allocations: usize,
    pub(super) out: Bucket,
    pub(super) back: Bucket,
}

impl User {
    pub(super) fn new(bytes_per_second: u64, now: Instant) -> Self {
        Self {
            allocations: 0,
            out: Bucket::new(bytes_per_second, now),
            back: Bucket::new(bytes_per_second, now),
        }
    }

    /// Whether there is nothing to know of him: who ends an allocation and begins another has no more for it.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        self.allocations == 0 && self.out.is_full(now) && self.back.is_full(now)
    }
}

/// What a datagram of so many bytes costs, to or from an address: the headers of UDP and IP are carried as well.
pub(super) fn cost(bytes: usize, address: SocketAddr) -> u64 {
    let headers = match address.ip().to_canonical() {
        IpAddr::V4(_) => 20 + 8,
        IpAddr::V6(_) => 40 + 8,
    };
    bytes as u64 + headers
}

/// Answers to who has shown no credential: one bucket for many addresses, so that there is no list that somebody
/// could make long.
#[derive(Debug)]
pub(super) struct Askers {
    buckets: Vec<Bucket>,
    random: RandomState,
}

impl Askers {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            buckets: vec![Bucket::new(STUN_ANSWERS_PER_SECOND, now); STUN_ASKERS],
            random: RandomState::new(),
        }
    }

    /// Whether somebody at this address is answered now.
    pub(super) fn admit(&mut self, ip: IpAddr, now: Instant) -> bool {
        let bucket = self.random.hash_one(ip) as usize % self.buckets.len();
        self.buckets[bucket].take(1, now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_gives_a_seconds_worth_and_fills_with_time() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, start);
        assert!(bucket.take(60, start) && bucket.take(40, start));
        assert!(!bucket.take(1, start));
        let later = start + Duration::from_millis(100);
        assert!(bucket.take(10, later) && !bucket.take(1, later));
        let much_later = start + Duration::from_secs(1000);
        assert!(bucket.take(100, much_later) && !bucket.take(1, much_later));
        assert!(
            !bucket.take(1, start),
            "time that runs backwards is no time"
        );
    }

    #[test]
    fn a_user_is_forgotten_once_he_has_nothing_to_wait_for() {
        let start = Instant::now();
        let mut user = User::new(100, start);
        user.allocations = 1;
        assert!(!user.is_over(start));
        user.allocations = 0;
        assert!(user.is_over(start) && user.back.take(100, start) && !user.is_over(start));
        assert!(user.is_over(start + Duration::from_secs(1)));
    }

    #[test]
    fn who_asks_too_often_is_not_answered_and_others_are() {
        let now = Instant::now();
        let mut askers = Askers::new(now);
        let loud: IpAddr = "192.0.2.1".parse().unwrap();
        let answered = (0..STUN_ANSWERS_PER_SECOND * 3).filter(|_| askers.admit(loud, now));
        assert_eq!(answered.count() as u64, STUN_ANSWERS_PER_SECOND);
        let others = (1..=100u8).filter(|n| askers.admit([198, 51, 100, *n].into(), now));
        assert!(others.count() >= 99);
    }
}
