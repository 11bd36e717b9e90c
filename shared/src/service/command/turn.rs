//! Commands in lanes. A command has a stream of its own, so its turn is taken by a call: it names the
//! command by a ticket, and lasts for as long as the command does. So calls, commands and operations of
//! one lane follow each other, in the order in which the caller made them.

use core::pin::pin;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{Either, Shared, select};
use minicbor::{Decode, Encode};

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::object::Blob;
use crate::rpc::{Act, Agent, AgentHandle, Handling, Interface, Parcel, Request, Rpc};

/// The name under which turns are taken, as an agent.
pub(super) const AGENT: &str = "peerage/command/1";

/// What a command is known by until it has its turn: random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub(super) struct Ticket(#[cbor(n(0), with = "minicbor::bytes")] pub(super) [u8; 16]);

/// The turns that commands of others wait for here, and those that are theirs. Clones are the same.
#[derive(Clone)]
pub(super) struct Turns {
    rpc: Rpc,
    meetings: Arc<Mutex<Meetings>>,
    /// For as long as there are turns, others can take one.
    _agent: Arc<AgentHandle>,
}

type Meetings = HashMap<(NodeId, Ticket), Meeting>;

/// Where a command and its turn find each other: either may come first.
#[derive(Default)]
struct Meeting {
    come: Signal,
    over: Signal,
}

struct Signal {
    tell: Option<oneshot::Sender<()>>,
    told: Shared<oneshot::Receiver<()>>,
}

/// One of the two; when it goes, the meeting is over.
pub(super) struct Seat {
    meetings: Arc<Mutex<Meetings>>,
    key: (NodeId, Ticket),
    come: Shared<oneshot::Receiver<()>>,
    over: Shared<oneshot::Receiver<()>>,
}

/// Lets callers take turns.
struct Desk {
    own: NodeId,
    meetings: Arc<Mutex<Meetings>>,
}

impl Turns {
    /// Lets others take turns in the lanes of these objects.
    ///
    /// # Errors
    /// `refused` if they can already.
    pub(super) fn new(rpc: &Rpc) -> Result<Self, Failure> {
        let meetings = Arc::<Mutex<Meetings>>::default();
        let desk = Desk {
            own: rpc.node().id(),
            meetings: Arc::clone(&meetings),
        };
        let agent = rpc.agent(AGENT, desk)?;
        Ok(Self {
            rpc: rpc.clone(),
            meetings,
            _agent: Arc::new(agent),
        })
    }

    pub(super) fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The place of another node's command, which waits there for its turn.
    pub(super) fn seat(&self, caller: NodeId, ticket: Ticket) -> Seat {
        sit(&self.meetings, (caller, ticket), false)
    }
}

impl Seat {
    /// Waits for the turn.
    ///
    /// # Errors
    /// `cancelled` if it was given up.
    pub(super) async fn come(&self) -> Result<(), Failure> {
        match select(pin!(self.come.clone()), pin!(self.over.clone())).await {
            Either::Left((Ok(()), _)) => Ok(()),
            _ => Err(Code::Cancelled.because("its place in the lane was given up")),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let meeting = lock(&self.meetings).remove(&self.key);
        if let Some(tell) = meeting.and_then(|mut meeting| meeting.over.tell.take()) {
            // The other may have gone as well.
            let _ = tell.send(());
        }
    }
}

impl Agent for Desk {
    fn interface(&self) -> Interface {
        Interface {
            name: AGENT.into(),
            version: Some(1),
            methods: vec!["turn".into()],
            properties: Vec::new(),
            events: Some(Vec::new()),
        }
    }

    fn handle(self: Arc<Self>, request: Request<'_>) -> Handling {
        let caller = request.caller.unwrap_or(self.own);
        let taken = match (request.act, request.name) {
            (Act::Call, "turn") => read(&request.args).map(|ticket| {
                let seat = sit(&self.meetings, (caller, ticket), true);
                Box::pin(async move {
                    let over = seat.over.clone();
                    // If nobody can tell any more, it is over too.
                    let _ = over.await;
                    drop(seat);
                    Ok(Parcel::default())
                }) as Handling
            }),
            (act, name) => Err(self.interface().unknown(act, name)),
        };
        taken.unwrap_or_else(|error| Box::pin(core::future::ready(Err(error))))
    }
}

impl Default for Signal {
    fn default() -> Self {
        let (tell, told) = oneshot::channel();
        Self {
            tell: Some(tell),
            told: told.shared(),
        }
    }
}

fn sit(meetings: &Arc<Mutex<Meetings>>, key: (NodeId, Ticket), is_turn: bool) -> Seat {
    let mut locked = lock(meetings);
    let meeting = locked.entry(key).or_default();
    if is_turn && let Some(tell) = meeting.come.tell.take() {
        // Nobody may wait for it yet.
        let _ = tell.send(());
    }
    Seat {
        meetings: Arc::clone(meetings),
        key,
        come: meeting.come.told.clone(),
        over: meeting.over.told.clone(),
    }
}

fn read(args: &Parcel) -> Result<Ticket, crate::rpc::CallError> {
    let Blob(bytes) = args.argument_called(0, "ticket")?;
    let ticket = bytes[..].try_into().map(Ticket);
    let wrong = |_| Code::BadMessage.because("expected a ticket of 16 bytes");
    Ok(ticket.map_err(wrong)?)
}

fn lock(meetings: &Mutex<Meetings>) -> MutexGuard<'_, Meetings> {
    meetings.lock().unwrap_or_else(PoisonError::into_inner)
}
