//! A member with two halves. One is a node like all others, which keeps the link to its relay. The other
//! agrees on sessions under the same identity, and breaks the rules inside them.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use peerage::link::frame::{Control, Packet};
use peerage::link::{Frame, LinkId, RouteHandle};
use peerage::session::Payload;
use peerage::session::handshake::{Caller, Context, VERSION};
use peerage::session::record::{Keys, Sealed};
use peerage::session::transport::Remark;
use peerage::stream::frame::StreamFrame;
use peerage::wire::Reader;
use peerage::{Code, Identity, NodeId};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::attack::{Attack, Counts};
use crate::rng::Rng;

const ZONE: &str = "local";
/// Sessions that it has at once.
const TALKS_MAX: usize = 3;
/// Records of one go.
const RECORDS_MAX: u64 = 8;

/// The half that breaks the rules.
pub(crate) struct Hostile {
    identity: Identity,
    /// The link to its relay, once it is welcome there.
    uplink: Option<LinkId>,
    talks: BTreeMap<RouteHandle, Talk>,
}

/// One session.
struct Talk {
    peer: NodeId,
    phase: Phase,
    attack: Attack,
    counts: Counts,
}

enum Phase {
    Calling(Option<Caller>),
    Agreed(Keys),
}

impl Hostile {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self {
            identity: Identity::from_secret(secret),
            uplink: None,
            talks: BTreeMap::new(),
        }
    }

    /// Hears what is for this half; the rest of the packet is for the other.
    pub(crate) fn hear(&mut self, link: LinkId, packet: Bytes) -> Bytes {
        let mut rest = BytesMut::new();
        for (frame, raw) in Packet::new(packet).flatten() {
            match frame {
                Frame::Record { route, payload } if self.talks.contains_key(&route) => {
                    if self.take(route, payload).is_none() {
                        self.talks.remove(&route);
                    }
                    continue;
                }
                Frame::Control(Control::Closed { route, .. })
                    if self.talks.remove(&route).is_some() =>
                {
                    continue;
                }
                Frame::Control(Control::Welcome(_)) => {
                    self.uplink = Some(link);
                    self.talks.clear();
                }
                _ => {}
            }
            rest.put_slice(&raw);
        }
        rest.freeze()
    }

    /// Begins a session, or goes on with one. What leaves, and where.
    pub(crate) fn act(&mut self, others: &[NodeId], rng: &mut Rng) -> Option<(LinkId, Vec<Bytes>)> {
        let uplink = self.uplink?;
        if self.talks.len() < TALKS_MAX && rng.per_mille(500) && !others.is_empty() {
            return Some((uplink, vec![self.call(rng.one_of(others), rng)?]));
        }
        let routes: Vec<_> = self.talks.keys().copied().collect();
        if routes.is_empty() {
            return None;
        }
        let route = rng.one_of(&routes);
        if rng.per_mille(50) {
            // Forgets it, and tells nobody.
            self.talks.remove(&route);
            return None;
        }
        let talk = self.talks.get_mut(&route)?;
        let said = (0..rng.between(1, RECORDS_MAX)).filter_map(|_| talk.say(route, rng));
        Some((uplink, said.collect()))
    }

    fn call(&mut self, peer: NodeId, rng: &mut Rng) -> Option<Bytes> {
        let context = Context {
            identity: &self.identity,
            peer,
            zone: ZONE,
        };
        let (caller, first) =
            Caller::start(context, None, ChaCha20Rng::from_seed(rng.bytes())).ok()?;
        let own = self.identity.id();
        let counts = Counts {
            next_record: 0,
            next_remark: 0,
            next_stream: u64::from(own > peer),
            heard: 0,
            acknowledges: rng.per_mille(500),
        };
        let talk = Talk {
            peer,
            phase: Phase::Calling(Some(caller)),
            attack: rng.one_of(&Attack::ALL),
            counts,
        };
        let route = RouteHandle(rng.between(1, u64::from(u32::MAX)) as u32);
        self.talks.insert(route, talk);
        let open = Control::Open {
            route,
            from: own,
            target: peer,
            payload: Payload::first(VERSION, &first).to_vec(),
        };
        Some(Frame::Control(open).encode())
    }

    /// Takes what came for a session; `None` if it has ended.
    fn take(&mut self, route: RouteHandle, payload: Bytes) -> Option<()> {
        let talk = self.talks.get_mut(&route)?;
        match (Payload::decode(payload).ok()?, &mut talk.phase) {
            (Payload::Second(noise), Phase::Calling(caller)) => {
                talk.phase = Phase::Agreed(caller.take()?.finish(&noise).ok()?);
                tracing::debug!("a hostile member has a session");
                tracing::debug!("a hostile member begins: {:?}", talk.attack);
            }
            (Payload::Record(sealed), Phase::Agreed(keys)) => {
                // What cannot be opened was for the session before.
                if let Ok(plain) = keys.open(&sealed) {
                    return talk.listen(&sealed, plain);
                }
            }
            (Payload::Notice(_), _) => return None,
            _ => {}
        }
        Some(())
    }
}

impl Talk {
    fn say(&mut self, route: RouteHandle, rng: &mut Rng) -> Option<Bytes> {
        let Phase::Agreed(keys) = &self.phase else {
            return None;
        };
        let plain = self.attack.record(&mut self.counts, rng);
        let payload = keys.seal(plain.reliable, plain.number, &plain.body).whole;
        tracing::trace!(peer = %self.peer.short(), attack = ?self.attack, number = plain.number, "attacks");
        Some(Frame::Record { route, payload }.encode())
    }

    /// Listens to how it is told; `None` if the session has ended.
    fn listen(&mut self, sealed: &Sealed, plain: Bytes) -> Option<()> {
        let mut reader = Reader::new(plain);
        let _acknowledged = (reader.varint().ok()?, reader.varint().ok()?);
        if !sealed.reliable {
            if let Remark::Close(failure) = Remark::decode(reader).ok()? {
                tracing::debug!("a hostile member's session ends: {}", failure.code);
                return None;
            }
            return Some(());
        }
        self.counts.heard = self.counts.heard.max(sealed.number + 1);
        while !reader.is_empty() {
            let (_, frame) = StreamFrame::decode(&mut reader).ok()?;
            if let StreamFrame::Reset(failure) = frame
                && failure.code != Code::Cancelled
            {
                tracing::debug!("a hostile member's stream ends: {}", failure.code);
            }
        }
        Some(())
    }
}
