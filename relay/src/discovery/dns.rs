//! The records of a domain: SRV of `_peerage._tcp.example.org` (WebSockets) and `_peerage._udp.example.org` (ENet), in the order that
//! RFC 2782 asks for, with what TXT records there say: `path=`, `zone=`, `id=`, of all targets or of `target=` alone.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::{SRV, TXT};
use peerage::limits::{DNS_KEPT_MAX, DNS_KEPT_MIN, DNS_RECORDS_MAX, DNS_TIMEOUT};
use peerage::log::{DISCOVERY, ERROR};
use peerage::{Code, Failure, NodeId};
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};
use url::Url;

use crate::discovery::list::Sighting;
use crate::discovery::message::is_plain;
use crate::discovery::{Discovery, Method};
use crate::link::address;

/// The services, and the scheme and path of addresses of each.
const SERVICES: [(&str, &str, &str); 2] = [("_tcp", "ws", "/mesh"), ("_udp", "enet", "")];
/// Bytes of a domain's name, with room for the service before it.
pub(crate) const DOMAIN_BYTES_MAX: usize = 230;

/// The resolver, as the system is told to resolve, made when it is first needed.
#[derive(Default)]
pub(super) struct Dns(OnceCell<TokioResolver>);

/// Whom a domain's records name, the first to call first.
pub(super) struct Found {
    targets: Vec<Target>,
    valid_until: Instant,
}

struct Target {
    place: String,
    address: Url,
    id: Option<NodeId>,
    zone: Option<String>,
}

impl Dns {
    /// The addresses that a domain names, in the order in which they are to be called.
    pub(super) async fn addresses(&self, domain: &str) -> Result<Vec<Url>, Failure> {
        let found = self.look_up(domain).await?;
        Ok(found
            .targets
            .into_iter()
            .map(|target| target.address)
            .collect())
    }

    /// Asks for a domain's records.
    pub(super) async fn look_up(&self, domain: &str) -> Result<Found, Failure> {
        let domain = domain.trim_end_matches('.');
        if domain.is_empty() || domain.len() > DOMAIN_BYTES_MAX || !domain.is_ascii() {
            return Err(Code::UnknownName.because(format!("expected a domain, got `{domain}`")));
        }
        let late = |_| Code::TimedOut.because("no answer about the domain's records");
        timeout(DNS_TIMEOUT, self.ask(domain)).await.map_err(late)?
    }

    async fn ask(&self, domain: &str) -> Result<Found, Failure> {
        let resolver = self
            .0
            .get_or_try_init(async || TokioResolver::builder_tokio()?.build());
        let resolver = resolver.await.map_err(|error| failure(&error))?;
        let (mut targets, mut valid_until) = (Vec::new(), Instant::now() + DNS_KEPT_MAX);
        for (service, scheme, path) in SERVICES {
            let name = format!("_peerage.{service}.{domain}.");
            let Some(records) = records(resolver.srv_lookup(name.as_str()).await)? else {
                continue;
            };
            let servers = servers(&records);
            let texts = records_or_none(resolver.txt_lookup(name.as_str()).await);
            valid_until = [Some(&records), texts.as_ref()]
                .into_iter()
                .flatten()
                .fold(valid_until, |until, records| {
                    until.min(records.valid_until())
                });
            let texts = texts.as_ref().map(said).unwrap_or_default();
            for server in in_order(servers, random) {
                targets.extend(target(&server, scheme, path, &texts));
            }
        }
        match targets.is_empty() {
            true => Err(Code::UnknownName.because(format!("the domain `{domain}` names no node"))),
            false => Ok(Found {
                targets,
                valid_until,
            }),
        }
    }
}

