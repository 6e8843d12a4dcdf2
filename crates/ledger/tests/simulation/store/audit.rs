//! What fsck reads. It never fails: it is the tests that look.

use std::ops::Range;

use async_trait::async_trait;
use ledger::TreeId;
use ledger::store::*;
use tlog::{FullTile, LeafIndex, TileId, TreeSize};

use super::SimStore;

#[async_trait]
impl Audit for SimStore {
    async fn audit_entries(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<AuditEntry>> {
        Ok(self.with(|state| {
            range
                .filter_map(|i| {
                    let (row, time) = state.tables.of(tree).entries.get(i as usize)?;
                    Some(AuditEntry {
                        leaf_index: LeafIndex(i),
                        leaf_hash: row.leaf_hash,
                        has_checksum: true,
                        timestamp_has_checksum: true,
                        time: *time,
                        kind: row.kind.clone(),
                        body: Some(row.body.clone()),
                        index_keys: row.index_keys.texts().unwrap(),
                        leaf_rows: vec![row.leaf_hash.0[..16].try_into().unwrap()],
                        index_key_rows: row.index_keys.hashes().to_vec(),
                        claims: state
                            .tables
                            .claims
                            .values()
                            .filter(|(_, of, index)| (*of, index.0) == (tree, i))
                            .map(|(claim, ..)| claim.clone())
                            .collect(),
                        signed_entry_timestamp: state
                            .tables
                            .of(tree)
                            .timestamps
                            .get(&LeafIndex(i))
                            .cloned(),
                        attested: row.attestation.is_some(),
                        attestation: row.attestation.clone(),
                    })
                })
                .collect()
        }))
    }

    async fn audit_sizes(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<(u64, u64)>> {
        Ok(self.with(|state| {
            range
                .filter_map(|index| {
                    let (row, _) = state.tables.of(tree).entries.get(index as usize)?;
                    Some((index, row.body.len() as u64))
                })
                .collect()
        }))
    }

    async fn audit_tiles(
        &self,
        tree: TreeId,
        level: u8,
        from: u64,
        limit: u32,
    ) -> StoreResult<Vec<FullTile>> {
        Ok(self.with(|state| {
            let tiles = state.tables.of(tree).tiles.range(
                TileId { level, index: from }..TileId {
                    level: level + 1,
                    index: 0,
                },
            );
            tiles
                .take(limit as usize)
                .map(|(_, tile)| tile.clone())
                .collect()
        }))
    }

    async fn audit_claimed(&self, names: &[[u8; 16]]) -> StoreResult<Vec<[u8; 16]>> {
        Ok(self.with(|state| {
            let claimed = state.tables.claims.keys().map(|(name, _)| name.hash);
            claimed.filter(|hash| names.contains(hash)).collect()
        }))
    }

    async fn audit_counts(&self, tree: TreeId, size: TreeSize) -> StoreResult<AuditCounts> {
        Ok(self.with(|state| {
            let rows = &state.tables.of(tree).entries;
            AuditCounts {
                entries: size.0.min(rows.len() as u64),
                bodies: size.0.min(rows.len() as u64),
                leaves: size.0.min(rows.len() as u64),
                index_keys: rows
                    .iter()
                    .take(size.0 as usize)
                    .map(|(row, _)| row.index_keys.hashes().len() as u64)
                    .sum(),
                timestamps: state.tables.of(tree).timestamps.len() as u64,
                attestations: rows
                    .iter()
                    .take(size.0 as usize)
                    .filter(|(row, _)| row.attestation.is_some())
                    .count() as u64,
                claims: state
                    .tables
                    .claims
                    .values()
                    .filter(|(_, of, index)| *of == tree && index.0 < size.0)
                    .count() as u64,
                beyond_newest_head: 0,
            }
        }))
    }
}
