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
use peerage::log::{CONNECTION, ERROR};
use peerage::node::Stream;
use peerage::service::signal::{self, Admission, Degree, PROTOCOL};
use peerage::{Failure, Node, NodeId, Time};
use tokio::sync::oneshot;
use tokio::time::timeout;
use url::{Host, Url};

use crate::link::webrtc::WebRtc;
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
    /// Bytes a second of an allocation, in each direction.
    pub bytes_per_second: Option<u64>,
}

/// The direct links of a node; clones are the same.
#[derive(Clone)]
pub struct Direct(Arc<Inner>);

struct Inner {
    node: Node,
    runtime: Runtime,
    relays: Vec<Url>,
    links: Mutex<Links>,
    webrtc: Mutex<Option<WebRtc>>,
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
    /// Direct links of a node that calls these relays.
    pub(crate) fn new(node: Node, runtime: Runtime, relays: Vec<Url>, max: usize) -> Self {
        let links = Links {
            degree: Degree::new(max),
            attempts: HashMap::new(),
            next: 0,
        };
        Self(Arc::new(Inner {
            node,
            runtime,
            relays,
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
        };
        let stun = Stun::new(settings, Instant::now());
        let mut webrtc = self.webrtc();
        if webrtc.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let opened = WebRtc::open(&self.0.runtime, address, public, Some(stun))?;
        let address = opened.address();
        *webrtc = Some(opened);
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

    /// The task of the socket, which is started now if it is not there.
    fn port(&self) -> Result<WebRtc, Failure> {
        let mut webrtc = self.webrtc();
        if let Some(webrtc) = &*webrtc {
            return Ok(webrtc.clone());
        }
        let address = SocketAddr::new(near(&self.0.relays), 0);
        let opened = WebRtc::open(&self.0.runtime, address, None, None).map_err(|error| {
            tracing::warn!(target: ERROR, %error, "no socket for WebRTC");
            Code::Unreachable.because("this node has no socket for WebRTC")
        })?;
        Ok(webrtc.insert(opened).clone())
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
            let relay = self.0.relays.iter().find_map(Url::host_str);
            let host = server.host.as_deref().or(relay)?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let mut found = tokio::net::lookup_host((host, server.port)).await.ok()?;
            let is_v6 = port.address().is_ipv6();
            port.ask(found.find(|at| is_v6 || at.is_ipv4())?).await;
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

    fn webrtc(&self) -> MutexGuard<'_, Option<WebRtc>> {
        self.0.webrtc.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a node that calls these relays is reached: on this machine if they are all here, else anywhere.
pub(crate) fn near(relays: &[Url]) -> IpAddr {
    let is_here = |url: &Url| match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => true,
    };
    let is_v6 = |url: &Url| matches!(url.host(), Some(Host::Ipv6(_)));
    match (relays.iter().all(is_here), relays.iter().any(is_v6)) {
        (true, true) => Ipv6Addr::LOCALHOST.into(),
        (true, false) => Ipv4Addr::LOCALHOST.into(),
        (false, true) => Ipv6Addr::UNSPECIFIED.into(),
        (false, false) => Ipv4Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_of_relays_on_this_machine_is_reached_here_only() {
        for (relays, address) in [
            (
                &["ws://127.0.0.1:1/mesh", "ws://localhost/mesh"][..],
                "127.0.0.1",
            ),
            (&["ws://[::1]:1/mesh"], "::1"),
            (
                &["ws://127.0.0.1:1/mesh", "ws://192.0.2.1:1/mesh"],
                "0.0.0.0",
            ),
            (&["ws://a.example/mesh"], "0.0.0.0"),
            (&["ws://[2001:db8::1]/mesh"], "::"),
            (&[], "127.0.0.1"),
        ] {
            let urls = Vec::from_iter(relays.iter().map(|url| url.parse().unwrap()));
            assert_eq!(
                near(&urls),
                address.parse::<IpAddr>().unwrap(),
                "{relays:?}"
            );
        }
    }
}
