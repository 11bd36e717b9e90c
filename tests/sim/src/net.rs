//! What passes between nodes: links come to be, take packets, and bring them to the other end.

use core::time::Duration;

use bytes::Bytes;
use peerage::link::{LinkId, Origin};

use crate::Violation;
use crate::agenda::Happening;
use crate::ear::Ear;
use crate::liar::babble;
use crate::swarm::{Fault, Villain};
use crate::wire::{Arrivals, End, Life, Link, Passing, delay};
use crate::world::World;

/// How long a call to somebody who cannot be reached takes.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

impl World {
    pub(crate) fn arrive(
        &mut self,
        link: usize,
        end: usize,
        what: Passing,
    ) -> Result<(), Violation> {
        let to = self.links[link].ends[end];
        if self.links[link].arrived(end, &what, &self.swarm) {
            let from = self.links[link].ends[1 - end];
            self.tell_writable(from, true)?;
        }
        let node = &self.nodes[to.at.node];
        if node.life != to.at.life || node.machine.is_none() {
            return Ok(());
        }
        if node.asleep {
            let later = Happening::Arrive(link, end, what);
            self.nodes[to.at.node].inbox.push(later);
            return Ok(());
        }
        self.note(&[2, to.id.0]);
        match what {
            Passing::Packet(packet) => {
                self.stats.packets += 1;
                self.note_bytes(&packet);
                let packet = match &mut self.nodes[to.at.node].hostile {
                    Some(hostile) if self.links[link].steady => hostile.hear(to.id, packet),
                    _ => packet,
                };
                self.at(to.at, Happening::Strike, |machine, now| {
                    machine.handle_packet(now, to.id, packet);
                })
            }
            Passing::End => self.at(to.at, Happening::Strike, |machine, now| {
                machine.handle_link_down(now, to.id, "the other end has ended it");
            }),
        }
    }

    fn tell_writable(&mut self, end: End, writable: bool) -> Result<(), Violation> {
        let node = &self.nodes[end.at.node];
        if node.asleep {
            // Told when it looks again: the platform keeps the state, not the event.
            return Ok(());
        }
        self.at(end.at, Happening::Strike, |machine, now| {
            machine.handle_writable(now, end.id, writable);
        })
    }

    pub(crate) fn link_up(&mut self, link: usize, end: usize) -> Result<(), Violation> {
        let own = self.links[link].ends[end];
        let node = &self.nodes[own.at.node];
        if node.life != own.at.life || node.machine.is_none() {
            // Nobody is there any more; the other end learns it.
            self.transmit(link, 1 - end, Passing::End);
            return Ok(());
        }
        self.at(own.at, Happening::Up(link, end), |machine, now| {
            machine.handle_link_up(now, own.id, own.origin);
        })
    }

    pub(crate) fn send(&mut self, n: usize, id: LinkId, packet: Bytes) -> Result<(), Violation> {
        let (link, end) = place(id);
        self.eavesdrop(n, id, &packet)?;
        tracing::trace!(n, link = id.0, bytes = packet.len(), now = ?self.now, "sends");
        self.note(&[4, id.0, packet.len() as u64]);
        let packets = match &mut self.nodes[n].liar {
            Some(liar) if self.links[link].steady => liar.twist(packet, &mut self.rng),
            _ => vec![packet],
        };
        for packet in packets {
            self.transmit(link, 1 - end, Passing::Packet(packet));
        }
        if self.is_villain(n, Villain::Babbler) && self.links[link].steady && self.rng.per_mille(50)
        {
            let ids: Vec<_> = self.living().map(|(_, id)| id).collect();
            let packet = babble(&ids, &mut self.rng);
            self.transmit(link, 1 - end, Passing::Packet(packet));
        }
        Ok(())
    }

