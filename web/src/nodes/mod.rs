//! The nodes: a table of all, and a page for each.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

mod agent;
mod form;
mod page;

use leptos::prelude::*;
use peerage::NodeId;

use crate::plot::spark;
use crate::route::{View, go};
use crate::rows::Scroll;
use crate::shown::Shown;
use crate::units::{millis, natural, rate};
use crate::zone::{Known, SAMPLES_MAX, Sums};
use page::NodePage;

/// The height of a row, in pixels.
const ROW: f64 = 30.0;

#[component]
pub(crate) fn Nodes(shown: Shown) -> impl IntoView {
    let of = Memo::new(move |_| shown.route.with(|route| route.of.clone()));
    move || match of.get() {
        Some(node) => view! { <NodePage shown node /> }.into_any(),
        None => view! { <Table shown /> }.into_any(),
    }
}

/// By what the table is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Name,
    Kind,
    Path,
    Rtt,
    Links,
    Traffic,
}

impl Column {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Name, "Name"),
        (Self::Kind, "Kind"),
        (Self::Path, "Path"),
        (Self::Rtt, "Round trip"),
        (Self::Links, "Links"),
        (Self::Traffic, "Traffic"),
    ];

    /// Sorts nodes by it; those that have nothing there are the last.
    fn sort(self, rows: &mut [(Known, Sums)], is_backwards: bool) {
        rows.sort_by_cached_key(|(known, _)| natural(&known.name));
        let rtt = |known: &Known| known.rtt.unwrap_or(f64::INFINITY);
        match self {
            Self::Name => {}
            Self::Kind => rows.sort_by_key(|(known, _)| known.kind.as_str()),
            Self::Path => rows.sort_by_key(|(known, _)| known.path_word()),
            Self::Rtt => rows.sort_by(|(a, _), (b, _)| rtt(a).total_cmp(&rtt(b))),
            Self::Links => rows.sort_by_key(|(_, sums)| core::cmp::Reverse(sums.links)),
            Self::Traffic => rows.sort_by(|(_, a), (_, b)| b.rate.total_cmp(&a.rate)),
        }
        if is_backwards {
            rows.reverse();
        }
    }
}

#[component]
fn Table(shown: Shown) -> impl IntoView {
    let scroll = Scroll::new(ROW);
    let filter = RwSignal::new(String::new());
    let by = RwSignal::new((Column::Name, false));
    let ids = Memo::new(move |_| {
        let (column, is_backwards) = by.get();
        let wanted = filter.get().to_lowercase();
        let mut rows: Vec<_> = shown.zone.sums.with(|sums| {
            shown.zone.nodes.with(|nodes| {
                let rows = nodes.values().filter(|known| is_wanted(known, &wanted));
                let sums = |id| sums.get(id).copied().unwrap_or_default();
                rows.map(|known| (known.clone(), sums(&known.id))).collect()
            })
        });
        column.sort(&mut rows, is_backwards);
        rows.into_iter()
            .map(|(known, _)| known.id)
            .collect::<Vec<_>>()
    });
    let len = move || ids.with(Vec::len);
    let seen = move || ids.with(|ids| ids[scroll.seen(ids.len())].to_vec());
    let head = move |(column, title): (Column, &'static str)| {
        let sort = move || match by.get() {
            (sorted, false) if sorted == column => "ascending",
            (sorted, true) if sorted == column => "descending",
            _ => "none",
        };
        let choose = move |_| {
            by.update(|(sorted, is_backwards)| {
                *is_backwards = *sorted == column && !*is_backwards;
                *sorted = column;
            });
        };
        view! {
            <th scope="col" aria-sort=sort class=column_class(column)><button on:click=choose>{title}</button></th>
        }
    };
    view! {
        <div class="tools">
            <input type="search" aria-label="Filter nodes" placeholder="Filter by name, kind, path  /" data-testid="filter"
                prop:value=filter on:input=move |event| filter.set(event_target_value(&event)) />
            <span class="soft" role="status" data-testid="count">{move || format!("{} nodes", len())}</span>
        </div>
        <div class="scroll table" tabindex="0" role="group" aria-label="Nodes" on:scroll=move |event| scroll.moved(&event)>
            <table aria-rowcount=move || len() + 1>
                <thead><tr>{Column::ALL.map(head)}</tr></thead>
                <tbody>
                    <tr class="room" style=move || scroll.above(len())></tr>
                    <For each=seen key=|id| *id children=move |id| view! { <Row shown id /> } />
                    <tr class="room" style=move || scroll.below(len())></tr>
                </tbody>
            </table>
        </div>
    }
}

/// Whether each word of a filter is in the name, the kind, the path or the id.
fn is_wanted(known: &Known, wanted: &str) -> bool {
    let text = format!(
        "{} {} {} {}",
        known.name.to_lowercase(),
        known.kind,
        known.path_word(),
        known.id
    );
    wanted.split_whitespace().all(|word| text.contains(word))
}

fn column_class(column: Column) -> &'static str {
    match column {
        Column::Name => "name",
        Column::Kind => "kind",
        Column::Path => "by",
        Column::Rtt => "rtt number",
        Column::Links => "links number",
        Column::Traffic => "traffic number",
    }
}

#[component]
fn Row(shown: Shown, id: NodeId) -> impl IntoView {
    let known = move || shown.zone.nodes.with(|nodes| nodes.get(&id).cloned());
    let known = Memo::new(move |_| known());
    let sums = Memo::new(move |_| {
        shown
            .zone
            .sums
            .with(|sums| sums.get(&id).copied().unwrap_or_default())
    });
    let of = move |text: fn(&Known) -> String| {
        known.with(|known| known.as_ref().map(text).unwrap_or_default())
    };
    let name = move || of(|known| known.name.clone());
    let line =
        move || known.with(|known| known.as_ref().map(|known| spark(&known.rtts, SAMPLES_MAX)));
    let open = move |_| go(&View::Nodes.address_of(&name()));
    let is_own = move || shown.own() == Some(id);
    view! {
        <tr data-testid=move || format!("node-{}", name()) on:click=open>
            <th scope="row" class="name">
                <i class=move || format!("mark {}", of(|known| known.kind.to_string()))></i>
                <a href=move || View::Nodes.address_of(&name())>{name}</a>
                <small class="soft">{move || is_own().then_some("this tab")}</small>
            </th>
            <td class="kind">{move || of(|known| known.kind.to_string())}</td>
            <td class="by"><span class=move || format!("path {}", of(|known| known.path_word().into()))>{move || of(|known| known.path_word().into())}</span></td>
            <td class="rtt number">{line} {move || of(|known| known.rtt.map(millis).unwrap_or_default())}</td>
            <td class="links number">{move || Some(sums.get().links).filter(|links| *links > 0)}</td>
            <td class="traffic number">{move || rate(sums.get().rate)}</td>
        </tr>
    }
}
