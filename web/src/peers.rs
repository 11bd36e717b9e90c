//! Who is here, and by which path.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

use std::collections::BTreeMap;

use leptos::prelude::*;
use peerage::{Kind, NodeId, Peer};

use crate::shown::Shown;

/// Rows that are shown; more are counted.
const ROWS_MAX: usize = 200;

#[component]
pub(crate) fn Peers(shown: Shown) -> impl IntoView {
    let ids = move || {
        shown.peers.with(|peers| {
            let mut rows: Vec<_> = peers.values().collect();
            rows.sort_by_key(|peer| (peer.kind == Kind::Relay, &peer.name));
            rows.into_iter()
                .take(ROWS_MAX)
                .map(|peer| peer.id)
                .collect::<Vec<_>>()
        })
    };
    let more = move || {
        shown
            .peers
            .with(|peers| peers.len().saturating_sub(ROWS_MAX))
    };
    let alone = move || {
        let nobody = |peers: &BTreeMap<_, Peer>| peers.values().all(|p| p.kind == Kind::Relay);
        shown.state.get() == "online" && shown.peers.with(nobody)
    };
    view! {
        <section aria-labelledby="peers" class="peers">
            <h2 id="peers">"Peers"</h2>
            <ul>
                <For each=ids key=|id| *id children=move |id| view! { <Row shown id /> } />
            </ul>
            <Show when=move || { more() > 0 }>
                <p class="soft">"and " {more} " more"</p>
            </Show>
            <Show when=alone>
                <p class="soft">
                    "Nobody else is here yet. " <a href="/?name=other" target="_blank">"Open another tab"</a>
                    ", on this machine or any that reaches the relay."
                </p>
            </Show>
        </section>
    }
}

/// One peer. Pressed, it is the target of what stands at the prompt.
#[component]
fn Row(shown: Shown, id: NodeId) -> impl IntoView {
    // The row is taken away once the peer is gone; until then there is nothing to show of it.
    let with = move |text: fn(&Peer) -> String| {
        Memo::new(move |_| {
            shown
                .peers
                .with(|peers| peers.get(&id).map(text).unwrap_or_default())
        })
    };
    let name = with(|peer| peer.name.to_string());
    let kind = with(|peer| peer.kind.to_string());
    let path = with(|peer| peer.path.to_string());
    let rtt = with(|peer| {
        peer.quality.rtt.map_or_else(String::new, |rtt| {
            format!("{:.1} ms", rtt.as_secs_f64() * 1000.0)
        })
    });
    let address = move |_| {
        let name = name.get_untracked();
        shown.typed.update(|typed| {
            let command = typed.split(" @").next().unwrap_or_default().trim_end();
            *typed = format!("{command} @{name}").trim_start().to_owned();
        });
        crate::prompt::focus();
    };
    view! {
        <li data-testid=move || format!("peer-{}", name.get()) data-path=path>
            <button class="peer" on:click=address title=move || format!("address {}", name.get())>
                <span class="name">{name}</span>
                <small>{kind}</small>
                <small class="rtt">{rtt}</small>
                <span class=move || format!("badge {}", path.get())>{path}</span>
            </button>
        </li>
    }
}
