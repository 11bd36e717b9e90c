//! What a command is called and takes: for help, for completion, and to read its arguments by.

use core::fmt::Write;

use minicbor::{Decode, Encode};

use crate::error::{Code, Failure};
use crate::service::command::param::{Arg, Param, ParamKind};
use crate::service::command::words::next_word;

/// A command, as others know it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Signature {
    /// The word that it begins with.
    #[n(0)]
    pub name: String,
    /// What it does, in a line.
    #[n(1)]
    pub help: String,
    /// What follows its name.
    #[n(2)]
    pub params: Vec<Param>,
}

impl Signature {
    /// Whether a line can be written that this can read.
    ///
    /// # Errors
    /// `bad-message`: a name that is no word, or parameters after one that leaves nothing for them.
    pub fn check(&self) -> Result<(), Failure> {
        let name = &self.name;
        let is_word = matches!(next_word(name), Ok(Some((word, ""))) if word == *name);
        if !is_word || name.starts_with('@') {
            let message = format!("expected one word as a command's name, got `{name}`");
            return Err(Code::BadMessage.because(message));
        }
        for pair in self.params.windows(2) {
            let [before, after] = pair else { continue };
            if before.rest || before.kind == ParamKind::Line || before.optional && !after.optional {
                let message =
                    format!("{name}: expected nothing required after {before}, got {after}");
                return Err(Code::BadMessage.because(message));
            }
        }
        Ok(())
    }

    /// How it is called: its name and its parameters.
    pub fn usage(&self) -> String {
        let mut usage = self.name.clone();
        for param in &self.params {
            // Writing to a string cannot fail.
            let _ = write!(usage, " {param}");
        }
        usage
    }

    /// All that is to be said of it.
    pub fn in_full(&self) -> String {
        let mut text = format!("usage: {}\n{}", self.usage(), self.help);
        let width = self.params.iter().map(|param| param.name.chars().count());
        let width = width.max().unwrap_or(0);
        for Param {
            name, kind, help, ..
        } in &self.params
        {
            let _ = write!(text, "\n  {name:width$}  {}", kind.in_words());
            if !help.is_empty() {
                let _ = write!(text, ": {help}");
            }
        }
        text
    }

    /// Reads the arguments, a list for each parameter.
    pub(super) fn read(&self, text: &str) -> Result<Vec<Vec<Arg>>, String> {
        let told = |message: String| format!("{}: {message}\nusage: {}", self.name, self.usage());
        self.read_all(text).map_err(told)
    }

    fn read_all(&self, mut text: &str) -> Result<Vec<Vec<Arg>>, String> {
        let mut read = Vec::with_capacity(self.params.len());
        for param in &self.params {
            let mut args = Vec::new();
            while args.is_empty() || param.rest {
                let Some((word, after)) = param.next_word(text)? else {
                    break;
                };
                args.push(param.read(&word)?);
                text = after;
            }
            if args.is_empty() && !param.optional {
                return Err(format!("expected {}, got nothing", param.in_words()));
            }
            read.push(args);
        }
        match text.trim() {
            "" => Ok(read),
            more => Err(format!("expected nothing more, got `{more}`")),
        }
    }
}

impl Param {
    fn next_word<'t>(&self, text: &'t str) -> Result<Option<(String, &'t str)>, String> {
        if self.kind == ParamKind::Line {
            let text = text.trim();
            return Ok((!text.is_empty()).then(|| (text.to_owned(), "")));
        }
        next_word(text).map_err(|unfinished| format!("{unfinished}: `{}`", text.trim()))
    }

    fn read(&self, word: &str) -> Result<Arg, String> {
        let arg = self.kind.read(word);
        arg.ok_or_else(|| format!("expected {}, got `{word}`", self.in_words()))
    }

    fn in_words(&self) -> String {
        format!("{}, {}", self.name, self.kind.in_words())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::service::command::param::{self, Params};

    fn signature(params: impl Params) -> Signature {
        Signature {
            name: "pour".into(),
            help: "fills a glass".into(),
            params: params.list(),
        }
    }

    fn pour() -> Signature {
        signature((
            param::text("DRINK", "which one"),
            param::number("ML", "how much"),
            param::integer("TIMES", "").optional(),
            param::boolean("ICE", "").optional(),
        ))
    }

    #[test]
    fn words_become_what_the_parameters_say() {
        let text = |text: &str| vec![Arg::Text(text.into())];
        assert_eq!(
            pour().read("'sparkling water' 2.5 -3 true").unwrap(),
            [
                text("sparkling water"),
                vec![Arg::Number(2.5)],
                vec![Arg::Integer(-3)],
                vec![Arg::Boolean(true)]
            ]
        );
        assert_eq!(
            pour().read("tea 1").unwrap(),
            [text("tea"), vec![Arg::Number(1.0)], vec![], vec![]]
        );
        let rest = signature(param::node("NODE", "").rest());
        assert_eq!(
            rest.read("@a b").unwrap(),
            [vec![Arg::Text("a".into()), Arg::Text("b".into())]]
        );
        let line = signature((param::text("A", ""), param::line("B", "")));
        assert_eq!(
            line.read(r#" x  "y  z "#).unwrap(),
            [text("x"), text("\"y  z")]
        );
    }

    #[test]
    fn what_is_wrong_or_missing_is_told_with_the_usage() {
        for (line, words) in [
            ("", "pour: expected DRINK, a word, got nothing"),
            ("tea", "expected ML, a number, got nothing"),
            ("tea much", "expected ML, a number, got `much`"),
            ("tea NaN", "expected ML, a number, got `NaN`"),
            ("tea 1 1.5", "expected TIMES, a whole number, got `1.5`"),
            ("tea 1 1 yes", "expected ICE, true or false, got `yes`"),
            ("tea 1 1 true x y", "expected nothing more, got `x y`"),
            ("'tea 1", "a quote ' is not closed: `'tea 1`"),
        ] {
            let error = pour().read(line).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
            assert!(
                error.ends_with("usage: pour DRINK ML [TIMES] [ICE]"),
                "{error}"
            );
        }
        let rest = signature(param::text("WORD", "").rest());
        assert!(rest.read("").unwrap_err().contains("usage: pour WORD…"));
        let any = signature(param::text("WORD", "").optional().rest());
        assert_eq!(any.read("").unwrap(), [vec![]]);
    }

    #[test]
    fn a_signature_that_no_line_fits_is_refused() {
        let (a, b) = (param::text("A", "").optional(), param::text("B", ""));
        let bad = [
            signature((a, b)),
            signature((param::text("A", "").rest(), param::text("B", "").optional())),
            signature((param::line("A", ""), param::text("B", ""))),
        ];
        for signature in bad {
            assert!(signature.check().is_err(), "{}", signature.usage());
        }
        assert_eq!(pour().check(), Ok(()));
        for name in ["", "a b", "@a", "'a'", " a"] {
            let named = Signature {
                name: name.into(),
                ..pour()
            };
            assert_eq!(named.check().unwrap_err().code, Code::BadMessage, "{name}");
        }
    }

    #[test]
    fn help_tells_each_parameter() {
        let text = pour().in_full();
        assert!(text.starts_with("usage: pour DRINK ML [TIMES] [ICE]\nfills a glass\n"));
        assert!(text.contains("\n  ML     a number: how much\n"), "{text}");
    }
}
