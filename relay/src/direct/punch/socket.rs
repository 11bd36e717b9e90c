//! The UDP socket of direct links between native nodes. Until somebody is known by the checks of ICE, nothing
//! but these is heard from there: a stranger gets no answer, of ENet or of anything else.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use peerage::limits::{HELLO_TIMEOUT, PUNCHES_MAX, STUN_TIMEOUT};
use peerage::service::punch::{GREETING, Place};
use peerage_enet::Config;
use stun_types::attribute::XorMappedAddress;
use stun_types::message::{BINDING, Message, MessageWrite, MessageWriteVec};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::enet::{Peer, Port, PortError};

/// Datagrams of STUN that wait for one who reads them; more are lost, and sent again.
const WAITING_DATAGRAMS_MAX: usize = 64;
/// How often it is asked what routers make of the address, until an answer comes.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// Channels of ENet that a link has.
const CHANNELS: u8 = 2;
/// What each message of STUN has there (RFC 8489, 5).
const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// A datagram of STUN, and where it comes from.
pub(super) type Datagram = (SocketAddr, Bytes);

/// The socket; clones are the same.
#[derive(Clone)]
pub(super) struct Socket {
    port: Port,
    desk: Arc<Desk>,
}

/// Who waits for what.
#[derive(Default)]
struct Desk(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    readers: HashMap<u64, mpsc::Sender<Datagram>>,
    /// From where ENet is heard, for whom.
    known: HashSet<(SocketAddr, u64)>,
    /// Who is expected, by what he says first.
    expected: HashMap<[u8; 16], (u64, oneshot::Sender<Peer>)>,
}

/// A part of the socket, for one link; it ends with this.
pub(super) struct Share {
    socket: Socket,
    id: u64,
    datagrams: mpsc::Receiver<Datagram>,
}

impl Socket {
    /// Binds an address.
    pub(super) fn open(address: SocketAddr) -> Result<Self, PortError> {
        let config = Config {
            peers_max: 2 * PUNCHES_MAX,
            ..Config::default()
        };
        let (accept, accepted) = mpsc::channel(PUNCHES_MAX);
        let port = Port::open(address, config, accept)?;
        let desk = Arc::new(Desk::default());
        let hooked = Arc::clone(&desk);
        port.hook(Box::new(move |_, from, datagram| {
            hooked.take(from, datagram)
        }));
        tokio::spawn(receive(Arc::downgrade(&desk), accepted));
        Ok(Self { port, desk })
    }

    /// The number of its port.
    pub(super) fn port(&self) -> u16 {
        self.port.address().port()
    }

    /// A part of it.
    pub(super) fn share(&self) -> Share {
        let (sender, datagrams) = mpsc::channel(WAITING_DATAGRAMS_MAX);
        let mut state = self.desk.lock();
        let id = state.next;
        state.next += 1;
        state.readers.insert(id, sender);
        drop(state);
        let socket = self.clone();
        Share {
            socket,
            id,
            datagrams,
        }
    }

    /// What routers make of its address, as a STUN server sees it.
    pub(super) async fn mapped(&self, server: SocketAddr) -> Option<SocketAddr> {
        let mut share = self.share();
        let request = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
        let id = Message::from_bytes(&request).ok()?.transaction_id();
        let answered = async {
            loop {
                share.send(server, &request);
                while let Ok(Some((_, answer))) = timeout(ASK_AGAIN, share.next()).await {
                    let seen = Message::from_bytes(&answer).ok().and_then(|answer| {
                        let is_it = answer.is_response() && answer.transaction_id() == id;
                        let mapped = answer.attribute::<XorMappedAddress>().ok();
                        mapped.filter(|_| is_it).map(|mapped| mapped.addr(id))
                    });
                    if seen.is_some() {
                        return seen;
                    }
                }
            }
        };
        timeout(STUN_TIMEOUT, answered).await.ok().flatten()
    }
}

impl Share {
    /// The next datagram of STUN. It may be for another share.
    pub(super) async fn next(&mut self) -> Option<Datagram> {
        self.datagrams.recv().await
    }

    pub(super) fn send(&self, to: SocketAddr, datagram: &[u8]) {
        self.socket.port.send_datagram(to, datagram);
    }

    /// Who is there has proven itself by a check: ENet is heard from there.
    pub(super) fn know(&self, address: SocketAddr) {
        self.socket.desk.lock().known.insert((address, self.id));
    }

    /// Expects the one who says this first.
    pub(super) fn expect(&self, token: [u8; 16]) -> oneshot::Receiver<Peer> {
        let (tell, told) = oneshot::channel();
        let mut state = self.socket.desk.lock();
        state.expected.insert(token, (self.id, tell));
        told
    }

