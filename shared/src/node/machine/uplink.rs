//! The link to the relay: when to call, and how long to wait before the next call. The waits double,
//! and are spread at random, so that a relay that restarts is not called by everyone at once.

use core::time::Duration;

use rand_chacha::rand_core::RngCore;

use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{ADDRESS_BYTES_MAX, IMPOSTORS_MAX, RETURN_GRACE, RETURN_SPREAD_MAX};
use crate::link::LinkId;
use crate::log::event;
use crate::node::connection::Change;
use crate::node::events::{Event, State};
use crate::node::machine::{Machine, Output, neighbour};

/// How the link to the relay stands.
#[derive(Debug, Default)]
pub(super) struct Uplink {
    phase: Phase,
    failures: u32,
    /// Calls in a row that came to nothing.
    in_vain: u32,
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

    /// Whether another link than this one leads to the relay.
    pub(super) fn is_another(&self, link: LinkId) -> bool {
        self.link().is_some_and(|up| up != link)
    }

    /// This link leads to the relay from now on; tells which one did until now.
    pub(super) fn welcomed(&mut self, link: LinkId, now: Time) -> Option<LinkId> {
        if self.welcomed_at.replace(now).is_some() {
            self.returned_at = Some(now);
        }
        self.failures = 0;
        self.in_vain = 0;
        self.impostors = 0;
        match std::mem::replace(&mut self.phase, Phase::Up(link)) {
            Phase::Up(before) => Some(before),
            _ => None,
        }
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
        if matches!(self.uplink.phase, Phase::Dialling) {
            self.uplink.in_vain += 1;
        }
        let policy = &self.config.reconnect;
        if policy
            .attempts
            .is_some_and(|most| self.uplink.in_vain >= most)
        {
            return self.give_up_relays(reason);
        }
        let doubled = policy.min * 2u32.saturating_pow(self.uplink.failures.min(16));
        let spread = 0.5 + f64::from(self.rng.next_u32()) / f64::from(u32::MAX);
        let wait = doubled.min(policy.max).mul_f64(spread);
        event!(
            CONNECTION,
            INFO,
            self.id,
            reason,
            wait_ms = wait.as_millis() as u64,
            "no link to the relay"
        );
        self.uplink.failures += 1;
        self.uplink.phase = Phase::Waiting(self.now + wait);
        self.set_state(State::Offline);
        self.without_relay(reason);
    }

    /// It was called often enough.
    fn give_up_relays(&mut self, reason: &str) {
        let calls = self.uplink.in_vain;
        event!(
            ERROR,
            ERROR,
            self.id,
            calls,
            reason,
            "no relay answers, and no more are called"
        );
        self.uplink.phase = Phase::Idle;
        let failure = Code::Unreachable.because(format!("gave up after {calls} calls: {reason}"));
        self.set_state(State::Refused(failure));
        self.without_relay(reason);
    }

    /// Leaves the relay, and calls none before it is told to.
    pub(super) fn leave_relay(&mut self, link: LinkId, why: &Failure) {
        let is_in_use = self.uplink.link() == Some(link);
        self.say_bye(link, Duration::ZERO, why);
        if is_in_use {
            self.set_state(State::Offline);
            self.without_relay(&why.message);
        }
    }

    /// The link that led to the relay until now, when another does. The relay is not told that this node leaves:
    /// the other link may lead there, too.
    pub(super) fn retire_uplink(&mut self, before: LinkId) {
        let moved = Code::Cancelled.because("another link leads to the relay");
        self.outputs.push_back(Output::Close(before, moved.clone()));
        self.forget_link_quietly(before, Change::Disconnected, moved);
    }

    /// Calls a relay at an address now.
    pub fn dial_at(&mut self, address: &str) -> Result<(), Failure> {
        if address.len() > ADDRESS_BYTES_MAX {
            let expected = format!("expected an address of at most {ADDRESS_BYTES_MAX} bytes");
            return Err(Code::TooLarge.because(expected));
        }
        self.may_dial()?;
        self.begin_dial();
        self.outputs.push_back(Output::DialAt(address.to_owned()));
        Ok(())
    }

    /// Calls the relays now, unless there is a link to one.
    pub fn redial(&mut self) -> Result<(), Failure> {
        self.may_dial()?;
        if !matches!(self.uplink.phase, Phase::Up(_) | Phase::Dialling) {
            self.begin_dial();
            self.outputs.push_back(Output::Dial);
        }
        Ok(())
    }

    fn may_dial(&self) -> Result<(), Failure> {
        if self.state == State::Closed {
            return Err(Code::Left.because("this node has left"));
        }
        if self.is_primary() {
            return Err(
                Code::Refused.because("this node is the root of its zone, and calls nobody")
            );
        }
        Ok(())
    }

    /// A call is made now, whatever was decided before. A link that is in use stays so.
    fn begin_dial(&mut self) {
        self.uplink.in_vain = 0;
        if !matches!(self.uplink.phase, Phase::Up(_)) {
            self.uplink.phase = Phase::Dialling;
            self.set_state(State::Connecting);
        }
    }

    /// Whoever waits for the relay's answer has none.
    fn without_relay(&mut self, reason: &str) {
        reason.clone_into(&mut self.uplink.reason);
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
