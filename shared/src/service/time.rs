//! The clocks of nodes: each tells its own, and how far another is from it is estimated from there and back, as NTP does
//! (RFC 5905, 8): the sample that took least counts. A zone's time is that of its primary: each node knows how far its own
//! clock is from that, from the relay that it is linked to, which knows the same of itself.
//!
//! ```text
//! now()      milliseconds since 1970
//! ahead()    [milliseconds ahead of the zone's time, milliseconds by which that may be wrong]
//! ```

use std::sync::{Arc, Mutex, PoisonError};

use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{CLOCK_KEPT, REQUEST_TIMEOUT};
use crate::rpc::{
    Act, Agent, AgentHandle, CallError, Handling, Interface, Parcel, Proxy, Request, Rpc,
};

/// The service's name, as an agent.
pub const AGENT: &str = "peerage/time/1";

/// How often another clock is asked for one estimate.
const SAMPLES: usize = 4;

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
            kept: Mutex::default(),
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

    /// How far this clock is ahead of the zone's, as it was found at most a minute ago, or when there was a relay last.
    ///
    /// # Errors
    /// `unreachable` if there was no relay to ask yet; why it does not tell.
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
    kept: Mutex<Option<Kept>>,
}

/// How far ahead of the zone it was found to be.
#[derive(Clone, Copy)]
struct Kept {
    relay: NodeId,
    at: Time,
    ahead: Offset,
}

impl Own {
    async fn ahead(&self) -> Result<Offset, CallError> {
        let node = self.rpc.node();
        if node.is_primary() {
            return Ok(Offset::default());
        }
        let kept = *self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let relay = match (node.uplink(), kept) {
            (None, None) => {
                let message = "there was no relay yet to have its time from";
                return Err(Code::Unreachable.because(message).into());
            }
            (None, Some(kept)) => return Ok(kept.ahead),
            (Some(relay), Some(kept))
                if relay == kept.relay && node.now() < kept.at + CLOCK_KEPT =>
            {
                return Ok(kept.ahead);
            }
            (Some(relay), _) => relay,
        };
        let proxy = self
            .rpc
            .proxy_at(relay, AGENT)
            .with_timeout(REQUEST_TIMEOUT);
        let (there, whole) = (self.offset(&proxy).await?, told_by(&proxy).await?);
        let ahead = Offset {
            ms: whole.ms - there.ms,
            error_ms: whole.error_ms + there.error_ms,
        };
        let at = node.now();
        let kept = Some(Kept { relay, at, ahead });
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(ahead)
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
                error_ms: (after - before).max(0.0) / 2.0,
            };
            if best.is_none_or(|best| sample.error_ms < best.error_ms) {
                best = Some(sample);
            }
        }
        let best = best.filter(|best| best.ms.is_finite());
        best.ok_or_else(|| {
            Code::BadMessage
                .because("expected the time, got none")
                .into()
        })
    }
}

/// How far a node finds itself ahead of its zone.
async fn told_by(proxy: &Proxy) -> Result<Offset, CallError> {
    let (ms, error_ms): (f64, f64) = proxy.call("ahead", &()).await?;
    match ms.is_finite() && error_ms >= 0.0 && error_ms.is_finite() {
        true => Ok(Offset { ms, error_ms }),
        false => {
            let message = format!("expected a time and its error, got {ms} and {error_ms}");
            Err(Code::BadMessage.because(message).into())
        }
    }
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

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::Node;
    use crate::service::zone::Zone;

    /// A node's clock that stands still at this time.
    fn clock(zone: &mut Zone, node: Node, ms: f64) -> Clock {
        let rpc = Rpc::new(node);
        let clock = Clock::new(rpc.clone(), move || ms).unwrap();
        zone.spawn(async move { rpc.serve().await });
        clock
    }

    fn off_by(ms: f64) -> Offset {
        Offset { ms, error_ms: 0.0 }
    }

    #[test]
    fn each_node_knows_how_far_it_is_from_the_zones_time_and_tells_others() {
        let mut zone = Zone::new();
        let relay = zone.node(0).clone();
        let relay = clock(&mut zone, relay, 1000.0);
        let [a, b] = [("a", 1250.0), ("b", 700.0)].map(|(name, ms)| {
            let node = zone.join(name);
            clock(&mut zone, node, ms)
        });
        assert_eq!(zone.run(relay.ahead()).unwrap(), off_by(0.0));
        assert_eq!(zone.run(a.ahead()).unwrap(), off_by(250.0));
        assert_eq!(zone.run(a.ahead_of("b")).unwrap(), off_by(-300.0));
        assert_eq!(zone.run(a.offset("b")).unwrap(), off_by(-550.0));
        assert_eq!(zone.run(a.zone_now()).unwrap(), 1000.0);
        assert_eq!(zone.run(b.zone_now()).unwrap(), 1000.0);
        zone.kill(0);
        assert_eq!(zone.run(a.ahead()).unwrap(), off_by(250.0));
    }

    /// A relay that says to be off itself.
    struct Below(f64, f64);

    impl Agent for Below {
        fn interface(&self) -> Interface {
            Interface::default()
        }

        fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
            let told = match request.name {
                "now" => Parcel::of(&1000.0),
                _ => Parcel::of(&(self.0, self.1)),
            };
            Box::pin(ready(told.map_err(CallError::from)))
        }
    }

    #[test]
    fn below_a_relay_that_is_off_itself_both_count_and_what_is_no_time_is_an_error() {
        let mut zone = Zone::new();
        let rpc = Rpc::new(zone.node(0).clone());
        let serving = rpc.clone();
        zone.spawn(async move { serving.serve().await });
        let told = rpc.agent(AGENT, Below(40.0, 3.0)).unwrap();
        let node = zone.join("a");
        let a = clock(&mut zone, node, 1250.0);
        let expected = Offset {
            ms: 290.0,
            error_ms: 3.0,
        };
        assert_eq!(zone.run(a.ahead()).unwrap(), expected);
        drop(told);
        for (ms, error) in [(f64::NAN, 0.0), (0.0, -1.0), (0.0, f64::INFINITY)] {
            let _told = rpc.agent(AGENT, Below(ms, error)).unwrap();
            let failed = zone.run(a.ahead_of("relay")).unwrap_err();
            assert_eq!(failed.code(), Some(Code::BadMessage));
        }
    }
}
