//! DNS-based service discovery by multicast: `_peerage._tcp.local` for WebSockets and `_peerage._udp.local` for ENet, so that any
//! tool for it shows our nodes. The TXT record has `id`, `zone`, `name`, `kind` and `path`.

use std::collections::HashMap;
use std::net::{SocketAddr, SocketAddrV6};
use std::time::Duration;

use futures_util::future::join;
use mdns_sd::{ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use peerage::id::Kind;
use peerage::limits::{SERVICE_KEPT, SERVICE_VERIFIED_EVERY};
use peerage::log::{DISCOVERY, ERROR};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::discovery::list::Sighting;
use crate::discovery::message::{Announcement, is_plain};
use crate::discovery::presence::Presence;
use crate::discovery::{Discovery, Method, Way};
use crate::link::address;

/// The service types, and the scheme of the addresses of each.
const TYPES: [(&str, &str); 2] = [
    ("_peerage._tcp.local.", "ws"),
    ("_peerage._udp.local.", "enet"),
];
/// How often an announcer looks whether there is something new to say.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long one may take to answer that.
const VERIFY_PATIENCE: Duration = Duration::from_secs(4);

/// The responder's thread, which ends with this.
struct Daemon(ServiceDaemon);

impl Daemon {
    fn start() -> Option<Self> {
        ServiceDaemon::new()
            .inspect_err(|error| tracing::warn!(target: ERROR, %error, "no DNS-SD"))
            .ok()
            .map(Self)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.shutdown();
    }
}

/// Registers a node's services until it is told to stop, and takes them back then.
pub(super) async fn announce(presence: &Presence, stop: &CancellationToken) {
    let Some(daemon) = Daemon::start() else {
        return;
    };
    let mut ticks = interval(LOOK_EVERY);
    let mut said: Option<Announcement> = None;
    let mut names: Vec<String> = Vec::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {
                let now = presence.now(Vec::new());
                if now == said {
                    continue;
                }
                withdraw(&daemon, names.drain(..)).await;
                names = now.iter().flat_map(|now| register(&daemon, now, presence.ways())).collect();
                said = now;
            }
        }
    }
    withdraw(&daemon, names.drain(..)).await;
}

/// Registers the services of these ways in; the names under which they are known.
fn register(daemon: &Daemon, said: &Announcement, ways: &[Way]) -> Vec<String> {
    let of_type = |(service, scheme): &(&'static str, &str)| {
        let way = ways.iter().find(|way| way.scheme == *scheme)?;
        let info = service_info(service, said, way)
            .and_then(|info| {
                let name = info.get_fullname().to_owned();
                daemon.0.register(info).map(|()| name)
            })
            .inspect_err(|error| tracing::warn!(target: ERROR, service, %error, "not registered"));
        info.ok()
    };
    TYPES.iter().filter_map(of_type).collect()
}

fn service_info(
    service: &str,
    said: &Announcement,
    way: &Way,
) -> Result<ServiceInfo, mdns_sd::Error> {
    let short = said.id.short();
    let name = said
        .name
        .as_ref()
        .map_or(short.as_str(), |name| name.as_str());
    let id = said.id.to_string();
    let properties = [
        ("id", id.as_str()),
        ("zone", &said.zone),
        ("name", name),
        ("kind", said.kind.as_str()),
        ("path", way.path),
    ];
    // Names are those of one zone: in a network there may be several, so the id is in the service's name too.
    let instance = format!("{name} {short}");
    let host = format!("peerage-{short}.local.");
    let port = way.at.port();
    match way.at.ip() {
        ip if ip.is_unspecified() => {
            let info = ServiceInfo::new(service, &instance, &host, "", port, &properties[..])?;
            Ok(info.enable_addr_auto())
        }
        ip => ServiceInfo::new(service, &instance, &host, ip, port, &properties[..]),
    }
}

