//! The target's side: the commands that others run here.

use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{COMMAND_BYTES_MAX, COMMANDS_MAX, OUTPUT_BYTES_MAX};
use crate::log::step;
use crate::node::{Node, Stream};
use crate::service::command::line::{split_word, translate};
use crate::service::command::wire::{Request, Response};
use crate::service::command::{Commands, PROTOCOL, Status};
use crate::wire::{from_cbor, to_cbor};

/// Bytes of one output message.
const CHUNK_BYTES: usize = 8 * 1024;

/// One execution of a command.
pub struct Call {
    /// All commands of this node.
    pub commands: Commands,
    /// Who runs it; `None` if it is this node's own user.
    pub caller: Option<NodeId>,
    /// Its arguments, as they were typed.
    pub args: String,
    /// What it writes.
    pub out: Output,
    line: String,
}

/// Where a command writes. Clones are the same. What a caller does not take in time is dropped
/// beyond a limit, and the caller is told how much.
#[derive(Clone, Default)]
pub struct Output(Arc<Mutex<Written>>);

#[derive(Default)]
struct Written {
    text: String,
    dropped_bytes: usize,
    reader: Option<Waker>,
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
            args: String::new(),
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

impl Output {
    /// Writes.
    pub fn write(&self, text: &str) {
        let mut written = self.lock();
        if written.text.len() + text.len() > OUTPUT_BYTES_MAX {
            written.dropped_bytes += text.len();
        } else {
            written.text += text;
        }
        if let Some(reader) = written.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn take_all(&self) -> String {
        let mut written = self.lock();
        let mut text = core::mem::take(&mut written.text);
        let dropped = core::mem::take(&mut written.dropped_bytes);
        if dropped > 0 {
            text += &format!("\n[{dropped} bytes of output were dropped]");
        }
        text
    }

    /// Waits until something is written, and takes it.
    async fn next(&self) -> String {
        poll_fn(|cx| {
            let mut written = self.lock();
            if written.text.is_empty() {
                written.reader = Some(cx.waker().clone());
                Poll::Pending
            } else {
                Poll::Ready(core::mem::take(&mut written.text))
            }
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Commands {
    /// Runs what other nodes ask for, until this node leaves. Somebody has to run this future.
    pub async fn serve(&self) {
        let mut listener = self.node.listen(PROTOCOL);
        let mut running = FuturesUnordered::new();
        loop {
            let accept = core::pin::pin!(listener.accept());
            let stream = if running.is_empty() {
                accept.await
            } else {
                match select(accept, running.next()).await {
                    Either::Left((stream, _)) => stream,
                    Either::Right(_) => continue,
                }
            };
            match stream {
                Some(stream) if running.len() < COMMANDS_MAX => running.push(self.answer(stream)),
                Some(stream) => {
                    let message = format!("{COMMANDS_MAX} commands run here already");
                    stream.reset(Code::Overloaded.because(message));
                }
                None => return,
            }
        }
    }

    async fn answer(&self, stream: Stream) {
        if let Err(failure) = self.converse(&stream).await {
            tracing::debug!(peer = %stream.peer().short(), %failure, "command not answered");
            stream.reset(failure);
        }
    }

    async fn converse(&self, stream: &Stream) -> Result<(), Failure> {
        let Some(message) = stream.recv().await? else {
            return Err(Code::BadMessage.because("expected a command, got the end of the stream"));
        };
        let Request { trace, line } = from_cbor(&message, "a command's request")?;
        if line.len() > COMMAND_BYTES_MAX {
            return Err(Code::TooLarge.because("the command line is too long"));
        }
        let caller = stream.peer();
        step!("deliver", trace, caller = %caller.short(), command = line, "a command has arrived");
        let out = Output::default();
        let call = Call::new(self.clone(), Some(caller), line, out.clone());
        let status = {
            let executed = core::pin::pin!(self.execute(trace, call));
            let conveyed = core::pin::pin!(convey(stream, &out));
            match select(executed, conveyed).await {
                Either::Left((status, _)) => status,
                Either::Right((failure, _)) => return Err(failure),
            }
        };
        send_text(stream, &out.take_all()).await?;
        step!(
            "return",
            trace,
            status = status.0,
            "status and output go back"
        );
        stream.send(to_cbor(&Response::Exit(status.0))).await?;
        stream.finish();
        Ok(())
    }

    /// Translates aliases and executes what they stand for.
    pub(super) async fn execute(&self, trace: u64, mut call: Call) -> Status {
        let translated = translate(&self.lock().aliases, &call.line);
        let line = match translated {
            Ok(line) => line,
            Err(failure) => return call.end(Status::FAILED, failure.message),
        };
        step!(
            "translate",
            trace,
            from = call.line,
            to = line,
            "aliases are resolved"
        );
        let (name, args) = split_word(&line);
        let entry = self.lock().commands.get(name).cloned();
        let Some(entry) = entry else {
            let text = format!("unknown command `{name}`; `help` lists those that are known");
            return call.end(Status::UNKNOWN, text);
        };
        call.args = args.to_owned();
        step!("execute", trace, command = name, args, "the command runs");
        (entry.run)(call).await
    }
}

/// Sends what is written as it comes, until the caller gives up.
async fn convey(stream: &Stream, out: &Output) -> Failure {
    loop {
        let text = {
            let next = core::pin::pin!(out.next());
            let given_up = core::pin::pin!(given_up(stream));
            match select(next, given_up).await {
                Either::Left((text, _)) => text,
                Either::Right((failure, _)) => return failure,
            }
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
        let mut len = rest.len().min(CHUNK_BYTES);
        while !rest.is_char_boundary(len) {
            len -= 1;
        }
        let (chunk, after) = rest.split_at(len);
        stream
            .send(to_cbor(&Response::Output(chunk.to_owned())))
            .await?;
        rest = after;
    }
    Ok(())
}
