//! With whom a node has direct links: with everyone while that is few, and else with those that it needs
//! now. A link that carries nothing makes way; beyond the degree the relay carries the rest.

use std::collections::{BTreeMap, BTreeSet};

use crate::Time;
use crate::id::NodeId;
use crate::limits::{DIRECT_IDLE, DIRECT_PAUSE, DIRECT_YIELD};

/// The direct links of one node, and how many it may have.
#[derive(Clone, Debug)]
pub struct Degree {
    max: usize,
    linked: BTreeSet<NodeId>,
    /// With whom there shall be no link for a while, and until when.
    paused: BTreeMap<NodeId, Time>,
}

/// Whether there is room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// There is, and it is taken now.
    Admitted,
    /// There is if the link with this node ends, which carries nothing; it counts as ended.
    InPlaceOf(NodeId),
    /// There is none.
    Full,
}

impl Degree {
    /// No links, of at most so many.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            linked: BTreeSet::new(),
            paused: BTreeMap::new(),
        }
    }

    /// Whether there is a direct link with everyone, of so many, needed or not.
    pub fn is_full_mesh(&self, others: usize) -> bool {
        others <= self.max
    }

    /// Whether to ask `peer` for a link, at all and just now.
    pub fn may_ask(&self, peer: NodeId, now: Time) -> bool {
        let paused = self.paused.get(&peer).is_some_and(|until| now < *until);
        self.max > 0 && !paused && !self.linked.contains(&peer)
    }

    /// Makes room for a link with `peer`. `unused_for` tells how long a link has carried nothing.
    pub fn admit(&mut self, peer: NodeId, unused_for: impl Fn(NodeId) -> Time) -> Admission {
        if self.linked.contains(&peer) || self.linked.len() < self.max {
            self.linked.insert(peer);
            return Admission::Admitted;
        }
        let idlest = self.linked.iter().copied().max_by_key(|id| unused_for(*id));
        match idlest.filter(|id| unused_for(*id) >= DIRECT_YIELD) {
            Some(idlest) => {
                self.linked.remove(&idlest);
                self.linked.insert(peer);
                Admission::InPlaceOf(idlest)
            }
            None => Admission::Full,
        }
    }

    /// The links that carry nothing and are not kept, as those of a full mesh are.
    pub fn idle(
        &self,
        is_kept: impl Fn(NodeId) -> bool,
        unused_for: impl Fn(NodeId) -> Time,
    ) -> Vec<NodeId> {
        let idle = self.linked.iter().copied();
        idle.filter(|id| !is_kept(*id) && unused_for(*id) >= DIRECT_IDLE)
            .collect()
    }

    /// There is no link with `peer` any more, nor one to be.
    pub fn ended(&mut self, peer: NodeId) {
        self.linked.remove(&peer);
    }

    /// One of the two has no room for a link, or no use for it: there is none for a while.
    pub fn pause(&mut self, peer: NodeId, now: Time) {
        self.linked.remove(&peer);
        self.paused.retain(|_, until| now < *until);
        self.paused.insert(peer, now + DIRECT_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn id(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn full(max: u8) -> Degree {
        let mut degree = Degree::new(max.into());
        for n in 0..max {
            assert_eq!(degree.admit(id(n), |_| Time::ZERO), Admission::Admitted);
        }
        degree
    }

    #[test]
    fn a_link_in_use_makes_way_for_nobody_and_the_idlest_for_who_needs_one() {
        let mut degree = full(3);
        assert_eq!(degree.admit(id(9), |_| Time::ZERO), Admission::Full);
        let unused = |peer| match peer {
            peer if peer == id(1) => DIRECT_YIELD * 3,
            peer if peer == id(2) => DIRECT_YIELD,
            _ => Time::ZERO,
        };
        assert_eq!(degree.admit(id(9), unused), Admission::InPlaceOf(id(1)));
        assert_eq!(degree.admit(id(8), unused), Admission::InPlaceOf(id(2)));
        assert_eq!(degree.admit(id(7), unused), Admission::Full);
        assert_eq!(degree.admit(id(9), unused), Admission::Admitted, "again");
    }

    #[test]
    fn idle_links_end_only_where_not_everyone_can_have_one() {
        let degree = full(3);
        let unused = |peer| {
            if peer == id(1) {
                DIRECT_IDLE
            } else {
                Time::ZERO
            }
        };
        assert_eq!(degree.idle(|_| degree.is_full_mesh(3), unused), []);
        assert_eq!(degree.idle(|_| degree.is_full_mesh(4), unused), [id(1)]);
        assert_eq!(degree.idle(|peer| peer != id(1), unused), [id(1)]);
    }

    #[test]
    fn who_had_no_room_is_asked_again_after_a_while() {
        let mut degree = full(2);
        let later = DIRECT_PAUSE;
        degree.pause(id(1), Time::ZERO);
        assert!(!degree.may_ask(id(1), later - Time::from_millis(1)));
        assert!(degree.may_ask(id(1), later));
        assert!(!degree.may_ask(id(0), later), "it is linked");
        assert!(degree.may_ask(id(5), Time::ZERO), "somebody else");
    }

    #[test]
    fn a_node_of_degree_zero_asks_nobody_and_has_room_for_nobody() {
        let mut degree = Degree::new(0);
        assert!(!degree.may_ask(id(1), Time::ZERO));
        assert_eq!(degree.admit(id(1), |_| Time::ZERO), Admission::Full);
        assert!(degree.is_full_mesh(0) && !degree.is_full_mesh(1));
    }
}
