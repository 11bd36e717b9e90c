//! Times as services tell them: milliseconds, as a number of JavaScript is.

use crate::Time;

/// A time in milliseconds.
pub(super) fn millis(time: Time) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A time, if there is such a one.
pub(super) fn of_millis(millis: f64) -> Option<Time> {
    Time::try_from_secs_f64(millis / 1000.0).ok()
}
