//! What the map shows: nodes at their places, on their way there if they have moved, and the lines between them.

use std::collections::{BTreeMap, BTreeSet};

use peerage::node::Medium;
use peerage::{Kind, NodeId};

use super::layout::{Place, Sight, layout};
use crate::zone::{Known, Links};

/// How much of its way a node makes in a frame.
const EASE: f64 = 0.22;
/// What is so near is there.
const THERE: f64 = 0.3;

/// A node on the map.
#[derive(Clone, Debug)]
pub(super) struct Dot {
    pub(super) id: NodeId,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) at: Place,
    to: Place,
}

/// A link on the map.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// The places of its ends among the dots.
    pub(super) ends: (usize, usize),
    pub(super) medium: Option<Medium>,
    /// Milliseconds there and back.
    pub(super) rtt: Option<f64>,
    /// Bytes a second.
    pub(super) rate: f64,
}

/// What is to be drawn.
#[derive(Default)]
pub(super) struct Scene {
    pub(super) dots: Vec<Dot>,
    pub(super) lines: Vec<Line>,
    sights: Vec<Sight>,
    /// The places of dots, by their nodes.
    index: BTreeMap<NodeId, usize>,
}

impl Scene {
    /// Takes what is known now; whether the nodes are others than before.
    pub(super) fn take(&mut self, nodes: &BTreeMap<NodeId, Known>, links: &Links) -> bool {
        let sights = sights(nodes, links);
        let is_other = sights != self.sights;
        if is_other {
            self.arrange(sights);
        }
        let line = |(ends, link): (&crate::zone::Ends, &crate::zone::Link)| {
            let (one, other) = (self.index.get(&ends.0)?, self.index.get(&ends.1)?);
            Some(Line {
                ends: (*one, *other),
                medium: ends.2,
                rtt: link.rtt,
                rate: link.rate,
            })
        };
        self.lines = links.iter().filter_map(line).collect();
        is_other
    }

    fn arrange(&mut self, sights: Vec<Sight>) {
        let places = layout(&sights);
        let dots = sights.iter().map(|sight| {
            let to = places.get(&sight.id).copied().unwrap_or_default();
            let before = self.index.get(&sight.id).map(|place| self.dots[*place].at);
            Dot {
                id: sight.id,
                name: sight.name.clone(),
                kind: sight.kind,
                at: before.unwrap_or(to),
                to,
            }
        });
        self.dots = dots.collect();
        let index = self.dots.iter().enumerate();
        self.index = index.map(|(place, dot)| (dot.id, place)).collect();
        self.sights = sights;
    }

    /// Moves what is not where it shall be; whether there is more to move.
    pub(super) fn step(&mut self, at_once: bool) -> bool {
        let mut moves = false;
        for dot in &mut self.dots {
            let way = (dot.to.0 - dot.at.0, dot.to.1 - dot.at.1);
            if at_once || way.0.hypot(way.1) < THERE {
                dot.at = dot.to;
            } else {
                dot.at = (dot.at.0 + way.0 * EASE, dot.at.1 + way.1 * EASE);
                moves = true;
            }
        }
        moves
    }

    /// Where all will be.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.dots.iter().map(|dot| dot.to)
    }

    /// The dot of a node.
    pub(super) fn dot(&self, id: NodeId) -> Option<&Dot> {
        self.dots.get(*self.index.get(&id)?)
    }

    /// The nearest node within so many units of a place.
    pub(super) fn nearest(&self, place: Place, within: f64) -> Option<NodeId> {
        let away = |dot: &Dot| (dot.at.0 - place.0).hypot(dot.at.1 - place.1);
        let near = self.dots.iter().map(|dot| (away(dot), dot.id));
        let near = near.filter(|(away, _)| *away <= within);
        near.min_by(|one, other| one.0.total_cmp(&other.0))
            .map(|(_, id)| id)
    }

    /// Whom one comes to from a node in a direction: a neighbour who is near and not far to the side.
    pub(super) fn beside(&self, id: NodeId, (x, y): (f64, f64)) -> Option<NodeId> {
        let from = self.dot(id)?.to;
        let cost = |dot: &Dot| {
            let way = (dot.to.0 - from.0, dot.to.1 - from.1);
            let (along, aside) = (way.0 * x + way.1 * y, way.0 * y - way.1 * x);
            (along > 1.0 && aside.abs() <= along * 1.8).then_some(along + aside.abs() * 2.0)
        };
        let there = self.dots.iter();
        let there = there.filter_map(|dot| Some((cost(dot)?, dot.id)));
        there
            .min_by(|one, other| one.0.total_cmp(&other.0))
            .map(|(_, id)| id)
    }

    /// Who is linked to a node, itself included, by their places among the dots.
    pub(super) fn around(&self, id: NodeId) -> BTreeSet<usize> {
        let Some(own) = self.index.get(&id).copied() else {
            return BTreeSet::new();
        };
        let ends = self.lines.iter().flat_map(|line| match line.ends {
            (one, other) if one == own => Some(other),
            (one, other) if other == own => Some(one),
            _ => None,
        });
        ends.chain([own]).collect()
    }
}

/// What the layout needs to know.
fn sights(nodes: &BTreeMap<NodeId, Known>, links: &Links) -> Vec<Sight> {
    let is_relay = |id: &NodeId| nodes.get(id).is_some_and(|known| known.kind == Kind::Relay);
    let mut relays = BTreeMap::new();
    for (ends, _) in links
        .iter()
        .filter(|(ends, _)| ends.2 != Some(Medium::WebRtc))
    {
        match (is_relay(&ends.0), is_relay(&ends.1)) {
            (true, false) => drop(relays.insert(ends.1, ends.0)),
            (false, true) => drop(relays.insert(ends.0, ends.1)),
            _ => {}
        }
    }
    let sight = |known: &Known| Sight {
        id: known.id,
        name: known.name.clone(),
        kind: known.kind,
        relay: relays.get(&known.id).copied(),
    };
    nodes.values().map(sight).collect()
}
