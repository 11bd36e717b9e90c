//! Exactly once and in order: the sender keeps what is not acknowledged and sends it again when a
//! path was lost or an acknowledgement is overdue; the receiver puts records in order and drops what
//! it has already. Neither knows of paths or keys.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::Time;
use crate::limits::{
    ACK_DELAY, ACK_RECORDS, RESEND_MAX, RESEND_MIN, RESUME_WINDOW_BYTES_MIN,
    UNACKNOWLEDGED_BYTES_MAX, UNACKNOWLEDGED_RECORDS_MAX, UNACKNOWLEDGED_RESERVE,
};
use crate::log::MESSAGE;
use crate::quality::Quality;

/// What the receiver has: every record below `next`; and of those above, `missing` lie before the
/// first that it has (zero if it has none).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ack {
    /// The first record that is not there.
    pub next: u64,
    /// How many are missing before one that came out of order.
    pub missing: u64,
}

/// The sending half.
#[derive(Debug)]
pub struct Sender {
    /// The number of `kept`'s first record.
    first: u64,
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    /// How many bytes it keeps.
    bytes_max: usize,
    /// The next record to send again; the end of `kept` if none is.
    cursor: u64,
    /// Where the cursor stops.
    resend_end: u64,
    /// After a timeout: progress below this means that what follows was lost as well.
    recover_end: u64,
    timer_from: Time,
    timeout: Time,
    quality: Quality,
}

#[derive(Debug)]
struct Kept {
    record: Bytes,
    sent: Time,
    again: bool,
}

impl Sender {
    /// One that keeps about so many bytes, from [`RESUME_WINDOW_BYTES_MIN`] to [`UNACKNOWLEDGED_BYTES_MAX`].
    pub fn new(bytes_max: usize) -> Self {
        Self {
            first: 0,
            kept: VecDeque::new(),
            kept_bytes: 0,
            bytes_max: bytes_max.clamp(RESUME_WINDOW_BYTES_MIN, UNACKNOWLEDGED_BYTES_MAX),
            cursor: 0,
            resend_end: 0,
            recover_end: 0,
            timer_from: Time::ZERO,
            timeout: RESEND_MIN,
            quality: Quality::default(),
        }
    }

    /// Whether another record may be sent. Bulk leaves some room for what is urgent.
    pub fn has_room(&self, urgent: bool) -> bool {
        let reserved = if urgent {
            0
        } else {
            self.bytes_max / UNACKNOWLEDGED_RESERVE
        };
        self.kept.len() < UNACKNOWLEDGED_RECORDS_MAX && self.kept_bytes + reserved < self.bytes_max
    }

