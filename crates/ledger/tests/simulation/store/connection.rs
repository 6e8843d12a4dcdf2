//! The connections of sequencers, publishers and readers.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use ledger::TreeId;
use ledger::store::*;
use tlog::{Hash, TileId, TreeSize};
use tokio::time::{Instant, sleep};

use super::faults::{Fault, Unanswered};
use super::{SimStore, State};

/// Longest wait for a lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct SimConnection {
    store: SimStore,
    id: u64,
    /// Whether a call failed: then the connection is closed.
    is_spent: bool,
}

impl SimStore {
    pub(super) fn connect(&self) -> SimConnection {
        let id = self.with(|state| {
            let id = state.next_connection();
            state.connections.insert(id, self.server);
            id
        });
        SimConnection {
            store: self.clone(),
            id,
            is_spent: false,
        }
    }
}

impl Drop for SimConnection {
    fn drop(&mut self) {
        self.store.with(|state| state.hang_up(self.id));
    }
}

impl SimConnection {
    fn check(&self) -> StoreResult<()> {
        match self.is_spent {
            true => Err(StoreError::Unavailable("the connection is gone".into())),
            false => Ok(()),
        }
    }

    /// Closes the connection if a call failed.
    fn ended<T>(&mut self, outcome: StoreResult<T>) -> StoreResult<T> {
        if outcome.is_err() {
            self.is_spent = true;
            self.store.with(|state| state.hang_up(self.id));
        }
        outcome
    }

    async fn read<T>(
        &mut self,
        name: &'static str,
        rows: impl FnOnce(&mut State) -> StoreResult<T>,
    ) -> StoreResult<T> {
        self.check()?;
        let answer = self.store.read(name, rows).await;
        self.ended(answer)
    }

    /// Commits a round whose answer does not come.
    async fn commit_unanswered(
        &self,
        round: &Round,
        snapshot: Option<Standing>,
        goes_on: Unanswered,
    ) {
        let (id, round, tree) = (self.id, round.clone(), round.tree_id);
        let has_lock = self
            .store
            .with(|state| state.locked_by.get(&tree.0) == Some(&id));
        match goes_on {
            Unanswered::Nothing => {}
            Unanswered::Applied => {
                drop(self.store.with(|state| state.commit(&round, snapshot, id)))
            }
            // What comes late on a connection that holds the lock finds that the lock is held still.
            Unanswered::Late if !has_lock => self.store.apply_later(move |state| {
                let (id, snapshot) = (state.next_connection(), state.tables.standing(tree));
                drop(state.commit(&round, snapshot, id));
            }),
            Unanswered::Running | Unanswered::Late => {
                let session = self.store.with(|state| {
                    let session = state.next_connection();
                    if has_lock {
                        state.locked_by.remove(&tree.0);
                    }
                    if state.claims_locked_by == Some(id) {
                        state.claims_locked_by = Some(session);
                    }
                    state.locked_by.entry(tree.0).or_insert(session);
                    session
                });
                self.store.apply_later(move |state| {
                    drop(state.commit(&round, snapshot, session));
                    state.unlock(session);
                });
            }
        }
    }

    async fn try_commit(&mut self, round: &Round) -> StoreResult<Commit> {
        let fault = self.store.begin("commit").await;
        if self.store.with(|state| state.stuck == Some(round.tree_id)) {
            std::future::pending::<()>().await;
        }
        let (snapshot, restored) = self.store.with(|state| {
            let standing = state.tables.standing(round.tree_id);
            (standing, state.restored)
        });
        self.store.pause().await;
        self.store.wait_awake().await;
        // The statement ran in a database that is gone.
        if self.store.with(|state| state.restored != restored) {
            return Err(StoreError::UnknownOutcome("cut off".into()));
        }
        let fault = match fault {
            Fault::None => self.store.with(|state| state.fault(round.tree_id)),
            fault => fault,
        };
        let unanswered = self.store.unanswered(fault, StoreError::UnknownOutcome);
        let Some((goes_on, error)) = unanswered.await else {
            if fault == Fault::Forgotten {
                return Ok(Commit::Done);
            }
            return self.store.with(|state| match state.skews.pop() {
                Some(millis) => Ok(Commit::ClockSkew(millis)),
                None => state.commit(round, snapshot, self.id),
            });
        };
        self.commit_unanswered(round, snapshot, goes_on).await;
        self.store.die_of(fault).await;
        Err(error)
    }
}

#[async_trait]
impl Read for SimConnection {
    async fn standings(&mut self, trees: &[TreeId]) -> StoreResult<Vec<Option<Standing>>> {
        self.read("standings", |state| {
            state.asked += 1;
            let standings = trees.iter().map(|tree| state.tables.standing(*tree));
            Ok(standings.collect())
        })
        .await
    }

    async fn newest_head(&mut self, tree: TreeId) -> StoreResult<Option<HeadRow>> {
        self.read("newest_head", |state| {
            Ok(state.tables.of(tree).heads.last().copied())
        })
        .await
    }

    async fn newest_publication(&mut self, tree: TreeId) -> StoreResult<Option<PublicationRow>> {
        self.read("newest_publication", |state| {
            Ok(state.tables.of(tree).publications.last().cloned())
        })
        .await
    }

