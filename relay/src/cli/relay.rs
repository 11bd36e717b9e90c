//! `peerage relay`.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use peerage::Config;
use peerage::id::Kind;
use tokio::net::TcpListener;

use crate::cli::{CliError, Common, Outcome, name_of, say};
use crate::config::FileConfig;
use crate::web::origin::Origins;
use crate::web::{self, Web};
use crate::{Runtime, serve_commands};

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7700);
const DEFAULT_NAME: &str = "relay";

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Where to listen; nothing beyond loopback unless you say so.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(args: Args) -> Outcome {
    let file = FileConfig::load(args.common.config.as_deref())?;
    let name = name_of(args.common.name, file.name)?;
    let name = name.map_or_else(|| DEFAULT_NAME.parse(), Ok)?;
    let address = args.listen.or(file.listen).unwrap_or(DEFAULT_LISTEN);
    let listen = |source| CliError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let (node, runtime) = Runtime::start(Config::new(Kind::Relay).named(name), None)?;
    serve_commands(node.clone(), file.commands);
    let origins = Arc::new(Origins::new(address, &file.origins));
    say(&format!("Peerage is at http://{address}/"));
    let web = Web {
        node: node.clone(),
        runtime: runtime.clone(),
        origins,
    };
    // The node says good-bye first, which ends its links; then the server has nothing to wait for.
    let stop = async move {
        stop_signal().await;
        node.close();
        runtime.finished().await;
    };
    web::serve(listener, web, stop)
        .await
        .map_err(CliError::Serve)?;
    Ok(ExitCode::SUCCESS)
}

/// Ctrl-C, or the signal of a service manager.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
