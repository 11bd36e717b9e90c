//! The caller's side: where a line is to run, and what came of it.

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::OUTPUT_BYTES_MAX;
use crate::log::step;
use crate::node::Stream;
use crate::service::command::line::split_word;
use crate::service::command::server::{Call, Output};
use crate::service::command::wire::{Request, Response};
use crate::service::command::{Commands, Line, PROTOCOL, Status};
use crate::wire::{from_cbor, to_cbor};

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// What it wrote.
    pub output: String,
    /// The number of its steps in the logs.
    pub trace: u64,
}

impl Commands {
    /// Runs a line, here or wherever its `@target` says, and waits for its end.
    ///
    /// # Errors
    /// Why it did not come to an end there: `unknown-name`, `unreachable`, `left`, `gone`… A command
    /// that ended badly is no error but an outcome with a status other than zero.
    pub async fn run(&self, text: &str) -> Result<Outcome, Failure> {
        let trace = self.next_trace();
        let line = Line::parse(text)?;
        let target = line.target.as_deref().unwrap_or("");
        step!(
            "parse",
            trace,
            command = line.command,
            target,
            "a line is typed"
        );
        let outcome = match self.place(&line).await? {
            None => self.run_here(trace, line.here()).await,
            Some(peer) => self.run_there(trace, peer, &line).await?,
        };
        step!(
            "display",
            trace,
            status = outcome.status.0,
            "the result is here"
        );
        Ok(outcome)
    }

    /// Where a line runs. A ping goes to its target, but is a command of this node.
    async fn place(&self, line: &Line) -> Result<Option<NodeId>, Failure> {
        match &line.target {
            Some(target) if split_word(&line.command).0 != "ping" => {
                self.node.resolve(target).await
            }
            _ => Ok(None),
        }
    }

    async fn run_here(&self, trace: u64, command: String) -> Outcome {
        let output = Output::default();
        let call = Call::new(self.clone(), None, command, output.clone());
        let status = self.execute(trace, call).await;
        Outcome {
            status,
            output: output.take_all(),
            trace,
        }
    }

    async fn run_there(&self, trace: u64, peer: NodeId, line: &Line) -> Result<Outcome, Failure> {
        let name = line.target.clone().unwrap_or_default();
        step!("route", trace, peer = %peer.short(), "to {name}");
        let stream = self
            .node
            .open(peer, PROTOCOL)
            .map_err(|failure| failure.of(&name))?;
        let request = Request {
            trace,
            line: line.command.clone(),
        };
        stream.send(to_cbor(&request)).await?;
        stream.finish();
        collect(&stream, trace)
            .await
            .map_err(|failure| failure.of(&name))
    }

    fn next_trace(&self) -> u64 {
        // Distinct between nodes as well, in 53 bits, so that JavaScript can hold it.
        let own = self
            .node
            .id()
            .as_bytes()
            .iter()
            .fold(0, |n: u64, b| n << 3 ^ u64::from(*b));
        let mut table = self.lock();
        table.trace += 1;
        (own << 20 ^ table.trace) & ((1 << 53) - 1)
    }
}

async fn collect(stream: &Stream, trace: u64) -> Result<Outcome, Failure> {
    let mut output = String::new();
    while let Some(message) = stream.recv().await? {
        match from_cbor(&message, "a command's response")? {
            Response::Output(text) if output.len() + text.len() > OUTPUT_BYTES_MAX => {
                let message =
                    format!("expected at most {OUTPUT_BYTES_MAX} bytes of output, got more");
                return Err(Code::TooLarge.because(message));
            }
            Response::Output(text) => output += &text,
            Response::Exit(status) => {
                return Ok(Outcome {
                    status: Status(status),
                    output,
                    trace,
                });
            }
        }
    }
    Err(Code::BadMessage.because("the command ended without a status"))
}
