//! One connection: what comes, what goes, and how it stands.

mod lane;
mod outbox;
mod receive;
mod unsequenced;

use crate::channel::{Inbox, Room as Waiting};
use crate::config::Config;
use crate::event::{Event, Packet, PeerId, Reason, Stats};
use crate::limits::{
    ACKNOWLEDGEMENTS_MAX, LINGERING_AGE_MAX, NOBODY, WINDOW_BYTES, WINDOW_BYTES_MIN,
};
use crate::path::{Path, THROTTLING};
use crate::wire::{ACKNOWLEDGE, CHECKSUM, CONTROL, Command, HEADER, Handshake, Head};
use crate::{Millis, Room, SendError, Time};
pub(crate) use lane::Content;
use outbox::{Outbox, Patience};
use std::collections::VecDeque;
use std::net::SocketAddr;
use unsequenced::Unsequenced;

/// What a peer needs of its host.
pub(crate) struct Context<'a> {
    pub(crate) now: Millis,
    pub(crate) config: &'a Config,
    pub(crate) events: &'a mut VecDeque<Event>,
}

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// We asked for it.
    Connecting,
    Connected,
    /// It is closed, with this word, once everything has arrived.
    Leaving(u32),
    /// We said that it is closed.
    Disconnecting,
    /// It is no more, and we acknowledge until then that it was closed.
    Lingering(Millis),
    /// Nothing is left to do.
    Ended,
}

/// Who a connection is with, by what was agreed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Agreed {
    pub(crate) address: SocketAddr,
    /// Our number, which the other side writes,
    pub(crate) incoming_id: u16,
    /// and its number.
    pub(crate) outgoing_id: u16,
    pub(crate) incoming_session: u8,
    pub(crate) outgoing_session: u8,
    pub(crate) connect_id: u32,
    pub(crate) mtu: u16,
    pub(crate) window: u32,
    /// Up to which the window may grow, by what both allow.
    pub(crate) window_max: u32,
    pub(crate) channels: u8,
    /// What the other side can receive in a second.
    pub(crate) incoming_bandwidth: u32,
    /// What the other side can send in a second.
    pub(crate) outgoing_bandwidth: u32,
}

/// What may wait to leave for a peer, for what waits for the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    /// Beyond which one better waits,
    pub(crate) free: usize,
    /// and nothing is taken.
    pub(crate) most: usize,
}

/// What waits of packets, by the memory that it takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Of those that came.
    pub(crate) received: usize,
    /// Of those that leave.
    pub(crate) queued: usize,
}

#[derive(Debug, Clone, Copy)]
struct Acknowledgement {
    channel: u8,
    number: u16,
    sent_time: u16,
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    pub(crate) state: State,
    pub(crate) agreed: Agreed,
    pub(crate) path: Path,
    /// Whether it waits for its turn to send.
    pub(crate) is_scheduled: bool,
    /// Whether it no longer counts among its host's peers.
    pub(crate) is_released: bool,
    /// When it is looked at again.
    pub(crate) timer: Option<Millis>,
    /// Bytes that were to be sent since the bandwidth was last shared out, also those that the
    /// throttle dropped.
    pub(crate) offered_lately: u64,
    outbox: Outbox,
    channels: Vec<Inbox>,
    waiting: Waiting,
    unsequenced: Unsequenced,
    acknowledgements: VecDeque<Acknowledgement>,
    /// When an acknowledgement came last.
    heard_at: Millis,
    /// Whether somebody was told that much waits.
    is_busy: bool,
    /// Whether somebody wants to know whether it is there.
    is_asked: bool,
    /// What its host has counted of what waits here.
    pub(crate) counted: Waits,
    bytes_sent: u64,
    bytes_received: u64,
}

impl Peer {
    /// A connection that we ask for.
    pub(crate) fn connecting(id: PeerId, agreed: Agreed, data: u32, ctx: &Context<'_>) -> Self {
        let mut peer = Self::new(id, State::Connecting, agreed, Path::new(THROTTLING), ctx);
        let handshake = Handshake {
            id: agreed.incoming_id,
            incoming_session: 0xFF,
            outgoing_session: 0xFF,
            mtu: agreed.mtu.into(),
            window: agreed.window,
            channels: agreed.channels.into(),
            incoming_bandwidth: ctx.config.incoming_bandwidth,
            outgoing_bandwidth: ctx.config.outgoing_bandwidth,
            throttling: THROTTLING,
            connect_id: agreed.connect_id,
        };
        let connect = Content::Connect(Box::new(handshake), data);
        peer.outbox.push_control(connect);
        peer
    }

    /// A connection that another asked for, and which is there.
    pub(crate) fn connected(id: PeerId, agreed: Agreed, path: Path, ctx: &Context<'_>) -> Self {
        let mut peer = Self::new(id, State::Connected, agreed, path, ctx);
        // VERIFY_CONNECT was the first.
        peer.outbox = Outbox::after_control(1);
        peer
    }

