//! What is said at `/events`: lines `name:value`, an empty line, and a body. Only the first empty line ends the head, so
//! a body may have as many as it likes; a value has none, so nobody's value is taken for another header.
//!
//! ```text
//! type:kos.broker.send
//! topic:/cups/left
//!
//! {"ice":true}
//! ```
//!
//! An object in JSON means the same: its texts, numbers and booleans are headers, its `body` is the body, and `topics`
//! are one.

use std::fmt;

use peerage::Failure;
use peerage::error::Code;
use peerage::limits::{EVENTS_HEAD_BYTES_MAX, EVENTS_HEADERS_MAX};
use serde_json::{Map, Value};

/// Something that was said, or is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    headers: Vec<(String, String)>,
    /// What follows the head.
    pub(super) body: String,
}

/// What is no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("expected text, got {0} bytes that are none")]
    Binary(usize),
    #[error("expected an empty line after the headers")]
    NoBlankLine,
    #[error("expected `name:value`, got `{0}`")]
    NoColon(String),
    #[error("expected a header's name, got `{0}`")]
    Name(String),
    #[error("expected a value without control characters for `{0}`")]
    Value(String),
    #[error("expected `{0}` once")]
    Twice(String),
    #[error("expected at most {EVENTS_HEADERS_MAX} headers of {EVENTS_HEAD_BYTES_MAX} bytes")]
    TooLarge,
    #[error("expected a header `type`")]
    NoType,
    #[error("expected an object of JSON: {0}")]
    Json(String),
}

/// Words of the dialect: no header of HTTP goes by one of these.
const WORDS: [&str; 15] = [
    "alias",
    "content-encoding",
    "content-length",
    "dst-addr",
    "method",
    "ordered",
    "request-id",
    "response-id",
    "src-addr",
    "status",
    "subscription",
    "topic",
    "tracker",
    "type",
    "url",
];

impl Frame {
    /// A frame of a type.
    pub(super) fn new(kind: &'static str) -> Self {
        Self {
            headers: vec![(String::from("type"), kind.to_owned())],
            body: String::new(),
        }
    }

    /// The same, with a header. A value that is empty is none.
    ///
    /// # Errors
    /// What cannot be a header, such as a value with a line feed.
    pub(super) fn with(mut self, name: &str, value: &str) -> Result<Self, FrameError> {
        self.add(name, value)?;
        Ok(self)
    }

    /// The same, with what follows the head.
    pub(super) fn with_body(self, body: impl Into<String>) -> Self {
        let body = body.into();
        Self { body, ..self }
    }

    /// The same, with headers of HTTP that are no words of the dialect. A value that is no text in UTF-8 is left out.
    pub(super) fn with_http(mut self, headers: &http::HeaderMap) -> Self {
        for name in headers.keys() {
            let values = headers.get_all(name).iter();
            let values = values.filter_map(|value| str::from_utf8(value.as_bytes()).ok());
            let values: Vec<_> = values.collect();
            if !is_word(name.as_str()) {
                // One that is no header here, too long or one too many, is left out.
                let _ = self.add(name.as_str(), &values.join(", "));
            }
        }
        self
    }

    /// What it is.
    pub(super) fn kind(&self) -> &str {
        self.get("type").unwrap_or_default()
    }

