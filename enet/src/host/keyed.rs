//! Hashes that nobody outside can foresee.

use std::collections::hash_map::DefaultHasher;
use std::hash::{BuildHasher, Hash, Hasher};

/// Makes hashers that begin with a secret.
#[derive(Debug, Clone)]
pub(super) struct Keyed(DefaultHasher);

impl Keyed {
    pub(super) fn new(secret: [u8; 16]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(&secret);
        Self(hasher)
    }

    pub(super) fn hash(&self, value: impl Hash) -> u64 {
        self.hash_one(value)
    }
}

impl BuildHasher for Keyed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        self.0.clone()
    }
}
