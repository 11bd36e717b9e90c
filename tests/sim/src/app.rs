//! The program of a simulated node: it opens streams, says numbered things, reads, dawdles, finishes
//! and gives up. What it says and hears goes into the ledger.

use std::collections::{BTreeMap, BTreeSet};

use peerage::node::{Event, Machine, Read, StreamKey};
use peerage::{Code, NodeId};

use crate::Violation;
use crate::ledger::{End, Ledger};
use crate::rng::Rng;
use crate::swarm::Swarm;

/// The protocol that everyone speaks here.
pub(crate) const PROTOCOL: &str = "sim/talk/1";

/// Streams that one node begins at once.
const STREAMS_MAX: usize = 5;
/// Messages sent in one go.
const BURST_MAX: u64 = 5;

/// What a node's program remembers.
#[derive(Debug, Default)]
pub(crate) struct App {
    held: BTreeMap<StreamKey, Held>,
    probe: Probe,
}

#[derive(Debug)]
struct Held {
    label: Option<u64>,
    side: usize,
    slow: bool,
    finished: bool,
    read_end: bool,
}

/// The stream by which a node shows, in the end, that it can reach others.
#[derive(Debug, Default, PartialEq, Eq)]
enum Probe {
    #[default]
    Due,
    Asked(u64),
    Done,
}

/// What the program works with.
pub(crate) struct Scene<'a> {
    pub(crate) machine: &'a mut Machine,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) rng: &'a mut Rng,
    pub(crate) swarm: &'a Swarm,
    /// Faults are over: what was begun is to be ended.
    pub(crate) calm: bool,
    /// A node that says and hears what it likes.
    pub(crate) hostile: Option<NodeId>,
}

impl Scene<'_> {
    /// Whether nothing counts of what is said between this node and another.
    fn is_hostile(&self, peer: NodeId) -> bool {
        self.hostile
            .is_some_and(|hostile| hostile == peer || hostile == self.machine.id())
    }
}

impl App {
    /// Reacts to what the node tells.
    pub(crate) fn hear(&mut self, event: &Event, scene: &mut Scene<'_>) -> Result<(), Violation> {
        match event {
            Event::Incoming(key, _) => {
                let slow = scene.rng.per_mille(scene.swarm.slow_readers);
                let held = Held::new(None, 1, slow);
                if self.held.insert(*key, held).is_some() {
                    return Err(Violation(format!("{key:?} came twice")));
                }
                Ok(())
            }
            Event::Readable(key) => self.read(*key, scene),
            Event::Datagram(from, _, _) if scene.is_hostile(*from) => Ok(()),
            Event::Datagram(from, _, datagram) => {
                let own = scene.machine.id();
                scene.ledger.check_datagram(*from, own, datagram)
            }
            _ => Ok(()),
        }
    }

    /// Does something of its own accord. `others` are the nodes that it may talk to.
    pub(crate) fn act(
        &mut self,
        others: &[NodeId],
        scene: &mut Scene<'_>,
    ) -> Result<(), Violation> {
        if scene.calm {
            return self.conclude(others, scene);
        }
        let known = self.held.values().filter(|h| h.label.is_some()).count();
        if known < STREAMS_MAX && !others.is_empty() && scene.rng.per_mille(400) {
            let target = scene.rng.one_of(others);
            self.begin(target, scene);
        }
        if !others.is_empty() && scene.rng.per_mille(200) {
            let target = scene.rng.one_of(others);
            let datagram = scene.ledger.datagram(scene.machine.id(), target);
            // There may be no way now.
            let _ = scene.machine.send_datagram(target, PROTOCOL, datagram);
        }
        for key in self.held.keys().copied().collect::<Vec<_>>() {
            match scene.rng.below(100) {
                0..60 => {
                    let burst = scene.rng.between(1, BURST_MAX);
                    self.send(key, burst, scene);
                }
                60..66 => self.finish(key, scene),
                66..68 => self.give_up(key, scene),
                _ => {}
            }
            if scene.rng.per_mille(300) {
                self.take(key, scene)?;
            }
        }
        Ok(())
    }

    /// The process is no more.
    pub(crate) fn crash(&mut self, ledger: &mut Ledger) {
        for held in std::mem::take(&mut self.held).into_values() {
            held.ends(End::Crashed, ledger);
        }
    }

    /// What it still waits for, once faults are over.
    pub(crate) fn unsettled(&self) -> Option<String> {
        if self.probe != Probe::Done {
            return Some(String::from("has reached nobody"));
        }
        let key = self.held.keys().next()?;
        Some(format!("holds a stream with {}", key.peer.short()))
    }

    /// Whether it holds a stream with one of these.
    pub(crate) fn holds_any_of(&self, peers: &BTreeSet<NodeId>) -> bool {
        self.held.keys().any(|key| peers.contains(&key.peer))
    }

    /// Opens a stream to a node that may not be there.
    pub(crate) fn call(&mut self, target: NodeId, scene: &mut Scene<'_>) -> Result<(), Violation> {
        self.begin(target, scene);
        Ok(())
    }

    fn begin(&mut self, target: NodeId, scene: &mut Scene<'_>) -> Option<u64> {
        let offers = scene.rng.per_mille(300);
        let opened = if offers {
            scene.machine.open_any(target, &["sim/newer", PROTOCOL])
        } else {
            scene.machine.open(target, PROTOCOL)
        };
        let key = opened.ok()?;
        let label = scene.ledger.begin(scene.machine.id(), target);
        let slow = scene.rng.per_mille(scene.swarm.slow_readers);
        self.held.insert(key, Held::new(Some(label), 0, slow));
        self.send(key, 1, scene);
        Some(label)
    }

