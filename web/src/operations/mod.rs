//! Operations of all nodes that have any: how far they are, what they are parts of, and when they ran.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

mod family;
mod feed;

use core::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use peerage::NodeId;
use peerage::service::operation::AGENT;

use crate::route::View;
use crate::rows::Scroll;
use crate::shown::{Shown, while_shown};
use crate::units::seconds;
use crate::zone::now;
use family::{Row, Span};
pub(crate) use feed::Feed;

/// The height of a row, in pixels.
const ROW: f64 = 30.0;
/// How often what is drawn by the time is drawn again.
const TICK: Duration = Duration::from_millis(500);

#[component]
pub(crate) fn OperationsView(shown: Shown) -> impl IntoView {
    let filter = RwSignal::new(String::new());
    let of = Memo::new(move |_| {
        let of = shown.route.with(|route| route.of.clone())?;
        Some(shown.zone.find(&of).map(|known| known.id))
    });
    let rows = Memo::new(move |_| {
        let wanted = filter.get().to_lowercase();
        let mut rows = match of.get() {
            Some(None) => Vec::new(),
            Some(node) => shown.operations.rows(node),
            None => shown.operations.rows(None),
        };
        rows.retain(|row| row.is_wanted(&shown.zone.name(row.key.0), &wanted));
        rows
    });
    let count = move || {
        let running = rows.with(|rows| rows.iter().filter(|row| row.is_running()).count());
        format!("{running} running, {} in all", rows.with(Vec::len))
    };
    view! {
        <div class="tools">
            <input type="search" aria-label="Filter operations" placeholder="Filter by name, node, state, note  /" data-testid="filter"
                prop:value=filter on:input=move |event| filter.set(event_target_value(&event)) />
            <span class="soft" role="status" data-testid="count">{count}</span>
        </div>
        <Table shown rows />
    }
}

/// What runs at a node, and has ended there lately.
#[component]
pub(crate) fn Running(shown: Shown, node: NodeId) -> impl IntoView {
    let rows = Memo::new(move |_| shown.operations.rows(Some(node)));
    let none = Memo::new(move |_| rows.with(Vec::is_empty));
    move || match none.get() {
        true => view! { <p class="soft">"Nothing runs there, and nothing has ended lately."</p> }
            .into_any(),
        false => view! { <Table shown rows /> }.into_any(),
    }
}

#[component]
fn Table(shown: Shown, rows: Memo<Vec<Row>>) -> impl IntoView {
    let scroll = Scroll::new(ROW);
    let time = RwSignal::new(now());
    let problem = RwSignal::new(None::<String>);
    if let Some(services) = shown.services.get_untracked() {
        while_shown(async move {
            loop {
                services.node.sleep(TICK).await;
                time.set(now());
            }
        });
    }
    let span = Memo::new(move |_| rows.with(|rows| Span::of(rows, time.get())));
    let len = move || rows.with(Vec::len);
    let seen = move || {
        rows.with(|rows| {
            let seen = rows[scroll.seen(rows.len())].iter();
            seen.map(|row| row.key).collect::<Vec<_>>()
        })
    };
    let row = move |key| view! { <Line shown rows span problem key /> };
    view! {
        {move || problem.get().map(|why| view! { <p class="bad" role="alert">{why}</p> })}
        <div class="scroll table operations" tabindex="0" role="group" aria-label="Operations" on:scroll=move |event| scroll.moved(&event)>
            <table aria-rowcount=move || len() + 1>
                <thead><tr>
                    <th scope="col" class="name">"Operation"</th><th scope="col" class="at">"Node"</th><th scope="col" class="state">"State"</th>
                    <th scope="col" class="far">"Progress"</th><th scope="col" class="left number">"Left"</th><th scope="col" class="note">"Note"</th>
                    <th scope="col" class="when">{move || format!("Last {}", seconds(span.get().wide()))}</th><th scope="col" class="stop">"Stop"</th>
                </tr></thead>
                <tbody>
                    <tr class="room" style=move || scroll.above(len())></tr>
                    <For each=seen key=|key| *key children=row />
                    <tr class="room" style=move || scroll.below(len())></tr>
                </tbody>
            </table>
            <Show when=move || { len() == 0 }>
                <p class="empty">"No operation runs, and none has ended lately."</p>
            </Show>
        </div>
    }
}

/// One operation.
#[component]
fn Line(
    shown: Shown,
    rows: Memo<Vec<Row>>,
    span: Memo<Span>,
    problem: RwSignal<Option<String>>,
    key: (NodeId, u64),
) -> impl IntoView {
    let (node, id) = key;
    let row = Memo::new(move |_| rows.with(|rows| rows.iter().find(|row| row.key == key).cloned()));
    let of = move |text: fn(&Row) -> String| {
        Memo::new(move |_| row.with(|row| row.as_ref().map(text).unwrap_or_default()))
    };
    let name = of(|row| row.info.name.clone());
    let state = of(|row| row.info.state.clone());
    let note = of(|row| {
        let info = &row.info;
        info.reason
            .clone()
            .or_else(|| info.note.clone())
            .unwrap_or_default()
    });
    let left = of(|row| match row.is_running() {
        true => row.info.remaining_ms.map(seconds).unwrap_or_default(),
        false => String::new(),
    });
    let fraction = Memo::new(move |_| row.with(|row| row.as_ref().and_then(Row::fraction)));
    let depth = Memo::new(move |_| row.with(|row| row.as_ref().map_or(0, |row| row.depth)));
    let bar = move || row.with(|row| row.as_ref().map(|row| span.get().bar(row)));
    let is_running = Memo::new(move |_| row.with(|row| row.as_ref().is_some_and(Row::is_running)));
    let at = move || shown.zone.name(node);
    let stop = move |_| stop(shown, key, problem);
    view! {
        <tr data-testid=move || format!("operation-{}-{id}", at())>
            <th scope="row" class="name" style=move || format!("padding-left:{}px", 10 + 16 * depth.get())>{name} " " <small class="soft">{format!("#{id}")}</small></th>
            <td class="at"><a href=move || View::Nodes.address_of(&at())>{at}</a></td>
            <td class="state"><span class=move || format!("badge {}", state.get())>{state}</span></td>
            <td class="far">{move || fraction.get().map(|fraction| {
                let percent = format!("{:.0}%", fraction * 100.0);
                view! { <progress max="1" value=fraction aria-label="progress"></progress> <span class="number">{percent}</span> }
            })}</td>
            <td class="left number">{left}</td>
            <td class="note" title=note>{note}</td>
            <td class="when">{move || bar().map(|style| view! { <i class=format!("bar {}", state.get()) style=style></i> })}</td>
            <td class="stop">
                <Show when=move || is_running.get()>
                    <button class="quiet" on:click=stop aria-label=move || format!("Cancel {}", name.get())>"Cancel"</button>
                </Show>
            </td>
        </tr>
    }
}

/// Cancels an operation, or tells why it cannot be: that is for who started it, or knows its tracker.
fn stop(shown: Shown, (node, id): (NodeId, u64), problem: RwSignal<Option<String>>) {
    let Some(services) = shown.services.get_untracked() else {
        return;
    };
    let tracker = shown.operations.tracker(node, id);
    let which = tracker.unwrap_or_else(|| format!("#{id}"));
    spawn_local(async move {
        let proxy = services.rpc.proxy_at(node, AGENT);
        let stopped = proxy.call::<()>("stop", &(which, "cancel", "cancelled at the console"));
        let why = stopped.await.err().map(|error| error.to_string());
        shown.operations.ask(&services, node).await;
        // The view may be shown no longer.
        let _ = problem.try_set(why);
    });
}
