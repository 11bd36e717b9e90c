//! Topics of which nothing is kept any longer: which of their messages was the last that is missing. There are
//! only so many; of the others that is known only roughly.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::filter::Filter;
use crate::limits::GONE_TOPICS_MAX;

/// The topics that are gone.
#[derive(Debug, Default)]
pub(super) struct Gone {
    lost: BTreeMap<Arc<str>, u64>,
    /// The same by offset, of which each is one topic's.
    order: BTreeMap<u64, Arc<str>>,
    /// No other topic has lost anything after this offset.
    others: u64,
}

impl Gone {
    /// What is known of the topics that are not known.
    pub(super) fn others(&self) -> u64 {
        self.others
    }

    pub(super) fn set_others(&mut self, lost: u64) {
        self.others = self.others.max(lost);
    }

    /// A topic is gone. Whom that made forgotten.
    pub(super) fn insert(&mut self, name: &Arc<str>, lost: u64) -> Option<Arc<str>> {
        if lost <= self.others {
            return Some(Arc::clone(name));
        }
        if let Some(before) = self.lost.insert(Arc::clone(name), lost) {
            self.order.remove(&before);
        }
        self.order.insert(lost, Arc::clone(name));
        if self.lost.len() <= GONE_TOPICS_MAX {
            return None;
        }
        let (lost, oldest) = self.order.pop_first()?;
        self.lost.remove(&oldest);
        self.others = lost;
        Some(oldest)
    }

    /// A topic is there again: the last that it has lost, at most.
    pub(super) fn remove(&mut self, name: &str) -> u64 {
        match self.lost.remove(name) {
            Some(lost) => {
                self.order.remove(&lost);
                lost
            }
            None => self.others,
        }
    }

    /// The last that a topic has lost, at most.
    pub(super) fn get(&self, name: &str) -> u64 {
        self.lost.get(name).copied().unwrap_or(self.others)
    }

    /// The last that any topic has lost that a filter means, at most.
    pub(super) fn last(&self, filter: &Filter) -> u64 {
        let prefix = filter.prefix();
        let known = self.lost.range::<str, _>((
            core::ops::Bound::Included(prefix),
            core::ops::Bound::Unbounded,
        ));
        known
            .take_while(|(name, _)| name.starts_with(prefix))
            .filter(|(name, _)| filter.matches(name))
            .map(|(_, lost)| *lost)
            .fold(self.others, u64::max)
    }
}
