//! Entries on their way into the log, and the outcome of an append.

use crate::reading::entry::LoggedEntry;
use crate::reading::search::lower_case;
use crate::store::{Attestation, EntryRow, IndexKeys};

/// A verified entry on its way into the log.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// The bytes that are hashed. 1 to the tree's `max_leaf_bytes`.
    pub leaf_bytes: Vec<u8>,
    /// Kind and version tag, such as `hashedrekord:0.0.1`; opaque here.
    pub kind: String,
    /// Search keys; lower-cased and made distinct here. Any text.
    pub index_keys: Vec<String>,
    /// Bytes to keep beside the entry.
    pub attestation: Option<Attestation>,
}

impl NewEntry {
    /// Makes the row that is stored.
    pub(crate) fn into_row(self) -> EntryRow {
        let mut index_keys: Vec<String> = self
            .index_keys
            .into_iter()
            .map(|key| lower_case(&key))
            .collect();
        index_keys.sort_unstable();
        index_keys.dedup();
        EntryRow {
            leaf_hash: tlog::leaf_hash(&self.leaf_bytes),
            kind: self.kind,
            body: self.leaf_bytes,
            index_keys: IndexKeys::of(&index_keys),
            // An erased attestation is empty, so an empty one is not stored.
            attestation: self
                .attestation
                .filter(|attestation| !attestation.data.is_empty()),
        }
    }
}

/// Outcome of an append. Either way the entry is durable and below the published head.
#[derive(Clone, Debug)]
pub enum Appended {
    /// It was given a leaf index now.
    Sequenced(LoggedEntry),
    /// Equal leaf bytes were in this tree already; this is the stored entry.
    Duplicate(LoggedEntry),
}
