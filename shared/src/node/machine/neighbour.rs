//! The life of a link: greeting, frames, signs of life, the end.

use core::time::Duration;

use bytes::Bytes;

use crate::Time;
use crate::config::Timeouts;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{ASK_AGAIN, MEASURE_INTERVAL, PACKET_BYTES_MAX, SWEEP_INTERVAL_MIN};
use crate::link::frame::{Control, DIRECT_ROUTE, Packet};
use crate::link::hello::{Challenge, Hello, VERSION, VERSIONS, Welcome};
use crate::link::queue::Queue;
use crate::link::{Frame, LinkId, Origin};
use crate::log::event;
use crate::node::connection::Change;
use crate::node::events::State;
use crate::node::machine::connections::Place;
use crate::node::machine::forward::Opening;
use crate::node::machine::{Machine, Output};
use crate::quality::Quality;
use crate::session::Via;

/// One link, as this side sees it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) origin: Origin,
    pub(super) phase: Phase,
    /// Who must be at the other end, if that is known before it is called.
    pub(super) expected: Option<NodeId>,
    pub(super) queue: Queue,
    pub(super) writable: bool,
    pub(super) in_ready: bool,
    /// Peers whose session waits for room in the queue.
    pub(super) waiting: Vec<NodeId>,
    pub(super) since: Time,
    /// Records that were not passed on by it, because it took too little.
    pub(super) dropped: u64,
    /// Where it leads, once the platform has told.
    pub(super) place: Option<Box<Place>>,
    /// Bytes of packets that came, and that left.
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    heard: Time,
    /// When to ask for a sign of life, if none comes.
    ask_at: Time,
    /// When to ask in any case, to know how good the link is.
    measure_at: Time,
    /// When the question was put that is not answered.
    asked: Option<Time>,
    pub(super) quality: Quality,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// We called, and wait for the challenge.
    Called,
    /// We said hello, and wait for the welcome.
    SaidHello(Box<(Challenge, Hello)>),
    /// We were called, have sent the challenge, and wait for the hello.
    Challenged(Box<Challenge>),
    /// We have the hello, and wait for the primary's word.
    Applying,
    /// A direct link that has not yet carried anything there and back.
    Probing(NodeId),
    /// In use, with this neighbour.
    Up(NodeId),
}

impl Link {
    pub(super) fn new(origin: Origin, now: Time, timeouts: &Timeouts) -> Self {
        let phase = match origin {
            // `greet` sends the challenge of an accepted link at once.
            Origin::Dialled | Origin::Accepted => Phase::Called,
            Origin::Direct(peer) => Phase::Probing(peer),
        };
        Self {
            origin,
            phase,
            expected: None,
            queue: Queue::default(),
            writable: true,
            in_ready: false,
            waiting: Vec::new(),
            since: now,
            dropped: 0,
            place: None,
            bytes_in: 0,
            bytes_out: 0,
            heard: now,
            ask_at: now + timeouts.keepalive(),
            measure_at: now,
            asked: None,
            quality: Quality::default(),
        }
    }

    /// Whether it is in use with this node, or about to be.
    pub(super) fn is_with(&self, id: NodeId) -> bool {
        matches!(self.phase, Phase::Up(of) | Phase::Probing(of) if of == id)
    }

    fn hear(&mut self, now: Time, timeouts: &Timeouts) {
        self.heard = now;
        self.ask_at = now + timeouts.keepalive();
    }

    fn ask(&mut self, now: Time, timeouts: &Timeouts) {
        // One question or its answer may be lost, many are not.
        self.ask_at = (now + ASK_AGAIN)
            .min(self.heard + timeouts.silence)
            .max(now + ASK_AGAIN / 3);
        self.measure_at = now + MEASURE_INTERVAL;
        if self.asked.replace(now).is_some() {
            self.quality.lost();
        }
    }

