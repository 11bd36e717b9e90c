//! The caller's side: a line runs at its targets, and what they say comes back.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, BoxStream, Stream, StreamExt};

use crate::Time;
use crate::error::{Code, Failure};
use crate::limits::{DEADLINE_MAX, TARGETS_AT_ONCE, TARGETS_MAX};
use crate::log::{event, step};
use crate::node::Node;
use crate::service::command::deadline::timed_out;
use crate::service::command::job::{Job, Place};
use crate::service::command::line::Targets;
use crate::service::command::outcome::{Collected, Outcome};
use crate::service::command::words::{name_in, split_word};
use crate::service::command::{Commands, Line, Status};
use crate::service::lane::check_lane;

/// News of a line that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which target this is of, as it was typed; empty for a line without one.
    pub target: Arc<str>,
    /// What it is.
    pub what: News,
}

/// What a target has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The command wrote this.
    Output(String),
    /// The command has ended there, or why it cannot.
    End(Result<Status, Failure>),
}

/// A line that runs: a stream of what its targets tell, each of which ends once. If it is dropped, the
/// command is interrupted everywhere; if it is not read, those that write wait.
pub struct Run {
    node: Node,
    pub(super) trace: u64,
    targets: Vec<Arc<str>>,
    is_several: bool,
    pub(super) collected: Collected,
    running: BoxStream<'static, Told>,
    /// Targets that have not ended.
    unfinished: Vec<Arc<str>>,
    timeout: Option<(Time, BoxFuture<'static, ()>)>,
}

impl Commands {
    /// Runs a line, here or wherever its `@target` says, and waits for its end.
    ///
    /// # Errors
    /// Why it did not come to an end there: `unknown-name`, `unreachable`, `left`, `gone`… A command
    /// that ended badly is no error but an outcome with a status other than zero; and so is one of
    /// several targets that cannot be reached.
    pub async fn run(&self, text: &str) -> Result<Outcome, Failure> {
        self.start(text, None)?.outcome().await
    }

    /// Begins to run a line, which is interrupted wherever it has not ended after `timeout`.
    ///
    /// # Errors
    /// Why the line cannot be read, or that `@*` is nobody.
    pub fn start(&self, text: &str, timeout: Option<Time>) -> Result<Run, Failure> {
        self.start_in(None, text, timeout)
    }

    /// As [`Commands::start`], in a lane: at each target it begins after what this node asked for there, in
    /// this lane, before.
    ///
    /// # Errors
    /// As [`Commands::start`]; `refused` if commands have no lanes at this node.
    pub fn start_in(
        &self,
        lane: Option<&str>,
        text: &str,
        timeout: Option<Time>,
    ) -> Result<Run, Failure> {
        let trace = self.next_trace();
        let line = Line::parse(text)?;
        let timeout = [timeout, line.timeout].into_iter().flatten().min();
        let timeout = timeout.map(|timeout| timeout.min(DEADLINE_MAX));
        let is_several = match &line.targets {
            Targets::Here => false,
            Targets::Everyone => true,
            Targets::Named(names) => names.len() > 1,
        };
        let mut jobs = self.jobs(trace, &line, timeout)?;
        if let Some(lane) = lane.or(line.lane.as_deref()) {
            check_lane(lane)?;
            let turns = self.turns()?;
            for job in &mut jobs {
                job.take_turn(&turns, lane)?;
            }
        }
        // Who has a place in a lane must not let others wait for what is none of theirs.
        let at_once = match jobs.iter().any(|job| job.turn.is_some()) {
            true => TARGETS_MAX,
            false => TARGETS_AT_ONCE,
        };
        let targets: Vec<_> = jobs.iter().map(|job| Arc::clone(&job.target)).collect();
        step!(
            "parse",
            self.node,
            trace,
            command = name_in(&line.command),
            target = targets.join(","),
            "a line is typed"
        );
        let running = stream::iter(jobs)
            .map(|job| job.run().boxed())
            .flatten_unordered(at_once)
            .boxed();
        let timeout = timeout.map(|timeout| {
            let node = self.node.clone();
            (timeout, async move { node.sleep(timeout).await }.boxed())
        });
        Ok(Run {
            node: self.node.clone(),
            trace,
            unfinished: targets.clone(),
            collected: Collected::new(&targets),
            targets,
            is_several,
            running,
            timeout,
        })
    }

