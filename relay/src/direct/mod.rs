//! Direct links of a native node. With a tab they are WebRTC: the tab offers, and this side answers. The tab also
//! sees to it that there is one while the session is in use, and none that nobody uses; this side only says when
//! it has no room. Native nodes have no use for WebRTC between them.

mod attempt;
mod ice;
pub(crate) mod punch;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use peerage::error::Code;
use peerage::id::Kind;
use peerage::limits::TURN_BYTES_PER_SECOND;
use peerage::link::Origin;
use peerage::log::{CONNECTION, ERROR};
use peerage::node::{ConnectionState, Stream};
use peerage::service::signal::{self, Admission, Degree, PROTOCOL};
use peerage::{Failure, Node, NodeId, Time};
use tokio::sync::oneshot;
use tokio::time::timeout;
use url::{Host, Url};

use crate::link::webrtc::{WebRtc, allocations_max};
use crate::runtime::Runtime;
use crate::stun::{Fence, Secret, Settings, Stun};

/// How long a STUN server may take to say how this node is seen.
const SEE_MAX: Duration = Duration::from_millis(500);

/// What a relay's server for STUN and TURN is told.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    /// Whether there are no allocations, only STUN.
    pub off: bool,
    /// Networks that allocations lead to, though they are of this machine or near it.
    pub allow: Vec<IpNet>,
    /// What credentials are made with; chosen at random if nothing is said.
    pub secret: Option<String>,
    /// Bytes a second of one node's allocations together, in each direction.
    pub bytes_per_second: Option<u64>,
}

/// The direct links of a node; clones are the same.
#[derive(Clone)]
pub struct Direct(Arc<Inner>);

struct Inner {
    node: Node,
    runtime: Runtime,
    links: Mutex<Links>,
    webrtc: Mutex<Option<Opened>>,
}

/// The socket for WebRTC, and whether it was said where it is to be.
struct Opened {
    webrtc: WebRtc,
    is_stated: bool,
}

struct Links {
    degree: Degree,
    attempts: HashMap<NodeId, Attempt>,
    next: u64,
}

/// The way to an attempt, and to the link that came of it. It makes way when this is dropped, and is told if the
/// peer has begun another.
struct Attempt {
    serial: u64,
    anew: oneshot::Sender<()>,
}

impl Direct {
    /// At most so many direct links of a node.
    pub(crate) fn new(node: Node, runtime: Runtime, max: usize) -> Self {
        let links = Links {
            degree: Degree::new(max),
            attempts: HashMap::new(),
            next: 0,
        };
        Self(Arc::new(Inner {
            node,
            runtime,
            links: Mutex::new(links),
            webrtc: Mutex::default(),
        }))
    }

    /// Binds the UDP socket for WebRTC to an address, and answers STUN and TURN there. `public` is the address
    /// by which others reach it, if that is another's. (Else there is a socket when it is needed first.)
    ///
    /// # Errors
    /// If the address cannot be bound, or there is a socket already.
    pub fn listen(
        &self,
        address: SocketAddr,
        public: Option<IpAddr>,
        turn: &Turn,
    ) -> io::Result<SocketAddr> {
        let secret = match &turn.secret {
            Some(secret) => Secret::new(secret.as_bytes()),
            None => Secret::new(&crate::runtime::random().map_err(io::Error::other)?),
        };
        let settings = Settings {
            secret: secret.clone(),
            public,
            fence: Fence::new(turn.allow.clone()),
            bytes_per_second: turn.bytes_per_second.unwrap_or(TURN_BYTES_PER_SECOND),
            relays: !turn.off,
            allocations_max: allocations_max(),
            tally: self.0.runtime.turn.clone(),
        };
        let stun = Stun::new(settings, Instant::now());
        let mut webrtc = self.webrtc();
        if webrtc.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let opened = WebRtc::open(&self.0.runtime, address, public, Some(stun))?;
        let address = opened.address();
        *webrtc = Some(Opened {
            webrtc: opened,
            is_stated: true,
        });
        let told = ice::Told {
            host: public.map(|ip| ip.to_string()),
            port: address.port(),
            secret: (!turn.off).then_some(secret),
        };
        tokio::spawn(ice::serve(self.0.node.clone(), told));
        Ok(address)
    }

