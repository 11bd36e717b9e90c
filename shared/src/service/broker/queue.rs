//! What waits for one subscriber, in order.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::subscriber::Entry;

/// Messages that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// By a number that grows.
    entries: BTreeMap<u64, Entry>,
    bytes: usize,
    last: u64,
    /// The number of the last of each topic.
    newest: HashMap<Arc<str>, u64>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.last += 1;
        self.bytes += entry.message.size();
        let topic = Arc::clone(&entry.message.topic);
        self.newest.insert(topic, self.last);
        self.entries.insert(self.last, entry);
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        let number = *self.entries.first_key_value()?.0;
        self.remove(number)
    }

    /// Takes out the last message of a topic.
    pub(super) fn remove_topic(&mut self, topic: &str) -> Option<Entry> {
        self.remove(*self.newest.get(topic)?)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        self.bytes -= entry.message.size();
        let topic = &entry.message.topic;
        if self.newest.get(topic) == Some(&number) {
            self.newest.remove(topic);
        }
        Some(entry)
    }
}
