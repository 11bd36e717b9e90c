//! The clocks of nodes: each tells its own, and how far another is from it is estimated from there and back, as NTP does
//! (RFC 5905, 8): the sample that took least counts.

use std::sync::Arc;

use crate::error::{Code, Failure};
use crate::limits::REQUEST_TIMEOUT;
use crate::rpc::{Act, Agent, AgentHandle, CallError, Handling, Interface, Parcel, Request, Rpc};

/// The service's name, as an agent. Its method `now` tells milliseconds since 1970.
pub const AGENT: &str = "peerage/time/1";

/// How often another clock is asked for one estimate.
const SAMPLES: usize = 4;

/// The clock of a node, and the way to those of others. Clones are the same.
#[derive(Clone)]
pub struct Clock {
    rpc: Rpc,
    wall: Arc<Wall>,
    _agent: Arc<AgentHandle>,
}

/// How far another node's clock is from this one's.
#[derive(Clone, Copy, Debug, PartialEq)]
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
        let wall = Arc::new(Wall(Box::new(wall)));
        let agent = rpc.agent_of(AGENT, wall.clone())?;
        Ok(Self {
            rpc,
            wall,
            _agent: Arc::new(agent),
        })
    }

    /// Milliseconds since 1970, by this node's clock.
    pub fn now(&self) -> f64 {
        (self.wall.0)()
    }

    /// How far the clock of a node, by name or id, is from this one's.
    ///
    /// # Errors
    /// Why it does not tell.
    pub async fn offset(&self, node: &str) -> Result<Offset, CallError> {
        let proxy = self.rpc.proxy(node, AGENT).with_timeout(REQUEST_TIMEOUT);
        let mut best: Option<Offset> = None;
        for _ in 0..SAMPLES {
            let before = self.now();
            let there: f64 = proxy.call("now", &()).await?;
            let after = self.now();
            let sample = Offset {
                ms: there - (before + after) / 2.0,
                error_ms: (after - before).max(0.0) / 2.0,
            };
            if best.is_none_or(|best| sample.error_ms < best.error_ms) {
                best = Some(sample);
            }
        }
        best.ok_or_else(|| Code::TimedOut.because("no clock was heard").into())
    }
}

/// A clock that others may ask for.
struct Wall(Box<dyn Fn() -> f64 + Send + Sync>);

impl Agent for Wall {
    fn interface(&self) -> Interface {
        Interface {
            name: AGENT.into(),
            version: Some(1),
            methods: vec![String::from("now")],
            events: Some(Vec::new()),
            ..Interface::default()
        }
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let told = match (request.act, request.name) {
            (Act::Call, "now") => Parcel::of(&(self.0)()).map_err(CallError::from),
            (act, name) => Err(self.interface().unknown(act, name)),
        };
        Box::pin(core::future::ready(told))
    }
}
