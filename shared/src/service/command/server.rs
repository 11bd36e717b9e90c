//! The target's side: the commands that others run here.

use core::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{COMMAND_BYTES_MAX, COMMANDS_MAX, DEADLINE_MAX, LISTING_BYTES_MAX};
use crate::log::{event, step};
use crate::node::{Node, Stream};
use crate::service::command::deadline::within;
use crate::service::command::line::translate;
use crate::service::command::output::Output;
use crate::service::command::turn::Waiting;
use crate::service::command::wire::{Request, Response};
use crate::service::command::words::{name_in, split_word};
use crate::service::command::{Commands, PROTOCOL, Signature, Status};
use crate::service::lane::Turn;
use crate::wire::{from_cbor, to_cbor};

/// Bytes of one output message.
const CHUNK_BYTES: usize = 8 * 1024;
/// Bytes of a request that are not its line.
const REQUEST_HEAD_BYTES: usize = 64;

/// One execution of a command. When its caller interrupts it, or its time is over, its future is dropped.
pub struct Call {
    /// All commands of this node.
    pub commands: Commands,
    /// Who runs it; `None` if it is this node's own user.
    pub caller: Option<NodeId>,
    /// Where a command of the caller's own is to have its effect, as it was typed; `None` is here.
    pub target: Option<Arc<str>>,
    /// In which lane of its target that is to be, if it is a command of the caller's own.
    pub lane: Option<Arc<str>>,
    /// After how long it is interrupted.
    pub timeout: Option<Time>,
    /// Its place in a lane: the next begins when the command has ended and every clone of this is dropped,
    /// or when this [lets it](Turn::let_next).
    pub turn: Option<Turn>,
    /// What it writes.
    pub out: Output,
    line: String,
}

impl Call {
    pub(super) fn new(
        commands: Commands,
        caller: Option<NodeId>,
        line: String,
        out: Output,
    ) -> Self {
        Self {
            commands,
            caller,
            target: None,
            lane: None,
            timeout: None,
            turn: None,
            out,
            line,
        }
    }

    /// The node on which it runs.
    pub fn node(&self) -> &Node {
        self.commands.node()
    }

    /// Writes a last line and tells how it ended.
    pub fn end(&self, status: Status, text: impl AsRef<str>) -> Status {
        self.out.write(text.as_ref());
        status
    }
}

impl Commands {
    /// Runs what other nodes ask for, until this node leaves. Somebody has to run this future.
    pub async fn serve(&self) {
        let mut listener = self.node.listen(PROTOCOL);
        let mut running = FuturesUnordered::new();
        loop {
            let accept = pin!(listener.accept());
            let stream = if running.is_empty() {
                accept.await
            } else {
                match select(accept, running.next()).await {
                    Either::Left((stream, _)) => stream,
                    Either::Right(_) => continue,
                }
            };
            match stream {
                Some(stream) if running.len() < COMMANDS_MAX + self.waiting() => {
                    running.push(self.answer(stream));
                }
                Some(stream) => {
                    let message = format!("{COMMANDS_MAX} commands run here already");
                    event!(
                        ERROR, WARN, self.node.id(),
                        peer = %stream.peer().short(), most = COMMANDS_MAX,
                        "too many commands"
                    );
                    stream.reset(Code::Overloaded.because(message));
                }
                None => return,
            }
        }
    }

    /// How many commands wait for their turn.
    fn waiting(&self) -> usize {
        self.turns().map_or(0, |turns| turns.waiting())
    }

    async fn answer(&self, stream: Stream) {
        if let Err(failure) = self.converse(&stream).await {
            let (peer, session) = (stream.peer(), stream.session());
            let code = failure.code;
            event!(
                MESSAGE, DEBUG, self.node.id(),
                peer = %peer.short(), session, %code,
                "command not answered"
            );
            stream.reset(failure);
        }
    }

    async fn converse(&self, stream: &Stream) -> Result<(), Failure> {
        let Some(message) = stream.recv().await? else {
            return Err(Code::BadMessage.because("expected a command, got the end of the stream"));
        };
        if message.len() > COMMAND_BYTES_MAX + REQUEST_HEAD_BYTES {
            return Err(Code::TooLarge.because("the command line is too long"));
        }
        match from_cbor(&message, "a command's request")? {
            Request::Run {
                trace,
                line,
                timeout_ms,
                ticket,
            } => {
                let timeout = timeout_ms.map(Time::from_millis);
                let place = ticket.map(|ticket| self.turns()?.wait(stream.peer(), ticket));
                self.run_for(stream, (trace, line), timeout, place.transpose()?)
                    .await?;
            }
            Request::List => {
                let listing = Response::Commands(self.listing());
                stream.send(to_cbor(&listing)).await?;
            }
        }
        stream.finish();
        Ok(())
    }

