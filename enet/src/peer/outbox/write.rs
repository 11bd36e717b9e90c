//! What of an outbox goes into the next datagram.

use super::{Outbox, Ticket, fragment};
use crate::Millis;
use crate::limits::PACKET_COST;
use crate::path::{Path, SCALE};
use crate::peer::lane::State;
use crate::wire::{CONTROL, Command, Head};

/// Receivers tell the future from the past by windows of this many numbers,
const WINDOW: u64 = 0x1000;
/// of which so many may be open at once.
const WINDOWS_OPEN_MAX: u64 = 5;

enum Step {
    Done,
    /// The window is full.
    Closed,
    /// The datagram is full.
    NoSpace,
}

impl Outbox {
    /// Appends to a datagram what fits; says whether there is more.
    pub(crate) fn fill(
        &mut self,
        now: Millis,
        out: &mut Vec<u8>,
        end: usize,
        window: u32,
        path: &mut Path,
    ) -> bool {
        while let Some(ticket) = self.urgent.front().copied() {
            match self.write_reliable(ticket, now, out, end, None, path) {
                Step::NoSpace => return true,
                Step::Done | Step::Closed => self.urgent.pop_front(),
            };
        }
        let window = u64::from(path.throttle()) * u64::from(window) / u64::from(SCALE);
        let mut is_open = true;
        loop {
            let ticket = self.ready.front().filter(|_| is_open).copied();
            let loose = self.loose.front().map(|loose| loose.order);
            let step = match (ticket, loose) {
                (Some(ticket), loose) if loose.is_none_or(|loose| ticket.order < loose) => {
                    let step = self.write_reliable(ticket, now, out, end, Some(window), path);
                    match step {
                        Step::Done => drop(self.ready.pop_front()),
                        Step::Closed => is_open = false,
                        Step::NoSpace => {}
                    }
                    step
                }
                (_, Some(_)) => self.write_loose(out, end, path),
                _ => return false,
            };
            if let Step::NoSpace = step {
                return true;
            }
        }
    }

    fn write_reliable(
        &mut self,
        ticket: Ticket,
        now: Millis,
        out: &mut Vec<u8>,
        end: usize,
        window: Option<u64>,
        path: &mut Path,
    ) -> Step {
        let lane = match ticket.lane {
            CONTROL => &mut self.control,
            channel => &mut self.lanes[usize::from(channel)],
        };
        let first = lane.first();
        let Some(item) = lane.get_mut(ticket.number) else {
            return Step::Done;
        };
        if item.state != State::Waiting {
            return Step::Done;
        }
        let command = item.content.command();
        let len = command.len();
        if let Some(window) = window {
            let is_far = ticket.number / WINDOW > first / WINDOW + WINDOWS_OPEN_MAX;
            let is_full =
                self.under_way_bytes > 0 && self.under_way_bytes as u64 + len as u64 > window;
            if is_far || is_full {
                return Step::Closed;
            }
        }
        if out.len() + len > end {
            return Step::NoSpace;
        }
        let head = Head {
            channel: ticket.lane,
            sequence: ticket.number as u16,
            acknowledged: true,
        };
        command.encode(head, out);
        if window.is_some() {
            self.under_way_bytes += len;
        }
        item.state = State::UnderWay;
        item.sent_at = now;
        item.attempts = item.attempts.saturating_add(1);
        if item.patience == 0 {
            item.patience = path.patience();
        }
        let attempt = item.attempts;
        self.under_way += 1;
        self.sent.push_back(Ticket { attempt, ..ticket });
        path.sent();
        Step::Done
    }

    fn write_loose(&mut self, out: &mut Vec<u8>, end: usize, path: &mut Path) -> Step {
        let Some(loose) = self.loose.front_mut() else {
            return Step::Done;
        };
        if !loose.is_decided && !path.lets_pass() {
            self.drop_loose();
            return Step::Done;
        }
        loose.is_decided = true;
        let len = loose.body.len();
        let head = Head {
            channel: loose.channel,
            sequence: loose.after,
            acknowledged: false,
        };
        let body = &loose.body[loose.offset..];
        let part = loose.part;
        let command = if !loose.is_sequenced {
            let group = loose.number;
            Command::Unsequenced { group, body }
        } else if len <= part {
            let sequence = loose.number;
            Command::Unreliable { sequence, body }
        } else {
            let count = len.div_ceil(part);
            let number = loose.offset / part;
            let body = &body[..body.len().min(part)];
            let fragment = fragment(loose.number, count, number, len, loose.offset);
            Command::UnreliableFragment { fragment, body }
        };
        if out.len() + command.len() > end {
            return Step::NoSpace;
        }
        command.encode(head, out);
        loose.offset += part;
        if loose.offset >= len {
            self.drop_loose();
        }
        Step::Done
    }

    fn drop_loose(&mut self) {
        if let Some(loose) = self.loose.pop_front() {
            self.queued -= loose.body.len() + PACKET_COST;
        }
    }
}