    fn jobs(&self, trace: u64, line: &Line, timeout: Option<Time>) -> Result<Vec<Job>, Failure> {
        let job = |target: &str, place, command: String| Job {
            commands: self.clone(),
            trace,
            target: target.into(),
            place,
            command,
            timeout,
            turn: None,
        };
        // A command about a node runs here, with the target as its argument.
        let about_node = self.is_about_node(&line.command);
        let is_callers = self.lock().is_callers(split_word(&line.command).0);
        let at = |name: &str, place| match (about_node, is_callers) {
            (true, _) => job(name, Place::Here, format!("{} @{name}", line.command)),
            (_, true) => job(name, Place::ForTarget, line.command.clone()),
            _ => job(name, place, line.command.clone()),
        };
        match &line.targets {
            Targets::Here => Ok(vec![job("", Place::Here, line.command.clone())]),
            Targets::Named(names) => {
                let named = names.iter().map(|name| at(name, Place::Named));
                Ok(named.collect())
            }
            Targets::Everyone => {
                let peers = self.node.peers();
                if peers.is_empty() {
                    return Err(Code::UnknownName.because("nobody else is here").of("*"));
                }
                let all = peers.iter();
                Ok(all.map(|p| at(p.name.as_str(), Place::At(p.id))).collect())
            }
        }
    }

    /// Whether a line is of a command that takes a node, such as `ping`, and says none yet.
    fn is_about_node(&self, command: &str) -> bool {
        let (name, args) = split_word(command);
        args.is_empty() && self.lock().takes_node(name)
    }

    fn next_trace(&self) -> u64 {
        // Distinct between nodes as well, in 53 bits, so that JavaScript can hold it.
        let own = self
            .node
            .id()
            .as_bytes()
            .iter()
            .fold(0, |n: u64, b| n << 3 ^ u64::from(*b));
        let mut registry = self.lock();
        registry.trace += 1;
        (own << 20 ^ registry.trace) & ((1 << 53) - 1)
    }
}

impl Run {
    /// Where it runs, in the order of the line: each as it was typed, or empty for a line without a
    /// target.
    pub fn targets(&self) -> &[Arc<str>] {
        &self.targets
    }

    /// Whether the line says `@a,b` or `@*`.
    pub fn is_several(&self) -> bool {
        self.is_several
    }

    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<Option<Told>> {
        if let Poll::Ready(told) = self.running.poll_next_unpin(cx) {
            return Poll::Ready(told);
        }
        let Some((timeout, over)) = &mut self.timeout else {
            return Poll::Pending;
        };
        ready!(over.poll_unpin(cx));
        let failure = timed_out(*timeout);
        self.timeout = None;
        let late = self.unfinished.clone().into_iter().map(move |target| {
            let end = Err(failure.clone().of(&target));
            Told {
                target,
                what: News::End(end),
            }
        });
        // What still runs is dropped by this, and so interrupted.
        self.running = stream::iter(late).boxed();
        self.running.poll_next_unpin(cx)
    }
}

impl Stream for Run {
    type Item = Told;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Told>> {
        let told = ready!(self.poll_told(cx));
        if let Some(Told {
            target,
            what: News::End(result),
        }) = &told
        {
            self.unfinished.retain(|unfinished| unfinished != target);
            let target: &str = target;
            match result {
                Ok(status) => step!(
                    "display",
                    self.node,
                    self.trace,
                    target,
                    status = status.0,
                    "the result is here"
                ),
                Err(failure) => {
                    let (trace, code) = (self.trace, failure.code);
                    event!(MESSAGE, DEBUG, self.node.id(), trace, target, %code, "no result");
                }
            }
        }
        Poll::Ready(told)
    }
}
