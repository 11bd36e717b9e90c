//! A line as it is typed: a command and its targets; and what an alias makes of it.

use std::collections::BTreeMap;

use crate::Time;
use crate::error::{Code, Failure};
use crate::limits::{COMMAND_BYTES_MAX, TARGETS_MAX};
use crate::service::command::deadline::parse_duration;
use crate::service::command::words::split_word;

/// A command with its arguments, and where it is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The command's name and arguments.
    pub command: String,
    /// Who is to run it.
    pub targets: Targets,
    /// After how long it is interrupted.
    pub timeout: Option<Time>,
    /// The lane in which it waits for its turn.
    pub lane: Option<String>,
}

/// Who runs a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// This node: no `@` is there.
    Here,
    /// Everyone else that this node knows of, relays included: `@*`.
    Everyone,
    /// These names or ids, each once: `@a` or `@a,b`.
    Named(Vec<String>),
}

impl Line {
    /// Reads a line: `command arguments @target` or `@target command arguments`, where the target is
    /// `@name`, `@a,b` or `@*`, and may end in `[timeout=2s]`, `[lane=valve]` or `[timeout=2s,lane=valve]`.
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
        let (command, target) = match (target_word(first), target_word(last)) {
            (Some(_), Some(_)) if first.len() < text.len() => {
                return Err(wrong(
                    "expected one @target, got two; a name that is an argument may go without the @",
                ));
            }
            (Some(target), _) => (after, Some(target)),
            (None, Some(target)) => (before.trim_end(), Some(target)),
            (None, None) => (text, None),
        };
        let (targets, options) = match target {
            Some(target) => read_target(target)?,
            None => (Targets::Here, TargetOptions::default()),
        };
        if command.is_empty() {
            return Err(wrong("expected a command, got an empty line"));
        }
        Ok(Self {
            command: command.to_owned(),
            targets,
            timeout: options.timeout,
            lane: options.lane,
        })
    }
}

/// What is said in brackets after a target.
#[derive(Default)]
struct TargetOptions {
    timeout: Option<Time>,
    lane: Option<String>,
}

/// What follows the `@` of a word that says where. One that holds a quote or a backslash is an argument.
pub(super) fn target_word(word: &str) -> Option<&str> {
    word.strip_prefix('@')
        .filter(|name| !name.contains(['"', '\'', '\\']))
}

