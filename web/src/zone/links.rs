//! The links of the zone, as the nodes at their ends tell.

use std::collections::{BTreeMap, BTreeSet};

use peerage::NodeId;
use peerage::node::{Connection, ConnectionState, Medium};
use peerage::service::inspect::LinkInfo;

use crate::plot::Samples;

/// Figures of traffic that are remembered of each link.
pub(crate) const RATES_MAX: usize = 32;
/// For how many milliseconds what one end tells counts more than what the other does.
const FRESH_MS: f64 = 60_000.0;

/// The two nodes of a link, the smaller id first, and by what it carries packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ends(
    pub(crate) NodeId,
    pub(crate) NodeId,
    pub(crate) Option<Medium>,
);

/// All links between two nodes by one medium.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Link {
    /// Milliseconds there and back.
    pub(crate) rtt: Option<f64>,
    /// Bytes of packets both ways, so far.
    pub(crate) bytes: u64,
    /// Bytes a second.
    pub(crate) rate: f64,
    pub(crate) rates: Samples,
    teller: NodeId,
    /// Milliseconds of the page's clock.
    told: f64,
}

/// A link as one end tells of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) node: NodeId,
    pub(crate) medium: Option<Medium>,
    pub(crate) rtt: Option<f64>,
    pub(crate) bytes: u64,
}

/// What a node has of links.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    pub(crate) links: usize,
    pub(crate) direct: usize,
    /// Bytes a second.
    pub(crate) rate: f64,
}

/// The links that are known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Links(BTreeMap<Ends, Link>);

impl Ends {
    fn new(one: NodeId, other: NodeId, medium: Option<Medium>) -> Self {
        Self(one.min(other), one.max(other), medium)
    }
}

impl Told {
    /// A link of this page's node, if it is in use.
    pub(crate) fn own(connection: &Connection) -> Option<Self> {
        let in_use = connection.state == ConnectionState::Connected;
        Some(Self {
            node: connection.node.filter(|_| in_use)?,
            medium: connection.medium,
            rtt: connection.quality.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
            bytes: connection.bytes_in + connection.bytes_out,
        })
    }

    /// A link of another node, if it is in use.
    pub(crate) fn theirs(info: &LinkInfo) -> Option<Self> {
        let node = info.node.as_deref().filter(|_| info.state == "connected")?;
        Some(Self {
            node: node.parse().ok()?,
            medium: info.medium.as_deref().and_then(medium),
            rtt: info.rtt_ms,
            bytes: info.bytes_in + info.bytes_out,
        })
    }
}

fn medium(word: &str) -> Option<Medium> {
    let all = [Medium::WebSocket, Medium::WebRtc, Medium::Enet];
    all.into_iter().find(|medium| medium.as_str() == word)
}

impl Links {
    /// Notes all links that a node tells of, at this time in milliseconds. Of a link, the end counts that has
    /// told of it lately.
    pub(crate) fn told(&mut self, teller: NodeId, now: f64, list: Vec<Told>) {
        let mut together = BTreeMap::<Ends, Told>::new();
        for told in list {
            let ends = Ends::new(teller, told.node, told.medium);
            match together.get_mut(&ends) {
                None => drop(together.insert(ends, told)),
                Some(sum) => {
                    sum.bytes += told.bytes;
                    sum.rtt = [sum.rtt, told.rtt].into_iter().flatten().reduce(f64::min);
                }
            }
        }
        let there: BTreeSet<_> = together.keys().copied().collect();
        self.0
            .retain(|ends, link| link.teller != teller || there.contains(ends));
        for (ends, told) in together {
            match self.0.get_mut(&ends) {
                Some(link) if link.teller != teller && now - link.told < FRESH_MS => {}
                Some(link) => link.update(teller, now, &told),
                None => drop(self.0.insert(ends, Link::new(teller, now, &told))),
            }
        }
    }

    /// Keeps those whose ends are both here.
    pub(crate) fn keep(&mut self, is_here: impl Fn(NodeId) -> bool) {
        self.0.retain(|ends, _| is_here(ends.0) && is_here(ends.1));
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Ends, &Link)> {
        self.0.iter()
    }

    /// What each node has of them.
    pub(crate) fn sums(&self) -> BTreeMap<NodeId, Sums> {
        let mut sums = BTreeMap::<_, Sums>::new();
        for (ends, link) in &self.0 {
            for node in [ends.0, ends.1] {
                let sum = sums.entry(node).or_default();
                sum.links += 1;
                sum.direct += usize::from(ends.2 == Some(Medium::WebRtc));
                sum.rate += link.rate;
            }
        }
        sums
    }
}

impl Link {
    fn new(teller: NodeId, now: f64, told: &Told) -> Self {
        Self {
            rtt: told.rtt,
            bytes: told.bytes,
            rate: 0.0,
            rates: Samples::default(),
            teller,
            told: now,
        }
    }

    fn update(&mut self, teller: NodeId, now: f64, told: &Told) {
        let seconds = (now - self.told) / 1000.0;
        // What the other end has counted does not go on from what this one has.
        if self.teller == teller && seconds > 0.0 {
            self.rate = told.bytes.saturating_sub(self.bytes) as f64 / seconds;
            self.rates.push(Some(self.rate), RATES_MAX);
        }
        self.rtt = told.rtt.or(self.rtt);
        (self.bytes, self.teller, self.told) = (told.bytes, teller, now);
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn id(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn told(n: u8, bytes: u64) -> Told {
        Told {
            node: id(n),
            medium: Some(Medium::WebSocket),
            rtt: Some(1.0),
            bytes,
        }
    }

    fn link(links: &Links, one: u8, other: u8) -> &Link {
        let ends = Ends::new(id(one), id(other), Some(Medium::WebSocket));
        links.0.get(&ends).unwrap()
    }

    #[test]
    fn both_ends_tell_of_one_link_and_its_traffic_is_of_one_of_them() {
        let mut links = Links::default();
        links.told(id(1), 0.0, vec![told(2, 100), told(3, 0)]);
        links.told(id(2), 500.0, vec![told(1, 7000)]);
        links.told(id(1), 1000.0, vec![told(2, 600), told(3, 0)]);
        let link = link(&links, 1, 2);
        assert_eq!((link.bytes, link.rate), (600, 500.0));
        let sums = links.sums();
        assert_eq!((sums[&id(1)].links, sums[&id(1)].rate), (2, 500.0));
    }

    #[test]
    fn a_link_that_its_teller_tells_no_more_is_gone_and_so_is_that_of_who_left() {
        let mut links = Links::default();
        links.told(id(1), 0.0, vec![told(2, 0), told(3, 0)]);
        links.told(id(1), 1.0, vec![told(3, 0)]);
        assert_eq!(links.iter().count(), 1);
        links.keep(|node| node != id(3));
        assert_eq!(links.iter().count(), 0);
    }

    #[test]
    fn who_has_told_nothing_for_long_is_heard_no_more() {
        let mut links = Links::default();
        links.told(id(1), 0.0, vec![told(2, 100)]);
        links.told(id(2), FRESH_MS, vec![told(1, 700)]);
        links.told(id(2), FRESH_MS + 1000.0, vec![told(1, 800)]);
        let link = link(&links, 1, 2);
        assert_eq!((link.bytes, link.rate), (800, 100.0));
    }

    #[test]
    fn several_links_by_one_medium_are_shown_as_one() {
        let mut links = Links::default();
        links.told(id(1), 0.0, vec![told(2, 100), told(2, 30)]);
        let link = link(&links, 1, 2);
        assert_eq!(link.bytes, 130);
    }
}