    fn new(id: PeerId, state: State, agreed: Agreed, path: Path, ctx: &Context<'_>) -> Self {
        Self {
            id,
            state,
            agreed,
            path,
            is_scheduled: false,
            is_released: false,
            timer: None,
            offered_lately: 0,
            outbox: Outbox::default(),
            channels: Vec::new(),
            waiting: Waiting {
                waiting: 0,
                max: ctx.config.waiting_bytes_max,
                reserve: ctx.config.packet_bytes_max,
                packet_max: ctx.config.packet_bytes_max,
                share: ctx.config.host_waiting_bytes_max,
                is_crowded: false,
            },
            unsequenced: Unsequenced::default(),
            acknowledgements: VecDeque::new(),
            heard_at: ctx.now,
            is_busy: false,
            is_asked: false,
            counted: Waits::default(),
            bytes_sent: 0,
            bytes_received: 0,
        }
    }

    /// Queues a packet.
    pub(crate) fn send(
        &mut self,
        channel: u8,
        packet: Packet,
        config: &Config,
        share: Share,
    ) -> Result<Room, SendError> {
        if self.state != State::Connected {
            return Err(SendError::NotConnected);
        }
        if channel >= self.agreed.channels {
            return Err(SendError::NoChannel(self.agreed.channels));
        }
        if packet.bytes.len() > config.packet_bytes_max {
            return Err(SendError::TooLarge(config.packet_bytes_max));
        }
        let len = packet.bytes.len() as u64;
        let datagram = usize::from(self.agreed.mtu) - header_len(config);
        let max = config.queued_bytes_max.min(share.most);
        let pushed = self.outbox.push(channel, packet, datagram, max);
        let is_full = pushed == Err(SendError::Full);
        let free = config.queued_bytes_max.min(share.free) / 2;
        self.is_busy |= is_full || self.outbox.queued() > free;
        pushed?;
        self.offered_lately += len;
        Ok(if self.is_busy { Room::Busy } else { Room::Free })
    }

    /// Closes the connection once everything has arrived.
    pub(crate) fn disconnect(&mut self, data: u32) {
        if matches!(self.state, State::Connected | State::Leaving(_)) {
            self.state = State::Leaving(data);
            self.go_on();
        }
    }

    /// What is to be said when the connection is closed at once.
    pub(crate) fn end(&mut self, ctx: &mut Context<'_>, reason: Reason, data: u32) {
        self.forget();
        self.state = State::Ended;
        self.tell_end(ctx, reason, data);
    }

    /// Writes what is next for this peer behind the header; says whether there is more.
    pub(crate) fn fill(&mut self, now: Millis, out: &mut Vec<u8>) -> bool {
        let end = usize::from(self.agreed.mtu);
        while let Some(acknowledgement) = self.acknowledgements.front() {
            if out.len() + ACKNOWLEDGE > end {
                return true;
            }
            let Acknowledgement {
                channel,
                number,
                sent_time,
            } = *acknowledgement;
            let command = Command::Acknowledge {
                sequence: number,
                sent_time,
            };
            let head = Head {
                channel,
                sequence: number,
                acknowledged: false,
            };
            command.encode(head, out);
            self.acknowledgements.pop_front();
        }
        let window = self.agreed.window;
        let more = self.outbox.fill(now, out, end, window, &mut self.path);
        self.path.reckon_loss(now);
        self.go_on();
        more || self.has_urgent()
    }

