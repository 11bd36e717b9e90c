//! Scripts that run at a node and use the network: [Rhai](https://rhai.rs) in a sandbox, natively and in a
//! tab alike.
//!
//! ```rhai
//! let calc = peer("B").proxy("Calculator");
//! print(calc.add(1, 2));
//! let squares = across(peers(), [1, 2, 3], |x| x * x);
//! ```
//!
//! | in a script | what it does |
//! |---|---|
//! | `here()`, `peers()` | the name of the node at which it runs; the names of the others |
//! | `peer(name)` | a node; `.name`, `.run(line)`, `.proxy(agent)` |
//! | `proxy.method(…)`, `.get(name)`, `.set(name, value)` | uses an object there |
//! | `run(line)` | a command's output; what fails is thrown |
//! | `across(peers, data, function)` | the function's results of all data, worked out by those nodes |
//! | `sleep(seconds)`, `print(value)` | waits; writes a line |
//! | `args` | what the script was given |
//!
//! **How it waits.** Rhai runs to its end without a pause, and a tab must not wait. So a script that needs
//! something of the network stops there, and begins again when it has come: what came before is taken from
//! a record, and nothing is done twice. A script has no clock and no chance of its own, so it comes to the
//! same place again. What it costs: a script with a thousand calls in a row begins a thousand times;
//! [`across`](crate::Scripts) has them made at once.
//!
//! **What it may.** What stands above, and nothing of the node's own. Its steps, its memory and its time are
//! limited ([`Limits`]). What travels may use only names that it binds itself; otherwise it is refused
//! before it leaves, with the names.

mod across;
mod check;
mod command;
mod convert;
mod engine;
mod host;
mod language;
mod scripts;
mod tape;

pub use engine::Limits;
pub use scripts::{AGENT, Compute, Load, Platform, Script, Scripts};

/// Why a script did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It cannot be read.
    #[error("{0}")]
    Syntax(String),
    /// It uses names that it does not bind itself.
    #[error("what travels may use only names that it binds itself; this uses {}", .0.join(", "))]
    Unbound(Vec<String>),
    /// It went beyond a limit.
    #[error("the script takes too much: {0}")]
    Limit(String),
    /// It threw something, or was wrong.
    #[error("{0}")]
    Thrown(String),
    /// It was to run elsewhere, and that failed.
    #[error("{0}")]
    Call(#[from] peerage::rpc::CallError),
}
