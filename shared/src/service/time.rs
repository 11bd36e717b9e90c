//! The clocks of nodes: each tells its own, and how far another is from it is estimated from there and back, as NTP does
//! (RFC 5905, 8): the sample that took least counts. A zone's time is that of its primary: each node knows how far its own
//! clock is from that, from the relay that it is linked to, which knows the same of itself. It asks once in a while: a clock
//! that somebody sets is found out then.
//!
//! ```text
//! now()      milliseconds since 1970
//! ahead()    [milliseconds ahead of the zone's time, milliseconds by which that may be wrong]
//! ```

use std::sync::Arc;

use futures_util::lock::Mutex;

use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{CLOCK_KEPT, CLOCK_RETRY, REQUEST_TIMEOUT};
use crate::rpc::{
    Act, Agent, AgentHandle, CallError, Handling, Interface, Parcel, Proxy, Request, Rpc,
};
use crate::service::millis::millis;

/// The service's name, as an agent.
pub const AGENT: &str = "peerage/time/1";

/// How often another clock is asked for one estimate.
const SAMPLES: usize = 4;
/// Milliseconds by which two clocks that count whole ones may seem apart.
const GRAIN_MS: f64 = 1.0;
/// By how much a clock goes wrong in time, of that time (RFC 5905, 11.1: PHI).
const DRIFT: f64 = 15e-6;

/// The clock of a node, and the way to those of others. Clones are the same.
#[derive(Clone)]
pub struct Clock {
    own: Arc<Own>,
    _agent: Arc<AgentHandle>,
}

/// How far another node's clock is from this one's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Offset {
    /// Milliseconds that it is ahead.
    pub ms: f64,
    /// Milliseconds by which that may be wrong.
    pub error_ms: f64,
}

impl Clock {
    /// The clock of a node with these objects; `wall` tells milliseconds since 1970.
    ///
    /// # Errors
    /// `refused` if the node has one already.
    pub fn new(rpc: Rpc, wall: impl Fn() -> f64 + Send + Sync + 'static) -> Result<Self, Failure> {
        let own = Arc::new(Own {
            rpc,
            wall: Box::new(wall),
            known: Mutex::default(),
        });
        let agent = own.rpc.agent_of(AGENT, own.clone())?;
        Ok(Self {
            own,
            _agent: Arc::new(agent),
        })
    }

    /// Milliseconds since 1970, by this node's clock.
    pub fn now(&self) -> f64 {
        (self.own.wall)()
    }

    /// Milliseconds since 1970, by the zone's.
    ///
    /// # Errors
    /// As [`Clock::ahead`].
    pub async fn zone_now(&self) -> Result<f64, CallError> {
        let ahead = self.ahead().await?;
        Ok(self.now() - ahead.ms)
    }

    /// How far this clock is ahead of the zone's, as it was found at most a minute ago, or when the relay told last. The error
    /// grows with the time since.
    ///
    /// # Errors
    /// If no relay has told yet: `unreachable` if there was none to ask, or why it did not.
    pub async fn ahead(&self) -> Result<Offset, CallError> {
        self.own.ahead().await
    }

    /// How far the clock of a node, by name or id, is ahead of its zone's, as it finds itself.
    ///
    /// # Errors
    /// Why it does not tell.
    pub async fn ahead_of(&self, node: &str) -> Result<Offset, CallError> {
        told_by(&self.at(node)).await
    }

    /// How far the clock of a node, by name or id, is from this one's.
    ///
    /// # Errors
    /// Why it does not tell.
    pub async fn offset(&self, node: &str) -> Result<Offset, CallError> {
        self.own.offset(&self.at(node)).await
    }

    fn at(&self, node: &str) -> Proxy {
        self.own
            .rpc
            .proxy(node, AGENT)
            .with_timeout(REQUEST_TIMEOUT)
    }
}

/// A clock that others may ask for.
struct Own {
    rpc: Rpc,
    wall: Box<dyn Fn() -> f64 + Send + Sync>,
    /// Held while the relay is asked: once for all who want to know.
    known: Mutex<Known>,
}

/// What is known of its distance from the zone's time.
#[derive(Default)]
struct Known {
    /// What it was last, and when.
    ahead: Option<(Time, Offset)>,
    /// The relay that was asked last, when, and why it did not tell if so.
    asked: Option<(NodeId, Time, Option<CallError>)>,
}

