//! Which subscriptions a topic is for: a tree of the levels of all filters, in which only those are looked
//! at that can match.

use std::collections::HashMap;

use super::filter::{Filter, Level};

/// Subscriptions by their filters.
#[derive(Debug, Default)]
pub(super) struct Index {
    words: HashMap<Box<str>, Self>,
    any: Option<Box<Self>>,
    /// Those whose filter ends here, ends here with `#`, or with `*`.
    here: Vec<u64>,
    rest: Vec<u64>,
    below: Vec<u64>,
}

impl Index {
    pub(super) fn insert(&mut self, filter: &Filter, id: u64) {
        let mut place = self;
        for level in filter.levels() {
            place = match level {
                Level::Word(word) => place.words.entry(word.into()).or_default(),
                Level::Any => place.any.get_or_insert_default(),
                Level::Rest => return place.rest.push(id),
                Level::Below => return place.below.push(id),
            };
        }
        place.here.push(id);
    }

    pub(super) fn remove(&mut self, filter: &Filter, id: u64) {
        let levels: Vec<_> = filter.levels().collect();
        self.remove_at(&levels, id);
    }

    /// Those that a topic is for, in no order.
    pub(super) fn find(&self, topic: &str) -> Vec<u64> {
        let mut found = Vec::new();
        let words: Vec<_> = topic.split('/').collect();
        self.find_at(&words, &mut found);
        found
    }

    fn find_at(&self, words: &[&str], found: &mut Vec<u64>) {
        found.extend(&self.rest);
        let Some((word, words)) = words.split_first() else {
            return found.extend(&self.here);
        };
        found.extend(&self.below);
        if let Some(next) = self.words.get(*word) {
            next.find_at(words, found);
        }
        if let Some(next) = &self.any {
            next.find_at(words, found);
        }
    }

    /// Whether nothing is left here.
    fn remove_at(&mut self, levels: &[Level<'_>], id: u64) -> bool {
        let remove = |ids: &mut Vec<u64>| ids.retain(|other| *other != id);
        match levels.split_first() {
            None => remove(&mut self.here),
            Some((Level::Rest, _)) => remove(&mut self.rest),
            Some((Level::Below, _)) => remove(&mut self.below),
            Some((Level::Any, levels)) => {
                if self
                    .any
                    .as_mut()
                    .is_some_and(|next| next.remove_at(levels, id))
                {
                    self.any = None;
                }
            }
            Some((Level::Word(word), levels)) => {
                if let Some(next) = self.words.get_mut(*word)
                    && next.remove_at(levels, id)
                {
                    self.words.remove(*word);
                }
            }
        }
        self.is_empty()
    }

    fn is_empty(&self) -> bool {
        let none = [&self.here, &self.rest, &self.below]
            .iter()
            .all(|ids| ids.is_empty());
        none && self.words.is_empty() && self.any.is_none()
    }
}
