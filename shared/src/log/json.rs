//! As much of JSON (RFC 8259) as a line of a log needs.

use core::fmt::{Display, Write};

use super::Value;

/// An object that is being written.
#[derive(Default)]
pub(super) struct Object(String);

impl Object {
    /// One more text.
    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.quoted(text);
    }

    /// One more number, true or false. What JSON has no number for is null.
    pub(super) fn plain(&mut self, key: &str, value: &Value) {
        self.key(key);
        match value {
            Value::Number(number) if !number.is_finite() => self.push("null"),
            value => self.push(value),
        }
    }

    /// The whole.
    pub(super) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn key(&mut self, key: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.quoted(key);
        self.0.push(':');
    }

    fn quoted(&mut self, text: &str) {
        self.0.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                c if c.is_control() => self.push(format_args!("\\u{:04x}", u32::from(c))),
                c => self.0.push(c),
            }
        }
        self.0.push('"');
    }

    fn push(&mut self, what: impl Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{what}");
    }
}
