//! What outlives the broker.

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures_util::future::{BoxFuture, FutureExt, ready};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::service::broker::store::{self, Row, Store};

/// A store in memory, which may fail.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) rows: Mutex<BTreeMap<Vec<u8>, Bytes>>,
    pub(super) broken: Mutex<bool>,
}

impl Memory {
    fn put(&self, rows: Vec<Row>) {
        let mut all = self.rows.lock().unwrap();
        for (key, value) in rows {
            match value {
                Some(value) => drop(all.insert(key, value)),
                None => drop(all.remove(&key)),
            }
        }
    }
}

impl Store for Memory {
    fn load(&self) -> Result<Vec<(Vec<u8>, Bytes)>, String> {
        let rows = self.rows.lock().unwrap();
        Ok(rows
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn write(&self, rows: Vec<Row>) -> BoxFuture<'static, Result<(), String>> {
        if *self.broken.lock().unwrap() {
            return ready(Err("no room".into())).boxed();
        }
        self.put(rows);
        ready(Ok(())).boxed()
    }

    fn unix_ms(&self) -> i64 {
        1_000_000
    }
}

impl Bench {
    /// Publishes as a broker with a store does.
    pub(super) fn store(&mut self, memory: &Memory, publish: &Publish) -> Option<u64> {
        let planned = self.state.plan(publish, self.now_ms).unwrap();
        let rows = self.state.rows(
            [(publish, &planned)].into_iter(),
            self.now_ms - memory.unix_ms(),
        );
        memory.put(rows);
        let Planned::New(message, _) = planned else {
            return None;
        };
        self.state.apply(&message, &mut Touched::new());
        Some(message.offset)
    }

    /// Another life of the same broker.
    fn restarted(&self, memory: &Memory, count: usize) -> Self {
        self.restarted_as(memory, Self::keeping(count))
    }

