//! What is to leave to a peer: in which order, how much at once, and what again.

mod write;

use super::lane::{Content, Item, Lane, State};
use crate::config::millis;
use crate::event::{Kind, Packet};
use crate::limits::{FRAGMENTS_SENT_MAX, PACKET_COST};
use crate::path::Path;
use crate::wire::{CONTROL, FRAGMENT, Fragment};
use crate::{Millis, SendError, Timeouts};
use bytes::Bytes;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    lanes: Vec<Lane>,
    control: Lane,
    /// What concerns the connection itself, and waits for nothing.
    urgent: VecDeque<Ticket>,
    /// Reliable packets, which wait for the window.
    ready: VecDeque<Ticket>,
    /// Unreliable ones.
    loose: VecDeque<Loose>,
    /// What has left and is to be acknowledged, in the order in which it left; and what has been
    /// acknowledged behind it.
    sent: VecDeque<Ticket>,
    under_way: usize,
    under_way_bytes: usize,
    queued: usize,
    /// How many packets were queued so far: reliable and unreliable ones leave in this order.
    order: u64,
    group: u16,
    /// Since when the oldest thing that was sent in vain is under way; nothing once anything
    /// has been acknowledged.
    unanswered_since: Option<Millis>,
}

/// A reliable command, by its number.
#[derive(Debug, Clone, Copy)]
struct Ticket {
    lane: u8,
    number: u64,
    order: u64,
    attempt: u8,
}

/// An unreliable packet.
#[derive(Debug)]
struct Loose {
    order: u64,
    channel: u8,
    /// The reliable number that it follows.
    after: u16,
    /// Its number after that, or that of its group.
    number: u16,
    is_sequenced: bool,
    body: Bytes,
    /// How much a datagram takes of it, if it takes several.
    part: usize,
    /// How much has left.
    offset: usize,
    /// Whether the throttle has let it pass.
    is_decided: bool,
}

/// What the time brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Left,
    /// The peer does not answer.
    Ended,
}

impl Outbox {
    /// One that goes on after what was said before there was a peer.
    pub(crate) fn after_control(last: u64) -> Self {
        Self {
            control: Lane::after(last),
            ..Self::default()
        }
    }

    /// Queues a packet.
    pub(crate) fn push(
        &mut self,
        channel: u8,
        packet: Packet,
        datagram: usize,
        queued_max: usize,
    ) -> Result<(), SendError> {
        let len = packet.bytes.len();
        let part = datagram - FRAGMENT;
        let parts = len.div_ceil(part).max(1);
        if parts > FRAGMENTS_SENT_MAX {
            return Err(SendError::TooLarge(FRAGMENTS_SENT_MAX * part));
        }
        let is_loose = match packet.kind {
            Kind::Reliable => false,
            Kind::Unsequenced => parts == 1,
            Kind::Unreliable => parts == 1 && self.lane(channel).loose < u16::MAX,
            Kind::UnreliableFragment => self.lane(channel).loose < u16::MAX,
        };
        let cost = len + PACKET_COST * if is_loose { 1 } else { parts };
        // However long a packet is, it goes when nothing else does.
        if self.queued > 0 && self.queued + cost > queued_max {
            return Err(SendError::Full);
        }
        self.queued += cost;
        self.order += 1;
        if is_loose {
            self.push_loose(channel, packet, part);
        } else {
            self.push_reliable(channel, &packet.bytes, part);
        }
        Ok(())
    }

    fn push_reliable(&mut self, channel: u8, bytes: &Bytes, part: usize) {
        let order = self.order;
        let lane = self.lane(channel);
        let start = (lane.last() + 1) as u16;
        let count = bytes.len().div_ceil(part).max(1);
        for number in 0..count {
            let offset = number * part;
            let content = if count == 1 {
                Content::Whole(bytes.clone())
            } else {
                let body = bytes.slice(offset..bytes.len().min(offset + part));
                let fragment = fragment(start, count, number, bytes.len(), offset);
                Content::Part(body, fragment)
            };
            let number = self.lane(channel).push(content);
            self.ready.push_back(Ticket {
                lane: channel,
                number,
                order,
                attempt: 0,
            });
        }
    }

    fn push_loose(&mut self, channel: u8, packet: Packet, part: usize) {
        let is_sequenced = packet.kind != Kind::Unsequenced;
        let (after, number) = if is_sequenced {
            let lane = self.lane(channel);
            lane.loose += 1;
            (lane.last() as u16, lane.loose)
        } else {
            self.group = self.group.wrapping_add(1);
            (0, self.group)
        };
        self.loose.push_back(Loose {
            order: self.order,
            channel,
            after,
            number,
            is_sequenced,
            body: packet.bytes,
            part,
            offset: 0,
            is_decided: false,
        });
    }

    /// Queues a command of the connection itself.
    pub(crate) fn push_control(&mut self, content: Content) {
        let number = self.control.push(content);
        self.urgent.push_back(Ticket {
            lane: CONTROL,
            number,
            order: 0,
            attempt: 0,
        });
    }

