//! The log of a native process, as layers of a `tracing` subscriber: what its nodes tell when they are asked,
//! and JSON lines.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use peerage::log::{Entry, Journal, KEPT, is_kept};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Keeps recent events for the command `log`. The program `peerage` has it; one that has a subscriber of its
/// own adds it there.
pub fn journal<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let kept = filter_fn(is_kept).with_max_level_hint(LevelFilter::from_level(KEPT));
    Keeps.with_filter(kept)
}

/// Writes each event as a line of JSON.
pub fn json_lines<S, W>(writer: fn() -> W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + 'static,
{
    Writes(writer)
}

/// Events that were kept, by their levels.
static TOLD: [(Level, AtomicU64); 4] = [
    (Level::ERROR, AtomicU64::new(0)),
    (Level::WARN, AtomicU64::new(0)),
    (Level::INFO, AtomicU64::new(0)),
    (Level::DEBUG, AtomicU64::new(0)),
];

/// How many events this process has told so far at each level, of which the journal keeps the last.
pub fn told() -> impl Iterator<Item = (Level, u64)> {
    TOLD.iter()
        .map(|(level, count)| (*level, count.load(Ordering::Relaxed)))
}

struct Keeps;

impl<S: Subscriber> Layer<S> for Keeps {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = event.metadata().level();
        if let Some((_, count)) = TOLD.iter().find(|(told, _)| told == level) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Journal::of_process().keep(read(event));
    }
}

struct Writes<W>(fn() -> W);

impl<S: Subscriber, W: Write + 'static> Layer<S> for Writes<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = read(event).to_json() + "\n";
        // A log that nobody can read is no reason to stop.
        let _ = (self.0)().write_all(line.as_bytes());
    }
}

fn read(event: &Event<'_>) -> Entry {
    // A clock before 1970 is a clock that was never set.
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = time.unwrap_or_default().as_millis();
    Entry::read(event, u64::try_from(ms).unwrap_or_default())
}
