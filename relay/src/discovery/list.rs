//! Who is known, until when, and who has turned out to be somebody else. It has no clock of its own.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use peerage::NodeId;
use peerage::id::{Kind, Name};
use peerage::limits::{
    DISCOVERED_ADDRESSES_MAX, DISCOVERED_MAX, DISCOVERED_PER_METHOD_MAX, DISCOVERED_PER_SENDER_MAX,
};
use url::Url;

use crate::discovery::Method;

/// A node, as one method knows it at one place. All of it is what somebody says, until a link to it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How it came to be known.
    pub method: Method,
    /// What tells it from others that this method knows: a sender, a service's name, a host.
    pub place: String,
    /// Who it is.
    pub id: Option<NodeId>,
    /// Its zone.
    pub zone: Option<String>,
    /// Its name there.
    pub name: Option<Name>,
    /// What it is.
    pub kind: Option<Kind>,
    /// Where it lets others in, the best first; each says who must be there, if that is known.
    pub addresses: Vec<Url>,
    /// Whether another node was there when it was called.
    pub is_false: bool,
    /// Since when it is known.
    pub since: Instant,
    /// Until when, if nothing more is heard; `None` is until the method says so.
    pub expires: Option<Instant>,
}

/// What has become of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A node was not known before.
    Found(Entry),
    /// Something else is said of it.
    Changed(Entry),
    /// It has left, or was not heard of for too long.
    Lost(Entry),
}

impl News {
    /// Of whom.
    pub fn entry(&self) -> &Entry {
        match self {
            Self::Found(entry) | Self::Changed(entry) | Self::Lost(entry) => entry,
        }
    }

    /// What, in a word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::Changed(_) => "changed",
            Self::Lost(_) => "lost",
        }
    }
}

/// What a method has heard.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub(super) method: Method,
    pub(super) place: String,
    /// Who has told of it, if that is a matter of trust.
    pub(super) sender: Option<IpAddr>,
    pub(super) id: Option<NodeId>,
    pub(super) zone: Option<String>,
    pub(super) name: Option<Name>,
    pub(super) kind: Option<Kind>,
    pub(super) addresses: Vec<Url>,
    /// For how long it counts.
    pub(super) kept: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct List {
    held: BTreeMap<(Method, String), Held>,
}

#[derive(Debug)]
struct Held {
    entry: Entry,
    sender: Option<IpAddr>,
}

impl List {
    /// Notes what was heard. Nobody makes way for a newcomer: a flood of them changes nothing for who is known.
    pub(super) fn hear(&mut self, now: Instant, mut seen: Sighting) -> Option<News> {
        seen.addresses.truncate(DISCOVERED_ADDRESSES_MAX);
        let key = (seen.method, seen.place.clone());
        let mut entry = Entry {
            method: seen.method,
            place: seen.place,
            id: seen.id,
            zone: seen.zone,
            name: seen.name,
            kind: seen.kind,
            addresses: seen.addresses,
            is_false: false,
            since: now,
            expires: seen.kept.map(|kept| now + kept),
        };
        if let Some(held) = self.held.get_mut(&key) {
            entry.since = held.entry.since;
            // Who has lied is not believed because he says it again.
            entry.is_false = held.entry.is_false && held.entry.addresses == entry.addresses;
            let before = std::mem::replace(&mut held.entry, entry.clone());
            let same = Entry {
                expires: before.expires,
                ..entry.clone()
            };
            return (before != same).then_some(News::Changed(entry));
        }
        if self.held.len() >= DISCOVERED_MAX
            || self.of_method(seen.method) >= DISCOVERED_PER_METHOD_MAX
            || self.of_sender(seen.method, seen.sender) >= DISCOVERED_PER_SENDER_MAX
        {
            return None;
        }
        let (sender, told) = (seen.sender, entry.clone());
        self.held.insert(key, Held { entry, sender });
        Some(News::Found(told))
    }

    /// A node has left, as a method knows.
    pub(super) fn leave(&mut self, method: Method, place: &str) -> Option<News> {
        let held = self.held.remove(&(method, place.to_owned()))?;
        Some(News::Lost(held.entry))
    }