    fn hear_pong(&mut self, now: Time) {
        if let Some(asked) = self.asked.take() {
            self.quality.answered(now.saturating_sub(asked));
        }
    }

    /// When to look after it.
    fn due(&self, timeouts: &Timeouts) -> Time {
        match self.phase {
            Phase::Up(_) | Phase::Probing(_) => self.ask_at.min(self.measure_at),
            _ => self.since + timeouts.hello,
        }
    }
}

impl Machine {
    /// Says the first word on a new link, where it is ours to say.
    pub(super) fn greet(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        match link.origin {
            Origin::Dialled => {}
            Origin::Accepted => {
                let nonce = self.random();
                let challenge = Challenge {
                    id: self.id,
                    zone: self.zone.clone(),
                    nonce,
                };
                let frame = Frame::challenge(VERSIONS, &challenge);
                if let Some(link) = self.links.get_mut(&id) {
                    link.phase = Phase::Challenged(Box::new(challenge));
                }
                self.tell(id, &frame);
            }
            Origin::Direct(_) => {
                link.ask(self.now, &self.config.timeouts);
                self.tell(id, &Frame::Control(Control::Ping));
            }
        }
    }

    pub(super) fn receive_packet(&mut self, id: LinkId, packet: Bytes) {
        if let Some(link) = self.links.get_mut(&id) {
            link.hear(self.now, &self.config.timeouts);
            link.bytes_in += packet.len() as u64;
        }
        if packet.len() > PACKET_BYTES_MAX {
            self.refuse(
                id,
                Code::TooLarge.because(format!(
                    "expected a packet of at most {PACKET_BYTES_MAX} bytes, got {}",
                    packet.len()
                )),
            );
            return;
        }
        for received in Packet::new(packet) {
            // Any frame may have ended the link.
            if !self.links.contains_key(&id) {
                return;
            }
            let result = match received {
                Ok((frame, raw)) => self.receive_frame(id, frame, raw),
                Err(error) => Err(error.into()),
            };
            if let Err(failure) = result {
                self.refuse(id, failure);
                return;
            }
        }
    }

    fn receive_frame(&mut self, id: LinkId, frame: Frame, raw: Bytes) -> Result<(), Failure> {
        let Some(link) = self.links.get(&id) else {
            return Ok(());
        };
        match (&link.phase, link.origin, frame) {
            (_, _, Frame::Control(Control::Bye { spread_ms })) => self.receive_bye(id, spread_ms),
            (
                _,
                origin @ (Origin::Dialled | Origin::Direct(_)),
                Frame::Control(Control::Refuse(failure)),
            ) => {
                event!(
                    CONNECTION, DEBUG, self.id,
                    link = id.0, %failure,
                    "the other side ends the link"
                );
                // Who has not proven to be who was called has no last word.
                if let (Some(expected), false) = (link.expected, matches!(link.phase, Phase::Up(_)))
                {
                    self.skip_relay(id, expected, failure);
                    return Ok(());
                }
                let in_place = origin == Origin::Dialled && !self.uplink.is_another(id);
                self.outputs.push_back(Output::Close(id, failure.clone()));
                self.forget_link_quietly(id, Change::Disconnected, failure.clone());
                if in_place {
                    self.refused_by_relay(failure);
                }
            }
            (Phase::Up(_) | Phase::Probing(_), _, Frame::Control(Control::Ping)) => {
                self.tell(id, &Frame::Control(Control::Pong));
            }
            (Phase::Up(_) | Phase::Probing(_), _, Frame::Control(Control::Pong)) => {
                self.receive_link_pong(id);
            }
            (Phase::Up(_), Origin::Accepted | Origin::Dialled, frame) => {
                return self.receive_in_tree(id, frame, raw);
            }
            (
                Phase::Up(peer) | Phase::Probing(peer),
                Origin::Direct(_),
                Frame::Record {
                    route: DIRECT_ROUTE,
                    payload,
                },
            ) => {
                let peer = *peer;
                self.receive_payload(Via::Direct { link: id }, peer, payload);
            }
            (Phase::Up(_) | Phase::Probing(_), _, _) => return Err(no_place()),
            (_, _, frame) => return self.receive_greeting(id, frame),
        }
        Ok(())
    }