/// Replaces the first word for as long as it is an alias. Arguments follow the alias's own. What follows
/// `system` is a command's own name.
pub(super) fn translate(
    aliases: &BTreeMap<String, String>,
    command: &str,
) -> Result<String, Failure> {
    let mut line = command.to_owned();
    let mut path: Vec<String> = Vec::new();
    loop {
        let (word, rest) = split_word(&line);
        if word == SYSTEM && !rest.is_empty() {
            return Ok(rest.to_owned());
        }
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

/// The word before a command that is to be no alias.
pub(super) const SYSTEM: &str = "system";

fn read_target(text: &str) -> Result<(Targets, TargetOptions), Failure> {
    let (names, options) = match text.split_once('[') {
        None => (text, TargetOptions::default()),
        Some((names, options)) => (names, read_options(options)?),
    };
    let targets = if names == "*" {
        Targets::Everyone
    } else {
        Targets::Named(read_names(names)?)
    };
    Ok((targets, options))
}

fn read_options(text: &str) -> Result<TargetOptions, Failure> {
    let expected = || {
        let message = format!("expected @NAME[timeout=2s,lane=NAME], got `[{text}` after the name");
        wrong(&message)
    };
    let mut options = TargetOptions::default();
    for option in text.strip_suffix(']').ok_or_else(expected)?.split(',') {
        match option.split_once('=').ok_or_else(expected)? {
            ("timeout", value) => options.timeout = Some(parse_duration(value)?),
            ("lane", name) if !name.is_empty() => options.lane = Some(name.to_owned()),
            _ => return Err(expected()),
        }
    }
    Ok(options)
}

fn read_names(text: &str) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for name in text.split(',') {
        match name {
            "" => return Err(wrong("expected a name after the @, and after each comma")),
            "*" => return Err(wrong("expected @* alone, or names")),
            _ if names.iter().any(|known| known == name) => {}
            _ => names.push(name.to_owned()),
        }
        if names.len() > TARGETS_MAX {
            let message = format!("expected at most {TARGETS_MAX} targets, got more");
            return Err(Code::TooLarge.because(message));
        }
    }
    Ok(names)
}

fn wrong(message: &str) -> Failure {
    Code::BadMessage.because(message)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn parsed(text: &str) -> (String, Targets) {
        let line = Line::parse(text).unwrap();
        (line.command, line.targets)
    }

    fn named(names: &[&str]) -> Targets {
        Targets::Named(names.iter().map(|&name| name.into()).collect())
    }

    #[test]
    fn the_target_stands_last_or_first() {
        for (text, command, targets) in [
            ("calc 1+2 @B", "calc 1+2", named(&["B"])),
            ("  @B   calc 1+2  ", "calc 1+2", named(&["B"])),
            ("calc 1+2", "calc 1+2", Targets::Here),
            ("echo a@b  c", "echo a@b  c", Targets::Here),
            ("echo @x y", "echo @x y", Targets::Here),
            ("echo 'to @B'", "echo 'to @B'", Targets::Here),
            (r"echo \@B", r"echo \@B", Targets::Here),
        ] {
            assert_eq!(parsed(text), (command.into(), targets), "{text}");
        }
    }

    #[test]
    fn targets_are_one_name_several_or_everyone() {
        assert_eq!(parsed("x @a,b,a").1, named(&["a", "b"]));
        assert_eq!(parsed("@* x").1, Targets::Everyone);
        for text in ["x @a,", "x @,a", "x @*,a", "x @a,*"] {
            assert_eq!(
                Line::parse(text).unwrap_err().code,
                Code::BadMessage,
                "{text}"
            );
        }
        let many: Vec<_> = (0..=TARGETS_MAX).map(|n| n.to_string()).collect();
        let line = Line::parse(&format!("x @{}", many.join(",")));
        assert_eq!(line.unwrap_err().code, Code::TooLarge);
    }

    #[test]
    fn a_target_may_state_a_timeout_and_a_lane() {
        let line = Line::parse("@a,b[timeout=50ms] calc 1").unwrap();
        assert_eq!(line.timeout, Some(Time::from_millis(50)));
        assert_eq!(line.targets, named(&["a", "b"]));
        let line = Line::parse("stop @a[lane=valve,timeout=1s]").unwrap();
        assert_eq!(line.lane.as_deref(), Some("valve"));
        assert_eq!(line.timeout, Some(Time::from_secs(1)));
        assert_eq!(Line::parse("calc 1 @a").unwrap().timeout, None);
        for (text, words) in [
            ("x @a[timeout=]", "such as 50ms"),
            ("x @a[timeout=2]", "got `2`"),
            ("x @a[timeout=-2s]", "got `-2s`"),
            ("x @a[group=b]", "expected @NAME[timeout=2s,lane=NAME]"),
            ("x @a[lane=]", "expected @NAME[timeout=2s,lane=NAME]"),
            ("x @a[timeout=2s", "expected @NAME[timeout=2s,lane=NAME]"),
            ("x @a[timeout=2000h]", "at most 24 h"),
        ] {
            let message = Line::parse(text).unwrap_err().message;
            assert!(message.contains(words), "{text}: {message}");
        }
    }

    #[test]
    fn a_line_without_a_command_or_with_two_targets_is_refused() {
        for text in ["", "  ", "@B", "@*", "calc 1 @", "@", "@a calc 1 @b"] {
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
    fn system_is_a_way_past_an_alias() {
        let aliases = aliases(&[("help", "system help"), ("status", "system status")]);
        assert_eq!(translate(&aliases, "help calc").unwrap(), "help calc");
        assert_eq!(translate(&aliases, "system  status").unwrap(), "status");
        assert_eq!(translate(&aliases, "system").unwrap(), "system");
    }

    /// KAI follows its aliases without end (its defect 17).
    #[test]
    fn an_alias_of_itself_is_refused_with_its_path() {
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
