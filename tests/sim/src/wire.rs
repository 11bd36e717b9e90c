//! Links in simulation: packets that take their time, get lost, double, overtake each other or are
//! changed, and ways that are blocked for a while.

use core::time::Duration;
use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use peerage::Time;
use peerage::link::{LinkId, Origin};

use crate::rng::Rng;
use crate::swarm::{Chances, Swarm};

/// One process at one end of a link: a node, and which of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) node: usize,
    pub(crate) life: u32,
}

/// One end of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) at: Life,
    pub(crate) id: LinkId,
    pub(crate) origin: Origin,
}

/// A link between two processes.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) ends: [End; 2],
    /// What is on its way to each end.
    ways: [Way; 2],
    /// Like TCP: in order and whole, or else broken. Otherwise like UDP.
    pub(crate) steady: bool,
    pub(crate) broken: bool,
}

#[derive(Debug, Default)]
struct Way {
    blocked: u32,
    held: VecDeque<Passing>,
    last_arrival: Time,
    under_way: usize,
    full: bool,
}

/// What travels on a link.
#[derive(Clone, Debug)]
pub(crate) enum Passing {
    Packet(Bytes),
    /// The other end has ended the link.
    End,
}

/// When something arrives.
pub(crate) type Arrivals = Vec<(Time, Passing)>;

impl Link {
    pub(crate) fn new(a: End, b: End, steady: bool) -> Self {
        Self {
            ends: [a, b],
            ways: Default::default(),
            steady,
            broken: false,
        }
    }

    /// The number of the end that a process has.
    pub(crate) fn end_of(&self, at: Life) -> Option<usize> {
        self.ends.iter().position(|end| end.at == at)
    }

    /// Something leaves for an end. What arrives, and when; and whether the way is full from now on.
    pub(crate) fn send(
        &mut self,
        to: usize,
        what: Passing,
        now: Time,
        swarm: &Swarm,
        rng: &mut Rng,
    ) -> (Arrivals, bool) {
        let steady = self.steady;
        let way = &mut self.ways[to];
        if way.blocked > 0 {
            if !steady {
                return (Vec::new(), false);
            }
            way.under_way += what.len();
            way.held.push_back(what);
            return (Vec::new(), way.fills(swarm.window_bytes));
        }
        let mut arrivals = Vec::new();
        if steady {
            way.under_way += what.len();
            arrivals.push((way.steady_arrival(now, swarm, rng), what));
        } else {
            lossy(&mut arrivals, what, now, swarm, rng);
            way.under_way += arrivals.iter().map(|(_, what)| what.len()).sum::<usize>();
        }
        (arrivals, way.fills(swarm.window_bytes))
    }

    /// Something has arrived; whether the way takes packets again.
    pub(crate) fn arrived(&mut self, to: usize, what: &Passing, swarm: &Swarm) -> bool {
        let way = &mut self.ways[to];
        way.under_way = way.under_way.saturating_sub(what.len());
        let eased = way.full && way.under_way * 2 < swarm.window_bytes;
        if eased {
            way.full = false;
        }
        eased
    }

    /// Whether the way to an end takes no packets now.
    pub(crate) fn is_full(&self, to: usize) -> bool {
        self.ways[to].full
    }

    pub(crate) fn is_blocked(&self, to: usize) -> bool {
        self.ways[to].blocked > 0
    }

    pub(crate) fn block(&mut self, to: usize) {
        self.ways[to].blocked += 1;
    }

    /// Lets pass what was held up.
    pub(crate) fn unblock(
        &mut self,
        to: usize,
        now: Time,
        swarm: &Swarm,
        rng: &mut Rng,
    ) -> Arrivals {
        let way = &mut self.ways[to];
        way.blocked = way.blocked.saturating_sub(1);
        if way.blocked > 0 {
            return Vec::new();
        }
        let held = std::mem::take(&mut way.held);
        held.into_iter()
            .map(|what| (way.steady_arrival(now, swarm, rng), what))
            .collect()
    }
}

impl Way {
    fn fills(&mut self, window: usize) -> bool {
        let fills = !self.full && self.under_way >= window;
        self.full |= fills;
        fills
    }

    fn steady_arrival(&mut self, now: Time, swarm: &Swarm, rng: &mut Rng) -> Time {
        self.last_arrival = self.last_arrival.max(now + delay(swarm, rng));
        self.last_arrival
    }
}

impl Passing {
    fn len(&self) -> usize {
        match self {
            Self::Packet(packet) => packet.len(),
            Self::End => 0,
        }
    }
}

pub(crate) fn delay(swarm: &Swarm, rng: &mut Rng) -> Duration {
    let (least, jitter) = swarm.delay_ms;
    rng.millis(least, least + jitter)
}

fn lossy(arrivals: &mut Arrivals, what: Passing, now: Time, swarm: &Swarm, rng: &mut Rng) {
    let Chances {
        loss,
        duplicate,
        reorder,
        corrupt,
    } = swarm.direct;
    let copies = if rng.per_mille(duplicate) { 2 } else { 1 };
    for _ in 0..copies {
        if rng.per_mille(loss) {
            continue;
        }
        let mut arrival = now + delay(swarm, rng);
        if rng.per_mille(reorder) {
            arrival += delay(swarm, rng) * 2 + Duration::from_micros(50);
        }
        let what = if rng.per_mille(corrupt) {
            changed(&what, rng)
        } else {
            what.clone()
        };
        arrivals.push((arrival, what));
    }
}

/// The same with one bit changed.
pub(crate) fn changed(what: &Passing, rng: &mut Rng) -> Passing {
    match what {
        Passing::Packet(packet) if !packet.is_empty() => {
            let mut bytes = BytesMut::from(&packet[..]);
            let at = rng.place(bytes.len());
            bytes[at] ^= 1 << rng.below(8);
            Passing::Packet(bytes.freeze())
        }
        other => other.clone(),
    }
}