    /// A frame on a link that is not up yet.
    fn receive_greeting(&mut self, id: LinkId, frame: Frame) -> Result<(), Failure> {
        let Some(link) = self.links.get(&id) else {
            return Ok(());
        };
        match (&link.phase, frame) {
            (Phase::Called, Frame::Challenge { versions, body }) => {
                self.answer_challenge(id, versions, &body)
            }
            (Phase::SaidHello(..), Frame::Control(Control::Welcome(welcome))) => {
                self.receive_welcome(id, welcome)
            }
            (Phase::Challenged(_), Frame::Hello { version, body }) => {
                self.receive_hello(id, version, &body)
            }
            _ => {
                Err(Code::BadMessage.because("expected the greeting of a link, got another frame"))
            }
        }
    }

    /// A frame on a link of the zone's tree, from above or below.
    fn receive_in_tree(&mut self, id: LinkId, frame: Frame, raw: Bytes) -> Result<(), Failure> {
        match frame {
            Frame::Record { route, payload } => self.receive_routed(id, route, payload, raw),
            Frame::Control(Control::Open {
                route,
                from,
                target,
                payload,
            }) => {
                let payload = payload.into();
                let opening = Opening {
                    route,
                    from,
                    target,
                    payload,
                };
                self.receive_open(id, opening, raw);
            }
            Frame::Control(Control::Closed { route, failure }) => {
                self.receive_closed(id, route, failure);
            }
            Frame::Control(control) => {
                let below = self
                    .links
                    .get(&id)
                    .is_some_and(|l| l.origin == Origin::Accepted);
                return if below {
                    self.receive_from_below(id, control)
                } else {
                    self.receive_from_above(control)
                };
            }
            Frame::Challenge { .. } | Frame::Hello { .. } => return Err(no_place()),
        }
        Ok(())
    }

    fn receive_link_pong(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.hear_pong(self.now);
        match link.phase {
            Phase::Probing(peer) => {
                link.phase = Phase::Up(peer);
                event!(CONNECTION, DEBUG, self.id, link = id.0, peer = %peer.short(), "direct link up");
                self.connected(id);
                self.direct_up(peer, id);
            }
            Phase::Up(peer) => self.weigh_ways(peer),
            _ => {}
        }
    }

    fn answer_challenge(
        &mut self,
        id: LinkId,
        versions: (u16, u16),
        body: &[u8],
    ) -> Result<(), Failure> {
        let challenge = Challenge::read(versions, body)?;
        self.check_relay(challenge.id)?;
        let expected = self.links.get(&id).and_then(|link| link.expected);
        if let Some(expected) = expected.filter(|expected| *expected != challenge.id) {
            let message = format!("expected the node {expected}, got {}", challenge.id);
            self.skip_relay(id, expected, Code::Unauthorised.because(message));
            return Ok(());
        }
        let nonce = self.random();
        let (kind, name, insist) = (
            self.config.kind,
            self.config.name.clone(),
            self.config.insist,
        );
        let hello = Hello {
            role: self.config.role.clone(),
            ..Hello::answer(&challenge, &self.identity, kind, name, insist, nonce)
        };
        let frame = Frame::hello(VERSION, &hello);
        if let Some(link) = self.links.get_mut(&id) {
            link.phase = Phase::SaidHello(Box::new((challenge, hello)));
        }
        self.tell(id, &frame);
        Ok(())
    }

