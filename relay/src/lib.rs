//! Peerage's native runtime: it lends the core tokio's sockets and clock, serves a relay's web side,
//! and is the program `peerage`.

pub mod cli;
pub mod config;
pub mod link;
pub mod log;
mod node;
pub mod runtime;
pub mod web;

use std::collections::BTreeMap;

use peerage::service::command::Commands;
use peerage::{Config, Failure};
use url::Url;

pub use node::Node;
pub use runtime::Runtime;

/// A node with its commands, online at one of these relays, and the runtime to wait for once it is
/// closed.
///
/// # Errors
/// Why no relay can be reached, or does not want the node.
pub async fn join(
    config: Config,
    relays: Vec<Url>,
    aliases: BTreeMap<String, String>,
) -> Result<(Commands, Runtime), JoinError> {
    let (node, runtime) = Runtime::start(config, relays)?;
    let commands = serve_commands(node, aliases);
    if let Err(failure) = commands.node().online(false).await {
        commands.node().close();
        runtime.finished().await;
        return Err(JoinError::Failed(failure));
    }
    Ok((commands, runtime))
}

/// The commands of a node, open to the others.
pub fn serve_commands(node: peerage::Node, aliases: BTreeMap<String, String>) -> Commands {
    let commands = Commands::new(node, aliases);
    let serving = commands.clone();
    tokio::spawn(async move { serving.serve().await });
    commands
}

/// Why a node is not online.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    NoEntropy(#[from] getrandom::Error),
    /// No relay can be reached, or none wants the node.
    #[error("{0}")]
    Failed(Failure),
}
