//! Long lists, of which only the rows are made that can be seen.

use core::ops::Range;

use leptos::prelude::*;
use wasm_bindgen::JsCast;

/// Rows that are made above and below those that can be seen, so that a quick hand sees no gap.
const SPARE: usize = 8;

/// How far a list of rows of one height is scrolled.
#[derive(Clone, Copy)]
pub(crate) struct Scroll {
    /// The height of a row, in pixels.
    row: f64,
    first: RwSignal<usize>,
}

impl Scroll {
    /// At the top of a list whose rows are so high, in pixels.
    pub(crate) fn new(row: f64) -> Self {
        let first = RwSignal::new(0);
        Self { row, first }
    }

    /// Notes how far it is scrolled now.
    pub(crate) fn moved(self, event: &web_sys::Event) {
        let list = event.current_target();
        let Some(list) = list.and_then(|list| list.dyn_into::<web_sys::Element>().ok()) else {
            return;
        };
        let first = (f64::from(list.scroll_top()) / self.row) as usize;
        if self.first.get_untracked() != first {
            self.first.set(first);
        }
    }

    /// The rows to be made, of so many.
    pub(crate) fn seen(self, len: usize) -> Range<usize> {
        let tall = window().inner_height().ok().and_then(|tall| tall.as_f64());
        let most = (tall.unwrap_or(1000.0) / self.row) as usize + 2 * SPARE;
        window_of(self.first.get(), most, len)
    }

    /// The style of what stands for the rows above.
    pub(crate) fn above(self, len: usize) -> String {
        self.room(self.seen(len).start)
    }

    /// The style of what stands for the rows below.
    pub(crate) fn below(self, len: usize) -> String {
        self.room(len - self.seen(len).end)
    }

    fn room(self, rows: usize) -> String {
        format!("height:{}px", rows as f64 * self.row)
    }
}

/// At most so many rows of a list, the spare ones before `first` included.
fn window_of(first: usize, most: usize, len: usize) -> Range<usize> {
    let start = first.saturating_sub(SPARE).min(len.saturating_sub(most));
    start..(start + most).min(len)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn what_is_made_is_within_the_list_and_holds_what_is_seen() {
        assert_eq!(window_of(0, 30, 10), 0..10);
        assert_eq!(window_of(0, 30, 500), 0..30);
        assert_eq!(window_of(100, 30, 500), 92..122);
        assert_eq!(window_of(490, 30, 500), 470..500);
        // The list may have become shorter than it was when it was scrolled.
        assert_eq!(window_of(490, 30, 40), 10..40);
        assert_eq!(window_of(490, 30, 0), 0..0);
    }
}
