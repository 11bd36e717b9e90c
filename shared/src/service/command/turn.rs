//! Commands in lanes. A command has a stream of its own, so its turn is taken by a call: it names the
//! command by a ticket, and the lane, and lasts for as long as the command does. So calls, commands and
//! operations of one lane follow each other, in the order in which the caller made them.

use core::pin::pin;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{Either, Shared, select};
use minicbor::{Decode, Encode};

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{REQUEST_TIMEOUT, WAITING_COMMANDS_MAX};
use crate::node::Node;
use crate::object::Blob;
use crate::rpc::{Act, Agent, AgentHandle, CallError, Handling, Interface, Parcel, Request, Rpc};
use crate::service::command::deadline::within;
use crate::service::lane::{Lanes, Turn};

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

#[derive(Default)]
struct Meetings {
    all: HashMap<Key, Meeting>,
    /// How many commands of each caller wait.
    waiting: HashMap<NodeId, usize>,
}

type Key = (NodeId, Ticket);

/// Where a command and its turn find each other: either may come first.
#[derive(Default)]
struct Meeting {
    /// The command is here.
    command: Signal<()>,
    /// The call is here.
    call: Signal<()>,
    /// It is the command's turn.
    turn: Signal<Turn>,
    /// One of the two has gone.
    over: Signal<()>,
}

struct Signal<T> {
    tell: Option<oneshot::Sender<T>>,
    told: Told<T>,
}

type Told<T> = Shared<oneshot::Receiver<T>>;

/// One of the two; when it goes, the meeting is over. The lane is free when both have gone.
struct Seat {
    meetings: Arc<Mutex<Meetings>>,
    key: Key,
    command: Told<()>,
    call: Told<()>,
    turn: Told<Turn>,
    over: Told<()>,
}

/// A command's place, which waits for its turn.
pub(super) struct Waiting {
    seat: Seat,
    node: Node,
    /// Whether it is counted among those that wait.
    is_counted: bool,
}

/// Lets callers take turns.
struct Desk {
    node: Node,
    lanes: Lanes,
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
            node: rpc.node().clone(),
            lanes: rpc.lanes().clone(),
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

    /// The place of a command, which waits there for its turn.
    ///
    /// # Errors
    /// `overloaded` if too many of its caller's wait.
    pub(super) fn wait(&self, caller: NodeId, ticket: Ticket) -> Result<Waiting, Failure> {
        {
            let mut meetings = lock(&self.meetings);
            let waiting = meetings.waiting.entry(caller).or_default();
            if *waiting >= WAITING_COMMANDS_MAX {
                let message =
                    format!("{WAITING_COMMANDS_MAX} commands wait for their turn already");
                return Err(Code::Overloaded.because(message));
            }
            *waiting += 1;
        }
        let seat = Seat::new(&self.meetings, (caller, ticket), |meeting| {
            meeting.command.tell(());
        });
        Ok(Waiting {
            seat,
            node: self.rpc.node().clone(),
            is_counted: true,
        })
    }

    /// How many commands wait.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.meetings).waiting.values().sum()
    }
}

impl Waiting {
    /// Waits for the turn.
    ///
    /// # Errors
    /// `cancelled` if it was given up; `timed-out` if nobody takes it.
    pub(super) async fn come(&mut self) -> Result<Turn, Failure> {
        // If nobody can tell any more, it is over, which is looked at next.
        let _ = within(&self.node, REQUEST_TIMEOUT, self.seat.call.clone()).await?;
        let (over, turn) = (self.seat.over.clone(), self.seat.turn.clone());
        let come = match select(over, turn).await {
            Either::Right((Ok(turn), _)) => Ok(turn),
            _ => Err(given_up()),
        };
        self.count_no_more();
        come
    }

    /// Waits until the turn is given up.
    pub(super) async fn over(&self) -> Failure {
        // If nobody can tell any more, it is over as well.
        let _ = self.seat.over.clone().await;
        given_up()
    }

    fn count_no_more(&mut self) {
        if !std::mem::replace(&mut self.is_counted, false) {
            return;
        }
        let caller = self.seat.key.0;
        let mut meetings = lock(&self.seat.meetings);
        if let Some(waiting) = meetings.waiting.get_mut(&caller) {
            *waiting -= 1;
            if *waiting == 0 {
                meetings.waiting.remove(&caller);
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.count_no_more();
    }
}

impl Seat {
    fn new(meetings: &Arc<Mutex<Meetings>>, key: Key, here: impl FnOnce(&mut Meeting)) -> Self {
        let mut locked = lock(meetings);
        let meeting = locked.all.entry(key).or_default();
        here(meeting);
        Self {
            meetings: Arc::clone(meetings),
            key,
            command: meeting.command.told.clone(),
            call: meeting.call.told.clone(),
            turn: meeting.turn.told.clone(),
            over: meeting.over.told.clone(),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let meeting = lock(&self.meetings).all.remove(&self.key);
        if let Some(mut meeting) = meeting {
            meeting.over.tell(());
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
        let caller = request.caller.unwrap_or_else(|| self.node.id());
        let taken = match (request.act, request.name) {
            (Act::Call, "turn") => self.take(&request.args, caller),
            (act, name) => Err(self.interface().unknown(act, name)),
        };
        taken.unwrap_or_else(|error| Box::pin(core::future::ready(Err(error))))
    }
}

impl Desk {
    /// A place in a lane for the command of a ticket, from now on and until it is over.
    fn take(&self, args: &Parcel, caller: NodeId) -> Result<Handling, CallError> {
        let Blob(bytes) = args.argument_called(0, "ticket")?;
        let lane: String = args.argument_called(1, "lane")?;
        let wrong = |_| Code::BadMessage.because("expected a ticket of 16 bytes");
        let ticket = bytes[..].try_into().map(Ticket).map_err(wrong)?;
        let turn = self.lanes.enter(caller, &lane, 0)?;
        let seat = Seat::new(&self.meetings, (caller, ticket), |meeting| {
            meeting.call.tell(());
        });
        let (node, meetings) = (self.node.clone(), Arc::clone(&self.meetings));
        Ok(Box::pin(async move {
            // If nobody can tell any more, it is over, which is looked at next.
            let _ = within(&node, REQUEST_TIMEOUT, seat.command.clone()).await?;
            if let Either::Left(_) = select(seat.over.clone(), pin!(turn.come())).await {
                return Ok(Parcel::default());
            }
            if let Some(meeting) = lock(&meetings).all.get_mut(&seat.key) {
                meeting.turn.tell(turn.clone());
            }
            // If nobody can tell any more, it is over as well.
            let _ = seat.over.clone().await;
            drop((seat, turn));
            Ok(Parcel::default())
        }))
    }
}

impl<T: Clone> Default for Signal<T> {
    fn default() -> Self {
        let (tell, told) = oneshot::channel();
        Self {
            tell: Some(tell),
            told: told.shared(),
        }
    }
}

impl<T: Clone> Signal<T> {
    fn tell(&mut self, what: T) {
        if let Some(tell) = self.tell.take() {
            // Nobody may wait for it any longer.
            let _ = tell.send(what);
        }
    }
}

fn given_up() -> Failure {
    Code::Cancelled.because("its place in the lane was given up")
}

fn lock(meetings: &Mutex<Meetings>) -> MutexGuard<'_, Meetings> {
    meetings.lock().unwrap_or_else(PoisonError::into_inner)
}
