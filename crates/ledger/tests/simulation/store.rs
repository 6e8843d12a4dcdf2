//! A database in memory whose faults come from a seed. No threads, no clock.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut, Range};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ledger::TreeId;
use ledger::store::*;
use tlog::{FullTile, Hash, LeafIndex, TileId, TreeSize};

/// Faults of a round's commit.
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
    /// By tree ID.
    pub(crate) rows: BTreeMap<i64, Rows>,
    /// By name and API of the log.
    pub(crate) next_keys: BTreeMap<(String, String), Vec<u8>>,
    pub(crate) servers: BTreeMap<String, ServerRow>,
    pub(crate) last_texts: BTreeMap<i64, FinalCheckpoint>,
    /// By their place: the first claim and its entry.
    pub(crate) claims: BTreeMap<(NameKey, bool), (Claim, TreeId, LeafIndex)>,
    none: Rows,
}

/// The rows of one tree.
#[derive(Clone, Default)]
pub(crate) struct Rows {
    pub(crate) heads: Vec<HeadRow>,
    pub(crate) entries: Vec<(Arc<EntryRow>, i64)>,
    pub(crate) tiles: BTreeMap<TileId, FullTile>,
    pub(crate) timestamps: BTreeMap<LeafIndex, Vec<u8>>,
    pub(crate) publications: Vec<PublicationRow>,
}

impl Rows {
    fn find(&self, hashes: &[Hash], size: TreeSize) -> Vec<EntryRef> {
        let rows = self.entries.iter().take(size.0 as usize).enumerate();
        rows.filter(|(_, (row, _))| hashes.contains(&row.leaf_hash))
            .map(|(i, (row, _))| EntryRef {
                leaf_index: LeafIndex(i as u64),
                leaf_hash: row.leaf_hash,
            })
            .collect()
    }
}

/// The rows of the newest tree, which is the only one unless a test rotates or has several logs.
impl Deref for Tables {
    type Target = Rows;

    fn deref(&self) -> &Rows {
        self.trees
            .last()
            .map_or(&self.none, |tree| self.of(tree.tree_id))
    }
}

impl DerefMut for Tables {
    fn deref_mut(&mut self) -> &mut Rows {
        let tree = self.trees.last().unwrap().tree_id;
        self.of_mut(tree)
    }
}

impl Tables {
    pub(crate) fn of(&self, tree: TreeId) -> &Rows {
        self.rows.get(&tree.0).unwrap_or(&self.none)
    }

    pub(crate) fn of_mut(&mut self, tree: TreeId) -> &mut Rows {
        self.rows.entry(tree.0).or_default()
    }

    fn has_key(&self, spki: &[u8]) -> bool {
        let mut keys = self.trees.iter().flat_map(|tree| &tree.keys);
        keys.any(|key| key.spki == spki)
    }

    /// Removes the registered key of a log if it is this one.
    fn forget_next_key(&mut self, log: LogName<'_>, spki: &[u8]) -> bool {
        let log = key_of(log);
        let is_this = self.next_keys.get(&log).is_some_and(|key| key == spki);
        if is_this {
            self.next_keys.remove(&log);
        }
        is_this
    }

    fn claim(&self, claim: &Claim, tree: TreeId, leaf_index: LeafIndex) -> StoredClaim {
        let row = self.trees.iter().find(|row| row.tree_id == tree).unwrap();
        StoredClaim {
            key: claim.key,
            values: claim.values.clone(),
            entry: Claimant {
                tree,
                leaf_index,
                log_index: row.first_log_index + leaf_index.0,
                leaf_hash: self.of(tree).entries[leaf_index.0 as usize].0.leaf_hash,
            },
        }
    }

    fn standing(&self, tree: TreeId) -> Option<Standing> {
        let row = self.trees.iter().find(|row| row.tree_id == tree)?;
        Some(Standing {
            state: row.state,
            head: self.of(tree).heads.last().copied(),
        })
    }
}

fn key_of(log: LogName<'_>) -> (String, String) {
    (log.name.to_owned(), log.api.to_owned())
}

