//! One attempt at a direct link with a native node, from the invitations to the end of the link.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};
use peerage::Failure;
use peerage::error::Code;
use peerage::limits::PUNCH_TIMEOUT;
use peerage::link::Origin;
use peerage::log::CONNECTION;
use peerage::node::Stream;
use peerage::service::punch::{Invitation, Place};
use tokio::sync::oneshot;
use tokio::time::{sleep_until, timeout};

use crate::direct::punch::Punch;
use crate::direct::punch::socket::{Share, is_place};
use crate::enet::{Peer, link};

/// How long the last words of a link may take.
const LINGER: Duration = Duration::from_secs(1);

/// Agrees on a link over this stream, and runs it until its end. `ended` says that it is to make way.
///
/// # Errors
/// Why there is no link.
pub(super) async fn run(
    punch: &Punch,
    stream: &Stream,
    is_opener: bool,
    mut ended: oneshot::Receiver<()>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let found = timeout(PUNCH_TIMEOUT, find(punch, stream, is_opener));
    let Found { peer, share } = tokio::select! {
        found = found => {
            found.map_err(|_| Code::TimedOut.because("no way to the node was found in time"))??
        }
        _ = &mut ended => {
            stream.reset(Code::Overloaded.because("the direct link is needed no more"));
            return Err(Code::Cancelled.because("another attempt, or link, is in its place"));
        }
    };
    let address = peer.about.address;
    tracing::debug!(
        target: CONNECTION,
        node = %punch.node().id().short(), peer = %stream.peer().short(),
        after_ms = begun.elapsed().as_millis() as u64,
        "a way to a native node"
    );
    let origin = Origin::Direct(stream.peer());
    let sender = peer.sender().clone();
    let running = link::run(punch.runtime().clone(), origin, peer, address.to_string());
    let mut running = pin!(running);
    let is_over = tokio::select! {
        () = &mut running => true,
        _ = ended => {
            stream.reset(Code::Overloaded.because("the direct link is needed no more"));
            false
        }
        // The other side says no more than that it is over; the reason comes by the link.
        _ = stream.recv() => timeout(LINGER, &mut running).await.is_ok(),
    };
    if !is_over {
        // In good order, so that the node hears of it.
        sender.disconnect(0);
        let _ = timeout(LINGER, running).await;
    }
    stream.finish();
    // What is said last has to be acknowledged.
    tokio::spawn(async move {
        tokio::time::sleep(LINGER).await;
        drop(share);
    });
    Ok(())
}

/// What was found: a connection, and the part of the socket that lets it be heard.
struct Found {
    peer: Peer,
    share: Share,
}

async fn find(punch: &Punch, stream: &Stream, is_opener: bool) -> Result<Found, Failure> {
    let socket = punch.socket()?;
    let share = socket.share();
    let ours = IceCreds::new();
    let token = token()?;
    let expected = share.expect(token);
    let invite = async || {
        let places = punch.places(&socket).await?;
        let invitation = Invitation {
            name: ours.ufrag.clone(),
            password: ours.pass.clone(),
            token,
            places: places.clone(),
        };
        stream.send(invitation.encode()).await?;
        Ok::<_, Failure>(places)
    };
    let hear = async || {
        let said = stream.recv().await?;
        let said = said.ok_or_else(|| Code::Gone.because("the other side has given up"))?;
        Invitation::decode(&said)
    };
    let (places, mut theirs) = match is_opener {
        true => (invite().await?, hear().await?),
        false => {
            let theirs = hear().await?;
            (invite().await?, theirs)
        }
    };
    let bases = bases(&places);
    if bases.is_empty() {
        return Err(Code::Unreachable.because("this node has no address"));
    }
    // Nothing is said to who is not heard.
    let hearing = &punch.runtime().hearing;
    theirs
        .places
        .retain(|place| hearing.has(place.address.ip()));
    let mut checks = Checks {
        agent: agent(ours.clone(), is_opener, &places, &theirs),
        share,
        bases,
    };
    let peer = if is_opener {
        let way = checks.way().await;
        let calling = checks.share.call(way, theirs.token);
        let called = calling.await;
        called.map_err(|reason| Code::Unreachable.because(reason))?
    } else {
        tokio::select! {
            peer = expected => peer.map_err(|_| Code::Gone.because("this node has left"))?,
            () = checks.go_on() => return Err(Code::Gone.because("this node has left")),
        }
    };
    let share = checks.share;
    Ok(Found { peer, share })
}

