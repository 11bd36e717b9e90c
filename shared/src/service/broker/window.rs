//! Which messages a broker has had of publishers who number theirs: one that is sent again, because nobody
//! knew what became of it, counts once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::error::{Code, Failure};
use crate::limits::{PUBLISHERS_MAX, PUBLISHES_MAX};

/// Numbers before the highest that are still told apart.
/// As many as may await their answer can be sent again.
const WIDTH: u64 = PUBLISHES_MAX as u64;

/// A bit for each number of the last ones, at its remainder.
type Seen = [u8; WIDTH as usize / 8];

/// The numbers of all publishers.
#[derive(Debug, Default)]
pub(super) struct Windows {
    by_name: HashMap<Arc<str>, Window>,
    /// By the last use.
    order: BTreeMap<u64, Arc<str>>,
    uses: u64,
}

/// The numbers of one: the highest, and which of the last ones were there.
#[derive(Debug)]
struct Window {
    highest: u64,
    seen: Seen,
    used: u64,
}

impl Windows {
    /// Whether a message was there before.
    ///
    /// # Errors
    /// `refused` for a number that is so old that nobody knows.
    pub(super) fn knows(&self, name: &str, number: u64) -> Result<bool, Failure> {
        let Some(window) = self.by_name.get(name) else {
            return Ok(false);
        };
        let Some(age) = window.highest.checked_sub(number) else {
            return Ok(false);
        };
        if age >= WIDTH {
            let highest = window.highest;
            let message = format!(
                "expected one of the last {WIDTH} numbers of this publisher, the highest being {highest}, got {number}"
            );
            return Err(Code::Refused.because(message));
        }
        let (place, bit) = place(number);
        Ok(window.seen[place] & bit != 0)
    }

    /// A message was there. Whom it made forgotten.
    pub(super) fn note(&mut self, name: &Arc<str>, number: u64) -> Option<Arc<str>> {
        self.uses += 1;
        let fresh = Window {
            highest: number,
            seen: [0; _],
            used: self.uses,
        };
        let window = self.by_name.entry(Arc::clone(name)).or_insert(fresh);
        self.order.remove(&window.used);
        window.used = self.uses;
        self.order.insert(self.uses, Arc::clone(name));
        // The bits between are those of numbers that are now too old.
        for between in (window.highest..number).take(WIDTH as usize) {
            window.set(between + 1, false);
        }
        window.highest = window.highest.max(number);
        if window.highest - number < WIDTH {
            window.set(number, true);
        }
        if self.by_name.len() <= PUBLISHERS_MAX {
            return None;
        }
        let (_, oldest) = self.order.pop_first()?;
        self.by_name.remove(&oldest);
        Some(oldest)
    }

    /// A message was not there after all.
    pub(super) fn forget(&mut self, name: &str, number: u64) {
        if let Some(window) = self.by_name.get_mut(name)
            && let Some(age) = window.highest.checked_sub(number)
            && age < WIDTH
        {
            window.set(number, false);
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<(u64, &[u8])> {
        let window = self.by_name.get(name)?;
        Some((window.highest, &window.seen))
    }

    /// As it was when it was stored.
    ///
    /// # Errors
    /// `bad-message` if it cannot be.
    pub(super) fn restore(
        &mut self,
        name: Arc<str>,
        highest: u64,
        seen: &[u8],
    ) -> Result<(), Failure> {
        let expected = || Code::BadMessage.because("expected the numbers of a publisher");
        let seen = seen.try_into().map_err(|_| expected())?;
        self.note(&name, highest);
        if let Some(window) = self.by_name.get_mut(&name) {
            window.seen = seen;
        }
        Ok(())
    }
}

impl Window {
    fn set(&mut self, number: u64, is_seen: bool) {
        let (place, bit) = place(number);
        match is_seen {
            true => self.seen[place] |= bit,
            false => self.seen[place] &= !bit,
        }
    }
}

fn place(number: u64) -> (usize, u8) {
    let place = (number % WIDTH) as usize;
    (place / 8, 1 << (place % 8))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_number_counts_once_in_whatever_order_it_comes() {
        let mut windows = Windows::default();
        let name = Arc::from("p");
        let far = 100 + WIDTH;
        for number in [5, 3, 4, 100, 60, 99 + WIDTH, far] {
            assert_eq!(windows.knows("p", number), Ok(false), "{number}");
            windows.note(&name, number);
            assert_eq!(windows.knows("p", number), Ok(true), "{number}");
        }
        assert_eq!(windows.knows("p", far - 2), Ok(false));
        // Too old to be known by now.
        assert_eq!(windows.knows("p", 100).unwrap_err().code, Code::Refused);
        assert_eq!(windows.knows("q", 100), Ok(false));
        windows.forget("p", far);
        assert_eq!(windows.knows("p", far), Ok(false));
        windows.note(&name, u64::MAX);
        assert_eq!(windows.knows("p", u64::MAX), Ok(true));
    }

    #[test]
    fn of_too_many_publishers_the_one_who_is_silent_for_longest_is_forgotten() {
        let mut windows = Windows::default();
        let first = Arc::from("first");
        windows.note(&first, 1);
        windows.note(&Arc::from("second"), 1);
        for n in 2..PUBLISHERS_MAX {
            assert_eq!(windows.note(&n.to_string().into(), 1), None);
        }
        windows.note(&first, 2);
        assert_eq!(
            windows.note(&Arc::from("last"), 1).as_deref(),
            Some("second")
        );
        assert_eq!(windows.knows("first", 2), Ok(true));
        assert_eq!(windows.knows("second", 1), Ok(false));
    }
}
