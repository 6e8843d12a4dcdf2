//! Where a log lives: the contract that SQLite and Postgres fulfil.
//!
//! A [`Store`] answers reads from any number of tasks. A [`Writer`] is the sequencer's own
//! connection: the only way to add to a tree. No row is ever updated in the write path; the row of
//! `head` that a round inserts, keyed by its predecessor's size, *is* the compare-and-set between
//! replicas.
//!
//! Absent on purpose: retries, caches, signatures, and any knowledge of what leaf bytes mean.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use tlog::{FullTile, Hash, LeafIndex, TileId, TreeSize};

use crate::{Apis, IndexKeyHash, TreeId};

pub use index_keys::IndexKeys;
pub use rotation::{FinalCheckpoint, Freeze, Rotation, ServerRow, Standing};

pub(crate) mod encoding;
mod index_keys;
mod packed_keys;
pub mod postgres;
mod records;
pub mod rotation;
mod schema;
mod search;
pub mod sqlite;

pub use search::{Bound, Condition, FoundEntry, KeyQuery, Page, Query, SEARCH_CONNECTIONS, search};

/// A tree as the transaction that created it stored it. None of this ever changes, except `state`
/// and `frozen_at` (at rotation).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeRow {
    /// Identity of the tree, 1 ..= i64::MAX.
    pub tree_id: TreeId,
    /// The log's name: signer name of v1 checkpoints.
    pub name: String,
    /// Origin line of v1 checkpoints: `<name> - <tree id>`.
    pub origin_v1: String,
    /// Origin line of v2 checkpoints, unique per tree.
    pub origin_v2: String,
    /// Sum of the lengths of all earlier shards of this log.
    pub first_log_index: u64,
    /// Largest leaf in bytes that this tree takes.
    pub max_leaf_bytes: u32,
    /// The APIs by which it takes entries.
    pub apis: Apis,
    /// Whether the tree still takes entries.
    pub state: TreeState,
    /// When the tree was made, Unix seconds: its key signs nothing before.
    pub created_at: i64,
    /// When the tree stopped taking entries, Unix seconds; set together with [`TreeState::Frozen`].
    pub frozen_at: Option<i64>,
    /// DER SubjectPublicKeyInfo of each key with its role.
    pub keys: Vec<KeyRow>,
}

/// Whether a tree takes entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeState {
    /// Takes entries.
    Active,
    /// Rotated out; read only for ever.
    Frozen,
}

/// A public key of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// What it signs.
    pub role: KeyRole,
    /// DER SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
}

/// What a key of a tree signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRole {
    /// ECDSA P-256: both checkpoint texts and the signed entry timestamps.
    Log,
    /// Ed25519: a second line below the v2 checkpoint text.
    Cosigner,
}

/// A tree head as stored. Heads are append-only and are the history of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadRow {
    /// Size of the head before this one; 0 for the first.
    pub prev_size: TreeSize,
    /// Size of this head, > `prev_size`; equal only in the last head of a frozen tree, which adds
    /// nothing.
    pub size: TreeSize,
    /// Root hash at `size`.
    pub root: Hash,
    /// Integrated time of the round, Unix seconds.
    pub time: i64,
}

impl HeadRow {
    /// The last head of a tree that is frozen after `newest`: it adds nothing.
    pub(crate) fn last_after(newest: Option<Self>) -> Self {
        match newest {
            Some(newest) => Self {
                prev_size: newest.size,
                ..newest
            },
            None => Self {
                prev_size: TreeSize(0),
                size: TreeSize(0),
                root: tlog::EMPTY_ROOT,
                time: 0,
            },
        }
    }
}

/// A published head of a tree that has a witness policy. Publications are append-only, and each is
/// larger than the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationRow {
    /// Size of the publication before this one; none for the first.
    pub prev_size: Option<TreeSize>,
    /// Size of this one.
    pub size: TreeSize,
    /// Root hash at `size`.
    pub root: Hash,
    /// Integrated time of the head, Unix seconds.
    pub time: i64,
    /// The v2 signed note with its cosignatures, as it is shown.
    pub checkpoint: String,
}

/// One entry to be stored with its round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// Leaf hash of `body`.
    pub leaf_hash: Hash,
    /// Kind and version tag, such as `hashedrekord:0.0.1`; opaque here.
    pub kind: String,
    /// The leaf bytes.
    pub body: Vec<u8>,
    /// What it is found by.
    pub index_keys: IndexKeys,
    /// An attestation to keep beside the entry.
    pub attestation: Option<Attestation>,
}

/// Bytes kept beside an entry, outside the tree, bound to it by their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// SHA-256 of `data`.
    pub digest: Hash,
    /// The bytes. Empty only where they were erased.
    pub data: Vec<u8>,
}

impl Attestation {
    /// Whether a policy had its bytes erased: then its row is still there.
    pub(crate) fn is_erased(&self) -> bool {
        self.data.is_empty()
    }
}

