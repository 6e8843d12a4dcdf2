//! One event: an entry of a log, told without its bytes.

use std::sync::Arc;

use tlog::Hash;

use crate::ids::TreeId;
use crate::shards::shard::Shard;
use crate::store::EventRow;

/// An entry of a log, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The API of its log.
    pub log: &'static str,
    /// Its tree.
    pub tree: TreeId,
    /// Position in the tree.
    pub leaf_index: u64,
    /// Position in the log, which counts through all trees.
    pub log_index: u64,
    /// Leaf hash.
    pub leaf_hash: Hash,
    /// Kind and version tag.
    pub kind: Arc<str>,
    /// Integrated time, Unix seconds.
    pub time: i64,
}

impl Event {
    pub(super) fn new(shard: &Shard, row: &EventRow) -> Self {
        let tree = shard.heads.tree();
        Self {
            log: tree.api.name,
            tree: tree.id,
            leaf_index: row.leaf_index.0,
            log_index: tree.first_log_index + row.leaf_index.0,
            leaf_hash: row.leaf_hash,
            kind: Arc::clone(&row.kind),
            time: row.time,
        }
    }

    /// Returns Rekor's entry ID with the tree ID before the leaf hash: 80 hex digits.
    pub fn uuid(&self) -> String {
        format!("{:016x}{}", self.tree.0, self.leaf_hash)
    }
}