    /// What waits to leave or to be acknowledged.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Whether everything has left and arrived.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_quiet() && self.loose.is_empty()
    }

    /// Whether nothing is to be acknowledged.
    pub(crate) fn is_quiet(&self) -> bool {
        self.under_way == 0 && self.urgent.is_empty() && self.ready.is_empty()
    }

    /// Whether there is something of the connection itself that has not left.
    pub(crate) fn is_unsent(&self) -> bool {
        !self.urgent.is_empty()
    }

    /// When something may have to be sent again.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        let item = self.item(self.sent.front()?)?;
        Some(item.sent_at + Millis::from(item.patience))
    }

    /// Drops all but the commands of the connection itself that are under way.
    pub(crate) fn clear(&mut self) {
        let last = self.control.last();
        let (order, group) = (self.order, self.group);
        *self = Self {
            order,
            group,
            ..Self::after_control(last)
        };
    }

    /// Takes an acknowledgement: what has arrived, and what its round trip took if that is certain.
    pub(crate) fn acknowledged(&mut self, channel: u8, number: u16) -> Option<Item> {
        let lane = match channel {
            CONTROL => &mut self.control,
            channel => self.lanes.get_mut(usize::from(channel))?,
        };
        let item = lane.acknowledged(number)?;
        let len = item.content.len();
        if item.state == State::UnderWay {
            self.under_way -= 1;
            self.under_way_bytes -= len.map_or(0, |_| item.content.command().len());
        }
        self.queued -= len.map_or(0, |len| len + PACKET_COST);
        self.unanswered_since = None;
        self.drop_settled();
        Some(item)
    }

    /// Queues again what was not acknowledged in time.
    pub(crate) fn resend(&mut self, now: Millis, timeouts: &Timeouts, path: &mut Path) -> Patience {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Patience::Left;
        }
        let sent = std::mem::take(&mut self.sent);
        let mut late = Vec::new();
        for ticket in sent {
            let Some(item) = self.item_mut(&ticket) else {
                continue;
            };
            if now < item.sent_at + Millis::from(item.patience) {
                self.sent.push_back(ticket);
                continue;
            }
            item.state = State::Waiting;
            item.patience = item.patience.saturating_mul(2);
            let sent_at = item.sent_at;
            let len = item
                .content
                .len()
                .map_or(0, |_| item.content.command().len());
            self.under_way -= 1;
            self.under_way_bytes -= len;
            path.lost();
            let since = self
                .unanswered_since
                .map_or(sent_at, |since| since.min(sent_at));
            self.unanswered_since = Some(since);
            if is_lost(timeouts, now.saturating_sub(since), ticket.attempt) {
                return Patience::Ended;
            }
            late.push(ticket);
        }
        for ticket in late.into_iter().rev() {
            let queue = match ticket.lane {
                CONTROL => &mut self.urgent,
                _ => &mut self.ready,
            };
            queue.push_front(Ticket { order: 0, ..ticket });
        }
        Patience::Left
    }

    /// Drops from the front what is acknowledged or was sent again.
    fn drop_settled(&mut self) {
        while let Some(ticket) = self.sent.front() {
            if self.item(ticket).is_some() {
                break;
            }
            self.sent.pop_front();
        }
    }

    /// What a ticket of `sent` is for, if it is still under way since then.
    fn item(&self, ticket: &Ticket) -> Option<&Item> {
        let lane = match ticket.lane {
            CONTROL => &self.control,
            channel => self.lanes.get(usize::from(channel))?,
        };
        let item = lane.get(ticket.number)?;
        (item.state == State::UnderWay && item.attempts == ticket.attempt).then_some(item)
    }

    fn item_mut(&mut self, ticket: &Ticket) -> Option<&mut Item> {
        let lane = match ticket.lane {
            CONTROL => &mut self.control,
            channel => self.lanes.get_mut(usize::from(channel))?,
        };
        let item = lane.get_mut(ticket.number)?;
        (item.state == State::UnderWay && item.attempts == ticket.attempt).then_some(item)
    }

    fn lane(&mut self, channel: u8) -> &mut Lane {
        let index = usize::from(channel);
        if self.lanes.len() <= index {
            self.lanes.resize_with(index + 1, Lane::default);
        }
        &mut self.lanes[index]
    }
}

fn is_lost(timeouts: &Timeouts, unanswered: Millis, attempts: u8) -> bool {
    let growth = 1_u32.checked_shl(u32::from(attempts.saturating_sub(1)));
    unanswered >= millis(timeouts.maximum)
        || growth.is_none_or(|growth| growth >= timeouts.limit)
            && unanswered >= millis(timeouts.minimum)
}

fn fragment(start: u16, count: usize, number: usize, total: usize, offset: usize) -> Fragment {
    Fragment {
        start,
        count: count as u32,
        number: number as u32,
        total: total as u32,
        offset: offset as u32,
    }
}
