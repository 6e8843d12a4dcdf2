//! The part of the contract that fsck needs: everything that is stored, table by table.

use std::ops::Range;

use async_trait::async_trait;
use tlog::{FullTile, Hash, LeafIndex, TreeSize};

use super::audited::Audited;
use super::claims::Claim;
use super::error::{StoreError, StoreResult};
use super::hash_rows::{HashRows, prefix};
use super::index_keys::key_hashes;
use super::numbers::{from_sql, to_sql};
use super::rows::Attestation;
use crate::{IndexKeyHash, TreeId};

/// Reads of an audit. Pages are short reads; the counts walk whole tables.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Returns the leaf index of each entry in `range`, ascending, with the bytes of its leaf, its key
    /// texts and its attestation, without reading those.
    async fn audit_sizes(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<(u64, u64)>>;
    /// Returns everything stored of the entries in `range`, ascending, below the size at which fsck
    /// works. Missing entries are left out.
    async fn audit_entries(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<AuditEntry>>;
    /// Returns the stored full tiles of one level from `from` on, ascending, at most `limit`.
    async fn audit_tiles(
        &self,
        tree: TreeId,
        level: u8,
        from: u64,
        limit: u32,
    ) -> StoreResult<Vec<FullTile>>;
    /// Returns those of the hashes of names ([`NameKey::hash`](super::NameKey)) under which there is a
    /// claim of any entry of any tree.
    async fn audit_claimed(&self, names: &[[u8; 16]]) -> StoreResult<Vec<[u8; 16]>>;
    /// Counts the rows of each table for leaf indexes below `size`, and the rows of all tables that
    /// no head covers.
    async fn audit_counts(&self, tree: TreeId, size: TreeSize) -> StoreResult<AuditCounts>;
}

/// Everything stored of one entry, table by table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Table `entry`.
    pub leaf_index: LeafIndex,
    /// Table `entry`.
    pub leaf_hash: Hash,
    /// Table `entry`: whether `checksum` is that of the other columns.
    pub has_checksum: bool,
    /// Table `entry`.
    pub time: i64,
    /// Table `entry`.
    pub kind: String,
    /// Table `body`; `None` if the row is missing.
    pub body: Option<Vec<u8>>,
    /// Table `entry`: the full key texts.
    pub index_keys: Vec<String>,
    /// Table `leaf`: the row that `leaf_hash` calls for, if it is there. (A row under another hash
    /// cannot be looked up by its index; it shows in [`AuditCounts::leaves`].)
    pub leaf_rows: Vec<[u8; 16]>,
    /// Table `index_key`: the rows that `index_keys` call for, as far as they are there, ascending.
    /// (Others show in [`AuditCounts::index_keys`].)
    pub index_key_rows: Vec<IndexKeyHash>,
    /// Table `claim`: the rows of this entry, in any order.
    pub claims: Vec<Claim>,
    /// Table `signed_entry_timestamp`: whether `checksum` is that of the row, if there is one.
    pub timestamp_has_checksum: bool,
    /// Table `signed_entry_timestamp`.
    pub signed_entry_timestamp: Option<Vec<u8>>,
    /// Table `entry`: whether it was stored with an attestation.
    pub attested: bool,
    /// Table `attestation`. One that was erased has no data.
    pub attestation: Option<Attestation>,
}

/// Row counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditCounts {
    /// Rows of `entry` below the size.
    pub entries: u64,
    /// Rows of `body` below the size.
    pub bodies: u64,
    /// Rows of `leaf` below the size.
    pub leaves: u64,
    /// Rows of `index_key` below the size.
    pub index_keys: u64,
    /// Rows of `signed_entry_timestamp` below the size.
    pub timestamps: u64,
    /// Rows of `attestation` below the size.
    pub attestations: u64,
    /// Rows of `claim` below the size.
    pub claims: u64,
    /// Rows of any of these tables below leaf index 0, or at or beyond the newest head's size.
    pub beyond_newest_head: u64,
}