    async fn leaf_hashes(&mut self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<Hash>> {
        self.read("leaf_hashes", |state| {
            let entries = &state.tables.of(tree).entries;
            let rows = entries.get(range.start as usize..range.end as usize);
            let rows = rows.ok_or_else(|| StoreError::Damaged("entry".into()))?;
            Ok(rows.iter().map(|(row, _)| row.leaf_hash).collect())
        })
        .await
    }

    async fn tile_roots(
        &mut self,
        tree: TreeId,
        level: u8,
        range: Range<u64>,
    ) -> StoreResult<Vec<Hash>> {
        self.read("tile_roots", |state| {
            let tiles = &state.tables.of(tree).tiles;
            let root = |index| tiles.get(&TileId { level, index }).map(|tile| tile.root);
            range
                .map(|index| root(index).ok_or_else(|| StoreError::Damaged("tile".into())))
                .collect()
        })
        .await
    }

    async fn full_tiles(&mut self, tree: TreeId, tiles: &[TileId]) -> StoreResult<Vec<Vec<Hash>>> {
        self.read("full_tiles", |state| {
            let stored = &state.tables.of(tree).tiles;
            let tile = |id| stored.get(id).map(|tile| tile.hashes.clone());
            tiles
                .iter()
                .map(|id| tile(id).ok_or_else(|| StoreError::Damaged("tile".into())))
                .collect()
        })
        .await
    }

    async fn find_leaves(
        &mut self,
        tree: TreeId,
        hashes: &[Hash],
        size: TreeSize,
    ) -> StoreResult<Vec<EntryRef>> {
        self.read("find_leaves", |state| {
            Ok(state.tables.of(tree).find(hashes, size))
        })
        .await
    }

    async fn find_claims(&mut self, names: &[NameKey]) -> StoreResult<Vec<StoredClaim>> {
        self.read("find_claims", |state| {
            let claims = state.tables.claims.values();
            let wanted = claims.filter(|(claim, ..)| names.contains(&claim.key));
            Ok(wanted
                .map(|(claim, tree, index)| state.tables.claim(claim, *tree, *index))
                .collect())
        })
        .await
    }
}

#[async_trait]
impl Publisher for SimConnection {
    async fn claim(&mut self, tree: TreeId) -> StoreResult<bool> {
        let id = self.id;
        self.read("claim", |state| {
            Ok(*state.publishers.entry(tree.0).or_insert(id) == id)
        })
        .await
    }

    async fn release(&mut self, tree: TreeId) -> StoreResult<()> {
        let id = self.id;
        self.read("release", |state| {
            state.publishers.retain(|of, by| *of != tree.0 || *by != id);
            Ok(())
        })
        .await
    }

    async fn publish(&mut self, tree: TreeId, publication: &PublicationRow) -> StoreResult<bool> {
        self.check()?;
        let fault = match self.store.begin("publish").await {
            Fault::None => self.store.with(|state| state.fault(tree)),
            // No transaction of several statements.
            Fault::Conflict => Fault::Refused,
            fault => fault,
        };
        let publication = publication.clone();
        let publish = move |state: &mut State| state.publish(tree, &publication);
        let unknown = StoreError::UnknownOutcome;
        let outcome = self.store.write_with(fault, unknown, publish).await;
        self.ended(outcome)
    }
}

#[async_trait]
impl Writer for SimConnection {
    async fn commit(&mut self, round: &Round) -> StoreResult<Commit> {
        self.check()?;
        let outcome = self.try_commit(round).await;
        if matches!(outcome, Ok(ref commit) if !matches!(commit, Commit::Duplicates(_))) {
            self.store.with(|state| state.unlock(self.id));
        }
        let outcome = self.ended(outcome);
        self.store.pause().await;
        self.store.wait_awake().await;
        outcome
    }

    async fn begin_exclusive(&mut self, tree: TreeId) -> StoreResult<()> {
        self.check()?;
        let (id, end) = (self.id, Instant::now() + LOCK_TIMEOUT);
        let begun = self.store.read("begin_exclusive", |_| Ok(())).await;
        self.ended(begun)?;
        loop {
            let taken = self
                .store
                .with(|state| *state.locked_by.entry(tree.0).or_insert(id) == id);
            if taken {
                return Ok(());
            }
            if Instant::now() > end {
                return self.ended(Err(StoreError::Unavailable("the lock is held".into())));
            }
            sleep(Duration::from_millis(1)).await;
            self.store.wait_awake().await;
        }
    }

    async fn lock_claims(&mut self) -> StoreResult<()> {
        self.check()?;
        let (id, end) = (self.id, Instant::now() + LOCK_TIMEOUT);
        let begun = self.store.read("lock_claims", |_| Ok(())).await;
        self.ended(begun)?;
        let is_exclusive = |state: &State| state.locked_by.values().any(|by| *by == id);
        while self.store.with(|state| is_exclusive(state)) {
            let holder = self
                .store
                .with(|state| *state.claims_locked_by.get_or_insert(id));
            if holder == id {
                break;
            }
            if Instant::now() > end {
                return self.ended(Err(StoreError::Unavailable("the lock is held".into())));
            }
            sleep(Duration::from_millis(1)).await;
            self.store.wait_awake().await;
        }
        Ok(())
    }

    async fn abandon(&mut self) -> StoreResult<()> {
        let id = self.id;
        self.read("abandon", |state| {
            state.unlock(id);
            Ok(())
        })
        .await
    }
}
