//! Proxies: what an object is used by, wherever it is.

use core::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join;
use serde::Serialize;

use super::agent::{Act, Interface};
use super::call::{Asking, Call, Listening, Subscription};
use super::client::{Pending, Wish};
use super::fault::CallError;
use super::later::Awaited;
use super::parcel::Parcel;
use super::reference::Reference;
use super::server::{Found, no_object};
use super::traced::Traced;
use super::wire::Target;
use super::{Rpc, check_name};
use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::service::lane::Turn;
use crate::trace::Context;

/// A way to use an object, wherever it is.
#[derive(Clone, Debug)]
pub struct Proxy {
    rpc: Rpc,
    whom: Whom,
    timeout: Option<Time>,
    lane: Option<Arc<str>>,
    /// The lane after whose calls it is sent, though it is in none itself.
    queue: Option<Arc<str>>,
    /// The span of a trace below which calls are.
    trace: Option<Arc<Context>>,
}

/// Which object is used.
#[derive(Clone)]
enum Whom {
    /// The agent of a name at the node of a name or id, of a version if one is expected.
    Agent {
        node: Address,
        name: Arc<str>,
        version: Option<u32>,
    },
    Object(Reference),
    /// What a call returns, even if it has not yet.
    Result(Coming),
}

#[derive(Clone, PartialEq)]
enum Address {
    Id(NodeId),
    Text(Arc<str>),
    /// The node that had this name.
    Found(NodeId, Arc<str>),
}

/// What a call returns, for several who want it.
#[derive(Clone)]
pub(super) struct Coming {
    /// The call itself, which is kept for as long as something may be asked of what it returns.
    pub(super) call: Result<Arc<Pending>, CallError>,
    pub(super) result: Awaited,
}

impl Rpc {
    /// A way to use the agent of a name at a node, by the node's name or id. Nothing is sent before it is used.
    pub fn proxy(&self, node: &str, agent: &str) -> Proxy {
        self.proxy_of(Address::Text(node.into()), agent)
    }

    /// As [`Rpc::proxy`], by the node's id alone.
    pub fn proxy_at(&self, node: NodeId, agent: &str) -> Proxy {
        self.proxy_of(Address::Id(node), agent)
    }

    fn proxy_of(&self, node: Address, agent: &str) -> Proxy {
        let whom = Whom::Agent {
            node,
            name: agent.into(),
            version: None,
        };
        Proxy {
            rpc: self.clone(),
            whom,
            timeout: None,
            lane: None,
            queue: None,
            trace: None,
        }
    }
}

impl Proxy {
    pub(super) fn of(reference: Reference) -> Self {
        Self {
            rpc: reference.0.rpc.clone(),
            whom: Whom::Object(reference),
            timeout: None,
            lane: None,
            queue: None,
            trace: None,
        }
    }

    pub(super) fn of_result(rpc: Rpc, result: Coming) -> Self {
        Self {
            rpc,
            whom: Whom::Result(result),
            timeout: None,
            lane: None,
            queue: None,
            trace: None,
        }
    }

    /// The same, where each call fails as `timed-out` after this time.
    #[must_use]
    pub fn with_timeout(self, timeout: Time) -> Self {
        Self {
            timeout: Some(timeout),
            ..self
        }
    }

    /// The same, where calls, and what is asked of properties, begin in the order made, each after the one
    /// before it in this lane has ended. A lane is this node's own at each node that it calls.
    #[must_use]
    pub fn in_lane(self, lane: impl Into<Arc<str>>) -> Self {
        Self {
            lane: Some(lane.into()),
            ..self
        }
    }

    /// The same, where calls belong below a span of a trace, such as that of the request for which they are made.
    #[must_use]
    pub fn below(self, trace: Option<Context>) -> Self {
        let trace = trace.map(Arc::new);
        Self { trace, ..self }
    }

    /// The same, where each call leaves after what was asked in this lane before, though it is in none.
    #[must_use]
    pub(crate) fn after_lane(self, lane: impl Into<Arc<str>>) -> Self {
        Self {
            queue: Some(lane.into()),
            ..self
        }
    }

    /// The same, which leaves at once whatever waits.
    pub(crate) fn at_once(self) -> Self {
        Self {
            queue: None,
            ..self
        }
    }

    /// Whether it can be sent at once, before nothing that is to be sent earlier.
    pub(crate) fn can_leave(&self) -> Result<bool, CallError> {
        let is_free = self
            .queue()
            .is_none_or(|queue| !self.rpc.is_departing(queue));
        Ok(is_free && self.is_found()?)
    }

