//! The lines that were typed, in this tab and in former ones.

use leptos::prelude::*;

/// Lines that are kept.
const LINES_MAX: usize = 200;
const KEY: &str = "peerage.console.history";

/// Lines, the oldest first, and where in them the prompt stands.
#[derive(Clone, Copy)]
pub(crate) struct History {
    lines: StoredValue<Vec<String>>,
    /// How many lines back.
    back: StoredValue<usize>,
}

impl History {
    /// What the browser has kept.
    pub(crate) fn load() -> Self {
        Self {
            lines: StoredValue::new(kept()),
            back: StoredValue::new(0),
        }
    }

    /// One more line. The prompt is after it.
    pub(crate) fn push(self, line: &str) {
        self.back.set_value(0);
        self.lines.update_value(|lines| push(lines, line));
        let Some(storage) = storage() else { return };
        // Other tabs have kept lines of their own since.
        let mut all = kept();
        push(&mut all, line);
        // A full storage only means that a reload forgets.
        let _ = storage.set_item(KEY, &all.join("\n"));
    }

    /// The line so many steps further back, or none at all where the history ends.
    pub(crate) fn step(self, steps: isize) -> String {
        self.lines.with_value(|lines| {
            let wanted = self.back.get_value().saturating_add_signed(steps);
            let back = wanted.min(lines.len());
            self.back.set_value(back);
            lines.get(lines.len() - back).cloned().unwrap_or_default()
        })
    }
}

fn push(lines: &mut Vec<String>, line: &str) {
    if lines.last().is_none_or(|last| last != line) {
        lines.push(line.to_owned());
        let surplus = lines.len().saturating_sub(LINES_MAX);
        lines.drain(..surplus);
    }
}

fn kept() -> Vec<String> {
    let text = storage().and_then(|storage| storage.get_item(KEY).ok().flatten());
    let text = text.unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A browser may forbid it.
fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}
