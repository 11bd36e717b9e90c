//! The broker without its streams and its store: what is published goes in, and out comes for whom it is.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use super::filter::{Filter, check_topic};
use super::group::Group;
use super::index::Index;
use super::kept::{Alive, Kept, Message, Origin, Rule, Trimmed, Wanted};
use super::members::Watcher;
use super::publishing::check_size;
use super::store::{Loaded, Row, epoch_row, message_row, next_row, publisher_row, trimmed_rows};
use super::subscriber::Subscriber;
use super::window::Windows;
use super::wire::{After, Gap, Member, Topic, Why, Wish};
use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{
    BROKER_BYTES_MAX, GROUP_LINGER, KEPT_BYTES_MAX, MESSAGE_OVERHEAD_BYTES, SUBSCRIPTIONS_MAX,
};

/// Offsets that are noted as used at once, so that the store need not be asked for each.
const RESERVED_AT_ONCE: u64 = 1 << 20;
/// Bytes of messages that come before the slow are looked for once more.
const BROKER_BYTES_STEP: usize = BROKER_BYTES_MAX / 64;
/// What a topic takes in a list, beside its name.
const TOPIC_OVERHEAD: usize = 24;
/// Where the offsets of a new epoch begin: anywhere between these, so that one of another is recognised.
const FIRST_OFFSETS: core::ops::Range<u64> = 1 << 48..1 << 51;

/// All of a broker.
#[derive(Debug)]
pub(super) struct State {
    /// The first offset of the epoch, which is its name.
    epoch: u64,
    next: u64,
    /// Of the last message that was told to anybody.
    applied: u64,
    /// Offsets below are noted as used.
    reserved: u64,
    pub(super) kept: Kept,
    windows: Windows,
    pub(super) index: Index,
    pub(super) subscribers: HashMap<u64, Subscriber>,
    pub(super) groups: HashMap<u64, Group>,
    pub(super) group_ids: HashMap<(Filter, Arc<str>), u64>,
    /// How many subscriptions of each are alike.
    pub(super) members: HashMap<Member, usize>,
    pub(super) watchers: HashMap<u64, Watcher>,
    serial: u64,
    pub(super) alive: Alive,
    /// Beyond so many bytes of messages the slow are looked for, again.
    relieve_at: usize,
    /// Messages that were published, and those that were sent to subscribers, with the gaps between.
    published: u64,
    delivered: u64,
    gaps: u64,
}

/// A message on its way in.
#[derive(Clone, Debug)]
pub(super) struct Publish {
    pub(super) sender: NodeId,
    pub(super) topic: Arc<str>,
    pub(super) retain: bool,
    /// Its publisher's name and number for it.
    pub(super) number: Option<(Arc<str>, u64)>,
    pub(super) value: Bytes,
    pub(super) attributes: Bytes,
}

/// What will become of it.
#[derive(Clone, Debug)]
pub(super) enum Planned {
    /// It has been here before.
    Known,
    /// It is new, and whether it will be kept.
    New(Arc<Message>, bool),
}

/// What a broker has, and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Topics of which something is kept.
    pub topics: usize,
    /// Bytes of that.
    pub kept_bytes: usize,
    /// Bytes of all messages in memory, kept or on their way to somebody.
    pub held_bytes: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Groups that share one.
    pub groups: usize,
    /// Messages that were published.
    pub published: u64,
    /// Messages that were sent to subscribers.
    pub delivered: u64,
    /// Gaps that they were told of.
    pub gaps: u64,
}

/// Whom something concerns: subscriptions and watchers, by their numbers.
pub(super) type Touched = BTreeSet<u64>;

impl State {
    /// An empty one; its epoch is drawn from these random bytes.
    pub(super) fn new(rules: Vec<Rule>, random: [u8; 8]) -> Self {
        let range = FIRST_OFFSETS.end - FIRST_OFFSETS.start;
        let epoch = FIRST_OFFSETS.start + u64::from_le_bytes(random) % range;
        Self {
            epoch,
            next: epoch,
            applied: epoch - 1,
            reserved: epoch,
            kept: Kept::new(rules),
            windows: Windows::default(),
            index: Index::default(),
            subscribers: HashMap::new(),
            groups: HashMap::new(),
            group_ids: HashMap::new(),
            members: HashMap::new(),
            watchers: HashMap::new(),
            serial: 0,
            alive: Alive::default(),
            relieve_at: BROKER_BYTES_MAX,
            published: 0,
            delivered: 0,
            gaps: 0,
        }
    }