/// A signed entry timestamp to be stored; the first one stored for a leaf index wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampRow {
    /// Whose.
    pub leaf_index: LeafIndex,
    /// Signature bytes (ASN.1 DER for ECDSA).
    pub signature: Arc<[u8]>,
}

/// A sealed round: everything one commit stores. Facts only, no signature of this round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// The tree.
    pub tree_id: TreeId,
    /// SPKI of the key this process will sign the head with; a round of a foreign key must not
    /// commit.
    pub log_key_spki: Vec<u8>,
    /// Root at `head.prev_size`. A round commits only onto the newest stored head, and only if that
    /// has this root: a database that went back must not be built upon.
    pub prev_root: Hash,
    /// The new head; `entries` have leaf indexes `head.prev_size .. head.size`, in order.
    pub head: HeadRow,
    /// The entries. Never empty.
    pub entries: Vec<Arc<EntryRow>>,
    /// Tiles that became full in this round.
    pub full_tiles: Vec<FullTile>,
    /// Signed entry timestamps of earlier rounds.
    pub timestamps: Vec<TimestampRow>,
    /// Local clock, Unix milliseconds, for the comparison with the database's.
    pub local_millis: i64,
}

/// Outcome of a commit that the database answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// The round is durable.
    Done,
    /// The round follows the newest stored head, but these of its leaves are stored below that.
    /// Nothing was stored.
    Duplicates(Vec<EntryRef>),
    /// The newest stored head is not `head.prev_size` with `prev_root`, or somebody holds the
    /// tree's lock. Nothing was stored.
    LostRace,
    /// Database and local clock differ by this many milliseconds (> `MAX_CLOCK_SKEW_MILLIS`).
    /// Nothing was stored.
    ClockSkew(i64),
    /// The tree is not active, or `log_key_spki` is not its log key. Nothing was stored.
    NotOurs,
}

/// No round commits while database and local clock differ by more (design §4, step 9).
pub const MAX_CLOCK_SKEW_MILLIS: i64 = 2_000;

/// A stored entry as reads return it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Position in its tree.
    pub leaf_index: LeafIndex,
    /// Leaf hash.
    pub leaf_hash: Hash,
    /// Integrated time, Unix seconds.
    pub time: i64,
    /// Kind and version tag.
    pub kind: String,
    /// The leaf bytes.
    pub body: Vec<u8>,
    /// Stored signed entry timestamp, where one is.
    pub signed_entry_timestamp: Option<Vec<u8>>,
    /// Whether it was stored with an attestation.
    pub attested: bool,
    /// Stored attestation, where one is. One that was erased has no data.
    pub attestation: Option<Attestation>,
}

/// Where an entry is, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryRef {
    /// Position in its tree.
    pub leaf_index: LeafIndex,
    /// Leaf hash.
    pub leaf_hash: Hash,
}

/// What can go wrong with the database.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be reached or did not answer in time. For a commit: nothing was sent,
    /// so nothing was stored.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// The answer to a commit was lost, or came with a warning: the round may or may not be
    /// durable.
    #[error("outcome of the commit is unknown: {0}")]
    UnknownOutcome(String),
    /// The database refuses the data itself (too long, not representable): the same round would
    /// fail again.
    #[error("database refuses the data: {0}")]
    Data(String),
    /// A serialization failure or deadlock: nothing was stored, the same round may be tried again.
    #[error("transaction conflict: {0}")]
    Conflict(String),
    /// What is stored breaks an invariant.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// The schema is unknown to this release, or another database than expected answered.
    #[error("{0}")]
    Unusable(String),
}

/// Result of a store call.
pub type StoreResult<T> = Result<T, StoreError>;

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

