//! A line as it is typed, and what an alias makes of it.

use std::collections::BTreeMap;

use crate::error::{Code, Failure};
use crate::limits::COMMAND_BYTES_MAX;

/// A command with its arguments, and where it is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The command's name and arguments.
    pub command: String,
    /// The name or id after the `@`; `None` means here.
    pub target: Option<String>,
}

impl Line {
    /// Reads a line: `command arguments @target` or `@target command arguments`.
    ///
    /// # Errors
    /// `bad-message` if there is no command, or a target too many; `too-large` for a very long line.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        if text.len() > COMMAND_BYTES_MAX {
            return Err(Code::TooLarge.because(format!(
                "expected a line of at most {COMMAND_BYTES_MAX} bytes, got {}",
                text.len()
            )));
        }
        let text = text.trim();
        let (first, after) = split_word(text);
        let (before, last) = text.rsplit_once(char::is_whitespace).unwrap_or(("", text));
        let (command, target) = match (first.strip_prefix('@'), last.strip_prefix('@')) {
            (Some(_), Some(_)) if first.len() < text.len() => {
                return Err(Code::BadMessage.because("expected one @target, got two"));
            }
            (Some(target), _) => (after, Some(target)),
            (None, Some(target)) => (before.trim_end(), Some(target)),
            (None, None) => (text, None),
        };
        if target == Some("") {
            return Err(Code::BadMessage.because("expected a name after the @"));
        }
        if command.is_empty() {
            return Err(Code::BadMessage.because("expected a command, got an empty line"));
        }
        Ok(Self {
            command: command.to_owned(),
            target: target.map(str::to_owned),
        })
    }
}

impl Line {
    /// The line as this node itself runs it: a ping needs to know its target.
    pub(super) fn here(self) -> String {
        match self.target {
            Some(target) if split_word(&self.command).0 == "ping" => format!("ping {target}"),
            _ => self.command,
        }
    }
}

/// The first word, and the rest without the space between.
pub(super) fn split_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

/// Replaces the first word for as long as it is an alias. Arguments follow the alias's own.
pub(super) fn translate(
    aliases: &BTreeMap<String, String>,
    command: &str,
) -> Result<String, Failure> {
    let mut line = command.to_owned();
    let mut path: Vec<String> = Vec::new();
    loop {
        let (word, rest) = split_word(&line);
        let Some(meaning) = aliases.get(word) else {
            return Ok(line);
        };
        let cycle = path.iter().any(|seen| seen == word);
        path.push(word.to_owned());
        if cycle {
            let path = path.join(" → ");
            return Err(Code::Refused.because(format!("the alias leads back to itself: {path}")));
        }
        line = if rest.is_empty() {
            meaning.clone()
        } else {
            format!("{meaning} {rest}")
        };
        if line.len() > COMMAND_BYTES_MAX {
            return Err(Code::TooLarge.because("the aliases make the line too long"));
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn parsed(text: &str) -> (String, Option<String>) {
        let line = Line::parse(text).unwrap();
        (line.command, line.target)
    }

    #[test]
    fn the_target_stands_last_or_first() {
        assert_eq!(parsed("calc 1+2 @B"), ("calc 1+2".into(), Some("B".into())));
        assert_eq!(
            parsed("  @B   calc 1+2  "),
            ("calc 1+2".into(), Some("B".into()))
        );
        assert_eq!(parsed("calc 1+2"), ("calc 1+2".into(), None));
        assert_eq!(parsed("echo a@b  c"), ("echo a@b  c".into(), None));
        assert_eq!(parsed("echo @x y"), ("echo @x y".into(), None));
    }

    #[test]
    fn a_line_without_a_command_or_with_two_targets_is_refused() {
        for text in ["", "  ", "@B", "calc 1 @", "@", "@a calc 1 @b"] {
            assert_eq!(
                Line::parse(text).unwrap_err().code,
                Code::BadMessage,
                "{text}"
            );
        }
        let long = "x".repeat(COMMAND_BYTES_MAX + 1);
        assert_eq!(Line::parse(&long).unwrap_err().code, Code::TooLarge);
    }

    fn aliases(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, to)| ((*name).to_owned(), (*to).to_owned()))
            .collect()
    }

    #[test]
    fn aliases_are_followed_and_arguments_kept() {
        let aliases = aliases(&[("add", "calc 1+2"), ("more", "add"), ("say", "echo hello")]);
        assert_eq!(translate(&aliases, "add").unwrap(), "calc 1+2");
        assert_eq!(translate(&aliases, "more +3").unwrap(), "calc 1+2 +3");
        assert_eq!(
            translate(&aliases, "say world").unwrap(),
            "echo hello world"
        );
        assert_eq!(translate(&aliases, "other add").unwrap(), "other add");
    }

    #[test]
    fn a_cycle_is_refused_with_its_path() {
        let aliases = aliases(&[("a", "b x"), ("b", "c"), ("c", "a"), ("me", "me")]);
        assert!(
            translate(&aliases, "a")
                .unwrap_err()
                .message
                .contains("a → b → c → a")
        );
        assert!(
            translate(&aliases, "me")
                .unwrap_err()
                .message
                .contains("me → me")
        );
    }

    #[test]
    fn aliases_cannot_grow_a_line_without_end() {
        let big = "x ".repeat(COMMAND_BYTES_MAX / 2);
        let aliases = aliases(&[("a", &format!("b {big}")), ("b", &format!("c {big}"))]);
        assert_eq!(translate(&aliases, "a").unwrap_err().code, Code::TooLarge);
    }
}
