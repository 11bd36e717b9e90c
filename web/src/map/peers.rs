//! The nodes of the map as a list: who is here, by which path, and how far.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

use leptos::prelude::*;
use peerage::{Kind, NodeId};

use crate::route::View;
use crate::rows::Scroll;
use crate::shown::Shown;
use crate::units::millis;
use crate::zone::Known;

/// The height of a row, in pixels.
const ROW: f64 = 32.0;

#[component]
pub(crate) fn Peers(shown: Shown) -> impl IntoView {
    let scroll = Scroll::new(ROW);
    let ids = Memo::new(move |_| {
        let own = shown.own();
        shown.zone.nodes.with(|nodes| {
            let others = nodes.values().filter(|known| Some(known.id) != own);
            let mut others: Vec<_> = others.map(|known| (known.order(), known.id)).collect();
            others.sort_unstable();
            others.into_iter().map(|(_, id)| id).collect::<Vec<_>>()
        })
    });
    let len = move || ids.with(Vec::len);
    let seen = move || ids.with(|ids| ids[scroll.seen(ids.len())].to_vec());
    let alone = move || {
        let own = shown.own();
        let nobody = |nodes: &std::collections::BTreeMap<NodeId, Known>| {
            nodes
                .values()
                .all(|known| known.kind == Kind::Relay || Some(known.id) == own)
        };
        shown.state.get() == "online" && shown.zone.nodes.with(nobody)
    };
    view! {
        <section aria-labelledby="peers" class="peers">
            <h3 id="peers">"Peers " <small class="soft">{move || Some(len()).filter(|len| *len > 0)}</small></h3>
            <div class="scroll" tabindex="-1" on:scroll=move |event| scroll.moved(&event)>
                <div style=move || scroll.above(len())></div>
                <ul>
                    <For each=seen key=|id| *id children=move |id| view! { <Row shown id /> } />
                </ul>
                <div style=move || scroll.below(len())></div>
            </div>
            <Show when=alone>
                <p class="soft">
                    "Nobody else is here yet. " <a href="/?name=other" target="_blank">"Open another tab"</a>
                    ", on this machine or any that reaches the relay."
                </p>
            </Show>
        </section>
    }
}

/// One peer: a way to its page, and a button that makes it the target of what stands at the prompt.
#[component]
fn Row(shown: Shown, id: NodeId) -> impl IntoView {
    // The row is taken away once the peer is gone; until then there is nothing to show of it.
    let with = move |text: fn(&Known) -> String| {
        Memo::new(move |_| {
            let nodes = shown.zone.nodes;
            nodes.with(|nodes| nodes.get(&id).map(text).unwrap_or_default())
        })
    };
    let name = with(|known| known.name.clone());
    let kind = with(|known| known.kind.to_string());
    let path = with(|known| known.path_word().to_owned());
    let rtt = with(|known| known.rtt.map(millis).unwrap_or_default());
    let address = move |_| name.with_untracked(|name| shown.address(name));
    view! {
        <li class="peer" data-testid=move || format!("peer-{}", name.get()) data-path=path>
            <i class=move || format!("mark {}", kind.get()) title=kind></i>
            <a class="name" href=move || View::Nodes.address_of(&name.get())>{name}</a>
            <span class="rtt">{rtt}</span>
            <span class=move || format!("path {}", path.get())>{path}</span>
            <button class="quiet" on:click=address aria-label=move || format!("address {}", name.get()) title="address it at the prompt">"@"</button>
        </li>
    }
}