/// The checks of both sides' addresses.
struct Checks {
    agent: IceAgent,
    share: Share,
    /// Its own address, of each family.
    bases: Vec<SocketAddr>,
}

impl Checks {
    /// Checks until there is a way.
    async fn way(&mut self) -> SocketAddr {
        loop {
            if let Some(way) = self.step().await {
                return way;
            }
        }
    }

    /// Checks for as long as it is asked.
    async fn go_on(&mut self) {
        loop {
            self.step().await;
        }
    }

    /// Does what is due, and waits for what comes next; tells a way that was agreed on.
    async fn step(&mut self) -> Option<SocketAddr> {
        self.agent.handle_timeout(Instant::now());
        while let Some(sent) = self.agent.poll_transmit() {
            self.share.send(sent.destination, &sent.contents);
        }
        let mut way = None;
        while let Some(event) = self.agent.poll_event() {
            match event {
                // It has shown that it knows the password.
                IceAgentEvent::DiscoveredRecv { source, .. } => self.share.know(source),
                IceAgentEvent::NominatedSend { destination, .. } => {
                    self.share.know(destination);
                    way = Some(destination);
                }
                _ => {}
            }
        }
        if way.is_some() {
            return way;
        }
        let due = self.agent.poll_timeout().unwrap_or_else(Instant::now);
        tokio::select! {
            datagram = self.share.next() => {
                if let Some((from, datagram)) = datagram {
                    self.hear(from, &datagram);
                }
            }
            () = sleep_until(due.into()) => {}
        }
        None
    }

    fn hear(&mut self, source: SocketAddr, datagram: &[u8]) {
        let Ok(message) = StunMessage::parse(datagram) else {
            return;
        };
        let Some(destination) = of_family(&self.bases, source) else {
            return;
        };
        let packet = StunPacket {
            proto: Protocol::Udp,
            source,
            destination,
            message,
        };
        // What is another's is left alone.
        self.agent.handle_packet(Instant::now(), packet);
    }
}

fn agent(ours: IceCreds, controlling: bool, places: &[Place], theirs: &Invitation) -> IceAgent {
    let mut agent = IceAgent::new(ours);
    agent.set_controlling(controlling);
    agent.set_remote_credentials(IceCreds {
        ufrag: theirs.name.clone(),
        pass: theirs.password.clone(),
    });
    let bases = bases(places);
    // All of this machine's addresses are one socket's, which does not tell by which of them a datagram came.
    let own = places
        .iter()
        .filter(|place| place.is_mapped || bases.contains(&place.address));
    let own = own.filter_map(|place| candidate(place, of_family(&bases, place.address)));
    for candidate in own {
        agent.add_local_candidate(candidate);
    }
    let others = theirs.places.iter().filter(|place| is_place(place.address));
    for candidate in others.filter_map(|place| candidate(place, Some(place.address))) {
        agent.add_remote_candidate(candidate);
    }
    agent
}

/// The first address of each family, which is the one by which others are reached.
fn bases(places: &[Place]) -> Vec<SocketAddr> {
    let own = places.iter().filter(|place| !place.is_mapped);
    let mut bases = Vec::new();
    for address in own.map(|place| place.address) {
        if of_family(&bases, address).is_none() {
            bases.push(address);
        }
    }
    bases
}

fn of_family(addresses: &[SocketAddr], of: SocketAddr) -> Option<SocketAddr> {
    let mut all = addresses.iter().copied();
    all.find(|address| address.is_ipv4() == of.is_ipv4())
}

fn candidate(place: &Place, base: Option<SocketAddr>) -> Option<Candidate> {
    let made = match (place.is_mapped, base) {
        (true, Some(base)) => Candidate::server_reflexive(place.address, base, "udp"),
        _ => Candidate::host(place.address, "udp"),
    };
    // One of another family than its base is none.
    made.ok()
}

fn token() -> Result<[u8; 16], Failure> {
    let random = crate::runtime::random();
    let random = random.map_err(|error| Code::Refused.because(error.to_string()))?;
    let mut token = [0; 16];
    token.copy_from_slice(&random[..16]);
    Ok(token)
}