    /// A header; case counts.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let named = |(known, _): &&(String, String)| known == name;
        let found = self.headers.iter().find(named);
        found.map(|(_, value)| value.as_str())
    }

    /// Its headers of HTTP: those that are no words of the dialect.
    ///
    /// # Errors
    /// What is no header of HTTP.
    pub(super) fn http_headers(&self) -> Result<http::HeaderMap, FrameError> {
        let mut headers = http::HeaderMap::with_capacity(self.headers.len());
        for (name, value) in self.headers.iter().filter(|(name, _)| !is_word(name)) {
            let wrong = || FrameError::Name(excerpt(name));
            let known: http::HeaderName = name.parse().map_err(|_| wrong())?;
            let value = value
                .parse()
                .map_err(|_| FrameError::Value(excerpt(name)))?;
            // Clients say their own beside the library's, in another case: the first is what was meant.
            headers.entry(known).or_insert(value);
        }
        Ok(headers)
    }

    /// Reads what came.
    ///
    /// # Errors
    /// What is wrong in it.
    pub(super) fn parse(text: &str) -> Result<Self, FrameError> {
        let frame = match text.trim_start().starts_with('{') {
            true => Self::parse_json(text)?,
            false => Self::parse_lines(text)?,
        };
        frame.get("type").ok_or(FrameError::NoType)?;
        Ok(frame)
    }

    fn parse_lines(text: &str) -> Result<Self, FrameError> {
        let (head, body) = text.split_once("\n\n").ok_or(FrameError::NoBlankLine)?;
        if head.len() > EVENTS_HEAD_BYTES_MAX {
            return Err(FrameError::TooLarge);
        }
        let mut frame = Self::default();
        for line in head.split('\n') {
            let colon = || FrameError::NoColon(excerpt(line));
            let (name, value) = line.split_once(':').ok_or_else(colon)?;
            frame.add(name, value)?;
        }
        Ok(frame.with_body(body))
    }

    fn parse_json(text: &str) -> Result<Self, FrameError> {
        let object: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| FrameError::Json(error.to_string()))?;
        let mut frame = Self::default();
        for (name, value) in object {
            match (&*name, value) {
                (_, Value::Null) => {}
                ("body", Value::String(body)) => frame.body = body,
                ("body" | "topics", body) => frame.body = body.to_string(),
                (_, Value::String(value)) => frame.add(&name, &value)?,
                (_, value @ (Value::Bool(_) | Value::Number(_))) => {
                    frame.add(&name, &value.to_string())?;
                }
                (_, Value::Array(_) | Value::Object(_)) => {
                    return Err(FrameError::Value(excerpt(&name)));
                }
            }
        }
        Ok(frame)
    }

    fn add(&mut self, name: &str, value: &str) -> Result<(), FrameError> {
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || !name.bytes().all(is_of_name) {
            return Err(FrameError::Name(excerpt(name)));
        }
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(FrameError::Value(excerpt(name)));
        }
        if value.is_empty() {
            return Ok(());
        }
        if self.get(name).is_some() {
            return Err(FrameError::Twice(excerpt(name)));
        }
        let bytes = |(name, value): &(String, String)| name.len() + value.len() + 2;
        let before: usize = self.headers.iter().map(bytes).sum();
        let is_large = before + name.len() + value.len() + 2 > EVENTS_HEAD_BYTES_MAX;
        if is_large || self.headers.len() >= EVENTS_HEADERS_MAX {
            return Err(FrameError::TooLarge);
        }
        self.headers.push((name.to_owned(), value.to_owned()));
        Ok(())
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.headers {
            writeln!(f, "{name}:{value}")?;
        }
        write!(f, "\n{}", self.body)
    }
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        let code = match error {
            FrameError::TooLarge => Code::TooLarge,
            _ => Code::BadMessage,
        };
        code.because(error.to_string())
    }
}

