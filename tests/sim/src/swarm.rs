//! What a seed chooses: how large the network is, which faults exist in this run at all, and how hard
//! they strike (swarm testing: Groce et al., ISSTA 2012).

use core::time::Duration;

use crate::rng::Rng;

/// The first of the seeds that have thousands of nodes each. Of those before it, one in 20,000 has.
pub const FIRST_CROWD: u64 = 1 << 63;

/// The conditions of one run. Chances are in a thousand.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// Relays; the first is the primary.
    pub relays: usize,
    /// Nodes that are no relays.
    pub tabs: usize,
    /// How long faults strike.
    pub trouble: Duration,
    /// The least delay of a packet, and how much more it may be, in milliseconds.
    pub delay_ms: (u64, u64),
    /// What happens to packets of direct links.
    pub direct: Chances,
    /// Bytes under way on a link before it takes no more.
    pub window_bytes: usize,
    /// The faults that strike from time to time.
    pub faults: Vec<Fault>,
    /// The mean time between two faults, in milliseconds.
    pub fault_every_ms: u64,
    /// How much faster or slower a clock may run, in millionths.
    pub drift_ppm: u64,
    /// How likely a reader is slow.
    pub slow_readers: u64,
    /// How often a node does something, in milliseconds.
    pub pace_ms: u64,
    /// How long messages are, at the most.
    pub message_bytes: usize,
    /// How long a session without a path waits for one.
    pub resume_window: Duration,
    /// Whether the last of the nodes does not keep to the rules.
    pub villain: Option<Villain>,
    /// Whether faults stop in a core only, in the end.
    pub core: bool,
    /// Whether packets are searched for what nobody in between may read.
    pub eavesdrop: bool,
}

/// A node that does not keep to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Villain {
    /// It says to its neighbour what comes to its mind.
    Babbler,
    /// It breaks the rules inside its sessions.
    Hostile,
}

/// What may happen to one packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chances {
    /// It never arrives.
    pub loss: u64,
    /// It arrives twice.
    pub duplicate: u64,
    /// It arrives after those behind it.
    pub reorder: u64,
    /// One of its bits is another.
    pub corrupt: u64,
}

/// What strikes from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A link breaks; both ends learn it.
    Cut,
    /// A link breaks, and nobody learns it.
    Silence,
    /// Nothing passes between two nodes, in one direction.
    Partition,
    /// A link passes nothing for a while.
    Clog,
    /// Links of several nodes stop one after the other and come back in another order.
    Swizzle,
    /// A node dies and comes back as the same.
    Crash,
    /// A node dies and comes back with another key.
    Reborn,
    /// A relay dies and comes back.
    RelayCrash,
    /// A node leaves in good order, and comes back.
    Leave,
    /// A process does not run for a while.
    Sleep,
    /// A relay lies for a while.
    Lie,
    /// A direct link comes to be.
    Meet,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Cut,
        Self::Silence,
        Self::Partition,
        Self::Clog,
        Self::Swizzle,
        Self::Crash,
        Self::Reborn,
        Self::RelayCrash,
        Self::Leave,
        Self::Sleep,
        Self::Lie,
        Self::Meet,
    ];
}

/// How many nodes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// A handful.
    Small,
    /// Hundreds.
    Large,
    /// Thousands.
    Crowd,
}

impl Size {
    fn choose(seed: u64, rng: &mut Rng) -> Self {
        match rng.below(20_000) {
            _ if seed >= FIRST_CROWD => Self::Crowd,
            0 => Self::Crowd,
            1..80 => Self::Large,
            _ => Self::Small,
        }
    }
}

impl Swarm {
    pub(crate) fn choose(seed: u64, rng: &mut Rng) -> Self {
        let size = Size::choose(seed, rng);
        let relays = match size {
            Size::Small | Size::Large => rng.one_of(&[1, 1, 2, 3, 4]),
            Size::Crowd => rng.one_of(&[3, 5, 8]),
        };
        let tabs = match size {
            Size::Small => rng.between(2, 9),
            Size::Large => rng.between(100, 400),
            Size::Crowd => rng.between(1_000, 5_000),
        };
        let rough = rng.per_mille(600);
        let chance = |rng: &mut Rng, max| {
            if rough {
                rng.one_of(&[0, max / 10, max])
            } else {
                0
            }
        };
        let direct = Chances {
            loss: chance(rng, 200),
            duplicate: chance(rng, 100),
            reorder: chance(rng, 200),
            corrupt: chance(rng, 20),
        };
        let share = rng.between(100, 700);
        let mut faults: Vec<_> = Fault::ALL
            .into_iter()
            .filter(|_| rng.per_mille(share))
            .collect();
        if rng.per_mille(700) && !faults.contains(&Fault::Meet) {
            faults.push(Fault::Meet);
        }
        Self {
            relays,
            tabs: tabs as usize,
            trouble: match size {
                Size::Small | Size::Large => rng.millis(4_000, 25_000),
                Size::Crowd => rng.millis(6_000, 15_000),
            },
            delay_ms: rng.one_of(&[(0, 0), (1, 1), (5, 20), (40, 10), (100, 200)]),
            direct,
            window_bytes: rng.one_of(&[32 * 1024, 256 * 1024, 1024 * 1024]),
            faults,
            fault_every_ms: match size {
                Size::Small | Size::Large => rng.one_of(&[150, 500, 1_500, 4_000]),
                Size::Crowd => rng.one_of(&[50, 150, 500]),
            },
            drift_ppm: rng.one_of(&[0, 0, 200, 20_000]),
            slow_readers: rng.one_of(&[0, 0, 100, 500]),
            pace_ms: match size {
                Size::Small => rng.one_of(&[150, 500, 1500]),
                Size::Large | Size::Crowd => 5_000,
            },
            message_bytes: rng.one_of(&[64, 2_000, 2_000, 30_000, 300_000]),
            resume_window: Duration::from_secs(match size {
                Size::Small | Size::Large => rng.one_of(&[5, 20, 120]),
                Size::Crowd => rng.one_of(&[5, 20]),
            }),
            villain: match rng.below(1000) {
                0..150 => Some(Villain::Babbler),
                150..350 => Some(Villain::Hostile),
                _ => None,
            },
            core: rng.per_mille(333),
            eavesdrop: rng.per_mille(250),
        }
    }
}
