//! Whatever is published, trimmed and interrupted: each subscriber gets everything in order, once, or is told
//! that it is missing.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::stored::Memory;
use super::*;
use crate::Time;
use crate::service::broker::Filter;
use crate::service::broker::Why;

const FILTERS: [&str; 5] = ["a/#", "a/x", "+/y", "#", "a/*"];
const TOPICS: [&str; 6] = ["a", "a/x", "a/y", "b/y", "c", "none/x"];

/// A subscriber who comes and goes, and takes as he likes.
struct Subscriber {
    filter: Filter,
    slow: Slow,
    subscription: Option<u64>,
    got: u64,
    begin: u64,
    position: u64,
    /// Offsets of messages, and ranges of those that were told to be missing.
    messages: Vec<u64>,
    gaps: Vec<Gap>,
}

impl Subscriber {
    fn begin(&mut self, bench: &mut Bench) {
        let mut wish = after(self.filter.as_str(), self.position);
        wish.slow = self.slow;
        self.subscription = Some(bench.subscribe(wish));
        self.got = 0;
    }

    fn read(&mut self, bench: &mut Bench, most: usize) {
        let Some(subscription) = self.subscription else {
            return;
        };
        for _ in 0..most {
            let Some(item) = bench.state.next(subscription) else {
                break;
            };
            self.got += 1;
            match got(&item) {
                Got::Message(offset, topic, ..) => {
                    assert!(self.filter.matches(&topic));
                    assert!(offset > self.position, "{offset} after {}", self.position);
                    self.position = offset;
                    self.messages.push(offset);
                }
                Got::Gap(gap) => self.gaps.push(gap),
            }
        }
        bench.take(subscription, self.got);
    }

    fn check(&self, published: &[(u64, &str)]) {
        let mut messages = self.messages.iter().copied().peekable();
        for (offset, topic) in published {
            if *offset <= self.begin || !self.filter.matches(topic) {
                continue;
            }
            if messages.next_if_eq(offset).is_none() {
                let mut gaps = self.gaps.iter();
                let told = gaps.any(|gap| (gap.first..=gap.last).contains(offset));
                assert!(told, "{} of {topic} is missing for {}", offset, self.filter);
            }
        }
        assert_eq!(messages.next(), None);
    }
}

fn subscribers(begin: u64) -> Vec<Subscriber> {
    let subscriber = |n: usize| Subscriber {
        filter: FILTERS[n % FILTERS.len()].parse().unwrap(),
        slow: if n < 8 {
            Slow::DropOldest
        } else {
            Slow::Latest
        },
        subscription: None,
        got: 0,
        begin,
        position: begin,
        messages: Vec::new(),
        gaps: Vec::new(),
    };
    (0..10).map(subscriber).collect()
}

fn run(seed: u64) -> (usize, usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = move |n: usize| rng.next_u32() as usize % n;
    let rule = |filter: &str, count| Rule {
        count,
        age: Time::from_secs(10),
        ..Rule::usual(filter.parse().unwrap())
    };
    let fresh = || Bench::of(vec![rule("none/#", 0), rule("a/#", 20), rule("#", 5)]);
    let (mut bench, memory) = (fresh(), Memory::default());
    bench.store(&memory, &message("c", "0", false));
    let mut subscribers = subscribers(bench.state.last());
    let mut published = Vec::new();
    for _ in 0..3000 {
        let who = draw(subscribers.len());
        let one = &mut subscribers[who];
        match (draw(10), one.subscription) {
            (0..6, _) => {
                let topic = TOPICS[draw(TOPICS.len())];
                let publish = match draw(4) {
                    0 => message(topic, ["", "x"][draw(2)], true),
                    _ => message(topic, "x", false),
                };
                let offset = bench.store(&memory, &publish).unwrap();
                published.push((offset, topic));
            }
            (6, Some(subscription)) if draw(4) == 0 => {
                bench.unsubscribe(subscription);
                one.subscription = None;
            }
            (7, None) => {
                one.begin(&mut bench);
            }
            (8, _) => {
                let most = draw(30);
                one.read(&mut bench, most);
            }
            (9, _) if draw(100) == 0 => {
                // Killed: what is not in the store is lost.
                bench = bench.restarted_as(&memory, fresh());
                for one in &mut subscribers {
                    one.subscription = None;
                }
            }
            _ => {
                bench.now_ms += 100 * draw(20) as i64;
                bench.state.sweep(bench.now_ms);
            }
        }
    }
    for one in &mut subscribers {
        if one.subscription.is_none() {
            one.begin(&mut bench);
        }
        for _ in 0..published.len() {
            one.read(&mut bench, 100);
        }
        one.check(&published);
    }
    let messages = subscribers.iter().map(|one| one.messages.len()).sum();
    (messages, subscribers.iter().map(|one| one.gaps.len()).sum())
}