fn is_word(name: &str) -> bool {
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// A token of HTTP (RFC 9110, 5.6.2).
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What is told of what was wrong.
fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    text.escape_debug().take(CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{RngCore, SeedableRng};

    use super::*;

    fn read(text: &str) -> Frame {
        Frame::parse(text).unwrap()
    }

    fn refused(text: &str) -> FrameError {
        Frame::parse(text).unwrap_err()
    }

    #[test]
    fn a_body_keeps_its_empty_lines_and_blanks() {
        let frame = read("type: x \nurl:/a:b?c\n\n line1\n\nline2\n\n");
        assert_eq!((frame.kind(), frame.get("url")), ("x", Some("/a:b?c")));
        assert_eq!(frame.body, " line1\n\nline2\n\n");
        assert_eq!(read(&frame.to_string()), frame);
        assert_eq!(read("type:x\n\n").body, "");
    }

    #[test]
    fn json_means_the_same() {
        let topics = read(r#"{"type":"kos.broker.subscribe","topics":["/a","/b/*"]}"#);
        let lines = read("type:kos.broker.subscribe\n\n[\"/a\",\"/b/*\"]");
        assert_eq!(topics, lines);
        let object = r#" {"type":"x","ordered":true,"n":5,"none":null,"body":{"a":1}}"#;
        assert_eq!(
            read(object),
            read("type:x\nordered:true\nn:5\n\n{\"a\":1}").sorted_as(object)
        );
        assert_eq!(read(r#"{"type":"x","body":"a\n\nb"}"#).body, "a\n\nb");
    }

    impl Frame {
        /// An object of JSON has no order.
        fn sorted_as(mut self, json: &str) -> Self {
            let order: Vec<_> = read(json)
                .headers
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            self.headers
                .sort_by_key(|(name, _)| order.iter().position(|other| other == name));
            self
        }
    }

    #[test]
    fn headers_of_http_keep_any_text() {
        let frame = read("type:x\ncontent-type:text/plain\nx-name: Café Ɛ\n\n");
        let headers = frame.http_headers().unwrap();
        let passed_on = Frame::new("y").with_http(&headers);
        assert_eq!(passed_on.get("x-name"), Some("Café Ɛ"));
        assert_eq!(passed_on.http_headers(), Ok(headers));
    }

    #[test]
    fn what_is_no_frame_is_told_so() {
        assert_eq!(refused("type:x\n"), FrameError::NoBlankLine);
        assert_eq!(refused("type:x\r\n\r\nbody"), FrameError::NoBlankLine);
        assert_eq!(refused("type\n\n"), FrameError::NoColon("type".into()));
        assert_eq!(refused("\n\nbody"), FrameError::NoColon(String::new()));
        assert_eq!(refused("a:b\n\n"), FrameError::NoType);
        assert_eq!(refused("type:\n\n"), FrameError::NoType);
        assert_eq!(refused("type:x\n:y\n\n"), FrameError::Name(String::new()));
        assert_eq!(refused("type:x\na b:y\n\n"), FrameError::Name("a b".into()));
        assert_eq!(refused("type:x\na:y\0z\n\n"), FrameError::Value("a".into()));
        assert_eq!(
            refused("type:x\ntype:y\n\n"),
            FrameError::Twice("type".into())
        );
        let long = format!("type:x\na:{}\n\n", "y".repeat(EVENTS_HEAD_BYTES_MAX));
        assert_eq!(refused(&long), FrameError::TooLarge);
        let many: String = (0..=EVENTS_HEADERS_MAX)
            .map(|n| format!("h{n}:x\n"))
            .collect();
        assert_eq!(refused(&format!("type:x\n{many}\n")), FrameError::TooLarge);
        for json in [
            "{",
            "{}",
            r#"{"type":["x"]}"#,
            r#"{"type":"x\ndst-addr:y"}"#,
        ] {
            assert!(Frame::parse(json).is_err(), "{json}");
        }
    }

    #[test]
    fn no_value_becomes_another_header() {
        let topic = "/a\ndst-addr:main:relay:7";
        let refused = Frame::new("x").with("topic", topic).unwrap_err();
        assert_eq!(refused, FrameError::Value("topic".into()));
        assert!(Frame::new("x").with("a\nb", "c").is_err());
        assert!(Frame::new("x").with("a:b", "c").is_err());
        assert!(Frame::new("x").with("type", "y").is_err());
    }

    #[test]
    fn headers_of_http_say_nothing_in_the_dialects_own_words() {
        let mut headers = http::HeaderMap::new();
        for (name, value) in [
            ("subscription", "/a"),
            ("dst-addr", "x"),
            ("x-a", "1"),
            ("x-a", "2"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        let frame = Frame::new("x").with_http(&headers);
        assert_eq!(frame, Frame::new("x").with("x-a", "1, 2").unwrap());
        let back = read("type:x\nContent-Type:a/b\ncontent-type:c/d\nstatus:200\n\n");
        let back = back.http_headers().unwrap();
        assert_eq!(
            (back.len(), &back["content-type"]),
            (1, &"a/b".parse().unwrap())
        );
    }

    #[test]
    fn any_text_is_read_or_refused_and_what_is_read_comes_back_the_same() {
        const PARTS: [&str; 14] = [
            "type", "topic", ":", "\n", "\n\n", "x", "{", "}", "\"", "\0", "ä", "body", ",", " ",
        ];
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut read = 0;
        for _ in 0..50_000 {
            let begins = ["type:x\n", "{\"type\":\"x\",", ""][random.next_u32() as usize % 3];
            let count = random.next_u32() as usize % 12;
            let parts = (0..count).map(|_| PARTS[random.next_u32() as usize % PARTS.len()]);
            let text: String = [begins].into_iter().chain(parts).collect();
            if let Ok(frame) = Frame::parse(&text) {
                read += 1;
                assert_eq!(Frame::parse(&frame.to_string()), Ok(frame), "{text:?}");
            }
        }
        assert!(read > 1000, "{read}");
    }
}
