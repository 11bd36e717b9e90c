//! Which topics a filter means.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::error::Code;
use crate::service::broker::Filter;
use crate::service::broker::index::Index;

/// By the letter of the definition.
fn naive(filter: &[&str], topic: &[&str]) -> bool {
    match (filter.split_first(), topic.split_first()) {
        (None, None) | (Some((&"#", _)), _) => true,
        (Some((&"*", _)), Some(_)) => true,
        (Some((&"+", filter)), Some((_, topic))) => naive(filter, topic),
        (Some((a, filter)), Some((b, topic))) if a == b => naive(filter, topic),
        _ => false,
    }
}

fn some_text(rng: &mut ChaCha8Rng, words: &[&str], ends: &[&str]) -> String {
    let count = 1 + rng.next_u32() as usize % 4;
    let mut levels: Vec<_> = (0..count)
        .map(|_| words[rng.next_u32() as usize % words.len()])
        .collect();
    levels.push(ends[rng.next_u32() as usize % ends.len()]);
    levels.join("/")
}

#[test]
fn filters_and_their_index_mean_what_the_definition_says() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..50 {
        let filters =
            (0..40).map(|_| some_text(&mut rng, &["a", "b", "", "+"], &["a", "+", "#", "*"]));
        let filters: Vec<Filter> = filters.map(|text| text.parse().unwrap()).collect();
        let mut index = Index::default();
        for (n, filter) in filters.iter().enumerate() {
            index.insert(filter, n as u64);
        }
        for _ in 0..100 {
            let topic = some_text(&mut rng, &["a", "b", "", "c"], &["a", "b", ""]);
            let words: Vec<_> = topic.split('/').collect();
            let mut expected = BTreeSet::new();
            for (n, filter) in filters.iter().enumerate() {
                let levels: Vec<_> = filter.as_str().split('/').collect();
                let means = naive(&levels, &words);
                assert_eq!(filter.matches(&topic), means, "{filter} {topic}");
                assert!(
                    !means || topic.starts_with(filter.prefix()),
                    "{filter} {topic}"
                );
                if means {
                    expected.insert(n as u64);
                }
            }
            let found = index.find(&topic);
            assert_eq!(found.len(), expected.len());
            assert_eq!(set(found), expected);
        }
        for (n, filter) in filters.iter().enumerate() {
            index.remove(filter, n as u64);
        }
        assert_eq!(format!("{index:?}"), format!("{:?}", Index::default()));
    }
}

#[test]
fn filters_overlap_if_there_is_a_topic_that_both_mean() {
    let words = ["a", "b", "c"];
    let mut topics: Vec<String> = words.map(String::from).into();
    for depth in 0..4 {
        let longest = topics.clone();
        let of_depth = longest
            .iter()
            .filter(|topic| topic.matches('/').count() == depth);
        for topic in of_depth {
            topics.extend(words.map(|word| [topic, "/", word].concat()));
        }
    }
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..300 {
        let mut some = || {
            let text = some_text(&mut rng, &["a", "b", "+"], &["a", "+", "#", "*"]);
            let at = text
                .match_indices('/')
                .nth(2)
                .map_or(text.len(), |(at, _)| at);
            text[..at].parse::<Filter>().unwrap()
        };
        let (a, b) = (some(), some());
        let both = topics
            .iter()
            .any(|topic| a.matches(topic) && b.matches(topic));
        assert_eq!(a.overlaps(&b), both, "{a} {b}");
    }
}

#[test]
fn what_is_no_filter_is_refused() {
    for text in ["", "a/#/b", "a/b#", "+a", "a/*/b", "*", "a*", "a\nb"] {
        let failure = text.parse::<Filter>().unwrap_err();
        assert_eq!(failure.code, Code::BadMessage, "{text}");
    }
    for text in ["a".repeat(513), "a/".repeat(32)] {
        assert_eq!(text.parse::<Filter>().unwrap_err().code, Code::TooLarge);
    }
    let mut bench = Bench::keeping(1);
    for topic in ["", "a/+", "#", "a/*", "a\0"] {
        let refused = bench.try_publish(&message(topic, "x", false)).unwrap_err();
        assert_eq!(refused.code, Code::BadMessage, "{topic}");
    }
}

#[test]
fn a_filter_covers_another_if_no_topic_of_that_is_beyond_it() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let words = ["a", "b", "c"];
    let mut covered = 0;
    for _ in 0..2000 {
        let mut filter = || -> Filter {
            some_text(&mut rng, &["a", "b", "+"], &["a", "+", "#", "*"])
                .parse()
                .unwrap()
        };
        let (wide, narrow) = (filter(), filter());
        // All topics that are a level longer than any filter, and shorter: `c` is in none of them by name.
        let mut topics: Vec<String> = words.map(str::to_owned).into();
        let mut last = topics.clone();
        for _ in 0..5 {
            last = last
                .iter()
                .filter(|topic| narrow.overlaps(&format!("{topic}/#").parse().unwrap()))
                .flat_map(|topic| words.map(|word| format!("{topic}/{word}")))
                .collect();
            topics.extend(last.iter().cloned());
        }
        let mut meant = topics.iter().filter(|topic| narrow.matches(topic));
        let expected = meant.all(|topic| wide.matches(topic));
        assert_eq!(wide.covers(&narrow), expected, "{wide} {narrow}");
        covered += usize::from(expected);
    }
    assert!(covered > 100, "{covered}");
    let filter = |text: &str| text.parse::<Filter>().unwrap();
    assert!(filter("+/#").covers(&filter("#")) && filter("#").covers(&filter("+/#")));
    assert!(!filter("+").covers(&filter("#")) && !filter("+/*").covers(&filter("#")));
}
