//! Remote commands: `calc 1+2 @B` runs at B and its output comes back. A line is words; the last word
//! or the first may be `@name`, `@a,b` or `@*`, which says where. Aliases are resolved where the command
//! runs, and only what is registered there can be run.
//!
//! ```text
//! stream `peerage/command/1`
//!   caller → target   one request: run (trace, line, timeout) or list
//!   target → caller   output…, exit status; or the list of commands; then both finish
//! ```
//!
//! Who gives up resets the stream, and the target ends the command. A command in a lane waits for its turn,
//! which the caller takes by a call, of [`rpc`](crate::rpc), to the agent `peerage/command/1`.

mod builtin;
mod calc;
mod client;
mod complete;
mod deadline;
mod job;
mod line;
mod links;
mod log;
mod outcome;
mod output;
pub mod param;
mod server;
mod signature;
mod table;
#[cfg(test)]
mod tests;
mod turn;
mod wire;
mod words;

use core::future::{Future, ready};
use core::pin::Pin;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use client::{News, Run, Told};
pub use complete::{Candidate, Completion};
pub use deadline::parse_duration;
pub use line::{Line, Targets};
pub use outcome::{Outcome, TargetResult};
pub use output::Output;
pub use server::Call;
pub use signature::Signature;
pub use table::Table;

use crate::Time;
use crate::error::{Code, Failure};
use crate::log::Journal;
use crate::node::Node;
use crate::rpc::Rpc;
use crate::service::command::param::{Arg, ParamKind, Params};
use crate::service::command::turn::Turns;

/// The protocol's id.
pub const PROTOCOL: &str = "peerage/command/1";

/// How a command ended: zero is well, anything else is not, as in a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u8);

impl Status {
    /// All is well.
    pub const OK: Self = Self(0);
    /// The command failed.
    pub const FAILED: Self = Self(1);
    /// The command was called in a wrong way.
    pub const USAGE: Self = Self(2);
    /// The command may not be run by this caller.
    pub const FORBIDDEN: Self = Self(126);
    /// There is no such command.
    pub const UNKNOWN: Self = Self(127);
    /// The user has interrupted it.
    pub const INTERRUPTED: Self = Self(130);
}

/// A command that runs.
pub type Running = Pin<Box<dyn Future<Output = Status> + Send>>;

/// Who runs what other nodes ask for, whatever it is.
type Deputy = Arc<dyn Fn(Call, String) -> Running + Send + Sync>;

type Handler = Arc<dyn Fn(Call, Vec<Vec<Arg>>) -> Running + Send + Sync>;

/// The commands of a node: those that others may run here, and the way to run one anywhere. Clones
/// are the same.
#[derive(Clone)]
pub struct Commands {
    node: Node,
    since: Time,
    registry: Arc<Mutex<Registry>>,
}

#[derive(Default)]
struct Registry {
    commands: BTreeMap<String, Entry>,
    aliases: BTreeMap<String, String>,
    turns: Option<Turns>,
    deputy: Option<Deputy>,
    listings: complete::Listings,
    trace: u64,
    /// Commands that others have run here.
    ran: u64,
}

#[derive(Clone)]
struct Entry {
    signature: Signature,
    run: Handler,
    /// Whether it is the caller's own, wherever its target is.
    is_callers: bool,
}

impl Commands {
    /// The built-in commands, and these aliases.
    pub fn new(node: Node, aliases: BTreeMap<String, String>) -> Self {
        let registry = Registry {
            aliases,
            ..Registry::default()
        };
        let commands = Self {
            since: node.now(),
            node,
            registry: Arc::new(Mutex::new(registry)),
        };
        builtin::register(&commands);
        links::register(&commands);
        log::register(&commands, Journal::of_process());
        commands
    }

