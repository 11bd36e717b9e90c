//! Announcements of our own: each node tells every network that it is in, by broadcast and multicast, every few seconds, and
//! answers who asks. The address at which it lets others in is the one from which its word comes, so nobody can name another's.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use peerage::limits::{
    ANNOUNCE_INTERVAL, ANNOUNCEMENT_BYTES_MAX, ANNOUNCEMENT_KEPT, DISCOVERY_ANSWERS_MAX,
    DISCOVERY_DATAGRAMS_MAX,
};
use peerage::log::{DISCOVERY, ERROR};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::discovery::list::Sighting;
use crate::discovery::message::{Announcement, Message};
use crate::discovery::network::{Listener, Network, Speaker};
use crate::discovery::presence::Presence;
use crate::discovery::{Discovery, Method, kai};
use crate::link::address;
use crate::rate::Rate;

/// How often an announcer looks whether there is something new to say.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a socket that has failed is left alone.
const FAILED_PAUSE: Duration = Duration::from_millis(200);
/// When those who look ask at first: a question may be lost.
const FIRST_ASKED: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(700)];

/// Announces a node until it is told to stop, and says good-bye then.
pub(super) async fn announce(port: u16, presence: &Presence, stop: &CancellationToken) {
    let (v4, v6) = (listener(false, port), listener(true, port));
    let kai = Listener::open(false, kai::PORT)
        .inspect_err(|error| tracing::debug!(target: DISCOVERY, %error, "KAI's port is another's"))
        .ok();
    let mut announcer = Announcer {
        port,
        presence,
        speakers: Vec::new(),
        said: HashMap::new(),
        answers: Rate::new(DISCOVERY_ANSWERS_MAX),
    };
    let (mut ticks, mut ticked) = (interval(LOOK_EVERY), 0u64);
    loop {
        tokio::select! {
            () = stop.cancelled() => return announcer.say_bye(),
            _ = ticks.tick() => {
                let is_due = ticked.is_multiple_of(ANNOUNCE_INTERVAL.as_secs());
                ticked += 1;
                announcer.refresh([&v4, &v6]);
                announcer.say(is_due);
            }
            (datagram, from) = hear(v4.as_ref()) => announcer.answer(&datagram, from),
            (datagram, from) = hear(v6.as_ref()) => announcer.answer(&datagram, from),
            (datagram, from) = hear(kai.as_ref()) => announcer.answer_kai(kai.as_ref(), &datagram, from),
        }
    }
}

struct Announcer<'a> {
    port: u16,
    presence: &'a Presence,
    speakers: Vec<Speaker>,
    /// What was said last, as which address.
    said: HashMap<IpAddr, Announcement>,
    answers: Rate,
}

impl Announcer<'_> {
    /// Follows the networks, which come and go.
    fn refresh(&mut self, listeners: [&Option<Listener>; 2]) {
        let networks = Network::all();
        self.speakers
            .retain(|speaker| networks.contains(&speaker.network));
        for network in networks {
            listeners
                .into_iter()
                .flatten()
                .for_each(|listener| listener.join(&network));
            if !self
                .speakers
                .iter()
                .any(|speaker| speaker.network == network)
            {
                // An address that is not ready yet is so next time.
                self.speakers.extend(speaker(network));
            }
        }
    }

    /// Tells everyone; what was told before only if that is due.
    fn say(&mut self, is_due: bool) {
        for speaker in &self.speakers {
            let ip = speaker.network.ip;
            let now = self.presence.at(ip);
            let before = match &now {
                Some(now) => self.said.insert(ip, now.clone()),
                None => self.said.remove(&ip),
            };
            let message = match (now, before) {
                (Some(now), before) if is_due || before.as_ref() != Some(&now) => {
                    Message::Here(now)
                }
                (None, Some(before)) => Message::Bye(before.id),
                _ => continue,
            };
            speaker.tell_all(self.port, &message.encode());
        }
    }

    fn say_bye(&self) {
        for speaker in &self.speakers {
            if let Some(said) = self.said.get(&speaker.network.ip) {
                speaker.tell_all(self.port, &Message::Bye(said.id).encode());
            }
        }
    }

    /// Answers who asks, if he is in one of our networks, as our address there.
    fn answer(&mut self, datagram: &[u8], from: SocketAddr) {
        let speaker = self
            .speakers
            .iter()
            .find(|speaker| speaker.network.holds(from));
        let (Some(speaker), Ok(Message::Ask)) = (speaker, Message::decode(datagram)) else {
            return;
        };
        if let Some(now) = self.presence.at(speaker.network.ip)
            && self.answers.allows(Instant::now())
        {
            speaker.tell(from, &Message::Here(now).encode());
        }
    }

    fn answer_kai(&mut self, socket: Option<&Listener>, datagram: &[u8], from: SocketAddr) {
        let is_near = self
            .speakers
            .iter()
            .any(|speaker| speaker.network.holds(from));
        if let (Some(socket), Some(answer), true) = (socket, kai::answer(datagram), is_near)
            && self.answers.allows(Instant::now())
        {
            socket.tell(from, &answer);
        }
    }
}