    fn eavesdrop(&mut self, n: usize, id: LinkId, packet: &Bytes) -> Result<(), Violation> {
        if !self.swarm.eavesdrop {
            return Ok(());
        }
        Ear::check_secrecy(packet, &self.ledger.mark)?;
        // A lying relay puts records on routes of other sessions, and hostile members number as they like.
        let honest = self.swarm.villain.is_none() && !self.swarm.faults.contains(&Fault::Lie);
        if honest && n >= self.swarm.relays {
            self.ear.check_numbers(id, packet.clone())?;
        }
        Ok(())
    }

    /// Puts something on the way to an end of a link.
    pub(crate) fn transmit(&mut self, link: usize, to: usize, what: Passing) {
        if self.links[link].broken {
            return;
        }
        let (arrivals, full) =
            self.links[link].send(to, what, self.now, &self.swarm, &mut self.rng);
        self.schedule_arrivals(link, to, arrivals);
        if full {
            let from = self.links[link].ends[1 - to];
            let node = &mut self.nodes[from.at.node];
            let now = node.clock.local(self.now);
            if node.life == from.at.life
                && let Some(machine) = &mut node.machine
            {
                machine.handle_writable(now, from.id, false);
            }
        }
    }

    pub(crate) fn schedule_arrivals(&mut self, link: usize, to: usize, arrivals: Arrivals) {
        for (time, what) in arrivals {
            self.schedule_at(time, Happening::Arrive(link, to, what));
        }
    }

    pub(crate) fn dial(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        let at = Life {
            node: n,
            life: node.life,
        };
        let target = node.upstream[node.calls % node.upstream.len()];
        node.calls += 1;
        if self.is_parted(n, target) {
            return self.schedule(DIAL_TIMEOUT, Happening::DialFailed(at));
        }
        let pause = delay(&self.swarm, &mut self.rng) + delay(&self.swarm, &mut self.rng);
        if self.nodes[target].machine.is_none() {
            return self.schedule(pause, Happening::DialFailed(at));
        }
        let link = self.join(n, Origin::Dialled, target, Origin::Accepted, true);
        self.schedule(pause, Happening::Up(link, 0));
        self.schedule(pause, Happening::Up(link, 1));
    }

    /// Makes a link between two processes. It is there once [`Happening::Up`] says so.
    pub(crate) fn join(
        &mut self,
        a: usize,
        a_origin: Origin,
        b: usize,
        b_origin: Origin,
        steady: bool,
    ) -> usize {
        let link = self.links.len();
        let end = |n: usize, origin, place: u64| End {
            at: Life {
                node: n,
                life: self.nodes[n].life,
            },
            id: LinkId(2 * link as u64 + place),
            origin,
        };
        let mut made = Link::new(end(a, a_origin, 0), end(b, b_origin, 1), steady);
        for (end, from, to) in [(1, a, b), (0, b, a)] {
            let parted = self.partitions.get(&(from, to)).copied().unwrap_or(0);
            for _ in 0..parted + u32::from(self.is_forsaken(from, to)) {
                made.block(end);
            }
        }
        self.links.push(made);
        link
    }

    /// Whether nothing passes between two nodes, in one direction at least.
    pub(crate) fn is_parted(&self, a: usize, b: usize) -> bool {
        [(a, b), (b, a)].into_iter().any(|(from, to)| {
            self.partitions.contains_key(&(from, to)) || self.is_forsaken(from, to)
        })
    }

    pub(crate) fn refresh_writable(&mut self, n: usize, link: usize) -> Result<(), Violation> {
        let life = self.nodes[n].life;
        let Some(end) = self.links[link].end_of(Life { node: n, life }) else {
            return Ok(());
        };
        if !self.links[link].is_full(1 - end) {
            let end = self.links[link].ends[end];
            self.tell_writable(end, true)?;
        }
        Ok(())
    }
}

/// The link of an id, and which end of it.
pub(crate) fn place(id: LinkId) -> (usize, usize) {
    ((id.0 / 2) as usize, (id.0 % 2) as usize)
}
