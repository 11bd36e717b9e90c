//! What happens next: by time, and in the order of adding where that is the same.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use peerage::Time;

use crate::faults::Repair;
use crate::wire::{Life, Passing};

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// Something comes out of a link's end.
    Arrive(usize, usize, Passing),
    /// A link is there, for one end of it.
    Up(usize, usize),
    DialFailed(Life),
    Wake(Life),
    Act(usize),
    Strike,
    Repair(Repair),
}

/// All that is still to happen.
#[derive(Default)]
pub(crate) struct Agenda {
    queue: BinaryHeap<Reverse<Scheduled>>,
    serial: u64,
}

struct Scheduled {
    time: Time,
    serial: u64,
    what: Happening,
}

impl Agenda {
    pub(crate) fn add(&mut self, time: Time, what: Happening) {
        self.serial += 1;
        let serial = self.serial;
        self.queue.push(Reverse(Scheduled { time, serial, what }));
    }

    pub(crate) fn next(&mut self) -> Option<(Time, Happening)> {
        let Reverse(next) = self.queue.pop()?;
        Some((next.time, next.what))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.serial == other.serial
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.serial).cmp(&(other.time, other.serial))
    }
}
