//! Objects: the values that services carry. A [`Value`] is a whole graph, in which parts may be shared
//! and lead back to themselves; it travels as CBOR (RFC 8949), sharing and cycles by tags 28 and 29.
//!
//! ```text
//! null undefined booleans       simple values 22, 23, 20, 21
//! integers                      major types 0 and 1; beyond 64 bits, and what JavaScript calls BigInt, tags 2 and 3
//! floats                        the shortest of 16, 32 and 64 bits that holds the value
//! text, bytes, lists            major types 3, 2, 4
//! records                       major type 5, all keys text
//! maps                          tag 259 on major type 5: any keys, in their order
//! sets                          tag 258 on an array
//! dates                         tag 1, seconds since 1970; tag 0 is read as well
//! typed arrays                  tags 64 to 86 (RFC 8746) but floats of 16 and 128 bits, read in either byte
//!                               order, written little-endian
//! references                    tag 1348822386: [id of the node, handle]; of a value to come [id, handle, true]
//! shared, and there already     of lists, maps, sets and bytes: tag 28 on the first, tag 29 with its number on the others
//! ```
//!
//! No part of this recurses, so that depth costs nothing but items.

mod de;
mod decode;
mod dynamic;
mod encode;
mod graft;
mod ser;
#[cfg(test)]
mod tests;
mod token;
mod value;
mod words;

pub use de::{from_item, from_value};
pub use decode::decode;
pub use dynamic::{Blob, Dynamic};
pub use encode::{Form, encode};
pub use ser::to_value;
pub use token::{Date, Set};
pub use value::{Big, Element, Handle, Item, Node, Pointer, Slot, Value};

/// What a value cannot be, or its bytes are not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// The bytes are no CBOR, or not all of it.
    #[error("not CBOR: {0}")]
    Cbor(String),
    /// Something that is CBOR and has no meaning here.
    #[error("expected {expected}, got {got}")]
    Unexpected {
        /// What could stand here.
        expected: &'static str,
        /// What does.
        got: String,
    },
    /// A value that a type of Rust's own does not take, or gives.
    #[error("{0}")]
    Type(String),
    /// More items than one value may have.
    #[error("too large: expected at most {max} items")]
    TooManyItems {
        /// The limit.
        max: usize,
    },
}

mod tag {
    pub(super) const DATE_TEXT: u64 = 0;
    pub(super) const DATE: u64 = 1;
    pub(super) const BIG: u64 = 2;
    pub(super) const BIG_NEGATIVE: u64 = 3;
    pub(super) const SHARED: u64 = 28;
    pub(super) const THERE: u64 = 29;
    pub(super) const SET: u64 = 258;
    pub(super) const MAP: u64 = 259;
    pub(super) const POINTER: u64 = 0x5065_6572;
    pub(super) const SELF_DESCRIBED: u64 = 55_799;
}
