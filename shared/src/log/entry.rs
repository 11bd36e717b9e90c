//! One event of a log, as it is kept, shown and sent.

use core::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::Category;
use super::json::Object;
use crate::limits::LOG_VALUE_BYTES_MAX;

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 3600 * 1000;
/// Bytes that an entry takes beside its texts, and each of its fields.
const ENTRY_BYTES: usize = size_of::<Entry>();
const FIELD_BYTES: usize = size_of::<(&str, Value)>();
/// Keys of a line of JSON that are no fields, beside what the event is about.
const KEYS: [&str; 4] = ["time", "level", "node", "message"];

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When it was told: milliseconds since 1970, by the platform's clock.
    pub time_ms: u64,
    /// How important it is.
    pub level: Level,
    /// What it is about; `None` for an event that is not one of Peerage.
    pub category: Option<Category>,
    /// Who tells it, as `tracing` knows it.
    pub target: &'static str,
    /// The beginning of the id of the node that tells it, if it is one's.
    pub node: Option<String>,
    /// What it says.
    pub message: String,
    /// What it is about.
    pub fields: Vec<(&'static str, Value)>,
}

/// What a field says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text, the first [`LOG_VALUE_BYTES_MAX`] bytes: others may have written it.
    Text(String),
    /// A number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

impl Entry {
    /// Reads an event, told at this time.
    pub fn read(event: &Event<'_>, time_ms: u64) -> Self {
        let metadata = event.metadata();
        let mut entry = Self {
            time_ms,
            level: *metadata.level(),
            category: Category::of(metadata.target()),
            target: metadata.target(),
            node: None,
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut entry);
        entry
    }

    /// A line of JSON, without its end: `time` (RFC 3339), `level`, `category` (or `target`, if it is none
    /// of Peerage's), `node`, the fields by their names, `message`.
    pub fn to_json(&self) -> String {
        let mut line = Object::default();
        let about = match self.category {
            Some(category) => ("category", category.as_str()),
            None => ("target", self.target),
        };
        let time = self.date().map(|date| format!("{date}T{}Z", self.clock()));
        line.text("time", &time.unwrap_or_default());
        line.text("level", self.level.as_str());
        line.text(about.0, about.1);
        if let Some(node) = &self.node {
            line.text("node", node);
        }
        for (name, value) in &self.fields {
            let is_key = *name == about.0 || KEYS.contains(name);
            let taken = is_key.then(|| format!("{name}_"));
            let name = taken.as_deref().unwrap_or(name);
            match value {
                Value::Text(text) => line.text(name, text),
                value => line.plain(name, value),
            }
        }
        line.text("message", &self.message);
        line.finish()
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.fields.iter().map(|(_, value)| match value {
            Value::Text(text) => FIELD_BYTES + text.len(),
            Value::Number(_) | Value::Flag(_) => FIELD_BYTES,
        });
        let node = self.node.as_ref().map_or(0, String::len);
        ENTRY_BYTES + node + self.message.len() + texts.sum::<usize>()
    }

    fn date(&self) -> Option<time::Date> {
        let days = i32::try_from(self.time_ms / DAY_MS).ok()?;
        let first = time::Date::from_ordinal_date(1970, 1).ok()?;
        time::Date::from_julian_day(first.to_julian_day().checked_add(days)?).ok()
    }

    /// The time of the day, UTC.
    fn clock(&self) -> String {
        let ms = self.time_ms % DAY_MS;
        let (seconds, ms) = (ms / 1000, ms % 1000);
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        format!(
            "{:02}:{:02}:{seconds:02}.{ms:03}",
            minutes / 60,
            minutes % 60
        )
    }

    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("node", Value::Text(node)) => self.node = Some(node),
            ("message", Value::Text(message)) => self.message = message,
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Entry {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Bounded(String::new());
        // It fails where the text is cut.
        let _ = write!(text, "{value:?}");
        self.put(field, Value::Text(text.0));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = Bounded(String::new());
        // As above.
        let _ = text.write_str(value);
        self.put(field, Value::Text(text.0));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::Number(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record_f64(field, value as f64);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record_f64(field, value as f64);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Flag(value));
    }
}

/// A line for people: the time of the day (UTC), level, category, fields, and what it says. Nothing in it
/// ends the line or moves the cursor, whoever wrote it.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = self.category.map_or(self.target, Category::as_str);
        write!(f, "{} {} {about}", self.clock(), self.level)?;
        for (name, value) in &self.fields {
            write!(f, " {name}={value}")?;
        }
        f.write_char(' ')?;
        escaped(f, &self.message)
    }
}

/// As in a line: text that is not one plain word is in quotes.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |c: char| c.is_alphanumeric() || c.is_ascii_punctuation() && c != '"';
        match self {
            Self::Text(text) if !text.is_empty() && text.chars().all(is_plain) => f.write_str(text),
            Self::Text(text) => {
                f.write_char('"')?;
                escaped(f, text)?;
                f.write_char('"')
            }
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

fn escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| match c {
        '"' => f.write_str("\\\""),
        c if c.is_control() => write!(f, "{}", c.escape_default()),
        c => f.write_char(c),
    })
}

/// Text that ends where it would grow too long.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LOG_VALUE_BYTES_MAX - self.0.len();
        if text.len() <= room {
            self.0 += text;
            return Ok(());
        }
        self.0 += &text[..text.floor_char_boundary(room.saturating_sub('…'.len_utf8()))];
        // Where what was there is full already, the mark has no room.
        if self.0.len() + '…'.len_utf8() <= LOG_VALUE_BYTES_MAX {
            self.0.push('…');
        }
        Err(fmt::Error)
    }
}
