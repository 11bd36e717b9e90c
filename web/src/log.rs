//! What happens, at this node or at any other: the comings and goings of peers in words, and the log.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

use futures_util::future::{AbortHandle, abortable};
use leptos::prelude::*;
use leptos::task::spawn_local;
use peerage::log::Category;
use peerage_wasm::log::in_words;
use wasm_bindgen::JsValue;

use crate::follow::follow;
use crate::shown::Shown;

/// Lines that are kept.
const LINES_MAX: usize = 300;
/// The worst first.
const LEVELS: [&str; 4] = ["ERROR", "WARN", "INFO", "DEBUG"];
/// What is shown unless more is asked for.
const USUAL: &str = "INFO";

/// Lines, the oldest first.
pub(crate) type Lines = RwSignal<Vec<Entry>>;

/// One line.
#[derive(Clone)]
pub(crate) struct Entry {
    /// Its place among all that were ever there.
    id: usize,
    pub(crate) time: String,
    pub(crate) level: String,
    pub(crate) category: String,
    pub(crate) text: String,
}

/// Which lines are shown. What is not chosen is empty.
#[derive(Clone, Copy)]
struct Choice {
    /// The id of another node.
    node: RwSignal<String>,
    level: RwSignal<String>,
    category: RwSignal<String>,
}

#[component]
pub(crate) fn EventLog(shown: Shown) -> impl IntoView {
    let choice = Choice {
        node: RwSignal::default(),
        level: RwSignal::new(USUAL.to_owned()),
        category: RwSignal::default(),
    };
    let theirs = Lines::default();
    keep_following(shown, choice.node, theirs);
    let newest_first = move || {
        let of_other = choice.node.with(|node| !node.is_empty());
        let lines = if of_other { theirs } else { shown.log };
        let mut entries = lines.get();
        entries.retain(|entry| choice.wants(entry));
        entries.reverse();
        entries
    };
    let key = move |entry: &Entry| (choice.node.get_untracked(), entry.id);
    let levels = LEVELS.map(|level| (level, level.to_lowercase()));
    let known = Category::ALL.map(|category| (category.as_str(), category.to_string()));
    let categories = [&[("", String::from("anything"))], &known[..]].concat();
    view! {
        <section aria-labelledby="events" class="events">
            <div class="choices">
                <h2 id="events">"Events"</h2>
                <label>"of " <Nodes shown node=choice.node /></label>
                <label>"about " {select("log-category", choice.category, categories)}</label>
                <label>"from " {select("log-level", choice.level, levels.into())}</label>
            </div>
            <ol class="lines" data-testid="log" tabindex="0" aria-labelledby="events">
                <For each=newest_first key=key children=row />
            </ol>
        </section>
    }
}

/// This node, or one of the others.
#[component]
fn Nodes(shown: Shown, node: RwSignal<String>) -> impl IntoView {
    // Whoever is chosen stays in the list, though gone.
    let chosen = StoredValue::new((String::new(), String::new()));
    let others = move || {
        let peers = shown.peers.get().into_values();
        let mut others: Vec<_> = peers
            .map(|peer| (peer.name.to_string(), peer.id.to_string()))
            .collect();
        others.sort_unstable();
        let id = node.get();
        match others.iter().find(|other| other.1 == id) {
            Some(known) => chosen.set_value(known.clone()),
            None if !id.is_empty() => others.push(chosen.get_value()),
            None => {}
        }
        others
    };
    let option = |(name, id): (String, String)| view! { <option value=id>{name}</option> };
    view! {
        <select data-testid="log-node" on:change=move |event| node.set(event_target_value(&event)) prop:value=node>
            <option value="">"this node"</option>
            <For each=others key=Clone::clone children=option />
        </select>
    }
}

fn select(
    testid: &'static str,
    chosen: RwSignal<String>,
    options: Vec<(&'static str, String)>,
) -> impl IntoView {
    let options = options.into_iter().map(|(value, name)| {
        let selected = chosen.with_untracked(|chosen| chosen == value);
        view! { <option value=value selected=selected>{name}</option> }
    });
    let options: Vec<_> = options.collect();
    view! {
        <select data-testid=testid on:change=move |event| chosen.set(event_target_value(&event))>{options}</select>
    }
}

fn row(entry: Entry) -> impl IntoView {
    let category = entry.category.clone();
    view! {
        <li class=entry.level.to_lowercase() data-category=category>
            <time>{entry.time}</time> " " <small>{entry.category}</small> " " {entry.text}
        </li>
    }
}

/// Follows the log of whichever other node is chosen, until another is.
fn keep_following(shown: Shown, node: RwSignal<String>, theirs: Lines) {
    let following = StoredValue::new(None::<AbortHandle>);
    Effect::new(move |_| {
        let id = node.get();
        if let Some(Some(former)) = following.try_update_value(Option::take) {
            former.abort();
        }
        theirs.set(Vec::new());
        let Some(commands) = shown.commands.get_untracked().filter(|_| !id.is_empty()) else {
            return;
        };
        let (work, handle) = abortable(async move { follow(&commands, &id, theirs).await });
        following.set_value(Some(handle));
        spawn_local(async move {
            // It has ended, or another is followed.
            let _ = work.await;
        });
    });
}

impl Choice {
    fn wants(self, entry: &Entry) -> bool {
        let rank = |level: &str| LEVELS.iter().position(|known| *known == level);
        let category = self
            .category
            .with(|chosen| chosen.is_empty() || *chosen == entry.category);
        category && self.level.with(|least| rank(&entry.level) <= rank(least))
    }
}

/// Shows what the node logs.
pub(crate) fn watch(shown: Shown) {
    peerage_wasm::log::watch(move |told| {
        let time = time_of_day(&js_sys::Date::new(&JsValue::from(told.time_ms as f64)));
        let category = told.category.map_or(told.target, Category::as_str);
        let (level, category, text) = (told.level.as_str(), category.to_owned(), in_words(told));
        // The node may be at work while it logs; the page looks afterwards.
        spawn_local(async move { push(shown.log, time, level, &category, text) });
    });
}

/// Shows something that has happened.
pub(crate) fn note(shown: Shown, category: Category, who: &str, what: &str) {
    let time = time_of_day(&js_sys::Date::new_0());
    push(
        shown.log,
        time,
        USUAL,
        category.as_str(),
        format!("{who} {what}"),
    );
}

/// One more line.
pub(crate) fn push(lines: Lines, time: String, level: &str, category: &str, text: String) {
    lines.update(|lines| {
        let id = lines.last().map_or(0, |last| last.id + 1);
        lines.push(Entry {
            id,
            time,
            level: level.to_owned(),
            category: category.to_owned(),
            text,
        });
        let surplus = lines.len().saturating_sub(LINES_MAX);
        lines.drain(..surplus);
    });
}

/// As clocks show it where the page is.
pub(crate) fn time_of_day(date: &js_sys::Date) -> String {
    let time = String::from(date.to_time_string());
    time.chars().take("00:00:00".len()).collect()
}
