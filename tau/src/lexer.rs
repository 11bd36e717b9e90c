//! Characters to tokens. Comments vanish, but for those that document what comes next.

use crate::NAME_CHARS_MAX;
use crate::error::{Position, Problem, TauError, unexpected};
use crate::text::{excerpt, harmless};

/// What some editors put before the first character.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    Number,
    Text,
    Symbol,
    End,
}

#[derive(Clone, Debug)]
pub(crate) struct Token<'s> {
    pub(crate) kind: Kind,
    pub(crate) text: &'s str,
    pub(crate) at: Position,
    /// The documentation right before it, line by line.
    pub(crate) docs: Vec<String>,
}

/// All tokens; the last is [`Kind::End`].
pub(crate) fn tokens(source: &str) -> Result<Vec<Token<'_>>, TauError> {
    let mut lexer = Lexer {
        rest: source.strip_prefix(BYTE_ORDER_MARK).unwrap_or(source),
        at: Position { line: 1, column: 1 },
        docs: Vec::new(),
    };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.token()?;
        let end = token.kind == Kind::End;
        tokens.push(token);
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'s> {
    rest: &'s str,
    at: Position,
    docs: Vec<String>,
}

impl<'s> Lexer<'s> {
    fn token(&mut self) -> Result<Token<'s>, TauError> {
        self.skip()?;
        let at = self.at;
        let (kind, length) = self.measure()?;
        let text = self.take(length);
        if kind == Kind::Word && length > NAME_CHARS_MAX {
            return Err(Problem::LongName(length).at(at));
        }
        if kind == Kind::Number && !is_number(text) {
            return Err(unexpected(at, "a number", format!("`{}`", excerpt(text))));
        }
        let docs = std::mem::take(&mut self.docs);
        Ok(Token {
            kind,
            text,
            at,
            docs,
        })
    }

    /// What the next token is, and how many bytes it has.
    fn measure(&self) -> Result<(Kind, usize), TauError> {
        let Some(first) = self.rest.chars().next() else {
            return Ok((Kind::End, 0));
        };
        match first {
            'a'..='z' | 'A'..='Z' | '_' => Ok((Kind::Word, self.run(|_, c| is_word(c)))),
            '0'..='9' => Ok((Kind::Number, self.run(is_of_number))),
            '"' => Ok((Kind::Text, self.text_length()?)),
            ':' if self.rest.starts_with("::") => Ok((Kind::Symbol, 2)),
            c if c.is_ascii_punctuation() => Ok((Kind::Symbol, 1)),
            c => {
                let expected = "letters of ASCII, digits, texts in quotes and punctuation";
                let got = format!("`{}`", harmless(&c.to_string()));
                Err(unexpected(self.at, expected, got))
            }
        }
    }

    /// The length of the longest start whose every character, seen with the one before, belongs.
    fn run(&self, belongs: impl Fn(char, char) -> bool) -> usize {
        let mut previous = ' ';
        let end = self.rest.find(|c| {
            let inside = belongs(previous, c);
            previous = c;
            !inside
        });
        end.unwrap_or(self.rest.len())
    }

    /// The length of a text in quotes; a backslash keeps a quote from ending it.
    fn text_length(&self) -> Result<usize, TauError> {
        let mut escaped = false;
        for (index, c) in self.rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                '"' if !escaped => return Ok(index + 1),
                _ => escaped = c == '\\' && !escaped,
            }
        }
        let got = "a text that its line does not end";
        Err(unexpected(self.at, "a closing `\"`", got))
    }

    /// Leaves out spaces and comments, and keeps what documents.
    fn skip(&mut self) -> Result<(), TauError> {
        loop {
            let blank = self.run(|_, c| c.is_ascii_whitespace());
            self.take(blank);
            if self.rest.starts_with("//") {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                let comment = self.take(end);
                self.docs.extend(documenting_line(comment));
            } else if self.rest.starts_with("/*") {
                let Some(end) = self.rest[2..].find("*/") else {
                    let got = "a comment that goes on to the end of the file";
                    return Err(unexpected(self.at, "`*/`", got));
                };
                let comment = self.take(end + 4);
                self.docs.extend(documenting_block(comment));
            } else {
                return Ok(());
            }
        }
    }

    fn take(&mut self, length: usize) -> &'s str {
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        for c in text.chars() {
            if c == '\n' {
                self.at.line += 1;
                self.at.column = 1;
            } else {
                self.at.column += 1;
            }
        }
        text
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_of_number(previous: char, c: char) -> bool {
    is_word(c) || c == '.' || (matches!(c, '+' | '-') && matches!(previous, 'e' | 'E'))
}

fn is_number(text: &str) -> bool {
    match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).is_ok(),
        None => text
            .strip_suffix('f')
            .unwrap_or(text)
            .parse::<f64>()
            .is_ok(),
    }
}

/// `///` documents what follows; `////` draws a line, and `///<` speaks of what was before.
fn documenting_line(comment: &str) -> Option<String> {
    let text = comment.strip_prefix("///")?;
    let text = (!text.starts_with(['/', '<'])).then_some(text)?;
    let text = text.strip_prefix(' ').unwrap_or(text);
    Some(harmless(text.trim_end()))
}

/// `/**` documents; `/***` draws a line. Stars at the start of lines are ornament.
fn documenting_block(comment: &str) -> Vec<String> {
    let inside = comment
        .strip_prefix("/**")
        .and_then(|text| text.strip_suffix("*/"));
    let Some(inside) = inside.filter(|text| !text.starts_with('*')) else {
        return Vec::new();
    };
    let lines = inside.lines().map(|line| {
        let line = line.trim();
        let line = line.strip_prefix('*').unwrap_or(line);
        harmless(line.strip_prefix(' ').unwrap_or(line))
    });
    let mut lines: Vec<String> = lines.skip_while(String::is_empty).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}