pub(crate) struct State {
    pub(crate) tables: Tables,
    pub(crate) rng: Rng,
    /// One commit in this many has a fault; 0 for none.
    pub(crate) fault_every: u64,
    /// The tree whose commits have no faults all the same.
    pub(crate) spared: Option<TreeId>,
    /// The tree whose commits wait for ever.
    pub(crate) stuck: Option<TreeId>,
    /// The fault of the next commit, whatever the seed says.
    pub(crate) next_fault: Option<Fault>,
    pub(crate) poison: Option<Hash>,
    /// The wall clock of all servers.
    pub(crate) millis: i64,
    /// Their boot clock.
    pub(crate) boot_millis: u64,
    /// The next commits answer, last one first, that the clocks differ by this many milliseconds.
    pub(crate) skews: Vec<i64>,
    /// Asking for a writer panics.
    pub(crate) bug: bool,
    /// Asking for a writer waits for ever.
    pub(crate) hangs: bool,
    /// No head that was read back is confirmed.
    pub(crate) unconfirmed: bool,
    /// How often the newest head was asked for.
    pub(crate) asked: u64,
    /// How often the database was put back to a copy.
    pub(crate) restored: u64,
    /// The holder of the lock of each tree.
    locked_by: BTreeMap<i64, u64>,
    /// The holder of the lock of all claims.
    claims_locked_by: Option<u64>,
    /// The holder of the right to publish each tree.
    pub(crate) publishers: BTreeMap<i64, u64>,
    writers: u64,
}

impl State {
    /// Gives back all locks of a connection.
    fn unlock(&mut self, id: u64) {
        self.locked_by.retain(|_, by| *by != id);
        self.claims_locked_by = self.claims_locked_by.filter(|by| *by != id);
    }

    /// Lets time pass on both clocks. Returns the wall clock.
    pub(crate) fn pass(&mut self, millis: u32) -> i64 {
        self.millis += i64::from(millis);
        self.boot_millis += u64::from(millis);
        self.millis
    }
}

#[derive(Clone)]
pub(crate) struct SimStore(pub(crate) Arc<Mutex<State>>);

impl SimStore {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            tables: Tables::default(),
            rng: Rng::new(seed),
            fault_every: 0,
            spared: None,
            stuck: None,
            next_fault: None,
            poison: None,
            millis: 1_800_000_000_000,
            boot_millis: 0,
            skews: Vec::new(),
            bug: false,
            hangs: false,
            unconfirmed: false,
            asked: 0,
            restored: 0,
            locked_by: BTreeMap::new(),
            claims_locked_by: None,
            publishers: BTreeMap::new(),
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
            state.unlock(id);
            state.publishers.retain(|_, by| *by != id);
        });
    }
}

impl State {
    /// Decides on a snapshot that may be older than this moment, as a statement of Postgres does:
    /// only the lock and the primary key of `head` tell what came since.
    fn commit(
        &mut self,
        round: &Round,
        snapshot: Option<Standing>,
        id: u64,
    ) -> Result<Commit, StoreError> {
        let tree = round.tree_id;
        if self.locked_by.get(&tree.0).is_some_and(|by| *by != id) {
            return Ok(Commit::LostRace);
        }
        if round
            .entries
            .iter()
            .any(|row| Some(row.leaf_hash) == self.poison)
        {
            return Err(StoreError::Data("poison".into()));
        }
        let Some(Standing {
            state: TreeState::Active,
            head,
        }) = snapshot
        else {
            return Ok(Commit::NotOurs);
        };
        let newest = head.map_or((TreeSize(0), tlog::EMPTY_ROOT), |head| {
            (head.size, head.root)
        });
        if newest != (round.head.prev_size, round.prev_root) {
            return Ok(Commit::LostRace);
        }
        let hashes: Vec<Hash> = round.entries.iter().map(|row| row.leaf_hash).collect();
        let stored = self.tables.of(tree).find(&hashes, newest.0);
        if !stored.is_empty() {
            return Ok(Commit::Duplicates(stored));
        }
        if !round.claims.rows.is_empty() && self.claims_locked_by.is_some_and(|by| by != id) {
            return Ok(Commit::LostRace);
        }
        let is_taken =
            |(claim, _): &&(Claim, LeafIndex)| self.tables.claims.contains_key(&claim.place());
        if round.claims.taken == Taken::Refused
            && round.claims.rows.iter().any(|row| is_taken(&row))
        {
            return Err(StoreError::Conflict("taken".into()));
        }
        let rows = self.tables.of_mut(tree);
        if rows
            .heads
            .iter()
            .any(|head| head.prev_size == round.head.prev_size)
        {
            return Ok(Commit::LostRace);
        }
        assert_eq!(
            round.head.size.0 - round.head.prev_size.0,
            round.entries.len() as u64
        );
        rows.heads.push(round.head);
        rows.entries.extend(
            round
                .entries
                .iter()
                .map(|row| (Arc::clone(row), round.head.time)),
        );
        rows.tiles
            .extend(round.full_tiles.iter().map(|tile| (tile.id, tile.clone())));
        for (claim, index) in &round.claims.rows {
            let first = (claim.clone(), tree, *index);
            self.tables.claims.entry(claim.place()).or_insert(first);
        }
        let rows = self.tables.of_mut(tree);
        for row in &round.timestamps {
            rows.timestamps
                .entry(row.leaf_index)
                .or_insert_with(|| row.signature.to_vec());
        }
        Ok(Commit::Done)
    }