/// Returns the rows that the tables `leaf` and `index_key` must have for some entries.
pub(crate) fn expected_rows(entries: &[Audited<AuditEntry>]) -> StoreResult<(HashRows, HashRows)> {
    let (mut leaves, mut keys) = (HashRows::new(), HashRows::new());
    for Audited { row: entry, .. } in entries {
        let index = to_sql(entry.leaf_index.0)?;
        leaves.push((prefix(&entry.leaf_hash), index));
        keys.extend(
            key_hashes(&entry.index_keys)
                .into_iter()
                .map(|key| (key.0, index)),
        );
    }
    Ok((leaves, keys))
}

/// Adds the rows that were found to their entries. `entries` MUST be ascending.
pub(crate) fn assign_found(
    entries: &mut [Audited<AuditEntry>],
    leaves: HashRows,
    keys: HashRows,
    claims: Vec<(i64, Claim)>,
) {
    for (index, claim) in claims {
        if let Some(entry) = entry_at(entries, index) {
            entry.claims.push(claim);
        }
    }
    for (row, index) in leaves {
        if let Some(entry) = entry_at(entries, index) {
            entry.leaf_rows.push(row);
        }
    }
    for (row, index) in keys {
        if let Some(entry) = entry_at(entries, index) {
            entry.index_key_rows.push(IndexKeyHash(row));
        }
    }
    for Audited { row: entry, .. } in entries {
        entry.index_key_rows.sort_unstable();
    }
}

fn entry_at(entries: &mut [Audited<AuditEntry>], index: i64) -> Option<&mut AuditEntry> {
    let index = u64::try_from(index).ok()?;
    let at = entries.binary_search_by_key(&index, |entry| entry.row.leaf_index.0);
    entries.get_mut(at.ok()?).map(|entry| &mut entry.row)
}

/// The tables of entries, in the order of their counts.
const COUNTED: [&str; 7] = [
    "entry",
    "body",
    "leaf",
    "index_key",
    "signed_entry_timestamp",
    "attestation",
    "claim",
];

/// The tables whose rows name a tree.
pub(crate) const TABLES_OF_TREES: [&str; 12] = [
    "tree_key",
    "head",
    "publication",
    "final_checkpoint",
    "tile",
    "entry",
    "body",
    "signed_entry_timestamp",
    "attestation",
    "leaf",
    "index_key",
    "claim",
];

/// Most tables and trees of orphans, and most lines about the structure, that are returned.
pub(crate) const MAX_STRAYS: usize = 100;

/// Returns the statement that finds rows of trees that do not exist. It jumps from tree to tree.
pub(crate) fn orphans_of(table: &str) -> String {
    format!(
        "WITH RECURSIVE known(tree_id) AS (
            SELECT min(tree_id) FROM {table}
            UNION ALL
            SELECT (SELECT min(r.tree_id) FROM {table} r WHERE r.tree_id > k.tree_id)
            FROM known k WHERE k.tree_id IS NOT NULL
        )
        SELECT k.tree_id FROM known k
        WHERE k.tree_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM tree t WHERE t.tree_id = k.tree_id)
        LIMIT {MAX_STRAYS}"
    )
}

/// Returns the tables of entries that have rows outside of their tree, from their counts.
pub(crate) fn outside_of(rows: &[(i64, i64)]) -> StoreResult<Vec<(&'static str, u64)>> {
    let mut outside = Vec::new();
    for (table, (_, beyond)) in COUNTED.into_iter().zip(rows) {
        if *beyond != 0 {
            outside.push((table, from_sql(*beyond, "count")?));
        }
    }
    Ok(outside)
}

/// Reads the counts of the seven tables of entries. Each has rows below a size, and rows at or beyond
/// the size of the newest head.
pub(crate) fn counts_of(rows: &[(i64, i64)]) -> StoreResult<AuditCounts> {
    let &[
        entries,
        bodies,
        leaves,
        index_keys,
        timestamps,
        attestations,
        claims,
    ] = rows
    else {
        return Err(StoreError::Damaged(format!(
            "{} counts instead of 7",
            rows.len()
        )));
    };
    let count = |(below, _): (i64, i64)| from_sql(below, "count");
    Ok(AuditCounts {
        entries: count(entries)?,
        bodies: count(bodies)?,
        leaves: count(leaves)?,
        index_keys: count(index_keys)?,
        timestamps: count(timestamps)?,
        attestations: count(attestations)?,
        claims: count(claims)?,
        beyond_newest_head: from_sql(rows.iter().map(|(_, beyond)| beyond).sum(), "count")?,
    })
}
