//! An agent on its node's page: a form for each method, its properties as they are now, its events as they come.

#![expect(unreachable_pub, reason = "a component is public whatever is written")]

use core::future::poll_fn;
use std::collections::VecDeque;

use leptos::html;
use leptos::prelude::*;
use peerage::NodeId;
use peerage::rpc::Subscription;
use peerage::service::inspect::AgentInfo;

use super::form::MethodForm;
use super::page::in_words;
use crate::shown::{Services, Shown, while_shown};
use crate::tree::{Tree, of_value, show};
use crate::units::clock;

/// Events that are kept of each kind.
const EVENTS_MAX: usize = 20;

#[component]
pub(crate) fn AgentView(shown: Shown, id: NodeId, agent: AgentInfo) -> impl IntoView {
    let is_open = RwSignal::new(false);
    let details = NodeRef::<html::Details>::new();
    let toggled = move |_| {
        let details = details.get_untracked();
        is_open.set(details.is_some_and(|details| details.open()));
    };
    let name = agent.name.clone();
    let version = agent
        .interface
        .version
        .map(|version| format!("version {version}"));
    let what = [
        (agent.interface.methods.len(), "method"),
        (agent.interface.properties.len(), "property"),
        (agent.interface.events.as_ref().map_or(0, Vec::len), "event"),
    ];
    let what = what.into_iter().filter(|(count, _)| *count > 0);
    let what = what.map(|(count, what)| counted(count, what));
    let what = what.chain(version).collect::<Vec<_>>().join(" · ");
    view! {
        <details class="agent" node_ref=details on:toggle=toggled data-testid=format!("agent-{name}")>
            <summary><strong>{name.clone()}</strong> " " <small class="soft">{what}</small></summary>
            {move || is_open.get().then(|| view! { <Inside shown id agent=agent.clone() /> })}
        </details>
    }
}

fn counted(count: usize, what: &str) -> String {
    match (count, what) {
        (1, what) => format!("1 {what}"),
        (count, "property") => format!("{count} properties"),
        (count, what) => format!("{count} {what}s"),
    }
}

/// What there is to see and do, once somebody looks.
#[component]
fn Inside(shown: Shown, id: NodeId, agent: AgentInfo) -> impl IntoView {
    let AgentInfo {
        name,
        interface,
        signatures,
    } = agent;
    let Some(services) = shown.services.get_untracked() else {
        return ().into_any();
    };
    let methods = interface.methods.into_iter().map(|method| {
        let known = signatures.iter().find(|known| known.method == method);
        let signature = known.cloned();
        view! { <MethodForm services=services.clone() id agent=name.clone() method signature /> }
    });
    let methods = methods.collect_view();
    let properties = interface.properties.into_iter().map(|property| {
        view! { <Property services=services.clone() id agent=name.clone() property /> }
    });
    let properties = properties.collect::<Vec<_>>();
    let events = interface
        .events
        .unwrap_or_default()
        .into_iter()
        .map(|event| {
            view! { <Events services=services.clone() id agent=name.clone() event /> }
        });
    let events = events.collect::<Vec<_>>();
    let (has_properties, has_events) = (!properties.is_empty(), !events.is_empty());
    view! {
        <div class="inside">
            {methods}
            {has_properties.then(|| view! { <div class="live"><h4>"Properties"</h4>{properties}</div> })}
            {has_events.then(|| view! { <div class="live"><h4>"Events"</h4>{events}</div> })}
        </div>
    }
    .into_any()
}

/// The next thing that a subscription brings; nothing once it is over.
async fn next(subscription: &mut Subscription<()>) -> Option<Result<Tree, String>> {
    let next = poll_fn(|cx| subscription.poll_parcel(cx)).await?;
    Some(
        next.map(|parcel| of_value(parcel.value()))
            .map_err(in_words),
    )
}

#[component]
fn Property(services: Services, id: NodeId, agent: String, property: String) -> impl IntoView {
    let value = RwSignal::new(None::<Result<Tree, String>>);
    let proxy = services.rpc.proxy_at(id, &agent);
    let watched = property.clone();
    while_shown(async move {
        let mut subscription = proxy.watch::<()>(&watched);
        while let Some(next) = next(&mut subscription).await {
            value.set(Some(next));
        }
    });
    let shown = move || {
        value.with(|value| match value {
            None => view! { <span class="soft">"…"</span> }.into_any(),
            Some(Ok(tree)) => show("", tree),
            Some(Err(why)) => view! { <span class="bad">{why.clone()}</span> }.into_any(),
        })
    };
    view! { <div class="pair" data-testid=format!("property-{property}")><b>{property.clone()}</b> <div class="tree">{shown}</div></div> }
}

#[component]
fn Events(services: Services, id: NodeId, agent: String, event: String) -> impl IntoView {
    let heard = RwSignal::new(VecDeque::<(String, Tree)>::new());
    let why = RwSignal::new(None::<String>);
    let proxy = services.rpc.proxy_at(id, &agent);
    let wanted = event.clone();
    while_shown(async move {
        let mut subscription = proxy.on::<()>(&wanted);
        while let Some(next) = next(&mut subscription).await {
            match next {
                Ok(tree) => heard.update(|heard| {
                    heard.push_front((clock(js_sys::Date::now()), tree));
                    heard.truncate(EVENTS_MAX);
                }),
                Err(told) => why.set(Some(told)),
            }
        }
    });
    let list = move || {
        let heard = heard.get().into_iter();
        let row = |(time, tree): (String, Tree)| view! { <div class="heard"><time>{time}</time> {show("", &tree)}</div> };
        heard.map(row).collect_view()
    };
    view! {
        <div class="pair" data-testid=format!("event-{event}")>
            <b>{event.clone()}</b>
            <div class="tree">{list} {move || why.get().map(|why| view! { <span class="bad">{why}</span> })}</div>
        </div>
    }
}
