//! Where nodes are drawn: relays in the middle, and around each, in its sector, those that are linked to it. The
//! same nodes are always at the same places.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use peerage::{Kind, NodeId};

use crate::units::natural;

/// The distance of neighbours on a ring, and of rings.
pub(super) const SPACING: f64 = 44.0;
/// The radius of the innermost ring.
const INNERMOST: f64 = 150.0;
/// How far several relays are from the middle.
const RELAYS: f64 = 64.0;

/// What the layout needs to know of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) id: NodeId,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The relay that it is linked to, if that is known.
    pub(super) relay: Option<NodeId>,
}

/// A place, in units of which the page chooses how large they are; the middle is 0, 0.
pub(super) type Place = (f64, f64);

/// The place of each.
pub(super) fn layout(nodes: &[Sight]) -> BTreeMap<NodeId, Place> {
    let mut relays: Vec<_> = nodes.iter().filter(|n| n.kind == Kind::Relay).collect();
    relays.sort_by_key(|relay| natural(&relay.name));
    let mut sectors: Vec<Vec<&Sight>> = vec![Vec::new(); relays.len().max(1)];
    for node in nodes.iter().filter(|node| node.kind != Kind::Relay) {
        let relay = relays.iter().position(|relay| Some(relay.id) == node.relay);
        sectors[relay.unwrap_or(0)].push(node);
    }
    let mut places = BTreeMap::new();
    // A relay with nobody takes some room as well.
    let weight = |sector: &Vec<&Sight>| sector.len() as f64 + 1.0;
    let whole: f64 = sectors.iter().map(weight).sum();
    // One at the top comes first.
    let mut begin = -TAU / 4.0;
    for (place, mut sector) in sectors.into_iter().enumerate() {
        let width = TAU * weight(&sector) / whole;
        if let Some(relay) = relays.get(place) {
            let away = if relays.len() > 1 { RELAYS } else { 0.0 };
            places.insert(relay.id, polar(away, begin + width / 2.0));
        }
        sector.sort_by_key(|node| (node.kind.as_str(), natural(&node.name)));
        fill(&sector, begin, width, &mut places);
        begin += width;
    }
    places
}

/// Puts nodes on rings in a sector, as many on each as it is long.
fn fill(nodes: &[&Sight], begin: f64, width: f64, places: &mut BTreeMap<NodeId, Place>) {
    let radius = |ring: usize| INNERMOST + ring as f64 * SPACING;
    let room = |rings: usize| {
        (0..rings)
            .map(|ring| radius(ring) * width / SPACING)
            .sum::<f64>()
    };
    let rings = (1..).find(|rings| room(*rings).floor() >= nodes.len() as f64);
    let rings = rings.unwrap_or(1);
    let length: f64 = (0..rings).map(radius).sum();
    let (mut rest, mut before) = (nodes, 0.0);
    for ring in 0..rings {
        before += radius(ring);
        // So many are on this ring and those within it.
        let until = (nodes.len() as f64 * before / length).round() as usize;
        let count = (until + rest.len())
            .saturating_sub(nodes.len())
            .min(rest.len());
        let (these, others) = rest.split_at(count);
        rest = others;
        for (place, node) in these.iter().enumerate() {
            // Neighbours of different rings stand beside each other, not behind.
            let shift = if ring % 2 == 0 { 0.75 } else { 0.25 };
            let angle = begin + width * (place as f64 + shift) / count as f64;
            places.insert(node.id, polar(radius(ring), angle));
        }
    }
}

fn polar(radius: f64, angle: f64) -> Place {
    (radius * angle.cos(), radius * angle.sin())
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn node(n: u16, kind: Kind, relay: Option<u16>) -> Sight {
        Sight {
            id: id(n),
            name: format!("node-{n}"),
            kind,
            relay: relay.map(id),
        }
    }

    fn id(n: u16) -> NodeId {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        NodeId::from_bytes(bytes)
    }

    fn distance(a: Place, b: Place) -> f64 {
        (a.0 - b.0).hypot(a.1 - b.1)
    }

    #[test]
    fn nobody_stands_on_anybody_however_many_they_are() {
        for count in [1, 2, 3, 20, 21, 100, 500, 2000] {
            let mut nodes = vec![node(0, Kind::Relay, None)];
            nodes.extend((1..=count).map(|n| node(n, Kind::Native, Some(0))));
            let places = layout(&nodes);
            assert_eq!(places.len(), nodes.len());
            let places: Vec<_> = places.into_values().collect();
            for (n, one) in places.iter().enumerate() {
                let near = places[..n].iter().map(|other| distance(*one, *other));
                let nearest = near.fold(f64::INFINITY, f64::min);
                assert!(nearest > SPACING / 2.0, "{count}: {nearest}");
            }
        }
    }

    #[test]
    fn those_of_a_relay_are_on_its_side() {
        let mut nodes = vec![node(0, Kind::Relay, None), node(1, Kind::Relay, Some(0))];
        nodes.extend((2..42).map(|n| node(n, Kind::Native, Some(n % 2))));
        let places = layout(&nodes);
        for n in 2..42 {
            let [own, other] = [n % 2, 1 - n % 2].map(|relay| places[&id(relay)]);
            let place = places[&id(n)];
            assert!(distance(place, own) < distance(place, other), "{n}");
        }
    }

    #[test]
    fn without_a_relay_there_is_a_layout_too() {
        let places = layout(&[
            node(1, Kind::Browser, None),
            node(2, Kind::Browser, Some(7)),
        ]);
        assert_eq!(places.len(), 2);
        assert!(layout(&[]).is_empty());
    }
}
