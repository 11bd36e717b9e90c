//! What is known of the zone: its nodes, from this node's own list and from the relay's, and their links, which
//! nodes are asked for one after the other.

mod links;
mod roster;
mod survey;

use std::collections::BTreeMap;

use leptos::prelude::*;
use peerage::{Kind, Node, NodeId, PathKind};

pub(crate) use links::{Ends, Link, Links, Sums};
pub(crate) use survey::{now, survey};

use crate::plot::Samples;
use crate::units::natural;
use roster::Listed;

/// Round trips that are remembered of each node.
pub(crate) const SAMPLES_MAX: usize = 32;

/// The zone, as the page knows it.
#[derive(Clone, Copy)]
pub(crate) struct Zone {
    pub(crate) own: RwSignal<Option<NodeId>>,
    pub(crate) nodes: RwSignal<BTreeMap<NodeId, Known>>,
    pub(crate) links: RwSignal<Links>,
    /// What each node has of links.
    pub(crate) sums: Memo<BTreeMap<NodeId, Sums>>,
    /// Whom the relay lists, of which this node need not have heard.
    listed: RwSignal<Vec<Listed>>,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Known {
    pub(crate) id: NodeId,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// How what is said to it would travel; nothing for this node itself, and whom it has not heard of.
    pub(crate) path: Option<PathKind>,
    /// Milliseconds there and back: from here if there is a session, else from the relay.
    pub(crate) rtt: Option<f64>,
    pub(crate) rtts: Samples,
}

impl Zone {
    pub(crate) fn new() -> Self {
        let links = RwSignal::new(Links::default());
        Self {
            own: RwSignal::default(),
            nodes: RwSignal::default(),
            links,
            sums: Memo::new(move |_| links.with(Links::sums)),
            listed: RwSignal::default(),
        }
    }

    /// Looks who is here.
    pub(crate) fn look(self, node: &Node) {
        let mut nodes = self.listed.with_untracked(|listed| {
            let listed = listed.iter().map(|listed| (listed.id, listed.known()));
            listed.collect::<BTreeMap<_, _>>()
        });
        for peer in node.peers() {
            let known = nodes.remove(&peer.id);
            let rtt = peer.quality.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0);
            let known = Known {
                id: peer.id,
                name: peer.name.to_string(),
                kind: peer.kind,
                path: Some(peer.path),
                rtt: rtt.or_else(|| known?.rtt),
                rtts: Samples::default(),
            };
            nodes.insert(peer.id, known);
        }
        if let Some(name) = node.name() {
            let own = Known::new(node.id(), name.to_string(), node.kind());
            nodes.insert(own.id, own);
        }
        let is_new = self.nodes.with_untracked(|before| {
            for (id, known) in &mut nodes {
                if let Some(before) = before.get(id) {
                    known.rtts = before.rtts.clone();
                }
            }
            nodes != *before
        });
        if !is_new {
            return;
        }
        let gone = self
            .nodes
            .with_untracked(|before| before.keys().any(|id| !nodes.contains_key(id)));
        if gone {
            self.links
                .update(|links| links.keep(|id| nodes.contains_key(&id)));
        }
        self.nodes.set(nodes);
    }

    /// Remembers how long the ways are now.
    pub(crate) fn sample(self) {
        self.nodes.update(|nodes| {
            for known in nodes.values_mut() {
                known.rtts.push(known.rtt, SAMPLES_MAX);
            }
        });
    }

    /// The name of a node, or the beginning of its id.
    pub(crate) fn name(self, id: NodeId) -> String {
        self.nodes.with(|nodes| name_in(nodes, id))
    }

    /// The node of a name or id.
    pub(crate) fn find(self, text: &str) -> Option<Known> {
        self.nodes.with(|nodes| {
            let named = nodes.values().find(|known| known.name == text);
            let known = named.or_else(|| nodes.get(&text.parse().ok()?));
            known.cloned()
        })
    }
}

/// The name of a node among these, or the beginning of its id.
pub(crate) fn name_in(nodes: &BTreeMap<NodeId, Known>, id: NodeId) -> String {
    nodes
        .get(&id)
        .map_or_else(|| id.short(), |known| known.name.clone())
}

impl Known {
    fn new(id: NodeId, name: String, kind: Kind) -> Self {
        Self {
            id,
            name,
            kind,
            path: None,
            rtt: None,
            rtts: Samples::default(),
        }
    }

    /// Its place among all: relays last, names as people count.
    pub(crate) fn order(&self) -> (bool, (String, u64, String)) {
        (self.kind == Kind::Relay, natural(&self.name))
    }

    /// The word for its path.
    pub(crate) fn path_word(&self) -> &'static str {
        self.path.map_or("", PathKind::as_str)
    }
}
