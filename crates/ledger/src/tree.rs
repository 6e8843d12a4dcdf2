//! The facts about a tree that never change.

use tlog::{Hash, VerifyingKey};

use crate::apis::Apis;
use crate::ids::TreeId;
use crate::store::{KeyRole, StoreError, StoreResult, TreeRow};

/// A tree as it was created.
#[derive(Debug)]
pub struct Tree {
    /// Identity.
    pub id: TreeId,
    /// Name of the log: signer name of v1 checkpoints.
    pub name: String,
    /// Origin line of v1 checkpoints.
    pub origin_v1: String,
    /// Origin line of v2 checkpoints, and the name that signs them.
    pub origin_v2: String,
    /// SHA-256 of the log key's SPKI.
    pub log_id: Hash,
    /// PEM of the log key.
    pub public_key_pem: String,
    /// The log key.
    pub log_key: VerifyingKey,
    /// Log index of leaf 0: sum of the lengths of earlier shards.
    pub first_log_index: u64,
    /// Larger leaves are refused.
    pub max_leaf_bytes: u32,
    /// The APIs by which it accepts entries.
    pub apis: Apis,
}

impl Tree {
    /// Reads a stored tree.
    pub(crate) fn of(row: &TreeRow) -> StoreResult<Self> {
        let stored = row
            .keys
            .iter()
            .find(|stored| stored.role == KeyRole::Log)
            .ok_or_else(|| {
                StoreError::Damaged(format!(
                    "table tree_key: tree {} has no log key",
                    row.tree_id
                ))
            })?;
        let log_key = VerifyingKey::from_spki(&stored.spki).map_err(|error| {
            StoreError::Damaged(format!(
                "table tree_key: the log key of tree {}: {error}",
                row.tree_id
            ))
        })?;
        Ok(Self {
            id: row.tree_id,
            name: row.name.clone(),
            origin_v1: row.origin_v1.clone(),
            origin_v2: row.origin_v2.clone(),
            log_id: log_key.log_id(),
            public_key_pem: log_key.to_pem(),
            log_key,
            first_log_index: row.first_log_index,
            max_leaf_bytes: row.max_leaf_bytes,
            apis: row.apis,
        })
    }
}
