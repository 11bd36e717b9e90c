//! `peerage check`: every method of discovery and every kind of link tried in turn, and what came of it, as a table. The exit
//! status is 0 if somebody was reached, the target if there is one.

mod webrtc;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use peerage::id::Kind;
use peerage::limits::DISCOVERY_PATIENCE;
use peerage::{Config, Failure, Name};
use serde_json::json;
use tokio::time::{sleep, timeout};
use url::Url;

use crate::cli::{CliError, DEFAULT_RELAY, Outcome, relay_url, relay_urls, say};
use crate::config::FileConfig;
use crate::discovery::command::aligned;
use crate::discovery::{DISCOVER, DNS, Discovery, Entry, Method, Settings};
use crate::link::address;
use crate::{JoinError, Node};

/// A kind of link.
struct Link {
    name: &'static str,
    scheme: &'static str,
    /// Where a host lets nodes in by it, if nothing else is said.
    port: u16,
    path: &'static str,
}

/// Every kind of link that a native node can make.
const LINKS: [Link; 3] = [
    Link {
        name: "websocket",
        scheme: "ws",
        port: 7700,
        path: "/mesh",
    },
    Link {
        name: "websocket, TLS",
        scheme: "wss",
        port: 443,
        path: "/mesh",
    },
    Link {
        name: "enet",
        scheme: "enet",
        port: 14589,
        path: "",
    },
];
/// Addresses of one search that are tried.
const ADDRESSES_MAX: usize = 8;
/// How long a link may take until the node is a member.
const LINK_PATIENCE: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub(super) struct Args {
    /// An address such as ws://host:7700/mesh, a host with or without a port, a domain, or a node's name; what is configured
    /// and what is found, without one.
    target: Option<String>,
    /// A configuration file, in JSON.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write results as JSON, one a line.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Outcome {
    let file = FileConfig::load(args.config.as_deref())?;
    let mut check = Check {
        settings: file.discovery.settings(),
        rows: Vec::new(),
        is_reached: false,
        has_tried_webrtc: false,
    };
    let mut relays = relay_urls(&[], &file)?;
    if relays.is_empty() {
        relays.push(relay_url(DEFAULT_RELAY)?);
    }
    match args.target.as_deref().map(Target::read).transpose()? {
        None => check.all(&relays).await,
        Some(Target::Address(url)) => check.address(&url).await,
        Some(Target::Host(urls)) => check.links(&urls).await,
        Some(Target::Domain(domain)) => check.domain(&domain).await,
        Some(Target::Name(name)) => check.name(&name, &relays).await,
    }
    check.tell(args.json);
    Ok(ExitCode::from(u8::from(!check.is_reached)))
}

/// What is to be reached.
enum Target {
    Address(Url),
    /// A machine, by the addresses at which it may let nodes in.
    Host(Vec<Url>),
    Domain(String),
    Name(Name),
}

impl Target {
    fn read(text: &str) -> Result<Self, CliError> {
        let prefixes = [DISCOVER, DNS].map(|scheme| format!("{scheme}:"));
        if text.contains("://")
            || prefixes
                .iter()
                .any(|prefix| text.starts_with(prefix.as_str()))
        {
            return relay_url(text).map(Self::Address);
        }
        let port = text
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        let is_bare_ip = text.parse::<IpAddr>().is_ok();
        if is_bare_ip || port.is_some() || text.starts_with('[') {
            let host = match text.parse() {
                Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
                _ => text.to_owned(),
            };
            let has_port = port.is_some() && !is_bare_ip;
            let urls = LINKS.iter().map(|link| match has_port {
                true => relay_url(&format!("{}://{host}{}", link.scheme, link.path)),
                false => relay_url(&format!(
                    "{}://{host}:{}{}",
                    link.scheme, link.port, link.path
                )),
            });
            return urls.collect::<Result<_, _>>().map(Self::Host);
        }
        match text.contains('.') {
            true => Ok(Self::Domain(text.to_owned())),
            false => Ok(Self::Name(text.parse()?)),
        }
    }
}

/// What was tried.
struct Row {
    method: &'static str,
    what: String,
    /// What came of it, or why nothing did.
    result: Result<String, String>,
    took: Duration,
}

struct Check {
    settings: Settings,
    rows: Vec<Row>,
    is_reached: bool,
    has_tried_webrtc: bool,
}

impl Check {
    /// What is configured, and what is found.
    async fn all(&mut self, relays: &[Url]) {
        for relay in relays {
            self.address(relay).await;
        }
        let found = self.discover(|_| true).await;
        self.links(&addresses(&found)).await;
        if let Some(domain) = self.settings.domain.clone() {
            self.domain(&domain).await;
        }
    }

    async fn address(&mut self, url: &Url) {
        match url.scheme() {
            DISCOVER => {
                let zone = Some(url.path()).filter(|zone| !zone.is_empty());
                let in_zone = |e: &Entry| zone.is_none() || e.zone.as_deref() == zone;
                let found = self.discover(in_zone).await;
                self.links(&addresses(&found)).await;
            }
            DNS => self.domain(url.path()).await,
            _ => self.links(std::slice::from_ref(url)).await,
        }
    }

    async fn domain(&mut self, domain: &str) {
        let start = Instant::now();
        let found = Discovery::default().look_up(domain).await;
        let result = match &found {
            Ok(urls) => Ok(urls.iter().map(address::show).collect::<Vec<_>>().join(" ")),
            Err(failure) => Err(failure.to_string()),
        };
        self.note(Method::Dns.as_str(), domain.to_owned(), result, start);
        self.links(&found.unwrap_or_default()).await;
    }

