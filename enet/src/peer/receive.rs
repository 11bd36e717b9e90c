//! What the other side says.

use super::lane::{Content, Item};
use super::{CONTROL, Context, Peer, State, window, window_max};
use crate::channel::{Inbox, Place, Refusal};
use crate::event::{Event, Kind, Packet, PeerId, Reason};
use crate::limits::{ACKNOWLEDGEMENTS_MAX, CHANNELS_MAX, MTU_MIN, WINDOW_BYTES_MIN};
use crate::path::THROTTLING;
use crate::wire::{Command, Handshake, Head};
use bytes::Bytes;
use std::collections::VecDeque;

impl Peer {
    /// Notes a datagram that has come.
    pub(crate) fn received(&mut self, bytes: usize) {
        self.bytes_received += bytes as u64;
    }

    /// Takes a command. After a refusal the rest of its datagram counts as lost.
    pub(crate) fn handle(
        &mut self,
        ctx: &mut Context<'_>,
        head: Head,
        command: Command<'_>,
        sent_time: Option<u16>,
    ) -> Result<(), Refusal> {
        if head.acknowledged && self.acknowledgements.len() >= ACKNOWLEDGEMENTS_MAX {
            return Err(Refusal::NoRoom);
        }
        self.obey(ctx, head, command)?;
        let Some(sent_time) = sent_time.filter(|_| head.acknowledged) else {
            // Who wants an acknowledgement says when it was sent.
            return if head.acknowledged {
                Err(Refusal::Misfit)
            } else {
                Ok(())
            };
        };
        let answers = match self.state {
            State::Connected | State::Leaving(_) | State::Connecting => true,
            State::Lingering(_) => matches!(command, Command::Disconnect { .. }),
            State::Disconnecting | State::Ended => false,
        };
        if answers && self.is_judged(head) {
            self.acknowledge(head, sent_time);
        }
        Ok(())
    }

    fn obey(
        &mut self,
        ctx: &mut Context<'_>,
        head: Head,
        command: Command<'_>,
    ) -> Result<(), Refusal> {
        match command {
            Command::Acknowledge {
                sequence,
                sent_time,
            } => self.handle_acknowledge(ctx, head.channel, sequence, sent_time),
            Command::Connect { .. } => Err(Refusal::Misfit),
            Command::VerifyConnect(handshake) => self.handle_verify(ctx, &handshake),
            Command::Disconnect { data } => {
                self.handle_disconnect(ctx, head, data);
                Ok(())
            }
            _ if !self.is_connected() => Err(Refusal::Misfit),
            Command::Ping => Ok(()),
            Command::BandwidthLimit { incoming, outgoing } => {
                self.agreed.incoming_bandwidth = incoming;
                self.agreed.outgoing_bandwidth = outgoing;
                let ours = ctx.config.outgoing_bandwidth;
                self.agreed.window = window(ours, incoming, self.agreed.window_max);
                Ok(())
            }
            Command::ThrottleConfigure(throttling) => {
                self.path.throttling = throttling;
                Ok(())
            }
            _ if head.channel >= self.agreed.channels => Err(Refusal::Misfit),
            // Who leaves does not listen.
            _ if self.state != State::Connected => Ok(()),
            _ => self.handle_packet(ctx.events, head, command),
        }
    }

    fn handle_packet(
        &mut self,
        events: &mut VecDeque<Event>,
        head: Head,
        command: Command<'_>,
    ) -> Result<(), Refusal> {
        let peer = self.id;
        let room = &mut self.waiting;
        let mut tell = |kind, bytes| received(events, peer, head.channel, kind, bytes);
        if let Command::Unsequenced { group, body } = command {
            if body.len() <= room.packet_max && self.unsequenced.is_new(group) {
                let taken = room.take_packet(body.len());
                taken
                    .map(|()| tell(Kind::Unsequenced, Bytes::copy_from_slice(body)))
                    .ok();
            }
            return Ok(());
        }
        let index = usize::from(head.channel);
        if self.channels.len() <= index {
            self.channels.resize_with(index + 1, Inbox::default);
        }
        let channel = &mut self.channels[index];
        let after = head.sequence;
        match command {
            Command::Reliable(body) => channel.reliable(after, body, room, &mut tell),
            Command::Fragment { fragment, body } => {
                channel.fragment(&fragment, body, room, &mut tell)
            }
            Command::Unreliable { sequence, body } => {
                channel.unreliable(after, sequence, body, room, &mut tell)
            }
            Command::UnreliableFragment { fragment, body } => {
                channel.unreliable_fragment(after, &fragment, body, room, &mut tell)
            }
            _ => Err(Refusal::Misfit),
        }
    }

