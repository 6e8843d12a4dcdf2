//! The index keys of one entry, as they are stored.

use super::error::StoreResult;
use super::packed_keys::{pack_keys, unpack_keys};
use crate::IndexKeyHash;

/// Index keys in the form of their columns. They are made in the task of each request, on any core,
/// so that a round only collects them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexKeys {
    packed: Vec<u8>,
    hashes: Vec<IndexKeyHash>,
}

impl IndexKeys {
    /// Packs and hashes full texts, which are lower-cased and distinct. They may contain any
    /// character, even U+0000.
    pub fn of<T: AsRef<str>>(texts: &[T]) -> Self {
        Self {
            packed: pack_keys(texts),
            hashes: key_hashes(texts),
        }
    }

    /// Returns the full texts.
    pub fn texts(&self) -> StoreResult<Vec<String>> {
        unpack_keys(&self.packed, 0)
    }

    /// Returns the full texts as one value of bytes.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// Returns their distinct hashes, ascending.
    pub fn hashes(&self) -> &[IndexKeyHash] {
        &self.hashes
    }
}

/// Returns the distinct hashes of some keys, ascending.
pub(crate) fn key_hashes<T: AsRef<str>>(keys: &[T]) -> Vec<IndexKeyHash> {
    let mut hashes: Vec<IndexKeyHash> = keys
        .iter()
        .map(|key| IndexKeyHash::of(key.as_ref()))
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}
