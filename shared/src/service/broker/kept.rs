//! What a broker keeps: of each topic the retained value and a bounded history. What is trimmed is noted, so
//! that who was away can be told.

use core::ops::Bound;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use minicbor::bytes::ByteSlice;

use super::filter::Filter;
use super::gone::Gone;
use super::wire::{self, Head, Tell};
use crate::Time;
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{
    CATCH_UP_MAX, HISTORY_AGE, HISTORY_BYTES, HISTORY_COUNT, KEPT_BYTES_MAX,
    MESSAGE_OVERHEAD_BYTES, TOPICS_MAX,
};

/// How much history topics have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which topics.
    pub filter: Filter,
    /// Messages; none to keep no history.
    pub count: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// For how long.
    pub age: Time,
}

impl Rule {
    /// The usual amount, for these topics.
    pub fn usual(filter: Filter) -> Self {
        Self {
            filter,
            count: HISTORY_COUNT,
            bytes: HISTORY_BYTES,
            age: HISTORY_AGE,
        }
    }
}

/// A message at the broker.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) offset: u64,
    pub(super) topic: Arc<str>,
    pub(super) sender: NodeId,
    /// When it came; before the node did, if it was stored.
    pub(super) at_ms: i64,
    /// Whether it is, or clears, its topic's retained value.
    pub(super) retain: bool,
    /// As it goes to subscribers.
    pub(super) bytes: Bytes,
    pub(super) value: Bytes,
    /// What its publisher has added; empty if that is nothing.
    pub(super) attributes: Bytes,
    alive: Alive,
}

/// Bytes of all messages that anybody still holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Alive(Arc<AtomicUsize>);

impl Alive {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a message is, before it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) offset: u64,
    pub(super) topic: Arc<str>,
    pub(super) sender: NodeId,
    pub(super) at_ms: i64,
    pub(super) retain: bool,
    pub(super) attributes: Bytes,
}

impl Message {
    pub(super) fn new(origin: Origin, value: Bytes, alive: &Alive) -> Arc<Self> {
        let Origin {
            offset,
            topic,
            sender,
            at_ms,
            retain,
            attributes,
        } = origin;
        let head = Head {
            offset,
            topic: &topic,
            sender,
            retained: false,
            again: false,
            attributes: some(&attributes),
        };
        let bytes = wire::message(&Tell::Message(head), &value);
        let value = bytes.slice(bytes.len() - value.len()..);
        let message = Self {
            offset,
            topic,
            sender,
            at_ms,
            retain,
            bytes,
            value,
            attributes,
            alive: alive.clone(),
        };
        alive.0.fetch_add(message.size(), Ordering::Relaxed);
        Arc::new(message)
    }

    /// With these marks, if there are any.
    pub(super) fn marked(&self, retained: bool, again: bool) -> Bytes {
        if !retained && !again {
            return self.bytes.clone();
        }
        let head = Head {
            offset: self.offset,
            topic: &self.topic,
            sender: self.sender,
            retained,
            again,
            attributes: some(&self.attributes),
        };
        wire::message(&Tell::Message(head), &self.value)
    }

    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.attributes.len() + MESSAGE_OVERHEAD_BYTES
    }

    /// Whether it becomes its topic's retained value.
    fn is_value(&self) -> bool {
        self.retain && !self.value.is_empty()
    }
}

/// Attributes, if there are any.
fn some(attributes: &Bytes) -> Option<&ByteSlice> {
    (!attributes.is_empty()).then(|| attributes[..].into())
}

impl Drop for Message {
    fn drop(&mut self) {
        self.alive.0.fetch_sub(self.size(), Ordering::Relaxed);
    }
}

/// What was trimmed, for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trimmed {
    /// A message.
    Message(u64),
    /// The last of a topic that is missing; `None` if that is no longer known.
    Lost(Arc<str>, Option<u64>),
    /// The last of other topics that is missing.
    Forgotten(u64),
    /// What a publisher has sent.
    Publisher(Arc<str>),
}

/// A topic of which something is kept.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) retained: Option<Arc<Message>>,
    pub(super) history: VecDeque<Arc<Message>>,
    history_bytes: usize,
    /// Offset of the last message that is no longer there.
    lost: u64,
}