    fn receive_welcome(&mut self, id: LinkId, welcome: Welcome) -> Result<(), Failure> {
        let Some(link) = self.links.get_mut(&id) else {
            return Ok(());
        };
        let Phase::SaidHello(said) = &link.phase else {
            return Ok(());
        };
        let (challenge, hello) = &**said;
        match (welcome.check(challenge, hello), link.expected) {
            (Err(failure), Some(expected)) => {
                self.skip_relay(id, expected, failure);
                return Ok(());
            }
            (checked, _) => checked?,
        }
        let (relay, zone) = (challenge.id, challenge.zone.clone());
        link.phase = Phase::Up(relay);
        let before = self.uplink.welcomed(id, self.now);
        self.connected(id);
        self.enter_zone(zone);
        event!(
            DISCOVERY, INFO, self.id,
            name = %welcome.name, peer = %relay.short(), link = id.0, zone = self.zone,
            "online"
        );
        // The name that it has now is the one to ask for when it returns.
        self.config.name = Some(welcome.name.clone());
        self.set_state(State::Online(welcome.name));
        self.replace_members(welcome.members);
        self.admit_all_again();
        if let Some(before) = before {
            self.retire_uplink(before);
        }
        self.reroute_all();
        Ok(())
    }

    /// Whoever is below in another zone than this node's has to begin anew.
    fn enter_zone(&mut self, zone: String) {
        if self.zone == zone {
            return;
        }
        self.zone = zone;
        let below = self
            .links
            .iter()
            .filter(|(_, link)| link.origin == Origin::Accepted);
        for id in below.map(|(id, _)| *id).collect::<Vec<_>>() {
            let failure = Code::Unreachable.because("this node has entered another zone");
            self.refuse(id, failure);
        }
    }

    /// Another node than the one that was called is there, or one that cannot prove to be it: the next is called.
    fn skip_relay(&mut self, id: LinkId, expected: NodeId, failure: Failure) {
        let failure = failure.of(expected);
        event!(DISCOVERY, DEBUG, self.id, link = id.0, %failure, "not the node that was called");
        self.flush_with(id, &Frame::Control(Control::Refuse(failure.clone())));
        self.outputs.push_back(Output::Close(id, failure.clone()));
        self.forget_link_quietly(id, Change::Failed, failure.clone());
        self.dial_another(&failure);
    }

