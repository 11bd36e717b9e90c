//! Where a node speaks ENet, and with which programs.

use std::io;
use std::net::SocketAddr;

use peerage::log::ERROR;

use crate::Node;
use crate::cli::CliError;
use crate::config::{ENET_PORT, FileConfig};
use crate::enet::PortError;
use crate::front::enet::Front;
use crate::front::held::Holder;

/// Speaks ENet as a configuration says, beside a node that listens at `web`, if it does. Tells where.
pub(super) fn open(
    node: &Node,
    file: &FileConfig,
    web: Option<SocketAddr>,
) -> Result<Option<SocketAddr>, CliError> {
    let runtime = node.runtime().clone();
    let holder = Holder::new(runtime.clone());
    let front = Front::new(runtime, holder, file.enet.clone());
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
