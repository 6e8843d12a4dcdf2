//! A database in memory whose faults come from a seed. No threads, no clock.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ledger::store::*;
use ledger::{IndexKeyHash, TreeId};
use tlog::{FullTile, Hash, LeafIndex, TileId, TreeSize};

/// What a round's commit may do to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Not applied, and reported so.
    Refused,
    /// Not applied, the answer is lost.
    LostBefore,
    /// Applied, the answer is lost.
    LostAfter,
    /// A serialization failure.
    Conflict,
}

/// A small xorshift generator: the same seed gives the same run.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

#[derive(Clone, Default)]
pub(crate) struct Tables {
    pub(crate) trees: Vec<TreeRow>,
    pub(crate) heads: Vec<HeadRow>,
    pub(crate) entries: Vec<(Arc<EntryRow>, i64)>,
    pub(crate) tiles: BTreeMap<TileId, FullTile>,
    pub(crate) timestamps: BTreeMap<LeafIndex, Vec<u8>>,
    pub(crate) publications: Vec<PublicationRow>,
}

pub(crate) struct State {
    pub(crate) tables: Tables,
    pub(crate) rng: Rng,
    /// One commit in this many has a fault; 0 for none.
    pub(crate) fault_every: u64,
    /// What the next commit does, whatever the seed says.
    pub(crate) next_fault: Option<Fault>,
    pub(crate) poison: Option<Hash>,
    pub(crate) millis: i64,
    /// Whoever asks for a writer panics.
    pub(crate) bug: bool,
    locked_by: Option<u64>,
    /// Whose right it is to publish.
    publisher: Option<u64>,
    writers: u64,
}

#[derive(Clone)]
pub(crate) struct SimStore(pub(crate) Arc<Mutex<State>>);

impl SimStore {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            tables: Tables::default(),
            rng: Rng::new(seed),
            fault_every: 0,
            next_fault: None,
            poison: None,
            millis: 1_800_000_000_000,
            bug: false,
            locked_by: None,
            publisher: None,
            writers: 0,
        })))
    }

    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap())
    }

    /// Lets other tasks run, a random number of times: the interleaving comes from the seed.
    async fn pause(&self) {
        for _ in 0..self.with(|state| state.rng.below(4)) {
            tokio::task::yield_now().await;
        }
    }
}

struct SimConnection {
    store: SimStore,
    id: u64,
}

impl Drop for SimConnection {
    fn drop(&mut self) {
        let id = self.id;
        self.store.with(|state| {
            state.locked_by = state.locked_by.filter(|&by| by != id);
            state.publisher = state.publisher.filter(|&by| by != id);
        });
    }
}

impl State {
    fn commit(&mut self, round: &Round, id: u64) -> Result<Commit, StoreError> {
        if self.locked_by.is_some_and(|by| by != id) {
            return Ok(Commit::LostRace);
        }
        if round.entries.iter().any(|row| Some(row.leaf_hash) == self.poison) {
            return Err(StoreError::Data("poison".into()));
        }
        let newest = self.tables.heads.last().map_or((TreeSize(0), tlog::EMPTY_ROOT), |head| (head.size, head.root));
        if newest != (round.head.prev_size, round.prev_root) {
            return Ok(Commit::LostRace);
        }
        assert_eq!(round.head.size.0 - round.head.prev_size.0, round.entries.len() as u64);
        self.tables.heads.push(round.head);
        self.tables.entries.extend(round.entries.iter().map(|row| (Arc::clone(row), round.head.time)));
        self.tables.tiles.extend(round.full_tiles.iter().map(|tile| (tile.id, tile.clone())));
        for row in &round.timestamps {
            self.tables.timestamps.entry(row.leaf_index).or_insert_with(|| row.signature.clone());
        }
        Ok(Commit::Done)
    }

    fn fault(&mut self) -> Fault {
        if let Some(fault) = self.next_fault.take() {
            return fault;
        }
        if self.fault_every == 0 || self.rng.below(self.fault_every) > 0 {
            return Fault::None;
        }
        [Fault::Refused, Fault::LostBefore, Fault::LostAfter, Fault::Conflict][self.rng.below(4) as usize]
    }
}

