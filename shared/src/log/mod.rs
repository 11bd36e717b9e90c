//! What a node tells of its work, as `tracing` events of four categories. A category is a target, so that a
//! filter can choose it: `PEERAGE_LOG=peerage::connection=debug`.
//!
//! | category | target | what |
//! |---|---|---|
//! | connection | [`CONNECTION`] | links, routes, paths and sessions: how they begin, and why they end |
//! | message | [`MESSAGE`], and [`STEPS`] for commands | streams, calls, scripts; what is refused or dropped, with its count |
//! | discovery | [`DISCOVERY`] | names, who is here and who went, who is found |
//! | error | [`ERROR`] | what went wrong, and somebody should look at |
//!
//! | level | what |
//! |---|---|
//! | ERROR | the node cannot do a part of its work |
//! | WARN | it can, but an operator should look |
//! | INFO | what a user did, or notices: commands, who comes and goes |
//! | DEBUG | the life of a link, a session, a script; a stream that ends badly |
//! | TRACE | each stream, call, record and route |
//!
//! Events of the category error, and no others, are WARN or ERROR. What happens for each record, message or
//! call is TRACE, which costs a branch while nobody listens.
//!
//! Each event has the ids of what it is about, as fields: `node` is who tells, `peer` another node (both the
//! beginning of the id), `link`, `route`, `session` and `stream` are numbers at that node, `trace` one of a
//! command at both nodes. **Nothing secret is told**: no keys, no handles of objects (who knows one may use
//! the object), nothing of what is carried, neither arguments nor results. Of a command only its name is told.
//! So every member of a zone may read a node's log, by the command `log`, unless its configuration says no.
//!
//! The seven steps of a remote command are INFO events of target [`STEPS`], with the fields `step`
//! and `trace`, which is the same number on both nodes:
//!
//! | step | at | what |
//! |---|---|---|
//! | `parse` | caller | the line is split into a command and `@B` |
//! | `route` | caller | `@B` is a node id, and by which path |
//! | `deliver` | target | the command has arrived |
//! | `translate` | target | aliases are resolved |
//! | `execute` | target | the command runs |
//! | `return` | target | status and output go back |
//! | `display` | caller | the result is here |

mod entry;
mod journal;
mod json;
#[cfg(test)]
mod tests;

use core::fmt;
use core::str::FromStr;

pub use entry::{Entry, Value};
pub use journal::{Journal, News, Reader};
#[cfg(test)]
pub(crate) use tests::Ear;
use tracing::{Level, Metadata};

/// The target of events of the category connection.
pub const CONNECTION: &str = "peerage::connection";
/// The target of events of the category message.
pub const MESSAGE: &str = "peerage::message";
/// The target of events of the category discovery.
pub const DISCOVERY: &str = "peerage::discovery";
/// The target of events of the category error.
pub const ERROR: &str = "peerage::error";
/// The target of the events that tell a remote command's steps, which are messages.
pub const STEPS: &str = "peerage::command";

/// The least level that a node keeps for those who ask. What follows a log is itself carried by messages,
/// so TRACE would tell of its own telling, without end.
pub const KEPT: Level = Level::DEBUG;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Links, routes, paths and sessions.
    Connection,
    /// Streams and what is carried on them.
    Message,
    /// Names, and who is here.
    Discovery,
    /// What went wrong, and somebody should look at.
    Error,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Connection,
        Self::Message,
        Self::Discovery,
        Self::Error,
    ];

    /// The category of a target; `None` if it is not one of Peerage.
    pub fn of(target: &str) -> Option<Self> {
        match target {
            CONNECTION => Some(Self::Connection),
            MESSAGE | STEPS => Some(Self::Message),
            DISCOVERY => Some(Self::Discovery),
            ERROR => Some(Self::Error),
            _ => None,
        }
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Message => "message",
            Self::Discovery => "discovery",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Category {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|known| known.as_str() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("expected one of {names}, got `{text}`")
        })
    }
}

/// Whether a [`Journal`] is to have such events.
pub fn is_kept(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= KEPT && Category::of(metadata.target()).is_some()
}

/// Tells something of a category at a level, as the node of this id.
macro_rules! event {
    ($category:ident, $level:ident, $node:expr, $($field:tt)+) => {
        tracing::event!(
            target: $crate::log::$category,
            tracing::Level::$level,
            node = %$node.short(),
            $($field)+
        )
    };
}
pub(crate) use event;

/// Tells one step of a command, as this node.
macro_rules! step {
    ($step:literal, $node:expr, $trace:expr, $($field:tt)*) => {
        tracing::info!(
            target: $crate::log::STEPS,
            step = $step,
            trace = $trace,
            node = %$node.id().short(),
            $($field)*
        )
    };
}
pub(crate) use step;
