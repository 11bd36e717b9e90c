//! Proof that rare branches were reached: the core says in its log what it does, and what must be seen
//! sometimes is listed here.

use core::fmt::Debug;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// How often each thing was said, by the beginning of what was said.
pub type Marks = BTreeMap<String, u64>;

/// What must be seen sometimes.
pub const SOMETIMES: &[&str] = &[
    "a core is at rest without the others",
    "a hostile member begins: AfterEnd",
    "a hostile member begins: BeyondCredit",
    "a hostile member begins: Credit",
    "a hostile member begins: Flood",
    "a hostile member begins: Garbage",
    "a hostile member begins: Huge",
    "a hostile member begins: Numbers",
    "a hostile member begins: Overlong",
    "a hostile member begins: Parity",
    "a hostile member begins: Remarks",
    "a hostile member begins: Unopened",
    "a hostile member's session ends: bad-message",
    "a hostile member's session ends: too-large",
    "a hostile member's stream ends: bad-message",
    "a hostile member's stream ends: overloaded",
    "a node below has moved elsewhere",
    "a record is dropped: the link is slow",
    "a spare link is one too many",
    "a stream ends with a session that was lost",
    "both have called",
    "both have opened a route",
    "cannot begin anew for want of a route",
    "handshake failed",
    "new streams wait no longer for a path",
    "no route yet",
    "not a session's payload",
    "path gives no sign of life",
    "path lost",
    "refused",
    "session down",
    "session up",
    "the other node has begun anew",
    "the relay may have begun anew",
    "the session lives",
    "who is calling is not called",
];

thread_local! {
    static SEEN: RefCell<Marks> = RefCell::default();
}

/// Runs something, and tells what was said in the meantime. If `aloud`, it is printed as well.
pub fn collect<T>(aloud: bool, run: impl FnOnce() -> T) -> (T, Marks) {
    let result = tracing::subscriber::with_default(Listener::new(aloud), run);
    (result, SEEN.take())
}

/// Those that were not seen.
pub fn missing(seen: &Marks) -> Vec<&'static str> {
    SOMETIMES
        .iter()
        .copied()
        .filter(|mark| !seen.contains_key(*mark))
        .collect()
}

struct Listener {
    aloud: bool,
    spans: AtomicU64,
}

impl Listener {
    fn new(aloud: bool) -> Self {
        Self {
            aloud,
            spans: AtomicU64::new(1),
        }
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level()
            <= if self.aloud {
                Level::TRACE
            } else {
                Level::DEBUG
            }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut said = Said {
            aloud: self.aloud,
            ..Said::default()
        };
        event.record(&mut said);
        if self.aloud {
            print(&said);
        }
        SEEN.with_borrow_mut(|seen| *seen.entry(said.message).or_default() += 1);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Said {
    aloud: bool,
    message: String,
    fields: String,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else if self.aloud {
            self.fields += &format!(" {field}={value:?}");
        }
    }
}

#[allow(clippy::print_stdout, reason = "asked for by whoever replays a seed")]
fn print(said: &Said) {
    println!("{}{}", said.message, said.fields);
}