    fn fault(&mut self, tree: TreeId) -> Fault {
        if let Some(fault) = self.next_fault.take() {
            return fault;
        }
        if self.spared == Some(tree)
            || self.fault_every == 0
            || self.rng.below(self.fault_every) > 0
        {
            return Fault::None;
        }
        [
            Fault::Refused,
            Fault::LostBefore,
            Fault::LostAfter,
            Fault::Conflict,
        ][self.rng.below(4) as usize]
    }
}

#[async_trait]
impl Read for SimConnection {
    async fn standings(&mut self, trees: &[TreeId]) -> StoreResult<Vec<Option<Standing>>> {
        self.store.pause().await;
        let standings = self.store.with(|state| {
            state.asked += 1;
            let standings = trees.iter().map(|tree| state.tables.standing(*tree));
            standings.collect()
        });
        self.store.pause().await;
        Ok(standings)
    }

    async fn newest_head(&mut self, tree: TreeId) -> StoreResult<Option<HeadRow>> {
        self.store.pause().await;
        let head = self
            .store
            .with(|state| state.tables.of(tree).heads.last().copied());
        self.store.pause().await;
        Ok(head)
    }

    async fn newest_publication(&mut self, tree: TreeId) -> StoreResult<Option<PublicationRow>> {
        self.store.pause().await;
        Ok(self
            .store
            .with(|state| state.tables.of(tree).publications.last().cloned()))
    }

    async fn leaf_hashes(&mut self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<Hash>> {
        self.store.with(|state| {
            let rows = state
                .tables
                .of(tree)
                .entries
                .get(range.start as usize..range.end as usize);
            let rows = rows.ok_or_else(|| StoreError::Damaged("entry".into()))?;
            Ok(rows.iter().map(|(row, _)| row.leaf_hash).collect())
        })
    }

    async fn tile_roots(
        &mut self,
        tree: TreeId,
        level: u8,
        range: Range<u64>,
    ) -> StoreResult<Vec<Hash>> {
        self.store.with(|state| {
            let root = |index| {
                state
                    .tables
                    .of(tree)
                    .tiles
                    .get(&TileId { level, index })
                    .map(|tile| tile.root)
            };
            range
                .map(|index| root(index).ok_or_else(|| StoreError::Damaged("tile".into())))
                .collect()
        })
    }

    async fn full_tiles(&mut self, tree: TreeId, tiles: &[TileId]) -> StoreResult<Vec<Vec<Hash>>> {
        self.store.pause().await;
        self.store.with(|state| {
            let tile = |id| {
                state
                    .tables
                    .of(tree)
                    .tiles
                    .get(id)
                    .map(|tile| tile.hashes.clone())
            };
            tiles
                .iter()
                .map(|id| tile(id).ok_or_else(|| StoreError::Damaged("tile".into())))
                .collect()
        })
    }

    async fn find_leaves(
        &mut self,
        tree: TreeId,
        hashes: &[Hash],
        size: TreeSize,
    ) -> StoreResult<Vec<EntryRef>> {
        self.store.pause().await;
        Ok(self
            .store
            .with(|state| state.tables.of(tree).find(hashes, size)))
    }

    async fn find_claims(&mut self, names: &[NameKey]) -> StoreResult<Vec<StoredClaim>> {
        self.store.pause().await;
        Ok(self.store.with(|state| {
            let claims = state.tables.claims.values();
            let wanted = claims.filter(|(claim, ..)| names.contains(&claim.key));
            wanted
                .map(|(claim, tree, index)| state.tables.claim(claim, *tree, *index))
                .collect()
        }))
    }
}

impl State {
    fn publish(&mut self, tree: TreeId, publication: &PublicationRow) -> bool {
        let rows = self.tables.of_mut(tree);
        let newest = rows.publications.last().map(|row| row.size);
        let follows = newest == publication.prev_size;
        if follows {
            assert!(newest < Some(publication.size), "the published size grows");
            rows.publications.push(publication.clone());
        }
        follows
    }
}

#[async_trait]
impl Publisher for SimConnection {
    async fn claim(&mut self, tree: TreeId) -> StoreResult<bool> {
        self.store.pause().await;
        let id = self.id;
        Ok(self
            .store
            .with(|state| *state.publishers.entry(tree.0).or_insert(id) == id))
    }

