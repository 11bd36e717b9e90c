//! The broker alone, and in a zone.

mod filters;
mod groups;
mod history;
mod model;
mod stored;
mod zone;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::kept::Rule;
use super::state::{Planned, Publish, State, Touched};
use super::wire::{self, After, Gap, Slow, Tell, Wish};
use crate::error::Failure;
use crate::id::NodeId;
use crate::limits::{HISTORY_AGE, HISTORY_BYTES};

/// A broker without streams, and its time.
struct Bench {
    state: State,
    now_ms: i64,
}

/// What a subscriber was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Got {
    Message(u64, String, String, Marks),
    Gap(Gap),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks {
    retained: bool,
    again: bool,
}

impl Bench {
    /// One that keeps so many messages of every topic.
    fn keeping(count: usize) -> Self {
        let rule = Rule {
            filter: "#".parse().unwrap(),
            count,
            bytes: HISTORY_BYTES,
            age: HISTORY_AGE,
        };
        Self::of(vec![rule])
    }

    fn of(rules: Vec<Rule>) -> Self {
        let state = State::new(rules, [7; 8]);
        Self { state, now_ms: 0 }
    }

    fn try_publish(&mut self, publish: &Publish) -> Result<Option<u64>, Failure> {
        Ok(match self.state.plan(publish, self.now_ms)? {
            Planned::Known => None,
            Planned::New(message, _) => {
                self.state.apply(&message, &mut Touched::new());
                Some(message.offset)
            }
        })
    }

    /// Publishes, as node 9; the offset.
    fn publish(&mut self, topic: &str, value: &str) -> u64 {
        self.try_publish(&message(topic, value, false))
            .unwrap()
            .unwrap()
    }

    fn retain(&mut self, topic: &str, value: &str) -> u64 {
        self.try_publish(&message(topic, value, true))
            .unwrap()
            .unwrap()
    }

    /// Subscribes, as node 1.
    fn subscribe(&mut self, wish: Wish) -> u64 {
        self.subscribe_as(1, wish)
    }

    fn subscribe_as(&mut self, node: u8, wish: Wish) -> u64 {
        self.state
            .subscribe(id(node), wish, &mut Touched::new())
            .unwrap()
    }

    fn unsubscribe(&mut self, subscription: u64) {
        let touched = &mut Touched::new();
        self.state.unsubscribe(subscription, self.now_ms, touched);
    }

    /// What is sent now.
    fn sent(&mut self, subscription: u64) -> Vec<Got> {
        core::iter::from_fn(|| self.state.next(subscription))
            .map(|item| got(&item))
            .collect()
    }

    /// As that, as texts: `value`, `value*` for a retained one, `value!` for one that comes again, `-n` for a gap.
    fn texts(&mut self, subscription: u64) -> Vec<String> {
        let text = |got| match got {
            Got::Message(_, _, value, marks) if marks.retained => value + "*",
            Got::Message(_, _, value, marks) if marks.again => value + "!",
            Got::Message(_, _, value, _) => value,
            Got::Gap(gap) => gap
                .missed
                .map_or("-?".into(), |missed| format!("-{missed}")),
        };
        self.sent(subscription).into_iter().map(text).collect()
    }

    fn take(&mut self, subscription: u64, total: u64) {
        self.state
            .take(subscription, total, &mut Touched::new())
            .unwrap();
    }
}

fn got(item: &Bytes) -> Got {
    match wire::head::<Tell<'_>>(item, "an item").unwrap() {
        (Tell::Message(head), value) => {
            let value = String::from_utf8(value.to_vec()).unwrap();
            let marks = Marks {
                retained: head.retained,
                again: head.again,
            };
            Got::Message(head.offset, head.topic.into(), value, marks)
        }
        (Tell::Gap(gap), _) => Got::Gap(gap),
        (other, _) => panic!("{other:?}"),
    }
}

fn message(topic: &str, value: &str, retain: bool) -> Publish {
    Publish {
        sender: id(9),
        topic: topic.into(),
        retain,
        number: None,
        attributes: Bytes::new(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

fn wish(filter: &str) -> Wish {
    Wish {
        filter: filter.into(),
        after: None,
        history: false,
        echo: false,
        group: None,
        slow: Slow::DropOldest,
    }
}

fn after(filter: &str, offset: u64) -> Wish {
    let after = After {
        offset,
        epoch: None,
        until: None,
    };
    Wish {
        after: Some(after),
        ..wish(filter)
    }
}

fn id(node: u8) -> NodeId {
    NodeId::from_bytes([node; 32])
}

fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    items.into_iter().collect()
}

fn name(text: &str) -> Arc<str> {
    text.into()
}
