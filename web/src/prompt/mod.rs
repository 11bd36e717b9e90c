//! The prompt: lines that are typed, with history and completion.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

mod history;
mod results;

use leptos::prelude::*;
use leptos::task::spawn_local;
use peerage::service::command::{Candidate, Completion};
use wasm_bindgen::JsCast;
use web_sys::{HtmlInputElement, KeyboardEvent, SubmitEvent};

use crate::route::View;
use crate::shown::Shown;
use history::History;
use results::{Lines, Results, scroll_down};

const INPUT: &str = "prompt";
/// Candidates that are shown.
const CANDIDATES_MAX: usize = 40;

/// Puts the cursor where lines are typed.
pub(crate) fn focus() {
    if let Some(input) = input() {
        // An element that cannot be focused is hidden.
        let _ = input.focus();
    }
}

#[component]
pub(crate) fn Prompt(shown: Shown) -> impl IntoView {
    let prompt = Typing {
        shown,
        results: Results::new(),
        history: History::load(),
        completion: RwSignal::default(),
        is_let_go: StoredValue::new(false),
        is_open: RwSignal::new(None),
    };
    // Each view begins with the room that it needs.
    Effect::new(move |before: Option<View>| {
        let view = shown.route.with(|route| route.view);
        if before.is_some_and(|before| before != view) {
            prompt.is_open.set(None);
        }
        view
    });
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        prompt.submit();
    };
    let typed = move |event| {
        shown.typed.set(event_target_value(&event));
        prompt.completion.set(Completion::default());
        prompt.is_let_go.set_value(false);
    };
    let toggle = move |_| {
        let is_open = prompt.is_open_now();
        prompt.is_open.set(Some(!is_open));
        scroll_down();
    };
    view! {
        <section aria-label="Prompt" class=move || format!("dock {}", prompt.size()) on:keydown=move |event| prompt.interrupt(&event)>
            <Lines results=prompt.results>
                <Examples shown />
            </Lines>
            <Candidates prompt />
            <form on:submit=submit>
                <label for=INPUT><span class="hidden">"Command"</span> "›"</label>
                <input id=INPUT data-testid="prompt" autofocus autocomplete="off" autocapitalize="off" spellcheck="false"
                    enterkeyhint="go" placeholder="calc 1+2 @name" title="Tab completes; Esc, then Tab, moves on; Ctrl-C interrupts"
                    prop:value=shown.typed
                    on:input=typed
                    on:keydown=move |event| prompt.key(&event) />
                <small class="soft keys"><kbd>"Tab"</kbd>" completes "<kbd>"Ctrl-C"</kbd>" interrupts "<kbd>":"</kbd>" comes here"</small>
                <button type="submit" disabled=move || shown.services.with(Option::is_none)>"Run"</button>
                <button type="button" class="quiet toggle" data-testid="results-toggle" aria-expanded=move || prompt.is_open_now().to_string() on:click=toggle>
                    {move || if prompt.is_open_now() { "Hide results" } else { "Show results" }}
                </button>
            </form>
        </section>
    }
}

/// What is being typed.
#[derive(Clone, Copy)]
struct Typing {
    shown: Shown,
    results: Results,
    history: History,
    /// What could stand at the cursor.
    completion: RwSignal<Completion>,
    /// The next Tab leaves the prompt.
    is_let_go: StoredValue<bool>,
    /// Whether results are shown, if somebody has said.
    is_open: RwSignal<Option<bool>>,
}

/// A page that is narrower, in pixels, has no room for results that nobody asked for.
const NARROW: f64 = 760.0;

