//! Topics and filters. A topic is levels between slashes; a filter says which topics are meant:
//!
//! ```text
//! a/b      this one
//! a/+/c    any one level in place of `+`
//! a/#      `a` and everything below (MQTT)
//! a/*      everything that begins with `a/` (KOS)
//! ```

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use crate::error::{Code, Failure};
use crate::limits::{TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX};

/// Which topics are meant. Clones are cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Filter(Arc<str>);

/// What a filter's level says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level<'f> {
    /// This word.
    Word(&'f str),
    /// Any one word.
    Any,
    /// All that follows, or nothing.
    Rest,
    /// All that follows, at least one level.
    Below,
}

impl Filter {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a topic is meant.
    pub fn matches(&self, topic: &str) -> bool {
        let mut words = topic.split('/');
        for level in self.levels() {
            match (level, words.next()) {
                (Level::Rest, _) | (Level::Below, Some(_)) => return true,
                (Level::Any, Some(_)) => {}
                (Level::Word(expected), Some(word)) if expected == word => {}
                _ => return false,
            }
        }
        words.next().is_none()
    }

    /// Whether there can be a topic that both mean.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.levels(), other.levels());
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some(Level::Rest), _) | (_, Some(Level::Rest)) => return true,
                (None, _) | (_, None) => return false,
                (Some(Level::Below), _) | (_, Some(Level::Below)) => return true,
                (Some(Level::Word(a)), Some(Level::Word(b))) if a != b => return false,
                _ => {}
            }
        }
    }

    /// Whether this means every topic that the other does.
    pub fn covers(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.levels(), other.levels());
        // A topic has one level at least.
        let mut there = if other.as_str() == "#" {
            Some(Level::Below)
        } else {
            theirs.next()
        };
        loop {
            match (ours.next(), there) {
                (Some(Level::Rest), _) | (None, None) => return true,
                (Some(Level::Any), Some(Level::Below)) => return ours.next() == Some(Level::Rest),
                (Some(Level::Below), theirs) => {
                    return !matches!(theirs, None | Some(Level::Rest));
                }
                (Some(Level::Any), Some(Level::Any | Level::Word(_))) => {}
                (Some(Level::Word(a)), Some(Level::Word(b))) if a == b => {}
                _ => return false,
            }
            there = theirs.next();
        }
    }

    /// The topic, if it means one only.
    pub(super) fn as_topic(&self) -> Option<&str> {
        let is_word = |level| matches!(level, Level::Word(_));
        self.levels().all(is_word).then_some(&*self.0)
    }

    /// What all topics that are meant begin with.
    pub(super) fn prefix(&self) -> &str {
        let wild = self.0.find(['+', '#', '*']).unwrap_or(self.0.len());
        // `a/#` means `a` too.
        self.0[..wild].trim_end_matches('/')
    }

    pub(super) fn levels(&self) -> impl Iterator<Item = Level<'_>> {
        self.0.split('/').map(|level| match level {
            "+" => Level::Any,
            "#" => Level::Rest,
            "*" => Level::Below,
            word => Level::Word(word),
        })
    }
}

impl FromStr for Filter {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        check_size(text, "a filter")?;
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            let is_last = levels.peek().is_none();
            match level {
                "+" => {}
                "#" if is_last => {}
                "*" if is_last && level.len() < text.len() => {}
                word if !word.contains(['+', '#', '*']) => {}
                _ => {
                    let message = format!(
                        "expected `+` as a level of its own, `#` or `/*` at the end, got `{text}`"
                    );
                    return Err(Code::BadMessage.because(message));
                }
            }
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether something may be published under this topic.
///
/// # Errors
/// `bad-message` for one that is empty or has wildcards, `too-large` for one that is too long.
pub(super) fn check_topic(topic: &str) -> Result<(), Failure> {
    check_size(topic, "a topic")?;
    if topic.contains(['+', '#', '*']) {
        let message = format!("expected a topic without `+`, `#` and `*`, got `{topic}`");
        return Err(Code::BadMessage.because(message));
    }
    Ok(())
}

fn check_size(text: &str, what: &str) -> Result<(), Failure> {
    if text.is_empty() {
        return Err(Code::BadMessage.because(format!("expected {what}, got nothing")));
    }
    let levels = text.split('/').count();
    if text.len() > TOPIC_BYTES_MAX || levels > TOPIC_LEVELS_MAX {
        let message = format!(
            "expected {what} of at most {TOPIC_BYTES_MAX} bytes and {TOPIC_LEVELS_MAX} levels, got {} and {levels}",
            text.len()
        );
        return Err(Code::TooLarge.because(message));
    }
    if text.chars().any(char::is_control) {
        let message = format!("expected {what} without control characters");
        return Err(Code::BadMessage.because(message));
    }
    Ok(())
}
