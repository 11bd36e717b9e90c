//! What happens, at this node or at any other: the comings and goings of peers in words, and the log.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

mod follow;

use leptos::prelude::*;
use leptos::task::spawn_local;
use peerage::NodeId;
use peerage::log::Category;
use peerage_wasm::log::in_words;

use crate::route::{View, go};
use crate::shown::{Shown, while_shown};
use crate::units::clock;
use follow::follow;

/// Lines that are kept.
const LINES_MAX: usize = 500;
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
    time: String,
    level: String,
    category: String,
    text: String,
}

/// Which lines are shown. What is not chosen is empty.
#[derive(Clone, Copy)]
struct Choice {
    level: RwSignal<String>,
    category: RwSignal<String>,
    /// Words that are in the line, in any case.
    text: RwSignal<String>,
}

#[component]
pub(crate) fn EventLog(shown: Shown) -> impl IntoView {
    let choice = Choice {
        level: RwSignal::new(USUAL.to_owned()),
        category: RwSignal::default(),
        text: RwSignal::default(),
    };
    let name = Memo::new(move |_| shown.route.with(|route| route.of.clone()));
    let node = Memo::new(move |_| shown.zone.find(&name.get()?).map(|known| known.id));
    let theirs = Lines::default();
    keep_following(shown, name, node, theirs);
    // What is shown while it is not followed.
    let held = RwSignal::new(None::<Vec<Entry>>);
    let lines = move || {
        if name.with(Option::is_some) {
            theirs
        } else {
            shown.log
        }
    };
    let newest_first = move || {
        let mut entries = held.get().unwrap_or_else(|| lines().get());
        entries.retain(|entry| choice.wants(entry));
        entries.reverse();
        entries
    };
    let nothing = move || {
        let who = name.get().unwrap_or_else(|| "This node".into());
        let none = newest_first().is_empty();
        none.then(|| view! { <p class="empty">{format!("{who} has told nothing yet of what is chosen here.")}</p> })
    };
    let hold = move |_| {
        let now = held
            .with_untracked(Option::is_none)
            .then(|| lines().get_untracked());
        held.set(now);
    };
    let key = move |entry: &Entry| (name.get_untracked(), entry.id);
    let levels = LEVELS.map(|level| (level, level.to_lowercase()));
    let known = Category::ALL.map(|category| (category.as_str(), category.to_string()));
    let categories = [&[("", String::from("anything"))], &known[..]].concat();
    view! {
        <div class="tools">
            <input type="search" aria-label="Filter lines" placeholder="Filter by words  /" data-testid="filter"
                on:input=move |event| choice.text.set(event_target_value(&event).to_lowercase()) />
            <label>"of " <Nodes shown name /></label>
            <label>"about " {select("log-category", choice.category, categories)}</label>
            <label>"from " {select("log-level", choice.level, levels.into())}</label>
            <button aria-pressed=move || held.with(Option::is_none).to_string() on:click=hold>"Follow"</button>
        </div>
        <ol class="lines" data-testid="log" tabindex="0" aria-label="Lines, the latest first">
            <For each=newest_first key=key children=row />
        </ol>
        {nothing}
    }
}

/// This node, or one of the others.
#[component]
fn Nodes(shown: Shown, name: Memo<Option<String>>) -> impl IntoView {
    let others = move || {
        let own = shown.own();
        let mut others = shown.zone.nodes.with(|nodes| {
            let others = nodes.values().filter(|known| Some(known.id) != own);
            others
                .map(|known| (known.order(), known.name.clone()))
                .collect::<Vec<_>>()
        });
        others.sort_unstable();
        let mut others: Vec<_> = others.into_iter().map(|(_, name)| name).collect();
        // Whoever is chosen stays in the list, though gone.
        others.extend(name.get().filter(|name| !others.contains(name)));
        others
    };
    let chosen = move |event| match event_target_value(&event) {
        own if own.is_empty() => go(&View::Log.address()),
        name => go(&View::Log.address_of(&name)),
    };
    let option = move |own: String| {
        let shown = own.clone();
        let is_chosen = move || name.with(|name| name.as_ref() == Some(&own));
        view! { <option value=shown.clone() prop:selected=is_chosen>{shown.clone()}</option> }
    };
    view! {
        <select data-testid="log-node" on:change=chosen>
            <option value="" prop:selected=move || name.with(Option::is_none)>"this node"</option>
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
fn keep_following(
    shown: Shown,
    name: Memo<Option<String>>,
    node: Memo<Option<NodeId>>,
    theirs: Lines,
) {
    Effect::new(move |_| {
        name.track();
        theirs.set(Vec::new());
        let (Some(services), Some(id)) = (shown.services.get(), node.get()) else {
            return;
        };
        let id = id.to_string();
        while_shown(async move { follow(&services.commands, &id, theirs).await });
    });
}

impl Choice {
    fn wants(self, entry: &Entry) -> bool {
        let rank = |level: &str| LEVELS.iter().position(|known| *known == level);
        let category = self
            .category
            .with(|chosen| chosen.is_empty() || *chosen == entry.category);
        let text = self.text.with(|words| {
            let line = format!("{} {}", entry.category, entry.text).to_lowercase();
            words.split_whitespace().all(|word| line.contains(word))
        });
        category && text && self.level.with(|least| rank(&entry.level) <= rank(least))
    }
}

/// Shows what the node logs.
pub(crate) fn watch(shown: Shown) {
    peerage_wasm::log::watch(move |told| {
        let time = clock(told.time_ms as f64);
        let category = told.category.map_or(told.target, Category::as_str);
        let (level, category, text) = (told.level.as_str(), category.to_owned(), in_words(told));
        // The node may be at work while it logs; the page looks afterwards.
        spawn_local(async move { push(shown.log, time, level, &category, text) });
    });
}

/// Shows something that has happened.
pub(crate) fn note(shown: Shown, category: Category, who: &str, what: &str) {
    let time = clock(js_sys::Date::now());
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