    async fn run_for(
        &self,
        stream: &Stream,
        (trace, line): (u64, String),
        timeout: Option<Time>,
        mut place: Option<Waiting>,
    ) -> Result<(), Failure> {
        let caller = stream.peer();
        self.lock().ran += 1;
        step!(
            "deliver",
            self.node,
            trace,
            peer = %caller.short(),
            command = name_in(&line),
            "a command has arrived"
        );
        let out = Output::default();
        let mut call = Call::new(self.clone(), Some(caller), line, out.clone());
        call.timeout = timeout;
        let executing = async {
            let Some(place) = &mut place else {
                return Ok(self.execute(trace, call).await);
            };
            call.turn = Some(place.come().await?);
            // Who gives up the turn gives up the command.
            match select(pin!(place.over()), pin!(self.execute(trace, call))).await {
                Either::Left((failure, _)) => Err(failure),
                Either::Right((status, _)) => Ok(status),
            }
        };
        let executed = async {
            match select(pin!(executing), pin!(convey(stream, &out))).await {
                Either::Left((status, _)) => status,
                Either::Right((failure, _)) => Err(failure),
            }
        };
        let status = match timeout {
            Some(timeout) => within(&self.node, timeout.min(DEADLINE_MAX), executed).await??,
            None => executed.await?,
        };
        send_text(stream, &out.take_all()).await?;
        step!(
            "return",
            self.node,
            trace,
            status = status.0,
            "status and output go back"
        );
        stream.send(to_cbor(&Response::Exit(status.0))).await
    }

    /// Translates aliases and executes what they stand for.
    pub(super) async fn execute(&self, trace: u64, call: Call) -> Status {
        let deputy = self.lock().deputy.clone();
        if let Some(deputy) = deputy.filter(|_| call.caller.is_some()) {
            let line = call.line.clone();
            return deputy(call, line).await;
        }
        let translated = translate(&self.lock().aliases, &call.line);
        let line = match translated {
            Ok(line) => line,
            Err(failure) => return call.end(Status::FAILED, failure.message),
        };
        step!(
            "translate",
            self.node,
            trace,
            from = name_in(&call.line),
            to = name_in(&line),
            "aliases are resolved"
        );
        let (name, args) = split_word(&line);
        let entry = self.lock().commands.get(name).cloned();
        let Some(entry) = entry else {
            let text = format!("unknown command `{name}`; `help` lists those that are known");
            return call.end(Status::UNKNOWN, text);
        };
        let read = match entry.signature.read(args) {
            Ok(read) => read,
            Err(usage) => return call.end(Status::USAGE, usage),
        };
        step!(
            "execute",
            self.node,
            trace,
            command = name,
            "the command runs"
        );
        (entry.run)(call, read).await
    }

    /// What others may complete, as much as fits a message.
    fn listing(&self) -> Vec<Signature> {
        let mut room = LISTING_BYTES_MAX;
        let mut listing = self.signatures();
        let fitting = listing.iter().take_while(|signature| {
            let bytes = to_cbor(*signature).len();
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        });
        let count = fitting.count();
        listing.truncate(count);
        listing
    }
}

/// Sends what is written as it comes, until the caller gives up.
async fn convey(stream: &Stream, out: &Output) -> Failure {
    loop {
        let text = match select(pin!(out.next()), pin!(given_up(stream))).await {
            Either::Left((text, _)) => text,
            Either::Right((failure, _)) => return failure,
        };
        if let Err(failure) = send_text(stream, &text).await {
            return failure;
        }
    }
}

/// Waits for a reset. More messages than one are against the protocol.
async fn given_up(stream: &Stream) -> Failure {
    match stream.recv().await {
        Err(failure) => failure,
        Ok(Some(_)) => Code::BadMessage.because("expected one command on a stream, got more"),
        // The caller has said all; only a reset can follow.
        Ok(None) => stream.broken().await,
    }
}

async fn send_text(stream: &Stream, text: &str) -> Result<(), Failure> {
    let mut rest = text;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(rest.floor_char_boundary(CHUNK_BYTES));
        stream
            .send(to_cbor(&Response::Output(chunk.to_owned())))
            .await?;
        rest = after;
    }
    Ok(())
}
