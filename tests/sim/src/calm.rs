//! How trouble ends. Faults stop, everywhere or in a chosen core only, and all that was accepted there
//! must arrive (the liveness mode of TigerBeetle's simulator). Outside the core they last for ever.

use core::time::Duration;
use std::collections::BTreeSet;

use peerage::NodeId;
use peerage::node::{Machine, State};

use crate::Violation;
use crate::faults::Repair;
use crate::node::Node;
use crate::swarm::Chances;
use crate::wire::{End, Link};
use crate::world::World;

/// How long a network without faults may take until all is well, besides the resume window.
const CALM_MAX: Duration = Duration::from_secs(90);
/// How much longer a core may take, whose nodes have to find out which relays are not of it.
const CORE_EXTRA: Duration = Duration::from_secs(90);
/// How long after the resume window a stream to somebody outside the core must have ended: the silence
/// of a session has to be noticed first.
const SILENCE_GRACE: Duration = Duration::from_secs(30);
/// How often that is looked at.
const CALM_LOOK: Duration = Duration::from_millis(250);

/// What is wrong for ever with a node outside the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its process is no more.
    Dead,
    /// Its process does not run, though its links are there.
    Asleep,
    /// Nothing passes between it and the core.
    CutOff,
    /// Nothing comes to it from the core.
    Deaf,
    /// Nothing goes from it to the core.
    Mute,
}

impl Fate {
    const ALL: [Self; 5] = [
        Self::Dead,
        Self::Asleep,
        Self::CutOff,
        Self::Deaf,
        Self::Mute,
    ];
}

/// Faults are over: everything accepted must arrive, and everyone must be reached.
pub(crate) fn calm(world: &mut World) -> Result<(), Violation> {
    world.calm_down()?;
    let start = world.now + world.swarm.resume_window;
    let extra = if world.swarm.core {
        CORE_EXTRA
    } else {
        Duration::ZERO
    };
    let mut look = world.now;
    while world.stats.violation.is_none() && world.step()? {
        if world.now < look {
            continue;
        }
        look = world.now + CALM_LOOK;
        let Some(unsettled) = world.unsettled() else {
            if world.swarm.core {
                tracing::debug!("a core is at rest without the others");
            }
            return Ok(());
        };
        if world.now >= start + SILENCE_GRACE {
            world.check_silence()?;
        }
        if world.now >= start + CALM_MAX + extra {
            for node in &world.nodes {
                tracing::trace!(machine = ?node.machine, "at the end");
            }
            return Err(Violation(format!("not at rest: {unsettled}")));
        }
    }
    Ok(())
}

impl World {
    /// Faults are over, but for nodes that never come back, or those outside the core.
    fn calm_down(&mut self) -> Result<(), Violation> {
        if self.swarm.villain.is_some() {
            self.lose(self.nodes.len() - 1);
        }
        self.calm = true;
        self.swarm.direct = Chances::default();
        self.swarm.delay_ms = (1, 5);
        if !self.swarm.core {
            for n in self.swarm.relays..self.nodes.len() {
                if self.rng.per_mille(50) {
                    self.lose(n);
                }
            }
        }
        self.heal()?;
        if self.swarm.core {
            self.forsake_all_but_a_core()?;
        }
        Ok(())
    }

    fn heal(&mut self) -> Result<(), Violation> {
        for (a, b) in self.partitions.keys().copied().collect::<Vec<_>>() {
            while self.partitions.contains_key(&(a, b)) {
                self.repair(Repair::Unpart(a, b))?;
            }
        }
        for n in 0..self.nodes.len() {
            self.nodes[n].liar = None;
            self.awake(n)?;
            self.start(n);
        }
        for link in 0..self.links.len() {
            for end in 0..2 {
                while self.links[link].is_blocked(end) {
                    self.unblock(link, end);
                }
            }
        }
        Ok(())
    }

    /// The core is the primary, some of the other relays, and some of the nodes. Each of them calls
    /// somebody outside a last time.
    fn forsake_all_but_a_core(&mut self) -> Result<(), Violation> {
        let share = self.rng.one_of(&[300, 700]);
        let sure = self.any_tab();
        let mut outside = Vec::new();
        for n in 1..self.nodes.len() {
            if n != sure && self.nodes[n].fate.is_none() && !self.rng.per_mille(share) {
                outside.push(self.nodes[n].id());
                self.forsake(n);
            }
        }
        self.block_the_forsaken();
        for n in (0..self.nodes.len()).filter(|_| !outside.is_empty()) {
            if self.nodes[n].fate.is_none() {
                let target = self.rng.one_of(&outside);
                self.play(n, |app, scene| app.call(target, scene))?;
                self.settle_checked(n)?;
            }
        }
        Ok(())
    }

