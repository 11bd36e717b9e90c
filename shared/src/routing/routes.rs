//! The routes that pass through a node or end there: where a record goes that comes along one. A node
//! holds no more than this, and nothing per message.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::id::NodeId;
use crate::limits::ROUTES_PER_LINK_MAX;
use crate::link::{LinkId, RouteHandle};

/// Routes by link and handle. A handle means the same on every link of its route, so that a record is
/// passed on byte for byte.
#[derive(Debug, Default)]
pub struct Routes {
    ends: HashMap<(LinkId, RouteHandle), End>,
    per_link: BTreeMap<LinkId, BTreeSet<RouteHandle>>,
    passing: usize,
}

/// Where a route leads, seen from one of its links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// On, over another link.
    Link(LinkId),
    /// Nowhere: it ends here. The node at its other end.
    Here(NodeId),
}

/// Why there is no such route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// The handle is in use on that link.
    InUse,
    /// Too many routes use that link.
    TooMany,
}

impl Routes {
    /// A route between this node and `peer`, over `link`.
    pub fn end_here(
        &mut self,
        link: LinkId,
        handle: RouteHandle,
        peer: NodeId,
    ) -> Result<(), NoRoute> {
        self.check(link, handle)?;
        self.insert(link, handle, End::Here(peer));
        Ok(())
    }

    /// A route that passes through this node.
    pub fn pass(&mut self, from: LinkId, to: LinkId, handle: RouteHandle) -> Result<(), NoRoute> {
        self.check(from, handle)?;
        self.check(to, handle)?;
        self.insert(from, handle, End::Link(to));
        self.insert(to, handle, End::Link(from));
        self.passing += 1;
        Ok(())
    }

    /// Where a record goes that came along a route.
    pub fn next(&self, link: LinkId, handle: RouteHandle) -> Option<End> {
        self.ends.get(&(link, handle)).copied()
    }

    /// Ends a route, and tells where it led.
    pub fn close(&mut self, link: LinkId, handle: RouteHandle) -> Option<End> {
        let end = self.remove(link, handle)?;
        if let End::Link(other) = end {
            self.remove(other, handle);
            self.passing -= 1;
        }
        Some(end)
    }

    /// Ends every route of a link, and tells where each led.
    pub fn close_link(&mut self, link: LinkId) -> Vec<(RouteHandle, End)> {
        let handles = self.per_link.get(&link).cloned().unwrap_or_default();
        handles
            .into_iter()
            .filter_map(|handle| Some((handle, self.close(link, handle)?)))
            .collect()
    }

    /// The routes that use a link.
    pub fn over(&self, link: LinkId) -> impl Iterator<Item = RouteHandle> {
        self.per_link.get(&link).into_iter().flatten().copied()
    }

    /// How many routes pass through this node.
    pub fn passing(&self) -> usize {
        self.passing
    }

    fn check(&self, link: LinkId, handle: RouteHandle) -> Result<(), NoRoute> {
        let routes = self.per_link.get(&link);
        if self.ends.contains_key(&(link, handle)) {
            Err(NoRoute::InUse)
        } else if routes.is_some_and(|routes| routes.len() >= ROUTES_PER_LINK_MAX) {
            Err(NoRoute::TooMany)
        } else {
            Ok(())
        }
    }

    fn insert(&mut self, link: LinkId, handle: RouteHandle, end: End) {
        self.ends.insert((link, handle), end);
        self.per_link.entry(link).or_default().insert(handle);
    }

    fn remove(&mut self, link: LinkId, handle: RouteHandle) -> Option<End> {
        let end = self.ends.remove(&(link, handle))?;
        if let Some(routes) = self.per_link.get_mut(&link) {
            routes.remove(&handle);
            if routes.is_empty() {
                self.per_link.remove(&link);
            }
        }
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const A: LinkId = LinkId(1);
    const B: LinkId = LinkId(2);
    const C: LinkId = LinkId(3);
    const ONE: RouteHandle = RouteHandle(1);
    const TWO: RouteHandle = RouteHandle(2);

    #[test]
    fn a_record_goes_to_the_other_end() {
        let mut routes = Routes::default();
        routes.pass(A, B, ONE).unwrap();
        assert_eq!(routes.next(A, ONE), Some(End::Link(B)));
        assert_eq!(routes.next(B, ONE), Some(End::Link(A)));
    }

    #[test]
    fn a_stranger_can_neither_use_nor_close_a_route() {
        let mut routes = Routes::default();
        routes.pass(A, B, ONE).unwrap();
        assert_eq!(routes.next(C, ONE), None);
        assert_eq!(routes.close(C, ONE), None);
        assert_eq!(routes.close(B, ONE), Some(End::Link(A)));
        assert_eq!(routes.next(A, ONE), None);
    }

    #[test]
    fn a_link_that_ends_takes_its_routes_along() {
        let mut routes = Routes::default();
        routes.pass(A, B, ONE).unwrap();
        routes.pass(B, C, TWO).unwrap();
        routes.pass(A, C, RouteHandle(3)).unwrap();
        assert_eq!(
            routes.close_link(B),
            [(ONE, End::Link(A)), (TWO, End::Link(C))]
        );
        assert_eq!(routes.passing(), 1);
        assert_eq!(routes.next(A, RouteHandle(3)), Some(End::Link(C)));
    }

    #[test]
    fn a_link_has_a_bounded_number_of_routes_and_gets_new_ones_for_old() {
        let mut routes = Routes::default();
        for n in 0..ROUTES_PER_LINK_MAX as u32 {
            routes.pass(A, B, RouteHandle(n)).unwrap();
        }
        let next = RouteHandle(u32::MAX);
        assert_eq!(routes.pass(C, A, next), Err(NoRoute::TooMany));
        assert_eq!(routes.next(C, next), None);
        routes.close(B, ONE);
        assert_eq!(routes.pass(C, A, next), Ok(()));
    }

    #[test]
    fn one_handle_stands_for_one_route_on_each_link() {
        let mut routes = Routes::default();
        let peer = NodeId::from_bytes([1; 32]);
        routes.end_here(A, ONE, peer).unwrap();
        assert_eq!(routes.pass(B, A, ONE), Err(NoRoute::InUse));
        assert_eq!(routes.pass(B, C, ONE), Ok(()));
        assert_eq!(routes.next(A, ONE), Some(End::Here(peer)));
    }
}