#[async_trait]
impl Read for SimConnection {
    async fn newest_head(&mut self, _tree: TreeId) -> StoreResult<Option<HeadRow>> {
        self.store.pause().await;
        let head = self.store.with(|state| state.tables.heads.last().copied());
        self.store.pause().await;
        Ok(head)
    }

    async fn newest_publication(&mut self, _tree: TreeId) -> StoreResult<Option<PublicationRow>> {
        self.store.pause().await;
        Ok(self.store.with(|state| state.tables.publications.last().cloned()))
    }

    async fn leaf_hashes(&mut self, _tree: TreeId, range: Range<u64>) -> StoreResult<Vec<Hash>> {
        self.store.with(|state| {
            let rows = state.tables.entries.get(range.start as usize..range.end as usize);
            let rows = rows.ok_or_else(|| StoreError::Damaged("entry".into()))?;
            Ok(rows.iter().map(|(row, _)| row.leaf_hash).collect())
        })
    }

    async fn tile_roots(&mut self, _tree: TreeId, level: u8, range: Range<u64>) -> StoreResult<Vec<Hash>> {
        self.store.with(|state| {
            let root = |index| state.tables.tiles.get(&TileId { level, index }).map(|tile| tile.root);
            range.map(|index| root(index).ok_or_else(|| StoreError::Damaged("tile".into()))).collect()
        })
    }

    async fn full_tiles(&mut self, _tree: TreeId, tiles: &[TileId]) -> StoreResult<Vec<Vec<Hash>>> {
        self.store.pause().await;
        self.store.with(|state| {
            let tile = |id| state.tables.tiles.get(id).map(|tile| tile.hashes.clone());
            tiles.iter().map(|id| tile(id).ok_or_else(|| StoreError::Damaged("tile".into()))).collect()
        })
    }

    async fn find_leaves(&mut self, _tree: TreeId, hashes: &[Hash], size: TreeSize) -> StoreResult<Vec<EntryRef>> {
        self.store.pause().await;
        self.store.with(|state| {
            let rows = state.tables.entries.iter().take(size.0 as usize).enumerate();
            Ok(rows
                .filter(|(_, (row, _))| hashes.contains(&row.leaf_hash))
                .map(|(i, (row, _))| EntryRef { leaf_index: LeafIndex(i as u64), leaf_hash: row.leaf_hash })
                .collect())
        })
    }
}

impl State {
    fn publish(&mut self, publication: &PublicationRow) -> bool {
        let newest = self.tables.publications.last().map(|row| row.size);
        let follows = newest == publication.prev_size;
        if follows {
            assert!(newest < Some(publication.size), "the published size grows");
            self.tables.publications.push(publication.clone());
        }
        follows
    }
}

#[async_trait]
impl Publisher for SimConnection {
    async fn claim(&mut self, _tree: TreeId) -> StoreResult<bool> {
        self.store.pause().await;
        let id = self.id;
        Ok(self.store.with(|state| *state.publisher.get_or_insert(id) == id))
    }

    async fn release(&mut self, _tree: TreeId) -> StoreResult<()> {
        let id = self.id;
        self.store.with(|state| state.publisher = state.publisher.filter(|&by| by != id));
        Ok(())
    }

    async fn publish(&mut self, _tree: TreeId, publication: &PublicationRow) -> StoreResult<bool> {
        self.store.pause().await;
        let outcome = self.store.with(|state| match state.fault() {
            Fault::None => Ok(state.publish(publication)),
            Fault::Refused | Fault::Conflict => Err(StoreError::Unavailable("refused".into())),
            Fault::LostBefore => Err(StoreError::UnknownOutcome("lost before".into())),
            Fault::LostAfter => {
                state.publish(publication);
                Err(StoreError::UnknownOutcome("lost after".into()))
            }
        });
        self.store.pause().await;
        outcome
    }
}

