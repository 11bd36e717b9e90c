//! Remote objects: agents that live at one node and are used from others as if they were there. An agent
//! is found by its name, or by a [`Reference`] that came in a call; a [`Proxy`] calls its methods, gets,
//! sets and watches its properties, and hears its events.
//!
//! ```text
//! stream `peerage/rpc/1`: one from each node that asks, for as long as the session lasts
//!   asking → answering   request (call, get, set, watch, subscribe, await, hold, describe) · cancel
//!                        release · forget · taken
//!   answering → asking   return · fail · next… · taken
//! ```
//!
//! Requests begin in their order, and end as they do. A request may be made of the result of an earlier
//! one that has not come yet (promise pipelining, as in Cap'n Proto).
//!
//! **References.** An object is called by 128 random bits that its node chose; to know them is to be
//! allowed. Its node keeps it for as long as somebody holds it. A node counts how often it sent an object
//! to another, which gives that number back when it holds it no more; so a release and another sending
//! may cross. A reference to a third node's object stays held by who sends it until who gets it holds it
//! too (A. Birrell et al., *Network Objects*, 1993, 2.3). What a node held ends with its session.

mod agent;
mod call;
mod client;
mod connection;
mod fault;
mod later;
mod line;
mod news;
mod parcel;
mod proxy;
mod reference;
mod server;
mod slot;
mod state;
#[cfg(test)]
mod tests;
mod traced;
mod wire;

use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

pub use agent::{Act, Agent, AgentHandle, Emitter, Handling, Interface, Param, Request, Signature};
pub use call::{Asking, Call, Subscription};
pub use fault::{CallError, Thrown};
pub use later::Later;
pub use parcel::Parcel;
pub use proxy::Proxy;
pub use reference::Reference;

use crate::error::{Code, Failure};
use crate::limits::OBJECT_NAME_BYTES_MAX;
use crate::log::event;
use crate::node::Node;
use crate::object::Handle;
use crate::service::lane::{Lanes, Turn};
use crate::trace::Tracer;
use reference::Exported;
use state::{Export, State};

/// The protocol's id.
pub const PROTOCOL: &str = "peerage/rpc/1";

/// The remote objects of a node: its own, and those of others that it uses. Clones are the same.
#[derive(Clone)]
pub struct Rpc(Arc<Shared>);

struct Shared {
    node: Node,
    state: Mutex<State>,
    lanes: Lanes,
    departures: Lanes,
    finder: OnceLock<Finder>,
    /// What traces calls, if anything does.
    tracer: Option<Arc<dyn Tracer>>,
}

