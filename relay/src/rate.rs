//! So many in a second, and no more.

use std::time::{Duration, Instant};

/// Counts what happens.
pub(crate) struct Rate {
    most: usize,
    since: Instant,
    count: usize,
}

impl Rate {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            since: Instant::now(),
            count: 0,
        }
    }

    /// Whether one more is allowed now.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.count) = (now, 0);
        }
        self.count += 1;
        self.count <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_so_many_are_allowed_in_a_second() {
        let mut rate = Rate::new(2);
        let start = rate.since;
        let mut allowed = |ms| rate.allows(start + Duration::from_millis(ms));
        assert_eq!([0, 1, 2, 999].map(&mut allowed), [true, true, false, false]);
        assert_eq!([1000, 1500, 1999].map(&mut allowed), [true, true, false]);
    }
}