    fn send(&self, key: StreamKey, count: u64, scene: &mut Scene<'_>) {
        let Some(held) = self.held.get(&key).filter(|held| !held.finished) else {
            return;
        };
        let Some(label) = held.label else { return };
        for _ in 0..count {
            let len = match scene.rng.below(4) {
                0 => 0,
                1 => scene.rng.place(scene.swarm.message_bytes),
                _ => scene.rng.place(scene.swarm.message_bytes.min(200)),
            };
            let message = scene.ledger.message(label, held.side, len);
            if scene.machine.send(key, &message) != Ok(true) {
                return;
            }
            scene.ledger.side(label, held.side).sent += 1;
        }
    }

    fn finish(&mut self, key: StreamKey, scene: &mut Scene<'_>) {
        let Some(held) = self.held.get_mut(&key) else {
            return;
        };
        let Some(label) = held.label.filter(|_| !held.finished) else {
            return;
        };
        if scene.machine.failure(key).is_some() {
            return;
        }
        held.finished = true;
        scene.machine.finish(key);
        scene.ledger.side(label, held.side).finished = true;
        self.release_if_over(key, scene);
    }

    fn give_up(&mut self, key: StreamKey, scene: &mut Scene<'_>) {
        if self.held.get(&key).is_none_or(|held| held.finished) {
            return;
        }
        if let Some(held) = self.held.remove(&key) {
            let failure = Code::Cancelled.because("enough");
            if scene.rng.per_mille(500) {
                scene.machine.reset(key, failure);
                scene.machine.release(key);
            } else {
                scene.machine.abandon(key, failure);
            }
            held.ends(End::Own, scene.ledger);
        }
    }

    fn read(&mut self, key: StreamKey, scene: &mut Scene<'_>) -> Result<(), Violation> {
        let slow = self.held.get(&key).is_some_and(|held| held.slow);
        if slow && !scene.calm {
            return Ok(());
        }
        while self.take(key, scene)? {}
        Ok(())
    }

    /// Reads one thing. Whether there may be more.
    fn take(&mut self, key: StreamKey, scene: &mut Scene<'_>) -> Result<bool, Violation> {
        let Some(held) = self.held.get_mut(&key) else {
            return Ok(false);
        };
        match scene.machine.read(key) {
            Read::Message(_) if scene.is_hostile(key.peer) => Ok(true),
            Read::Message(message) => {
                let known = held.label.map(|label| (label, held.side));
                let own = scene.machine.id();
                let label = scene.ledger.check(known, own, key.peer, &message)?;
                held.label = Some(label);
                Ok(true)
            }
            Read::Nothing => Ok(false),
            Read::Finished => {
                let first = !std::mem::replace(&mut held.read_end, true);
                if let Some(label) = held.label.filter(|_| first && !scene.is_hostile(key.peer)) {
                    scene.ledger.check_end(label, held.side)?;
                }
                self.release_if_over(key, scene);
                Ok(false)
            }
            Read::Reset(failure) => {
                scene.machine.release(key);
                if let Some(held) = self.held.remove(&key) {
                    let label = held.label;
                    let anew = failure.message == "the node has begun anew";
                    if anew {
                        tracing::debug!("a stream ends with a session that was lost");
                    }
                    let end = if anew {
                        End::Anew
                    } else {
                        End::Told(failure.code)
                    };
                    held.ends(end, scene.ledger);
                    label.map_or(Ok(()), |label| scene.ledger.check_early_end(label))?;
                }
                Ok(false)
            }
        }
    }

    fn release_if_over(&mut self, key: StreamKey, scene: &mut Scene<'_>) {
        if self
            .held
            .get(&key)
            .is_some_and(|held| held.finished && held.read_end)
        {
            scene.machine.release(key);
            self.held.remove(&key);
        }
    }

    /// Ends all that was begun, and shows that others can be reached.
    fn conclude(&mut self, others: &[NodeId], scene: &mut Scene<'_>) -> Result<(), Violation> {
        for key in self.held.keys().copied().collect::<Vec<_>>() {
            self.read(key, scene)?;
            self.finish(key, scene);
        }
        tracing::trace!(probe = ?self.probe, held = ?self.held, own = %scene.machine.id().short(), "concludes");
        if let Probe::Asked(label) = self.probe {
            let under_way = self.held.values().any(|held| held.label == Some(label));
            let served = scene
                .ledger
                .conversations
                .get(&label)
                .is_none_or(|c| c.sides[0].read_end && c.sides[0].end.is_none());
            if !under_way {
                self.probe = if served { Probe::Done } else { Probe::Due };
            }
        }
        if self.probe == Probe::Due {
            if others.is_empty() {
                self.probe = Probe::Done;
            } else {
                let target = scene.rng.one_of(others);
                if let Some(label) = self.begin(target, scene) {
                    self.probe = Probe::Asked(label);
                }
            }
        }
        Ok(())
    }
}

impl Held {
    fn new(label: Option<u64>, side: usize, slow: bool) -> Self {
        Self {
            label,
            side,
            slow,
            finished: false,
            read_end: false,
        }
    }

    fn ends(self, end: End, ledger: &mut Ledger) {
        if let Some(label) = self.label {
            ledger.side(label, self.side).end = Some(end);
        }
    }
}
