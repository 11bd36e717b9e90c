//! Remote commands: `calc 1+2 @B` runs at B and its output comes back. A line is words; the last word
//! or the first may be `@name`, which says where. Aliases are resolved where the command runs.
//!
//! ```text
//! stream `peerage/command/1`
//!   caller → target   one request: trace, line
//!   target → caller   output…, exit status; then both finish
//! ```

mod builtin;
mod client;
mod line;
mod server;
mod wire;

use core::future::Future;
use core::pin::Pin;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use client::Outcome;
pub use line::Line;
pub use server::{Call, Output};

use crate::node::Node;

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
}

/// A command that runs.
pub type Running = Pin<Box<dyn Future<Output = Status> + Send>>;

type Run = Arc<dyn Fn(Call) -> Running + Send + Sync>;

/// The commands of a node: those that others may run here, and the way to run one anywhere. Clones
/// are the same.
#[derive(Clone)]
pub struct Commands {
    node: Node,
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    commands: BTreeMap<String, Entry>,
    aliases: BTreeMap<String, String>,
    trace: u64,
}

#[derive(Clone)]
struct Entry {
    help: String,
    run: Run,
}

impl Commands {
    /// The built-in commands, and these aliases.
    pub fn new(node: Node, aliases: BTreeMap<String, String>) -> Self {
        let table = Table {
            aliases,
            ..Table::default()
        };
        let commands = Self {
            node,
            table: Arc::new(Mutex::new(table)),
        };
        builtin::register(&commands);
        commands
    }

    /// Adds a command, or replaces the one of that name. `help` is one line for the `help` command.
    pub fn register<F, R>(&self, name: &str, help: &str, run: F)
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Status> + Send + 'static,
    {
        let run: Run = Arc::new(move |call| Box::pin(run(call)));
        self.lock().commands.insert(
            name.to_owned(),
            Entry {
                help: help.to_owned(),
                run,
            },
        );
    }

    /// The node that these belong to.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The names and aliases that can be said here, in order.
    pub fn names(&self) -> Vec<String> {
        let table = self.lock();
        let mut names: Vec<_> = table
            .commands
            .keys()
            .chain(table.aliases.keys())
            .cloned()
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
