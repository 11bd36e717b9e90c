//! The link to the relay: when to call, and how long to wait before the next call. The waits double,
//! and are spread at random, so that a relay that restarts is not called by everyone at once.

use core::time::Duration;

use rand_chacha::rand_core::RngCore;

use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{IMPOSTORS_MAX, RETURN_GRACE, RETURN_SPREAD_MAX};
use crate::link::LinkId;
use crate::log::event;
use crate::node::events::{Event, State};
use crate::node::machine::{Machine, Output, neighbour};

const RETRY_MIN: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// How the link to the relay stands.
#[derive(Debug, Default)]
pub(super) struct Uplink {
    phase: Phase,
    failures: u32,
    /// How often somebody else was there than who was called, since it was welcome last.
    impostors: usize,
    /// When it was welcome, and when it was welcome again after that.
    welcomed_at: Option<Time>,
    returned_at: Option<Time>,
    /// Why the last link or call failed.
    reason: String,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    Dialling,
    Waiting(Time),
    Up(LinkId),
}

impl Uplink {
    /// The link to the relay, once it is welcome there.
    pub(super) fn link(&self) -> Option<LinkId> {
        match self.phase {
            Phase::Up(link) => Some(link),
            _ => None,
        }
    }

    pub(super) fn retry_at(&self) -> Option<Time> {
        match self.phase {
            Phase::Waiting(time) => Some(time),
            _ => None,
        }
    }

    pub(super) fn is_due(&self, now: Time) -> bool {
        self.retry_at().is_some_and(|time| time <= now)
    }

    pub(super) fn retry_now(&mut self, now: Time) {
        if let Phase::Waiting(time) = &mut self.phase {
            *time = now;
        }
    }

    /// The link is no more.
    pub(super) fn ended(&mut self, link: LinkId) {
        if self.link() == Some(link) {
            self.phase = Phase::Idle;
        }
    }

    /// Whether the relay may have begun anew just now, and not know yet who is about to return.
    pub(super) fn has_just_returned(&self, now: Time) -> bool {
        self.returned_at.is_some_and(|at| now < at + RETURN_GRACE)
    }

    pub(super) fn welcomed(&mut self, link: LinkId, now: Time) {
        if self.welcomed_at.replace(now).is_some() {
            self.returned_at = Some(now);
        }
        self.phase = Phase::Up(link);
        self.failures = 0;
        self.impostors = 0;
    }
}

impl Machine {
    /// Why the relay could not be reached, when it was tried last.
    pub fn offline_reason(&self) -> &str {
        &self.uplink.reason
    }

    /// The relay that this node is linked to.
    pub fn uplink(&self) -> Option<NodeId> {
        let link = self.links.get(&self.uplink.link()?)?;
        match link.phase {
            neighbour::Phase::Up(of) => Some(of),
            _ => None,
        }
    }

    /// Whether this is the relay that this node is linked to.
    pub(super) fn is_uplink(&self, id: NodeId) -> bool {
        self.uplink() == Some(id)
    }

    pub(super) fn dial(&mut self) {
        self.uplink.phase = Phase::Dialling;
        self.outputs.push_back(Output::Dial);
    }

    /// Who was called is not there: the next is called at once, unless that has happened too often.
    pub(super) fn dial_another(&mut self, failure: &Failure) {
        self.uplink.impostors += 1;
        if self.uplink.impostors <= IMPOSTORS_MAX {
            self.dial();
        } else {
            self.lost_uplink(&failure.to_string());
        }
    }

    /// There is no link to the relay, or no more: the next call is due after a while.
    pub(super) fn lost_uplink(&mut self, reason: &str) {
        if matches!(self.state, State::Closed | State::Refused(_)) || !self.config.dials {
            return;
        }
        let doubled = RETRY_MIN * 2u32.saturating_pow(self.uplink.failures.min(16));
        let spread = 0.5 + f64::from(self.rng.next_u32()) / f64::from(u32::MAX);
        let wait = doubled.min(RETRY_MAX).mul_f64(spread);
        event!(
            CONNECTION,
            INFO,
            self.id,
            reason,
            wait_ms = wait.as_millis() as u64,
            "no link to the relay"
        );
        self.uplink.failures += 1;
        reason.clone_into(&mut self.uplink.reason);
        self.uplink.phase = Phase::Waiting(self.now + wait);
        self.set_state(State::Offline);
        self.drop_asked();
        let failure = Code::Unreachable.because("the link to the relay has ended");
        for (request, _) in std::mem::take(&mut self.resolves) {
            self.emit(Event::Resolved(request, Err(failure.clone())));
        }
        self.sweep_soon();
    }

    /// The relay has left, and asks for some patience: the next call is due at any time within `spread`
    /// beyond the usual wait.
    pub(super) fn return_within(&mut self, spread: Duration) {
        if let Phase::Waiting(due) = &mut self.uplink.phase {
            let part = f64::from(self.rng.next_u32()) / f64::from(u32::MAX);
            *due += spread.min(RETURN_SPREAD_MAX).mul_f64(part);
        }
    }

    /// The relay said no.
    pub(super) fn refused_by_relay(&mut self, failure: Failure) {
        let final_word = matches!(
            failure.code,
            Code::IncompatibleVersion | Code::Refused | Code::Unauthorised
        );
        if final_word {
            event!(ERROR, ERROR, self.id, %failure, "the relay refused this node");
            self.uplink.phase = Phase::Idle;
            self.set_state(State::Refused(failure));
        } else {
            self.lost_uplink(&failure.to_string());
        }
    }
}