/// All topics.
#[derive(Debug)]
pub(super) struct Kept {
    rules: Vec<Rule>,
    topics: BTreeMap<Arc<str>, Topic>,
    /// All of history by offset, and by when it grows too old.
    oldest: BTreeMap<u64, Arc<str>>,
    ends: BTreeMap<(i64, u64), Arc<str>>,
    bytes: usize,
    /// Bytes of the retained values, their number, and both of those that are about to be.
    retained: Amount,
    promised: Amount,
    pub(super) gone: Gone,
    /// No topic without history has lost anything after this offset that is not noted.
    pub(super) unkept: u64,
    pub(super) trimmed: Vec<Trimmed>,
}

/// How much is retained.
#[derive(Clone, Copy, Debug, Default)]
struct Amount {
    bytes: usize,
    count: usize,
}

impl Amount {
    fn of(bytes: usize) -> Self {
        Self { bytes, count: 1 }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            count: self.count + other.count,
        }
    }

    fn less(self, other: Self) -> Self {
        Self {
            bytes: self.bytes - other.bytes,
            count: self.count - other.count,
        }
    }
}

/// What of all that is kept a subscriber wants first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything.
    All,
    /// What was retained when this offset was the last.
    Retained(u64),
    /// That and what came after it.
    History(u64),
}

impl Kept {
    /// How many topics there are of which something is kept, and the bytes of it.
    pub(super) fn amount(&self) -> (usize, usize) {
        (self.topics.len(), self.bytes + self.retained.bytes)
    }

