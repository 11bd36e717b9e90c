//! Who is there, without being told: on the local network by broadcast and multicast of our own and by DNS-SD, beyond it by
//! the records of a domain. What is found is a claim: an address says which node must be there, and a link to it is only up
//! when that node has proven to be it. Looking costs nothing until somebody asks; a node announces itself if it lets others
//! in from beyond its machine.

mod broadcast;
pub(crate) mod command;
pub(crate) mod dns;
mod dns_sd;
pub mod kai;
mod list;
pub mod message;
mod network;
mod presence;
mod settings;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{join, join4};
use peerage::id::Kind;
use peerage::limits::{DISCOVERY_COMPANY, DISCOVERY_NEWS_MAX, DISCOVERY_PATIENCE};
use peerage::{Code, Failure, Node, NodeId};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast as channel};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::discovery::dns::Dns;
pub use crate::discovery::list::{Entry, News};
use crate::discovery::list::{List, Sighting};
use crate::discovery::presence::Presence;
pub use crate::discovery::settings::{Method, Settings, Way};
use crate::link;

/// The scheme of an address that stands for whoever is found.
pub const DISCOVER: &str = "discover";
/// The scheme of an address that stands for whom a domain's records name.
pub const DNS: &str = "dns";
/// UDP port at which announcements are heard: the one before KAI's, which has a dialect of its own.
pub const PORT: u16 = 14588;
/// How long a node that leaves has to say so.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// A node's discovery. Clones are the same.
#[derive(Clone)]
pub struct Discovery(Arc<Shared>);

struct Shared {
    settings: Settings,
    own: OnceLock<NodeId>,
    list: Mutex<List>,
    /// Something may expire earlier than before.
    due: Notify,
    news: channel::Sender<News>,
    looking: Mutex<Looking>,
    announcer: Mutex<Option<Announcer>>,
    dns: Dns,
    /// How often an address was chosen of those that were found: the others have their turn first.
    chosen: Mutex<HashMap<Url, u32>>,
}

/// Who wants to know, and what looks for them.
#[derive(Default)]
struct Looking {
    count: usize,
    task: Option<AbortHandle>,
}

