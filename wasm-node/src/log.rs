//! The tab's log: each `tracing` event is kept for who asks by the command `log`, goes to every watcher, and
//! to the browser's own console if somebody should look at it.

use core::cell::RefCell;
use std::rc::Rc;
use std::sync::Once;

use peerage::log::{Entry, Journal, KEPT, Value, is_kept};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use wasm_bindgen::JsValue;

use crate::objects::object;

type Watcher = Rc<dyn Fn(&Entry)>;

thread_local! {
    static WATCHERS: RefCell<Vec<Watcher>> = RefCell::default();
}

/// Calls `watcher` with each event from now on.
pub fn watch(watcher: impl Fn(&Entry) + 'static) {
    install();
    WATCHERS.with_borrow_mut(|watchers| watchers.push(Rc::new(watcher)));
}

/// What an event says, and then its fields.
pub fn in_words(entry: &Entry) -> String {
    let fields = entry.fields.iter();
    let fields = fields.map(|(name, value)| format!(" {name}={value}"));
    entry.message.clone() + fields.collect::<String>().as_str()
}

/// Makes this the tab's log, once.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // If the page has a log of its own, that one counts.
        let _ = tracing::subscriber::set_global_default(Tab);
    });
}

/// An event, as the page's listeners get it.
pub(crate) fn entry_object(entry: &Entry) -> JsValue {
    let fields = entry.fields.iter().map(|(name, value)| {
        let value = match value {
            Value::Text(text) => text.into(),
            Value::Number(number) => (*number).into(),
            Value::Flag(flag) => (*flag).into(),
        };
        (*name, value)
    });
    let category = entry.category.map(|category| category.as_str().into());
    object(&[
        ("time", (entry.time_ms as f64).into()),
        ("level", entry.level.as_str().into()),
        ("category", category.unwrap_or(JsValue::UNDEFINED)),
        ("target", entry.target.into()),
        ("text", in_words(entry).into()),
        ("fields", object(&fields.collect::<Vec<_>>())),
    ])
}

struct Tab;

impl Subscriber for Tab {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= KEPT
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(KEPT))
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let entry = Entry::read(event, js_sys::Date::now() as u64);
        // A watcher may itself cause an event.
        let watchers = WATCHERS.with_borrow(Clone::clone);
        watchers.iter().for_each(|watcher| watcher(&entry));
        if entry.level <= Level::WARN {
            web_sys::console::warn_1(&format!("{}: {}", entry.target, in_words(&entry)).into());
        }
        if is_kept(event.metadata()) {
            Journal::of_process().keep(entry);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
