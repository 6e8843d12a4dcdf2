//! The contract of one connection: reads, rounds, publications.

use std::ops::Range;

use async_trait::async_trait;
use tlog::{Hash, TileId, TreeSize};
use tokio::sync::OwnedMutexGuard;

use super::claims::{NameKey, StoredClaim};
use super::error::StoreResult;
use super::rotation::Standing;
use super::rows::{Commit, EntryRef, HeadRow, PublicationRow, Round};
use crate::TreeId;

/// Reads that both the pool and the sequencer's connection answer.
///
/// Every query that could show an entry takes the size below which leaf indexes may be shown.
#[async_trait]
pub trait Read: Send {
    /// Returns the state and the newest head of each of `trees`, in their order; those of a tree are
    /// of one moment. `None` where there is no such tree. Fails with
    /// [`StoreError::Unavailable`](super::StoreError::Unavailable) on a standby, which may lag.
    async fn standings(&mut self, trees: &[TreeId]) -> StoreResult<Vec<Option<Standing>>>;
    /// Returns the state and the newest head of a tree; see [`Read::standings`].
    async fn standing(&mut self, tree: TreeId) -> StoreResult<Option<Standing>> {
        Ok(self.standings(&[tree]).await?.pop().flatten())
    }
    /// Returns the newest head; `None` for an empty tree.
    async fn newest_head(&mut self, tree: TreeId) -> StoreResult<Option<HeadRow>>;
    /// Returns the newest publication; `None` for a tree that never had a witness policy.
    async fn newest_publication(&mut self, tree: TreeId) -> StoreResult<Option<PublicationRow>>;
    /// Returns the leaf hashes of `range`, at most 256. Fails with
    /// [`StoreError::Damaged`](super::StoreError::Damaged) if one is missing.
    async fn leaf_hashes(&mut self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<Hash>>;
    /// Returns the roots of the full tiles `range` of `level`, at most 256. Fails with
    /// [`StoreError::Damaged`](super::StoreError::Damaged) if one is missing.
    async fn tile_roots(
        &mut self,
        tree: TreeId,
        level: u8,
        range: Range<u64>,
    ) -> StoreResult<Vec<Hash>>;
    /// Returns the 256 hashes of each of `tiles`, in order. Fails with
    /// [`StoreError::Damaged`](super::StoreError::Damaged) if one is missing.
    async fn full_tiles(&mut self, tree: TreeId, tiles: &[TileId]) -> StoreResult<Vec<Vec<Hash>>>;
    /// Returns those of the leaf hashes that are stored below `size`, in any order. Hashes are
    /// compared in full.
    async fn find_leaves(
        &mut self,
        tree: TreeId,
        leaf_hashes: &[Hash],
        size: TreeSize,
    ) -> StoreResult<Vec<EntryRef>>;
    /// Returns the stored claims of these names, in any order.
    async fn find_claims(&mut self, names: &[NameKey]) -> StoreResult<Vec<StoredClaim>>;
}

/// Whether a connection holds the tree's lock, under which no other round can come between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TreeLock {
    /// It does not: each statement is its own transaction.
    #[default]
    Free,
    /// It does: an exclusive section is open.
    Held,
}

/// The right of one sequencer of this process to write a round.
///
/// A round is put together in its turn. Otherwise it would wait with the few entries that it began
/// with while many more queue, and on SQLite inside the library, which asks for the file's lock
/// after ever longer pauses.
#[derive(Debug, Default)]
pub struct Turn {
    _held: Option<OwnedMutexGuard<()>>,
}

impl Turn {
    /// Returns the turn that the holder of this lock has.
    pub(super) fn of(held: OwnedMutexGuard<()>) -> Self {
        Self { _held: Some(held) }
    }
}

/// The sequencer's own connection.
#[async_trait]
pub trait Writer: Read {
    /// Commits a round in one statement or one transaction, and returns its outcome.
    ///
    /// Dies here: nothing of it is stored, or all of it. The caller learns which by looking its
    /// leaves up. Every outcome ends an exclusive section except [`Commit::Duplicates`]: the rest of
    /// the round may follow in the same section.
    ///
    /// MUST return [`StoreError::UnknownOutcome`](super::StoreError::UnknownOutcome) whenever it
    /// cannot know. After any error the writer cannot be used again.
    async fn commit(&mut self, round: &Round) -> StoreResult<Commit>;

    /// Enters an exclusive section: waits for the tree's lock, with a bound, and keeps all other
    /// rounds out until the next [`Writer::commit`] or [`Writer::abandon`]. Reads inside it see
    /// every round that was committed before.
    async fn begin_exclusive(&mut self, tree: TreeId) -> StoreResult<()>;

    /// Within an exclusive section, waits until no other round stores claims, and keeps all others
    /// from it until the section ends: of any tree, because names belong to the whole ledger. So what
    /// [`Read::find_claims`] finds afterwards holds until then. Outside a section it does nothing, and
    /// a round may find that another one was faster; see [`Taken::Refused`](super::Taken::Refused).
    async fn lock_claims(&mut self) -> StoreResult<()> {
        Ok(())
    }

    /// Leaves an exclusive section, if one was entered, without storing anything.
    async fn abandon(&mut self) -> StoreResult<()>;
}

/// A publisher's connection.
#[async_trait]
pub trait Publisher: Send {
    /// Takes the right to publish heads of a tree, which one process at a time has. Returns false,
    /// without waiting, while another process has it. [`Publisher::release`] gives it back, and so
    /// does any end of the connection. The right saves work and no more: who lacks it may publish.
    async fn claim(&mut self, tree: TreeId) -> StoreResult<bool>;

    /// Gives the right back.
    async fn release(&mut self, tree: TreeId) -> StoreResult<()>;

    /// Stores a publication if the newest one is still the one of `prev_size`. Otherwise it stores
    /// nothing and returns false.
    ///
    /// Dies here: it is stored or not, as [`Read::newest_publication`] shows. After
    /// any error the connection cannot be used again.
    async fn publish(&mut self, tree: TreeId, publication: &PublicationRow) -> StoreResult<bool>;
}
