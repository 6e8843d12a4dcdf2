//! An entry as events need it.

use std::sync::Arc;

use tlog::{Hash, LeafIndex};

use crate::IndexKeyHash;

/// An entry without its bytes, with the hashes of the keys under which a search finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Leaf index in its tree.
    pub leaf_index: LeafIndex,
    /// Leaf hash.
    pub leaf_hash: Hash,
    /// Integrated time, Unix seconds.
    pub time: i64,
    /// Kind and version tag.
    pub kind: Arc<str>,
    /// Distinct, ascending.
    pub keys: Vec<IndexKeyHash>,
}
