//! `peerage relay`.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use peerage::Config;
use peerage::id::Kind;

use crate::cli::door::listen_for_tabs;
use crate::cli::stop::stop_signal;
use crate::cli::traces::Exported;
use crate::cli::{
    CliError, Common, Door, Outcome, discover, front, mqtt, name_of, relay_urls, say,
};
use crate::config::FileConfig;
use crate::discovery::Discovery;
use crate::front::held::Holder;
use crate::{JoinError, Node};

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7700);
const DEFAULT_NAME: &str = "relay";

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: Args) -> Outcome {
    let options = args.common;
    let file = FileConfig::load(options.config.as_deref())?;
    if file.auto_listen == Some(false) && options.listen.is_none() {
        return Err(CliError::MuteRelay);
    }
    let address = options.listen.or(file.address()).unwrap_or(DEFAULT_LISTEN);
    let relays = relay_urls(&options.relay, &file)?;
    let config = file.applied_to(Config::new(Kind::Relay));
    let name = name_of(options.name, file.name.clone())?;
    let name = name.map_or_else(|| DEFAULT_NAME.parse(), Ok)?;
    let door = Door::open(address).await?;
    let (asked, address) = (address, door.address);
    let mut config = config.named(name);
    config.aliases = file.commands.clone();
    let mut traces = Exported::open(&file, &mut config);
    let broker = file.broker.options().map_err(JoinError::from)?;
    let discovery = Discovery::new(file.discovery.settings());
    let node = Node::launch_speaking(config, relays, broker, discovery, &file.enet)?;
    node.runtime().hearing().only(file.access.addresses());
    traces.hear_tabs(&node)?;
    let holder = Holder::new(node.runtime().clone());
    let enet = front::open(&node, &holder, &file, Some(asked))?;
    let adapters = front::open_for_adapters(&node, &holder, &file, Some(asked)).await?;
    let (mqtt, at) = mqtt::open(&node, &holder, &file).await?;
    listen_for_tabs(&node, &file, Some(address))?;
    let _browsing = discover(&node, Some(address), enet);
    say(&format!("Peerage is at http://{address}/"));
    if let Some(enet) = enet {
        say(&format!("ENet is at enet://{enet}"));
    }
    if let Some(adapters) = adapters {
        say(&format!("Adapters are at tcp://{adapters}"));
    }
    if let Some(mqtt) = at {
        say(&format!("MQTT is at mqtt://{mqtt}"));
    }
    // The node says good-bye first, which ends its links; then the server has nothing to wait for.
    let leaving = node.clone();
    let stop = async move {
        stop_signal().await;
        leaving.close().await;
    };
    door.serve(node, &file, mqtt, stop).await?;
    traces.flush().await;
    Ok(ExitCode::SUCCESS)
}