    /// A node of this name: on the local network, and in the mesh of the relays.
    async fn name(&mut self, name: &Name, relays: &[Url]) {
        let found = self
            .discover(|entry| entry.name.as_ref() == Some(name))
            .await;
        self.links(&addresses(&found)).await;
        let start = Instant::now();
        let result = self.ping(name, relays).await;
        self.is_reached |= result.is_ok();
        self.note("mesh", name.to_string(), result, start);
    }

    /// Tries every method on the local network; whom of these it finds.
    async fn discover(&mut self, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let mut all = Vec::new();
        for method in self.settings.methods.clone() {
            let start = Instant::now();
            let settings = Settings {
                methods: vec![method],
                ..self.settings.clone()
            };
            let discovery = Discovery::new(settings);
            let _browsing = discovery.browse();
            sleep(DISCOVERY_PATIENCE).await;
            let mut found = discovery.entries();
            found.retain(&wanted);
            let words = found.iter().map(|entry| {
                let name = entry.name.as_ref().map_or("?", |name| name.as_str());
                let zone = entry.zone.as_deref().unwrap_or("?");
                format!("{name} (zone {zone})")
            });
            let mut words: Vec<_> = words.collect();
            words.dedup();
            let result = match words.is_empty() {
                true => Err(String::from("nobody is found")),
                false => Ok(words.join(", ")),
            };
            self.note(
                method.as_str(),
                String::from("the local network"),
                result,
                start,
            );
            all.append(&mut found);
        }
        all
    }

    /// Tries to be a member of the mesh by each of these addresses.
    async fn links(&mut self, urls: &[Url]) {
        for url in urls.iter().take(ADDRESSES_MAX) {
            let link = LINKS.iter().find(|link| link.scheme == url.scheme());
            let method = link.map_or("link", |link| link.name);
            let start = Instant::now();
            let result = match link {
                Some(_) => join(std::slice::from_ref(url)).await.map_err(in_words),
                None => Err(format!(
                    "a native node makes no links of `{}`",
                    url.scheme()
                )),
            };
            let result = match result {
                Ok(node) => {
                    let text = format!("zone {}, {} nodes", node.zone(), node.peers().len());
                    node.close().await;
                    Ok(text)
                }
                Err(reason) => Err(reason),
            };
            let is_member = result.is_ok();
            self.is_reached |= is_member;
            self.note(method, address::show(url), result, start);
            // A relay is tried once, however many ways lead to it.
            if is_member && !self.has_tried_webrtc {
                self.has_tried_webrtc = true;
                for (method, result, took) in webrtc::check(url).await {
                    let what = address::show(url);
                    self.rows.push(Row {
                        method,
                        what,
                        result,
                        took,
                    });
                }
            }
        }
    }

    async fn ping(&self, name: &Name, relays: &[Url]) -> Result<String, String> {
        let node = join(relays).await.map_err(in_words)?;
        let pinged = async {
            let peer = node.resolve(name.as_str()).await?;
            let peer = peer.ok_or_else(|| peerage::Code::UnknownName.because("it is this node"))?;
            node.ping(peer).await
        };
        let pong: Result<_, Failure> = pinged.await;
        node.close().await;
        let pong = pong.map_err(|failure| failure.to_string())?;
        Ok(format!("{} ms {}", pong.rtt.as_millis(), pong.path))
    }

    fn note(
        &mut self,
        method: &'static str,
        what: String,
        result: Result<String, String>,
        start: Instant,
    ) {
        let took = start.elapsed();
        self.rows.push(Row {
            method,
            what,
            result,
            took,
        });
    }

    fn tell(&self, as_json: bool) {
        if as_json {
            for row in &self.rows {
                let (is_ok, result) = (row.result.is_ok(), row.words());
                let ms = row.took.as_millis() as u64;
                let line = json!({ "method": row.method, "what": row.what, "ok": is_ok, "result": result, "ms": ms });
                say(&line.to_string());
            }
            return;
        }
        let head = ["METHOD", "WHAT", "", "RESULT", "MS"].map(String::from);
        let rows = self.rows.iter().map(|row| {
            let mark = if row.result.is_ok() { "ok" } else { "-" };
            [
                row.method.to_owned(),
                row.what.clone(),
                mark.to_owned(),
                row.words().to_owned(),
                row.took.as_millis().to_string(),
            ]
        });
        say(&aligned(std::iter::once(head).chain(rows)));
    }
}

impl Row {
    fn words(&self) -> &str {
        match &self.result {
            Ok(words) | Err(words) => words,
        }
    }
}

/// Where these let others in, each once.
fn addresses(found: &[Entry]) -> Vec<Url> {
    let mut addresses: Vec<Url> = Vec::new();
    for address in found.iter().flat_map(|entry| &entry.addresses) {
        if !addresses.contains(address) {
            addresses.push(address.clone());
        }
    }
    addresses
}

async fn join(relays: &[Url]) -> Result<Node, JoinError> {
    let joined = Node::join(Config::new(Kind::Native), relays.to_vec());
    let late = |_| JoinError::Failed(peerage::Code::TimedOut.because("no answer in time"));
    timeout(LINK_PATIENCE, joined).await.map_err(late)?
}

fn in_words(error: JoinError) -> String {
    error.to_string()
}
