//! The ways that a session can take at this moment, and which of them it takes: a direct link before
//! a relayed route, unless the two are neighbours and their link in the tree is the quicker one. Records
//! may still arrive by the other; the receiver's numbering makes it harmless.

use crate::link::frame::DIRECT_ROUTE;
use crate::link::{LinkId, RouteHandle};

/// One way to the other node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// Along a route, over the link to a relay or from it.
    Relayed {
        /// The first link of the way.
        link: LinkId,
        /// The route on it.
        route: RouteHandle,
    },
    /// Over a link of the two nodes themselves.
    Direct {
        /// That link.
        link: LinkId,
    },
}

impl Via {
    /// The link that records leave by.
    pub const fn link(self) -> LinkId {
        match self {
            Self::Relayed { link, .. } | Self::Direct { link } => link,
        }
    }

    /// The route that they name.
    pub const fn route(self) -> RouteHandle {
        match self {
            Self::Relayed { route, .. } => route,
            Self::Direct { .. } => DIRECT_ROUTE,
        }
    }

    /// Whether no relay is in between.
    pub const fn is_direct(self) -> bool {
        matches!(self, Self::Direct { .. })
    }
}

/// The ways of one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    relayed: Option<Via>,
    direct: Option<Via>,
    prefers_relayed: bool,
}

/// What a change means for what is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Records leave as before.
    No,
    /// Records leave by another way; those under way still arrive by the old one.
    Yes,
    /// The way that records took is no more: those under way may be lost.
    Lost,
}

impl Paths {
    /// The way that records take.
    pub fn active(&self) -> Option<Via> {
        match self.prefers_relayed {
            true => self.relayed.or(self.direct),
            false => self.direct.or(self.relayed),
        }
    }

    /// Takes the relayed way before the direct one, or no more.
    pub fn prefer_relayed(&mut self, prefers: bool) -> Moved {
        let before = self.active();
        self.prefers_relayed = prefers;
        self.moved(before, None)
    }

    /// Both ways, if there are both: the direct one, and the other.
    pub fn both(&self) -> Option<(Via, Via)> {
        self.direct.zip(self.relayed)
    }

    /// Whether the relayed way is taken before the direct one.
    pub fn prefers_relayed(&self) -> bool {
        self.prefers_relayed
    }

    /// A way exists. The newest of its kind counts.
    pub fn add(&mut self, via: Via) -> Moved {
        let before = self.active();
        match via {
            Via::Relayed { .. } => self.relayed = Some(via),
            Via::Direct { .. } => self.direct = Some(via),
        }
        self.moved(before, None)
    }

    /// A way is no more.
    pub fn remove(&mut self, via: Via) -> Moved {
        let before = self.active();
        self.relayed = self.relayed.filter(|v| *v != via);
        self.direct = self.direct.filter(|v| *v != via);
        self.moved(before, Some(via))
    }

    /// Whether a relayed way is among them.
    pub fn has_relayed(&self) -> bool {
        self.relayed.is_some()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Via> {
        self.direct.into_iter().chain(self.relayed)
    }

    fn moved(&self, before: Option<Via>, removed: Option<Via>) -> Moved {
        if before == self.active() {
            Moved::No
        } else if before.is_some() && before == removed {
            Moved::Lost
        } else {
            Moved::Yes
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const RELAYED: Via = Via::Relayed {
        link: LinkId(1),
        route: RouteHandle(7),
    };
    const DIRECT: Via = Via::Direct { link: LinkId(2) };

    #[test]
    fn a_direct_way_is_taken_before_a_relayed_one() {
        let mut paths = Paths::default();
        assert_eq!(paths.active(), None);
        assert_eq!(paths.add(RELAYED), Moved::Yes);
        assert_eq!(paths.add(DIRECT), Moved::Yes);
        assert_eq!(paths.active(), Some(DIRECT));
    }

    #[test]
    fn a_relayed_way_that_is_preferred_is_taken_while_there_is_one() {
        let mut paths = Paths::default();
        paths.add(RELAYED);
        assert_eq!(paths.prefer_relayed(true), Moved::No);
        assert_eq!(paths.add(DIRECT), Moved::No);
        assert_eq!(paths.both(), Some((DIRECT, RELAYED)));
        assert_eq!(paths.remove(RELAYED), Moved::Lost);
        assert_eq!(paths.active(), Some(DIRECT));
        assert_eq!(paths.add(RELAYED), Moved::Yes);
        assert_eq!(paths.prefer_relayed(false), Moved::Yes);
        assert_eq!(paths.active(), Some(DIRECT));
    }

    #[test]
    fn losing_the_way_in_use_is_told_apart_from_losing_a_spare() {
        let mut paths = Paths::default();
        paths.add(RELAYED);
        paths.add(DIRECT);
        assert_eq!(paths.remove(DIRECT), Moved::Lost);
        assert_eq!(paths.active(), Some(RELAYED));
        paths.add(DIRECT);
        assert_eq!(paths.remove(RELAYED), Moved::No);
        assert_eq!(paths.remove(DIRECT), Moved::Lost);
        assert_eq!(paths.active(), None);
    }

    #[test]
    fn a_newer_route_replaces_the_older_one() {
        let newer = Via::Relayed {
            link: LinkId(3),
            route: RouteHandle(1),
        };
        let mut paths = Paths::default();
        paths.add(RELAYED);
        assert_eq!(paths.add(newer), Moved::Yes);
        assert_eq!(paths.remove(RELAYED), Moved::No);
        assert_eq!(paths.active(), Some(newer));
    }
}