impl Own {
    async fn ahead(&self) -> Result<Offset, CallError> {
        let node = self.rpc.node();
        if node.is_primary() {
            return Ok(Offset::default());
        }
        let mut known = self.known.lock().await;
        if let Some(relay) = node
            .uplink()
            .filter(|relay| known.is_due(*relay, node.now()))
        {
            let told = self.ask(relay).await;
            let now = node.now();
            if let Ok(ahead) = told {
                known.ahead = Some((now, ahead));
            }
            known.asked = Some((relay, now, told.err()));
        }
        known.at(node.now())
    }

    /// How far it is ahead, by what the relay tells.
    async fn ask(&self, relay: NodeId) -> Result<Offset, CallError> {
        let proxy = self
            .rpc
            .proxy_at(relay, AGENT)
            .with_timeout(REQUEST_TIMEOUT);
        let (there, whole) = (self.offset(&proxy).await?, told_by(&proxy).await?);
        let ahead = Offset {
            ms: whole.ms - there.ms,
            error_ms: whole.error_ms + there.error_ms,
        };
        ahead.checked()
    }

    /// How far another clock is ahead of this one.
    async fn offset(&self, proxy: &Proxy) -> Result<Offset, CallError> {
        let mut best: Option<Offset> = None;
        for _ in 0..SAMPLES {
            let before = (self.wall)();
            let there: f64 = proxy.call("now", &()).await?;
            let after = (self.wall)();
            let sample = Offset {
                ms: there - f64::midpoint(before, after),
                error_ms: (after - before) / 2.0 + GRAIN_MS,
            };
            // One during which somebody has set the clock back tells nothing.
            if after >= before && best.is_none_or(|best| sample.error_ms < best.error_ms) {
                best = Some(sample);
            }
        }
        let none = || CallError::from(Code::TimedOut.because("the clock was set meanwhile"));
        best.ok_or_else(none)?.checked()
    }
}

impl Known {
    /// Whether this relay is to be asked.
    fn is_due(&self, relay: NodeId, now: Time) -> bool {
        self.asked.as_ref().is_none_or(|(asked, at, failed)| {
            let patience = if failed.is_some() {
                CLOCK_RETRY
            } else {
                CLOCK_KEPT
            };
            *asked != relay || now >= *at + patience
        })
    }

    /// What it comes to now.
    fn at(&self, now: Time) -> Result<Offset, CallError> {
        match (&self.ahead, &self.asked) {
            (Some((at, ahead)), _) => Ok(Offset {
                error_ms: ahead.error_ms + millis(now.saturating_sub(*at)) * DRIFT,
                ..*ahead
            }),
            (None, Some((_, _, Some(failed)))) => Err(failed.clone()),
            (None, _) => {
                let message = "there was no relay yet to have its time from";
                Err(Code::Unreachable.because(message).into())
            }
        }
    }
}

impl Offset {
    fn checked(self) -> Result<Self, CallError> {
        let Self { ms, error_ms } = self;
        match ms.is_finite() && error_ms.is_finite() && error_ms >= 0.0 {
            true => Ok(self),
            false => {
                let message = format!("expected a time and its error, got {ms} and {error_ms}");
                Err(Code::BadMessage.because(message).into())
            }
        }
    }
}

/// How far a node finds itself ahead of its zone.
async fn told_by(proxy: &Proxy) -> Result<Offset, CallError> {
    let (ms, error_ms): (f64, f64) = proxy.call("ahead", &()).await?;
    Offset { ms, error_ms }.checked()
}

impl Agent for Own {
    fn interface(&self) -> Interface {
        Interface {
            name: AGENT.into(),
            version: Some(1),
            methods: ["now", "ahead"].map(String::from).into(),
            events: Some(Vec::new()),
            ..Interface::default()
        }
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let told = match (request.act, request.name) {
            (Act::Call, "now") => Parcel::of(&(self.wall)()).map_err(CallError::from),
            (Act::Call, "ahead") => {
                return Box::pin(async move {
                    let ahead = self.ahead().await?;
                    Ok(Parcel::of(&(ahead.ms, ahead.error_ms))?)
                });
            }
            (act, name) => Err(self.interface().unknown(act, name)),
        };
        Box::pin(core::future::ready(told))
    }
}

#[cfg(test)]
mod tests {
    use core::future::ready;
    use std::sync::Mutex;

    use futures_util::future::join;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::Node;
    use crate::service::zone::Zone;

    /// A clock that tells what it is set to.
    type Set = Arc<Mutex<f64>>;

    fn clock(zone: &mut Zone, node: Node, ms: f64) -> (Clock, Set) {
        let set = Set::new(Mutex::new(ms));
        let (rpc, wall) = (Rpc::new(node), set.clone());
        let clock = Clock::new(rpc.clone(), move || *wall.lock().unwrap()).unwrap();
        zone.spawn(async move { rpc.serve().await });
        (clock, set)
    }