/// Follows a domain's records for as long as somebody looks: they are asked for again when they are no longer valid.
pub(super) async fn follow(discovery: &Discovery, domain: &str) {
    let mut known: Vec<String> = Vec::new();
    loop {
        let pause = match discovery.0.dns.look_up(domain).await {
            Ok(found) => {
                let pause = found.valid_until.saturating_duration_since(Instant::now());
                let pause = pause.clamp(DNS_KEPT_MIN, DNS_KEPT_MAX);
                let places: Vec<_> = found.targets.iter().map(|t| t.place.clone()).collect();
                for gone in known.iter().filter(|place| !places.contains(place)) {
                    discovery.leave(Method::Dns, gone);
                }
                known = places;
                // Until they have been asked for again.
                let kept = pause + 2 * DNS_TIMEOUT;
                found
                    .targets
                    .into_iter()
                    .for_each(|target| discovery.hear(target.sighting(kept)));
                pause
            }
            Err(failure) if failure.code == Code::UnknownName => {
                known
                    .drain(..)
                    .for_each(|gone| discovery.leave(Method::Dns, &gone));
                DNS_TIMEOUT
            }
            Err(failure) => {
                tracing::debug!(target: DISCOVERY, code = %failure.code, "a domain's records are not known");
                DNS_TIMEOUT
            }
        };
        sleep(pause).await;
    }
}

impl Target {
    fn sighting(self, kept: Duration) -> Sighting {
        Sighting {
            method: Method::Dns,
            place: self.place,
            sender: None,
            id: self.id,
            zone: self.zone,
            name: None,
            kind: None,
            addresses: vec![self.address],
            kept: Some(kept),
        }
    }
}

/// What a lookup has found; nothing, if there is nothing of the kind.
fn records(answer: Result<Lookup, NetError>) -> Result<Option<Lookup>, Failure> {
    match answer {
        Ok(records) => Ok(Some(records)),
        Err(error) if error.is_no_records_found() || error.is_nx_domain() => Ok(None),
        Err(error) => Err(failure(&error)),
    }
}

/// As [`records`], of what is not necessary.
fn records_or_none(answer: Result<Lookup, NetError>) -> Option<Lookup> {
    records(answer).unwrap_or_else(|failure| {
        tracing::debug!(target: DISCOVERY, code = %failure.code, "a domain's texts are not known");
        None
    })
}

fn failure(error: &NetError) -> Failure {
    Code::Unreachable.because(format!("the domain's records are not known: {error}"))
}

fn servers(records: &Lookup) -> Vec<Server> {
    let servers = records
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::SRV(srv) => Server::read(srv),
            _ => None,
        });
    servers.take(DNS_RECORDS_MAX).collect()
}

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Server {
    priority: u16,
    weight: u16,
    host: String,
    port: u16,
}

impl Server {
    /// Reads a record; the root as a target says that there is no such service.
    fn read(srv: &SRV) -> Option<Self> {
        let host = srv.target.to_ascii();
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        (!host.is_empty() && srv.port != 0).then_some(Self {
            priority: srv.priority,
            weight: srv.weight,
            host,
            port: srv.port,
        })
    }
}

/// In the order in which they are to be called (RFC 2782): by priority, and among equals at random by weight. `random(n)` is a
/// number up to `n`.
fn in_order(mut servers: Vec<Server>, mut random: impl FnMut(u32) -> u32) -> Vec<Server> {
    servers.sort_by_key(|server| (server.priority, server.weight));
    let mut ordered = Vec::with_capacity(servers.len());
    while let Some(first) = servers.first() {
        let priority = first.priority;
        let equals = || {
            servers
                .iter()
                .take_while(|server| server.priority == priority)
        };
        let sum = equals().map(|server| u32::from(server.weight)).sum();
        let chosen = random(sum);
        let mut running = 0;
        let at = equals().position(|server| {
            running += u32::from(server.weight);
            running >= chosen
        });
        ordered.push(servers.remove(at.unwrap_or(0)));
    }
    ordered
}

fn random(most: u32) -> u32 {
    let mut bytes = [0; 8];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::warn!(target: ERROR, %error, "no random numbers");
    }
    (u64::from_be_bytes(bytes) % (u64::from(most) + 1)) as u32
}

/// What TXT records say: pairs of each record.
fn said(records: &Lookup) -> Vec<HashMap<String, String>> {
    let texts = records
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(pairs(txt)),
            _ => None,
        });
    texts.take(DNS_RECORDS_MAX).collect()
}

