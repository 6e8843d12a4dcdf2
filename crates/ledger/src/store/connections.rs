//! The contract of one connection: reads, rounds, publications.

use std::ops::Range;

use async_trait::async_trait;
use tlog::{Hash, TileId, TreeSize};

use super::error::StoreResult;
use super::rotation::Standing;
use super::rows::{Commit, EntryRef, HeadRow, PublicationRow, Round};
use crate::TreeId;

/// Reads that both the pool and the sequencer's connection answer.
///
/// Every query that could show an entry takes the size below which leaf indexes may be shown.
#[async_trait]
pub trait Read: Send {
    /// State and newest head of one moment, none if there is no such tree.
    async fn standing(&mut self, tree: TreeId) -> StoreResult<Option<Standing>>;
    /// The newest head, none for an empty tree.
    async fn newest_head(&mut self, tree: TreeId) -> StoreResult<Option<HeadRow>>;
    /// The newest publication, none for a tree that never had a witness policy.
    async fn newest_publication(&mut self, tree: TreeId) -> StoreResult<Option<PublicationRow>>;
    /// Leaf hashes of `range`, all of them or [`StoreError::Damaged`]. At most 256.
    async fn leaf_hashes(&mut self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<Hash>>;
    /// Roots of the full tiles `range` of `level`, all of them or [`StoreError::Damaged`]. At most
    /// 256.
    async fn tile_roots(
        &mut self,
        tree: TreeId,
        level: u8,
        range: Range<u64>,
    ) -> StoreResult<Vec<Hash>>;
    /// The 256 hashes of each full tile asked for, in order, all of them or
    /// [`StoreError::Damaged`].
    async fn full_tiles(&mut self, tree: TreeId, tiles: &[TileId]) -> StoreResult<Vec<Vec<Hash>>>;
    /// Which of these leaf hashes are stored below `size`, compared in full. Any order.
    async fn find_leaves(
        &mut self,
        tree: TreeId,
        leaf_hashes: &[Hash],
        size: TreeSize,
    ) -> StoreResult<Vec<EntryRef>>;
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

/// The sequencer's own connection.
#[async_trait]
pub trait Writer: Read {
    /// Commits a round in one statement (or one transaction) and returns its outcome.
    ///
    /// Dies before the database made it durable: nothing is stored. Dies after: all of it is
    /// stored, and the caller learns that by looking its leaves up. Ends an exclusive section,
    /// whatever the outcome, but for [`Commit::Duplicates`]: the rest of the round may follow in
    /// the same section.
    ///
    /// MUST answer [`StoreError::UnknownOutcome`] whenever it cannot know. After any error the
    /// writer is spent.
    async fn commit(&mut self, round: &Round) -> StoreResult<Commit>;

    /// Enters an exclusive section: waits (bounded) for the tree's lock and keeps everybody else's
    /// rounds out until the next [`Writer::commit`] or [`Writer::abandon`]. Reads inside it see
    /// every round that was committed before.
    async fn begin_exclusive(&mut self, tree: TreeId) -> StoreResult<()>;

    /// Leaves an exclusive section, if one was entered, without storing anything.
    async fn abandon(&mut self) -> StoreResult<()>;
}

/// A publisher's connection.
#[async_trait]
pub trait Publisher: Send {
    /// Takes the right to publish heads of a tree, which one process at a time has; false, without
    /// waiting, while another has it. It is given back by [`Publisher::release`], and when the
    /// connection ends for whatever reason.
    async fn claim(&mut self, tree: TreeId) -> StoreResult<bool>;

    /// Gives the right back.
    async fn release(&mut self, tree: TreeId) -> StoreResult<()>;

    /// Stores a publication if the newest one is still the one of `prev_size`; false if it is not,
    /// and then nothing is stored.
    ///
    /// Dies before the answer: it is stored or not, and [`Read::newest_publication`] tells. After
    /// any error the connection is spent.
    async fn publish(&mut self, tree: TreeId, publication: &PublicationRow) -> StoreResult<bool>;
}
