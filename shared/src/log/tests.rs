//! Journals and their lines.

use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::NodeId;
use crate::limits::{LOG_BYTES_MAX, LOG_LINES_MAX, LOG_VALUE_BYTES_MAX};

/// Hears every event of the thread while it is its subscriber, and keeps what a platform would.
#[derive(Clone, Default)]
pub(crate) struct Ear {
    pub(crate) journal: Arc<Journal>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// An event, and all that it says, uncut.
#[derive(Clone)]
pub(crate) struct Heard {
    pub(crate) entry: Entry,
    pub(crate) whole: String,
}

impl Ear {
    /// What came of `work`, and what was told in the meantime.
    pub(crate) fn listen<T>(&self, work: impl FnOnce() -> T) -> T {
        tracing::subscriber::with_default(self.clone(), work)
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

impl Subscriber for Ear {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        let mut heard = self.heard.lock().unwrap();
        let entry = Entry::read(event, 1000 + heard.len() as u64);
        if is_kept(event.metadata()) {
            self.journal.keep(entry.clone());
        }
        let mut whole = Whole(String::new());
        event.record(&mut whole);
        let whole = whole.0;
        heard.push(Heard { entry, whole });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Whole(String);

impl Visit for Whole {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

/// The only entry that comes of `tell`.
fn told(tell: impl FnOnce()) -> Entry {
    let ear = Ear::default();
    ear.listen(tell);
    let heard = ear.heard();
    assert_eq!(heard.len(), 1);
    heard[0].entry.clone()
}

fn entry(message: &str) -> Entry {
    Entry {
        time_ms: 0,
        level: Level::INFO,
        category: Some(Category::Message),
        target: MESSAGE,
        node: None,
        message: message.into(),
        fields: Vec::new(),
    }
}

#[test]
fn a_line_says_when_how_important_what_about_and_what() {
    let node = NodeId::from_bytes([7; 32]);
    let mut entry = told(|| {
        let name = "two words";
        event!(
            CONNECTION,
            INFO,
            node,
            link = 3u64,
            direct = true,
            name,
            "link up"
        );
    });
    entry.time_ms = 1_763_744_096_789;
    assert_eq!(
        entry.to_string(),
        r#"16:54:56.789 INFO connection link=3 direct=true name="two words" link up"#
    );
    let json: serde_json::Value = serde_json::from_str(&entry.to_json()).unwrap();
    let expected = serde_json::json!({ "time": "2025-11-21T16:54:56.789Z", "level": "INFO",
        "category": "connection", "node": node.short(), "link": 3, "direct": true,
        "name": "two words", "message": "link up" });
    assert_eq!(json, expected);
}

#[test]
fn nobody_can_write_a_line_of_his_own_into_the_log() {
    let evil = "\n00:00:00.000 ERROR \u{1b}[2J \"x\" \\ \u{85}";
    let entry = told(|| tracing::warn!(target: ERROR, evil, time = f64::NAN, "{evil}"));
    let line = entry.to_string();
    assert!(!line.chars().any(char::is_control), "{line}");
    let json = entry.to_json();
    assert!(!json.chars().any(char::is_control), "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["evil"], evil);
    assert_eq!(json["message"], evil);
    assert_eq!(json["time_"], serde_json::Value::Null);
}

#[test]
fn a_long_text_is_cut() {
    let long = "ä".repeat(LOG_VALUE_BYTES_MAX);
    let entry = told(|| tracing::info!(target: MESSAGE, long, other = ?long, "{long}"));
    let texts = entry.fields.iter().map(|(_, value)| value.to_string());
    for text in texts.chain([entry.message.clone()]) {
        assert!(text.len() <= LOG_VALUE_BYTES_MAX + 4, "{}", text.len());
        assert!(text.trim_end_matches('"').ends_with('…'), "{text}");
    }
}

#[test]
fn the_oldest_are_dropped_beyond_the_limits_and_counted() {
    let journal = Arc::new(Journal::default());
    let mut late = journal.reader();
    for n in 0..LOG_LINES_MAX + 10 {
        journal.keep(entry(&n.to_string()));
    }
    assert_eq!(journal.dropped(), 10);
    let news = late.take();
    assert_eq!((news.missed, news.entries.len()), (10, LOG_LINES_MAX));
    assert_eq!(news.entries[0].message, "10");
    assert_eq!(late.take(), News::default());

    let big = "x".repeat(LOG_BYTES_MAX / 4);
    (0..8).for_each(|_| journal.keep(entry(&big)));
    let kept = journal.reader().take().entries.len();
    assert!(kept <= 4, "{kept}");
    assert_eq!(journal.dropped() as usize, LOG_LINES_MAX + 18 - kept);
}

#[test]
fn a_reader_waits_for_what_comes() {
    let journal = Arc::new(Journal::default());
    let mut reader = journal.reader();
    let mut cx = Context::from_waker(Waker::noop());
    let mut next = Box::pin(reader.next());
    assert!(next.as_mut().poll(&mut cx).is_pending());
    journal.keep(entry("one"));
    let Poll::Ready(news) = next.as_mut().poll(&mut cx) else {
        panic!("nothing came");
    };
    assert_eq!(news.entries[0].message, "one");
}

#[test]
fn categories_have_their_names() {
    for category in Category::ALL {
        assert_eq!(category.as_str().parse(), Ok(category));
        let target = format!("peerage::{category}");
        assert_eq!(Category::of(&target), Some(category));
    }
    assert_eq!(Category::of(STEPS), Some(Category::Message));
    assert_eq!(Category::of("hyper::proto"), None);
    let error = "links".parse::<Category>().unwrap_err();
    assert!(error.contains("connection, message"), "{error}");
}