    /// The number of the next new record.
    pub fn next_number(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// Keeps a record that now leaves for the first time.
    pub fn keep(&mut self, record: Bytes, now: Time) {
        debug_assert!(self.has_room(true));
        let end = self.next_number();
        if self.kept.is_empty() {
            self.timer_from = now;
        }
        // Nothing to send again: the cursor stays at the end.
        if self.cursor == end {
            self.cursor = end + 1;
            self.resend_end = end + 1;
        }
        self.kept_bytes += record.len();
        self.kept.push_back(Kept {
            record,
            sent: now,
            again: false,
        });
    }

    /// The next record to send again, if any is.
    pub fn resend(&mut self, now: Time) -> Option<Bytes> {
        if self.cursor >= self.resend_end.min(self.next_number()) {
            self.cursor = self.next_number();
            return None;
        }
        let index = usize::try_from(self.cursor.checked_sub(self.first)?).ok()?;
        let kept = self.kept.get_mut(index)?;
        tracing::trace!(
            target: MESSAGE,
            number = self.cursor,
            first = self.first,
            end = self.resend_end,
            recover = self.recover_end,
            "a record is sent again"
        );
        kept.sent = now;
        if !std::mem::replace(&mut kept.again, true) {
            self.quality.lost();
        }
        self.cursor += 1;
        Some(kept.record.clone())
    }

    /// Whether [`Sender::resend`] has something.
    pub fn wants_to_resend(&self) -> bool {
        self.cursor < self.resend_end.min(self.next_number())
    }

    /// The path was lost: all that is not acknowledged goes again.
    pub fn rewind(&mut self, now: Time) {
        self.send_again(self.first, self.next_number());
        self.timer_from = now;
    }

    /// The receiver has told what it has. An acknowledgement of what was never sent counts for nothing.
    pub fn acknowledge(&mut self, ack: Ack, now: Time) {
        if ack.next > self.next_number() {
            return;
        }
        let progress = ack.next > self.first;
        while self.first < ack.next {
            let Some(kept) = self.kept.pop_front() else {
                break;
            };
            self.first += 1;
            self.kept_bytes -= kept.record.len();
            if self.first == ack.next && !kept.again {
                self.quality.answered(now.saturating_sub(kept.sent));
            }
        }
        self.cursor = self.cursor.max(self.first);
        if progress {
            self.timer_from = now;
            self.timeout = self.calm_timeout();
            if self.first < self.recover_end {
                self.send_again(self.first, self.recover_end);
            }
            self.recover_end = self.recover_end.min(self.first);
        }
        if ack.missing > 0 && ack.next == self.first && !self.wants_to_resend() {
            self.fill_hole(ack.missing, now);
        }
    }

    /// When an acknowledgement is overdue.
    pub fn deadline(&self) -> Option<Time> {
        (!self.kept.is_empty() && !self.wants_to_resend()).then(|| self.timer_from + self.timeout)
    }

    /// If an acknowledgement is overdue: the oldest record goes again, and the next wait is longer.
    pub fn handle_time(&mut self, now: Time) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.recover_end = self.next_number();
            self.send_again(self.first, self.first + 1);
            self.timer_from = now;
            self.timeout = (self.timeout * 2).min(RESEND_MAX);
        }
    }

    /// How long acknowledgements take, and how many records had to be sent again.
    pub fn quality(&self) -> Quality {
        self.quality
    }

    /// How many records are not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.kept.len()
    }

    /// Their bytes.
    pub fn unacknowledged_bytes(&self) -> usize {
        self.kept_bytes
    }

    fn send_again(&mut self, from: u64, end: u64) {
        self.cursor = from;
        self.resend_end = end;
    }

    /// Sends a hole again, unless its first record has left only just now.
    fn fill_hole(&mut self, missing: u64, now: Time) {
        let patience = self.quality.rtt.unwrap_or(RESEND_MIN) * 2 + ACK_DELAY;
        let recent = self
            .kept
            .front()
            .is_some_and(|kept| now < kept.sent + patience);
        if !recent {
            self.send_again(self.first, self.first.saturating_add(missing));
        }
    }

    fn calm_timeout(&self) -> Time {
        let rtt = self.quality.rtt.unwrap_or(RESEND_MIN);
        (rtt + self.quality.jitter * 4 + ACK_DELAY).clamp(RESEND_MIN, RESEND_MAX)
    }
}

/// The receiving half.
#[derive(Debug, Default)]
pub struct Receiver {
    next: u64,
    early: BTreeMap<u64, Bytes>,
    early_bytes: usize,
    ack_at: Option<Time>,
    unacknowledged: u32,
}

impl Receiver {
    /// Whether a record of this number is wanted. What is here already is acknowledged again, for the
    /// sender seems not to know; what is beyond every limit of the sender is nobody's.
    pub fn wants(&mut self, number: u64, now: Time) -> bool {
        if number < self.next || self.early.contains_key(&number) {
            self.acknowledge_by(now + ACK_DELAY);
            return false;
        }
        number - self.next < UNACKNOWLEDGED_RECORDS_MAX as u64
    }

    /// Takes the contents of a wanted record. They come out of [`Receiver::pop`] in order.
    pub fn insert(&mut self, number: u64, plain: Bytes, now: Time) {
        let in_order = number == self.next && self.early.is_empty();
        if !in_order && self.early_bytes + plain.len() > 2 * UNACKNOWLEDGED_BYTES_MAX {
            // More than the sender may have under way: it will have to send this again.
            return;
        }
        self.early_bytes += plain.len();
        self.early.insert(number, plain);
        self.unacknowledged += 1;
        let now_due = !in_order || self.unacknowledged >= ACK_RECORDS;
        self.acknowledge_by(if now_due { now } else { now + ACK_DELAY });
    }

    /// The contents of the next record in order, if they are here.
    pub fn pop(&mut self) -> Option<Bytes> {
        let plain = self.early.remove(&self.next)?;
        self.early_bytes -= plain.len();
        self.next += 1;
        Some(plain)
    }

    /// What to tell the sender.
    pub fn ack(&self) -> Ack {
        let missing = self
            .early
            .keys()
            .next()
            .map_or(0, |first| first - self.next);
        Ack {
            next: self.next,
            missing,
        }
    }

