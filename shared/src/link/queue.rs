//! What waits to leave on a link: frames, gathered into packets. Its length is bounded, and says who
//! must wait.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::limits::{
    LINK_QUEUE_BYTES_CLOSE, LINK_QUEUE_BYTES_MAX, LINK_QUEUE_BYTES_PAUSE, PACKET_BYTES_FULL,
};

/// Encoded frames in the order in which they leave.
#[derive(Debug, Default)]
pub struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

/// The queue is longer than the link can ever empty it in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Queue {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether sessions may add records.
    pub fn has_room(&self) -> bool {
        self.bytes < LINK_QUEUE_BYTES_PAUSE
    }

    /// Adds what this node has to say itself.
    pub fn push(&mut self, frame: Bytes) -> Result<(), Full> {
        self.add(frame, LINK_QUEUE_BYTES_CLOSE)
    }

    /// Adds what is passed on for others, which they send again if it is not taken.
    pub fn push_forwarded(&mut self, frame: Bytes) -> Result<(), Full> {
        self.add(frame, LINK_QUEUE_BYTES_MAX)
    }

    /// Bytes that wait.
    pub fn len_bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the next packet, if anything waits. A single frame leaves as it is, without a copy.
    pub fn next_packet(&mut self) -> Option<Bytes> {
        let first = self.take()?;
        if self
            .frames
            .front()
            .is_none_or(|next| first.len() + next.len() > PACKET_BYTES_FULL)
        {
            return Some(first);
        }
        let mut packet = BytesMut::with_capacity(PACKET_BYTES_FULL.min(first.len() + self.bytes));
        packet.extend_from_slice(&first);
        while self
            .frames
            .front()
            .is_some_and(|f| packet.len() + f.len() <= PACKET_BYTES_FULL)
        {
            packet.extend_from_slice(&self.take()?);
        }
        Some(packet.freeze())
    }

    fn add(&mut self, frame: Bytes, max: usize) -> Result<(), Full> {
        if self.bytes + frame.len() > max {
            return Err(Full);
        }
        self.bytes += frame.len();
        self.frames.push_back(frame);
        Ok(())
    }

    fn take(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
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

    #[test]
    fn forwarding_stops_before_the_nodes_own_words_do() {
        let mut queue = Queue::default();
        let frame = Bytes::from(vec![0; 60_000]);
        while queue.push_forwarded(frame.clone()).is_ok() {}
        assert!(queue.len_bytes() <= LINK_QUEUE_BYTES_MAX);
        assert!(!queue.has_room());
        assert_eq!(queue.push(frame), Ok(()));
    }

    #[test]
    fn a_link_that_takes_nothing_does_not_fill_the_memory() {
        let mut queue = Queue::default();
        let frame = Bytes::from(vec![0; 60_000]);
        while queue.push(frame.clone()).is_ok() {}
        assert!(queue.len_bytes() <= LINK_QUEUE_BYTES_CLOSE);
    }
}
