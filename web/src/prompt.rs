//! The prompt: lines that are typed, and what comes of them.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;

use crate::shown::Shown;

/// Lines whose results are kept.
const ENTRIES_MAX: usize = 200;
const INPUT: &str = "prompt";
const RESULTS: &str = "results";

/// A line that was typed, and what came of it.
#[derive(Clone)]
struct Entry {
    id: usize,
    line: String,
    result: RwSignal<Option<(i32, String)>>,
}

/// Puts the cursor where lines are typed.
pub(crate) fn focus() {
    let input = document().get_element_by_id(INPUT);
    if let Some(input) = input.and_then(|e| e.dyn_into::<web_sys::HtmlElement>().ok()) {
        // An element that cannot be focused is hidden.
        let _ = input.focus();
    }
}

#[component]
pub(crate) fn Prompt(shown: Shown) -> impl IntoView {
    let entries = RwSignal::new(Vec::<Entry>::new());
    // How many lines back in the history the prompt stands.
    let back = RwSignal::new(0usize);
    let recall = move |step: isize| {
        let wanted = back.get_untracked().saturating_add_signed(step);
        let line = entries.with_untracked(|all| {
            let at = wanted.min(all.len());
            back.set(at);
            // None at all where the history ends and what is typed begins.
            all.get(all.len() - at).map(|entry| entry.line.clone())
        });
        shown.typed.set(line.unwrap_or_default());
    };
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        back.set(0);
        run(shown, entries);
    };
    let key = move |event: web_sys::KeyboardEvent| {
        match event.key().as_str() {
            "ArrowUp" => recall(1),
            "ArrowDown" => recall(-1),
            _ => return,
        }
        event.prevent_default();
    };
    view! {
        <section aria-labelledby="commands" class="commands">
            <h2 id="commands">"Commands"</h2>
            <div class="lines" id=RESULTS role="log" aria-label="Results" tabindex="0">
                <Show when=move || entries.with(Vec::is_empty)>
                    <Examples shown />
                </Show>
                <For each=move || entries.get() key=|entry| entry.id children=result />
            </div>
            <form on:submit=submit>
                <label for=INPUT>"Command"</label>
                <input id=INPUT data-testid="prompt" autofocus autocomplete="off" autocapitalize="off" spellcheck="false"
                    enterkeyhint="go" placeholder="calc 1+2 @name"
                    prop:value=shown.typed
                    on:input=move |event| shown.typed.set(event_target_value(&event))
                    on:keydown=key />
                <button type="submit" disabled=move || shown.commands.with(Option::is_none)>"Run"</button>
            </form>
        </section>
    }
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

fn result(entry: Entry) -> impl IntoView {
    let outcome = entry.result;
    let shown = move || match outcome.get() {
        None => view! { <pre class="soft">"…"</pre> }.into_any(),
        Some((status, output)) => {
            let class = if status == 0 { "" } else { "bad" };
            view! { <pre class=class data-testid="result" data-status=status>{output}</pre> }
                .into_any()
        }
    };
    view! { <div class="soft">"› " {entry.line}</div> {shown} }
}

/// Runs the line that is typed; its result comes under it whenever it comes.
fn run(shown: Shown, entries: RwSignal<Vec<Entry>>) {
    let line = shown.typed.get_untracked().trim().to_owned();
    let Some(commands) = shown.commands.get_untracked().filter(|_| !line.is_empty()) else {
        return;
    };
    shown.typed.set(String::new());
    let result = RwSignal::new(None);
    entries.update(|all| {
        let id = all.last().map_or(0, |last| last.id + 1);
        all.push(Entry {
            id,
            line: line.clone(),
            result,
        });
        let surplus = all.len().saturating_sub(ENTRIES_MAX);
        all.drain(..surplus);
    });
    scroll_down();
    spawn_local(async move {
        result.set(Some(match commands.run(&line).await {
            Ok(outcome) => (i32::from(outcome.status.0), outcome.output),
            Err(failure) => (-1, failure.in_words()),
        }));
        scroll_down();
    });
}

/// Shows the newest result, once it is there.
fn scroll_down() {
    request_animation_frame(|| {
        if let Some(results) = document().get_element_by_id(RESULTS) {
            results.set_scroll_top(results.scroll_height());
        }
    });
}