    /// Answers the attempts of others until the node has left.
    pub(crate) async fn run(self) {
        let mut listener = self.0.node.listen(PROTOCOL);
        while let Some(stream) = listener.accept().await {
            let peer = stream.peer();
            match self.kind_of(peer) {
                Some(Kind::Browser) if self.admit(peer) => self.begin(peer, stream),
                _ => stream.reset(Code::Overloaded.because("no more direct links")),
            }
        }
        // Whoever still waits for the port learns that there is none.
        self.webrtc().take();
        self.links().attempts.clear();
    }

    fn begin(&self, peer: NodeId, theirs: Stream) {
        let (anew, ended) = oneshot::channel();
        let mut links = self.links();
        let serial = links.next;
        links.next += 1;
        if let Some(given_up) = links.attempts.insert(peer, Attempt { serial, anew }) {
            // It may have ended by itself.
            let _ = given_up.anew.send(());
        }
        let direct = self.clone();
        tokio::spawn(async move {
            if let Err(failure) = attempt::run(&direct, &theirs, ended).await {
                tracing::debug!(
                    target: CONNECTION,
                    node = %direct.0.node.id().short(), peer = %peer.short(), code = %failure.code,
                    "no direct link"
                );
            }
            direct.forget(peer, serial);
        });
    }

    fn forget(&self, peer: NodeId, serial: u64) {
        let mut links = self.links();
        if links
            .attempts
            .get(&peer)
            .is_some_and(|own| own.serial == serial)
        {
            links.attempts.remove(&peer);
            links.degree.ended(peer);
        }
    }

    fn admit(&self, peer: NodeId) -> bool {
        let unused_for = |peer| self.0.node.unused_for(peer).unwrap_or(Time::MAX);
        let mut links = self.links();
        match links.degree.admit(peer, unused_for) {
            Admission::Admitted => true,
            Admission::Full => false,
            Admission::InPlaceOf(idle) => {
                links.attempts.remove(&idle);
                true
            }
        }
    }

    /// The task of the socket, which is started now if there is none, or none that leads where the relay is now.
    fn port(&self) -> Result<WebRtc, Failure> {
        let here = relay_url(&self.0.node).map(|relay| here(&relay));
        let mut webrtc = self.webrtc();
        if let Some(opened) = webrtc.as_ref().filter(|opened| opened.leads_to(here)) {
            return Ok(opened.webrtc.clone());
        }
        let open = |ip| WebRtc::open(&self.0.runtime, SocketAddr::new(ip, 0), None, None);
        let opened = match here.unwrap_or(Some(Ipv4Addr::LOCALHOST.into())) {
            Some(ip) => open(ip),
            None => {
                let [both, v4] = EVERYWHERE;
                open(both).or_else(|_| open(v4))
            }
        };
        let opened = opened.map_err(|error| {
            tracing::warn!(target: ERROR, %error, "no socket for WebRTC");
            Code::Unreachable.because("this node has no socket for WebRTC")
        })?;
        let opened = Opened {
            webrtc: opened,
            is_stated: false,
        };
        Ok(webrtc.insert(opened).webrtc.clone())
    }

    /// Sees to it that the socket knows how it is seen from outside: the relay's STUN server tells. On this
    /// machine, and where it is bound to one address, there is no need.
    async fn see_itself(&self, port: &WebRtc) {
        let Some(uplink) = self.0.node.uplink() else {
            return;
        };
        if !port.address().ip().is_unspecified() {
            return;
        }
        let asking = async {
            let server = signal::ice::ask(&self.0.node, uplink).await.ok()?;
            let relay = relay_url(&self.0.node)?;
            let host = server.host.as_deref().or(relay.host_str())?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let found = tokio::net::lookup_host((host, server.port)).await.ok()?;
            let is_v6 = port.address().is_ipv6();
            let found = found.filter(|at| is_v6 || at.is_ipv4());
            // Routers that change addresses are those of IPv4.
            port.ask(found.min_by_key(SocketAddr::is_ipv6)?).await;
            Some(())
        };
        // It is one candidate of several, and not worth a longer wait.
        let _ = timeout(SEE_MAX, asking).await;
    }

