//! A relay that lies: what it passes on is lost, doubled, late, changed, somebody else's or from long
//! ago, and what it tells of others is not true.

use bytes::{Bytes, BytesMut};
use peerage::Code;
use peerage::link::frame::{Control, Packet};
use peerage::link::{Frame, RouteHandle};

use crate::rng::Rng;
use crate::wire::{Passing, changed};

/// Records that a liar remembers.
const MEMORY: usize = 64;

/// What a lying relay does, in a thousand each.
#[derive(Debug)]
pub(crate) struct Liar {
    drop: u64,
    double: u64,
    change: u64,
    swap: u64,
    replay: u64,
    slander: u64,
    routes: Vec<RouteHandle>,
    payloads: Vec<Bytes>,
}

impl Liar {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let mut chance = || rng.one_of(&[0, 0, 20, 200]);
        Self {
            drop: chance(),
            double: chance(),
            change: chance(),
            swap: chance(),
            replay: chance(),
            slander: chance() / 20,
            routes: Vec::new(),
            payloads: Vec::new(),
        }
    }

    /// What leaves instead of a packet.
    pub(crate) fn twist(&mut self, packet: Bytes, rng: &mut Rng) -> Vec<Bytes> {
        let mut out = Vec::new();
        for (frame, raw) in Packet::new(packet).flatten() {
            match frame {
                Frame::Record { route, payload } => self.record(route, payload, rng, &mut out),
                Frame::Control(Control::Join(member)) if rng.per_mille(self.slander) => {
                    let reason = rng.one_of(&[Code::Gone, Code::Left]);
                    let id = member.id;
                    out.push(raw);
                    out.push(Frame::Control(Control::Leave { id, reason }).encode());
                }
                _ => out.push(raw),
            }
        }
        out
    }

    fn record(&mut self, route: RouteHandle, payload: Bytes, rng: &mut Rng, out: &mut Vec<Bytes>) {
        remember(&mut self.routes, route, rng);
        remember(&mut self.payloads, payload.clone(), rng);
        let mut say = |route, payload| out.push(Frame::Record { route, payload }.encode());
        if rng.per_mille(self.replay) {
            say(route, self.payloads[rng.place(self.payloads.len())].clone());
        }
        if rng.per_mille(self.drop) {
            return;
        }
        let route = if rng.per_mille(self.swap) {
            rng.one_of(&self.routes)
        } else {
            route
        };
        if rng.per_mille(self.double) {
            say(route, payload.clone());
        }
        if rng.per_mille(self.change)
            && let Passing::Packet(payload) = changed(&Passing::Packet(payload.clone()), rng)
        {
            return say(route, payload);
        }
        say(route, payload);
    }
}

fn remember<T>(memory: &mut Vec<T>, thing: T, rng: &mut Rng) {
    if memory.len() < MEMORY {
        memory.push(thing);
    } else {
        let place = rng.place(MEMORY);
        memory[place] = thing;
    }
}

/// Bytes that mean nothing.
#[allow(dead_code)]
fn noise(len: usize, rng: &mut Rng) -> BytesMut {
    BytesMut::from(&rng.bytes().repeat(len / 32 + 1)[..len])
}
