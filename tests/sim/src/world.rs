//! The network and its time: one queue of what happens next, and every node in one thread.

use core::time::Duration;
use std::collections::BTreeMap;

use peerage::node::{Event, Machine, Output};
use peerage::{Config, Identity, Kind, NodeId, Time};

use crate::agenda::{Agenda, Happening};
use crate::app::{App, PROTOCOL, Scene};
use crate::ear::Ear;
use crate::hostile::Hostile;
use crate::ledger::Ledger;
use crate::net::place;
use crate::node::{Clock, Node};
use crate::rng::Rng;
use crate::swarm::{Swarm, Villain};
use crate::wire::{Life, Link, Passing};
use crate::{Stats, Violation};

/// Outputs of one node in one go; more means that it goes round in circles.
const OUTPUTS_MAX: usize = 200_000;
/// Steps at the same time; more means that nodes send each other round in circles.
const STEPS_AT_ONCE_MAX: u64 = 50_000;
/// Steps of a run, and for each of its nodes; more means that somebody never comes to rest.
const STEPS_MAX: u64 = 1_000_000;
const STEPS_PER_NODE_MAX: u64 = 20_000;
/// Everything there is.
pub(crate) struct World {
    pub(crate) swarm: Swarm,
    pub(crate) rng: Rng,
    pub(crate) now: Time,
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<Link>,
    pub(crate) ledger: Ledger,
    /// How often each direction between two nodes is blocked.
    pub(crate) partitions: BTreeMap<(usize, usize), u32>,
    /// Faults are over.
    pub(crate) calm: bool,
    /// The member that breaks the rules inside its sessions: what it says and hears counts for nothing.
    pub(crate) hostile_id: Option<NodeId>,
    pub(crate) stats: Stats,
    pub(crate) ear: Ear,
    agenda: Agenda,
    /// Steps since time went on.
    still: u64,
    hash: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let swarm = Swarm::choose(seed, &mut rng);
        let mut mark = [0; 16];
        mark.copy_from_slice(&rng.bytes()[..16]);
        let mut world = Self {
            now: Duration::from_secs(1),
            nodes: Vec::new(),
            links: Vec::new(),
            ledger: Ledger::new(mark),
            partitions: BTreeMap::new(),
            calm: false,
            hostile_id: None,
            stats: Stats::default(),
            ear: Ear::default(),
            agenda: Agenda::default(),
            still: 0,
            hash: seed,
            swarm,
            rng,
        };
        for n in 0..world.swarm.relays {
            world.add(Kind::Relay, format!("relay-{n}"));
        }
        for n in 0..world.swarm.tabs {
            world.add(Kind::Browser, format!("tab-{n}"));
        }
        let last = world.nodes.len() - 1;
        if world.is_villain(last, Villain::Hostile) {
            world.hostile_id = Some(world.nodes[last].id());
        }
        for n in 0..world.nodes.len() {
            world.start(n);
        }
        world.strike_later();
        world
    }

    fn add(&mut self, kind: Kind, name: String) {
        let n = self.nodes.len();
        let relays = self.swarm.relays;
        let mut upstream: Vec<usize> = (0..relays.min(n)).collect();
        if n > 0 {
            let turn = self.rng.place(upstream.len());
            upstream.rotate_left(turn);
        }
        let pace = self.rng.below(2 * self.swarm.drift_ppm + 1);
        self.nodes.push(Node {
            machine: None,
            life: 0,
            secret: self.rng.bytes(),
            asleep: false,
            fate: None,
            liar: None,
            hostile: None,
            app: App::default(),
            kind,
            name,
            upstream,
            calls: 0,
            clock: Clock {
                offset: self.rng.millis(0, 1_000_000),
                ppm: 1_000_000 - self.swarm.drift_ppm + pace,
            },
            inbox: Vec::new(),
            wake: None,
        });
    }

    /// A process begins.
    pub(crate) fn start(&mut self, n: usize) {
        let seed = self.rng.bytes();
        let node = &mut self.nodes[n];
        if node.machine.is_some() || node.fate.is_some() {
            return;
        }
        node.life += 1;
        let mut config = Config::new(node.kind);
        config.name = node.name.parse().ok();
        config.dials = n > 0;
        config.resume_window = self.swarm.resume_window;
        let identity = Identity::from_secret(&node.secret);
        let mut machine = Machine::new(config, identity, seed, node.clock.local(self.now));
        machine.listen(PROTOCOL);
        node.machine = Some(machine);
        node.wake = None;
        if self.is_villain(n, Villain::Hostile) {
            let node = &mut self.nodes[n];
            node.hostile = Some(Hostile::new(&node.secret));
        }
        let pace = self.rng.millis(1, self.swarm.pace_ms * 2);
        self.schedule(pace, Happening::Act(n));
        self.settle(n);
    }

    /// A process is no more, without a word of its own. Its neighbours learn it, or do not.
    pub(crate) fn crash(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        if node.machine.take().is_none() {
            return;
        }
        node.app.crash(&mut self.ledger);
        node.app = App::default();
        node.hostile = None;
        node.asleep = false;
        node.inbox.clear();
        let at = Life {
            node: n,
            life: node.life,
        };
        for link in 0..self.links.len() {
            if let Some(end) = self.links[link].end_of(at) {
                if self.rng.per_mille(600) {
                    self.transmit(link, 1 - end, Passing::End);
                }
                self.links[link].broken = true;
            }
        }
        self.note(&[1, n as u64]);
    }

    /// Runs one step; `false` if nothing is left to happen.
    pub(crate) fn step(&mut self) -> Result<bool, Violation> {
        let Some((time, what)) = self.agenda.next() else {
            return Ok(false);
        };
        self.still = if time > self.now { 0 } else { self.still + 1 };
        if self.still > STEPS_AT_ONCE_MAX {
            return Err(Violation(String::from("time stands still")));
        }
        let steps_max = STEPS_MAX + STEPS_PER_NODE_MAX * self.nodes.len() as u64;
        if self.stats.steps >= steps_max {
            return Err(Violation(format!("more than {steps_max} steps")));
        }
        self.now = self.now.max(time);
        self.happen(what)?;
        Ok(true)
    }

    fn happen(&mut self, what: Happening) -> Result<(), Violation> {
        self.stats.steps += 1;
        match what {
            Happening::Arrive(link, end, what) => self.arrive(link, end, what),
            Happening::Up(link, end) => self.link_up(link, end),
            Happening::DialFailed(at) => self.at(at, Happening::DialFailed(at), |machine, now| {
                machine.handle_dial_failed(now, "nobody answers");
            }),
            Happening::Wake(at) => self.wake(at),
            Happening::Act(n) => self.act(n),
            Happening::Strike => {
                self.strike();
                Ok(())
            }
            // All that could be repaired was, when the faults stopped.
            Happening::Repair(_) if self.calm => Ok(()),
            Happening::Repair(repair) => self.repair(repair),
        }
    }

    fn wake(&mut self, at: Life) -> Result<(), Violation> {
        let node = &mut self.nodes[at.node];
        // One that was to be earlier has taken the place of others.
        if node.life != at.life || node.wake != Some(self.now) {
            return Ok(());
        }
        node.wake = None;
        self.at(at, Happening::Wake(at), |_, _| {})
    }

    /// Does something with a machine, unless its process is another by now, or asleep.
    pub(crate) fn at(
        &mut self,
        at: Life,
        later: Happening,
        action: impl FnOnce(&mut Machine, Time),
    ) -> Result<(), Violation> {
        let node = &mut self.nodes[at.node];
        if node.life != at.life {
            return Ok(());
        }
        if node.asleep {
            node.inbox.push(later);
            return Ok(());
        }
        let now = node.clock.local(self.now);
        if let Some(machine) = &mut node.machine {
            action(machine, now);
            self.settle_checked(at.node)?;
        }
        Ok(())
    }

    fn act(&mut self, n: usize) -> Result<(), Violation> {
        let pace = self.rng.millis(1, self.swarm.pace_ms * 2);
        if self.nodes[n].machine.is_none() {
            return Ok(());
        }
        self.schedule(pace, Happening::Act(n));
        if self.nodes[n].asleep {
            return Ok(());
        }
        let others = self.living().filter(|(m, _)| *m != n);
        let others: Vec<NodeId> = others.map(|(_, id)| id).collect();
        if let Some(hostile) = &mut self.nodes[n].hostile {
            if let Some((id, packets)) = hostile.act(&others, &mut self.rng) {
                let (link, end) = place(id);
                for packet in packets {
                    self.transmit(link, 1 - end, Passing::Packet(packet));
                }
            }
        } else {
            self.play(n, |app, scene| app.act(&others, scene))?;
        }
        self.settle_checked(n)
    }

    /// Nodes that are there now.
    pub(crate) fn living(&self) -> impl Iterator<Item = (usize, NodeId)> {
        let nodes = self.nodes.iter().enumerate();
        let living = nodes.filter(|(_, node)| node.fate.is_none());
        living.filter_map(|(n, node)| Some((n, node.machine.as_ref()?.id())))
    }

    pub(crate) fn is_villain(&self, n: usize, villain: Villain) -> bool {
        self.swarm.villain == Some(villain) && n + 1 == self.nodes.len()
    }

    /// Lets the program of a node do something.
    pub(crate) fn play(
        &mut self,
        n: usize,
        action: impl FnOnce(&mut App, &mut Scene<'_>) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let node = &mut self.nodes[n];
        let Some(machine) = &mut node.machine else {
            return Ok(());
        };
        machine.handle_time(node.clock.local(self.now));
        let mut scene = Scene {
            machine,
            ledger: &mut self.ledger,
            rng: &mut self.rng,
            swarm: &self.swarm,
            calm: self.calm,
            hostile: self.hostile_id,
        };
        action(&mut node.app, &mut scene)
    }

    /// Like [`World::settle_checked`], where a violation will be found at the next step anyway.
    pub(crate) fn settle(&mut self, n: usize) {
        if let Err(violation) = self.settle_checked(n) {
            self.stats.violation.get_or_insert(violation);
        }
    }

    /// Lets a node do all that it has to do now, and checks that it is in order.
    pub(crate) fn settle_checked(&mut self, n: usize) -> Result<(), Violation> {
        for _ in 0..OUTPUTS_MAX {
            let node = &mut self.nodes[n];
            let Some(machine) = &mut node.machine else {
                return Ok(());
            };
            let now = node.clock.local(self.now);
            machine.handle_time(now);
            let Some(output) = machine.poll_output() else {
                return self.rest(n, now);
            };
            self.perform(n, output)?;
        }
        Err(Violation(format!("node {n} goes round in circles")))
    }

    fn rest(&mut self, n: usize, now: Time) -> Result<(), Violation> {
        let node = &mut self.nodes[n];
        let Some(machine) = &node.machine else {
            return Ok(());
        };
        // Looking at all that a relay keeps takes long in a crowd.
        let seldom = 1 + self.swarm.tabs as u64 / 64;
        if self.stats.steps.is_multiple_of(seldom) {
            check_bounds(n, machine)?;
        }
        let Some(deadline) = machine.deadline() else {
            return Ok(());
        };
        if deadline <= now {
            return Err(Violation(format!(
                "node {n}: a timer in the past, {deadline:?} at {now:?}"
            )));
        }
        let wake = node.clock.global(deadline).max(self.now);
        if node.wake.is_none_or(|at| wake < at) {
            node.wake = Some(wake);
            let at = Life {
                node: n,
                life: node.life,
            };
            self.schedule_at(wake, Happening::Wake(at));
        }
        Ok(())
    }

    fn perform(&mut self, n: usize, output: Output) -> Result<(), Violation> {
        match output {
            // No program of the simulation names an address.
            Output::Dial | Output::DialAt(_) => self.dial(n),
            Output::Send(id, packet) => return self.send(n, id, packet),
            Output::Close(id, _) => {
                let (link, end) = place(id);
                self.transmit(link, 1 - end, Passing::End);
            }
            Output::Event(event) => return self.hear(n, &event),
        }
        Ok(())
    }

    fn hear(&mut self, n: usize, event: &Event) -> Result<(), Violation> {
        self.note(&[3, n as u64]);
        tracing::trace!(n, ?event, now = ?self.now);
        self.play(n, |app, scene| app.hear(event, scene))
    }

    /// A process that slept goes on.
    pub(crate) fn awake(&mut self, n: usize) -> Result<(), Violation> {
        if !std::mem::take(&mut self.nodes[n].asleep) {
            return Ok(());
        }
        for link in 0..self.links.len() {
            self.refresh_writable(n, link)?;
        }
        for what in std::mem::take(&mut self.nodes[n].inbox) {
            self.happen(what)?;
        }
        self.settle_checked(n)
    }

    pub(crate) fn schedule(&mut self, after: Duration, what: Happening) {
        self.schedule_at(self.now + after, what);
    }

    pub(crate) fn schedule_at(&mut self, time: Time, what: Happening) {
        self.agenda.add(time, what);
    }

    /// Stands for all that happened, and in which order.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn note(&mut self, numbers: &[u64]) {
        let time = self.now.as_micros() as u64;
        for number in numbers.iter().chain([&time]) {
            self.hash = (self.hash.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    pub(crate) fn note_bytes(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let number = part.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
            self.hash = (self.hash.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
}

fn check_bounds(n: usize, machine: &Machine) -> Result<(), Violation> {
    match machine.backlog().beyond_limits() {
        Some(what) => Err(Violation(format!("node {n}: {what}"))),
        None => Ok(()),
    }
}