    fn kind_of(&self, peer: NodeId) -> Option<Kind> {
        let mut peers = self.0.node.peers().into_iter();
        peers.find(|known| known.id == peer).map(|known| known.kind)
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.0.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn webrtc(&self) -> MutexGuard<'_, Option<Opened>> {
        self.0.webrtc.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address of the relay that a node is linked to.
fn relay_url(node: &Node) -> Option<Url> {
    let mut connections = node.connections().into_iter();
    let uplink = connections.find(|connection| {
        connection.origin == Origin::Dialled && connection.state == ConnectionState::Connected
    });
    uplink?.address?.parse().ok()
}

/// All addresses of a machine: of both families, where the system has both, or of IPv4.
pub(crate) const EVERYWHERE: [IpAddr; 2] = [
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
];

/// By which address of its own a node is reached whose relay is at this address, if that is on its machine: whom it meets
/// there is on it as well, or reaches it by the relay.
pub(crate) fn here(relay: &Url) -> Option<IpAddr> {
    let ip = match relay.host()? {
        Host::Ipv4(ip) => ip.into(),
        Host::Ipv6(ip) => ip.into(),
        Host::Domain("localhost") => Ipv4Addr::LOCALHOST.into(),
        // A scheme that the standard does not know has hosts that are not read.
        Host::Domain(name) => name.trim_matches(['[', ']']).parse::<IpAddr>().ok()?,
    };
    ip.to_canonical().is_loopback().then_some(ip)
}

impl Opened {
    /// Whether it can be used by a node whose relay is on its machine, at this address, or not. Where the relay is may
    /// not be known just now.
    fn leads_to(&self, here: Option<Option<IpAddr>>) -> bool {
        let is_beyond = here == Some(None);
        let stays_here = self.webrtc.address().ip().is_loopback();
        !self.webrtc.is_over() && (self.is_stated || !is_beyond || !stays_here)
    }
}

#[cfg(test)]
mod tests {
    use peerage::{Config, Identity};

    use super::*;
    use crate::discovery::Discovery;

    #[test]
    fn a_node_of_a_relay_on_this_machine_is_reached_here_only() {
        for (relay, address) in [
            ("ws://127.0.0.1:1/mesh", Some("127.0.0.1")),
            ("enet://127.0.0.1:1", Some("127.0.0.1")),
            ("ws://localhost/mesh", Some("127.0.0.1")),
            ("ws://[::1]:1/mesh", Some("::1")),
            ("enet://[::1]:1", Some("::1")),
            ("ws://192.0.2.1:1/mesh", None),
            ("enet://192.0.2.1:1", None),
            ("ws://a.example/mesh", None),
            ("ws://[2001:db8::1]/mesh", None),
        ] {
            let address = address.map(|address| address.parse().unwrap());
            assert_eq!(here(&relay.parse().unwrap()), address, "{relay}");
        }
    }

    #[tokio::test]
    async fn the_socket_is_another_once_it_is_over_or_the_relay_is_elsewhere() {
        let config = Config::new(Kind::Relay).named("relay".parse().unwrap());
        let identity = Identity::from_secret(&[1; 32]);
        let started = Runtime::start_as(identity, config, Vec::new(), Discovery::default());
        let (node, runtime) = started.unwrap();
        let opened = |ip: IpAddr, is_stated| Opened {
            webrtc: WebRtc::open(&runtime, SocketAddr::new(ip, 0), None, None).unwrap(),
            is_stated,
        };
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        let near = opened(loopback, false);
        assert!(near.leads_to(Some(Some(loopback))) && near.leads_to(None));
        assert!(!near.leads_to(Some(None)));
        assert!(
            opened(loopback, true).leads_to(Some(None)),
            "as it was said"
        );
        assert!(opened(EVERYWHERE[1], false).leads_to(Some(None)));
        node.close();
        while near.leads_to(None) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
