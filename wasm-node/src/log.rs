//! What the node logs, for the page: each `tracing` event goes to every watcher and to the browser's
//! own console.

use core::cell::RefCell;
use core::fmt::{self, Write};
use std::rc::Rc;
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// One event.
#[derive(Clone, Debug)]
pub struct Line {
    /// `ERROR` to `TRACE`.
    pub level: &'static str,
    /// Which part of the node speaks.
    pub target: String,
    /// What it says, with its fields.
    pub text: String,
}

type Watcher = Rc<dyn Fn(&Line)>;

thread_local! {
    static WATCHERS: RefCell<Vec<Watcher>> = RefCell::default();
}

/// Calls `watcher` with each event from now on.
pub fn watch(watcher: impl Fn(&Line) + 'static) {
    install();
    WATCHERS.with_borrow_mut(|watchers| watchers.push(Rc::new(watcher)));
}

/// Makes this the tab's log, once.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // If the page has a log of its own, that one counts.
        let _ = tracing::subscriber::set_global_default(Tab);
    });
}

struct Tab;

impl Subscriber for Tab {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let metadata = event.metadata();
        let line = Line {
            level: metadata.level().as_str(),
            target: metadata.target().to_owned(),
            text: text.0,
        };
        // A watcher may itself cause an event.
        let watchers = WATCHERS.with_borrow(Clone::clone);
        watchers.iter().for_each(|watcher| watcher(&line));
        if *metadata.level() <= Level::WARN {
            web_sys::console::warn_1(&format!("{}: {}", line.target, line.text).into());
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let space = if self.0.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{space}{value:?}"),
            name => write!(self.0, "{space}{name}={value:?}"),
        };
    }
}