struct Announcer {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Default for Discovery {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl Discovery {
    /// Discovery that neither looks nor announces yet.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Shared {
            settings,
            own: OnceLock::new(),
            list: Mutex::default(),
            due: Notify::new(),
            news: channel::Sender::new(DISCOVERY_NEWS_MAX),
            looking: Mutex::default(),
            announcer: Mutex::default(),
            dns: Dns::default(),
            chosen: Mutex::default(),
        }))
    }

    /// How it discovers.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Whose discovery this is.
    pub(crate) fn belongs_to(&self, own: NodeId) {
        // It belongs to one node for good.
        let _ = self.0.own.set(own);
    }

    /// Who is known now. Nobody is sought for this.
    pub fn entries(&self) -> Vec<Entry> {
        let over = self.list().expire(Instant::now());
        self.tell(over);
        self.list().entries().cloned().collect()
    }

    /// What happens to the list from now on. Who is too slow loses the oldest.
    pub fn news(&self) -> Follower {
        Follower(self.0.news.subscribe())
    }

    /// Looks for others until what this returns is dropped.
    pub fn browse(&self) -> Browsing {
        let mut looking = lock(&self.0.looking);
        looking.count += 1;
        if looking.count == 1 {
            let task = tokio::spawn(self.clone().look());
            looking.task = Some(task.abort_handle());
        }
        Browsing(self.clone())
    }

    /// Announces a node, as a door for others, until [`Discovery::close`]. Ways in that lead nowhere beyond this machine
    /// are not announced.
    pub fn announce(&self, node: Node, ways: Vec<Way>) {
        let presence = Presence::new(node, ways);
        let wish = self.settings().announce;
        if presence.is_empty() || wish == Some(false) {
            if wish == Some(true) {
                tracing::warn!(target: peerage::log::ERROR, "there is no way in from beyond this machine to announce");
            }
            return;
        }
        let stop = CancellationToken::new();
        let task = tokio::spawn(announce(self.clone(), presence, stop.clone()));
        *lock(&self.0.announcer) = Some(Announcer { stop, task });
    }

    /// Says good-bye to those to whom the node was announced.
    pub async fn close(&self) {
        let announcer = lock(&self.0.announcer).take();
        if let Some(Announcer { stop, task }) = announcer {
            stop.cancel();
            // Whoever is not told will notice.
            let _ = timeout(LAST_WORDS_MAX, task).await;
        }
    }

    /// The addresses that one stands for: itself, or what is found, for `discover:`, `discover:ZONE` and `dns:DOMAIN`.
    ///
    /// # Errors
    /// If nobody is found.
    pub async fn addresses(&self, address: &Url) -> Result<Vec<Url>, Failure> {
        match address.scheme() {
            DISCOVER => self.seek(address.path()).await,
            DNS => self.look_up(address.path()).await,
            _ => Ok(vec![address.clone()]),
        }
    }

    /// The addresses that a domain's records name, in the order in which they are to be called.
    ///
    /// # Errors
    /// If there are none, or nobody answers for the domain.
    pub async fn look_up(&self, domain: &str) -> Result<Vec<Url>, Failure> {
        self.0.dns.addresses(domain).await
    }

    /// Another node was at this address than it says.
    pub(crate) fn disbelieve(&self, address: &Url) {
        let changed = self.list().disbelieve(address);
        self.tell(changed);
    }

    /// An address was chosen of those that were found.
    pub(crate) fn chose(&self, address: &Url) {
        if let Some(count) = lock(&self.0.chosen).get_mut(address) {
            *count += 1;
        }
    }

    /// Looks until somebody of the zone is found, or of any.
    async fn seek(&self, zone: &str) -> Result<Vec<Url>, Failure> {
        let zone = match zone {
            "" => self.settings().zone.as_deref(),
            zone => Some(zone),
        };
        let _browsing = self.browse();
        let mut news = self.news();
        let found = async {
            while self.candidates(zone).is_empty() && news.next().await.is_some() {}
            sleep(DISCOVERY_COMPANY).await;
        };
        // Who is found until then is found.
        let _ = timeout(DISCOVERY_PATIENCE, found).await;
        let candidates = self.candidates(zone);
        let nobody = || {
            let of_zone = zone.map_or_else(String::new, |zone| format!(" of the zone `{zone}`"));
            match self.entries().iter().filter(|entry| entry.is_false).count() {
                0 => format!("nobody{of_zone} is found on the local network"),
                n => format!(
                    "nobody{of_zone} is found on the local network, but {n} who are not who they say"
                ),
            }
        };
        (!candidates.is_empty())
            .then_some(candidates)
            .ok_or_else(|| Code::Unreachable.because(nobody()))
    }

    /// The addresses to call, the best first: relays, then others that let nodes in.
    fn candidates(&self, zone: Option<&str>) -> Vec<Url> {
        let mut entries = self.entries();
        entries.retain(|entry| {
            let is_own = entry.id.is_some() && entry.id.as_ref() == self.0.own.get();
            let in_zone = zone.is_none() || entry.zone.as_deref() == zone;
            !entry.is_false && !is_own && in_zone
        });
        entries.sort_by_key(|entry| (entry.kind != Some(Kind::Relay), entry.since));
        let mut addresses: Vec<Url> = Vec::new();
        for address in entries.into_iter().flat_map(|entry| entry.addresses) {
            if link::SCHEMES.contains(&address.scheme()) && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        // One that was chosen and came to nothing shall not be the first for ever.
        let mut chosen = lock(&self.0.chosen);
        chosen.retain(|address, _| addresses.contains(address));
        addresses.sort_by_cached_key(|address| *chosen.entry(address.clone()).or_default());
        addresses
    }

    #[cfg(test)]
    pub(crate) fn found_at(&self, place: usize, address: Url) {
        self.hear(Sighting {
            method: Method::Broadcast,
            place: place.to_string(),
            sender: None,
            id: link::address::node(&address).unwrap(),
            zone: None,
            name: None,
            kind: Some(Kind::Relay),
            addresses: vec![address],
            kept: None,
        });
    }

    /// Looks, by every method that it is told.
    async fn look(self) {
        let by = |method| self.settings().methods.contains(&method);
        let broadcast = when(by(Method::Broadcast), broadcast::browse(self.clone()));
        let dns_sd = when(by(Method::DnsSd), dns_sd::browse(self.clone()));
        let domain = self.settings().domain.clone();
        let dns = when(domain.is_some(), async {
            if let Some(domain) = domain {
                dns::follow(&self, &domain).await;
            }
        });
        join4(broadcast, dns_sd, dns, self.forget()).await;
    }

    /// Forgets those who are not heard of for too long, when that is so.
    async fn forget(&self) {
        loop {
            let due = self.list().due();
            let changed = self.0.due.notified();
            match due {
                Some(due) => {
                    // Whichever is first.
                    let _ = timeout(due.saturating_duration_since(Instant::now()), changed).await;
                }
                None => changed.await,
            }
            let over = self.list().expire(Instant::now());
            self.tell(over);
        }
    }

    fn hear(&self, seen: Sighting) {
        let is_own = seen.id.is_some() && seen.id.as_ref() == self.0.own.get();
        if !is_own {
            let news = self.list().hear(Instant::now(), seen);
            self.tell(news);
        }
    }

    /// Whether a method knows something of a place.
    fn knows(&self, method: Method, place: &str) -> bool {
        self.list().has(method, place)
    }

    fn leave(&self, method: Method, place: &str) {
        let news = self.list().leave(method, place);
        self.tell(news);
    }

    fn tell(&self, news: impl IntoIterator<Item = News>) {
        for news in news {
            let entry = news.entry();
            let node = self.0.own.get().map(NodeId::short);
            let peer = entry.id.as_ref().map(NodeId::short);
            tracing::info!(
                target: peerage::log::DISCOVERY,
                node, peer,
                name = entry.name.as_ref().map(tracing::field::display),
                method = entry.method.as_str(), place = entry.place, news = news.as_str(),
                is_false = entry.is_false,
                "discovery"
            );
            // Nobody may be listening.
            let _ = self.0.news.send(news);
            self.0.due.notify_one();
        }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        lock(&self.0.list)
    }
}

/// Whoever follows what discovery finds.
pub struct Follower(channel::Receiver<News>);

impl Follower {
    /// What happens next; `None` if nothing will any more.
    pub async fn next(&mut self) -> Option<News> {
        loop {
            match self.0.recv().await {
                Ok(news) => return Some(news),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// Discovery looks for others while this is held.
#[must_use = "it looks no longer than this is held"]
pub struct Browsing(Discovery);

impl Drop for Browsing {
    fn drop(&mut self) {
        let mut looking = lock(&self.0.0.looking);
        looking.count -= 1;
        if looking.count == 0
            && let Some(task) = looking.task.take()
        {
            task.abort();
        }
    }
}

async fn announce(discovery: Discovery, presence: Presence, stop: CancellationToken) {
    let by = |method| discovery.settings().methods.contains(&method);
    let broadcast = when(
        by(Method::Broadcast),
        broadcast::announce(discovery.settings().port, &presence, &stop),
    );
    let dns_sd = when(by(Method::DnsSd), dns_sd::announce(&presence, &stop));
    join(broadcast, dns_sd).await;
}

/// What is done if a condition holds.
async fn when(condition: bool, what: impl Future<Output = ()>) {
    if condition {
        what.await;
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
