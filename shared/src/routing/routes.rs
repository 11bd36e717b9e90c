//! The routes of a relay: which link a record goes out by. A relay holds no more than this, and
//! nothing per message.

use std::collections::{BTreeSet, HashMap};

use crate::id::NodeId;
use crate::limits::ROUTES_PER_LINK_MAX;
use crate::link::{LinkId, RouteHandle};

/// Routes by their handle. A handle means the same on both links of its route, so that a record is
/// passed on byte for byte.
#[derive(Debug, Default)]
pub struct Routes {
    routes: HashMap<RouteHandle, Route>,
    per_link: HashMap<LinkId, BTreeSet<RouteHandle>>,
    next: u32,
}

/// A route's two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Who opened it.
    pub opener: End,
    /// To whom.
    pub target: End,
}

/// One end of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A neighbour, on this link.
    Link(LinkId),
    /// This node itself; the node at the other end.
    Here(NodeId),
}

/// Too many routes at one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyRoutes;

impl Routes {
    /// Makes a route.
    pub fn open(&mut self, opener: End, target: End) -> Result<RouteHandle, TooManyRoutes> {
        let full = |end| match end {
            End::Link(link) => self
                .per_link
                .get(&link)
                .is_some_and(|routes| routes.len() >= ROUTES_PER_LINK_MAX),
            End::Here(_) => false,
        };
        if full(opener) || full(target) {
            return Err(TooManyRoutes);
        }
        let handle = self.free_handle();
        self.routes.insert(handle, Route { opener, target });
        for end in [opener, target] {
            if let End::Link(link) = end {
                self.per_link.entry(link).or_default().insert(handle);
            }
        }
        Ok(handle)
    }

    /// Where a record goes that came along `handle` from `from`; nowhere if that is no end of it.
    pub fn next_hop(&self, handle: RouteHandle, from: End) -> Option<End> {
        let Route { opener, target } = self.routes.get(&handle).copied()?;
        if from == opener {
            Some(target)
        } else if from == target {
            Some(opener)
        } else {
            None
        }
    }

    /// Ends a route on behalf of one of its ends, and tells the other.
    pub fn close(&mut self, handle: RouteHandle, from: End) -> Option<End> {
        let other = self.next_hop(handle, from)?;
        self.remove(handle);
        Some(other)
    }

    /// Ends every route of a link, and tells the other ends.
    pub fn close_link(&mut self, link: LinkId) -> Vec<(RouteHandle, End)> {
        let handles = self.per_link.remove(&link).unwrap_or_default();
        handles
            .into_iter()
            .filter_map(|handle| {
                self.close(handle, End::Link(link))
                    .map(|other| (handle, other))
            })
            .collect()
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    fn free_handle(&mut self) -> RouteHandle {
        loop {
            // Zero is the route of direct links.
            self.next = self.next.wrapping_add(1).max(1);
            let handle = RouteHandle(self.next);
            if !self.routes.contains_key(&handle) {
                return handle;
            }
        }
    }

    fn remove(&mut self, handle: RouteHandle) {
        let Some(route) = self.routes.remove(&handle) else {
            return;
        };
        for end in [route.opener, route.target] {
            if let End::Link(link) = end
                && let Some(routes) = self.per_link.get_mut(&link)
            {
                routes.remove(&handle);
                if routes.is_empty() {
                    self.per_link.remove(&link);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const A: End = End::Link(LinkId(1));
    const B: End = End::Link(LinkId(2));
    const C: End = End::Link(LinkId(3));

    #[test]
    fn a_record_goes_to_the_other_end() {
        let mut routes = Routes::default();
        let handle = routes.open(A, B).unwrap();
        assert_eq!(routes.next_hop(handle, A), Some(B));
        assert_eq!(routes.next_hop(handle, B), Some(A));
    }

    #[test]
    fn a_stranger_can_neither_use_nor_close_a_route() {
        let mut routes = Routes::default();
        let handle = routes.open(A, B).unwrap();
        assert_eq!(routes.next_hop(handle, C), None);
        assert_eq!(routes.close(handle, C), None);
        assert_eq!(routes.close(handle, B), Some(A));
        assert_eq!(routes.next_hop(handle, A), None);
    }

    #[test]
    fn a_link_that_ends_takes_its_routes_along() {
        let mut routes = Routes::default();
        let ab = routes.open(A, B).unwrap();
        let bc = routes.open(B, C).unwrap();
        let ac = routes.open(A, C).unwrap();
        assert_eq!(routes.close_link(LinkId(2)), [(ab, A), (bc, C)]);
        assert_eq!(routes.len(), 1);
        assert_eq!(routes.next_hop(ac, C), Some(A));
    }

    #[test]
    fn a_link_has_a_bounded_number_of_routes_and_gets_new_ones_for_old() {
        let mut routes = Routes::default();
        let first = routes.open(A, B).unwrap();
        for _ in 1..ROUTES_PER_LINK_MAX {
            routes.open(A, C).unwrap();
        }
        assert_eq!(routes.open(B, A), Err(TooManyRoutes));
        routes.close(first, A);
        assert!(routes.open(B, A).is_ok());
    }

    #[test]
    fn a_route_to_the_relay_itself_ends_here() {
        let mut routes = Routes::default();
        let here = End::Here(NodeId::from_bytes([1; 32]));
        let handle = routes.open(A, here).unwrap();
        assert_eq!(routes.next_hop(handle, A), Some(here));
        assert_eq!(routes.next_hop(handle, here), Some(A));
    }
}
