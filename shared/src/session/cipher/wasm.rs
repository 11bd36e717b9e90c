//! Where there is no assembler: snow's own.

use snow::params::CipherChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::Cipher;

/// The cipher, if it is one that we know.
pub(in crate::session) fn cipher(choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
    DefaultResolver.resolve_cipher(choice)
}