    /// What was not heard of for too long.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<News> {
        let is_over = |held: &Held| held.entry.expires.is_some_and(|at| at <= now);
        let over = self.held.extract_if(.., |_, held| is_over(held));
        over.map(|(_, held)| News::Lost(held.entry)).collect()
    }

    /// When something expires next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.held
            .values()
            .filter_map(|held| held.entry.expires)
            .min()
    }

    /// Another node was at this address than it says.
    pub(super) fn disbelieve(&mut self, address: &Url) -> Vec<News> {
        let entries = self.held.values_mut().map(|held| &mut held.entry);
        let of = entries.filter(|entry| !entry.is_false && entry.addresses.contains(address));
        of.map(|entry| {
            entry.is_false = true;
            News::Changed(entry.clone())
        })
        .collect()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.held.values().map(|held| &held.entry)
    }

    /// Whether a method knows something of a place.
    pub(super) fn has(&self, method: Method, place: &str) -> bool {
        self.held.contains_key(&(method, place.to_owned()))
    }

    fn of_method(&self, method: Method) -> usize {
        self.held.keys().filter(|(by, _)| *by == method).count()
    }

    fn of_sender(&self, method: Method, sender: Option<IpAddr>) -> usize {
        let same = |held: &&Held| held.entry.method == method && held.sender == sender;
        let told = sender.map(|_| self.held.values().filter(same).count());
        told.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Duration = Duration::from_secs(16);

    fn sighting(place: &str, id: u8) -> Sighting {
        let id = NodeId::from_bytes([id; 32]);
        Sighting {
            method: Method::Broadcast,
            place: place.into(),
            sender: None,
            id: Some(id),
            zone: Some("local".into()),
            name: None,
            kind: Some(Kind::Relay),
            addresses: vec![format!("ws://{place}:1/mesh#node={id}").parse().unwrap()],
            kept: Some(KEPT),
        }
    }

    fn words(news: &[News]) -> Vec<(&str, &str)> {
        let word = |news: &'_ News| news.as_str();
        news.iter()
            .map(|n| (word(n), n.entry().place.as_str()))
            .collect()
    }

    #[test]
    fn who_is_heard_again_stays_and_who_is_silent_is_lost() {
        let (mut list, start) = (List::default(), Instant::now());
        let found = [
            list.hear(start, sighting("a", 1)),
            list.hear(start, sighting("b", 2)),
        ];
        assert_eq!(
            words(&found.map(Option::unwrap)),
            [("found", "a"), ("found", "b")]
        );
        assert_eq!(list.hear(start + KEPT / 2, sighting("a", 1)), None);
        assert_eq!(list.due(), Some(start + KEPT));
        assert_eq!(words(&list.expire(start + KEPT)), [("lost", "b")]);
        assert_eq!(words(&list.expire(start + KEPT)), []);
        let lost = list.leave(Method::Broadcast, "a");
        assert_eq!(
            words(&lost.into_iter().collect::<Vec<_>>()),
            [("lost", "a")]
        );
        assert_eq!(list.leave(Method::Broadcast, "a"), None);
        assert_eq!(list.due(), None);
    }

    #[test]
    fn what_changes_is_told_once_and_keeps_since_when_it_is_known() {
        let (mut list, start) = (List::default(), Instant::now());
        list.hear(start, sighting("a", 1));
        let mut renamed = sighting("a", 1);
        renamed.name = Some("n".parse().unwrap());
        let later = start + Duration::from_secs(1);
        let Some(News::Changed(entry)) = list.hear(later, renamed.clone()) else {
            panic!("not told")
        };
        assert_eq!((entry.since, entry.expires), (start, Some(later + KEPT)));
        assert_eq!(list.hear(later, renamed), None);
    }

    #[test]
    fn who_was_not_there_is_not_believed_until_something_else_is_said() {
        let (mut list, start) = (List::default(), Instant::now());
        let lie = sighting("a", 1);
        let address = lie.addresses[0].clone();
        list.hear(start, lie.clone());
        list.hear(start, sighting("b", 1));
        assert_eq!(words(&list.disbelieve(&address)), [("changed", "a")]);
        assert_eq!(words(&list.disbelieve(&address)), []);
        list.hear(start, lie);
        let is_false = |list: &List| list.entries().map(|e| e.is_false).collect::<Vec<_>>();
        assert_eq!(is_false(&list), [true, false]);
        list.hear(start, sighting("a", 3));
        assert_eq!(is_false(&list), [false, false]);
    }

    #[test]
    fn a_flood_of_newcomers_is_bounded_and_changes_nothing_for_who_is_known() {
        let (mut list, start) = (List::default(), Instant::now());
        list.hear(start, sighting("honest", 1));
        for n in 0..10 * DISCOVERED_MAX {
            let mut forged = sighting(&n.to_string(), 2);
            forged.sender = Some(IpAddr::from([10, 0, 0, 1]));
            list.hear(start, forged);
        }
        assert_eq!(list.entries().count(), 1 + DISCOVERED_PER_SENDER_MAX);
        for n in 0..10 * DISCOVERED_MAX as u32 {
            let mut forged = sighting(&format!("x{n}"), 2);
            forged.sender = Some(IpAddr::from(n.to_be_bytes()));
            list.hear(start, forged);
        }
        assert_eq!(list.entries().count(), DISCOVERED_PER_METHOD_MAX);
        let mut by_another = sighting("another", 4);
        by_another.method = Method::DnsSd;
        assert!(
            list.hear(start, by_another).is_some(),
            "there is room for it"
        );
        assert_eq!(list.hear(start + KEPT / 2, sighting("honest", 1)), None);
        assert_eq!(list.expire(start + KEPT).len(), DISCOVERED_PER_METHOD_MAX);
        let many = "ws://h:1/mesh".parse::<Url>().unwrap();
        let mut wide = sighting("wide", 3);
        wide.addresses = vec![many; 1000];
        list.hear(start, wide);
        let most = list.entries().map(|entry| entry.addresses.len()).max();
        assert_eq!(most, Some(DISCOVERED_ADDRESSES_MAX));
    }
}