/// A database that holds trees.
#[async_trait]
pub trait Store: Rotation + Send + Sync + 'static {
    /// A short name of the backend for logs and metrics: `sqlite` or `postgres`.
    fn backend(&self) -> &'static str;
    /// Whether other processes may append to this database; if so, heads are polled.
    fn is_shared(&self) -> bool;
    /// A reader, from the pool. Cheap; holds no transaction between calls.
    fn reader(&self) -> Box<dyn Read>;
    /// A new connection for the sequencer, outside the pool. MUST fail on a standby.
    async fn writer(&self) -> StoreResult<Box<dyn Writer>>;
    /// A new connection for a publisher, outside the pool where other processes may publish. MUST
    /// fail on a standby.
    async fn publisher(&self) -> StoreResult<Box<dyn Publisher>>;

    /// All trees, oldest first.
    async fn trees(&self) -> StoreResult<Vec<TreeRow>>;
    /// Creates a tree with its keys in one transaction. Returns false, and stores nothing, if an
    /// active tree of that name or a tree of that ID exists.
    async fn create_tree(&self, tree: &TreeRow) -> StoreResult<bool>;

    /// Heads with `prev_size >= from`, ascending, at most `limit`.
    async fn heads(&self, tree: TreeId, from: TreeSize, limit: u32) -> StoreResult<Vec<HeadRow>>;
    /// Publications with a `prev_size` of `from` or more (none: all), ascending, at most `limit`.
    async fn publications(
        &self,
        tree: TreeId,
        from: Option<TreeSize>,
        limit: u32,
    ) -> StoreResult<Vec<PublicationRow>>;
    /// Entries at these indexes that are below `size`, in ascending order of index; absent ones are
    /// left out.
    async fn entries(
        &self,
        tree: TreeId,
        indexes: &[LeafIndex],
        size: TreeSize,
    ) -> StoreResult<Vec<StoredEntry>>;
    /// The leaf bytes of `range`, all of them or [`StoreError::Damaged`]. At most 256.
    async fn bodies(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<Vec<u8>>>;
    /// Leaf indexes in `range` of the newest entries that meet `condition`, newest first, at most
    /// `limit`. Keys are compared by their hashes. On a connection of searches, as the next two and
    /// [`Store::first_at`].
    async fn newest(
        &self,
        tree: TreeId,
        condition: &Condition,
        range: Range<u64>,
        limit: u32,
    ) -> StoreResult<Vec<u64>>;
    /// Those of `indexes` whose entries meet `condition`, in their order. Keys are compared by
    /// their hashes.
    async fn meeting(
        &self,
        tree: TreeId,
        condition: &Condition,
        indexes: &[u64],
    ) -> StoreResult<Vec<u64>>;
    /// The entries at `indexes`, in any order; those whose full key texts do not meet `conditions`
    /// are left out. Kinds are not compared.
    async fn found(
        &self,
        tree: TreeId,
        indexes: &[u64],
        conditions: &[Condition],
    ) -> StoreResult<Vec<FoundEntry>>;
    /// For each of `queries`, at most 64, the page that [`search`] gives for this key alone with
    /// this limit. One round trip where the database is not in this process.
    async fn search_each(
        &self,
        tree: TreeId,
        queries: &[KeyQuery],
        limit: u32,
    ) -> StoreResult<Vec<Page>>;
    /// The first leaf index below `size` whose entry was integrated at `time` (Unix seconds) or
    /// later; `size` if there is none.
    async fn first_at(&self, tree: TreeId, time: i64, size: TreeSize) -> StoreResult<LeafIndex>;
    /// Stores signed entry timestamps outside a round; the first one stored wins. Those at or
    /// beyond the newest head's size are left out: a database that went back gives those places to
    /// other entries.
    async fn put_timestamps(&self, tree: TreeId, timestamps: &[TimestampRow]) -> StoreResult<()>;
    /// Database clock, Unix milliseconds; proves that the database answers.
    async fn now_millis(&self) -> StoreResult<i64>;

    /// For fsck: everything stored of the entries in `range` (below the size fsck works at),
    /// ascending. Entries that are not there are left out.
    async fn audit_entries(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<AuditEntry>>;
    /// For fsck: the full tiles stored of one level from `from` on, ascending, at most `limit`.
    async fn audit_tiles(
        &self,
        tree: TreeId,
        level: u8,
        from: u64,
        limit: u32,
    ) -> StoreResult<Vec<FullTile>>;
    /// For fsck: rows of each table for leaf indexes below `size`, and rows of any table that
    /// belong to no entry below it although no head covers them (must be 0 where no commit runs).
    async fn audit_counts(&self, tree: TreeId, size: TreeSize) -> StoreResult<AuditCounts>;
}

/// All that is stored of one entry, table by table, for fsck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Table `entry`.
    pub leaf_index: LeafIndex,
    /// Table `entry`.
    pub leaf_hash: Hash,
    /// Table `entry`.
    pub time: i64,
    /// Table `entry`.
    pub kind: String,
    /// Table `body`; none where the row is missing.
    pub body: Option<Vec<u8>>,
    /// Table `entry`: the full key texts.
    pub index_keys: Vec<String>,
    /// Table `leaf`: the row that `leaf_hash` calls for, if it is there. (A row under another hash
    /// cannot be looked up by its index; it shows in [`AuditCounts::leaves`].)
    pub leaf_rows: Vec<[u8; 16]>,
    /// Table `index_key`: the rows that `index_keys` call for, as far as they are there, ascending.
    /// (Others show in [`AuditCounts::index_keys`].)
    pub index_key_rows: Vec<IndexKeyHash>,
    /// Table `signed_entry_timestamp`.
    pub signed_entry_timestamp: Option<Vec<u8>>,
    /// Table `entry`: whether it was stored with an attestation.
    pub attested: bool,
    /// Table `attestation`. One that was erased has no data.
    pub attestation: Option<Attestation>,
}

/// Row counts for fsck.
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
    /// Rows of any of these tables at or beyond the newest head's size.
    pub beyond_newest_head: u64,
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
