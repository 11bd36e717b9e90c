//! From what is written to what is meant. Every name must mean something, and one thing only, in
//! Rust, in TypeScript and on the wire alike.

mod bases;
mod circle;
mod claims;
mod enter;
mod lower;
mod members;
mod scope;
mod types;

use crate::error::TauError;
use crate::model::File;
use crate::syntax::Item;

pub(crate) fn check(items: &[Item]) -> Result<File, TauError> {
    lower::file(&scope::Scopes::of(items)?)
}
