//! How good a link or a session is: how long an answer takes, how much that varies, and how much is lost.

use crate::Time;

/// The smoothed figures of a link or session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// There and back, smoothed (RFC 6298); unknown until something was answered.
    pub rtt: Option<Time>,
    /// How much that varies: the mean deviation, smoothed (RFC 6298).
    pub jitter: Time,
    /// Of a thousand things sent, how many were lost or late enough to be sent again, smoothed.
    pub loss_per_mille: u16,
}

/// How much of the past one more thing sent outweighs: a sixty-fourth.
const MEMORY: u32 = 64;

impl Quality {
    /// Something was answered after this long.
    pub fn answered(&mut self, after: Time) {
        match self.rtt {
            None => {
                self.rtt = Some(after);
                self.jitter = after / 2;
            }
            Some(rtt) => {
                self.jitter = (self.jitter * 3 + rtt.abs_diff(after)) / 4;
                self.rtt = Some((rtt * 7 + after) / 8);
            }
        }
        self.count(false);
    }

    /// Something was not answered.
    pub fn lost(&mut self) {
        self.count(true);
    }

    /// Whether this way is so much quicker than another that it is worth to change: by a quarter at the least,
    /// and by more than either varies.
    pub fn is_quicker_than(&self, other: &Self) -> bool {
        let (Some(own), Some(others)) = (self.rtt, other.rtt) else {
            return false;
        };
        let margin = (others / 4).max(self.jitter).max(other.jitter);
        own + margin < others
    }

    fn count(&mut self, lost: bool) {
        let now = if lost { 1000 } else { 0 };
        let sum = u32::from(self.loss_per_mille) * (MEMORY - 1) + now;
        // Towards what was just seen, so that nothing but zeros comes to zero.
        let mean = if lost {
            sum.div_ceil(MEMORY)
        } else {
            sum / MEMORY
        };
        self.loss_per_mille = mean.min(1000) as u16;
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_figures_follow_what_is_seen() {
        let mut quality = Quality::default();
        for n in 0..100 {
            quality.answered(Time::from_millis(if n % 2 == 0 { 90 } else { 110 }));
        }
        let rtt = quality.rtt.unwrap().as_millis();
        assert!((95..=105).contains(&rtt), "{rtt}");
        assert!((5..=15).contains(&quality.jitter.as_millis()));
        assert_eq!(quality.loss_per_mille, 0);
    }

    #[test]
    fn a_way_is_quicker_if_it_is_so_by_more_than_it_varies() {
        let of = |rtt, jitter| Quality {
            rtt: Some(Time::from_millis(rtt)),
            jitter: Time::from_millis(jitter),
            loss_per_mille: 0,
        };
        for (own, other, quicker) in [
            (of(10, 1), of(20, 1), true),
            (of(16, 1), of(20, 1), false),
            (of(20, 1), of(20, 1), false),
            (of(10, 1), of(20, 15), false),
            (of(10, 15), of(20, 1), false),
            (of(10, 1), Quality::default(), false),
            (Quality::default(), of(10, 1), false),
        ] {
            assert_eq!(own.is_quicker_than(&other), quicker, "{own:?} {other:?}");
        }
    }

    #[test]
    fn a_tenth_lost_is_about_a_hundred_per_mille_and_is_forgotten() {
        let mut quality = Quality::default();
        for n in 0..1000 {
            if n % 10 == 0 {
                quality.lost();
            } else {
                quality.answered(Time::from_millis(10));
            }
        }
        assert!((60..=140).contains(&quality.loss_per_mille));
        for _ in 0..1000 {
            quality.answered(Time::from_millis(10));
        }
        assert_eq!(quality.loss_per_mille, 0);
    }
}
