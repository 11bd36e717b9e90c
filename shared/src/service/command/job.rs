//! A command at one target, from beginning to end.

use core::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, FutureExt, select};
use futures_util::stream::{Stream, unfold};

use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::log::step;
use crate::node;
use crate::object::Blob;
use crate::rpc::{Act, Asking, CallError, Parcel, Proxy};
use crate::service::command::output::Output;
use crate::service::command::server::Call;
use crate::service::command::turn::{AGENT, Ticket, Turns, Waiting};
use crate::service::command::wire::{Request, Response};
use crate::service::command::{Commands, News, PROTOCOL, Status, Told};
use crate::service::lane::Turn;
use crate::wire::{from_cbor, to_cbor};

/// What is to run where.
pub(super) struct Job {
    pub(super) commands: Commands,
    pub(super) trace: u64,
    /// The target, as it was typed.
    pub(super) target: Arc<str>,
    pub(super) place: Place,
    pub(super) command: String,
    pub(super) timeout: Option<Time>,
    /// Its place in a lane.
    pub(super) turn: Option<InLane>,
}

/// Where a command runs.
pub(super) enum Place {
    /// At this node.
    Here,
    /// At this node, which sees to the target itself.
    ForTarget,
    /// At whoever the target's name means.
    Named,
    /// At this node of the zone.
    At(NodeId),
}

/// A place in a lane.
pub(super) enum InLane {
    /// In one of this node's own.
    Here(Turn),
    /// In one at the target, which a call holds.
    There(Ticket, Box<Asking>),
    /// In one that the command itself sees to.
    Named(Arc<str>),
}

/// What holds a turn of this node's own, until it is dropped.
enum Held {
    Turn {
        _turn: Turn,
    },
    Call {
        _asking: Box<Asking>,
        _waiting: Waiting,
    },
}

impl InLane {
    /// Waits for the turn of a command that runs at this node.
    async fn come(self, commands: &Commands) -> Result<Held, Failure> {
        let (ticket, asking) = match self {
            Self::Here(turn) => {
                turn.come().await;
                return Ok(Held::Turn { _turn: turn });
            }
            Self::There(ticket, asking) => (ticket, asking),
            Self::Named(_) => return Err(Code::Refused.because("this lane is elsewhere")),
        };
        let own = commands.node().id();
        let mut waiting = commands.turns()?.wait(own, ticket)?;
        let asking = match select(asking, pin!(waiting.come())).await {
            Either::Left((Err(error), _)) => return Err(no_turn(error)),
            Either::Left((Ok(_), _)) => {
                return Err(Code::Cancelled.because("its place in the lane was given up"));
            }
            Either::Right((come, asking)) => come.map(|_turn| asking)?,
        };
        Ok(Held::Call {
            _asking: asking,
            _waiting: waiting,
        })
    }
}

/// How far it is.
enum Stage {
    Due,
    Here(BoxFuture<'static, Status>, Output),
    There(node::Stream, Option<Box<Asking>>),
    Ending(Status),
    Over,
}

impl Job {
    /// Lets it begin after what was asked for in this lane before.
    ///
    /// # Errors
    /// If there is too much in this node's own lanes.
    pub(super) fn take_turn(&mut self, turns: &Turns, lane: &str) -> Result<(), Failure> {
        let (rpc, node) = (turns.rpc(), self.commands.node());
        let there = |proxy: Proxy| {
            let mut ticket = Ticket([0; 16]);
            ticket.0.copy_from_slice(&node.random()[..16]);
            let args = Parcel::of(&(Blob(Bytes::copy_from_slice(&ticket.0)), lane));
            let held = proxy.after_lane(lane);
            let asking = match args {
                Ok(args) => held.ask(Act::Call, "turn", args),
                Err(error) => Asking::failed(rpc, error.into()),
            };
            InLane::There(ticket, Box::new(asking))
        };
        // Of a name that is this node's own, the call is answered here, and its turn is as good.
        self.turn = Some(match self.place {
            Place::Here => InLane::Here(rpc.lanes().enter(node.id(), lane, 0)?),
            // What sees to its target itself sees to the lane there.
            Place::ForTarget => InLane::Named(lane.into()),
            Place::Named => there(rpc.proxy(&self.target, AGENT)),
            Place::At(peer) => there(rpc.proxy_at(peer, AGENT)),
        });
        Ok(())
    }

