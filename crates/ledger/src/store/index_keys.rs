//! The index keys of one entry, as they are stored.

use super::error::StoreResult;
use super::packed_keys::{pack_keys, unpack_keys};
use crate::IndexKeyHash;

/// Index keys in the form of their columns: made where an entry is proposed, on any core, so that a
/// round has only to gather.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexKeys {
    packed: Vec<u8>,
    hashes: Vec<IndexKeyHash>,
}

impl IndexKeys {
    /// Of full texts, lower-cased and distinct. They may hold any character, U+0000 too.
    pub fn of<T: AsRef<str>>(texts: &[T]) -> Self {
        Self {
            packed: pack_keys(texts),
            hashes: key_hashes(texts),
        }
    }

    /// The full texts.
    pub fn texts(&self) -> StoreResult<Vec<String>> {
        unpack_keys(&self.packed, 0)
    }

    /// The full texts as one value of bytes.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// Their distinct hashes, ascending.
    pub fn hashes(&self) -> &[IndexKeyHash] {
        &self.hashes
    }
}

/// The distinct hashes of some keys, ascending.
pub(crate) fn key_hashes<T: AsRef<str>>(keys: &[T]) -> Vec<IndexKeyHash> {
    let mut hashes: Vec<IndexKeyHash> = keys
        .iter()
        .map(|key| IndexKeyHash::of(key.as_ref()))
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}