    /// Notes a datagram that has left.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes_sent += bytes as u64;
    }

    /// Does what is due; says whether there may be something to send.
    pub(crate) fn handle_time(&mut self, ctx: &mut Context<'_>) -> bool {
        if let State::Lingering(until) = self.state {
            if ctx.now >= until {
                self.state = State::Ended;
            }
            return false;
        }
        let timeouts = &ctx.config.timeouts;
        if self.outbox.resend(ctx.now, timeouts, &mut self.path) == Patience::Ended {
            let reason = match self.state {
                State::Disconnecting => Reason::Asked,
                _ => Reason::TimedOut,
            };
            self.end(ctx, reason, 0);
            return false;
        }
        let silent = ctx.now.saturating_sub(self.heard_at);
        if self.pings() && silent >= ctx.config.ping_millis() {
            self.outbox.push_control(Content::Ping);
        }
        true
    }

    /// When it has something to do again.
    pub(crate) fn deadline(&self, config: &Config) -> Option<Millis> {
        match self.state {
            State::Lingering(until) => Some(until),
            State::Ended => None,
            _ if self.pings() => Some(self.heard_at + config.ping_millis()),
            _ => self.outbox.deadline(),
        }
    }

    /// Whether a ping is due after a while without anything that is acknowledged.
    fn pings(&self) -> bool {
        matches!(self.state, State::Connected | State::Leaving(_)) && self.outbox.is_quiet()
    }

    /// Says what the other side may send us in a second.
    pub(crate) fn tell_bandwidth(&mut self, incoming: u32, outgoing: u32) {
        let limit = Content::BandwidthLimit { incoming, outgoing };
        self.outbox.push_control(limit);
    }

    /// Packets of this peer have been taken, which counted so much.
    pub(crate) fn taken(&mut self, cost: usize) {
        self.waiting.give_back(cost);
    }

    /// Begins to hear it, when so much may wait of this peer for what waits of the others.
    pub(crate) fn begin_hearing(&mut self, share: usize) {
        self.waiting.share = share;
        self.waiting.is_crowded = false;
    }

    /// Whether something was refused for what waits of others.
    pub(crate) fn is_crowded(&self) -> bool {
        self.waiting.is_crowded
    }

    /// What waits here.
    pub(crate) fn waits(&self) -> Waits {
        Waits {
            received: self.waiting.waiting,
            queued: self.outbox.queued(),
        }
    }

    /// Asks whether it is there.
    pub(crate) fn ask(&mut self) {
        if self.is_connected() {
            self.is_asked = true;
            self.outbox.push_control(Content::Ping);
        }
    }

    pub(crate) fn queued(&self) -> usize {
        self.outbox.queued()
    }

    /// Whether somebody who was told to wait can go on; it is said once.
    pub(crate) fn becomes_writable(&mut self, config: &Config, share: Share) -> bool {
        let is_low = self.outbox.queued() <= config.queued_bytes_max.min(share.free) / 4;
        let becomes = self.is_busy && is_low && self.state == State::Connected;
        self.is_busy &= !becomes;
        becomes
    }

    pub(crate) fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected | State::Leaving(_))
    }

    /// Whether datagrams have to be of the session that was agreed.
    pub(crate) fn has_session(&self) -> bool {
        self.agreed.outgoing_id != NOBODY
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            rtt: Time::from_millis(self.path.rtt().into()),
            rtt_variance: Time::from_millis(self.path.variance().into()),
            throttle: self.path.throttle() as u8,
            loss: self.path.loss(),
            bytes_sent: self.bytes_sent,
            bytes_received: self.bytes_received,
            queued_bytes: self.outbox.queued(),
            waiting_bytes: self.waiting.waiting,
            mtu: self.agreed.mtu,
            window: self.agreed.window,
        }
    }

    /// Says goodbye once everything has arrived, if that was asked for.
    fn go_on(&mut self) {
        if let State::Leaving(data) = self.state
            && self.outbox.is_empty()
        {
            self.state = State::Disconnecting;
            self.outbox.push_control(Content::Disconnect(data));
        }
    }

    fn has_urgent(&self) -> bool {
        self.state == State::Disconnecting && self.outbox.is_unsent()
    }

    /// Drops all that waits.
    fn forget(&mut self) {
        self.outbox.clear();
        for channel in &mut self.channels {
            channel.clear(&mut self.waiting);
        }
        self.channels = Vec::new();
    }

    fn linger(&mut self, now: Millis) {
        self.forget();
        self.state = State::Lingering(now + LINGERING_AGE_MAX);
    }

    fn tell_end(&self, ctx: &mut Context<'_>, reason: Reason, data: u32) {
        let peer = self.id;
        ctx.events
            .push_back(Event::Disconnected { peer, data, reason });
    }

    fn acknowledge(&mut self, head: Head, sent_time: u16) {
        if self.acknowledgements.len() < ACKNOWLEDGEMENTS_MAX {
            self.acknowledgements.push_back(Acknowledgement {
                channel: head.channel,
                number: head.sequence,
                sent_time,
            });
        }
    }
}

/// Bytes of a datagram before its commands.
pub(crate) fn header_len(config: &Config) -> usize {
    HEADER + if config.checksum { CHECKSUM } else { 0 }
}

/// Bytes that may be under way to a host, by what it can receive and we can send in a second.
pub(crate) fn window(ours: u32, theirs: u32, max: u32) -> u32 {
    /// For so many bytes a second there is one unit of the window.
    const SCALE: u32 = 65_536;
    let bandwidth = match (ours, theirs) {
        (0, 0) => return max,
        (0, one) | (one, 0) => one,
        (one, other) => one.min(other),
    };
    (bandwidth / SCALE)
        .saturating_mul(WINDOW_BYTES_MIN)
        .clamp(WINDOW_BYTES_MIN, max)
}

/// The window that two hosts both allow beyond stock ENet's: who asks for more than that says so.
pub(crate) fn window_max(asked: u32, allowed: u32) -> u32 {
    asked.min(allowed).max(WINDOW_BYTES)
}