#[async_trait]
impl Writer for SimConnection {
    async fn commit(&mut self, round: &Round) -> StoreResult<Commit> {
        self.store.pause().await;
        let outcome = self.store.with(|state| match state.fault() {
            Fault::None => state.commit(round, self.id),
            Fault::Refused => Err(StoreError::Unavailable("refused".into())),
            Fault::LostBefore => Err(StoreError::UnknownOutcome("lost before".into())),
            Fault::LostAfter => {
                drop(state.commit(round, self.id));
                Err(StoreError::UnknownOutcome("lost after".into()))
            }
            Fault::Conflict => Err(StoreError::Conflict("conflict".into())),
        });
        self.abandon().await?;
        self.store.pause().await;
        outcome
    }

    async fn begin_exclusive(&mut self, _tree: TreeId) -> StoreResult<()> {
        loop {
            let id = self.id;
            let taken = self.store.with(|state| state.locked_by.get_or_insert(id) == &id);
            if taken {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }

    async fn abandon(&mut self) -> StoreResult<()> {
        let id = self.id;
        self.store.with(|state| state.locked_by = state.locked_by.filter(|&by| by != id));
        Ok(())
    }
}

impl SimStore {
    fn connect(&self) -> SimConnection {
        let id = self.with(|state| {
            state.writers += 1;
            state.writers
        });
        SimConnection { store: self.clone(), id }
    }
}

#[async_trait]
impl Store for SimStore {
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
        Ok(Box::new(self.connect()))
    }

    async fn publisher(&self) -> StoreResult<Box<dyn Publisher>> {
        Ok(Box::new(self.connect()))
    }

    async fn trees(&self) -> StoreResult<Vec<TreeRow>> {
        self.pause().await;
        Ok(self.with(|state| state.tables.trees.clone()))
    }

    async fn create_tree(&self, tree: &TreeRow) -> StoreResult<bool> {
        self.pause().await;
        Ok(self.with(|state| {
            let first = state.tables.trees.is_empty();
            if first {
                state.tables.trees.push(tree.clone());
            }
            first
        }))
    }

    async fn heads(&self, _tree: TreeId, from: TreeSize, limit: u32) -> StoreResult<Vec<HeadRow>> {
        Ok(self.with(|state| {
            let heads = state.tables.heads.iter().filter(|head| head.prev_size >= from);
            heads.take(limit as usize).copied().collect()
        }))
    }

    async fn publications(
        &self,
        _tree: TreeId,
        from: Option<TreeSize>,
        limit: u32,
    ) -> StoreResult<Vec<PublicationRow>> {
        Ok(self.with(|state| {
            let rows = state.tables.publications.iter().filter(|row| row.prev_size >= from);
            rows.take(limit as usize).cloned().collect()
        }))
    }

    async fn entries(&self, _tree: TreeId, indexes: &[LeafIndex], size: TreeSize) -> StoreResult<Vec<StoredEntry>> {
        self.pause().await;
        Ok(self.with(|state| {
            let indexes = indexes.iter().filter(|index| index.0 < size.0);
            indexes
                .filter_map(|&leaf_index| {
                    let (row, time) = state.tables.entries.get(leaf_index.0 as usize)?;
                    Some(StoredEntry {
                        leaf_index,
                        leaf_hash: row.leaf_hash,
                        time: *time,
                        kind: row.kind.clone(),
                        body: row.body.clone(),
                        signed_entry_timestamp: state.tables.timestamps.get(&leaf_index).cloned(),
                        attestation: row.attestation.clone(),
                    })
                })
                .collect()
        }))
    }

    async fn bodies(&self, _tree: TreeId, range: Range<u64>) -> StoreResult<Vec<Vec<u8>>> {
        self.pause().await;
        Ok(self.with(|state| {
            let rows = &state.tables.entries[range.start as usize..range.end as usize];
            rows.iter().map(|(row, _)| row.body.clone()).collect()
        }))
    }

    async fn search(&self, _tree: TreeId, query: &Query<'_>) -> StoreResult<Page> {
        Ok(self.with(|state| {
            let rows = state.tables.entries.iter().enumerate().take(query.range.end as usize);
            let rows = rows.skip(query.range.start as usize).rev();
            let hits = rows.filter(|(_, (row, _))| {
                query.keys.iter().all(|key| row.index_keys.contains(key))
                    && (query.kinds.is_empty() || query.kinds.contains(&row.kind))
            });
            let hits = hits.map(|(index, (row, time))| FoundEntry {
                leaf_index: LeafIndex(index as u64),
                leaf_hash: row.leaf_hash,
                time: *time,
                kind: row.kind.clone(),
            });
            let entries: Vec<FoundEntry> = hits.take(query.limit as usize).collect();
            let last = entries.last().filter(|_| entries.len() == query.limit as usize);
            Page { down_to: last.map_or(query.range.start, |last| last.leaf_index.0), entries }
        }))
    }

    async fn first_at(&self, _tree: TreeId, time: i64, size: TreeSize) -> StoreResult<LeafIndex> {
        Ok(self.with(|state| {
            let entries = state.tables.entries.iter().take(size.0 as usize);
            LeafIndex(entries.filter(|(_, integrated)| *integrated < time).count() as u64)
        }))
    }

    async fn put_timestamps(&self, _tree: TreeId, timestamps: &[TimestampRow]) -> StoreResult<()> {
        self.pause().await;
        self.with(|state| {
            let size = state.tables.entries.len() as u64;
            for row in timestamps.iter().filter(|row| row.leaf_index.0 < size) {
                state.tables.timestamps.entry(row.leaf_index).or_insert_with(|| row.signature.clone());
            }
        });
        Ok(())
    }

    async fn now_millis(&self) -> StoreResult<i64> {
        Ok(self.with(|state| state.millis))
    }

    async fn audit_entries(&self, _tree: TreeId, range: Range<u64>) -> StoreResult<Vec<AuditEntry>> {
        Ok(self.with(|state| {
            range
                .filter_map(|i| {
                    let (row, time) = state.tables.entries.get(i as usize)?;
                    Some(AuditEntry {
                        leaf_index: LeafIndex(i),
                        leaf_hash: row.leaf_hash,
                        time: *time,
                        kind: row.kind.clone(),
                        body: Some(row.body.clone()),
                        index_keys: row.index_keys.clone(),
                        leaf_rows: vec![row.leaf_hash.0[..16].try_into().unwrap()],
                        index_key_rows: row.index_keys.iter().map(|key| IndexKeyHash::of(key)).collect(),
                        signed_entry_timestamp: state.tables.timestamps.get(&LeafIndex(i)).cloned(),
                        attestation: row.attestation.clone(),
                    })
                })
                .collect()
        }))
    }

    async fn audit_tiles(&self, _tree: TreeId, level: u8, from: u64, limit: u32) -> StoreResult<Vec<FullTile>> {
        Ok(self.with(|state| {
            let tiles = state.tables.tiles.range(TileId { level, index: from }..TileId { level: level + 1, index: 0 });
            tiles.take(limit as usize).map(|(_, tile)| tile.clone()).collect()
        }))
    }

    async fn audit_counts(&self, _tree: TreeId, size: TreeSize) -> StoreResult<AuditCounts> {
        Ok(self.with(|state| {
            let rows = &state.tables.entries;
            AuditCounts {
                entries: size.0.min(rows.len() as u64),
                bodies: size.0.min(rows.len() as u64),
                leaves: size.0.min(rows.len() as u64),
                index_keys: rows.iter().take(size.0 as usize).map(|(row, _)| row.index_keys.len() as u64).sum(),
                timestamps: state.tables.timestamps.len() as u64,
                attestations: rows.iter().take(size.0 as usize).filter(|(row, _)| row.attestation.is_some()).count()
                    as u64,
                beyond_newest_head: 0,
            }
        }))
    }
}
