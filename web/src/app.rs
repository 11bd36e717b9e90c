//! The page as a whole.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::log::EventLog;
use crate::peers::Peers;
use crate::prompt::Prompt;
use crate::shown::{Shown, join};

/// Shows the page.
pub(crate) fn mount() {
    mount_to_body(App);
}

#[component]
fn App() -> impl IntoView {
    let shown = Shown::new();
    crate::log::watch(shown);
    spawn_local(join(shown));
    view! {
        <header>
            <h1>"Peerage"</h1>
            <nav aria-label="Examples">
                <a href="/two-screens/">"Two screens"</a>
                <a href="/pour/">"Pour"</a>
            </nav>
            <span class="own">
                <strong data-testid="own-name">{shown.name}</strong>
                <small title="the beginning of this node's id">{shown.id}</small>
            </span>
            <span data-testid="state" role="status" class=move || format!("badge {}", shown.state.get())>
                {shown.state}
            </span>
        </header>
        <Problem shown />
        <main>
            <Peers shown />
            <Prompt shown />
            <EventLog shown />
        </main>
    }
}

/// Why there is no node, and a way to try again.
#[component]
fn Problem(shown: Shown) -> impl IntoView {
    let again = move |_| {
        shown.problem.set(None);
        spawn_local(join(shown));
    };
    move || {
        shown.problem.get().map(|problem| {
            view! {
                <p class="problem" role="alert">
                    {problem} " " <button data-testid="again" on:click=again>"Try again"</button>
                </p>
            }
        })
    }
}