    /// Whether it is known if what has this number is of the past or the future.
    fn is_judged(&self, head: Head) -> bool {
        let channel = self.channels.get(usize::from(head.channel));
        head.channel == CONTROL
            || channel.is_none_or(|channel| channel.place(head.sequence) != Place::TooFar)
    }

    fn handle_acknowledge(
        &mut self,
        ctx: &mut Context<'_>,
        channel: u8,
        number: u16,
        sent_time: u16,
    ) -> Result<(), Refusal> {
        // What is asked for is answered by VERIFY_CONNECT: who only acknowledges it would never be given up.
        if self.state == State::Connecting {
            return Ok(());
        }
        let Some(item) = self.outbox.acknowledged(channel, number) else {
            return Ok(());
        };
        self.measure(ctx.now, &item, sent_time);
        self.heard_at = ctx.now;
        // A ping of before was heard as well.
        if matches!(item.content, Content::Ping) && std::mem::take(&mut self.is_asked) {
            ctx.events.push_back(Event::Answered { peer: self.id });
        }
        if self.state == State::Disconnecting && matches!(item.content, Content::Disconnect(_)) {
            self.end(ctx, Reason::Asked, 0);
        }
        self.go_on();
        Ok(())
    }

    /// Measures a round trip: exactly if it is certain which attempt was acknowledged, else by what
    /// the other side says of it, unless that cannot be.
    fn measure(&mut self, now: u64, item: &Item, sent_time: u16) {
        let since = u32::try_from(now.saturating_sub(item.sent_at)).unwrap_or(u32::MAX);
        let told = u32::from((now as u16).wrapping_sub(sent_time));
        if item.attempts == 1 {
            self.path.measured(now, since);
        } else if told >= since && told < 0x8000 {
            self.path.measured(now, told);
        }
    }

    fn handle_verify(
        &mut self,
        ctx: &mut Context<'_>,
        handshake: &Handshake,
    ) -> Result<(), Refusal> {
        if self.state != State::Connecting {
            return Ok(());
        }
        let is_right = (1..=u32::from(CHANNELS_MAX)).contains(&handshake.channels)
            && handshake.throttling == THROTTLING
            && handshake.connect_id == self.agreed.connect_id;
        if !is_right {
            self.end(ctx, Reason::Protocol, 0);
            return Err(Refusal::Misfit);
        }
        if let Some(item) = self.outbox.acknowledged(CONTROL, 1)
            && item.attempts == 1
        {
            let rtt = ctx.now.saturating_sub(item.sent_at);
            self.path
                .measured(ctx.now, u32::try_from(rtt).unwrap_or(u32::MAX));
        }
        self.agree(handshake);
        self.state = State::Connected;
        self.heard_at = ctx.now;
        ctx.events.push_back(Event::Connected {
            peer: self.id,
            address: self.agreed.address,
            incoming: false,
            channels: self.agreed.channels,
            data: 0,
        });
        Ok(())
    }

    fn agree(&mut self, handshake: &Handshake) {
        let agreed = &mut self.agreed;
        agreed.outgoing_id = handshake.id & 0xFFF;
        agreed.incoming_session = handshake.incoming_session & 3;
        agreed.outgoing_session = handshake.outgoing_session & 3;
        let channels = u8::try_from(handshake.channels).unwrap_or(CHANNELS_MAX);
        agreed.channels = agreed.channels.min(channels);
        let mtu = u16::try_from(handshake.mtu).unwrap_or(u16::MAX);
        agreed.mtu = agreed.mtu.min(mtu.max(MTU_MIN));
        agreed.window_max = window_max(handshake.window, agreed.window_max);
        agreed.window = agreed.window.min(handshake.window.max(WINDOW_BYTES_MIN));
        agreed.incoming_bandwidth = handshake.incoming_bandwidth;
        agreed.outgoing_bandwidth = handshake.outgoing_bandwidth;
    }

    fn handle_disconnect(&mut self, ctx: &mut Context<'_>, head: Head, data: u32) {
        let reason = match self.state {
            State::Lingering(_) | State::Ended => return,
            State::Connecting => Reason::Refused,
            State::Disconnecting => Reason::Asked,
            State::Connected | State::Leaving(_) => Reason::ByPeer,
        };
        if head.acknowledged && reason != Reason::Refused {
            self.linger(ctx.now);
            self.tell_end(ctx, reason, data);
        } else {
            self.end(ctx, reason, data);
        }
    }
}

fn received(events: &mut VecDeque<Event>, peer: PeerId, channel: u8, kind: Kind, bytes: Bytes) {
    let packet = Packet { bytes, kind };
    events.push_back(Event::Received {
        peer,
        channel,
        packet,
    });
}