    /// Adds a command, or replaces the one of that name. `help` says in a line what it does, and
    /// `params` what it takes; its handler gets that read and checked.
    pub fn register<P, F, R>(&self, name: &str, help: &str, params: P, run: F)
    where
        P: Params,
        F: Fn(Call, P::Args) -> R + Send + Sync + 'static,
        R: Future<Output = Status> + Send + 'static,
    {
        self.add(name, help, params, run, false);
    }

    /// Lets somebody else run each line that another node wants to have run here, instead of these commands and
    /// aliases: one who speaks for what is no node itself.
    pub fn hand_over<F, R>(&self, run: F)
    where
        F: Fn(Call, String) -> R + Send + Sync + 'static,
        R: Future<Output = Status> + Send + 'static,
    {
        let deputy = move |call, line| Box::pin(run(call, line)) as Running;
        self.lock().deputy = Some(Arc::new(deputy));
    }

    /// As [`Commands::register`], for a command that runs at the caller's node though its target is
    /// another, which it finds in [`Call::target`]: of what only the caller has.
    pub fn register_for_caller<P, F, R>(&self, name: &str, help: &str, params: P, run: F)
    where
        P: Params,
        F: Fn(Call, P::Args) -> R + Send + Sync + 'static,
        R: Future<Output = Status> + Send + 'static,
    {
        self.add(name, help, params, run, true);
    }

    fn add<P, F, R>(&self, name: &str, help: &str, params: P, run: F, is_callers: bool)
    where
        P: Params,
        F: Fn(Call, P::Args) -> R + Send + Sync + 'static,
        R: Future<Output = Status> + Send + 'static,
    {
        let signature = Signature {
            name: name.to_owned(),
            help: help.to_owned(),
            params: params.list(),
        };
        debug_assert_eq!(signature.check(), Ok(()));
        let run: Handler = Arc::new(move |call, args| match P::take(args) {
            Some(args) => Box::pin(run(call, args)),
            // Arguments are read by the same parameters.
            None => Box::pin(ready(Status::USAGE)),
        });
        let entry = Entry {
            signature,
            run,
            is_callers,
        };
        self.lock().commands.insert(name.to_owned(), entry);
    }

    /// Lets commands name a lane, those of others here and those of this node anywhere: the lanes in which
    /// calls of these objects are.
    ///
    /// # Errors
    /// `refused` if these objects have the lanes of other commands already.
    pub fn share_lanes(&self, rpc: &Rpc) -> Result<(), Failure> {
        let turns = Turns::new(rpc)?;
        self.lock().turns = Some(turns);
        Ok(())
    }

    fn turns(&self) -> Result<Turns, Failure> {
        let none = || Code::Refused.because("commands have no lanes at this node");
        self.lock().turns.clone().ok_or_else(none)
    }

    /// The node that these belong to.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// How many commands others have run here.
    pub fn ran(&self) -> u64 {
        self.lock().ran
    }

    /// What can be said here, in order of the names: commands, and aliases in place of those that they
    /// hide.
    pub fn signatures(&self) -> Vec<Signature> {
        let registry = self.lock();
        let commands = registry.commands.iter();
        let mut all: BTreeMap<_, _> = commands
            .map(|(name, entry)| (name, entry.signature.clone()))
            .collect();
        for (name, meaning) in &registry.aliases {
            let help = format!("alias of `{meaning}`");
            let params = Vec::new();
            let name_here = name.clone();
            let signature = Signature {
                name: name_here,
                help,
                params,
            };
            all.insert(name, signature);
        }
        all.into_values().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    /// Whether a command is the caller's own, wherever its target is.
    fn is_callers(&self, name: &str) -> bool {
        self.commands
            .get(name)
            .is_some_and(|entry| entry.is_callers)
    }

    /// Whether a command needs to be told a node first of all.
    fn takes_node(&self, name: &str) -> bool {
        let first = self
            .commands
            .get(name)
            .and_then(|entry| entry.signature.params.first());
        first.is_some_and(|param| param.kind == ParamKind::Node && !param.optional)
    }
}
