//! What can be wrong with a file, and how it is shown.

use core::fmt;

use crate::text::harmless;
use crate::{DEPTH_MAX, NAME_CHARS_MAX};

/// Where something stands. Both count from 1, and columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {problem}")]
pub struct TauError {
    /// The place of the first character that is wrong.
    pub at: Position,
    /// What is wrong there.
    pub problem: Problem,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Something else should stand here.
    #[error("expected {expected}, got {got}")]
    Unexpected {
        /// What may stand here.
        expected: String,
        /// What stands here.
        got: String,
    },
    /// Other languages have it, KAI's tutorial perhaps too; Tau's grammar does not.
    #[error("Tau's grammar has no {thing}: {instead}")]
    NotInTau {
        /// What it has not.
        thing: String,
        /// What to do.
        instead: &'static str,
    },
    /// Hostile, or made by a machine.
    #[error("expected at most {DEPTH_MAX} {what}, got more")]
    TooDeep {
        /// What is nested.
        what: &'static str,
    },
    /// Hostile, or made by a machine.
    #[error("expected a name of at most {NAME_CHARS_MAX} characters, got {0}")]
    LongName(usize),
    /// A type that is nowhere declared.
    #[error("expected a type that is built in or declared, got `{name}`{hint}")]
    UnknownType {
        /// The name as written.
        name: String,
        /// What may have been meant, as the end of a sentence; or nothing.
        hint: String,
    },
    /// A namespace that is nowhere opened.
    #[error("expected a namespace, got `{0}`, which none is called")]
    UnknownNamespace(String),
    /// The name, or what it becomes, is in use already.
    #[error("expected another name: {what} is taken by line {line}{why}")]
    Taken {
        /// The name, and for what.
        what: String,
        /// Where it is taken.
        line: usize,
        /// Why that clashes, as the end of a sentence; or nothing.
        why: &'static str,
    },
    /// A name that the generated code needs itself.
    #[error("expected another name: generated code uses `{0}` itself")]
    Reserved(String),
    /// A base of itself, or a record that contains itself.
    #[error("expected an end, got a circle: {path}{why}")]
    Circle {
        /// The names along it.
        path: String,
        /// What to do about it, as the end of a sentence; or nothing.
        why: &'static str,
    },
}

impl Problem {
    pub(crate) fn at(self, at: Position) -> TauError {
        TauError { at, problem: self }
    }
}

pub(crate) fn unexpected(
    at: Position,
    expected: impl Into<String>,
    got: impl Into<String>,
) -> TauError {
    Problem::Unexpected {
        expected: expected.into(),
        got: got.into(),
    }
    .at(at)
}

/// Longer lines are shown in part.
const SHOWN_CHARS_MAX: usize = 160;

impl TauError {
    /// The error as compilers show it: file, line and column, then the line with a caret below it.
    /// `source` is the text that was parsed.
    pub fn report(&self, file: &str, source: &str) -> String {
        let Position { line, column } = self.at;
        let source = source
            .strip_prefix(crate::lexer::BYTE_ORDER_MARK)
            .unwrap_or(source);
        let text = source.lines().nth(line - 1).unwrap_or_default();
        // Far to the right of a long line, what is before the place is cut.
        let skipped = column.saturating_sub(SHOWN_CHARS_MAX / 2 + 1);
        let skipped = if column <= SHOWN_CHARS_MAX {
            0
        } else {
            skipped
        };
        let shown: String = text.chars().skip(skipped).take(SHOWN_CHARS_MAX).collect();
        let shown = harmless(&shown);
        let before = shown.chars().take(column - 1 - skipped);
        let blank: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let margin = " ".repeat(line.to_string().len());
        format!(
            "{file}:{line}:{column}: {}\n {line} | {shown}\n {margin} | {blank}^",
            self.problem
        )
    }
}