    pub(super) fn restarted_as(&self, memory: &Memory, mut next: Self) -> Self {
        next.now_ms = self.now_ms + 5;
        let loaded = store::load(memory, next.now_ms).unwrap();
        next.state.restore(loaded, next.now_ms);
        assert_eq!(next.state.epoch(), self.state.epoch());
        assert!(next.state.last() >= self.state.last());
        next
    }
}

#[test]
fn what_is_kept_is_there_after_a_restart_and_what_was_trimmed_is_known_to_be() {
    let memory = Memory::default();
    let mut bench = Bench::keeping(2);
    let first = bench.store(&memory, &message("a", "1", false)).unwrap();
    bench.store(&memory, &message("a", "2", true));
    for value in ["3", "4", "5"] {
        bench.store(&memory, &message("a", value, false));
    }
    let other = bench.store(&memory, &message("b", "6", true)).unwrap();
    bench.store(&memory, &message("c", "7", true));
    bench.store(&memory, &message("c", "", true));
    let mut bench = bench.restarted(&memory, 2);
    let fresh = bench.subscribe(wish("#"));
    assert_eq!(bench.texts(fresh), ["2*", "6*"]);
    let back = bench.subscribe(after("a", first));
    assert_eq!(bench.texts(back), ["-?", "2", "4", "5"]);
    let back = bench.subscribe(after("#", other));
    assert_eq!(bench.texts(back), ["7", ""]);
    // New messages have new offsets.
    let next = bench.store(&memory, &message("b", "8", false)).unwrap();
    assert!(next > other + 2);
    assert_eq!(bench.texts(back), ["8"]);
}

#[test]
fn a_numbered_message_counts_once_across_a_restart() {
    let memory = Memory::default();
    let mut bench = Bench::keeping(2);
    let numbered = |number| Publish {
        number: Some((name("till"), number)),
        ..message("a", "x", false)
    };
    assert!(bench.store(&memory, &numbered(1)).is_some());
    assert!(bench.store(&memory, &numbered(3)).is_some());
    let mut bench = bench.restarted(&memory, 2);
    assert_eq!(bench.store(&memory, &numbered(1)), None);
    assert_eq!(bench.store(&memory, &numbered(3)), None);
    assert!(bench.store(&memory, &numbered(2)).is_some());
}

#[test]
fn what_a_publisher_adds_comes_with_the_value_after_a_restart_too() {
    let memory = Memory::default();
    let mut bench = Bench::keeping(2);
    let attributed = Publish {
        attributes: Bytes::from_static(b"for those who know"),
        ..message("a", "x", true)
    };
    bench.store(&memory, &attributed);
    for _ in 0..2 {
        let fresh = bench.subscribe(wish("a"));
        let item = bench.state.next(fresh).unwrap();
        let (tell, value) = wire::head::<Tell<'_>>(&item, "an item").unwrap();
        let Tell::Message(head) = tell else {
            panic!("{tell:?}")
        };
        assert_eq!(&head.attributes.unwrap()[..], b"for those who know");
        assert_eq!(&value[..], b"x");
        bench = bench.restarted(&memory, 2);
    }
    let too_long = Publish {
        attributes: Bytes::from(vec![0; crate::limits::PUBLISH_BYTES_MAX]),
        ..message("a", "x", false)
    };
    let refused = bench.state.plan(&too_long, 0).unwrap_err();
    assert_eq!(refused.code, crate::error::Code::TooLarge);
}

#[test]
fn a_broker_that_does_not_keep_everything_says_so_after_a_restart() {
    let memory = Memory::default();
    let mut bench = Bench::keeping(0);
    bench.store(&memory, &message("kept", "1", true));
    let seen = bench.store(&memory, &message("a", "2", false)).unwrap();
    // Nobody will know of this one.
    bench.store(&memory, &message("a", "3", false));
    let mut bench = bench.restarted(&memory, 0);
    let back = bench.subscribe(after("a", seen));
    assert_eq!(bench.texts(back), ["-?"]);
    let fresh = bench.subscribe(wish("kept"));
    assert_eq!(bench.texts(fresh), ["1*"]);
}

#[test]
fn a_numbered_message_counts_once_even_if_nothing_of_it_is_kept() {
    let memory = Memory::default();
    let mut bench = Bench::keeping(0);
    let numbered = Publish {
        number: Some((name("till"), 1)),
        ..message("a", "x", false)
    };
    assert!(bench.store(&memory, &numbered).is_some());
    let mut bench = bench.restarted(&memory, 0);
    assert_eq!(bench.store(&memory, &numbered), None);
}

#[test]
fn who_begins_while_messages_are_being_stored_gets_them() {
    let memory = Memory::default();
    let mut bench = Bench::keeping(5);
    bench.store(&memory, &message("a", "1", true));
    let planned = bench.state.plan(&message("a", "2", false), 0).unwrap();
    let fresh = bench.subscribe(wish("#"));
    let last = bench.state.last();
    let back = bench.subscribe(after("#", last));
    let Planned::New(message, _) = planned else {
        panic!("it was new")
    };
    bench.state.apply(&message, &mut Touched::new());
    assert_eq!(bench.texts(fresh), ["1*", "2"]);
    assert_eq!(bench.texts(back), ["2"]);
}

#[test]
fn what_a_retained_topic_without_history_lost_by_a_restart_is_told() {
    let memory = Memory::default();
    let mut bench = Bench::keeping(0);
    let seen = bench.store(&memory, &message("a", "1", true)).unwrap();
    // Nobody will know of this one, though the topic is known.
    bench.store(&memory, &message("a", "2", false));
    let mut bench = bench.restarted(&memory, 0);
    let back = bench.subscribe(after("a", seen));
    assert_eq!(bench.texts(back), ["-?"]);
}

#[test]
fn a_topic_that_is_gone_is_remembered_across_a_restart() {
    let memory = Memory::default();
    let mut bench = Bench::keeping(5);
    let seen = bench.store(&memory, &message("a", "1", false)).unwrap();
    bench.store(&memory, &message("a", "2", false));
    let age = HISTORY_AGE.as_millis() as i64;
    bench.now_ms += age;
    bench.state.sweep(bench.now_ms);
    bench.store(&memory, &message("b", "3", false));
    let mut bench = bench.restarted(&memory, 5);
    bench.store(&memory, &message("a", "4", false));
    let back = bench.subscribe(after("a", seen));
    assert_eq!(bench.texts(back), ["-?", "4"]);
    let other = bench.subscribe(after("b", seen));
    assert_eq!(bench.texts(other), ["3"]);
}

#[test]
fn rows_of_somebody_else_are_refused() {
    for (key, value) in [
        ("x", &b"\x01"[..]),
        ("m123", b"\x01"),
        ("mabcdefgh", b"\x01"),
        ("n", b"\x60"),
        ("pa", b""),
    ] {
        let memory = Memory::default();
        let value = Bytes::copy_from_slice(value);
        memory.rows.lock().unwrap().insert(key.into(), value);
        let failure = store::load(&memory, 0).err().unwrap();
        assert!(
            failure.message.starts_with("the broker's store: "),
            "{failure}"
        );
    }
}

/// The store of a broker in a zone.
pub(super) fn shared() -> Arc<Memory> {
    Arc::default()
}
