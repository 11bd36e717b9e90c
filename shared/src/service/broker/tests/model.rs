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
    let begin = bench.state.last();
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
    let mut subscribers: Vec<_> = (0..10).map(subscriber).collect();
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
