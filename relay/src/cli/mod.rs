//! The command line: `peerage relay`, `peerage peer`, `peerage adapter`, `peerage check`, `peerage config` and
//! `peerage idl`.

mod adapter;
mod check;
mod config;
mod door;
mod front;
mod idl;
mod log;
mod mqtt;
mod peer;
mod prompt;
mod relay;
mod report;
mod stop;
mod traces;

use std::io::Write;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use door::Door;
use peerage::Name;
use url::Url;

use crate::config::{ConfigError, FileConfig, RelayAddress};
use crate::discovery::{Browsing, Way, kai};
use crate::{JoinError, Node};

/// Peerage: a full network peer, in a browser tab and everywhere else.
#[derive(Parser)]
#[command(name = "peerage", version, about)]
struct Args {
    #[command(subcommand)]
    task: Task,
    /// How to log on the standard error [default: text, or as PEERAGE_LOG_FORMAT says].
    #[arg(long, value_name = "FORMAT", global = true)]
    log: Option<log::Format>,
}

#[derive(Subcommand)]
enum Task {
    /// Run a relay, with the console at its address: the primary of a mesh, or one that calls another.
    Relay(relay::Args),
    /// Run a peer: an interactive prompt, or one command.
    Peer(peer::Args),
    /// Run an adapter: hardware, or a simulation of it, as a node.
    Adapter(adapter::Args),
    /// Try every way to reach others, or one of them, and tell which of them works.
    Check(check::Args),
    /// Check a configuration file, or write what one may say.
    Config(config::Args),
    /// Write the interfaces of a Tau file as Rust or as TypeScript.
    Idl(idl::Args),
}

/// Runs what the arguments say.
pub async fn main() -> ExitCode {
    let args = Args::parse();
    run(args).await.unwrap_or_else(|error| {
        complain(&format!("peerage: {error}"));
        ExitCode::FAILURE
    })
}

async fn run(args: Args) -> Outcome {
    log::install(args.log)?;
    match args.task {
        Task::Relay(args) => relay::run(args).await,
        Task::Peer(args) => peer::run(args).await,
        Task::Adapter(args) => adapter::run(args).await,
        Task::Check(args) => check::run(args).await,
        Task::Config(args) => config::run(&args),
        Task::Idl(args) => idl::run(&args),
    }
}

/// Why a task could not be done.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("PEERAGE_LOG_FORMAT: expected text or json, got `{0}`")]
    LogFormat(String),
    #[error("cannot listen at {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error(transparent)]
    Enet(#[from] crate::enet::PortError),
    #[error(transparent)]
    Adapters(#[from] crate::front::adapter::FrontError),
    #[error("{0}")]
    Adapter(String),
    #[error("cannot serve: {0}")]
    Serve(std::io::Error),
    #[error(transparent)]
    Join(#[from] JoinError),
    #[error("{0}")]
    Name(#[from] peerage::id::NameError),
    #[error("{0}")]
    RelayUrl(String),
    #[error("cannot read {}: {source}", file.display())]
    Read {
        file: PathBuf,
        source: std::io::Error,
    },
    #[error("expected `autoListen` to be true: a relay is there to let others in")]
    MuteRelay,
    #[error("cannot read from the terminal: {0}")]
    Terminal(#[from] rustyline::error::ReadlineError),
}

/// The relay that is called if none is said: one on this machine.
const DEFAULT_RELAY: &str = "ws://127.0.0.1:7700/mesh";

type Outcome = Result<ExitCode, CliError>;

/// Options that every node has.
#[derive(clap::Args)]
struct Common {
    /// A configuration file, in JSON.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The name to ask for.
    #[arg(long)]
    name: Option<String>,
    /// Where to listen for others; nothing beyond loopback unless you say so.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// A relay to call, or `discover:` for any on the local network, `dns:example.org` for those of a domain; several times
    /// for others to turn to when it is lost.
    #[arg(long, value_name = "URL")]
    relay: Vec<String>,
}

fn name_of(option: Option<String>, file: Option<String>) -> Result<Option<Name>, CliError> {
    Ok(option.or(file).map(|name| name.parse()).transpose()?)
}

/// The relays of the command line, or else of the file: its `relays`, and its `peers`.
fn relay_urls(options: &[String], file: &FileConfig) -> Result<Vec<Url>, CliError> {
    if !options.is_empty() {
        return options.iter().map(|text| relay_url(text)).collect();
    }
    // Nodes of KAI have no mesh that one could join.
    let peers = file.peers.iter().filter(|peer| peer.kai.is_none());
    let relays = file.relays.iter().map(|relay| Ok(relay.url().clone()));
    let peers = peers.map(|peer| relay_url(&peer.url()));
    relays.chain(peers).collect()
}

fn relay_url(text: &str) -> Result<Url, CliError> {
    let address = text.parse::<RelayAddress>();
    address
        .map(|address| address.url().clone())
        .map_err(CliError::RelayUrl)
}

/// Announces the node where it lets others in, and looks for others while this is held, if the file says so.
fn discover(node: &Node, web: Option<SocketAddr>, enet: Option<SocketAddr>) -> Option<Browsing> {
    let discovery = node.discovery();
    let way = |scheme, path| move |at| Way { scheme, at, path };
    let ways = web.map(way("ws", "/mesh"));
    let ways = ways.into_iter().chain(enet.map(way("enet", "")));
    discovery.announce(node.deref().clone(), ways.collect());
    if discovery.settings().announce != Some(false) {
        let ports = node.runtime().enet.listening();
        ports.iter().for_each(|port| port.hook(kai::hook()));
    }
    discovery.settings().browse.then(|| discovery.browse())
}

/// Writes a line for the user. A reader that has gone needs none.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
