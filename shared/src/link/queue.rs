//! What waits to leave on a link: frames, gathered into packets. Its length is bounded, and says who
//! must wait. What is passed on for others leaves in turn, route by route, so that one who sends more
//! than the link takes delays himself and nobody else.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::limits::{
    LINK_QUEUE_BYTES_CLOSE, LINK_QUEUE_BYTES_FRONT, LINK_QUEUE_BYTES_MAX, LINK_QUEUE_BYTES_PAUSE,
    LINK_ROUTE_BYTES_MAX, PACKET_BYTES_FULL,
};
use crate::link::RouteHandle;

/// Encoded frames in the order in which they leave.
#[derive(Debug, Default)]
pub struct Queue {
    /// What leaves next.
    front: VecDeque<Bytes>,
    front_bytes: usize,
    /// What is passed on and has no room in front, by route.
    behind: BTreeMap<RouteHandle, Waiting>,
    /// The routes of which something waits behind, in turn.
    turn: VecDeque<RouteHandle>,
    behind_bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

/// The queue is longer than the link can ever empty it in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Queue {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.front.is_empty() && self.turn.is_empty()
    }

    /// Whether sessions may add records.
    pub fn has_room(&self) -> bool {
        self.front_bytes < LINK_QUEUE_BYTES_PAUSE
    }

    /// Adds what this node has to say itself.
    pub fn push(&mut self, frame: Bytes) -> Result<(), Full> {
        if self.len_bytes() + frame.len() > LINK_QUEUE_BYTES_CLOSE {
            return Err(Full);
        }
        self.push_front(frame);
        Ok(())
    }

    /// Adds what is passed on for others along a route. They send it again if it is not taken.
    pub fn push_forwarded(&mut self, route: RouteHandle, frame: Bytes) -> Result<(), Full> {
        if self.turn.is_empty() && self.front_bytes < LINK_QUEUE_BYTES_FRONT {
            self.push_front(frame);
            return Ok(());
        }
        let len = frame.len();
        let waiting = self.behind.entry(route).or_default();
        if waiting.bytes + len > LINK_ROUTE_BYTES_MAX
            || self.behind_bytes + len > LINK_QUEUE_BYTES_MAX
        {
            if waiting.frames.is_empty() {
                self.behind.remove(&route);
            }
            return Err(Full);
        }
        if waiting.frames.is_empty() {
            self.turn.push_back(route);
        }
        waiting.bytes += len;
        waiting.frames.push_back(frame);
        self.behind_bytes += len;
        Ok(())
    }

    /// Bytes that wait.
    pub fn len_bytes(&self) -> usize {
        self.front_bytes + self.behind_bytes
    }

    /// Takes the next packet, if anything waits. A single frame leaves as it is, without a copy.
    pub fn next_packet(&mut self) -> Option<Bytes> {
        self.refill();
        let first = self.take()?;
        let joined = |next: &Bytes| first.len() + next.len() <= PACKET_BYTES_FULL;
        if !self.front.front().is_some_and(joined) {
            return Some(first);
        }
        let capacity = PACKET_BYTES_FULL.min(first.len() + self.front_bytes);
        let mut packet = BytesMut::with_capacity(capacity);
        packet.extend_from_slice(&first);
        let fits = |packet: &BytesMut, next: &Bytes| packet.len() + next.len() <= PACKET_BYTES_FULL;
        while self.front.front().is_some_and(|next| fits(&packet, next)) {
            packet.extend_from_slice(&self.take()?);
        }
        Some(packet.freeze())
    }

    fn push_front(&mut self, frame: Bytes) {
        self.front_bytes += frame.len();
        self.front.push_back(frame);
    }

    fn take(&mut self) -> Option<Bytes> {
        let frame = self.front.pop_front()?;
        self.front_bytes -= frame.len();
        Some(frame)
    }

    /// Brings to the front what waited behind, a frame of each route in turn.
    fn refill(&mut self) {
        while self.front_bytes < LINK_QUEUE_BYTES_FRONT
            && let Some(route) = self.turn.pop_front()
        {
            let Some(waiting) = self.behind.get_mut(&route) else {
                continue;
            };
            let Some(frame) = waiting.frames.pop_front() else {
                continue;
            };
            waiting.bytes -= frame.len();
            self.behind_bytes -= frame.len();
            if waiting.frames.is_empty() {
                self.behind.remove(&route);
            } else {
                self.turn.push_back(route);
            }
            self.push_front(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn small_frames_share_a_packet_in_order() {
        let mut queue = Queue::default();
        for n in 0..10u8 {
            queue.push(Bytes::from(vec![n; 100])).unwrap();
        }
        let packet = queue.next_packet().unwrap();
        let expected: Vec<u8> = (0..10u8).flat_map(|n| [n; 100]).collect();
        assert_eq!(packet, expected);
        assert_eq!(queue.next_packet(), None);
        assert_eq!(queue.len_bytes(), 0);
    }

    #[test]
    fn a_full_packet_leaves_the_rest_for_the_next() {
        let mut queue = Queue::default();
        for _ in 0..5 {
            queue.push(Bytes::from(vec![0; 6000])).unwrap();
        }
        let packets: Vec<usize> = std::iter::from_fn(|| queue.next_packet())
            .map(|p| p.len())
            .collect();
        assert_eq!(packets, [12_000, 12_000, 6000]);
    }

    const ONE: RouteHandle = RouteHandle(1);
    const TWO: RouteHandle = RouteHandle(2);

    #[test]
    fn forwarding_stops_before_the_nodes_own_words_do() {
        let mut queue = Queue::default();
        let frame = Bytes::from(vec![0; 30_000]);
        for route in (0..100).map(RouteHandle) {
            while queue.push_forwarded(route, frame.clone()).is_ok() {}
        }
        assert!(queue.len_bytes() <= LINK_QUEUE_BYTES_MAX + LINK_QUEUE_BYTES_PAUSE);
        assert_eq!(queue.push(frame), Ok(()));
    }

    #[test]
    fn one_who_sends_too_much_delays_himself_and_nobody_else() {
        let mut queue = Queue::default();
        let much = Bytes::from(vec![1; 10_000]);
        while queue.push_forwarded(ONE, much.clone()).is_ok() {}
        let little = Bytes::from_static(&[2; 10]);
        queue.push_forwarded(TWO, little.clone()).unwrap();
        let mut before = 0;
        while queue.next_packet().unwrap().last() != Some(&2) {
            before += 1;
        }
        assert!(before * 10_000 <= LINK_QUEUE_BYTES_FRONT + 2 * 10_000);
    }

    #[test]
    fn what_is_passed_on_keeps_its_order() {
        let mut queue = Queue::default();
        let frame = |n: u32| Bytes::from([&n.to_be_bytes()[..], &[0; 5000]].concat());
        for n in 0..50 {
            queue.push_forwarded(ONE, frame(n)).unwrap();
            queue.push_forwarded(TWO, frame(1000 + n)).unwrap();
        }
        let all: Vec<u8> = std::iter::from_fn(|| queue.next_packet())
            .flatten()
            .collect();
        let numbers = all
            .chunks(5004)
            .map(|f| u32::from_be_bytes([f[0], f[1], f[2], f[3]]));
        let (two, one): (Vec<_>, Vec<_>) = numbers.partition(|n| *n >= 1000);
        assert!(one.is_sorted() && two.is_sorted());
        assert_eq!((one.len(), two.len()), (50, 50));
        assert!(queue.is_empty() && queue.len_bytes() == 0);
    }

    #[test]
    fn a_link_that_takes_nothing_does_not_fill_the_memory() {
        let mut queue = Queue::default();
        let frame = Bytes::from(vec![0; 60_000]);
        while queue.push(frame.clone()).is_ok() {}
        assert!(queue.len_bytes() <= LINK_QUEUE_BYTES_CLOSE);
    }
}
