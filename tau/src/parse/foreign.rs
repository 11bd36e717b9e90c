//! What KAI's tutorial and other languages have and Tau's grammar has not: each is told what to do
//! instead.

use crate::error::{Problem, TauError};
use crate::lexer::Token;
use crate::parse::Parser;

/// The words and signs that cannot stand anywhere in Tau, so that one in the way explains itself.
const INSTEAD: [(&str, &str); 18] = [
    (
        "service",
        "write an `interface`; what implements it gets its name at the node",
    ),
    ("exception", FAILURES),
    ("throws", FAILURES),
    ("raises", FAILURES),
    ("implements", "write `interface Name : Base`"),
    ("extends", "write `interface Name : Base`"),
    (
        "requires",
        "agents find each other by name when they need to",
    ),
    ("template", "write `Object` for values of any type"),
    ("typedef", "use the type's own name"),
    (
        "using",
        "write the namespace before the name, or `namespace Short = Long;`",
    ),
    ("import", FILES),
    ("include", FILES),
    ("#", FILES),
    ("union", "write `Object` for values of any type"),
    ("virtual", "every method of an interface is one"),
    ("*", REFERENCES),
    ("&", REFERENCES),
    ("?", "write `= value` behind what may be left out"),
];

const FAILURES: &str = "any call may fail, with a message of its own, and declares nothing";
const FILES: &str = "every file stands for itself";
const REFERENCES: &str =
    "values are copied, and an interface's name stands for a reference already";

/// Why the token stands nowhere in Tau, if that is known.
pub(super) fn explanation(token: &Token<'_>) -> Option<Problem> {
    let (_, instead) = INSTEAD.iter().find(|(text, _)| *text == token.text)?;
    Some(Problem::NotInTau {
        thing: format!("`{}`", token.text),
        instead,
    })
}

/// What to do instead of an attribute that is not `@version`.
pub(super) fn attribute(name: &str) -> Problem {
    let instead = match name {
        "remote" | "timeout" | "async" | "sync" | "retry" | "cached" => {
            "every method is called remotely, and the caller says for how long it waits"
        }
        "generate" => "run `peerage idl` with `--rust` or `--typescript`",
        "proxy" | "agent" | "registrable" | "discoverable" => {
            "every interface gets a proxy and an agent, which a node finds by name"
        }
        _ => "the only one is `@version(number)`, before an interface",
    };
    Problem::NotInTau {
        thing: format!("`@{name}`"),
        instead,
    }
}

impl Parser<'_> {
    /// `@remote` and its like before a member.
    pub(super) fn no_attribute(&mut self) -> Result<(), TauError> {
        if !self.is_next("@") {
            return Ok(());
        }
        let at = self.advance().at;
        Err(attribute(self.peek().text).at(at))
    }

    /// `interface Foo<T>` and `T get<T>()`.
    pub(super) fn no_generics(&self) -> Result<(), TauError> {
        if !self.is_next("<") {
            return Ok(());
        }
        let problem = Problem::NotInTau {
            thing: "generic declarations".to_owned(),
            instead: "write `Object` for values of any type, or one declaration for each type",
        };
        Err(problem.at(self.peek().at))
    }

    /// `throws Error` after a method, which would otherwise pass for a field.
    pub(super) fn no_throws(&self) -> Result<(), TauError> {
        let token = self.peek();
        if !matches!(token.text, "throws" | "raises" | "throw") {
            return Ok(());
        }
        let problem = Problem::NotInTau {
            thing: format!("`{}`", token.text),
            instead: FAILURES,
        };
        Err(problem.at(token.at))
    }
}