    /// Runs it; dropping the stream interrupts it.
    pub(super) fn run(self) -> impl Stream<Item = Told> + Send + 'static {
        unfold((self, Stage::Due), async |(mut job, stage)| {
            let (what, next) = match job.advance(stage).await {
                Ok(told) => told?,
                Err(failure) if job.target.is_empty() => (News::End(Err(failure)), Stage::Over),
                Err(failure) => (News::End(Err(failure.of(&job.target))), Stage::Over),
            };
            let target = Arc::clone(&job.target);
            Some((Told { target, what }, (job, next)))
        })
    }

    /// What it tells next, and how far it is then; `None` after its end.
    async fn advance(&mut self, stage: Stage) -> Result<Option<(News, Stage)>, Failure> {
        let stage = match stage {
            Stage::Due => self.begin().await?,
            begun => begun,
        };
        Ok(match stage {
            Stage::Here(running, out) => Some(listen(running, out).await),
            Stage::There(stream, turn) => Some(hear(stream, turn).await?),
            Stage::Ending(status) => Some((News::End(Ok(status)), Stage::Over)),
            Stage::Due | Stage::Over => None,
        })
    }

    async fn begin(&mut self) -> Result<Stage, Failure> {
        let turn = self.turn.take();
        let node = self.commands.node();
        let peer = match self.place {
            Place::Here | Place::ForTarget => None,
            Place::Named => node.resolve(&self.target).await?,
            Place::At(peer) => Some(peer),
        };
        let Some(peer) = peer else {
            let out = Output::default();
            let (commands, trace) = (self.commands.clone(), self.trace);
            let mut call = Call::new(commands.clone(), None, self.command.clone(), out.clone());
            call.timeout = self.timeout;
            if matches!(self.place, Place::ForTarget) {
                call.target = Some(Arc::clone(&self.target));
            }
            let held = match turn {
                Some(InLane::Named(lane)) => {
                    call.lane = Some(lane);
                    None
                }
                Some(turn) => Some(turn.come(&commands).await?),
                None => None,
            };
            let running = async move {
                let status = commands.execute(trace, call).await;
                drop(held);
                status
            };
            return Ok(Stage::Here(running.boxed(), out));
        };
        let target: &str = &self.target;
        step!(
            "route",
            node,
            self.trace,
            peer = %peer.short(),
            target,
            "the target is found"
        );
        let stream = node.open(peer, PROTOCOL)?;
        let (ticket, turn) = match turn {
            Some(InLane::There(ticket, asking)) => (Some(ticket), Some(asking)),
            Some(InLane::Here(_) | InLane::Named(_)) | None => (None, None),
        };
        let request = Request::Run {
            trace: self.trace,
            line: self.command.clone(),
            timeout_ms: self.timeout.map(|timeout| timeout.as_millis() as u64),
            ticket,
        };
        stream.send(to_cbor(&request)).await?;
        // It is finished after the exit status: one that is dropped before is reset, which interrupts.
        Ok(Stage::There(stream, turn))
    }
}

async fn listen(mut running: BoxFuture<'static, Status>, out: Output) -> (News, Stage) {
    let ended = match select(&mut running, pin!(out.next())).await {
        Either::Left((status, _)) => Ok(status),
        Either::Right((text, _)) => Err(text),
    };
    let ended = match ended {
        Ok(status) => status,
        Err(text) => return (News::Output(text), Stage::Here(running, out)),
    };
    match out.take_all() {
        text if text.is_empty() => (News::End(Ok(ended)), Stage::Over),
        text => (News::Output(text), Stage::Ending(ended)),
    }
}

async fn hear(
    stream: node::Stream,
    mut turn: Option<Box<Asking>>,
) -> Result<(News, Stage), Failure> {
    let heard = match turn.take() {
        None => stream.recv().await?,
        Some(held) => match select(pin!(stream.recv()), held).await {
            Either::Left((heard, held)) => {
                turn = Some(held);
                heard?
            }
            // Its turn is over: its last words are on their way.
            Either::Right((Ok(_), receiving)) => receiving.await?,
            Either::Right((Err(error), _)) => return Err(no_turn(error)),
        },
    };
    let Some(message) = heard else {
        return Err(Code::BadMessage.because("the command ended without a status"));
    };
    match from_cbor(&message, "a command's response")? {
        Response::Output(text) => Ok((News::Output(text), Stage::There(stream, turn))),
        Response::Exit(status) => {
            stream.finish();
            Ok((News::End(Ok(Status(status))), Stage::Over))
        }
        Response::Commands(_) => {
            Err(Code::BadMessage.because("expected output or a status, got a list of commands"))
        }
    }
}

/// Why it has no turn.
fn no_turn(error: CallError) -> Failure {
    match error {
        CallError::Failed(failure) => failure,
        CallError::Thrown(thrown) => Code::Refused.because(thrown.to_string()),
    }
}
