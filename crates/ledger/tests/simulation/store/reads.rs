//! What is read and written beside rounds.

use std::ops::Range;

use async_trait::async_trait;
use ledger::TreeId;
use ledger::store::*;
use tlog::{Hash, LeafIndex, TreeSize};

use super::SimStore;

#[async_trait]
impl Store for SimStore {
    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn backend(&self) -> &'static str {
        "simulation"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn reader(&self) -> Box<dyn Read> {
        Box::new(self.connect())
    }

    async fn writer(&self) -> StoreResult<Box<dyn Writer>> {
        assert!(!self.with(|state| state.bug), "a bug");
        if self.with(|state| state.hangs) {
            std::future::pending::<()>().await;
        }
        self.read("writer", |_| Ok(())).await?;
        Ok(Box::new(self.connect()))
    }

    async fn publisher(&self) -> StoreResult<Box<dyn Publisher>> {
        self.read("publisher", |_| Ok(())).await?;
        Ok(Box::new(self.connect()))
    }

    async fn trees(&self) -> StoreResult<Vec<TreeRow>> {
        self.read("trees", |state| Ok(state.tables.trees.clone()))
            .await
    }

    async fn create_trees(&self, trees: &[TreeRow]) -> StoreResult<bool> {
        let trees = trees.to_vec();
        self.write("create_trees", StoreError::UnknownOutcome, move |state| {
            let stored = &mut state.tables.trees;
            let log = |row: &TreeRow| (row.name.clone(), row.api.clone());
            let is_new = |row: &TreeRow| stored.iter().all(|held| log(held) != log(row));
            let are_new = trees.iter().all(is_new);
            if are_new {
                stored.extend_from_slice(&trees);
            }
            are_new
        })
        .await
    }

    async fn heads(&self, tree: TreeId, from: TreeSize, limit: u32) -> StoreResult<Vec<HeadRow>> {
        self.read("heads", |state| {
            let heads = state.tables.of(tree).heads.iter();
            let heads = heads.filter(|head| head.prev_size >= from);
            Ok(heads.take(limit as usize).copied().collect())
        })
        .await
    }

    async fn publications(
        &self,
        tree: TreeId,
        from: Option<TreeSize>,
        limit: u32,
    ) -> StoreResult<Vec<PublicationRow>> {
        self.read("publications", |state| {
            let rows = state.tables.of(tree).publications.iter();
            let rows = rows.filter(|row| row.prev_size >= from);
            Ok(rows.take(limit as usize).cloned().collect())
        })
        .await
    }

    async fn entries(
        &self,
        tree: TreeId,
        indexes: &[LeafIndex],
        size: TreeSize,
    ) -> StoreResult<Vec<StoredEntry>> {
        self.read("entries", |state| {
            let rows = state.tables.of(tree);
            let indexes = indexes.iter().filter(|index| index.0 < size.0);
            let stored = |leaf_index: &LeafIndex| {
                let (row, time) = rows.entries.get(leaf_index.0 as usize)?;
                Some(StoredEntry {
                    leaf_index: *leaf_index,
                    leaf_hash: row.leaf_hash,
                    time: *time,
                    kind: row.kind.clone(),
                    body: Some(row.body.clone()),
                    signed_entry_timestamp: rows.timestamps.get(leaf_index).cloned(),
                    attested: row.attestation.is_some(),
                    attestation: row.attestation.clone(),
                })
            };
            Ok(indexes.filter_map(stored).collect())
        })
        .await
    }

    async fn body_lengths(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<u64>> {
        self.read("body_lengths", |state| {
            let rows = &state.tables.of(tree).entries[range.start as usize..range.end as usize];
            Ok(rows.iter().map(|(row, _)| row.body.len() as u64).collect())
        })
        .await
    }

    async fn bodies(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<Vec<u8>>> {
        self.read("bodies", |state| {
            let rows = &state.tables.of(tree).entries[range.start as usize..range.end as usize];
            Ok(rows.iter().map(|(row, _)| row.body.clone()).collect())
        })
        .await
    }

    async fn put_timestamps(&self, tree: TreeId, timestamps: &[TimestampRow]) -> StoreResult<()> {
        let timestamps = timestamps.to_vec();
        self.write("put_timestamps", StoreError::Unavailable, move |state| {
            let rows = state.tables.of_mut(tree);
            let size = rows.entries.len() as u64;
            for row in timestamps.iter().filter(|row| row.leaf_index.0 < size) {
                rows.timestamps
                    .entry(row.leaf_index)
                    .or_insert_with(|| row.signature.to_vec());
            }
        })
        .await
    }

    async fn confirm(&self, tree: TreeId, size: TreeSize, root: &Hash) -> StoreResult<()> {
        self.read("confirm", |state| {
            let heads = &state.tables.of(tree).heads;
            let mut heads = heads.iter().map(|head| (head.size, head.root));
            let is_there = size.0 == 0 || heads.any(|head| head == (size, *root));
            match is_there && !state.unconfirmed {
                true => Ok(()),
                false => Err(StoreError::Unavailable("not confirmed".into())),
            }
        })
        .await
    }

    async fn probe(&self) -> StoreResult<()> {
        self.read("probe", |_| Ok(())).await
    }

    async fn now_millis(&self) -> StoreResult<i64> {
        self.read("now_millis", |state| Ok(state.now_millis()))
            .await
    }
}

/// The simulation does not search: the contract of searches is tested on the databases themselves.
#[async_trait]
impl Search for SimStore {
    async fn newest(
        &self,
        _: TreeId,
        _: &Condition,
        _: Range<u64>,
        _: u32,
    ) -> StoreResult<Vec<u64>> {
        unreachable!()
    }

    async fn meeting(&self, _: TreeId, _: &Condition, _: &[u64]) -> StoreResult<Vec<u64>> {
        unreachable!()
    }

    async fn found(&self, _: TreeId, _: &[u64], _: &[Condition]) -> StoreResult<Vec<FoundEntry>> {
        unreachable!()
    }

    async fn search_each(&self, _: TreeId, _: &[KeyQuery], _: u32) -> StoreResult<Vec<Page>> {
        unreachable!()
    }

    async fn first_at(&self, _: TreeId, _: i64, _: TreeSize) -> StoreResult<LeafIndex> {
        unreachable!()
    }

    async fn events(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<EventRow>> {
        self.read("events", |state| {
            let entries = &state.tables.of(tree).entries;
            let row = |index: u64| {
                let (row, time) = &entries[index as usize];
                EventRow {
                    leaf_index: LeafIndex(index),
                    leaf_hash: row.leaf_hash,
                    time: *time,
                    kind: row.kind.as_str().into(),
                    keys: row.index_keys.hashes().to_vec(),
                }
            };
            Ok(range.map(row).collect())
        })
        .await
    }
}
