//! The facts about one entry that rules look at.

use entry::{StatementSummary, Summary};
use tlog::Hash;

/// An entry of a log, as far as its reader knows it. The reader has verified that the log holds the
/// entry; what the entry claims is not verified.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The name of the log in the configuration.
    pub log: &'a str,
    /// The origin of the tree's checkpoints.
    pub origin: &'a str,
    /// The index in the tree.
    pub leaf_index: u64,
    /// The index in the log. In Rekor v1 it counts through all trees.
    pub log_index: u64,
    /// The RFC 6962 hash of the leaf.
    pub leaf_hash: Hash,
    /// The ID in Rekor v1.
    pub uuid: Option<&'a str>,
    /// The time that the log gave it, in Unix seconds. Rekor v2 gives none.
    pub time: Option<i64>,
    /// The claims of the leaf.
    pub summary: &'a Summary,
    /// The claims of the attestation, if the log keeps one and the reader has it.
    pub statement: Option<&'a StatementSummary>,
    /// Search keys that the reader knows from the log itself. A ledger knows all keys of its
    /// entries, and so also those that follow from a payload that it did not keep.
    pub index_keys: &'a [String],
}
