//! Deterministic simulation: a whole network of nodes in one thread, under a seed that chooses its size,
//! its faults and every delay. The nodes are the real core; what they say to each other is checked by a
//! ledger that they know nothing of. The same seed gives the same run everywhere, natively and in wasm.

mod agenda;
mod app;
mod attack;
mod calm;
mod ear;
mod faults;
mod hostile;
mod ledger;
mod liar;
pub mod marks;
mod net;
mod node;
mod rng;
mod swarm;
mod wire;
mod world;

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

pub use swarm::{Chances, FIRST_CROWD, Fault, Swarm, Villain};

use world::World;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What happened in one or more runs.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Things that happened.
    pub steps: u64,
    /// Packets that arrived.
    pub packets: u64,
    /// Messages read.
    pub delivered: u64,
    /// Faults, by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// Nodes' time together.
    pub peer_time: Duration,
    /// The first violation.
    pub violation: Option<Violation>,
}

/// What became of a seed.
#[derive(Clone, Debug)]
pub struct Report {
    /// Numbers.
    pub stats: Stats,
    /// Stands for all that happened, in its order.
    pub hash: u64,
    /// What the seed chose.
    pub swarm: Swarm,
}

impl Stats {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.packets += other.packets;
        self.delivered += other.delivered;
        self.peer_time += other.peer_time;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
    }
}

/// Runs a seed.
pub fn run(seed: u64) -> Report {
    let mut world = World::new(seed);
    let result = trouble(&mut world).and_then(|()| calm::calm(&mut world));
    if let Err(violation) = result {
        world.stats.violation.get_or_insert(violation);
    }
    world.stats.delivered = world.ledger.delivered;
    world.stats.peer_time = world.now * world.nodes.len() as u32;
    Report {
        hash: world.hash(),
        stats: world.stats.clone(),
        swarm: world.swarm,
    }
}

fn trouble(world: &mut World) -> Result<(), Violation> {
    let end = world.now + world.swarm.trouble;
    let mut steps = 0u64;
    while world.now < end && world.stats.violation.is_none() && world.step()? {
        steps += 1;
        if steps.is_multiple_of(4096) {
            world.ledger.sweep();
        }
    }
    Ok(())
}
