//! How long a command may take.

use core::pin::pin;

use futures_util::future::{Either, select};

use crate::Time;
use crate::error::{Code, Failure};
use crate::limits::DEADLINE_MAX;
use crate::node::Node;

/// A duration such as `50ms`, `2s`, `1.5m` or `1h`.
///
/// # Errors
/// `bad-message` with what was expected, or `too-large` beyond a day.
pub fn parse_duration(text: &str) -> Result<Time, Failure> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
    let seconds_each = match unit {
        "ms" => Some(0.001),
        "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    };
    let seconds = number.parse::<f64>().ok().zip(seconds_each);
    let duration = seconds.map(|(number, each)| Time::try_from_secs_f64(number * each));
    match duration {
        Some(Ok(duration)) if duration <= DEADLINE_MAX => Ok(duration),
        Some(Ok(_)) => Err(Code::TooLarge.because(format!(
            "expected a duration of at most {} h, got {text}",
            DEADLINE_MAX.as_secs() / 3600
        ))),
        _ => Err(Code::BadMessage.because(format!(
            "expected a duration such as 50ms, 2s or 1.5m, got `{text}`"
        ))),
    }
}

/// What comes of `work`, if it does in time. If not, it is dropped.
pub(super) async fn within<T>(
    node: &Node,
    timeout: Time,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    match select(pin!(work), pin!(node.sleep(timeout))).await {
        Either::Left((done, _)) => Ok(done),
        Either::Right(_) => Err(timed_out(timeout)),
    }
}

pub(super) fn timed_out(timeout: Time) -> Failure {
    Code::TimedOut.because(format!("it did not end within {timeout:?}"))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        for (text, millis) in [
            ("50ms", 50),
            ("2s", 2000),
            ("1.5m", 90_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Time::from_millis(millis)));
        }
        for text in ["", "s", "2", "2 s", "infs", "NaNs", "1d", "1e400s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
