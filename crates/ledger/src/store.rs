//! The storage of a log: the contract that SQLite and Postgres fulfil.
//!
//! A [`Store`] answers reads from any number of tasks. A [`Writer`] is the sequencer's own
//! connection: the only way to add to a tree. No row is ever updated in the write path; the row of
//! `head` that a round inserts, keyed by its predecessor's size, *is* the compare-and-set between
//! servers.
//!
//! Absent on purpose: retries, caches, signatures, and any knowledge of what leaf bytes mean.

use std::ops::Range;

use async_trait::async_trait;
use tlog::{Hash, LeafIndex, TreeSize};

use crate::TreeId;

pub use audit::{Audit, AuditCounts, AuditEntry};
pub use audited::{Audited, Unreadable};
pub use claims::{Claim, ClaimValues, Claimant, NameKey, NewClaims, StoredClaim, Taken};
pub(crate) use connections::TreeLock;
pub use connections::{Publisher, Read, Turn, Writer};
pub use error::{StoreError, StoreResult};
pub use event_row::EventRow;
pub use index_keys::IndexKeys;
pub use rotation::{
    FORGOTTEN_AFTER, FinalCheckpoint, Freeze, LogName, Rotation, ServerRow, Standing,
};
pub use rows::{
    Attestation, ClaimRules, Commit, EntryRef, EntryRow, HeadRow, KeyRole, KeyRow,
    MAX_CLOCK_SKEW_MILLIS, OnContradiction, OnIncomparable, PublicationRow, Round, StoredEntry,
    TimestampRow, TreeRow, TreeState,
};
pub use search::{
    Bound, Condition, FoundEntry, KeyQuery, Page, Query, SEARCH_CONNECTIONS, Search, search,
};
pub use usage::{PoolUsage, Usage};

mod audit;
mod audit_records;
mod audited;
mod checksum;
mod claim_records;
mod claims;
mod connections;
mod delegated_reads;
mod encoding;
mod error;
mod event_row;
mod event_rows;
pub(crate) mod hash_rows;
mod index_keys;
mod numbers;
mod packed_keys;
mod packed_values;
pub mod postgres;
mod records;
pub mod rotation;
mod rows;
mod schema;
mod search;
pub(crate) mod skew;
pub mod sqlite;
pub(crate) mod usage;

/// Largest body that one query returns together with others: 64 of them have 4 MiB. It is the
/// largest leaf of an entry bundle too. The statements repeat the number.
pub const MAX_BODY_BYTES_TOGETHER: usize = u16::MAX as usize;

