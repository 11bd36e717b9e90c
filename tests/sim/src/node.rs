//! A simulated node: its process, if it lives, its program, and its clock.

use core::time::Duration;

use peerage::node::Machine;
use peerage::{Identity, Kind, NodeId, Time};

use crate::agenda::Happening;
use crate::app::App;
use crate::calm::Fate;
use crate::hostile::Hostile;
use crate::liar::Liar;

/// One node, alive or not.
pub(crate) struct Node {
    pub(crate) machine: Option<Machine>,
    pub(crate) life: u32,
    pub(crate) secret: [u8; 32],
    pub(crate) asleep: bool,
    /// What is wrong with it for ever; nothing, if it is of those that must prosper in the end.
    pub(crate) fate: Option<Fate>,
    pub(crate) liar: Option<Liar>,
    pub(crate) hostile: Option<Hostile>,
    pub(crate) app: App,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// Whom it calls, in turn.
    pub(crate) upstream: Vec<usize>,
    pub(crate) calls: usize,
    pub(crate) clock: Clock,
    /// What happens when it wakes up.
    pub(crate) inbox: Vec<Happening>,
    pub(crate) wake: Option<Time>,
}

impl Node {
    pub(crate) fn id(&self) -> NodeId {
        Identity::from_secret(&self.secret).id()
    }
}

/// A clock that began at another time than the others, and runs at another pace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) offset: Duration,
    /// How far it goes in a million of the world's ticks.
    pub(crate) ppm: u64,
}

impl Clock {
    pub(crate) fn local(self, now: Time) -> Time {
        let micros = now.as_micros() as u64;
        self.offset
            + Duration::from_micros(micros / 1_000_000 * self.ppm)
            + Duration::from_micros(micros % 1_000_000 * self.ppm / 1_000_000)
    }

    /// The first time at which the clock shows `local`, or a little later.
    pub(crate) fn global(self, local: Time) -> Time {
        let micros = local.saturating_sub(self.offset).as_micros() * 1_000_000;
        let mut time = Duration::from_micros((micros / u128::from(self.ppm)) as u64);
        while self.local(time) < local {
            time += Duration::from_micros(1);
        }
        time
    }
}
