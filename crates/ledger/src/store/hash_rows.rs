//! Rows of the tables that are keyed by a hash.

use std::sync::Arc;

use tlog::Hash;

use super::rows::EntryRow;

/// Bytes of a hash that a look-up table is keyed by.
pub(crate) const PREFIX_BYTES: usize = 16;

/// Returns the first 16 bytes of a leaf hash.
pub(crate) fn prefix(leaf_hash: &Hash) -> [u8; PREFIX_BYTES] {
    let mut prefix = [0; PREFIX_BYTES];
    prefix.copy_from_slice(&leaf_hash.0[..PREFIX_BYTES]);
    prefix
}

/// The rows that one round adds to a table that is keyed by a hash, in key order, so that
/// neighbours share a page.
pub(crate) type HashRows = Vec<([u8; PREFIX_BYTES], i64)>;

/// Returns the rows of `leaf` of a round whose first entry has index `first`.
pub(crate) fn leaf_rows(first: i64, entries: &[Arc<EntryRow>]) -> HashRows {
    let mut rows: HashRows = (first..)
        .zip(entries)
        .map(|(index, entry)| (prefix(&entry.leaf_hash), index))
        .collect();
    rows.sort_unstable();
    rows
}

/// Returns the rows of `index_key` of a round, likewise.
pub(crate) fn index_key_rows(first: i64, entries: &[Arc<EntryRow>]) -> HashRows {
    let rows = (first..).zip(entries);
    let mut rows: HashRows = rows
        .flat_map(|(index, entry)| {
            entry
                .index_keys
                .hashes()
                .iter()
                .map(move |key| (key.0, index))
        })
        .collect();
    rows.sort_unstable();
    rows
}