    /// As a store tells.
    pub(super) fn restore(&mut self, loaded: Loaded, now_ms: i64) {
        let Some(epoch) = loaded.epoch else { return };
        self.epoch = epoch;
        self.next = loaded.next.max(epoch);
        self.reserved = self.next;
        self.windows = loaded.windows;
        self.kept.gone.set_others(loaded.forgotten);
        for (origin, value) in loaded.messages {
            self.next = self.next.max(origin.offset + 1);
            self.kept.keep(&Message::new(origin, value, &self.alive));
        }
        for (topic, lost) in loaded.lost {
            self.kept.restore_lost(&topic, lost);
        }
        self.applied = self.next - 1;
        if !self.kept.keeps_all() {
            // Nobody knows what was published and not kept.
            self.kept.unkept = self.last();
        }
        self.kept.expire(now_ms);
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The offset of the last message. Others may be on their way to the store.
    pub(super) fn last(&self) -> u64 {
        self.applied
    }

    /// Checks a message and gives it its offset.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub(super) fn plan(&mut self, publish: &Publish, now_ms: i64) -> Result<Planned, Failure> {
        let Publish {
            sender,
            topic,
            retain,
            number,
            value,
            attributes,
        } = publish;
        check_topic(topic)?;
        check_size(value, attributes)?;
        if let Some((name, number)) = number
            && self.windows.knows(name, *number)?
        {
            return Ok(Planned::Known);
        }
        let origin = Origin {
            offset: self.next,
            topic: Arc::clone(topic),
            sender: *sender,
            at_ms: now_ms,
            retain: *retain,
            attributes: attributes.clone(),
        };
        let message = Message::new(origin, value.clone(), &self.alive);
        self.kept.promise(&message)?;
        self.next += 1;
        if let Some((name, number)) = number {
            let forgotten = self.windows.note(name, *number);
            self.kept.trimmed.extend(forgotten.map(Trimmed::Publisher));
        }
        let keeps = self.kept.keeps(topic, *retain);
        Ok(Planned::New(message, keeps))
    }

