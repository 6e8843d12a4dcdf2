//! Rows of the table of claims, as both databases return them.

use sqlx::FromRow;
use tlog::LeafIndex;

use super::claims::{Claim, Claimant, NameKey, StoredClaim};
use super::encoding::hash;
use super::error::{StoreError, StoreResult};
use super::numbers::from_sql;
use super::packed_values::unpack_values;
use crate::TreeId;

/// A row of `claim`, joined with the entry that made it. `K` is the type of a key of 16 bytes.
#[derive(FromRow)]
pub(crate) struct ClaimRecord<K> {
    name_hash: K,
    name_case: i64,
    packed_values: Vec<u8>,
    tree_id: i64,
    leaf_index: i64,
    leaf_hash: Option<Vec<u8>>,
    first_log_index: Option<i64>,
}

impl<K: TryInto<[u8; 16]>> ClaimRecord<K> {
    pub(crate) fn into_stored(self) -> StoreResult<StoredClaim> {
        let leaf_index = from_sql(self.leaf_index, "claim.leaf_index")?;
        let tree = TreeId(self.tree_id);
        let (Some(leaf_hash), Some(first)) = (self.leaf_hash, self.first_log_index) else {
            return Err(StoreError::Damaged(format!(
                "table claim: a row names leaf index {leaf_index} of tree {tree}, which is missing"
            )));
        };
        Ok(StoredClaim {
            key: name_key(self.name_hash, self.name_case)?,
            values: unpack_values(&self.packed_values, leaf_index)?,
            entry: Claimant {
                tree,
                leaf_index: LeafIndex(leaf_index),
                log_index: from_sql(first, "tree.first_log_index")? + leaf_index,
                leaf_hash: hash(&leaf_hash, "entry.leaf_hash")?,
            },
        })
    }
}

/// A row of `claim` of a known tree.
#[derive(FromRow)]
pub(crate) struct OwnClaimRecord<K> {
    leaf_index: i64,
    name_hash: K,
    name_case: i64,
    name: Vec<u8>,
    packed_values: Vec<u8>,
}

impl<K: TryInto<[u8; 16]>> OwnClaimRecord<K> {
    /// Returns the claim with the leaf index of its entry.
    pub(crate) fn into_claim(self) -> StoreResult<(i64, Claim)> {
        let leaf_index = from_sql(self.leaf_index, "claim.leaf_index")?;
        let claim = Claim {
            key: name_key(self.name_hash, self.name_case)?,
            name: String::from_utf8_lossy(&self.name).into_owned(),
            values: unpack_values(&self.packed_values, leaf_index)?,
        };
        Ok((self.leaf_index, claim))
    }
}

fn name_key<K: TryInto<[u8; 16]>>(hash: K, case: i64) -> StoreResult<NameKey> {
    let damaged = |_| StoreError::Damaged("claim.name_hash".to_owned());
    let hash = hash.try_into().map_err(damaged)?;
    Ok(NameKey { hash, case })
}
