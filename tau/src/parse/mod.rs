//! Tokens to a file as it is written. Descends into namespaces and types, to a limit.

mod foreign;
mod items;
mod members;
mod types;

use crate::error::{TauError, unexpected};
use crate::lexer::{Kind, Token, tokens};
use crate::syntax::{Item, Name};
use crate::text::excerpt;

const KEYWORDS: [&str; 15] = [
    "Agent",
    "Proxy",
    "async",
    "class",
    "const",
    "enum",
    "event",
    "interface",
    "namespace",
    "private",
    "protected",
    "public",
    "static",
    "struct",
    "sync",
];

pub(crate) fn parse(source: &str) -> Result<Vec<Item>, TauError> {
    let tokens = tokens(source)?;
    Parser { tokens, next: 0 }.file()
}

/// Stands before a token. The last is the end, which is never passed.
struct Parser<'s> {
    tokens: Vec<Token<'s>>,
    next: usize,
}

impl<'s> Parser<'s> {
    fn peek(&self) -> &Token<'s> {
        &self.tokens[self.next]
    }

    fn advance(&mut self) -> Token<'s> {
        let token = self.peek().clone();
        if token.kind != Kind::End {
            self.next += 1;
        }
        token
    }

    /// Whether this keyword or sign is next.
    fn is_next(&self, text: &str) -> bool {
        let token = self.peek();
        matches!(token.kind, Kind::Word | Kind::Symbol) && token.text == text
    }

    /// Takes this keyword or sign, if it is next.
    fn took(&mut self, text: &str) -> bool {
        let is_next = self.is_next(text);
        if is_next {
            self.advance();
        }
        is_next
    }

    fn expect(&mut self, text: &str) -> Result<(), TauError> {
        if self.took(text) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("`{text}`")))
        }
    }

    fn name(&mut self, what: &str) -> Result<Name, TauError> {
        let token = self.peek();
        if token.kind != Kind::Word || KEYWORDS.contains(&token.text) {
            return Err(self.unexpected(what));
        }
        let token = self.advance();
        if !crate::names::can_be_spelled(token.text) {
            let got = format!("`{}`", token.text);
            return Err(unexpected(
                token.at,
                "a name that begins with a letter",
                got,
            ));
        }
        Ok(Name {
            text: token.text.to_owned(),
            at: token.at,
        })
    }

    /// Says what is next instead. What other languages have there gets an explanation.
    fn unexpected(&self, expected: &str) -> TauError {
        let token = self.peek();
        if let Some(problem) = foreign::explanation(token) {
            return problem.at(token.at);
        }
        let got = match token.kind {
            Kind::End => "the end of the file".to_owned(),
            Kind::Word if KEYWORDS.contains(&token.text) => format!("the keyword `{}`", token.text),
            Kind::Text => format!("the text {}", excerpt(token.text)),
            Kind::Number => format!("the number {}", excerpt(token.text)),
            Kind::Word | Kind::Symbol => format!("`{}`", token.text),
        };
        unexpected(token.at, expected, got)
    }
}
