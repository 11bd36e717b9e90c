//! Who shares a subscription with others, who is here, and who wants to know.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::filter::Filter;
use super::group::Group;
use super::state::{State, Touched};
use super::wire::{Member, Slow, Wish};
use crate::error::{Code, Failure};
use crate::limits::{GROUP_BYTES_MAX, GROUPS_MAX, PRESENCE_EVENTS_MAX};

/// Somebody who wants to know who comes and goes.
#[derive(Debug)]
pub(super) struct Watcher {
    filter: Filter,
    /// Who came, or went.
    pub(super) news: VecDeque<(bool, Member)>,
    pub(super) over: Option<Failure>,
}

impl State {
    /// Who is subscribed to something that this filter means, in order.
    pub(super) fn present(&self, filter: &Filter) -> BTreeSet<Member> {
        let all = self.subscribers.values();
        let present = all.filter(|subscriber| subscriber.filter.overlaps(filter));
        present
            .map(|subscriber| subscriber.member.clone())
            .collect()
    }

    /// A subscription has begun, or has ended. It is news if its member has no other like it.
    pub(super) fn count(&mut self, joined: bool, member: &Member, touched: &mut Touched) {
        let count = self.members.entry(member.clone()).or_insert(0);
        *count = if joined { *count + 1 } else { *count - 1 };
        let count = *count;
        if count == 0 {
            self.members.remove(member);
        }
        if count == usize::from(joined) {
            self.tell(joined, member, touched);
        }
    }

    /// Tells from now on who comes and goes; a number for it.
    ///
    /// # Errors
    /// `overloaded` if too many are here already.
    pub(super) fn watch(&mut self, filter: Filter) -> Result<u64, Failure> {
        self.check_room()?;
        let id = self.next_serial();
        let watcher = Watcher {
            filter,
            news: VecDeque::new(),
            over: None,
        };
        self.watchers.insert(id, watcher);
        Ok(id)
    }

    pub(super) fn watcher(&mut self, id: u64) -> Option<&mut Watcher> {
        self.watchers.get_mut(&id)
    }

    pub(super) fn unwatch(&mut self, id: u64) {
        self.watchers.remove(&id);
    }

    pub(super) fn join_group(
        &mut self,
        filter: &Filter,
        name: &str,
        wish: &Wish,
        id: u64,
    ) -> Result<u64, Failure> {
        if wish.after.is_some() || wish.history || wish.slow != Slow::DropOldest {
            let message = "expected a group's subscription without a position, history or a policy";
            return Err(Code::BadMessage.because(message));
        }
        if name.is_empty() || name.len() > GROUP_BYTES_MAX {
            let message = format!("expected a group's name of 1 to {GROUP_BYTES_MAX} bytes");
            return Err(Code::BadMessage.because(message));
        }
        let key = (filter.clone(), Arc::from(name));
        let group = match self.group_ids.get(&key) {
            Some(group) => *group,
            None if self.groups.len() >= GROUPS_MAX => {
                let message = format!("there are {GROUPS_MAX} groups here already");
                return Err(Code::Overloaded.because(message));
            }
            None => {
                let group = self.next_serial();
                self.index.insert(filter, group);
                let new = Group::new(filter.clone(), Arc::clone(&key.1), self.last());
                self.groups.insert(group, new);
                self.group_ids.insert(key, group);
                group
            }
        };
        if let Some(of) = self.groups.get_mut(&group) {
            of.join(id);
        }
        Ok(group)
    }

    /// Since when there has been the group of a subscription.
    pub(super) fn group_since(&self, id: u64) -> Option<u64> {
        let group = self.subscribers.get(&id)?.group?;
        Some(self.groups.get(&group)?.since)
    }

    pub(super) fn end_group(&mut self, id: u64) {
        if let Some(group) = self.groups.remove(&id) {
            self.index.remove(&group.filter, id);
            self.group_ids.remove(&(group.filter, group.name));
        }
    }

    /// Gives what waits for a group to those of its members who have room.
    pub(super) fn dispatch(&mut self, id: u64, touched: &mut Touched) {
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        while let Some(entry) = group.waiting.front() {
            let sender = entry.message.sender;
            let subscribers = &self.subscribers;
            let is_for = |member: u64| {
                let one = subscribers.get(&member);
                one.is_some_and(|one| one.echo || one.member.node != sender)
            };
            let Some(member) = group.next_ready(is_for) else {
                if group.members.is_empty() || group.members.iter().any(|one| is_for(*one)) {
                    return;
                }
                // All members are at the node that has sent it, and want no echo.
                group.pass_over();
                continue;
            };
            let (entry, missed) = group.pop_told();
            if let Some(subscriber) = self.subscribers.get_mut(&member) {
                missed.into_iter().for_each(|gap| subscriber.miss(gap));
                entry.into_iter().for_each(|entry| subscriber.put(entry));
                subscriber.is_ready = subscriber.has_room();
                if subscriber.is_ready {
                    group.is_ready(member);
                }
            }
            touched.insert(member);
        }
    }

    fn tell(&mut self, joined: bool, member: &Member, touched: &mut Touched) {
        let Ok(filter) = member.filter.parse::<Filter>() else {
            return;
        };
        for (id, watcher) in &mut self.watchers {
            if !watcher.filter.overlaps(&filter) || watcher.over.is_some() {
                continue;
            }
            if watcher.news.len() >= PRESENCE_EVENTS_MAX {
                let message = format!("{PRESENCE_EVENTS_MAX} comings and goings were not taken");
                watcher.news = VecDeque::new();
                watcher.over = Some(Code::Overloaded.because(message));
            } else {
                watcher.news.push_back((joined, member.clone()));
            }
            touched.insert(*id);
        }
    }
}
