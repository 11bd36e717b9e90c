//! What speaks ENet at this process's port: nodes, which are links, and programs that are none, for which
//! nodes are held. What comes first tells them apart.

mod kai;
mod present;
mod program;
mod raw;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, select};
use peerage::limits::{ENET_BACKLOG_MAX, PROGRAM_HELLO_TIMEOUT};
use peerage::link::Origin;
use peerage::log::CONNECTION;
use peerage_enet::Packet;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::config::{Allowed, EnetConfig, PeerConfig};
use crate::enet::{Gone, Peer, Port, PortError, Sender, link};
use crate::front::held::Holder;
use crate::front::out::Mouth;
use crate::runtime::Runtime;
use present::Present;

/// Who speaks for programs of ENet. Clones are the same.
#[derive(Clone)]
pub struct Front(Arc<Shared>);

struct Shared {
    runtime: Runtime,
    holder: Holder,
    present: Present,
    config: EnetConfig,
}

/// Messages go by the first channel.
impl Mouth for Sender {
    async fn say(&mut self, message: Bytes) -> bool {
        self.send(0, message).await.is_ok()
    }
}

/// What a program is told with a disconnect that is not let in.
const NOT_ALLOWED: u32 = 0x5045_0001;

/// The first packet of a connection, with its channel.
type First = Option<(u8, Packet)>;

impl Front {
    /// Speaks for programs beside the node that this runs, as a configuration says. Nobody can come before
    /// [`Front::listen`].
    pub fn new(runtime: Runtime, holder: Holder, config: EnetConfig) -> Self {
        Self(Arc::new(Shared {
            runtime,
            holder,
            present: Present::default(),
            config,
        }))
    }

    /// Lets programs and nodes in at a UDP port; tells which it is.
    ///
    /// # Errors
    /// If the port cannot be opened.
    pub fn listen(&self, address: SocketAddr) -> Result<SocketAddr, PortError> {
        let ports = &self.0.runtime.enet;
        let (accept, mut accepted) = mpsc::channel(ENET_BACKLOG_MAX);
        let port = Port::open(address, ports.config(), accept)?;
        let address = port.address();
        ports.add(port);
        let front = self.clone();
        tokio::spawn(async move {
            while let Some(peer) = accepted.recv().await {
                tokio::spawn(front.clone().greet(peer));
            }
        });
        Ok(address)
    }

    /// Calls servers and nodes of KAI that the configuration names, whenever there is use for it.
    pub fn call(&self, peers: &[PeerConfig]) {
        for server in &self.0.config.raw.servers {
            tokio::spawn(raw::serve(self.clone(), server.clone()));
        }
        for peer in peers {
            if let Some(name) = peer.kai.clone() {
                let place = (peer.host.clone(), peer.port);
                tokio::spawn(kai::call(self.clone(), name, place));
            }
        }
    }

    /// Finds out what has come.
    async fn greet(self, mut peer: Peer) {
        let address = peer.about.address;
        // Where nobody is there for who says nothing, it is a first packet that is late.
        let patience = match self.takes_raw(address) || self.0.config.kai.name_of(address).is_some()
        {
            true => self.0.config.silence(),
            false => PROGRAM_HELLO_TIMEOUT.max(self.0.config.silence()),
        };
        let first = match timeout(patience, peer.recv()).await {
            Ok(Ok(first)) => Some(first),
            // It is gone already.
            Ok(Err(Gone { .. })) => return,
            Err(_) => None,
        };
        // A node of KAI may wait to be called.
        let is_kai = || self.0.config.kai.name_of(peer.about.address).is_some();
        let dialect = match &first {
            Some((channel, packet)) => Dialect::of(*channel, &packet.bytes),
            None if is_kai() => Dialect::Kai,
            None => Dialect::Raw,
        };
        self.hand(dialect, peer, first).await;
    }

    /// Whether what speaks no dialect is carried to somebody.
    fn takes_raw(&self, address: SocketAddr) -> bool {
        let raw = &self.0.config.raw;
        raw.target.is_some() && Allowed::has(&raw.allow, address.ip())
    }

    async fn hand(self, dialect: Dialect, peer: Peer, first: First) {
        let address = peer.about.address;
        tracing::debug!(
            target: CONNECTION,
            %address, dialect = dialect.as_str(),
            "an ENet connection has come"
        );
        let config = &self.0.config;
        let allowed = match dialect {
            Dialect::Link => None,
            Dialect::Program => Some(&config.programs.allow),
            Dialect::Kai => Some(&config.kai.allow),
            Dialect::Raw => Some(&config.raw.allow),
        };
        if allowed.is_some_and(|allowed| !Allowed::has(allowed, address.ip())) {
            tracing::debug!(target: CONNECTION, %address, "a program is not let in");
            return peer.close(NOT_ALLOWED);
        }
        let runtime = self.0.runtime.clone();
        let conversation: BoxFuture<'_, ()> = match dialect {
            // It has last words of its own.
            Dialect::Link => {
                let address = peer.about.address.to_string();
                let link = link::run(runtime.clone(), Origin::Accepted, peer, address);
                return runtime.links.track_future(link).await;
            }
            Dialect::Program => Box::pin(program::run(self.clone(), peer, first)),
            Dialect::Kai => Box::pin(kai::run(self.clone(), peer, first)),
            Dialect::Raw => Box::pin(raw::run(self.clone(), peer, first)),
        };
        // With the node its programs are left, too: a connection that is dropped is ended.
        let over = runtime.left();
        let conversing = async move { drop(select(conversation, pin!(over)).await) };
        runtime.links.track_future(conversing).await;
    }
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Link,
    Program,
    Kai,
    Raw,
}

impl Dialect {
    /// What begins with this packet.
    fn of(channel: u8, bytes: &Bytes) -> Self {
        match &bytes[..] {
            link::GREETING if channel == 0 => Self::Link,
            bytes if program::is_likely(bytes) => Self::Program,
            bytes if kai::is_likely(bytes) => Self::Kai,
            _ => Self::Raw,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Program => "program",
            Self::Kai => "kai",
            Self::Raw => "raw",
        }
    }
}

/// How long until a program is called again that was lost, or could not be reached.
const CALL_AGAIN: Duration = Duration::from_secs(2);
