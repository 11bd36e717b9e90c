//! `peerage peer`: a prompt, one command, or a peer that serves others.

use std::process::ExitCode;

use peerage::id::Kind;
use peerage::service::command::{Status, parse_duration};
use peerage::{Config, Time};

use crate::cli::door::listen_for_tabs;
use crate::cli::prompt::prompt;
use crate::cli::report::Manner;
use crate::cli::stop::stop_signal;
use crate::cli::traces::Exported;
use crate::cli::{
    Common, DEFAULT_RELAY, Door, Outcome, complain, discover, front, mqtt, name_of, relay_url,
    relay_urls,
};
use crate::config::FileConfig;
use crate::discovery::Discovery;
use crate::front::held::Holder;
use crate::{JoinError, Node};

const DISCOVER_ANY: &str = "discover:";

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Run one command and exit with its status.
    #[arg(short, value_name = "COMMAND")]
    command: Option<String>,
    /// Write results as JSON, one a line.
    #[arg(long)]
    json: bool,
    /// Interrupt commands after this time, such as 50ms, 2s or 1.5m.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Time>,
}

pub(super) async fn run(args: Args) -> Outcome {
    let file = FileConfig::load(args.common.config.as_deref())?;
    let mut relays = relay_urls(&args.common.relay, &file)?;
    if relays.is_empty() {
        relays.push(relay_url(DEFAULT_RELAY)?);
        relays.push(relay_url(DISCOVER_ANY)?);
    }
    let listen = args.common.listen.or(file.address());
    let door = match listen {
        Some(address) => Some(Door::open(address).await?),
        None => None,
    };
    let mut config = file.applied_to(Config::new(Kind::Native));
    config.name = name_of(args.common.name, file.name.clone())?;
    config.aliases = file.commands.clone();
    let mut traces = Exported::open(&file, &mut config);
    let interactive = file.interactive.unwrap_or(true);
    let broker = file.broker.options().map_err(JoinError::from)?;
    let discovery = Discovery::new(file.discovery.settings());
    let node = Node::launch_speaking(config, relays, broker, discovery, &file.enet)?;
    node.runtime().hearing().only(file.access.addresses());
    let node = node.joined().await?;
    traces.hear_tabs(&node)?;
    let holder = Holder::new(node.runtime().clone());
    let enet = front::open(&node, &holder, &file, listen)?;
    let adapters = front::open_for_adapters(&node, &holder, &file, None).await?;
    if let Some(adapters) = adapters {
        complain(&format!("adapters may call tcp://{adapters}"));
    }
    if let Some(enet) = enet {
        complain(&format!("others may call enet://{enet}"));
    }
    let (mqtt, at) = mqtt::open(&node, &holder, &file).await?;
    if let Some(mqtt) = at {
        complain(&format!("MQTT is at mqtt://{mqtt}"));
    }
    let web = door.as_ref().map(|door| door.address);
    listen_for_tabs(&node, &file, web)?;
    let _browsing = discover(&node, web, enet);
    if let Some(door) = door {
        complain(&format!("others may call ws://{}/mesh", door.address));
        let serving = node.clone();
        tokio::spawn(async move {
            // The process ends when the node has; nobody is to be waited for here.
            let never = std::future::pending();
            if let Err(error) = door.serve(serving, &file, mqtt, never).await {
                complain(&format!("peerage: {error}"));
            }
        });
    }
    let manner = Manner {
        json: args.json,
        timeout: args.timeout,
    };
    let status = match args.command {
        Some(line) => Ok(manner.run(node.commands(), &line).await),
        None if interactive => {
            let ended = prompt(node.commands(), manner).await;
            ended.map(|()| Status::OK)
        }
        None => {
            stop_signal().await;
            Ok(Status::OK)
        }
    };
    node.close().await;
    traces.flush().await;
    Ok(ExitCode::from(status?.0))
}