impl Typing {
    /// How much of the page it takes, as its style names it.
    fn size(self) -> &'static str {
        match self.is_open_now() {
            _ if self.is_alone() => "whole",
            true => "open",
            false => "line",
        }
    }

    /// Whether results are shown: on the map as long as there is room, and whenever there are new ones.
    fn is_open_now(self) -> bool {
        let view = self.shown.route.with(|route| route.view);
        let wide = window().inner_width().ok().and_then(|wide| wide.as_f64());
        let has_room = view == View::Map && wide.is_none_or(|wide| wide >= NARROW);
        self.is_alone() || self.is_open.get().unwrap_or(has_room)
    }

    fn is_alone(self) -> bool {
        self.shown.route.with(|route| route.view == View::Prompt)
    }

    fn submit(self) {
        let line = self.shown.typed.get_untracked().trim().to_owned();
        let services = self.shown.services.get_untracked();
        let Some(services) = services.filter(|_| !line.is_empty()) else {
            return;
        };
        self.shown.typed.set(String::new());
        self.completion.set(Completion::default());
        self.history.push(&line);
        self.is_open.set(Some(true));
        self.results.run(&services.commands, &line);
    }

    fn key(self, event: &KeyboardEvent) {
        let line = match event.key().as_str() {
            "ArrowUp" => self.history.step(1),
            "ArrowDown" => self.history.step(-1),
            "Escape" => {
                self.completion.set(Completion::default());
                return self.is_let_go.set_value(true);
            }
            "Tab" if !event.shift_key() => {
                let is_empty = self.shown.typed.with_untracked(String::is_empty);
                if !is_empty && !self.is_let_go.get_value() {
                    event.prevent_default();
                    self.complete();
                }
                return;
            }
            _ => return,
        };
        event.prevent_default();
        self.shown.typed.set(line);
    }

    /// Ctrl-C where nothing is selected ends what runs, or else clears the line.
    fn interrupt(self, event: &KeyboardEvent) {
        if event.key() != "c" || !event.ctrl_key() || is_selected() {
            return;
        }
        event.prevent_default();
        if !self.results.stop_last() {
            self.shown.typed.set(String::new());
        }
    }

    fn complete(self) {
        let Some(services) = self.shown.services.get_untracked() else {
            return;
        };
        spawn_local(async move {
            let line = self.shown.typed.get_untracked();
            let cursor = cursor(&line);
            let completion = services.commands.complete(&line, cursor).await;
            // Whoever has typed on meanwhile has no use for it.
            if self.shown.typed.get_untracked() != line {
                return;
            }
            let begun = &line[completion.start..cursor];
            let common = common(&completion.candidates);
            let only = completion.candidates.len() == 1;
            if only || common.len() > begun.len() {
                let space = if only { " " } else { "" };
                self.replace(completion.start, cursor, &format!("{common}{space}"));
            }
            let several = (!only).then_some(completion);
            self.completion.set(several.unwrap_or_default());
            // What is offered takes room from the results.
            scroll_down();
        });
    }

    /// Puts a text in the place of what is between two bytes of the line, and the cursor after it.
    fn replace(self, start: usize, end: usize, text: &str) {
        let mut line = self.shown.typed.get_untracked();
        if line.get(start..end).is_none() {
            return;
        }
        line.replace_range(start..end, text);
        let at = line[..start + text.len()].encode_utf16().count() as u32;
        self.shown.typed.set(line);
        request_animation_frame(move || {
            if let Some(input) = input() {
                // An input of text has a cursor.
                let _ = input.set_selection_range(at, at);
            }
            focus();
        });
    }
}

/// What could stand at the cursor, to be pressed.
#[component]
fn Candidates(prompt: Typing) -> impl IntoView {
    let take = move |text: String| {
        let start = prompt.completion.with_untracked(|shown| shown.start);
        let end = prompt.shown.typed.with_untracked(|line| cursor(line));
        prompt.completion.set(Completion::default());
        prompt.replace(start, end, &format!("{text} "));
    };
    let button = move |candidate: Candidate| {
        let Candidate { text, help } = candidate;
        let taken = text.clone();
        view! { <button class="example" title=help on:click=move |_| take(taken.clone())>{text}</button> " " }
    };
    let candidates = move || {
        let shown = prompt.completion.get().candidates;
        let more = shown.len().saturating_sub(CANDIDATES_MAX);
        let more = (more > 0).then(|| format!("and {more} more"));
        let buttons: Vec<_> = shown.into_iter().take(CANDIDATES_MAX).map(button).collect();
        (buttons, more)
    };
    view! { <div class="candidates" data-testid="candidates" role="status">{candidates}</div> }
}

/// Something to begin with.
#[component]
fn Examples(shown: Shown) -> impl IntoView {
    let example = move |line: &'static str| {
        let take = move |_| {
            shown.typed.set(line.to_owned());
            focus();
        };
        view! { <button class="example" on:click=take>{line}</button> }
    };
    view! {
        <p class="soft">"Press a peer to address it, or begin with "
            {example("help")} " " {example("peers")} " " {example("calc (1+2)*3.5")}
        </p>
    }
}

fn input() -> Option<HtmlInputElement> {
    document().get_element_by_id(INPUT)?.dyn_into().ok()
}

/// The byte of the line at which the cursor is.
fn cursor(line: &str) -> usize {
    let at = input().and_then(|input| input.selection_start().ok().flatten());
    let at = at.map_or(usize::MAX, |at| at as usize);
    let mut units = 0;
    for (byte, c) in line.char_indices() {
        if units >= at {
            return byte;
        }
        units += c.len_utf16();
    }
    line.len()
}

/// How all candidates begin.
fn common(candidates: &[Candidate]) -> &str {
    let Some(first) = candidates.first() else {
        return "";
    };
    let common = candidates.iter().fold(first.text.len(), |common, other| {
        let pairs = first.text.char_indices().zip(other.text.chars());
        let differ = pairs.into_iter().find(|((_, a), b)| a != b);
        let same = differ.map_or(other.text.len(), |((at, _), _)| at);
        common.min(same)
    });
    &first.text[..common]
}

/// Whether something on the page is selected, which Ctrl-C is to copy.
fn is_selected() -> bool {
    let in_page = window().get_selection().ok().flatten();
    let in_input = input().is_some_and(|input| {
        input.selection_start().ok().flatten() != input.selection_end().ok().flatten()
    });
    in_input || in_page.is_some_and(|selection| !selection.is_collapsed())
}