/// A database that holds trees: its connections, and what is read and written beside rounds. The
/// parts that searches, an audit and a rotation need are traits of their own.
#[async_trait]
pub trait Store: Search + Audit + Rotation + Send + Sync + 'static {
    /// Returns a short name of the backend for logs and metrics: `sqlite` or `postgres`.
    fn backend(&self) -> &'static str;
    /// Returns whether other processes may append to this database. If so, heads are polled.
    fn is_shared(&self) -> bool;
    /// Returns the use of the database at this moment, for metrics. Asks no server.
    fn usage(&self) -> Usage;
    /// Returns a reader on the pool. It is cheap, and holds no transaction between calls.
    fn reader(&self) -> Box<dyn Read>;
    /// Waits until a sequencer of this process may write a round, and keeps all others out until the
    /// result is dropped. A database that takes the rounds of several trees at once needs no turns.
    async fn turn(&self) -> Turn {
        Turn::default()
    }
    /// Opens a connection for the sequencer, outside the pool. MUST fail on a standby.
    async fn writer(&self) -> StoreResult<Box<dyn Writer>>;
    /// Opens a connection for a publisher, outside the pool if other processes may publish. MUST
    /// fail on a standby.
    async fn publisher(&self) -> StoreResult<Box<dyn Publisher>>;

    /// Makes sure that a head which was read back stays in the database. MUST be called before
    /// anything that states such a head leaves. A head that this process committed itself, with an
    /// answer that said so, needs no call.
    ///
    /// A head can be read before it is where it has to be: on a primary that was restarted while a
    /// commit waited for a synchronous standby, or whose waiting session was ended. So one small
    /// commit of our own, which lies behind everything that was read, comes first, and it sees
    /// whether the head is there. That is done where synchronous standbys are named, and after any
    /// connection was made. Otherwise, and on SQLite, there is nothing to do.
    ///
    /// Fails with [`StoreError::Unavailable`] if the database cannot promise that now, or if it
    /// does not have the head any more. Then nothing of the head may leave, and the newest head is
    /// to be read again.
    async fn confirm(&self, _tree: TreeId, _size: TreeSize, _root: &Hash) -> StoreResult<()> {
        Ok(())
    }
    /// Fails with [`StoreError::Unusable`], in one clear line, if the database would not keep what
    /// it acknowledges, and with [`StoreError::Unavailable`] if it is a standby. A writer and a
    /// publisher look by themselves: when they are made, and once a minute while they are used.
    async fn check(&self) -> StoreResult<()> {
        Ok(())
    }
    /// Writes something small that is no part of a log, as durably as a round. So it fails where a
    /// round would: on a full disk, without a standby that commits wait for, and as
    /// [`Store::check`] does.
    async fn probe(&self) -> StoreResult<()> {
        Ok(())
    }

    /// Returns all trees, oldest first.
    async fn trees(&self) -> StoreResult<Vec<TreeRow>>;
    /// Creates trees with their keys in one transaction. Returns false, and stores nothing, if an
    /// active tree of one of their logs, or a tree of one of their IDs, exists.
    async fn create_trees(&self, trees: &[TreeRow]) -> StoreResult<bool>;

    /// Returns heads with `prev_size >= from`, ascending, at most `limit`.
    async fn heads(&self, tree: TreeId, from: TreeSize, limit: u32) -> StoreResult<Vec<HeadRow>>;
    /// Returns publications with a `prev_size` of `from` or more (`None`: all), ascending, at most
    /// `limit`.
    async fn publications(
        &self,
        tree: TreeId,
        from: Option<TreeSize>,
        limit: u32,
    ) -> StoreResult<Vec<PublicationRow>>;
    /// Returns the entries at those of `indexes` that are below `size`, in ascending order. Absent
    /// ones are left out. Bodies above [`MAX_BODY_BYTES_TOGETHER`] are not read.
    async fn entries(
        &self,
        tree: TreeId,
        indexes: &[LeafIndex],
        size: TreeSize,
    ) -> StoreResult<Vec<StoredEntry>>;
    /// Returns the lengths of the leaf bytes of `range`, at most 256, without reading those. Fails
    /// with [`StoreError::Damaged`] if one is missing.
    async fn body_lengths(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<u64>>;
    /// Returns the leaf bytes of `range`, at most 256. Fails with [`StoreError::Damaged`] if one is
    /// missing. A caller that reads more than one MUST know that none is above
    /// [`MAX_BODY_BYTES_TOGETHER`], so that all have at most 16 MiB.
    async fn bodies(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<Vec<u8>>>;
    /// Stores signed entry timestamps outside a round; the first one stored wins. Timestamps at or
    /// beyond the newest head's size are left out, because a database that went back gives their
    /// places to other entries.
    async fn put_timestamps(&self, tree: TreeId, timestamps: &[TimestampRow]) -> StoreResult<()>;
    /// Returns the database's clock, Unix milliseconds. An answer also proves that the database can
    /// be reached.
    async fn now_millis(&self) -> StoreResult<i64>;

    /// As [`Store::trees`], for fsck: a value that cannot be decoded does not end the read.
    async fn audited_trees(&self) -> StoreResult<Vec<Audited<TreeRow>>> {
        Ok(all_whole(self.trees().await?))
    }
    /// As [`Audit::audit_entries`], likewise.
    async fn audited_entries(
        &self,
        tree: TreeId,
        range: Range<u64>,
    ) -> StoreResult<Vec<Audited<AuditEntry>>> {
        Ok(all_whole(self.audit_entries(tree, range).await?))
    }
    /// As [`Store::heads`], likewise.
    async fn audited_heads(
        &self,
        tree: TreeId,
        from: TreeSize,
        limit: u32,
    ) -> StoreResult<Vec<Audited<HeadRow>>> {
        Ok(all_whole(self.heads(tree, from, limit).await?))
    }
    /// Returns the last heads by their `prev_size`, descending, at most `limit`, likewise.
    async fn audited_last_heads(
        &self,
        tree: TreeId,
        _limit: u32,
    ) -> StoreResult<Vec<Audited<HeadRow>>> {
        let newest = self.reader().newest_head(tree).await?;
        Ok(all_whole(newest))
    }
    /// As [`Store::publications`], likewise.
    async fn audited_publications(
        &self,
        tree: TreeId,
        from: Option<TreeSize>,
        limit: u32,
    ) -> StoreResult<Vec<Audited<PublicationRow>>> {
        Ok(all_whole(self.publications(tree, from, limit).await?))
    }
    /// As [`Rotation::final_checkpoint`], likewise.
    async fn audited_final(&self, tree: TreeId) -> StoreResult<Option<Audited<FinalCheckpoint>>> {
        Ok(self.final_checkpoint(tree).await?.map(Audited::whole))
    }
    /// Returns the largest leaf index of the rows of `entry`.
    async fn audited_last_index(&self, tree: TreeId) -> StoreResult<Option<LeafIndex>> {
        let newest = self.reader().newest_head(tree).await?;
        let size = newest.map_or(0, |head| head.size.0);
        Ok(size.checked_sub(1).map(LeafIndex))
    }
    /// Counts the rows of each table of entries whose leaf index is below 0, or at or beyond the
    /// newest head's size. Tables without such rows are left out.
    async fn audited_outside(&self, _tree: TreeId) -> StoreResult<Vec<(&'static str, u64)>> {
        Ok(Vec::new())
    }
    /// Returns each table with rows of a tree that does not exist, with its ID, at most 100.
    async fn audited_orphans(&self) -> StoreResult<Vec<(&'static str, i64)>> {
        Ok(Vec::new())
    }
    /// Has the database compare its indexes and pages with its tables, and returns what it finds, at
    /// most 100 lines. Reads the whole database where it can do that.
    async fn audited_structure(&self) -> StoreResult<Vec<String>> {
        Ok(Vec::new())
    }
}

fn all_whole<T>(rows: impl IntoIterator<Item = T>) -> Vec<Audited<T>> {
    rows.into_iter().map(Audited::whole).collect()
}
