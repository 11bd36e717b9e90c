//! Asks the zone's nodes, one after the other, for their links and operations: relays, which have most, more often
//! than others. What a node is asked costs it next to nothing, and a tab that is hidden asks nobody.

use core::time::Duration;
use std::collections::HashMap;

use leptos::prelude::*;
use leptos::task::spawn_local;
use peerage::{Kind, NodeId};

use super::links::Told;
use super::roster;
use crate::shown::{Services, Shown};

/// How often relays are asked, and this node itself.
const NEAR: Duration = Duration::from_secs(2);
/// How often the relay's list is asked for, in rounds of [`NEAR`].
const ROSTER_ROUNDS: usize = 3;
/// How long after a node the next is asked.
const PACE: Duration = Duration::from_millis(100);
/// How long a whole round takes at least: so seldom that a session is not in use, which would make a direct link.
const ROUND: Duration = Duration::from_secs(5);
/// How many rounds a node is left alone that did not answer.
const PATIENCE: usize = 8;

/// Begins to.
pub(crate) fn survey(shown: Shown, services: &Services) {
    spawn_local(near(shown, services.clone()));
    spawn_local(far(shown, services.clone()));
}

/// The milliseconds of the page's clock.
pub(crate) fn now() -> f64 {
    window().performance().map_or(0.0, |clock| clock.now())
}

async fn near(shown: Shown, services: Services) {
    let own = services.node.id();
    for round in 0_usize.. {
        if !document().hidden() {
            if round.is_multiple_of(ROSTER_ROUNDS)
                && let Some(listed) = roster::list().await
            {
                shown.zone.listed.set(listed);
                shown.zone.look(&services.node);
            }
            let connections = services.node.connections();
            let told = connections.iter().filter_map(Told::own).collect();
            shown
                .zone
                .links
                .update(|links| links.told(own, now(), told));
            for relay in those(shown, |kind| kind == Kind::Relay) {
                ask_links(shown, &services, relay).await;
            }
        }
        services.node.sleep(NEAR).await;
    }
}

async fn far(shown: Shown, services: Services) {
    let mut silent = HashMap::<NodeId, usize>::new();
    for round in 0_usize.. {
        let begun = now();
        for node in those(shown, |_| true) {
            if document().hidden() || silent.get(&node).is_some_and(|until| round < *until) {
                continue;
            }
            let is_relay = kind_of(shown, node) == Some(Kind::Relay);
            let links = is_relay || ask_links(shown, &services, node).await;
            if links && shown.operations.ask(&services, node).await {
                silent.remove(&node);
            } else {
                silent.insert(node, round + PATIENCE);
            }
            services.node.sleep(PACE).await;
        }
        silent.retain(|_, until| round < *until);
        let took = Duration::from_secs_f64((now() - begun).max(0.0) / 1000.0);
        services
            .node
            .sleep(ROUND.saturating_sub(took).max(PACE))
            .await;
    }
}

/// The nodes of some kinds, as they are here now.
fn those(shown: Shown, is_one: impl Fn(Kind) -> bool) -> Vec<NodeId> {
    shown.zone.nodes.with_untracked(|nodes| {
        let those = nodes.values().filter(|known| is_one(known.kind));
        those.map(|known| known.id).collect()
    })
}

fn kind_of(shown: Shown, node: NodeId) -> Option<Kind> {
    let nodes = shown.zone.nodes;
    nodes.with_untracked(|nodes| nodes.get(&node).map(|known| known.kind))
}

/// Notes the links of a node; whether it told.
async fn ask_links(shown: Shown, services: &Services, node: NodeId) -> bool {
    let Ok(links) = services.inspect.links(&node.to_string()).await else {
        return false;
    };
    let told = links.iter().filter_map(Told::theirs).collect();
    shown
        .zone
        .links
        .update(|links| links.told(node, now(), told));
    true
}