/// Looks for announcements, and asks for them.
pub(super) async fn browse(discovery: Discovery) {
    let port = discovery.settings().port;
    let listeners = [listener(false, port), listener(true, port)];
    let listeners = listeners.map(|listener| listener.map(Arc::new));
    let mut readers = JoinSet::new();
    for listener in listeners.iter().flatten() {
        let (discovery, listener) = (discovery.clone(), Arc::clone(listener));
        readers.spawn(async move { read(&discovery, listener.socket()).await });
    }
    let mut speakers: HashMap<Network, (Arc<Speaker>, tokio::task::AbortHandle)> = HashMap::new();
    let mut pauses = FIRST_ASKED.into_iter();
    let question = Message::Ask.encode();
    loop {
        let networks = Network::all();
        speakers.retain(|network, (_, reader)| {
            let stays = networks.contains(network);
            if !stays {
                reader.abort();
            }
            stays
        });
        // Who has not yet answered is heard when he announces himself, unless the port is another's.
        let asks_again = pauses.len() > 0 || listeners.iter().any(Option::is_none);
        for (speaker, _) in speakers.values().filter(|_| asks_again) {
            speaker.tell_all(port, &question);
        }
        for network in networks {
            listeners
                .iter()
                .flatten()
                .for_each(|listener| listener.join(&network));
            if !speakers.contains_key(&network)
                && let Some(speaker) = speaker(network.clone()).map(Arc::new)
            {
                speaker.tell_all(port, &question);
                let (discovery, reading) = (discovery.clone(), Arc::clone(&speaker));
                let reader = readers.spawn(async move { read(&discovery, &reading.socket).await });
                speakers.insert(network, (speaker, reader));
            }
        }
        // Readers that were told to end have ended.
        while readers.try_join_next().is_some() {}
        sleep(pauses.next().unwrap_or(ANNOUNCE_INTERVAL)).await;
    }
}

async fn read(discovery: &Discovery, socket: &UdpSocket) {
    let mut rate = Rate::new(DISCOVERY_DATAGRAMS_MAX);
    loop {
        let (datagram, from) = receive(socket).await;
        if !rate.allows(Instant::now()) {
            continue;
        }
        match Message::decode(&datagram) {
            Ok(Message::Here(announcement)) => discovery.hear(sighting(announcement, from)),
            Ok(Message::Bye(id)) => discovery.leave(Method::Broadcast, &place(from, id)),
            Ok(Message::Ask) => {}
            Err(failure) => {
                tracing::trace!(target: DISCOVERY, code = %failure.code, "a datagram that is not read");
            }
        }
    }
}

fn sighting(said: Announcement, from: SocketAddr) -> Sighting {
    let addresses = said.doors.iter().filter_map(|door| {
        let mut at = from;
        at.set_port(door.port);
        let url = address::of(&door.scheme, at, &door.path)?;
        let interface = address::interface(&url);
        Some(address::with(url, Some(said.id), interface.as_deref()))
    });
    Sighting {
        method: Method::Broadcast,
        place: place(from, said.id),
        sender: Some(from.ip()),
        id: Some(said.id),
        addresses: addresses.collect(),
        zone: Some(said.zone),
        name: said.name,
        kind: Some(said.kind),
        kept: Some(ANNOUNCEMENT_KEPT),
    }
}

/// Who says something of whom: another who says it of the same node is another entry.
fn place(from: SocketAddr, id: peerage::NodeId) -> String {
    let scope = match from {
        SocketAddr::V6(from) if from.scope_id() != 0 => format!("%{}", from.scope_id()),
        _ => String::new(),
    };
    format!("{}{scope} {}", from.ip(), id.short())
}

fn listener(is_v6: bool, port: u16) -> Option<Listener> {
    Listener::open(is_v6, port)
        .inspect_err(|error| tracing::warn!(target: ERROR, port, is_v6, %error, "announcements are not heard"))
        .ok()
}

fn speaker(network: Network) -> Option<Speaker> {
    Speaker::open(network)
        .inspect_err(|error| tracing::debug!(target: DISCOVERY, %error, "an address is not ready"))
        .ok()
}

async fn hear(listener: Option<&Listener>) -> (Vec<u8>, SocketAddr) {
    match listener {
        Some(listener) => receive(listener.socket()).await,
        None => std::future::pending().await,
    }
}

/// The next datagram, up to a byte more than any that counts.
async fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; ANNOUNCEMENT_BYTES_MAX + 1];
    loop {
        let received: io::Result<_> = socket.recv_from(&mut buffer).await;
        match received {
            Ok((len, from)) => return (buffer[..len].to_vec(), from),
            // The network may be down for a while.
            Err(_) => sleep(FAILED_PAUSE).await,
        }
    }
}
