//! Those that lie. A relay: what it passes on is lost, doubled, late, changed, somebody else's or from
//! long ago, and what it tells of others is not true. A peer: it says whatever comes to its mind.

use bytes::Bytes;
use peerage::link::frame::{Admission, Applicant, Control, Member, Packet};
use peerage::link::hello::{Challenge, Hello, Welcome};
use peerage::link::{Frame, RouteHandle};
use peerage::{Code, Kind, NodeId};

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
                    out.push(unasked(id, rng));
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

/// An answer to what nobody has asked.
fn unasked(id: NodeId, rng: &mut Rng) -> Bytes {
    let request = rng.below(100) as u32;
    Frame::Control(if rng.per_mille(500) {
        Control::Resolved {
            request,
            id: Some(id),
        }
    } else {
        let name = stranger(id).name;
        let admission = Admission::Granted { name, listed: true };
        Control::Admitted { request, admission }
    })
    .encode()
}

/// A member by a name that it does not have.
fn stranger(id: NodeId) -> Member {
    let name = "stranger".parse().expect("a name");
    Member {
        id,
        name,
        kind: Kind::Browser,
        role: None,
    }
}

/// Somebody who has never said hello.
fn applicant(id: NodeId, rng: &mut Rng) -> Applicant {
    let challenge = Challenge {
        id,
        zone: String::from("local"),
        nonce: rng.bytes(),
    };
    let hello = Hello {
        id,
        kind: Kind::Browser,
        name: None,
        insist: rng.per_mille(500),
        nonce: rng.bytes(),
        signature: [7; 64],
        role: None,
    };
    Applicant {
        challenge,
        hello,
        name: None,
    }
}

/// Frames of a peer that lies to its neighbour, of which some are well formed. `ids` are of others.
pub(crate) fn babble(ids: &[NodeId], rng: &mut Rng) -> Bytes {
    let id = rng.one_of(ids);
    let any = rng.below(1 << 32) as u32;
    let route = RouteHandle(rng.one_of(&[0, 1, any]));
    let payload = rng.bytes()[..rng.place(32)].to_vec();
    let request = rng.below(100) as u32;
    let failure = || Code::Gone.because("so it says");
    Frame::Control(match rng.below(14) {
        0 | 1 => {
            let (from, target) = (rng.one_of(ids), rng.one_of(ids));
            Control::Open {
                route,
                from,
                target,
                payload,
            }
        }
        2 => Control::Closed {
            route,
            failure: failure(),
        },
        3 => Control::Leave {
            id,
            reason: Code::Gone,
        },
        4 => Control::Admitted {
            request,
            admission: Admission::Refused(failure()),
        },
        5 => Control::Admit {
            request,
            applicant: Box::new(applicant(id, rng)),
        },
        6 => Control::Resolved {
            request,
            id: Some(id),
        },
        7 => Control::Join(stranger(id)),
        8 => Control::Welcome(Welcome {
            name: stranger(id).name,
            members: vec![stranger(id)],
            signature: [7; 64],
        }),
        9 => Control::Resolve {
            request,
            name: stranger(id).name,
        },
        10 => Control::Pong,
        11 => {
            let payload = payload.into();
            return Frame::Record { route, payload }.encode();
        }
        _ => return payload.into(),
    })
    .encode()
}