    /// By what queue it leaves.
    pub(crate) fn departure(&self) -> Result<Turn, Failure> {
        self.rpc.departure(self.queue().unwrap_or_default())
    }

    /// The same, where the agent must be of this version.
    #[must_use]
    pub fn with_version(mut self, expected: u32) -> Self {
        if let Whom::Agent { version, .. } = &mut self.whom {
            *version = Some(expected);
        }
        self
    }

    /// Calls a method with these arguments, a tuple or a list.
    pub fn call<T>(&self, method: &str, args: &(impl Serialize + ?Sized)) -> Call<T> {
        self.request(Act::Call, method, args)
    }

    /// The value of a property.
    pub fn get<T>(&self, property: &str) -> Call<T> {
        self.ask(Act::Get, property, Parcel::default()).into()
    }

    /// Sets a property.
    pub fn set(&self, property: &str, value: &(impl Serialize + ?Sized)) -> Call<()> {
        self.request(Act::Set, property, value)
    }

    /// What the object is and has.
    pub fn describe(&self) -> Call<Interface> {
        self.ask(Act::Describe, "", Parcel::default()).into()
    }

    /// Each event of this name from now on.
    pub fn on<T>(&self, event: &str) -> Subscription<T> {
        self.listen(Act::Subscribe, event)
    }

    /// The value of a property, and each that it has later. Who is slow misses all but the latest.
    pub fn watch<T>(&self, property: &str) -> Subscription<T> {
        self.listen(Act::Watch, property)
    }

    /// The reference that it uses, if it uses one.
    pub fn reference(&self) -> Option<&Reference> {
        match &self.whom {
            Whom::Object(reference) => Some(reference),
            _ => None,
        }
    }

    /// The object that it uses, by reference.
    pub fn to_reference(&self) -> Call<Reference> {
        self.ask(Act::Await, "", Parcel::default()).into()
    }

    /// Cancels the call whose result this uses; anything else stays as it is.
    pub fn cancel(&self) {
        if let Whom::Result(coming) = &self.whom
            && let Ok(call) = &coming.call
        {
            call.cancel();
        }
    }

    /// What the call returns whose result this uses; for any other proxy, its object.
    ///
    /// # Errors
    /// Why the call failed.
    pub async fn resolved(&self) -> Result<Parcel, CallError> {
        match &self.whom {
            Whom::Result(coming) => coming.result.clone().await,
            Whom::Object(reference) => Ok(reference.clone().into()),
            Whom::Agent { .. } => Err(Code::BadMessage
                .because("an agent by name is no result")
                .into()),
        }
    }

    /// As [`Proxy::call`] and the others, for what is made already.
    pub fn ask(&self, act: Act, name: &str, args: Parcel) -> Asking {
        let mut wish = Wish {
            act,
            name,
            lane: self.lane.as_deref(),
            trace: self.trace.as_deref().copied(),
        };
        let peer = || self.whom.in_words().to_string();
        let traced = self.rpc.asks(wish, self.whom.agent(), &args, peer);
        wish.trace = traced.as_ref().map(Traced::context).or(wish.trace);
        let asked = check_name(name).map_err(CallError::from);
        let asked = asked.and_then(|()| self.begin(wish, args));
        let after = match &self.whom {
            Whom::Result(coming) => Some(coming.clone()),
            _ => None,
        };
        let asking = Asking::new(&self.rpc, asked, self.whom.in_words(), after).traced(traced);
        match self.timeout {
            Some(timeout) => asking.within(timeout),
            None => asking,
        }
    }

    /// As [`Proxy::on`] and [`Proxy::watch`].
    pub fn listen<T>(&self, act: Act, name: &str) -> Subscription<T> {
        let how = self.begin_to_listen(act, name);
        let how = how.unwrap_or_else(|error| Listening::Over(Some(error)));
        Subscription::new(how, self.whom.in_words())
    }

    fn request<T>(&self, act: Act, name: &str, args: &(impl Serialize + ?Sized)) -> Call<T> {
        match Parcel::of(args) {
            Ok(args) => self.ask(act, name, args).into(),
            Err(error) => Asking::failed(&self.rpc, error.into()).into(),
        }
    }

