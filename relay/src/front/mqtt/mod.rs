//! Clients of MQTT 3.1.1 and 5. Each is a node, held for it under its id, and its topics are the zone's: what it
//! publishes goes to the zone's broker, and what it is subscribed to comes from there.

mod away;
mod client;
mod greeting;
mod inflight;
mod limits;
mod message;
mod payload;
mod pipe;
mod roster;
mod session;
mod strangers;
#[cfg(test)]
mod tests;
mod users;
mod web_socket;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use peerage::limits::HTTP_KEEPALIVE;
use peerage::log::ERROR;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::config::MqttConfig;
use crate::front::held::Holder;
use crate::runtime::Runtime;
use away::Away;
use client::End;
use greeting::Guest;
use limits::{CHECKS_MAX, CONNECTIONS_MAX, HOLDS_MAX};
use pipe::{Connection, Pipe};
use roster::Roster;
use strangers::{Stranger, Strangers};
use users::Users;
pub use web_socket::UpgradeError;

/// After an error of the listener, such as too many open files, it is asked again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who speaks for clients of MQTT. Clones are the same.
#[derive(Clone)]
pub struct Front(Arc<Shared>);

struct Shared {
    runtime: Runtime,
    holder: Holder,
    users: Users,
    roster: Roster,
    connections: Arc<Semaphore>,
    /// Nodes that are being held, and passwords that are being checked.
    holding: Semaphore,
    checking: Semaphore,
    strangers: Strangers,
    connected: AtomicUsize,
}

impl Front {
    /// Speaks for clients beside the node that this runs, as a configuration says.
    pub fn new(runtime: Runtime, holder: Holder, config: &MqttConfig) -> Self {
        Self(Arc::new(Shared {
            runtime,
            holder,
            users: Users::new(config),
            roster: Roster::default(),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            holding: Semaphore::new(HOLDS_MAX),
            checking: Semaphore::new(CHECKS_MAX),
            strangers: Strangers::default(),
            connected: AtomicUsize::new(0),
        }))
    }

    /// Lets clients in at a TCP port; tells which it is.
    ///
    /// # Errors
    /// If the port cannot be opened.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let front = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = front.accept(listener) => {}
                () = front.0.runtime.left() => {}
            }
        });
        Ok(address)
    }

    /// Clients that are connected.
    pub fn connected(&self) -> usize {
        self.0.connected.load(Ordering::Relaxed)
    }

    /// Sessions, those of clients that are away among them.
    pub fn sessions(&self) -> usize {
        self.0.roster.len()
    }

    async fn accept(&self, listener: TcpListener) {
        loop {
            let Ok((socket, caller)) = listener.accept().await else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Some(stranger) = self.let_in(caller) else {
                continue;
            };
            // Small packets must not wait for one another, and who vanishes is noticed.
            let alive = TcpKeepalive::new().with_time(HTTP_KEEPALIVE);
            let prepared = socket
                .set_nodelay(true)
                .and_then(|()| SockRef::from(&socket).set_tcp_keepalive(&alive));
            if prepared.is_ok() {
                let conversation = self.clone().converse(socket, stranger);
                self.0.runtime.links.spawn(conversation);
            }
        }
    }

    /// Lets in who calls, if that is allowed and there is room.
    fn let_in(&self, caller: SocketAddr) -> Option<Stranger> {
        let address = caller.ip().to_canonical();
        let refused = |why| {
            tracing::warn!(target: ERROR, %caller, why, "an MQTT client is not let in");
            None
        };
        if !self.0.users.has(address) {
            return refused("its address");
        }
        let place = Arc::clone(&self.0.connections).try_acquire_owned().ok();
        let stranger = place.and_then(|place| self.0.strangers.enter(address, place));
        stranger.or_else(|| refused("too many are here"))
    }

    /// Speaks with a client until its session is over.
    async fn converse(self, connection: impl Connection + 'static, stranger: Stranger) {
        let Some(guest) = self.greet(Pipe::new(connection), stranger).await else {
            return;
        };
        let Guest {
            mut client,
            mut place,
            connected,
            will,
            expiry,
        } = guest;
        let end = client.run(&mut place, &self.0.runtime).await;
        client.close(end.reason()).await;
        drop(connected);
        if !matches!(end, End::Stopped) {
            client.settle().await;
        }
        Away {
            session: client.session,
            will: will.filter(|_| end.has_will()),
            expiry: end.expiry(expiry),
            left: matches!(end, End::Left(_)),
        }
        .follow(end, place, &self.0.runtime)
        .await;
    }
}