type Finder = Box<dyn Fn(&str) + Send + Sync>;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Rpc {
    /// The objects of a node.
    pub fn new(node: Node) -> Self {
        let state = Mutex::new(State::new(node.id()));
        let tracer = node.tracer();
        Self(Arc::new(Shared {
            node,
            state,
            lanes: Lanes::default(),
            departures: Lanes::default(),
            finder: OnceLock::new(),
            tracer,
        }))
    }

    /// Answers others, and hears their answers, until this node leaves. Somebody has to run this future.
    /// When it is dropped, what is under way fails. What is served once is not served again.
    pub async fn serve(&self) {
        if self.with(|state| std::mem::replace(&mut state.serving, true)) {
            return event!(
                ERROR,
                WARN,
                self.node().id(),
                "the objects of this node are served already"
            );
        }
        let _end = End(self);
        let listener = self.node().listen(PROTOCOL);
        let mut tasks = FuturesUnordered::new();
        poll_fn(|cx| {
            loop {
                match listener.poll_accept(cx) {
                    Poll::Ready(Some(stream)) => self.accept(stream),
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
                tasks.extend(self.with(|state| {
                    state.server = Some(cx.waker().clone());
                    std::mem::take(&mut state.spawned)
                }));
                if !matches!(tasks.poll_next_unpin(cx), Poll::Ready(Some(()))) {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    /// Lets others find an agent by this name.
    ///
    /// # Errors
    /// `refused` if there is one of this name; `too-large` for a name that is too long.
    pub fn agent(&self, name: &str, agent: impl Agent) -> Result<AgentHandle, Failure> {
        self.agent_of(name, Arc::new(agent))
    }

    /// As [`Rpc::agent`], for an agent that is shared.
    ///
    /// # Errors
    /// As [`Rpc::agent`].
    pub fn agent_of(&self, name: &str, agent: Arc<dyn Agent>) -> Result<AgentHandle, Failure> {
        check_name(name)?;
        let reference = self.share(Arc::clone(&agent));
        let handle = reference.pointer().handle;
        self.with(|state| {
            if state.names.contains_key(name) {
                let message = format!("there is an agent `{name}` here already");
                return Err(Code::Refused.because(message));
            }
            if let Some(export) = state.exports.get_mut(&handle) {
                if let Some(other) = &export.name {
                    let message = format!("the agent is known here as `{other}` already");
                    return Err(Code::Refused.because(message));
                }
                export.name = Some(name.to_owned());
                state.names.insert(name.to_owned(), handle);
            }
            Ok(())
        })?;
        let emitter = Emitter::new(self.clone(), handle);
        Ok(AgentHandle::new(emitter, reference, name.to_owned()))
    }

    /// Tells somebody of each agent that another node asks for by a name that none here has, who may let it be found
    /// before that is said. The first to say so counts.
    pub fn on_missing(&self, find: impl Fn(&str) + Send + Sync + 'static) {
        // Another was first.
        let _ = self.0.finder.set(Box::new(find));
    }

    /// An object by reference, to be handed on in calls. The same object is the same reference.
    pub fn share(&self, agent: Arc<dyn Agent>) -> Reference {
        self.export(Exported::Object(agent))
    }

    /// The agents of this node that others find by a name, with these names.
    pub fn agents(&self) -> Vec<(String, Arc<dyn Agent>)> {
        self.with(|state| {
            let named = state.names.iter().filter_map(|(name, handle)| {
                match &state.exports.get(handle)?.what {
                    Exported::Object(agent) => Some((name.clone(), Arc::clone(agent))),
                    Exported::Future(_) => None,
                }
            });
            named.collect()
        })
    }

    /// The node that these belong to.
    pub fn node(&self) -> &Node {
        &self.0.node
    }

    /// The lanes of those who ask something of this node.
    pub(crate) fn lanes(&self) -> &Lanes {
        &self.0.lanes
    }

    /// A turn to be sent, for what must not be overtaken while it is not known yet whose a name is: what is
    /// asked of the same name, or in the same lane.
    ///
    /// # Errors
    /// `overloaded` if too much waits already.
    pub(crate) fn departure(&self, queue: &str) -> Result<Turn, Failure> {
        self.0.departures.enter(self.node().id(), queue, 0)
    }

    /// Whether anything in this queue waits to know whom it shall be sent to.
    pub(crate) fn is_departing(&self, queue: &str) -> bool {
        self.0.departures.is_taken(self.node().id(), queue)
    }

    /// Lets something go on for as long as this node serves.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.with(|state| state.spawn(Box::pin(task)));
    }

    /// How many objects of this node others can name, and how many of other nodes are held here.
    pub fn counts(&self) -> (usize, usize) {
        self.with(|state| {
            let held = state.connections.values().map(|c| c.held.len());
            (state.exports.len(), held.sum())
        })
    }

    fn export(&self, what: Exported) -> Reference {
        let fresh = self.new_handle();
        let (reference, is_new) = self.with(|state| {
            let identity = what.identity();
            let known = identity.and_then(|identity| state.identities.get(&identity).copied());
            let handle = known.unwrap_or(fresh);
            if let Some(identity) = identity {
                state.identities.insert(identity, handle);
            }
            let is_new = !state.exports.contains_key(&handle);
            let export = state.exports.entry(handle);
            let export = export.or_insert_with(|| Export::new(what.clone()));
            (export.held(self, handle), is_new)
        });
        if is_new && let Exported::Object(agent) = &what {
            agent.attached(Emitter::new(self.clone(), reference.pointer().handle));
        }
        reference
    }

    /// This node's own hold of an object has ended.
    fn let_go(&self, handle: Handle) {
        self.with(|state| state.forget_unheld(handle));
    }

    fn new_handle(&self) -> Handle {
        let mut handle = Handle::default();
        handle.copy_from_slice(&self.node().random()[..16]);
        handle
    }

    /// Does something with the state. What is discarded meanwhile is dropped when the lock is free again.
    fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        let (result, garbage) = {
            let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
            let result = action(&mut state);
            (result, std::mem::take(&mut state.garbage))
        };
        drop(garbage);
        result
    }
}

/// Ends everything when nobody serves any longer.
struct End<'a>(&'a Rpc);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end_all();
    }
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rpc({:?})", self.node())
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    if name.len() > OBJECT_NAME_BYTES_MAX {
        let (most, got) = (OBJECT_NAME_BYTES_MAX, name.len());
        let message = format!("expected a name of at most {most} bytes, got {got}");
        return Err(Code::TooLarge.because(message));
    }
    Ok(())
}
