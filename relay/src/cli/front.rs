//! Where a node speaks with what is no node: by ENet, and with adapters.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;

use peerage::log::ERROR;

use crate::Node;
use crate::cli::CliError;
use crate::config::{ADAPTER_PORT, ENET_PORT, FileConfig};
use crate::enet::PortError;
use crate::front::adapter;
use crate::front::enet::Front;
use crate::front::held::Holder;

/// Speaks ENet as a configuration says, beside a node that listens at `web`, if it does. Tells where.
pub(super) fn open(
    node: &Node,
    holder: &Holder,
    file: &FileConfig,
    web: Option<SocketAddr>,
) -> Result<Option<SocketAddr>, CliError> {
    let front = Front::new(node.runtime().clone(), holder.clone(), file.enet.clone());
    let listening = match (stated(file), web) {
        (Some(address), _) => front.listen(address).map(Some),
        (None, Some(web)) => unless_taken(front.listen(usual(web))),
        (None, None) => Ok(None),
    };
    front.call(&file.peers);
    let listening = listening?;
    keep_out(node);
    Ok(listening)
}

/// Speaks with adapters as a configuration says, likewise. Tells where.
pub(super) async fn open_for_adapters(
    node: &Node,
    holder: &Holder,
    file: &FileConfig,
    web: Option<SocketAddr>,
) -> Result<Option<SocketAddr>, CliError> {
    let config = file.adapters.clone();
    let (core, runtime) = (node.deref().clone(), node.runtime().clone());
    let (stated, unix) = (config.listen, config.unix.clone());
    let front = adapter::Front::new(core, runtime, holder.clone(), config)?;
    let listening = match (stated, web) {
        (Some(address), _) => Some(front.listen(address).await?),
        (None, Some(web)) => {
            let port = if web.port() == 0 { 0 } else { ADAPTER_PORT };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            match front.listen(address).await {
                Ok(address) => Some(address),
                // A port that nobody has asked for may be another's.
                Err(error) => {
                    tracing::warn!(target: ERROR, %error, "no adapters; `adapters.listen` says another port");
                    None
                }
            }
        }
        (None, None) => None,
    };
    if let Some(path) = unix {
        front.listen_unix(&path)?;
    }
    front.keep();
    Ok(listening)
}

/// Nothing is heard from addresses that have no access: no state is kept for who cannot prove where it is.
fn keep_out(node: &Node) {
    for port in node.runtime().enet_ports() {
        let hearing = node.runtime().hearing().clone();
        port.hook(Box::new(move |_, from, _| !hearing.has(from.ip())));
    }
}

/// Where it is said to be: KAI's key means ENet.
fn stated(file: &FileConfig) -> Option<SocketAddr> {
    let by_kai = || {
        file.address()
            .filter(|_| file.listen.is_none() && file.listen_port.is_some())
    };
    file.enet.listen.or_else(by_kai)
}

/// Where it is unless anything is said: beside the web's, and anywhere if that is.
fn usual(web: SocketAddr) -> SocketAddr {
    let port = if web.port() == 0 { 0 } else { ENET_PORT };
    SocketAddr::new(web.ip(), port)
}

/// A port that nobody has asked for may be another's.
fn unless_taken(opened: Result<SocketAddr, PortError>) -> Result<Option<SocketAddr>, PortError> {
    match opened {
        Err(PortError::Bind { address, source }) if source.kind() == io::ErrorKind::AddrInUse => {
            tracing::warn!(
                target: ERROR,
                %address,
                "the usual port of ENet is taken, so ENet is not spoken; `enet.listen` says another"
            );
            Ok(None)
        }
        opened => opened.map(Some),
    }
}
