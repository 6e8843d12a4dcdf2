//! What a search asks a database for, and what comes back.

use std::ops::Range;

use tlog::{Hash, LeafIndex};

/// Rows of one key that a search for several things walks along in one call, some 30 ms. What it found by then comes back,
/// so that nobody waits long for a connection and no statement runs on for a reader that has gone.
pub const STRIDE: u32 = 10_000;

/// What is looked for in one tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'q> {
    /// All of these are among the entry's index keys: lower-cased, distinct. None of them means any entry.
    pub keys: &'q [String],
    /// The entry's kind and version tag is one of these. None of them means any.
    pub kinds: &'q [String],
    /// Leaf indexes to look at.
    pub range: Range<u64>,
    /// Most entries to return, at least 1.
    pub limit: u32,
}

/// One key that is looked up together with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyQuery {
    /// Lower-cased.
    pub key: String,
    /// Leaf indexes to look at.
    pub range: Range<u64>,
}

impl KeyQuery {
    /// The search for this key alone.
    pub fn with_limit(&self, limit: u32) -> Query<'_> {
        Query { keys: std::slice::from_ref(&self.key), kinds: &[], range: self.range.clone(), limit }
    }
}

/// A part of the hits, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries that are what was looked for.
    pub entries: Vec<FoundEntry>,
    /// All hits from this leaf index on, below the end of the range, are in `entries`. At the start of the range, the search
    /// is at its end; else it goes on below this index.
    pub down_to: u64,
}

/// An entry that was found, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundEntry {
    /// Position in its tree.
    pub leaf_index: LeafIndex,
    /// Leaf hash.
    pub leaf_hash: Hash,
    /// Integrated time, Unix seconds.
    pub time: i64,
    /// Kind and version tag.
    pub kind: String,
}
