//! What this node sends and receives: messages of streams, datagrams, and the frames of its links.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

mod detail;
mod filter;
mod recording;

use leptos::prelude::*;

use crate::rows::Scroll;
use crate::shown::Shown;
use crate::units::{bytes, clock};
use detail::Detail;
use filter::Filter;
use recording::Frame;
pub(crate) use recording::Recording;

/// The height of a row, in pixels.
const ROW: f64 = 26.0;

#[component]
pub(crate) fn Frames(shown: Shown) -> impl IntoView {
    let recording = shown.frames;
    let typed = RwSignal::new(String::new());
    let chosen = RwSignal::new(None::<u64>);
    let filter = Memo::new(move |_| Filter::read(&typed.get()));
    // It is on from when somebody looks until it is turned off.
    Effect::new(move |_| {
        if let Some(services) = shown.services.get() {
            recording.begin(shown, services);
        }
    });
    let rows = Memo::new(move |_| {
        let filter = filter.get();
        recording.frames.with(|frames| {
            let wanted = frames.iter().rev().filter(|frame| filter.wants(frame));
            wanted.map(|frame| frame.number).collect::<Vec<_>>()
        })
    });
    let count = move || {
        let all = recording.frames.with(|frames| frames.len());
        let missed = match recording.missed.get() {
            0 => String::new(),
            missed => format!(", {missed} missed"),
        };
        format!("{} of {all}{missed}", rows.with(Vec::len))
    };
    view! {
        <div class="tools">
            <input type="search" aria-label="Filter frames" placeholder="peer:right proto:rpc dir:in kind:record text  /" data-testid="filter"
                autocomplete="off" spellcheck="false" prop:value=typed on:input=move |event| typed.set(event_target_value(&event)) />
            <button data-testid="record" aria-pressed=move || recording.is_on.get().to_string() on:click=move |_| recording.is_on.update(|on| *on = !*on)>
                {move || if recording.is_on.get() { "Recording" } else { "Paused" }}
            </button>
            <button data-testid="clear" on:click=move |_| { chosen.set(None); recording.clear(); }>"Clear"</button>
            <span class="soft" role="status" data-testid="count">{count}</span>
        </div>
        <div class="halves">
            <Table recording rows chosen />
            <section class="side" aria-label="The frame that is chosen">
                {move || {
                    let number = chosen.get()?;
                    let frame = recording.frames.with_untracked(|frames| recording::find(frames, number).cloned())?;
                    Some(view! { <Detail shown frame /> })
                }}
                <Show when=move || chosen.get().is_none()><p class="empty">"Choose a frame to see what is in it."</p></Show>
            </section>
        </div>
    }
}

/// The frames that are wanted, by their numbers.
#[component]
fn Table(
    recording: Recording,
    rows: Memo<Vec<u64>>,
    chosen: RwSignal<Option<u64>>,
) -> impl IntoView {
    let scroll = Scroll::new(ROW);
    let len = move || rows.with(Vec::len);
    let seen = move || {
        let numbers = rows.with(|rows| rows[scroll.seen(rows.len())].to_vec());
        recording.frames.with(|frames| {
            let frames = numbers
                .into_iter()
                .filter_map(|number| recording::find(frames, number).cloned());
            frames.collect::<Vec<_>>()
        })
    };
    view! {
        <div class="scroll table" tabindex="0" role="group" aria-label="Frames" on:scroll=move |event| scroll.moved(&event)>
            <table aria-rowcount=move || len() + 1>
                <thead><tr>
                    <th scope="col" class="when">"Time"</th><th scope="col" class="way">"Way"</th><th scope="col" class="peer">"Peer"</th>
                    <th scope="col" class="protocol">"Protocol"</th><th scope="col" class="kind">"Kind"</th><th scope="col" class="number size">"Size"</th>
                </tr></thead>
                <tbody data-testid="frames">
                    <tr class="room" style=move || scroll.above(len())></tr>
                    <For each=seen key=|frame| frame.number children=move |frame| view! { <Row frame chosen /> } />
                    <tr class="room" style=move || scroll.below(len())></tr>
                </tbody>
            </table>
        </div>
    }
}

#[component]
fn Row(frame: Frame, chosen: RwSignal<Option<u64>>) -> impl IntoView {
    let number = frame.number;
    let way = frame.way.as_str();
    let is_chosen = move || (chosen.get() == Some(number)).to_string();
    view! {
        <tr aria-selected=is_chosen data-way=way on:click=move |_| chosen.set(Some(number))>
            <td class="when"><button class="plain" on:click=move |_| chosen.set(Some(number))>{clock(frame.time)}</button></td>
            <td class=format!("way {way}")>{if way == "in" { "← in" } else { "→ out" }}</td>
            <td class="peer">{frame.peer}</td>
            <td class="protocol">{frame.protocol}</td>
            <td class="kind">{frame.kind}</td>
            <td class="number size">{bytes(frame.size as f64)}</td>
        </tr>
    }
}