#[test]
fn nothing_is_missing_that_is_not_told() {
    let (mut messages, mut gaps) = (0, 0);
    for seed in 0..30 {
        let (more, missing) = run(seed);
        messages += more;
        gaps += missing;
    }
    // Both happen, so the check checks something.
    assert!(messages > 10_000 && gaps > 100, "{messages} {gaps}");
}

/// A member of a group who comes and goes, and says what he has taken.
#[derive(Default)]
struct Worker {
    subscription: Option<u64>,
    sent: Vec<Got>,
    taken: u64,
    since: Option<u64>,
}

impl Worker {
    /// Begins; what it learns by that to be missing.
    fn begin(&mut self, bench: &mut Bench, node: u8) -> Option<Gap> {
        let group = Some("workers".into());
        let subscription = bench.subscribe_as(
            node,
            Wish {
                group,
                ..wish("a/#")
            },
        );
        self.subscription = Some(subscription);
        (self.sent, self.taken) = (Vec::new(), 0);
        let since = bench.state.group_since(subscription);
        let before = std::mem::replace(&mut self.since, since);
        let (before, since) = before.zip(since).filter(|(a, b)| a != b)?;
        Some(Gap {
            missed: None,
            first: before + 1,
            last: since,
            ..Gap::of(Why::Trimmed, since)
        })
    }

    fn take(&mut self, bench: &mut Bench, most: usize) -> Vec<Got> {
        let Some(subscription) = self.subscription else {
            return Vec::new();
        };
        self.sent.extend(bench.sent(subscription));
        let taken: Vec<_> = self.sent.drain(..most.min(self.sent.len())).collect();
        self.taken += taken.len() as u64;
        bench.take(subscription, self.taken);
        taken
    }
}

fn run_group(seed: u64) -> (usize, usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = move |n: usize| rng.next_u32() as usize % n;
    let mut bench = Bench::keeping(0);
    let mut workers: Vec<_> = (0..4).map(|_| Worker::default()).collect();
    // Who publishes is a member now and then, and gets nothing of his own.
    let nodes = [1, 2, 9, 9];
    workers[0].begin(&mut bench, nodes[0]);
    let (mut published, mut taken, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..2000 {
        let who = draw(workers.len());
        match (draw(8), workers[who].subscription) {
            (0..3, _) => published.push(bench.publish("a/x", "x")),
            (3, Some(subscription)) if draw(3) == 0 => {
                bench.unsubscribe(subscription);
                workers[who].subscription = None;
            }
            (4, None) => gaps.extend(workers[who].begin(&mut bench, nodes[who])),
            (5, _) if draw(10) == 0 => {
                bench.now_ms += draw(200_000) as i64;
                bench.state.sweep(bench.now_ms);
            }
            _ => taken.extend(workers[who].take(&mut bench, draw(20))),
        }
    }
    for (worker, node) in workers.iter_mut().zip([1, 2, 3, 4]) {
        if let Some(subscription) = worker.subscription {
            bench.unsubscribe(subscription);
        }
        gaps.extend(worker.begin(&mut bench, node));
    }
    published.push(bench.publish("a/x", "last"));
    for _ in 0..published.len() {
        for worker in &mut workers {
            taken.extend(worker.take(&mut bench, 100));
        }
    }
    let mut messages = BTreeSet::new();
    for got in taken {
        match got {
            Got::Message(offset, ..) => drop(messages.insert(offset)),
            Got::Gap(gap) => gaps.push(gap),
        }
    }
    for offset in &published {
        let told = gaps
            .iter()
            .any(|gap| (gap.first..=gap.last).contains(offset));
        assert!(
            messages.contains(offset) || told,
            "{offset} is missing for the group"
        );
    }
    (messages.len(), gaps.len())
}

#[test]
fn nothing_is_missing_for_a_group_that_is_not_told() {
    let (mut messages, mut gaps) = (0, 0);
    for seed in 0..30 {
        let (more, missing) = run_group(seed);
        messages += more;
        gaps += missing;
    }
    assert!(messages > 5_000 && gaps > 20, "{messages} {gaps}");
}
