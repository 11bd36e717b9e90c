//! A node's page: how it is, how far, its links, its agents, what runs there.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

use core::time::Duration;

use leptos::prelude::*;
use peerage::NodeId;
use peerage::rpc::CallError;
use peerage::service::inspect::{About, AgentInfo, LinkInfo};
use peerage::service::time::Offset;

use super::agent::AgentView;
use crate::operations::Running;
use crate::plot::{Samples, latencies};
use crate::route::View;
use crate::shown::{Services, Shown, while_shown};
use crate::units::{ahead, bytes, millis, seconds};
use crate::zone::Known;

/// How often its links are asked for, and how it is.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// In how many of these looks its clock is asked for once.
const CLOCK_LOOKS: usize = 30;
/// How often it is pinged, and how many round trips are shown.
const PING_EVERY: Duration = Duration::from_secs(1);
const PINGS_MAX: usize = 120;

/// What a node was asked for: nothing yet, what it told, or why it did not.
type Asked<T> = RwSignal<Option<Result<T, String>>>;

#[component]
pub(crate) fn NodePage(shown: Shown, node: String) -> impl IntoView {
    let wanted = node.clone();
    let known = Memo::new(move |_| shown.zone.find(&wanted));
    let id = Memo::new(move |_| known.with(|known| known.as_ref().map(|known| known.id)));
    move || match (id.get(), shown.services.get()) {
        (Some(id), Some(services)) => view! { <Page shown services id known /> }.into_any(),
        _ => {
            view! { <p class="empty">{format!("There is no node {node} here now.")}</p> }.into_any()
        }
    }
}

#[component]
fn Page(shown: Shown, services: Services, id: NodeId, known: Memo<Option<Known>>) -> impl IntoView {
    let about = Asked::<About>::default();
    let links = Asked::<Vec<LinkInfo>>::default();
    let agents = Asked::<Vec<AgentInfo>>::default();
    let clock = RwSignal::new(None::<Offset>);
    let is_own = shown.own() == Some(id);
    let asking = services.clone();
    while_shown(async move {
        let inspect = &asking.inspect;
        let node = id.to_string();
        agents.set(Some(inspect.agents(&node).await.map_err(in_words)));
        for look in 0_usize.. {
            if look.is_multiple_of(CLOCK_LOOKS) {
                // A node that is held for another has none.
                clock.set(asking.clock.ahead_of(&node).await.ok());
            }
            about.set(Some(inspect.about(&node).await.map_err(in_words)));
            links.set(Some(inspect.links(&node).await.map_err(in_words)));
            shown.operations.ask(&asking, id).await;
            asking.node.sleep(LOOK_EVERY).await;
        }
    });
    let name = move || {
        known.with(|known| {
            known
                .as_ref()
                .map(|known| known.name.clone())
                .unwrap_or_default()
        })
    };
    let word = move |of: fn(&Known) -> String| {
        known.with(|known| known.as_ref().map(of).unwrap_or_default())
    };
    view! {
        <div class="page" data-testid="node-page">
            <section class="about" aria-labelledby="node-title">
                <h3 id="node-title">
                    <i class=move || format!("mark {}", word(|known| known.kind.to_string()))></i> {name}
                    <span class=move || format!("path {}", word(|known| known.path_word().into()))>{move || word(|known| known.path_word().into())}</span>
                </h3>
                <p class="doing">
                    <button on:click=move |_| shown.address(&name())>"Address at the prompt"</button>
                    <a href=move || View::Log.address_of(&name())>"Log"</a>
                    <a href=move || View::Operations.address_of(&name())>"Operations"</a>
                </p>
                {move || facts(id, about, clock.get())}
            </section>
            {(!is_own).then(|| view! { <Pings services=services.clone() id /> })}
            <section aria-labelledby="node-links" class="wide">
                <h3 id="node-links">"Links"</h3>
                {move || list(links, |links| table(shown, links), "It has no links.")}
            </section>
            <section aria-labelledby="node-running" class="wide">
                <h3 id="node-running">"Operations"</h3>
                <Running shown node=id />
            </section>
            <section aria-labelledby="node-agents" class="wide">
                <h3 id="node-agents">"Agents"</h3>
                {move || list(agents, |agents| {
                    let agents = agents.iter().cloned();
                    agents.map(|agent| view! { <AgentView shown id agent /> }).collect_view().into_any()
                }, "It has no agents.")}
            </section>
        </div>
    }
}

