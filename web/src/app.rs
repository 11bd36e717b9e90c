//! The page's frame: where one can go, whose node this is, the view, and the prompt under it.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::frames::Frames;
use crate::keys;
use crate::log::EventLog;
use crate::map::Map;
use crate::nodes::Nodes;
use crate::operations::OperationsView;
use crate::prompt::Prompt;
use crate::route::{Route, View};
use crate::shown::{Shown, join};
use crate::topics::TopicsView;

/// Shows the page.
pub(crate) fn mount() {
    mount_to_body(App);
}

#[component]
fn App() -> impl IntoView {
    let shown = Shown::new();
    crate::log::watch(shown);
    keys::listen();
    // It is never taken away.
    let _ = window_event_listener(leptos::ev::hashchange, move |_| {
        shown.route.set(Route::now())
    });
    spawn_local(join(shown));
    let view = Memo::new(move |_| shown.route.with(|route| route.view));
    view! {
        <Rail shown />
        <header>
            <h2>{move || view.get().title()}</h2>
            <Of shown />
            <span class="own">
                <strong data-testid="own-name">{shown.name}</strong>
                <small class="mono" title="the beginning of this node's id">{shown.id}</small>
            </span>
            <span data-testid="state" role="status" class=move || format!("badge {}", shown.state.get())>
                {shown.state}
            </span>
        </header>
        <Problem shown />
        <main class=move || view.get().word() data-testid=move || format!("view-{}", view.get().word())>
            {move || match view.get() {
                View::Map => view! { <Map shown /> }.into_any(),
                View::Nodes => view! { <Nodes shown /> }.into_any(),
                View::Operations => view! { <OperationsView shown /> }.into_any(),
                View::Topics => view! { <TopicsView shown /> }.into_any(),
                View::Frames => view! { <Frames shown /> }.into_any(),
                View::Log => view! { <EventLog shown /> }.into_any(),
                View::Prompt => ().into_any(),
            }}
        </main>
        <Prompt shown />
    }
}

/// The views, and the pages beside the console.
#[component]
fn Rail(shown: Shown) -> impl IntoView {
    let entry = move |view: View| {
        let is_here = move || shown.route.with(|route| route.view == view);
        let count = move || match view {
            View::Nodes => shown.zone.nodes.with(|nodes| nodes.len()),
            View::Operations => shown.operations.running.get(),
            _ => 0,
        };
        let shown_count = move || Some(count()).filter(|count| *count > 0);
        view! {
            <a href=view.address() aria-current=move || is_here().then_some("page") data-testid=format!("go-{}", view.word())>
                <svg viewBox="0 0 16 16" aria-hidden="true"><path d=icon(view) /></svg>
                <span>{view.title()}</span>
                <small>{shown_count}</small>
            </a>
        }
    };
    view! {
        <nav class="rail" aria-label="Views">
            <h1>
                <svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="4.5" cy="8" r="3.5" /><circle cx="11.5" cy="8" r="3.5" /></svg>
                <span>"Peerage"</span>
            </h1>
            {View::ALL.map(entry)}
            <div class="beside">
                <a href="/two-screens/">"Two screens"</a>
                <a href="/pour/">"Pour"</a>
            </div>
        </nav>
    }
}

/// What of the view is shown.
#[component]
fn Of(shown: Shown) -> impl IntoView {
    move || {
        let Route { view, of } = shown.route.get();
        of.map(|of| {
            view! {
                <span class="of">{of}</span>
                <a class="all" href=view.address() data-testid="all">"show all"</a>
            }
        })
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

/// A picture of a view, as the path of strokes in a square of 16.
const fn icon(view: View) -> &'static str {
    match view {
        View::Map => {
            "M8 6.2V3.6M6.4 9.1 4.2 11M9.6 9.1l2.2 1.9M8 10a1.9 1.9 0 1 0 0-3.8A1.9 1.9 0 0 0 8 10ZM8 3.5a1 1 0 1 0 0-2 1 1 0 0 0 0 2ZM3.4 12.7a1 1 0 1 0 0-2 1 1 0 0 0 0 2ZM12.6 12.7a1 1 0 1 0 0-2 1 1 0 0 0 0 2Z"
        }
        View::Nodes => "M2 3.5h12M2 8h12M2 12.5h12M2 3.5h.01M5.5 2v3M5.5 6.500v3M5.5 11v3",
        View::Operations => "M2 3.5h6M5 8h6M8 12.5h6",
        View::Topics => {
            "M3 13a10 10 0 0 1 0-10M13 3a10 10 0 0 1 0 10M5.600 10.500a5 5 0 0 1 0-5M10.400 5.500a5 5 0 0 1 0 5M8 8h.01"
        }
        View::Frames => "M2 5h11l-3-3M14 11H3l3 3",
        View::Log => "M3 3h10M3 6.300h7M3 9.700h10M3 13h5",
        View::Prompt => "M3 4l4 4-4 4M8 12.500h5.500",
    }
}