    /// Calls the other side, and says first what it expects.
    ///
    /// # Errors
    /// In words.
    pub(super) async fn call(&self, address: SocketAddr, token: [u8; 16]) -> Result<Peer, String> {
        let called = self.socket.port.connect(address, CHANNELS, 0).await;
        let peer = called.map_err(|error| error.to_string())?;
        let first = Bytes::from([GREETING, &token].concat());
        let said = peer.sender().send(0, first).await;
        said.map_err(|_| String::from("the connection has ended"))?;
        Ok(peer)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.socket.desk.lock();
        state.readers.remove(&self.id);
        state.known.retain(|(_, id)| *id != self.id);
        state.expected.retain(|_, (id, _)| *id != self.id);
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a datagram is none of ENet's, or none that is to be heard.
    fn take(&self, from: SocketAddr, datagram: &[u8]) -> bool {
        let state = self.lock();
        if is_stun(datagram) {
            let datagram = Bytes::copy_from_slice(datagram);
            for reader in state.readers.values() {
                // One that has no room loses it, as the network may.
                let _ = reader.try_send((from, datagram.clone()));
            }
            return true;
        }
        !state.known.iter().any(|(known, _)| *known == from)
    }
}

/// Hands those who call to those who expect them.
async fn receive(desk: std::sync::Weak<Desk>, mut accepted: mpsc::Receiver<Peer>) {
    while let Some(mut peer) = accepted.recv().await {
        let desk = desk.clone();
        tokio::spawn(async move {
            let Ok(Ok((0, first))) = timeout(HELLO_TIMEOUT, peer.recv()).await else {
                return;
            };
            let token = first.bytes.strip_prefix(GREETING);
            let token = token.and_then(|token| <[u8; 16]>::try_from(token).ok());
            let desk = desk.upgrade();
            let (Some(token), Some(desk)) = (token, desk) else {
                return;
            };
            let expected = desk.lock().expected.remove(&token);
            if let Some((_, tell)) = expected {
                // Dropped by who has given up, the connection ends.
                let _ = tell.send(peer);
            }
        });
    }
}

/// Whether a datagram is one of STUN. ENet's begin with a connection's number, and have no such word there.
fn is_stun(datagram: &[u8]) -> bool {
    let begins = datagram.first().is_some_and(|first| *first < 4);
    begins && datagram.get(4..8) == Some(&MAGIC)
}

/// The addresses of a socket of this port: the one by which `towards` is reached first.
pub(super) fn places(towards: SocketAddr, port: u16) -> std::io::Result<Vec<Place>> {
    // To connect sends nothing: it asks the system for the way.
    let any: IpAddr = match towards {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let probe = std::net::UdpSocket::bind((any, 0))?;
    probe.connect(towards)?;
    let base = probe.local_addr()?.ip();
    let others = if_addrs::get_if_addrs()?
        .into_iter()
        .map(|found| found.ip());
    let others = others.filter(|ip| {
        *ip != base && ip.is_ipv4() == base.is_ipv4() && is_place(SocketAddr::new(*ip, port))
    });
    let ips = std::iter::once(base).chain(others);
    let place = |ip| Place {
        address: SocketAddr::new(ip, port),
        is_mapped: false,
    };
    Ok(ips.map(place).collect())
}

/// Whether a node may be there: not everywhere, not this machine alone, and no address that needs an interface.
pub(super) fn is_place(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    let is_one = match ip {
        IpAddr::V4(ip) => !ip.is_broadcast() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    };
    is_one && !ip.is_loopback() && !ip.is_multicast() && !ip.is_unspecified() && address.port() != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_to_a_place_goes_to_one_machine_and_not_to_this_one() {
        for (address, may) in [
            ("192.0.2.1:5", true),
            ("10.0.0.1:5", true),
            ("[2001:db8::1]:5", true),
            ("10.0.0.1:0", false),
            ("127.0.0.1:5", false),
            ("[::ffff:127.0.0.1]:5", false),
            ("224.0.0.1:5", false),
            ("255.255.255.255:5", false),
            ("0.0.0.0:5", false),
            ("[fe80::1]:5", false),
            ("169.254.1.1:5", false),
        ] {
            assert_eq!(is_place(address.parse().unwrap()), may, "{address}");
        }
    }

    #[test]
    fn messages_of_stun_are_known_by_their_word_and_by_nothing_else() {
        let request = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
        assert!(is_stun(&request));
        for other in [
            &request[..7],
            b"",
            &[0; 24],
            &[0x8f, 0xff, 0, 0, 0x21, 0x12, 0xa4, 0x42],
        ] {
            assert!(!is_stun(other));
        }
    }
}