    async fn release(&mut self, tree: TreeId) -> StoreResult<()> {
        let id = self.id;
        self.store
            .with(|state| state.publishers.retain(|of, by| *of != tree.0 || *by != id));
        Ok(())
    }

    async fn publish(&mut self, tree: TreeId, publication: &PublicationRow) -> StoreResult<bool> {
        self.store.pause().await;
        let outcome = self.store.with(|state| match state.fault(tree) {
            Fault::None => Ok(state.publish(tree, publication)),
            Fault::Refused | Fault::Conflict => Err(StoreError::Unavailable("refused".into())),
            Fault::LostBefore => Err(StoreError::UnknownOutcome("lost before".into())),
            Fault::LostAfter => {
                state.publish(tree, publication);
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
        if self.store.with(|state| state.stuck == Some(round.tree_id)) {
            std::future::pending::<()>().await;
        }
        let (snapshot, restored) = self.store.with(|state| {
            let standing = state.tables.standing(round.tree_id);
            (standing, state.restored)
        });
        self.store.pause().await;
        let outcome = self.store.with(|state| match state.fault(round.tree_id) {
            // The statement ran in a database that is gone.
            _ if state.restored != restored => Err(StoreError::UnknownOutcome("cut off".into())),
            Fault::None => match state.skews.pop() {
                Some(millis) => Ok(Commit::ClockSkew(millis)),
                None => state.commit(round, snapshot, self.id),
            },
            Fault::Refused => Err(StoreError::Unavailable("refused".into())),
            Fault::LostBefore => Err(StoreError::UnknownOutcome("lost before".into())),
            Fault::LostAfter => {
                drop(state.commit(round, snapshot, self.id));
                Err(StoreError::UnknownOutcome("lost after".into()))
            }
            Fault::Conflict => Err(StoreError::Conflict("conflict".into())),
        });
        if !matches!(outcome, Ok(Commit::Duplicates(_))) {
            self.abandon().await?;
        }
        self.store.pause().await;
        outcome
    }

    async fn begin_exclusive(&mut self, tree: TreeId) -> StoreResult<()> {
        loop {
            let id = self.id;
            let taken = self
                .store
                .with(|state| *state.locked_by.entry(tree.0).or_insert(id) == id);
            if taken {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }

    async fn lock_claims(&mut self) -> StoreResult<()> {
        let id = self.id;
        let is_exclusive = |state: &State| state.locked_by.values().any(|by| *by == id);
        while self.store.with(|state| is_exclusive(state)) {
            let holder = self
                .store
                .with(|state| *state.claims_locked_by.get_or_insert(id));
            if holder == id {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn abandon(&mut self) -> StoreResult<()> {
        let id = self.id;
        self.store.with(|state| state.unlock(id));
        Ok(())
    }
}

impl SimStore {
    fn connect(&self) -> SimConnection {
        let id = self.with(|state| {
            state.writers += 1;
            state.writers
        });
        SimConnection {
            store: self.clone(),
            id,
        }
    }
}

#[async_trait]
impl Rotation for SimStore {
    async fn register_next_key(&self, log: LogName<'_>, spki: &[u8]) -> StoreResult<bool> {
        Ok(self.with(|state| {
            let mut others = state.tables.next_keys.iter();
            let is_others = others.any(|(other, key)| *other != key_of(log) && key == spki);
            let is_used = is_others || state.tables.has_key(spki);
            if !is_used {
                state.tables.next_keys.insert(key_of(log), spki.to_vec());
            }
            !is_used
        }))
    }

    async fn next_key(&self, log: LogName<'_>) -> StoreResult<Option<Vec<u8>>> {
        Ok(self.with(|state| state.tables.next_keys.get(&key_of(log)).cloned()))
    }

    async fn forget_next_key(&self, log: LogName<'_>, spki: &[u8]) -> StoreResult<()> {
        self.with(|state| state.tables.forget_next_key(log, spki));
        Ok(())
    }

    async fn withdraw_next_key(
        &self,
        tree: TreeId,
        log: LogName<'_>,
        spki: &[u8],
    ) -> StoreResult<bool> {
        let mut connection = self.connect();
        connection.begin_exclusive(tree).await?;
        self.pause().await;
        Ok(self.with(|state| {
            let is_used = state.tables.has_key(spki);
            !is_used && state.tables.forget_next_key(log, spki)
        }))
    }

    async fn note_server(&self, server: &ServerRow) -> StoreResult<()> {
        self.with(|state| {
            state.millis += 1;
            let row = ServerRow {
                seen: state.millis,
                ..server.clone()
            };
            state.tables.servers.insert(row.server_id.clone(), row)
        });
        Ok(())
    }

    async fn forget_server(&self, server_id: &str) -> StoreResult<()> {
        self.with(|state| state.tables.servers.remove(server_id));
        Ok(())
    }

    async fn servers(&self, _: &str, _: Duration) -> StoreResult<Vec<ServerRow>> {
        Ok(self.with(|state| state.tables.servers.values().cloned().collect()))
    }

    async fn freeze(&self, tree: TreeId, next: &TreeRow) -> StoreResult<Freeze> {
        let mut connection = self.connect();
        connection.begin_exclusive(tree).await?;
        self.pause().await;
        match self.with(|state| state.fault(tree)) {
            Fault::None => Ok(self.with(|state| state.freeze(tree, next))),
            Fault::Refused | Fault::Conflict => Err(StoreError::Unavailable("refused".into())),
            Fault::LostBefore => Err(StoreError::UnknownOutcome("lost before".into())),
            Fault::LostAfter => {
                self.with(|state| state.freeze(tree, next));
                Err(StoreError::UnknownOutcome("lost after".into()))
            }
        }
    }

    async fn unsigned(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<LeafIndex>> {
        self.pause().await;
        Ok(self.with(|state| {
            let signed = &state.tables.of(tree).timestamps;
            range
                .map(LeafIndex)
                .filter(|index| !signed.contains_key(index))
                .collect()
        }))
    }

    async fn keep_final(&self, tree: TreeId, last: &FinalCheckpoint) -> StoreResult<()> {
        self.pause().await;
        self.with(|state| {
            let is_frozen = state
                .tables
                .standing(tree)
                .is_some_and(|standing| standing.state == TreeState::Frozen);
            if is_frozen {
                state
                    .tables
                    .last_texts
                    .entry(tree.0)
                    .or_insert_with(|| last.clone());
            }
        });
        Ok(())
    }

    async fn final_checkpoint(&self, tree: TreeId) -> StoreResult<Option<FinalCheckpoint>> {
        Ok(self.with(|state| state.tables.last_texts.get(&tree.0).cloned()))
    }
}

impl State {
    fn freeze(&mut self, tree: TreeId, next: &TreeRow) -> Freeze {
        let log = (next.name.clone(), next.api.clone());
        let registered = self.tables.next_keys.get(&log);
        let is_registered = registered == next.keys.first().map(|key| &key.spki)
            && registered.is_none_or(|spki| !self.tables.has_key(spki));
        let mut trees = self.tables.trees.iter_mut();
        let old = trees.find(|row| row.tree_id == tree && row.state == TreeState::Active);
        let Some(old) = old.filter(|_| is_registered) else {
            return Freeze::Refused;
        };
        old.state = TreeState::Frozen;
        let first = old.first_log_index;
        let rows = self.tables.rows.entry(tree.0).or_default();
        let last = match rows.heads.last() {
            Some(head) => HeadRow {
                prev_size: head.size,
                ..*head
            },
            None => HeadRow {
                prev_size: TreeSize(0),
                size: TreeSize(0),
                root: tlog::EMPTY_ROOT,
                time: 0,
            },
        };
        rows.heads.push(last);
        old.frozen_at = Some(next.created_at.max(last.time));
        self.tables.trees.push(TreeRow {
            first_log_index: first + last.size.0,
            ..next.clone()
        });
        Freeze::Done(last)
    }
}

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
        Ok(Box::new(self.connect()))
    }

    async fn publisher(&self) -> StoreResult<Box<dyn Publisher>> {
        Ok(Box::new(self.connect()))
    }

    async fn trees(&self) -> StoreResult<Vec<TreeRow>> {
        self.pause().await;
        Ok(self.with(|state| state.tables.trees.clone()))
    }

    async fn create_trees(&self, trees: &[TreeRow]) -> StoreResult<bool> {
        self.pause().await;
        Ok(self.with(|state| {
            let stored = &mut state.tables.trees;
            let log = |row: &TreeRow| (row.name.clone(), row.api.clone());
            let is_new = |row: &TreeRow| stored.iter().all(|held| log(held) != log(row));
            let are_new = trees.iter().all(is_new);
            if are_new {
                stored.extend_from_slice(trees);
            }
            are_new
        }))
    }

    async fn heads(&self, tree: TreeId, from: TreeSize, limit: u32) -> StoreResult<Vec<HeadRow>> {
        Ok(self.with(|state| {
            let heads = state
                .tables
                .of(tree)
                .heads
                .iter()
                .filter(|head| head.prev_size >= from);
            heads.take(limit as usize).copied().collect()
        }))
    }

    async fn publications(
        &self,
        tree: TreeId,
        from: Option<TreeSize>,
        limit: u32,
    ) -> StoreResult<Vec<PublicationRow>> {
        Ok(self.with(|state| {
            let rows = state
                .tables
                .of(tree)
                .publications
                .iter()
                .filter(|row| row.prev_size >= from);
            rows.take(limit as usize).cloned().collect()
        }))
    }

    async fn entries(
        &self,
        tree: TreeId,
        indexes: &[LeafIndex],
        size: TreeSize,
    ) -> StoreResult<Vec<StoredEntry>> {
        self.pause().await;
        Ok(self.with(|state| {
            let indexes = indexes.iter().filter(|index| index.0 < size.0);
            indexes
                .filter_map(|&leaf_index| {
                    let (row, time) = state.tables.of(tree).entries.get(leaf_index.0 as usize)?;
                    Some(StoredEntry {
                        leaf_index,
                        leaf_hash: row.leaf_hash,
                        time: *time,
                        kind: row.kind.clone(),
                        body: Some(row.body.clone()),
                        signed_entry_timestamp: state
                            .tables
                            .of(tree)
                            .timestamps
                            .get(&leaf_index)
                            .cloned(),
                        attested: row.attestation.is_some(),
                        attestation: row.attestation.clone(),
                    })
                })
                .collect()
        }))
    }

    async fn body_lengths(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<u64>> {
        Ok(self.with(|state| {
            let rows = &state.tables.of(tree).entries[range.start as usize..range.end as usize];
            rows.iter().map(|(row, _)| row.body.len() as u64).collect()
        }))
    }

    async fn bodies(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<Vec<u8>>> {
        self.pause().await;
        Ok(self.with(|state| {
            let rows = &state.tables.of(tree).entries[range.start as usize..range.end as usize];
            rows.iter().map(|(row, _)| row.body.clone()).collect()
        }))
    }

    async fn put_timestamps(&self, tree: TreeId, timestamps: &[TimestampRow]) -> StoreResult<()> {
        self.pause().await;
        self.with(|state| {
            let size = state.tables.of(tree).entries.len() as u64;
            for row in timestamps.iter().filter(|row| row.leaf_index.0 < size) {
                state
                    .tables
                    .of_mut(tree)
                    .timestamps
                    .entry(row.leaf_index)
                    .or_insert_with(|| row.signature.to_vec());
            }
        });
        Ok(())
    }

    async fn confirm(&self, tree: TreeId, size: TreeSize, root: &Hash) -> StoreResult<()> {
        self.with(|state| {
            let heads = &state.tables.of(tree).heads;
            let mut heads = heads.iter().map(|head| (head.size, head.root));
            let is_there = size.0 == 0 || heads.any(|head| head == (size, *root));
            match is_there && !state.unconfirmed {
                true => Ok(()),
                false => Err(StoreError::Unavailable("not confirmed".into())),
            }
        })
    }

    async fn now_millis(&self) -> StoreResult<i64> {
        Ok(self.with(|state| state.millis))
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
        Ok(self.with(|state| {
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
            range.map(row).collect()
        }))
    }
}

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
