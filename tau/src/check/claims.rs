//! Who has which name. Names that a file keeps apart may become one in the code made from it.

use std::collections::BTreeMap;

use crate::error::{Position, Problem, TauError};
use crate::syntax::Name;

/// Names of different sorts do not clash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sort {
    /// A type, as the file names it.
    Tau,
    /// A type, as both languages name it.
    Type,
    /// A module of Rust.
    Module,
    /// A namespace or a constant of TypeScript.
    Value,
    /// A member on the wire.
    Member,
    /// A parameter of one member.
    Parameter,
}

#[derive(Debug, Default)]
pub(super) struct Claims {
    taken: BTreeMap<(Sort, String), Position>,
}

impl Claims {
    /// Takes the name for `by`, unless somebody has it.
    pub(super) fn take(&mut self, sort: Sort, name: String, by: &Name) -> Result<(), TauError> {
        let Some(first) = self.taken.get(&(sort, name.clone())) else {
            self.taken.insert((sort, name), by.at);
            return Ok(());
        };
        let why = match sort {
            Sort::Member => ", and peers know members by their names alone",
            _ => "",
        };
        Err(taken(&name, &by.text, *first, why).at(by.at))
    }

    pub(super) fn holder(&self, sort: Sort, name: &str) -> Option<Position> {
        self.taken.get(&(sort, name.to_owned())).copied()
    }
}

/// `written` is what the file has; if the name was made from it, both are told.
pub(super) fn taken(name: &str, written: &str, first: Position, why: &'static str) -> Problem {
    let what = if name == written {
        format!("`{name}`")
    } else {
        format!("`{name}`, made from `{written}`,")
    };
    let line = first.line;
    Problem::Taken { what, line, why }
}