async fn withdraw(daemon: &Daemon, names: impl Iterator<Item = String>) {
    for name in names {
        if let Ok(done) = daemon.0.unregister(&name) {
            // If the thread is gone, nobody is told.
            let _ = done.recv_async().await;
        }
    }
}

/// Follows the services that are there.
pub(super) async fn browse(discovery: Discovery) {
    let Some(daemon) = Daemon::start() else {
        return;
    };
    let [tcp, udp] = TYPES.map(|(service, scheme)| follow(&discovery, &daemon, service, scheme));
    join(tcp, udp).await;
}

async fn follow(discovery: &Discovery, daemon: &Daemon, service: &str, scheme: &str) {
    let events = match daemon.0.browse(service) {
        Ok(events) => events,
        Err(error) => {
            tracing::warn!(target: ERROR, service, %error, "services are not looked for");
            return;
        }
    };
    let mut known = HashMap::new();
    let mut ticks = interval(SERVICE_VERIFIED_EVERY);
    loop {
        tokio::select! {
            event = events.recv_async() => match event {
                Ok(ServiceEvent::ServiceResolved(found)) => {
                    let seen = sighting(&found, scheme);
                    discovery.hear(seen.clone());
                    // What is not noted is not followed either.
                    if discovery.knows(Method::DnsSd, &seen.place) {
                        known.insert(found.fullname.clone(), seen);
                    }
                }
                Ok(ServiceEvent::ServiceRemoved(_, name)) => {
                    known.remove(&name);
                    discovery.leave(Method::DnsSd, &place(&name));
                }
                Ok(_) => {}
                Err(_) => return,
            },
            _ = ticks.tick() => {
                for (name, seen) in &known {
                    // It counts for as long as nobody has found it to be gone.
                    discovery.hear(seen.clone());
                    // If it has too much to do, it is asked next time.
                    if let Err(error) = daemon.0.verify(name.clone(), VERIFY_PATIENCE) {
                        tracing::debug!(target: DISCOVERY, %error, "a service is not verified");
                    }
                }
            }
        }
    }
}

fn sighting(found: &ResolvedService, scheme: &str) -> Sighting {
    let text = |key: &str| {
        found
            .get_property_val_str(key)
            .filter(|text| is_plain(text))
    };
    let id = text("id").and_then(|id| id.parse().ok());
    let path = text("path")
        .filter(|path| path.starts_with('/'))
        .unwrap_or_default();
    let mut at: Vec<_> = found
        .addresses
        .iter()
        .map(|ip| socket(ip, found.port))
        .collect();
    // Those first that every program understands.
    at.sort_by_key(|at| (at.is_ipv6(), *at));
    let addresses = at.iter().filter_map(|at| {
        let url = address::of(scheme, *at, path)?;
        let interface = address::interface(&url);
        Some(address::with(url, id, interface.as_deref()))
    });
    // Who has told of it is not known; where it is said to be counts instead.
    let sender = at.first().map(SocketAddr::ip);
    Sighting {
        method: Method::DnsSd,
        place: place(&found.fullname),
        sender,
        addresses: addresses.collect(),
        id,
        zone: text("zone").map(str::to_owned),
        name: text("name").and_then(|name| name.parse().ok()),
        kind: text("kind")
            .and_then(|kind| Kind::ALL.into_iter().find(|known| known.as_str() == kind)),
        kept: Some(SERVICE_KEPT),
    }
}

fn socket(ip: &ScopedIp, port: u16) -> SocketAddr {
    match ip {
        ScopedIp::V6(ip) if ip.addr().is_unicast_link_local() => {
            SocketAddrV6::new(*ip.addr(), port, 0, ip.scope_id().index).into()
        }
        ip => (ip.to_ip_addr(), port).into(),
    }
}

/// A service's name, with nothing in it that a terminal should not be told.
fn place(name: &str) -> String {
    let shown = |c: char| {
        if is_plain(c.encode_utf8(&mut [0; 4])) {
            c
        } else {
            ' '
        }
    };
    name.chars().take(255).map(shown).collect()
}
