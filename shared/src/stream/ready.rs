//! Whose turn it is to send: the urgent first, but nobody waits for ever.

use std::collections::VecDeque;

use crate::stream::StreamId;

/// Turns of the more urgent after which the less urgent have one.
const PATIENCE: u32 = 15;

/// How urgent what is sent on a stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Before all else: a keypress, a stop.
    High,
    /// Most things.
    #[default]
    Normal,
    /// A file, a log: what fills the time when there is nothing else.
    Bulk,
}

/// Streams with something to send, in turn within each priority.
#[derive(Debug, Default)]
pub(super) struct Ready {
    queues: [VecDeque<StreamId>; 3],
    /// Turns for which each priority was passed over.
    waited: [u32; 3],
}

impl Ready {
    pub(super) fn push(&mut self, id: StreamId, priority: Priority) {
        self.queues[priority as usize].push_back(id);
    }

    /// The stream whose turn it is.
    pub(super) fn pop(&mut self) -> Option<StreamId> {
        let waits = |n: &usize| !self.queues[*n].is_empty();
        let patient = (0..3).filter(waits).find(|n| self.waited[*n] >= PATIENCE);
        let turn = patient.or_else(|| (0..3).find(waits))?;
        for n in turn + 1..3 {
            if !self.queues[n].is_empty() {
                self.waited[n] += 1;
            }
        }
        self.waited[turn] = 0;
        self.queues[turn].pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// Whether more than bulk waits.
    pub(super) fn is_urgent(&self) -> bool {
        self.queues[..2].iter().any(|queue| !queue.is_empty())
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_urgent_go_first_and_take_turns() {
        let mut ready = Ready::default();
        ready.push(StreamId(1), Priority::Bulk);
        ready.push(StreamId(2), Priority::Normal);
        ready.push(StreamId(3), Priority::High);
        ready.push(StreamId(4), Priority::High);
        let order: Vec<_> = std::iter::from_fn(|| ready.pop()).map(|id| id.0).collect();
        assert_eq!(order, [3, 4, 2, 1]);
        assert!(ready.is_empty());
    }

    #[test]
    fn nobody_waits_for_ever() {
        let mut ready = Ready::default();
        ready.push(StreamId(9), Priority::Bulk);
        for turn in 0..=PATIENCE {
            ready.push(StreamId(1), Priority::High);
            if ready.pop() == Some(StreamId(9)) {
                assert_eq!(turn, PATIENCE);
                return;
            }
        }
        panic!("bulk never had a turn");
    }
}