    fn forsake(&mut self, n: usize) {
        let fate = self.rng.one_of(&Fate::ALL);
        tracing::debug!(n, ?fate, "forsaken");
        match fate {
            Fate::Dead => self.lose(n),
            Fate::Asleep => self.nodes[n].asleep = true,
            Fate::CutOff | Fate::Deaf | Fate::Mute => {}
        }
        self.nodes[n].fate = Some(fate);
    }

    fn lose(&mut self, n: usize) {
        self.nodes[n].fate = Some(Fate::Dead);
        self.crash(n);
    }

    fn block_the_forsaken(&mut self) {
        for link in 0..self.links.len() {
            let [a, b] = self.links[link].ends.map(|end| end.at.node);
            for (end, from, to) in [(1, a, b), (0, b, a)] {
                if self.is_forsaken(from, to) {
                    self.links[link].block(end);
                }
            }
        }
    }

    /// Whether nothing passes from one node to another, for ever.
    pub(crate) fn is_forsaken(&self, from: usize, to: usize) -> bool {
        let (from, to) = (self.nodes[from].fate, self.nodes[to].fate);
        let mute = matches!(from, Some(Fate::CutOff | Fate::Mute));
        let deaf = matches!(to, Some(Fate::CutOff | Fate::Deaf));
        from.is_some() != to.is_some() && (mute || deaf)
    }

    /// What keeps the core from rest.
    fn unsettled(&self) -> Option<String> {
        for (n, node) in self.core() {
            let state = node.machine.as_ref().map(Machine::state);
            if !matches!(state, Some(State::Online(_))) {
                return Some(format!("node {n} is {state:?}"));
            }
            if let Some(why) = node.app.unsettled() {
                return Some(format!("node {n} {why}"));
            }
            let backlog = node.machine.as_ref().map(Machine::backlog);
            let waiting = backlog.map_or(0, |backlog| backlog.unacknowledged_records);
            if waiting > 0 {
                return Some(format!("node {n}: {waiting} records are not acknowledged"));
            }
        }
        self.one_sided_route()
            .or_else(|| self.ledger.unsettled(&self.outside()))
    }

    /// A route that only one end of a link knows of would never be closed.
    fn one_sided_route(&self) -> Option<String> {
        let routes = |end: &End| -> Option<BTreeSet<_>> {
            let node = &self.nodes[end.at.node];
            let here = node.life == end.at.life && node.fate.is_none();
            let machine = node.machine.as_ref().filter(|_| here)?;
            Some(machine.routes_over(end.id).collect())
        };
        let differ = |link: &&Link| {
            let [a, b] = &link.ends;
            routes(a).zip(routes(b)).is_some_and(|(a, b)| a != b)
        };
        let Link { ends: [a, b], .. } = self.links.iter().find(differ)?;
        let (a, b) = (a.at.node, b.at.node);
        Some(format!("nodes {a} and {b} know of different routes"))
    }

    /// A stream to somebody outside must not wait for ever.
    fn check_silence(&self) -> Result<(), Violation> {
        let outside = self.outside();
        let holds = |(_, node): &(usize, &Node)| node.app.holds_any_of(&outside);
        match self.core().find(holds) {
            Some((n, _)) => Err(Violation(format!(
                "node {n} waits in vain for somebody outside the core"
            ))),
            None => Ok(()),
        }
    }

    fn core(&self) -> impl Iterator<Item = (usize, &Node)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter(|(_, node)| node.fate.is_none())
    }

    /// Those of whom nothing is asked: what dead nodes have said before is still to be true, unless they
    /// were hostile.
    fn outside(&self) -> BTreeSet<NodeId> {
        let outside = self.nodes.iter().filter(|node| node.fate.is_some());
        let alive = outside.filter_map(|node| node.machine.as_ref());
        alive.map(Machine::id).chain(self.hostile_id).collect()
    }
}
