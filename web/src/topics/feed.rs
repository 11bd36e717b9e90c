//! What is published in the zone, topic by topic, for as long as somebody looks.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt;
use leptos::prelude::*;
use peerage::service::broker::{self, Item, Message, Subscribe, Topics};
use peerage::{Node, NodeId};

use crate::tree::{Tree, of_value};
use crate::units::clock;
use crate::zone::now;

/// Topics that are shown; of more, nothing is noted.
const TOPICS_MAX: usize = 5000;
/// Values that are shown of each.
const VALUES_MAX: usize = 20;
/// After how many milliseconds a rate is worth half.
const HALF_LIFE_MS: f64 = 3000.0;
/// How long until a subscription that has ended is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// A topic, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Topic {
    /// The latest first.
    pub(super) values: VecDeque<Value>,
    /// Messages a second.
    pub(super) rate: f64,
    pub(super) is_retained: bool,
    /// How many the broker keeps, as far as it has said.
    pub(super) kept: Option<u64>,
    /// When the rate was reckoned.
    at: f64,
}

/// A value that was published.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) tree: Tree,
    pub(super) time: String,
    pub(super) sender: NodeId,
    pub(super) offset: u64,
    pub(super) size: usize,
}

/// All topics: as they are shown, and as they are.
#[derive(Clone, Copy)]
pub(super) struct Feed {
    pub(super) topics: RwSignal<BTreeMap<Arc<str>, Topic>>,
    /// Why nothing more comes.
    pub(super) why: RwSignal<Option<String>>,
    latest: StoredValue<BTreeMap<Arc<str>, Topic>>,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self {
            topics: RwSignal::default(),
            why: RwSignal::default(),
            latest: StoredValue::default(),
        }
    }

    /// Takes what is published, until this is dropped.
    pub(super) async fn listen(self, topics: Topics, node: Node) {
        loop {
            let options = Subscribe {
                echo: true,
                ..Subscribe::default()
            };
            match topics.subscribe("#", options).await {
                Err(failure) => self.why.set(Some(failure.in_words())),
                Ok(mut subscription) => {
                    self.why.set(None);
                    while let Some(item) = subscription.next().await {
                        match item {
                            Ok(Item::Message(message)) => self.take(&message),
                            Ok(Item::Gap(_)) => {}
                            Err(failure) => self.why.set(Some(failure.in_words())),
                        }
                    }
                }
            }
            node.sleep(RETRY).await;
        }
    }

    /// Shows what there is now.
    pub(super) fn show(self) {
        let now = now();
        self.latest.update_value(|latest| {
            latest.values_mut().for_each(|topic| topic.decay(now));
        });
        let latest = self.latest.get_value();
        if self.topics.with_untracked(|shown| *shown != latest) {
            self.topics.set(latest);
        }
    }

    /// Notes what the broker keeps.
    pub(super) fn keep(self, kept: Vec<broker::Topic>) {
        self.latest.update_value(|latest| {
            for told in kept {
                if let Some(topic) = latest.get_mut(told.name.as_str()) {
                    topic.kept = Some(told.messages);
                    topic.is_retained = told.retained;
                }
            }
        });
    }

    fn take(self, message: &Message) {
        let tree = match message.value() {
            Ok(value) => of_value(&value),
            Err(error) => Tree::Leaf("bad", error.to_string()),
        };
        let value = Value {
            tree,
            time: clock(js_sys::Date::now()),
            sender: message.sender,
            offset: message.offset,
            size: message.bytes.len(),
        };
        self.latest.update_value(|latest| {
            if latest.len() >= TOPICS_MAX && !latest.contains_key(&message.topic) {
                return;
            }
            let topic = latest.entry(Arc::clone(&message.topic));
            let topic = topic.or_insert_with(|| Topic {
                values: VecDeque::new(),
                rate: 0.0,
                is_retained: message.retained,
                kept: None,
                at: now(),
            });
            topic.take(value, message.retained);
        });
    }
}

impl Topic {
    fn take(&mut self, value: Value, was_retained: bool) {
        // What was there before is none of what happens now.
        if !was_retained {
            self.decay(now());
            self.rate += core::f64::consts::LN_2 / (HALF_LIFE_MS / 1000.0);
        }
        self.values.push_front(value);
        self.values.truncate(VALUES_MAX);
    }

    /// The rate, as it is by now if nothing has come.
    fn decay(&mut self, now: f64) {
        self.rate *= 0.5f64.powf((now - self.at).max(0.0) / HALF_LIFE_MS);
        if self.rate < 0.01 {
            self.rate = 0.0;
        }
        self.at = now;
    }
}
