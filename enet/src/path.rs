//! What is known of the way to a peer: how long it takes, how much gets lost, and how many of the
//! unreliable packets are sent for that.

use crate::Millis;
use crate::limits::PATIENCE_MIN;
use crate::wire::Throttling;

/// A throttle of this lets everything pass.
pub(crate) const SCALE: u32 = 32;

/// A number without a common factor with the scale, so that what passes is spread evenly.
const STEP: u32 = 7;
const RTT: u32 = 500;
const LOSS_INTERVAL: Millis = 10_000;
const LOSS_SCALE: u64 = 65_536;

/// How the throttle moves if nobody says otherwise.
pub(crate) const THROTTLING: Throttling = Throttling {
    interval: 5000,
    acceleration: 2,
    deceleration: 2,
};

#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) throttling: Throttling,
    /// Up to which the throttle may rise, by the bandwidth.
    limit: u32,
    throttle: u32,
    counter: u32,
    rtt: u32,
    variance: u32,
    /// The best and worst of this interval, and of the last one.
    lowest: u32,
    highest_variance: u32,
    last_lowest: u32,
    last_variance: u32,
    interval_began: Option<Millis>,
    loss: Loss,
}

#[derive(Debug, Default)]
struct Loss {
    began: Option<Millis>,
    sent: u64,
    lost: u64,
    mean: u64,
}

impl Path {
    pub(crate) fn new(throttling: Throttling) -> Self {
        Self {
            throttling,
            limit: SCALE,
            throttle: SCALE,
            counter: 0,
            rtt: RTT,
            variance: 0,
            lowest: RTT,
            highest_variance: 0,
            last_lowest: RTT,
            last_variance: 0,
            interval_began: None,
            loss: Loss::default(),
        }
    }

    pub(crate) fn rtt(&self) -> u32 {
        self.rtt
    }

    pub(crate) fn variance(&self) -> u32 {
        self.variance
    }

    pub(crate) fn throttle(&self) -> u32 {
        self.throttle
    }

    /// How long to wait for an acknowledgement before sending again.
    pub(crate) fn patience(&self) -> u32 {
        let varies = self.variance.saturating_mul(4).max(PATIENCE_MIN);
        self.rtt.saturating_add(varies)
    }

    /// Takes the time of a round trip.
    pub(crate) fn measured(&mut self, now: Millis, rtt: u32) {
        let rtt = rtt.max(1);
        match self.interval_began {
            None => {
                self.rtt = rtt;
                self.variance = rtt.div_ceil(2);
            }
            Some(_) => {
                self.move_throttle(rtt);
                let difference = rtt.abs_diff(self.rtt);
                self.variance = self.variance - self.variance / 4 + difference / 4;
                if rtt >= self.rtt {
                    self.rtt += difference / 8;
                } else {
                    self.rtt -= difference / 8;
                }
            }
        }
        self.lowest = self.lowest.min(self.rtt);
        self.highest_variance = self.highest_variance.max(self.variance);
        let interval = Millis::from(self.throttling.interval);
        if self
            .interval_began
            .is_none_or(|began| now.saturating_sub(began) >= interval)
        {
            self.last_lowest = std::mem::replace(&mut self.lowest, self.rtt);
            let variance = std::mem::replace(&mut self.highest_variance, self.variance);
            self.last_variance = variance.max(1);
            self.interval_began = Some(now);
        }
    }

    /// Less is sent while round trips take longer than they did, more when they do not.
    fn move_throttle(&mut self, rtt: u32) {
        let Throttling {
            acceleration,
            deceleration,
            ..
        } = self.throttling;
        let slow = self.last_variance.saturating_mul(2);
        if self.last_lowest <= self.last_variance {
            self.throttle = self.limit;
        } else if rtt <= self.last_lowest {
            self.throttle = self.throttle.saturating_add(acceleration).min(self.limit);
        } else if rtt > self.last_lowest.saturating_add(slow) {
            self.throttle = self.throttle.saturating_sub(deceleration);
        }
    }

    /// Says up to which the throttle may rise.
    pub(crate) fn limit(&mut self, limit: u32) {
        self.limit = limit.min(SCALE);
        self.throttle = self.throttle.min(self.limit);
    }

    /// Whether the next unreliable packet is sent.
    pub(crate) fn lets_pass(&mut self) -> bool {
        self.counter = (self.counter + STEP) % SCALE;
        self.counter <= self.throttle
    }

    pub(crate) fn sent(&mut self) {
        self.loss.sent += 1;
    }

    pub(crate) fn lost(&mut self) {
        self.loss.lost += 1;
    }

    /// Of 65,536, how many are lost.
    pub(crate) fn loss(&self) -> u32 {
        u32::try_from(self.loss.mean).unwrap_or(u32::MAX)
    }

    /// Looks at what was lost in the last while.
    pub(crate) fn reckon_loss(&mut self, now: Millis) {
        let loss = &mut self.loss;
        let began = *loss.began.get_or_insert(now);
        if now.saturating_sub(began) < LOSS_INTERVAL || loss.sent == 0 {
            return;
        }
        let current = loss.lost * LOSS_SCALE / loss.sent;
        *loss = Loss {
            began: Some(now),
            mean: (loss.mean * 7 + current) / 8,
            ..Loss::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(path: &mut Path) -> usize {
        (0..SCALE).filter(|_| path.lets_pass()).count()
    }

    #[test]
    fn a_way_that_becomes_slow_gets_less_and_one_that_recovers_all_of_it() {
        let mut path = Path::new(THROTTLING);
        let mut now = 0;
        let mut measure = |path: &mut Path, rtt, times| {
            for _ in 0..times {
                now += 100;
                path.measured(now, rtt);
            }
        };
        // The last of these begins another interval.
        measure(&mut path, 50, 201);
        assert_eq!((path.rtt(), path.throttle()), (50, SCALE));
        assert_eq!(passes(&mut path), 32);
        measure(&mut path, 500, 10);
        assert_eq!(path.throttle(), SCALE - 20);
        assert!((12..=13).contains(&passes(&mut path)));
        measure(&mut path, 50, 10);
        assert_eq!(path.throttle(), SCALE);
        path.limit(8);
        measure(&mut path, 50, 10);
        assert_eq!(path.throttle(), 8);
    }

    #[test]
    fn losses_are_reckoned_over_a_while() {
        let mut path = Path::new(THROTTLING);
        path.reckon_loss(0);
        for second in 1..=400 {
            for n in 0..10 {
                path.sent();
                if n % 2 == 0 {
                    path.lost();
                }
            }
            path.reckon_loss(second * 1000);
        }
        assert!((32_000..=32_768).contains(&path.loss()), "{}", path.loss());
    }
}