pub(super) fn in_words(error: CallError) -> String {
    match error {
        CallError::Failed(failure) => failure.in_words(),
        thrown @ CallError::Thrown(_) => thrown.to_string(),
    }
}

/// What was told, if it is anything, or why it was not.
fn list<T: Clone + Send + Sync + 'static>(
    asked: Asked<Vec<T>>,
    show: impl Fn(&[T]) -> AnyView,
    nothing: &'static str,
) -> AnyView {
    asked.with(|asked| match asked {
        None => view! { <p class="soft">"…"</p> }.into_any(),
        Some(Err(why)) => view! { <p class="bad">{why.clone()}</p> }.into_any(),
        Some(Ok(told)) if told.is_empty() => view! { <p class="soft">{nothing}</p> }.into_any(),
        Some(Ok(told)) => show(told),
    })
}

/// How it is, as it says itself, and how far its clock is from its zone's.
fn facts(id: NodeId, about: Asked<About>, clock: Option<Offset>) -> AnyView {
    let mut facts = vec![("id", id.to_string())];
    let why = about.with(|about| match about {
        Some(Ok(about)) => {
            facts.extend([
                ("zone", about.zone.clone()),
                ("state", about.state.clone()),
                ("version", about.version.clone()),
                ("up for", seconds(about.uptime_ms)),
                ("sessions", about.sessions.to_string()),
            ]);
            if about.forwarded_records > 0 {
                let forwarded = bytes(about.forwarded_bytes as f64);
                let text = format!("{} records, {forwarded}", about.forwarded_records);
                facts.push(("forwarded", text));
            }
            facts.extend(clock.map(|clock| ("clock", ahead(clock.ms, clock.error_ms))));
            None
        }
        Some(Err(why)) => Some(why.clone()),
        None => None,
    });
    let facts = facts.into_iter().filter(|(_, text)| !text.is_empty());
    let facts = facts.map(|(what, text)| view! { <div><dt>{what}</dt><dd>{text}</dd></div> });
    view! {
        <dl>{facts.collect_view()}</dl>
        {why.map(|why| view! { <p class="bad">{why}</p> })}
    }
    .into_any()
}

#[component]
fn Pings(services: Services, id: NodeId) -> impl IntoView {
    let samples = RwSignal::new(Samples::default());
    while_shown(async move {
        loop {
            let pong = services.node.ping(id).await;
            let rtt = pong.ok().map(|pong| pong.rtt.as_secs_f64() * 1000.0);
            samples.update(|samples| samples.push(rtt, PINGS_MAX));
            services.node.sleep(PING_EVERY).await;
        }
    });
    view! {
        <section aria-labelledby="node-pings" class="pings">
            <h3 id="node-pings">"Round trips"</h3>
            {move || samples.with(|samples| latencies(samples, PINGS_MAX))}
        </section>
    }
}

fn table(shown: Shown, links: &[LinkInfo]) -> AnyView {
    let row = |link: &LinkInfo| {
        let id = link
            .node
            .as_deref()
            .and_then(|id| id.parse::<NodeId>().ok());
        let known = id.map(|id| shown.zone.name(id));
        let name = link
            .name
            .clone()
            .or(known)
            .unwrap_or_else(|| "not known yet".into());
        let medium = link.medium.clone().unwrap_or_default();
        let who = match id {
            Some(_) => {
                view! { <a href=View::Nodes.address_of(&name)>{name.clone()}</a> }.into_any()
            }
            None => name.clone().into_any(),
        };
        view! {
            <tr>
                <th scope="row">{who}</th>
                <td><span class=format!("medium {medium}")>{medium.clone()}</span></td>
                <td>{link.origin.clone()}</td>
                <td>{link.state.clone()}</td>
                <td class="number">{seconds(link.age_ms)}</td>
                <td class="number">{link.rtt_ms.map(millis)}</td>
                <td class="number">{bytes(link.bytes_in as f64)}</td>
                <td class="number">{bytes(link.bytes_out as f64)}</td>
            </tr>
        }
    };
    let rows: Vec<_> = links.iter().map(row).collect();
    view! {
        <div class="scroll short" tabindex="0" role="group" aria-label="Links">
            <table data-testid="links">
                <thead><tr>
                    <th scope="col">"With"</th><th scope="col">"By"</th><th scope="col">"How"</th><th scope="col">"State"</th>
                    <th scope="col" class="number">"Age"</th><th scope="col" class="number">"Round trip"</th>
                    <th scope="col" class="number">"In"</th><th scope="col" class="number">"Out"</th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}
