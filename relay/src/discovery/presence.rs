//! What a node says of itself, as it is now.

use std::net::{IpAddr, SocketAddr};

use peerage::Node;
use peerage::limits::ANNOUNCED_DOORS_MAX;
use peerage::node::State;

use crate::discovery::Way;
use crate::discovery::message::{Announcement, Door};

/// A node that lets others in.
pub(super) struct Presence {
    node: Node,
    ways: Vec<Way>,
}

impl Presence {
    /// A node with those of these ways in that lead beyond its machine.
    pub(super) fn new(node: Node, mut ways: Vec<Way>) -> Self {
        ways.retain(|way| !way.at.ip().is_loopback() && way.at.port() != 0);
        ways.truncate(ANNOUNCED_DOORS_MAX);
        Self { node, ways }
    }

    /// Whether nobody beyond its machine can come in.
    pub(super) fn is_empty(&self) -> bool {
        self.ways.is_empty()
    }

    pub(super) fn ways(&self) -> &[Way] {
        &self.ways
    }

    /// What it says at one of its machine's addresses; `None` while there is nothing to come in for: it belongs to no zone.
    pub(super) fn at(&self, ip: IpAddr) -> Option<Announcement> {
        let ways = self.ways.iter().filter(|way| opens(way.at, ip));
        let doors: Vec<_> = ways
            .map(|way| Door {
                scheme: way.scheme.to_owned(),
                port: way.at.port(),
                path: way.path.to_owned(),
            })
            .collect();
        (!doors.is_empty()).then(|| self.now(doors))?
    }

    /// What it says wherever it is.
    pub(super) fn now(&self, doors: Vec<Door>) -> Option<Announcement> {
        let is_in_zone = self.node.is_primary() || matches!(self.node.state(), State::Online(_));
        is_in_zone.then(|| Announcement {
            id: self.node.id(),
            zone: self.node.zone(),
            name: self.node.name(),
            kind: self.node.kind(),
            doors,
        })
    }
}

/// Whether what is bound at one address lets in those who call another.
fn opens(at: SocketAddr, ip: IpAddr) -> bool {
    match at.ip() {
        // The system lets in by it what comes for addresses of IPv4 too.
        IpAddr::V6(bound) if bound.is_unspecified() => true,
        bound if bound.is_unspecified() => ip.is_ipv4(),
        bound => bound == ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_in_is_open_at_the_addresses_at_which_it_is_bound() {
        let opens = |at: &str, ip: &str| opens(at.parse().unwrap(), ip.parse().unwrap());
        assert!(opens("0.0.0.0:1", "10.0.0.1") && !opens("0.0.0.0:1", "fe80::1"));
        assert!(opens("[::]:1", "10.0.0.1") && opens("[::]:1", "fe80::1"));
        assert!(opens("10.0.0.1:1", "10.0.0.1") && !opens("10.0.0.1:1", "10.0.0.2"));
    }
}