    /// Nothing yet, for these rules, of which the first that fits a topic counts.
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        Self {
            rules,
            topics: BTreeMap::new(),
            oldest: BTreeMap::new(),
            ends: BTreeMap::new(),
            bytes: 0,
            retained: Amount::default(),
            promised: Amount::default(),
            gone: Gone::default(),
            unkept: 0,
            trimmed: Vec::new(),
        }
    }

    /// Whether anything of a message will be kept.
    pub(super) fn keeps(&self, topic: &str, retain: bool) -> bool {
        retain || self.has_history(topic)
    }

    /// Whether there is no topic without history.
    pub(super) fn keeps_all(&self) -> bool {
        self.rules.iter().all(|rule| rule.count > 0)
            && self.rules.iter().any(|rule| rule.filter.as_str() == "#")
    }

    /// A message is about to be kept.
    ///
    /// # Errors
    /// `overloaded` if what is retained leaves no room. History makes way, but only for what is kept.
    pub(super) fn promise(&mut self, message: &Message) -> Result<(), Failure> {
        if !message.is_value() {
            return Ok(());
        }
        let size = message.size();
        let topic = self.topics.get(&message.topic);
        let old = topic.and_then(|topic| topic.retained.as_ref());
        let old = old.map_or(Amount::default(), |old| Amount::of(old.size()));
        let is_full = |all: usize, old: usize, new: usize, most: usize| all - old + new > most;
        let all = self.retained.plus(self.promised);
        if is_full(all.bytes, old.bytes, size, KEPT_BYTES_MAX) {
            let message = format!("{KEPT_BYTES_MAX} bytes are retained already");
            return Err(Code::Overloaded.because(message));
        }
        if is_full(all.count, old.count, 1, TOPICS_MAX) {
            let message = format!("{TOPICS_MAX} topics are retained already");
            return Err(Code::Overloaded.because(message));
        }
        self.promised = self.promised.plus(Amount::of(size));
        Ok(())
    }

    /// It is kept now, or will not be.
    pub(super) fn settle(&mut self, message: &Message) {
        if message.is_value() {
            self.promised = self.promised.less(Amount::of(message.size()));
        }
    }

    /// Keeps a message as far as it is to be kept, and there is room.
    pub(super) fn keep(&mut self, message: &Arc<Message>) {
        let name = &message.topic;
        let (count, bytes, age) = self.limits_for(message);
        let topic = self
            .topics
            .entry(Arc::clone(name))
            .or_insert_with(|| Topic {
                retained: None,
                history: VecDeque::new(),
                history_bytes: 0,
                lost: self.gone.remove(name),
            });
        if count > 0 {
            topic.history.push_back(Arc::clone(message));
            topic.history_bytes += message.size();
            self.oldest.insert(message.offset, Arc::clone(name));
            let end = message.at_ms.saturating_add(millis(age));
            self.ends.insert((end, message.offset), Arc::clone(name));
        }
        if count > 0 || message.is_value() {
            self.bytes += message.size();
        } else {
            topic.lose(message.offset, name, &mut self.trimmed);
        }
        if message.retain {
            self.retain(message);
        }
        while self.topics.get(name).is_some_and(|topic| {
            topic.history.len() > count || topic.history_bytes > bytes && !topic.history.is_empty()
        }) {
            self.trim(name);
        }
        self.forget_if_empty(name);
        while (self.bytes > KEPT_BYTES_MAX || self.topics.len() > TOPICS_MAX) && self.trim_oldest()
        {
        }
    }

    /// Drops what has grown too old.
    pub(super) fn expire(&mut self, now_ms: i64) {
        while let Some(((end, _), topic)) = self.ends.first_key_value()
            && *end <= now_ms
        {
            let topic = Arc::clone(topic);
            // A topic's messages grow old in their order.
            self.trim(&topic);
            self.forget_if_empty(&topic);
        }
    }

    /// When the next message grows too old.
    pub(super) fn next_end(&self) -> Option<i64> {
        self.ends.first_key_value().map(|((end, _), _)| *end)
    }

    /// What a subscriber is to get next who has all up to `cursor`: offsets in their order, some of them.
    pub(super) fn plan(
        &self,
        filter: &Filter,
        cursor: u64,
        wanted: Wanted,
    ) -> VecDeque<(u64, Arc<str>)> {
        let mut found = Vec::new();
        for (name, topic) in self.matching(filter, None) {
            let before = found.len();
            let put = |message: &Arc<Message>| (message.offset, Arc::clone(name));
            let new = topic
                .after(cursor)
                .filter(|m| topic.is_wanted(m.offset, wanted));
            found.extend(new.take(CATCH_UP_MAX).map(put));
            debug_assert!(found[before..].is_sorted_by_key(|(offset, _)| *offset));
            if found.len() > 2 * CATCH_UP_MAX {
                first_of(&mut found);
            }
        }
        first_of(&mut found);
        found.sort_unstable_by_key(|(offset, _)| *offset);
        found.shrink_to_fit();
        found.into()
    }

    /// A message, if it is still kept.
    pub(super) fn message(&self, topic: &str, offset: u64) -> Option<&Arc<Message>> {
        let topic = self.topics.get(topic)?;
        let retained = topic.retained.as_ref().filter(|m| m.offset == offset);
        retained.or_else(|| {
            let place = topic.history.binary_search_by_key(&offset, |m| m.offset);
            topic.history.get(place.ok()?)
        })
    }

    /// Offset of the newest message of a topic.
    pub(super) fn newest(&self, topic: &str) -> Option<u64> {
        let topic = self.topics.get(topic)?;
        let newest = topic.history.back().or(topic.retained.as_ref());
        newest.map(|message| message.offset)
    }

    /// Whether a message is its topic's retained value.
    pub(super) fn is_retained(&self, message: &Message) -> bool {
        let topic = self.topics.get(&message.topic);
        let retained = topic.and_then(|topic| topic.retained.as_ref());
        retained.is_some_and(|retained| retained.offset == message.offset)
    }

    /// Offset of the last message that a filter means, or may mean, and that is no longer there.
    pub(super) fn last_lost(&self, filter: &Filter) -> u64 {
        let (lost, has_history) = match filter.as_topic() {
            Some(name) => {
                let topic = self.topics.get(name);
                let lost = topic.map_or_else(|| self.gone.get(name), |topic| topic.lost);
                (lost, self.has_history(name))
            }
            None => {
                let lost = self.matching(filter, None).map(|(_, topic)| topic.lost);
                (lost.fold(self.gone.last(filter), u64::max), false)
            }
        };
        match has_history {
            true => lost,
            false => lost.max(self.unkept),
        }
    }

    /// The topics that a filter means, after that name.
    pub(super) fn matching(
        &self,
        filter: &Filter,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&Arc<str>, &Topic)> {
        let prefix = filter.prefix();
        let begin = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let from = self.topics.range::<str, _>((begin, Bound::Unbounded));
        from.take_while(move |(name, _)| name.starts_with(prefix))
            .filter(|(name, _)| filter.matches(name))
    }

    /// As it was when it was stored.
    pub(super) fn restore_lost(&mut self, name: &str, lost: u64) {
        match self.topics.get_mut(name) {
            Some(topic) => topic.lost = topic.lost.max(lost),
            None => {
                let lost = lost.max(self.gone.get(name));
                self.has_gone(&name.into(), lost);
            }
        }
    }

    pub(super) fn has_history(&self, topic: &str) -> bool {
        self.rule(topic).is_some_and(|rule| rule.count > 0)
    }

    /// How much history there is for a message: none if what is retained leaves no room.
    fn limits_for(&self, message: &Message) -> (usize, usize, Time) {
        let has_room = message.is_value()
            || self.retained.bytes + message.size() <= KEPT_BYTES_MAX
                && (self.retained.count < TOPICS_MAX || self.topics.contains_key(&message.topic));
        let rule = self.rule(&message.topic).filter(|_| has_room);
        rule.map(|rule| (rule.count, rule.bytes, rule.age))
            .unwrap_or_default()
    }

    /// Makes a message its topic's retained value, or clears that.
    fn retain(&mut self, message: &Arc<Message>) {
        let Some(topic) = self.topics.get_mut(&message.topic) else {
            return;
        };
        let old = topic.retained.take();
        if message.is_value() {
            topic.retained = Some(Arc::clone(message));
            self.retained = self.retained.plus(Amount::of(message.size()));
        }
        let Some(old) = old else { return };
        self.retained = self.retained.less(Amount::of(old.size()));
        if !topic.has_in_history(old.offset) {
            self.bytes -= old.size();
            topic.lose(old.offset, &message.topic, &mut self.trimmed);
        }
    }

    fn rule(&self, topic: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.filter.matches(topic))
    }

    fn trim_oldest(&mut self) -> bool {
        let Some((_, topic)) = self.oldest.first_key_value() else {
            return false;
        };
        let topic = Arc::clone(topic);
        self.trim(&topic);
        self.forget_if_empty(&topic);
        true
    }

    /// Drops the oldest message of a topic's history.
    fn trim(&mut self, name: &Arc<str>) {
        let age = self.rule(name).map_or(Time::ZERO, |rule| rule.age);
        let Some(topic) = self.topics.get_mut(name) else {
            return;
        };
        let Some(message) = topic.history.pop_front() else {
            return;
        };
        topic.history_bytes -= message.size();
        self.oldest.remove(&message.offset);
        let end = message.at_ms.saturating_add(millis(age));
        self.ends.remove(&(end, message.offset));
        if topic
            .retained
            .as_ref()
            .is_none_or(|retained| retained.offset != message.offset)
        {
            self.bytes -= message.size();
            topic.lose(message.offset, name, &mut self.trimmed);
        }
    }

    fn forget_if_empty(&mut self, name: &Arc<str>) {
        if let Some(topic) = self.topics.get(name)
            && topic.retained.is_none()
            && topic.history.is_empty()
        {
            let lost = topic.lost;
            self.topics.remove(name);
            self.has_gone(name, lost);
        }
    }

    fn has_gone(&mut self, name: &Arc<str>, lost: u64) {
        if let Some(forgotten) = self.gone.insert(name, lost) {
            let others = self.gone.others();
            self.trimmed.push(Trimmed::Forgotten(others));
            self.trimmed.push(Trimmed::Lost(forgotten, None));
        }
    }
}