    fn begin(&self, wish: Wish<'_>, args: Parcel) -> Result<Pending, CallError> {
        if matches!(wish.act, Act::Hold | Act::Watch | Act::Subscribe) {
            let message =
                "expected a call, a property or a description; `listen` begins a subscription";
            return Err(Code::BadMessage.because(message).into());
        }
        if let Some(queue) = self.queue()
            && (self.rpc.is_departing(queue) || !self.is_found()?)
        {
            return self.depart(queue, wish, args);
        }
        self.begin_now(wish, args)
    }

    /// Sends it once it is known to whom, and after what was asked before it of the same name, or in the same
    /// lane, has left.
    fn depart(&self, queue: &str, wish: Wish<'_>, args: Parcel) -> Result<Pending, CallError> {
        let (this, name) = (self.clone(), wish.name.to_owned());
        let (act, trace) = (wish.act, wish.trace);
        let departure = self.rpc.departure(queue)?;
        let later = async move {
            let (found, ()) = join(this.found(), departure.come()).await;
            let found = found?;
            let wish = Wish {
                act,
                name: &name,
                lane: found.lane.as_deref(),
                trace,
            };
            let asked = found.begin_now(wish, args);
            drop(departure);
            asked?.await
        };
        Ok(self.rpc.start(Box::pin(later)))
    }

    fn begin_now(&self, wish: Wish<'_>, args: Parcel) -> Result<Pending, CallError> {
        let rpc = &self.rpc;
        match &self.whom {
            Whom::Agent {
                node,
                name: agent,
                version,
            } => match self.peer_of(node)?.ok_or_else(unknown_name)? {
                own if own == rpc.node().id() => {
                    rpc.ask_object(&rpc.named(agent, *version)?, wish, args)
                }
                peer => {
                    let target = Target::Agent(agent, *version);
                    rpc.send_to(peer, target, wish, &args)
                }
            },
            Whom::Object(reference) => rpc.ask_object(reference, wish, args),
            Whom::Result(coming) => {
                let asked = coming.call.as_ref().map_err(CallError::clone)?.asked();
                match (coming.result.peek(), asked) {
                    (Some(result), _) => {
                        let come = result.clone()?;
                        let reference = come.as_reference().ok_or_else(no_object)?;
                        rpc.ask_object(reference, wish, args)
                    }
                    (None, Some((key, id))) => {
                        rpc.send_through(key, Target::Answer(id), wish, &args)
                    }
                    (None, None) => {
                        let found = Found::Pending(coming.result.clone().boxed());
                        Ok(rpc.start(rpc.see_to(found, wish, args, None)?))
                    }
                }
            }
        }
    }

    /// In what order it is sent, where that cannot be at once.
    fn queue(&self) -> Option<&str> {
        match (&self.lane, &self.queue, &self.whom) {
            (Some(lane), _, _) | (None, Some(lane), _) => Some(lane),
            (
                _,
                _,
                Whom::Agent {
                    node: Address::Text(text),
                    ..
                },
            ) => Some(text),
            _ => None,
        }
    }

    /// Whether it is known to whom it is sent.
    fn is_found(&self) -> Result<bool, CallError> {
        Ok(match &self.whom {
            Whom::Agent { node, .. } => self.peer_of(node)?.is_some(),
            Whom::Object(_) => true,
            // What is asked of a result that comes from nowhere yet, in a lane, is of a lane there.
            Whom::Result(coming) => {
                let asked = coming.call.as_ref().map_err(CallError::clone)?.asked();
                asked.is_some() || coming.result.peek().is_some()
            }
        })
    }

    /// Who has the agent, if that is known without asking.
    fn peer_of(&self, node: &Address) -> Result<Option<NodeId>, Failure> {
        match node {
            Address::Id(id) | Address::Found(id, _) => Ok(Some(*id)),
            Address::Text(text) => self.resolve(text).now_or_never().transpose(),
        }
    }

    async fn resolve(&self, text: &str) -> Result<NodeId, Failure> {
        let node = self.rpc.node();
        Ok(node.resolve(text).await?.unwrap_or_else(|| node.id()))
    }

    /// The same proxy, if it is known now who has the agent.
    pub(crate) fn try_found(&self) -> Result<Option<Self>, Failure> {
        let Whom::Agent { node, .. } = &self.whom else {
            return Ok(Some(self.clone()));
        };
        Ok(self.peer_of(node)?.map(|peer| self.clone().at(peer)))
    }