    /// What has to be stored before anybody learns of these; `offset_ms` is the node's time less that of
    /// the store.
    pub(super) fn rows<'p>(
        &mut self,
        planned: impl Iterator<Item = (&'p Publish, &'p Planned)>,
        offset_ms: i64,
    ) -> Vec<Row> {
        let mut rows = Vec::new();
        for (publish, planned) in planned {
            let Planned::New(message, is_kept) = planned else {
                continue;
            };
            if *is_kept {
                rows.push(message_row(message, offset_ms));
            }
            // It counts once even if nothing of it is kept.
            if let Some((name, _)) = &publish.number {
                rows.push(publisher_row(name, &self.windows));
            }
        }
        if self.next > self.reserved {
            self.reserved = self.next + RESERVED_AT_ONCE;
            rows.push(epoch_row(self.epoch));
            rows.push(next_row(self.reserved));
        }
        if !rows.is_empty()
            || self.kept.trimmed.len() > KEPT_BYTES_MAX / MESSAGE_OVERHEAD_BYTES / 64
        {
            rows.splice(0..0, trimmed_rows(&mut self.kept));
        }
        rows
    }

    /// They could not be stored.
    pub(super) fn withdraw(&mut self, publish: &Publish, message: &Message) {
        self.kept.settle(message);
        if let Some((name, number)) = &publish.number {
            self.windows.forget(name, *number);
        }
        // To be noted again.
        self.reserved = self.epoch;
    }

    /// Keeps a message and gives it to those whom it is for.
    pub(super) fn apply(&mut self, message: &Arc<Message>, touched: &mut Touched) {
        self.applied = message.offset;
        self.published += 1;
        self.kept.settle(message);
        self.kept.keep(message);
        for id in self.index.find(&message.topic) {
            if let Some(subscriber) = self.subscribers.get_mut(&id) {
                if subscriber.echo || subscriber.member.node != message.sender {
                    subscriber.push(message);
                    touched.insert(id);
                }
            } else if let Some(group) = self.groups.get_mut(&id) {
                group.push(message);
                self.dispatch(id, touched);
            }
        }
        let alive = self.alive.bytes();
        if alive > self.relieve_at {
            self.relieve(touched);
            self.relieve_at = self.alive.bytes() + BROKER_BYTES_STEP;
        }
        if alive <= BROKER_BYTES_MAX {
            self.relieve_at = BROKER_BYTES_MAX;
        }
    }

    /// Begins a subscription: its number.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) fn subscribe(
        &mut self,
        node: NodeId,
        wish: Wish,
        touched: &mut Touched,
    ) -> Result<u64, Failure> {
        self.check_room()?;
        let filter: Filter = wish.filter.parse()?;
        let mut subscriber = Subscriber::new(node, filter.clone(), wish.echo, wish.slow);
        let id = self.next_serial();
        if let Some(name) = &wish.group {
            let group = self.join_group(&filter, name, &wish, id)?;
            subscriber.group = Some(group);
            subscriber.is_ready = true;
            subscriber.member.group = Some(name.clone());
        } else {
            self.begin(&mut subscriber, wish.after, wish.history);
            self.index.insert(&filter, id);
        }
        let member = subscriber.member.clone();
        let group = subscriber.group;
        self.subscribers.insert(id, subscriber);
        self.count(true, &member, touched);
        if let Some(group) = group {
            self.dispatch(group, touched);
        }
        Ok(id)
    }

    /// Ends a subscription.
    pub(super) fn unsubscribe(&mut self, id: u64, now_ms: i64, touched: &mut Touched) {
        let Some(mut subscriber) = self.subscribers.remove(&id) else {
            return;
        };
        match subscriber.group {
            None => self.index.remove(&subscriber.filter, id),
            Some(group) => {
                if let Some(of) = self.groups.get_mut(&group) {
                    of.remove(id);
                    of.give_back(subscriber.leave());
                    if of.members.is_empty() {
                        of.empty_since_ms = Some(now_ms);
                    }
                }
                self.dispatch(group, touched);
            }
        }
        self.count(false, &subscriber.member, touched);
    }

    /// The next item for a subscription.
    pub(super) fn next(&mut self, id: u64) -> Option<Bytes> {
        let subscriber = self.subscribers.get_mut(&id)?;
        let item = subscriber.next(&self.kept)?;
        match subscriber.has_sent_gap() {
            true => self.gaps += 1,
            false => self.delivered += 1,
        }
        Some(item)
    }

    /// How much there is of everything.
    pub(super) fn stats(&self) -> Stats {
        let (topics, kept_bytes) = self.kept.amount();
        Stats {
            topics,
            kept_bytes,
            held_bytes: self.alive.bytes(),
            subscriptions: self.subscribers.len(),
            groups: self.groups.len(),
            published: self.published,
            delivered: self.delivered,
            gaps: self.gaps,
        }
    }

    /// Why a subscription or somebody who watches is over.
    pub(super) fn over(&self, id: u64) -> Option<Failure> {
        let subscriber = self.subscribers.get(&id).and_then(|s| s.over.clone());
        subscriber.or_else(|| self.watchers.get(&id)?.over.clone())
    }

    /// A subscriber has taken so many items in all.
    ///
    /// # Errors
    /// `bad-message` if that cannot be.
    pub(super) fn take(
        &mut self,
        id: u64,
        total: u64,
        touched: &mut Touched,
    ) -> Result<(), Failure> {
        let Some(subscriber) = self.subscribers.get_mut(&id) else {
            return Ok(());
        };
        subscriber.take(total)?;
        if let Some(group) = subscriber.group {
            let has_room = subscriber.has_room();
            if has_room
                && !std::mem::replace(&mut subscriber.is_ready, true)
                && let Some(of) = self.groups.get_mut(&group)
            {
                of.is_ready(id);
            }
            self.dispatch(group, touched);
        }
        Ok(())
    }

    /// The topics of which something is kept, after that name: so many bytes of them, and one at least.
    pub(super) fn topics(&self, filter: &Filter, after: Option<&str>, bytes: usize) -> Vec<Topic> {
        let all = self.kept.matching(filter, after);
        let mut left = bytes;
        let all = all.take_while(|(name, _)| {
            let is_room = left > 0;
            left = left.saturating_sub(name.len() + TOPIC_OVERHEAD);
            is_room
        });
        let topics = all.map(|(name, topic)| {
            let newest = topic.history.back().or(topic.retained.as_ref());
            Topic {
                name: name.to_string(),
                retained: topic.retained.is_some(),
                messages: topic.history.len() as u64,
                offset: newest.map_or(0, |message| message.offset),
            }
        });
        topics.collect()
    }

    /// Drops what has grown too old.
    pub(super) fn sweep(&mut self, now_ms: i64) {
        self.kept.expire(now_ms);
        let linger = GROUP_LINGER.as_millis() as i64;
        let over = self.groups.iter().filter(|(_, group)| {
            group
                .empty_since_ms
                .is_some_and(|since| since + linger <= now_ms)
        });
        let over: Vec<_> = over.map(|(id, _)| *id).collect();
        for id in over {
            self.end_group(id);
        }
    }

    /// Whether there is anything that can grow too old.
    pub(super) fn ages(&self) -> bool {
        let mut groups = self.groups.values();
        self.kept.next_end().is_some() || groups.any(|group| group.empty_since_ms.is_some())
    }

    fn begin(&self, subscriber: &mut Subscriber, after: Option<After>, history: bool) {
        let all_until = |until| match history {
            true => Wanted::History(until),
            false => Wanted::Retained(until),
        };
        let Some(After {
            offset,
            epoch,
            until,
        }) = after
        else {
            return subscriber.catch_up(&self.kept, 0, all_until(self.last()), false);
        };
        let is_ours = (self.epoch - 1..=self.last()).contains(&until.unwrap_or(offset))
            && epoch.is_none_or(|epoch| epoch == self.epoch);
        match until {
            Some(until) if is_ours && offset <= until => {
                subscriber.catch_up(&self.kept, offset, all_until(until), true);
            }
            None if is_ours => subscriber.catch_up(&self.kept, offset, Wanted::All, true),
            _ => {
                // What went before the epoch is no part of what is missing.
                let before = self.epoch - 1;
                subscriber.catch_up(&self.kept, before, Wanted::All, true);
                subscriber.miss(Gap {
                    why: Why::Epoch,
                    missed: None,
                    first: offset,
                    last: offset,
                });
            }
        }
    }

    /// The memory that waiting messages take is needed.
    fn relieve(&mut self, touched: &mut Touched) {
        let count = self.subscribers.len() + self.groups.len();
        let share = KEPT_BYTES_MAX / 2 / count.max(1);
        for subscriber in self.subscribers.values_mut() {
            if subscriber.waiting_bytes() > share {
                subscriber.relieve(share);
            }
        }
        for group in self.groups.values_mut() {
            group.relieve(usize::MAX, share);
        }
        self.end_greatest(touched);
    }

    /// What is under way to groups is held for the other members: who holds most of it ends.
    fn end_greatest(&mut self, touched: &mut Touched) {
        let mut excess = self.alive.bytes().saturating_sub(BROKER_BYTES_MAX);
        if excess == 0 {
            return;
        }
        let holders = self.subscribers.iter_mut();
        let mut holders: Vec<_> = holders.map(|(id, one)| (one.held(), *id, one)).collect();
        holders.sort_unstable_by_key(|(held, id, _)| core::cmp::Reverse((*held, *id)));
        for (held, id, holder) in holders {
            if excess == 0 || held == 0 {
                break;
            }
            excess = excess.saturating_sub(held);
            holder.over = Some(Code::Overloaded.because("too much is under way here"));
            touched.insert(id);
        }
    }

    pub(super) fn check_room(&self) -> Result<(), Failure> {
        if self.subscribers.len() + self.watchers.len() < SUBSCRIPTIONS_MAX {
            return Ok(());
        }
        let message = format!("there are {SUBSCRIPTIONS_MAX} subscriptions here already");
        Err(Code::Overloaded.because(message))
    }

    pub(super) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}
