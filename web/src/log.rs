//! What happens: the comings and goings of peers in words, and the steps of commands.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::shown::Shown;

/// Lines that are kept.
const LINES_MAX: usize = 300;

/// One line.
#[derive(Clone)]
pub(crate) struct Entry {
    id: usize,
    time: String,
    level: &'static str,
    /// For those who look for a fault.
    detail: bool,
    text: String,
}

#[component]
pub(crate) fn EventLog(shown: Shown) -> impl IntoView {
    let all = RwSignal::new(false);
    let newest_first = move || {
        let mut entries = shown.log.get();
        entries.retain(|entry| all.get() || !entry.detail);
        entries.reverse();
        entries
    };
    let row = |entry: Entry| {
        view! {
            <li class=entry.level.to_lowercase()><time>{entry.time}</time> " " {entry.text}</li>
        }
    };
    view! {
        <section aria-labelledby="events" class="events">
            <h2 id="events">"Events"</h2>
            <label class="soft"><input type="checkbox" bind:checked=all /> " details"</label>
            <ol class="lines" data-testid="log" tabindex="0" aria-labelledby="events">
                <For each=newest_first key=|entry| entry.id children=row />
            </ol>
        </section>
    }
}

/// Shows what the node logs.
pub(crate) fn watch(shown: Shown) {
    peerage_wasm::log::watch(move |line| {
        let (level, text) = (line.level, line.text.clone());
        let detail = !["ERROR", "WARN"].contains(&level);
        // The node may be at work while it logs; the page looks afterwards.
        spawn_local(async move { push(shown, level, detail, text) });
    });
}

/// Shows something that has happened.
pub(crate) fn note(shown: Shown, who: &str, what: &str) {
    push(shown, "NOTE", false, format!("{who} {what}"));
}

fn push(shown: Shown, level: &'static str, detail: bool, text: String) {
    let time = String::from(js_sys::Date::new_0().to_time_string());
    let time = time.chars().take("00:00:00".len()).collect();
    shown.log.update(|log| {
        let id = log.last().map_or(0, |last| last.id + 1);
        log.push(Entry {
            id,
            time,
            level,
            detail,
            text,
        });
        let surplus = log.len().saturating_sub(LINES_MAX);
        log.drain(..surplus);
    });
}
