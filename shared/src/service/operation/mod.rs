//! Operations: long calls that tell how far they are, and end exactly once, as a success with a value, a
//! failure with a reason, a cancel (the user's) or an abort (the software's).
//!
//! An operation goes on at its node though its caller goes. Who knows its [`Tracker`], 128 random bits that
//! the caller chose before anything was sent, may attach to it from anywhere, and stop it. Once ended, it
//! is known for five minutes more.
//!
//! The service is an agent, `peerage/operation/1`, on [`rpc`](crate::rpc):
//!
//! ```text
//! start(tracker, name, args, lane, timeoutMs, parent)   its ending, once it has ended
//! attach(which)                                         the same
//! stop(which, "cancel" | "abort", reason)
//! list()                                                what runs, and what ended lately
//! property `which`                                      its progress: who is slow sees the latest
//! property `changes`                                    how often the list has changed
//!
//! which      the tracker in hexadecimal; or `#` and the number that `list` tells, to watch only
//! ending     [0 success | 1 fail | 2 cancel | 3 abort, reason, value or data, the last progress]
//! progress   [fraction, remaining milliseconds, note, data, how many there were]
//! ```

mod client;
mod command;
mod group;
mod listed;
mod record;
mod server;
#[cfg(test)]
mod tests;
pub(in crate::service) mod wire;
mod work;

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::AtomicU64;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;

pub use client::{Operation, Options};
pub use group::Step;
pub use listed::Listed;
pub use wire::{Ending, Info, Progress, Stop, StopKind, Tracker, Unsuccessful, Which};
pub use work::Work;

use crate::error::Failure;
use crate::id::NodeId;
use crate::rpc::{AgentHandle, Emitter, Parcel, Rpc};
use record::Record;
use server::{Ended, Load, Service};

/// The service's name, as an agent.
pub const AGENT: &str = "peerage/operation/1";

/// The operations of a node: those that it offers, and the way to start one anywhere. Clones are the same.
#[derive(Clone)]
pub struct Operations(Arc<Shared>);

struct Shared {
    rpc: Rpc,
    emitter: OnceLock<Emitter>,
    /// How often what the list tells has changed.
    changes: AtomicU64,
    state: Mutex<State>,
    /// Until the node's operations are no more, others find them.
    agent: Mutex<Option<AgentHandle>>,
}

#[derive(Default)]
struct State {
    offers: HashMap<Arc<str>, Offer>,
    records: BTreeMap<u64, Arc<Record>>,
    trackers: HashMap<Tracker, u64>,
    last_id: u64,
    /// Those that have ended, the oldest first.
    ended: VecDeque<Ended>,
    /// Bytes of their results.
    ended_bytes: usize,
    /// What each caller has here.
    loads: HashMap<NodeId, Load>,
    /// Whether somebody sees to it that they are forgotten.
    is_sweeping: bool,
    /// How many have ended so far, by how.
    ends: BTreeMap<&'static str, u64>,
}

/// An operation that is done.
pub type Working = Pin<Box<dyn Future<Output = Result<Parcel, Unsuccessful>> + Send>>;

#[derive(Clone)]
struct Offer {
    run: Arc<dyn Fn(Work) -> Working + Send + Sync>,
    is_public: bool,
}

impl Operations {
    /// The operations of a node with these objects.
    ///
    /// # Errors
    /// `refused` if the node has its operations already.
    pub fn new(rpc: Rpc) -> Result<Self, Failure> {
        let operations = Self(Arc::new(Shared {
            rpc: rpc.clone(),
            emitter: OnceLock::new(),
            changes: AtomicU64::new(0),
            state: Mutex::new(State::default()),
            agent: Mutex::new(None),
        }));
        let service = Service::new(Arc::downgrade(&operations.0));
        let agent = rpc.agent(AGENT, service)?;
        operations.0.emitter.get_or_init(|| agent.emitter().clone());
        *operations
            .0
            .agent
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(agent);
        Ok(operations)
    }

    /// Offers an operation to everyone under this name, instead of the one that has it. Everyone may see
    /// that it runs, how far it is and how it ends; not what it brings.
    pub fn offer<F, R, T>(&self, name: &str, run: F)
    where
        F: Fn(Work) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T, Unsuccessful>> + Send + 'static,
        T: Serialize,
    {
        self.offer_made(name, true, move |work| {
            let running = run(work);
            Box::pin(async move { Ok(Parcel::of(&running.await?)?) })
        });
    }

    /// As [`Operations::offer`], for what takes and gives values as they are. Unless it is public, only who
    /// started it, or knows its tracker, can see it.
    pub fn offer_made(
        &self,
        name: &str,
        is_public: bool,
        run: impl Fn(Work) -> Working + Send + Sync + 'static,
    ) {
        let run = Arc::new(run);
        let before = self
            .lock()
            .offers
            .insert(name.into(), Offer { run, is_public });
        drop(before);
    }

    /// The objects by which it works.
    pub fn rpc(&self) -> &Rpc {
        &self.0.rpc
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operations({:?})", self.rpc().node())
    }
}
