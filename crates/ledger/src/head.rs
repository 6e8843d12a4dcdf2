//! A published tree head and the tree that it belongs to.

use std::sync::Arc;

use tlog::{Hash, TreeSize};

use crate::TreeId;

/// What never changes about a tree.
#[derive(Debug)]
pub struct Tree {
    /// Identity.
    pub id: TreeId,
    /// Name of the log: signer name of v1 checkpoints.
    pub name: String,
    /// Origin line of v1 checkpoints.
    pub origin_v1: String,
    /// SHA-256 of the log key's SPKI.
    pub log_id: Hash,
    /// PEM of the log key.
    pub public_key_pem: String,
    /// Log index of leaf 0: sum of the lengths of earlier shards.
    pub first_log_index: u64,
    /// Larger leaves are refused.
    pub max_leaf_bytes: u32,
}

/// A published head. One borrow of it at the top of a handler is *the* head of that request.
pub struct Head {
    /// Its tree.
    pub tree: Arc<Tree>,
    /// Tree size.
    pub size: TreeSize,
    /// Root hash at `size`.
    pub root: Hash,
    /// Integrated time of its round, Unix seconds; 0 for an empty tree.
    pub time: i64,
    /// The v1 signed note of this head.
    pub checkpoint_v1: String,
}
