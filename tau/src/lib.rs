//! Tau, KAI's language for interfaces: [`parse`] reads and checks a file, [`rust`] and [`typescript`]
//! write it as traits for `#[peerage::agent]` and as interfaces.
//!
//! ```text
//! file      := { namespace | interface | class | struct | enum }
//! namespace := 'namespace' Id { '::' Id } '{' file '}'  |  'namespace' Id '=' QualId ';'
//! interface := [version] ('interface' | 'class' | 'struct') Id [':' QualId] '{' { member } '}'
//! version   := '@' ('version' | 'versioned') '(' number ')'
//! member    := ('public' | 'protected' | 'private') ':'
//!            | ['static'] ['async' | 'sync'] Type Id '(' [params] ')' ['const'] [';']
//!            | 'event' Id '(' [params] ')' [';']
//!            | ['static'] ['const'] Type Id {'[]'} ['=' expr] [';']
//! params    := param { ',' param }
//! param     := Type Id {'[]'} ['=' expr]
//! enum      := 'enum' Id '{' Id ['=' number] [','] … '}'
//! Type      := QualId ['<' Type { ',' Type } '>'] {'[]'}
//! expr      := ['-'] number | string | QualId, also with dots
//! ```
//!
//! This is KAI's grammar and a version. What is below `protected:` or `private:` is nobody else's
//! business, and left out. A class with methods or events is an interface, one with fields only a
//! record. What has a default may be left out. `async` is for what takes long: an adapter offers it as an
//! operation ([`Schema`]).
//!
//! # Names
//!
//! Members have one name on the wire, in `camelCase`, whichever language they come from. A name is cut
//! into words where case or an underscore says so; Rust joins them in `snake_case`, TypeScript as
//! on the wire: `GetPeerCount` is `get_peer_count` and `getPeerCount`. Two members with one name on
//! the wire are refused. Types keep their names, but `interface IFoo` is `Foo`. The values of an enum
//! travel under the very names that the file gives them.

mod check;
mod error;
mod lexer;
mod model;
mod names;
mod page;
mod parse;
mod rust;
mod schema;
mod syntax;
mod text;
mod typescript;

pub use error::{Position, Problem, TauError};
pub use model::File;
pub use rust::rust;
pub use schema::{Interface, Long, Method, Place, Property, Schema, Shape};
pub use typescript::typescript;

/// How deep namespaces, types and bases may be nested.
pub const DEPTH_MAX: usize = 32;
/// How long a name may be.
pub const NAME_CHARS_MAX: usize = 100;

/// Reads a file in Tau, and checks that all its names mean something, and one thing only.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn parse(source: &str) -> Result<File, TauError> {
    check::check(&parse::parse(source)?)
}