    /// The same proxy, once it is known who has the agent.
    pub(crate) async fn found(self) -> Result<Self, CallError> {
        let node = match &self.whom {
            Whom::Agent {
                node: Address::Text(text),
                ..
            } => self.resolve(text).await?,
            Whom::Result(coming) => {
                let come = coming.result.clone().await?;
                let reference = come.as_reference().ok_or_else(no_object)?.clone();
                let whom = Whom::Object(reference);
                return Ok(Self { whom, ..self });
            }
            _ => return Ok(self),
        };
        // Its deadline runs already.
        let timeout = None;
        Ok(Self { timeout, ..self }.at(node))
    }

    /// The same proxy, of the node that has the agent.
    fn at(mut self, peer: NodeId) -> Self {
        if let Whom::Agent { node, .. } = &mut self.whom
            && let Address::Text(text) = node
        {
            *node = Address::Found(peer, Arc::clone(text));
        }
        self
    }

    fn begin_to_listen(&self, act: Act, name: &str) -> Result<Listening, CallError> {
        check_name(name)?;
        let (rpc, nothing) = (&self.rpc, Parcel::default());
        match &self.whom {
            Whom::Agent {
                node,
                name: agent,
                version,
            } => match self.peer_of(node)? {
                Some(peer) if peer == rpc.node().id() => {
                    rpc.listen_to(&rpc.named(agent, *version)?, act, name)
                }
                Some(peer) => {
                    let target = Target::Agent(agent, *version);
                    let sent = rpc.send_to(peer, target, Wish::plain(act, name), &nothing)?;
                    Ok(Listening::On {
                        pending: sent,
                        _object: None,
                    })
                }
                None => {
                    let (this, name) = (self.clone(), name.to_owned());
                    // Nothing waits for a subscription: it need not have been read to let others go.
                    let later = async move { this.found().await?.begin_to_listen(act, &name) };
                    Ok(Listening::Beginning(Box::pin(later)))
                }
            },
            Whom::Object(reference) => rpc.listen_to(reference, act, name),
            Whom::Result(coming) => {
                let (rpc, coming, name) = (rpc.clone(), coming.result.clone(), name.to_owned());
                let later = async move {
                    let come = coming.await?;
                    rpc.listen_to(come.as_reference().ok_or_else(no_object)?, act, &name)
                };
                Ok(Listening::Beginning(Box::pin(later)))
            }
        }
    }
}

/// Whether they use the same object, as far as that is known.
impl PartialEq for Proxy {
    fn eq(&self, other: &Self) -> bool {
        match (&self.whom, &other.whom) {
            (Whom::Object(one), Whom::Object(other)) => one == other,
            (
                Whom::Agent { node, name, .. },
                Whom::Agent {
                    node: at,
                    name: other,
                    ..
                },
            ) => (node, name) == (at, other),
            _ => false,
        }
    }
}

/// What cannot be: that a name is known was found out before.
fn unknown_name() -> Failure {
    Code::UnknownName.because("nobody has this name any longer")
}

impl Coming {
    /// Why the call failed, if it is known.
    pub(super) fn failure(&self) -> Option<CallError> {
        let known = self.result.peek().and_then(|result| result.as_ref().err());
        match (&self.call, known) {
            (_, Some(error)) | (Err(error), _) => Some(error.clone()),
            (Ok(call), None) => call.failure(),
        }
    }
}

impl Whom {
    /// The agent's name, if it is used by name.
    fn agent(&self) -> Option<&str> {
        match self {
            Self::Agent { name, .. } => Some(name),
            Self::Object(_) | Self::Result(_) => None,
        }
    }

    /// For people.
    fn in_words(&self) -> Arc<str> {
        match self {
            Self::Agent {
                node: Address::Text(text) | Address::Found(_, text),
                ..
            } => Arc::clone(text),
            Self::Agent {
                node: Address::Id(id),
                ..
            } => id.short().to_string().into(),
            Self::Object(reference) => reference.node().short().to_string().into(),
            Self::Result(coming) => {
                let asked = coming.call.as_ref().ok().and_then(|call| call.asked());
                asked.map_or_else(
                    || "".into(),
                    |((peer, _), _)| peer.short().to_string().into(),
                )
            }
        }
    }
}

impl fmt::Debug for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent { name, .. } => write!(f, "{name} at {}", self.in_words()),
            Self::Object(reference) => reference.fmt(f),
            Self::Result(_) => f.write_str("the result of a call"),
        }
    }
}