    fn off_by(ms: f64, hops: f64) -> Offset {
        let error_ms = hops * GRAIN_MS;
        Offset { ms, error_ms }
    }

    #[test]
    fn each_node_knows_how_far_it_is_from_the_zones_time_and_tells_others() {
        let mut zone = Zone::new();
        let relay = zone.node(0).clone();
        let (relay, _) = clock(&mut zone, relay, 1000.0);
        let [(a, _), (b, _)] = [("a", 1250.0), ("b", 700.0)].map(|(name, ms)| {
            let node = zone.join(name);
            clock(&mut zone, node, ms)
        });
        assert_eq!(zone.run(relay.ahead()).unwrap(), off_by(0.0, 0.0));
        assert_eq!(zone.run(a.ahead()).unwrap(), off_by(250.0, 1.0));
        assert_eq!(zone.run(a.ahead_of("b")).unwrap(), off_by(-300.0, 1.0));
        assert_eq!(zone.run(a.offset("b")).unwrap(), off_by(-550.0, 1.0));
        assert_eq!(zone.run(a.zone_now()).unwrap(), 1000.0);
        assert_eq!(zone.run(b.zone_now()).unwrap(), 1000.0);
    }

    #[test]
    fn what_was_found_stays_for_a_while_and_is_less_sure_with_time() {
        let mut zone = Zone::new();
        let relay = zone.node(0).clone();
        let _relay = clock(&mut zone, relay, 1000.0);
        let node = zone.join("a");
        let (a, set) = clock(&mut zone, node.clone(), 1250.0);
        let found = zone.run(a.ahead()).unwrap();
        *set.lock().unwrap() = 4000.0;
        assert_eq!(zone.run(a.ahead()).unwrap(), found);
        zone.sleep(CLOCK_KEPT);
        assert_eq!(zone.run(a.ahead()).unwrap(), off_by(3000.0, 1.0));
        zone.kill(0);
        zone.run(node.sleep(Time::from_secs(100)));
        let old = zone.run(a.ahead()).unwrap();
        assert_eq!(old.ms, 3000.0);
        assert!((2.4..2.6).contains(&old.error_ms), "{old:?}");
    }

    /// A relay that says to be off itself; how often it was asked.
    struct Below {
        ahead: (f64, f64),
        asked: Mutex<usize>,
    }

    impl Agent for Below {
        fn interface(&self) -> Interface {
            Interface::default()
        }

        fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
            let told = match request.name {
                "now" => Parcel::of(&1000.0),
                _ => {
                    *self.asked.lock().unwrap() += 1;
                    Parcel::of(&self.ahead)
                }
            };
            Box::pin(ready(told.map_err(CallError::from)))
        }
    }

    /// A zone with such a relay, and a node below it whose clock tells 1250.
    fn below(ms: f64, error_ms: f64) -> (Zone, Arc<Below>, AgentHandle, Clock) {
        let mut zone = Zone::new();
        let rpc = Rpc::new(zone.node(0).clone());
        let serving = rpc.clone();
        zone.spawn(async move { serving.serve().await });
        let relay = Arc::new(Below {
            ahead: (ms, error_ms),
            asked: Mutex::default(),
        });
        let handle = rpc.agent_of(AGENT, relay.clone()).unwrap();
        let node = zone.join("a");
        let (a, _) = clock(&mut zone, node, 1250.0);
        (zone, relay, handle, a)
    }

    #[test]
    fn below_a_relay_that_is_off_itself_both_count_and_it_is_asked_once_for_all() {
        let (mut zone, relay, _handle, a) = below(40.0, 3.0);
        let (one, other) = zone.run(join(a.ahead(), a.ahead()));
        assert_eq!(one.unwrap(), off_by(290.0, 4.0));
        assert_eq!(other.unwrap(), off_by(290.0, 4.0));
        assert_eq!(*relay.asked.lock().unwrap(), 1);
    }

    #[test]
    fn what_is_no_time_is_an_error_and_the_relay_is_left_alone_for_a_while() {
        for (ms, error) in [(f64::NAN, 0.0), (0.0, -1.0), (0.0, f64::INFINITY)] {
            let (mut zone, relay, _handle, a) = below(ms, error);
            for _ in 0..2 {
                let failed = zone.run(a.ahead()).unwrap_err();
                assert_eq!(failed.code(), Some(Code::BadMessage));
            }
            assert_eq!(*relay.asked.lock().unwrap(), 1);
            zone.sleep(CLOCK_RETRY);
            assert!(zone.run(a.ahead()).is_err());
            assert_eq!(*relay.asked.lock().unwrap(), 2);
        }
    }
}