    fn receive_bye(&mut self, id: LinkId, spread_ms: u32) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        let left = Code::Left.because("the node has left");
        event!(
            CONNECTION,
            DEBUG,
            self.id,
            link = id.0,
            "the neighbour leaves"
        );
        match (&link.phase, link.origin) {
            (Phase::Up(member), Origin::Accepted) => {
                let member = *member;
                self.member_left(member, &left);
            }
            _ => {
                let was_uplink = link.origin == Origin::Dialled && !self.uplink.is_another(id);
                self.outputs.push_back(Output::Close(id, left.clone()));
                self.forget_link(id, Change::Disconnected, left);
                if was_uplink {
                    self.return_within(Duration::from_millis(spread_ms.into()));
                }
            }
        }
    }

    pub(super) fn say_bye(&mut self, id: LinkId, spread: Duration, why: &Failure) {
        let spread_ms = u32::try_from(spread.as_millis()).unwrap_or(u32::MAX);
        self.flush_with(id, &Frame::Control(Control::Bye { spread_ms }));
        let left = Code::Left.because("the node has left");
        self.outputs.push_back(Output::Close(id, left));
        self.forget_link_quietly(id, Change::Disconnected, why.clone());
    }

    /// Ends a link, and says why.
    pub(super) fn refuse(&mut self, id: LinkId, failure: Failure) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        event!(CONNECTION, DEBUG, self.id, link = id.0, %failure, "refused");
        // What it did not take so far would only stand before the reason.
        link.queue = Queue::default();
        if link.origin == Origin::Accepted && !matches!(link.phase, Phase::Up(_)) {
            self.hub.load.refused_links += 1;
        }
        self.flush_with(id, &Frame::Control(Control::Refuse(failure.clone())));
        self.outputs.push_back(Output::Close(id, failure.clone()));
        let change = match failure.code {
            Code::TimedOut => Change::TimedOut,
            _ => Change::Disconnected,
        };
        self.forget_link(id, change, failure);
    }

    /// Sends all that waits on a link, and a last frame.
    fn flush_with(&mut self, id: LinkId, frame: &Frame) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        // A queue too full for one more frame belongs to a link that takes nothing anyway.
        let _ = link.queue.push(frame.encode());
        while let Some(packet) = link.queue.next_packet() {
            link.bytes_out += packet.len() as u64;
            self.outputs.push_back(Output::Send(id, packet));
        }
    }

    /// A link is no more: what went over it looks for another way.
    pub(super) fn forget_link(&mut self, id: LinkId, change: Change, why: Failure) {
        let link = self.links.get(&id);
        // One that was called while another is in use changes nothing by its end.
        let was_uplink =
            link.is_some_and(|link| link.origin == Origin::Dialled) && !self.uplink.is_another(id);
        self.forget_link_quietly(id, change, why);
        if was_uplink {
            self.lost_uplink("the link has ended");
        }
    }

    pub(super) fn forget_link_quietly(&mut self, id: LinkId, change: Change, why: Failure) {
        let Some(link) = self.links.remove(&id) else {
            return;
        };
        self.hub.load.received_bytes += link.bytes_in;
        self.hub.load.sent_bytes += link.bytes_out;
        self.disconnected(id, &link, change, why);
        match link.origin {
            Origin::Direct(peer) => self.direct_down(peer, id),
            // First the ways, so that no route is sought along the link that is no more.
            Origin::Dialled => self.uplink.ended(id),
            Origin::Accepted => {
                // Who was silent for long has had its grace.
                let silent = self.now >= link.heard + self.config.timeouts.silence;
                self.ways_down(
                    id,
                    if silent {
                        Duration::ZERO
                    } else {
                        self.config.timeouts.gone
                    },
                );
            }
        }
        self.routes_down(id);
        // Sessions that waited for room here may have it elsewhere.
        self.wait_no_more(link.waiting);
    }

    pub(super) fn sweep_soon(&mut self) {
        self.sweep_at = Some(self.now);
    }

    /// Something is due that the sweep sees to.
    pub(super) fn sweep_by(&mut self, due: Time) {
        self.sweep_at = Some(self.sweep_at.map_or(due, |at| at.min(due)));
    }

    /// Looks after every link: asks the silent for a sign of life, and ends those that give none.
    pub(super) fn sweep(&mut self) {
        let due = self
            .links
            .iter()
            .filter(|(_, link)| link.due(&self.config.timeouts) <= self.now);
        for id in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.look_after(id);
        }
        self.hub_time();
        self.requests_time();
        let due = self
            .links
            .values()
            .map(|link| link.due(&self.config.timeouts))
            .chain(self.hub_due())
            .chain(self.requests_due());
        // Not more often than needed to be on time within a few per cent.
        self.sweep_at = due.min().map(|due| due.max(self.now + SWEEP_INTERVAL_MIN));
    }

    fn look_after(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        match link.phase {
            Phase::Up(_) | Phase::Probing(_)
                if self.now < link.heard + self.config.timeouts.silence =>
            {
                link.ask(self.now, &self.config.timeouts);
                self.tell(id, &Frame::Control(Control::Ping));
            }
            Phase::Up(_) | Phase::Probing(_) => {
                self.refuse(id, Code::TimedOut.because("the link gives no sign of life"));
            }
            _ => self.refuse(id, Code::TimedOut.because("no hello came in time")),
        }
    }

    /// This process was asleep: the silence of others in the meantime says nothing of them.
    pub(super) fn excuse_silence(&mut self) {
        for link in self.links.values_mut() {
            link.hear(self.now, &self.config.timeouts);
        }
        self.sweep_soon();
    }
}

fn no_place() -> Failure {
    Code::BadMessage.because("got a frame that has no place on this link")
}