impl Topic {
    /// What is kept after an offset, in order.
    fn after(&self, cursor: u64) -> impl Iterator<Item = &Arc<Message>> {
        let begin = self.history.partition_point(|m| m.offset <= cursor);
        let alone = self.retained.iter();
        // A retained value that is not in history is older than that.
        let alone = alone.filter(move |m| m.offset > cursor && !self.has_in_history(m.offset));
        alone.chain(self.history.range(begin..))
    }

    fn is_wanted(&self, offset: u64, wanted: Wanted) -> bool {
        let retained = self.retained.as_ref().map(|retained| retained.offset);
        match wanted {
            Wanted::All => true,
            Wanted::Retained(until) => offset <= until && retained == Some(offset),
            Wanted::History(until) => {
                offset <= until && retained.is_none_or(|of| of > until || of <= offset)
            }
        }
    }

    fn has_in_history(&self, offset: u64) -> bool {
        self.history
            .binary_search_by_key(&offset, |m| m.offset)
            .is_ok()
    }

    fn lose(&mut self, offset: u64, name: &Arc<str>, trimmed: &mut Vec<Trimmed>) {
        self.lost = self.lost.max(offset);
        trimmed.push(Trimmed::Message(offset));
        trimmed.push(Trimmed::Lost(Arc::clone(name), Some(self.lost)));
    }
}

/// Leaves so many with the smallest offsets.
fn first_of(found: &mut Vec<(u64, Arc<str>)>) {
    if found.len() > CATCH_UP_MAX {
        found.select_nth_unstable_by_key(CATCH_UP_MAX, |(offset, _)| *offset);
        found.truncate(CATCH_UP_MAX);
    }
}

fn millis(time: Time) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