fn pairs(txt: &TXT) -> HashMap<String, String> {
    let texts = txt
        .txt_data
        .iter()
        .filter_map(|text| str::from_utf8(text).ok());
    let plain = texts.filter(|text| text.len() <= 255);
    let pair = plain.filter_map(|text| text.split_once('='));
    let pair = pair.filter(|(_, value)| value.split('.').all(is_plain));
    pair.map(|(key, value)| (key.to_ascii_lowercase(), value.to_owned()))
        .collect()
}

/// What a record and the texts make: those of this target count before those of all.
fn target(
    server: &Server,
    scheme: &str,
    path: &str,
    texts: &[HashMap<String, String>],
) -> Option<Target> {
    let is_mine = |text: &&HashMap<String, String>| {
        let target = text.get("target").map(|t| t.trim_end_matches('.'));
        target.is_none_or(|target| target.eq_ignore_ascii_case(&server.host))
    };
    let mut mine: Vec<_> = texts.iter().filter(is_mine).collect();
    mine.sort_by_key(|text| !text.contains_key("target"));
    let value = |key: &str| {
        mine.iter()
            .find_map(|text| text.get(key))
            .map(String::as_str)
    };
    let path = value("path")
        .filter(|path| path.starts_with('/'))
        .unwrap_or(path);
    let id = value("id").and_then(|id| id.parse().ok());
    let place = format!("{}:{}", server.host, server.port);
    let address = Url::parse(&format!("{scheme}://{place}{path}")).ok()?;
    Some(Target {
        address: address::with(address, id, None),
        place,
        id,
        zone: value("zone").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: &str, priority: u16, weight: u16) -> Server {
        Server {
            priority,
            weight,
            host: host.into(),
            port: 7700,
        }
    }

    fn order(servers: &[Server], random: impl FnMut(u32) -> u32) -> Vec<String> {
        let ordered = in_order(servers.to_vec(), random);
        ordered.into_iter().map(|server| server.host).collect()
    }

    #[test]
    fn the_lowest_priority_comes_first_and_weight_decides_among_equals() {
        let servers = [
            server("c", 20, 100),
            server("b", 10, 60),
            server("a", 10, 0),
        ];
        assert_eq!(order(&servers, |_| 0), ["a", "b", "c"]);
        assert_eq!(order(&servers, |most| most), ["b", "a", "c"]);
        assert_eq!(order(&[], |most| most), [""; 0]);
        // A weight is how often one is first.
        let weighed = [server("light", 1, 1), server("heavy", 1, 9)];
        let firsts = (0..=10).map(|chosen| order(&weighed, |_| chosen.min(10)).remove(0));
        assert_eq!(firsts.filter(|first| first == "heavy").count(), 9);
    }

    #[test]
    fn texts_tell_path_zone_and_id_of_all_targets_or_of_one() {
        let id = NodeId::from_bytes([7; 32]);
        let text = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()));
            pairs.collect::<HashMap<String, String>>()
        };
        let id_text = id.to_string();
        let texts = [
            text(&[("path", "/p"), ("zone", "home")]),
            text(&[("target", "A.example."), ("id", &id_text), ("path", "/a")]),
        ];
        let of = |host| target(&server(host, 0, 0), "ws", "/mesh", &texts).unwrap();
        let (a, b) = (of("a.example"), of("b.example"));
        assert_eq!(
            a.address.as_str(),
            format!("ws://a.example:7700/a#node={id}")
        );
        assert_eq!((a.id, a.zone.as_deref()), (Some(id), Some("home")));
        assert_eq!((b.address.as_str(), b.id), ("ws://b.example:7700/p", None));
        let bare = target(&server("c", 0, 0), "ws", "/mesh", &[]).unwrap();
        assert_eq!(bare.address.as_str(), "ws://c:7700/mesh");
    }

    #[tokio::test]
    async fn what_is_no_domain_is_not_asked_for() {
        for text in ["", ".", "ä.example", &"x".repeat(300)] {
            let failure = Dns::default().addresses(text).await.unwrap_err();
            assert_eq!(failure.code, Code::UnknownName, "{text}");
        }
    }
}
