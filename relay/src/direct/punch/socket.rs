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

use crate::access::Hearing;
use crate::direct::EVERYWHERE;
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
struct Desk {
    state: Mutex<State>,
    hearing: Hearing,
}

#[derive(Default)]
struct State {
    next: u64,
    /// Servers that were asked, by whom: they may answer, whoever may call.
    asked: HashSet<(SocketAddr, u64)>,
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
    /// Binds all addresses; only those that may are heard.
    pub(super) fn open(hearing: Hearing) -> Result<Self, PortError> {
        let (accept, accepted) = mpsc::channel(PUNCHES_MAX);
        let open = |ip| {
            let config = Config {
                peers_max: 2 * PUNCHES_MAX,
                ..Config::default()
            };
            Port::open(SocketAddr::new(ip, 0), config, accept.clone())
        };
        let [both, v4] = EVERYWHERE;
        let port = open(both).or_else(|_| open(v4))?;
        let state = Mutex::default();
        let desk = Arc::new(Desk { state, hearing });
        let hooked = Arc::clone(&desk);
        port.hook(Box::new(move |_, from, datagram| {
            hooked.take(from, datagram)
        }));
        tokio::spawn(receive(Arc::downgrade(&desk), accepted));
        Ok(Self { port, desk })
    }

    /// Whether it leads to addresses of IPv6, beside those of IPv4.
    pub(super) fn is_v6(&self) -> bool {
        self.port.address().is_ipv6()
    }

    /// How many parts of it there are.
    #[cfg(test)]
    pub(super) fn shares(&self) -> usize {
        self.desk.lock().readers.len()
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
        self.desk.lock().asked.insert((server, share.id));
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
        state.asked.retain(|(_, id)| *id != self.id);
        state.expected.retain(|_, (id, _)| *id != self.id);
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a datagram is none of ENet's, or none that is to be heard.
    fn take(&self, from: SocketAddr, datagram: &[u8]) -> bool {
        // A socket for both families shows IPv4 addresses as IPv6.
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let state = self.lock();
        let may_answer = state.asked.iter().any(|(server, _)| *server == from);
        if !may_answer && !self.hearing.has(from.ip()) {
            return true;
        }
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

/// The addresses of a socket of this port: those first by which these are reached.
pub(super) fn places(towards: &[SocketAddr], port: u16) -> std::io::Result<Vec<Place>> {
    let bases = towards.iter().filter_map(|towards| base(*towards).ok());
    let others = if_addrs::get_if_addrs()?
        .into_iter()
        .map(|found| found.ip());
    let mut places: Vec<Place> = Vec::new();
    for ip in bases.chain(others) {
        let address = SocketAddr::new(ip, port);
        let is_new = places.iter().all(|place| place.address != address);
        if is_new && is_place(address) {
            let is_mapped = false;
            places.push(Place { address, is_mapped });
        }
    }
    Ok(places)
}

/// The address of this machine by which another is reached.
fn base(towards: SocketAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = match towards {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    // To connect sends nothing: it asks the system for the way.
    let probe = std::net::UdpSocket::bind((any, 0))?;
    probe.connect(towards)?;
    Ok(probe.local_addr()?.ip())
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
    use tokio::net::UdpSocket;

    use super::*;
    use crate::access::Addresses;

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

    #[tokio::test]
    async fn who_has_no_access_is_not_heard_and_who_was_asked_is() {
        let hearing = Hearing::default();
        hearing.only(Addresses {
            deny: vec!["127.0.0.2".parse().unwrap()],
            ..Addresses::default()
        });
        let socket = Socket::open(hearing).unwrap();
        let mut share = socket.share();
        let denied = UdpSocket::bind("127.0.0.2:0").await.unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let request = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
        for caller in [&denied, &other] {
            let at = ("127.0.0.1", socket.port());
            caller.send_to(&request, at).await.unwrap();
        }
        let (from, _) = share.next().await.unwrap();
        assert_eq!(from, other.local_addr().unwrap());
        let server = denied.local_addr().unwrap();
        let asked = socket.clone();
        let asking = tokio::spawn(async move { asked.mapped(server).await });
        let mut question = [0; 100];
        let (len, from) = denied.recv_from(&mut question).await.unwrap();
        denied.send_to(&question[..len], from).await.unwrap();
        let (from, _) = share.next().await.unwrap();
        assert_eq!(from, server);
        asking.abort();
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