    /// Bytes that wait for others before them.
    pub fn early_bytes(&self) -> usize {
        self.early_bytes
    }

    /// When the sender must be told at the latest.
    pub fn deadline(&self) -> Option<Time> {
        self.ack_at
    }

    /// The sender is being told.
    pub fn told(&mut self) {
        self.ack_at = None;
        self.unacknowledged = 0;
    }

    fn acknowledge_by(&mut self, time: Time) {
        self.ack_at = Some(self.ack_at.map_or(time, |at| at.min(time)));
    }
}

/// Which unreliable records were seen, so that none counts twice: the last 128 (as RFC 6479).
#[derive(Debug, Default)]
pub struct Seen {
    next: u64,
    bits: u128,
}

impl Seen {
    /// Whether `number` is new; from now on it is not.
    pub fn is_new(&mut self, number: u64) -> bool {
        if number >= self.next {
            let ahead = number - self.next + 1;
            self.bits = if ahead < 128 {
                self.bits << ahead | 1
            } else {
                1
            };
            self.next = number + 1;
            return true;
        }
        let behind = self.next - 1 - number;
        if behind >= 128 || self.bits >> behind & 1 == 1 {
            return false;
        }
        self.bits |= 1 << behind;
        true
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::{RngCore, SeedableRng};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const NOW: Time = Time::from_secs(1);

    fn record(n: u64) -> Bytes {
        Bytes::copy_from_slice(&n.to_be_bytes())
    }

    fn sender_with(n: u64) -> Sender {
        let mut sender = Sender::new(UNACKNOWLEDGED_BYTES_MAX);
        for n in 0..n {
            sender.keep(record(n), NOW);
        }
        sender
    }

    fn resent(sender: &mut Sender) -> Vec<Bytes> {
        std::iter::from_fn(|| sender.resend(NOW)).collect()
    }

    #[test]
    fn records_come_out_in_order_whatever_order_they_came_in() {
        let mut receiver = Receiver::default();
        for n in [2, 0, 3, 1] {
            assert!(receiver.wants(n, NOW));
            receiver.insert(n, record(n), NOW);
        }
        let out: Vec<_> = std::iter::from_fn(|| receiver.pop()).collect();
        assert_eq!(out, [record(0), record(1), record(2), record(3)]);
    }

    #[test]
    fn a_second_copy_is_not_wanted_but_acknowledged() {
        let mut receiver = Receiver::default();
        receiver.insert(0, record(0), NOW);
        receiver.pop();
        receiver.insert(2, record(2), NOW);
        receiver.told();
        assert!(!receiver.wants(0, NOW));
        assert!(!receiver.wants(2, NOW));
        assert!(receiver.deadline().is_some());
    }

    #[test]
    fn a_record_beyond_the_senders_limit_is_not_kept() {
        let mut receiver = Receiver::default();
        assert!(!receiver.wants(UNACKNOWLEDGED_RECORDS_MAX as u64, NOW));
        assert!(!receiver.wants(u64::MAX, NOW));
    }

    #[test]
    fn early_records_are_bounded_in_bytes() {
        let mut receiver = Receiver::default();
        for n in 1..UNACKNOWLEDGED_RECORDS_MAX as u64 {
            receiver.insert(n, Bytes::from(vec![0; 16 * 1024]), NOW);
        }
        assert!(receiver.early_bytes <= 2 * UNACKNOWLEDGED_BYTES_MAX);
    }

    #[test]
    fn what_is_not_acknowledged_goes_again_after_a_path_is_lost() {
        let mut sender = sender_with(5);
        sender.acknowledge(
            Ack {
                next: 2,
                missing: 0,
            },
            NOW,
        );
        assert!(resent(&mut sender).is_empty());
        sender.rewind(NOW);
        assert_eq!(resent(&mut sender), [record(2), record(3), record(4)]);
        assert!(resent(&mut sender).is_empty());
    }

    #[test]
    fn new_records_do_not_disturb_what_goes_again() {
        let mut sender = sender_with(3);
        sender.rewind(NOW);
        assert_eq!(sender.resend(NOW), Some(record(0)));
        sender.keep(record(3), NOW);
        assert_eq!(resent(&mut sender), [record(1), record(2)]);
        sender.keep(record(4), NOW);
        assert!(resent(&mut sender).is_empty());
    }

    #[test]
    fn an_overdue_acknowledgement_sends_the_oldest_record_and_then_the_rest() {
        let mut sender = sender_with(3);
        let due = sender.deadline().unwrap();
        sender.handle_time(due);
        assert_eq!(resent(&mut sender), [record(0)]);
        assert!(sender.deadline().unwrap() > due + RESEND_MIN);
        sender.acknowledge(
            Ack {
                next: 1,
                missing: 0,
            },
            due,
        );
        assert_eq!(resent(&mut sender), [record(1), record(2)]);
        sender.acknowledge(
            Ack {
                next: 3,
                missing: 0,
            },
            due,
        );
        assert_eq!(sender.deadline(), None);
    }

    #[test]
    fn a_hole_goes_again_once_it_is_old() {
        let mut sender = sender_with(6);
        let ack = Ack {
            next: 1,
            missing: 2,
        };
        sender.acknowledge(ack, NOW);
        assert!(resent(&mut sender).is_empty());
        sender.acknowledge(ack, NOW + RESEND_MIN * 3);
        assert_eq!(resent(&mut sender), [record(1), record(2)]);
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_sent_counts_for_nothing() {
        let mut sender = sender_with(2);
        sender.acknowledge(
            Ack {
                next: 9,
                missing: u64::MAX,
            },
            NOW,
        );
        assert_eq!(sender.unacknowledged(), 2);
        let ack = Ack {
            next: 1,
            missing: u64::MAX,
        };
        sender.acknowledge(ack, NOW);
        sender.acknowledge(ack, NOW + RESEND_MAX);
        assert_eq!(resent(&mut sender), [record(1)]);
    }

    #[test]
    fn a_receiver_that_never_acknowledges_stops_the_sender() {
        let mut sender = Sender::new(UNACKNOWLEDGED_BYTES_MAX);
        let mut n = 0;
        while sender.has_room(true) {
            sender.keep(record(n), NOW);
            n += 1;
        }
        assert_eq!(sender.unacknowledged(), UNACKNOWLEDGED_RECORDS_MAX);
    }

    #[test]
    fn each_unreliable_number_counts_once() {
        let mut seen = Seen::default();
        assert!(seen.is_new(5));
        assert!(!seen.is_new(5));
        assert!(seen.is_new(4));
        assert!(!seen.is_new(4));
        assert!(seen.is_new(500));
        assert!(!seen.is_new(5), "too old to tell");
        assert!(seen.is_new(499) && !seen.is_new(499));
        assert!(seen.is_new(500 + 127) && seen.is_new(501) && !seen.is_new(500));
    }

    /// Sender and receiver over a channel that loses, doubles and reorders: for every seed all
    /// records arrive once and in order.
    #[test]
    fn everything_arrives_once_and_in_order_over_any_channel() {
        for seed in 0..100 {
            assert_eq!(
                run_lossy(seed),
                (0..200).map(record).collect::<Vec<_>>(),
                "seed {seed}"
            );
        }
    }

    fn run_lossy(seed: u64) -> Vec<Bytes> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let loss = rng.next_u32() % 60;
        let (mut sender, mut receiver) =
            (Sender::new(UNACKNOWLEDGED_BYTES_MAX), Receiver::default());
        let (mut now, mut sent, mut out) = (NOW, 0, Vec::new());
        let mut wire: Vec<(u64, Bytes)> = Vec::new();
        while out.len() < 200 {
            now += Time::from_millis(20);
            assert!(
                now < Time::from_secs(20_000),
                "no progress with seed {seed}"
            );
            if rng.next_u32() % 200 == 0 {
                sender.rewind(now);
            }
            sender.handle_time(now);
            while let Some(again) = sender.resend(now) {
                wire.push((number_of(&again), again));
            }
            if sent < 200 && sender.has_room(true) {
                sender.keep(record(sent), now);
                wire.push((sent, record(sent)));
                sent += 1;
            }
            while !wire.is_empty() && rng.next_u32() % 4 != 0 {
                let (number, bytes) = wire.swap_remove(rng.next_u32() as usize % wire.len());
                if rng.next_u32() % 20 == 0 {
                    wire.push((number, bytes.clone()));
                }
                if rng.next_u32() % 100 >= loss && receiver.wants(number, now) {
                    receiver.insert(number, bytes, now);
                }
            }
            out.extend(std::iter::from_fn(|| receiver.pop()));
            if rng.next_u32() % 100 >= loss {
                sender.acknowledge(receiver.ack(), now);
            }
        }
        out
    }

    fn number_of(record: &Bytes) -> u64 {
        u64::from_be_bytes(record[..].try_into().unwrap())
    }
}
