//! What strikes a network from time to time, and how it ends.

use core::time::Duration;

use peerage::link::Origin;
use peerage::node::Machine;

use crate::Violation;
use crate::agenda::Happening;
use crate::liar::Liar;
use crate::swarm::{Fault, Villain};
use crate::wire::Passing;
use crate::world::World;

/// What ends a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Repair {
    Start(usize),
    Awake(usize),
    Unblock(usize, usize),
    Unpart(usize, usize),
    Honest(usize),
}

impl World {
    pub(crate) fn strike_later(&mut self) {
        if self.swarm.faults.is_empty() {
            return;
        }
        let pause = self.rng.millis(1, 2 * self.swarm.fault_every_ms);
        self.schedule(pause, Happening::Strike);
    }

    pub(crate) fn strike(&mut self) {
        if self.calm {
            return;
        }
        let fault = self.rng.one_of(&self.swarm.faults);
        *self.stats.faults.entry(fault).or_default() += 1;
        tracing::debug!(?fault, now = ?self.now, "strike");
        match fault {
            Fault::Cut => self.cut(true),
            Fault::Silence => self.cut(false),
            Fault::Partition => {
                let (a, b) = (self.any_node(), self.any_node());
                self.part(a, b);
                if self.rng.per_mille(500) {
                    self.part(b, a);
                }
            }
            Fault::Clog => {
                let after = self.duration();
                let ways = if self.rng.per_mille(500) { 1 } else { 2 };
                if let Some(link) = self.any_link() {
                    (0..ways).for_each(|end| self.clog(link, end, after));
                }
            }
            Fault::Swizzle => self.swizzle(),
            Fault::Crash => {
                let n = self.any_tab();
                self.kill(n, false);
            }
            Fault::Reborn => {
                let n = self.any_node();
                self.kill(n, !self.is_villain(n, Villain::Hostile));
            }
            Fault::RelayCrash => {
                let n = self.rng.place(self.swarm.relays);
                self.kill(n, false);
            }
            Fault::Leave => {
                let n = self.any_tab();
                self.leave(n);
            }
            Fault::Sleep => {
                let n = self.any_node();
                if self.nodes[n].machine.is_some() {
                    self.nodes[n].asleep = true;
                    let after = self.duration();
                    self.schedule(after, Happening::Repair(Repair::Awake(n)));
                }
            }
            Fault::Lie => {
                let n = self.rng.place(self.swarm.relays);
                self.nodes[n].liar = Some(Liar::new(&mut self.rng));
                let after = self.duration();
                self.schedule(after, Happening::Repair(Repair::Honest(n)));
            }
            Fault::Meet => self.meet(),
        }
        self.strike_later();
    }

    pub(crate) fn repair(&mut self, repair: Repair) -> Result<(), Violation> {
        match repair {
            Repair::Start(n) => self.start(n),
            Repair::Awake(n) => self.awake(n)?,
            Repair::Unblock(link, end) => self.unblock(link, end),
            Repair::Unpart(a, b) => {
                if let Some(count) = self.partitions.get_mut(&(a, b)) {
                    *count -= 1;
                    if *count == 0 {
                        self.partitions.remove(&(a, b));
                    }
                    for (link, end) in self.links_between(a, b) {
                        self.unblock(link, end);
                    }
                }
            }
            Repair::Honest(n) => self.nodes[n].liar = None,
        }
        Ok(())
    }

    fn duration(&mut self) -> Duration {
        let (low, high) = self.rng.one_of(&[(10, 300), (300, 4_000), (4_000, 15_000)]);
        self.rng.millis(low, high)
    }

    fn any_node(&mut self) -> usize {
        self.rng.place(self.nodes.len())
    }

    pub(crate) fn any_tab(&mut self) -> usize {
        self.swarm.relays + self.rng.place(self.swarm.tabs)
    }

    fn any_link(&mut self) -> Option<usize> {
        let whole: Vec<_> = (0..self.links.len())
            .rev()
            .filter(|link| !self.links[*link].broken)
            .take(4 * self.nodes.len())
            .collect();
        (!whole.is_empty()).then(|| self.rng.one_of(&whole))
    }

    fn cut(&mut self, told: bool) {
        if let Some(link) = self.any_link() {
            if told {
                for end in 0..2 {
                    self.transmit(link, end, Passing::End);
                }
            }
            self.links[link].broken = true;
        }
    }

    fn clog(&mut self, link: usize, end: usize, after: Duration) {
        self.links[link].block(end);
        self.schedule(after, Happening::Repair(Repair::Unblock(link, end)));
    }

    pub(crate) fn unblock(&mut self, link: usize, end: usize) {
        let arrivals = self.links[link].unblock(end, self.now, &self.swarm, &mut self.rng);
        self.schedule_arrivals(link, end, arrivals);
    }

    fn part(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        *self.partitions.entry((a, b)).or_default() += 1;
        for (link, end) in self.links_between(a, b) {
            self.links[link].block(end);
        }
        let after = self.duration();
        self.schedule(after, Happening::Repair(Repair::Unpart(a, b)));
    }

    /// Links from `a` to `b`, and the end that `b` has.
    fn links_between(&self, a: usize, b: usize) -> Vec<(usize, usize)> {
        let ends = |link: usize| {
            let [x, y] = self.links[link].ends;
            match (x.at.node, y.at.node) {
                (x, y) if (x, y) == (a, b) => Some((link, 1)),
                (x, y) if (x, y) == (b, a) => Some((link, 0)),
                _ => None,
            }
        };
        (0..self.links.len()).filter_map(ends).collect()
    }

    fn swizzle(&mut self) {
        let links: Vec<_> = (0..self.links.len())
            .filter(|link| !self.links[*link].broken && self.rng.per_mille(300))
            .collect();
        for link in links {
            let after = self.duration();
            self.clog(link, 0, after);
            self.clog(link, 1, after);
        }
    }

    fn kill(&mut self, n: usize, reborn: bool) {
        self.crash(n);
        if reborn {
            self.nodes[n].secret = self.rng.bytes();
        }
        let after = self.duration();
        self.schedule(after, Happening::Repair(Repair::Start(n)));
    }

    fn leave(&mut self, n: usize) {
        if self.nodes[n].asleep {
            return;
        }
        if let Some(machine) = &mut self.nodes[n].machine {
            Machine::close(machine);
            self.settle(n);
        }
        self.kill(n, false);
    }

    /// Two nodes that have a session get a direct link, as signalling would make one.
    fn meet(&mut self) {
        let (a, b) = (self.any_node(), self.any_node());
        let id = |n: usize| self.nodes[n].machine.as_ref().map(Machine::id);
        let (Some(a_id), Some(b_id)) = (id(a), id(b)) else {
            return;
        };
        if a == b
            || self.is_parted(a, b)
            || !self.has_session(a, b_id)
            || !self.has_session(b, a_id)
        {
            return;
        }
        let steady = self.rng.per_mille(300);
        let link = self.join(a, Origin::Direct(b_id), b, Origin::Direct(a_id), steady);
        for end in 0..2 {
            self.schedule(Duration::from_millis(1), Happening::Up(link, end));
        }
    }

    fn has_session(&self, n: usize, id: peerage::NodeId) -> bool {
        self.nodes[n]
            .machine
            .as_ref()
            .is_some_and(|machine| machine.has_session(id))
    }
}
