//! SQLite, embedded: the default.
//!
//! One file in WAL mode with `synchronous = FULL`: a commit is on disk when it returns. Reads go
//! through a few connections that may not write; the sequencer's [`Writer`] is a connection of its
//! own. One process uses the file (the lock on the data folder is the binary's business), so its
//! clock is the database's clock and no commit answers [`super::Commit::ClockSkew`].

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tlog::{FullTile, LeafIndex, TreeSize};
use tokio::sync::Mutex;

use super::delegated_reads::delegate_reads;
use super::{
    Audit, AuditCounts, AuditEntry, Audited, Condition, EventRow, FinalCheckpoint, FoundEntry,
    Freeze, HeadRow, KeyQuery, LogName, Page, PoolUsage, PublicationRow, Publisher, Read, Rotation,
    Search, ServerRow, Store, StoreResult, StoredEntry, TimestampRow, TreeRow, Turn, Usage, Writer,
};
use crate::TreeId;

mod audit;
mod checkpoint;
mod chunks;
mod claims;
mod commit;
mod error;
mod events;
mod file;
#[cfg(test)]
mod plans;
mod publications;
mod reads;
mod rotation;
mod search;
mod session;
mod trees;
mod writer;

use checkpoint::Checkpoints;
use publications::SqlitePublisher;
use writer::{SharedConnection, SqliteWriter};

/// Connections for reads, a thread each. Reads come from the page cache: more than a few only take
/// memory.
pub const READ_CONNECTIONS: u32 = 4;

/// Longest wait for a connection of the pool. Readers then get 503 rather than a queue.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for another connection's transaction.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A log's database in one SQLite file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    readers: SqlitePool,
    /// Apart, so that a read waits for no search.
    searchers: SqlitePool,
    /// For the rare writes that are not rounds: one connection, so that they queue here and not on
    /// the file's lock.
    side_writer: SqlitePool,
    checkpoints: Checkpoints,
    /// For the rounds of all logs.
    writer: SharedConnection,
    /// Held by the log whose round is under way: the file takes one at a time.
    turn: Arc<Mutex<()>>,
    options: SqliteConnectOptions,
}

impl SqliteStore {
    /// Opens the file, which is made with mode 0600 if it does not exist (its folder MUST), and
    /// brings the schema up to date.
    ///
    /// Fails with [`super::StoreError::Unusable`] on a file that is no database and on a schema
    /// newer than this release.
    pub async fn open(path: &Path) -> StoreResult<Self> {
        session::create_file(path).await?;
        let options = session::options(path);
        session::migrate(&options).await?;
        Ok(Self::over(options))
    }

    /// Opens a log that is there, for reading: makes no file and leaves the schema as it is.
    ///
    /// Fails with [`super::StoreError::Unusable`] unless the schema is the one of this release.
    pub async fn open_existing(path: &Path) -> StoreResult<Self> {
        let options = session::options(path);
        session::check_schema(&options).await?;
        Ok(Self::over(options))
    }

    fn over(options: SqliteConnectOptions) -> Self {
        let side_writer = session::side_writer(&options);
        // With a connection of its own: other rare writes do not wait for the disk.
        let checkpoints = Checkpoints::new(session::side_writer(&options));
        let (readers, searchers) = (session::readers(&options), session::searchers(&options));
        Self {
            readers,
            searchers,
            side_writer,
            checkpoints,
            writer: SharedConnection::default(),
            turn: Arc::default(),
            options,
        }
    }
}

/// Runs one query on a connection of a pool.
macro_rules! pooled {
    ($pool:expr, $connection:ident => $query:expr) => {{
        let mut held = $pool.acquire().await.map_err(error::of_read)?;
        let $connection = &mut *held;
        $query.await
    }};
}

#[async_trait]
impl Store for SqliteStore {
    fn backend(&self) -> &'static str {
        "sqlite"
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn usage(&self) -> Usage {
        Usage {
            pools: vec![
                PoolUsage::of("reads", &self.readers),
                PoolUsage::of("searches", &self.searchers),
            ],
            wal_bytes: file::wal_bytes(self.options.get_filename()),
        }
    }

    fn reader(&self) -> Box<dyn Read> {
        Box::new(SqliteReader {
            pool: self.readers.clone(),
        })
    }

    async fn turn(&self) -> Turn {
        Turn::of(Arc::clone(&self.turn).lock_owned().await)
    }

    async fn writer(&self) -> StoreResult<Box<dyn Writer>> {
        Ok(Box::new(
            SqliteWriter::connect(&self.options, &self.writer, self.checkpoints.clone()).await?,
        ))
    }

    async fn publisher(&self) -> StoreResult<Box<dyn Publisher>> {
        Ok(Box::new(SqlitePublisher(self.side_writer.clone())))
    }

    async fn probe(&self) -> StoreResult<()> {
        pooled!(self.side_writer, connection => session::probe(connection))
    }

    async fn trees(&self) -> StoreResult<Vec<TreeRow>> {
        pooled!(self.readers, connection => trees::all(connection))
    }

    async fn create_trees(&self, trees: &[TreeRow]) -> StoreResult<bool> {
        pooled!(self.side_writer, connection => trees::create(connection, trees))
    }

    async fn heads(&self, tree: TreeId, from: TreeSize, limit: u32) -> StoreResult<Vec<HeadRow>> {
        pooled!(self.readers, connection => reads::heads(connection, tree, from, limit))
    }

    async fn publications(
        &self,
        tree: TreeId,
        from: Option<TreeSize>,
        limit: u32,
    ) -> StoreResult<Vec<PublicationRow>> {
        pooled!(self.readers, connection => publications::page(connection, tree, from, limit))
    }

    async fn entries(
        &self,
        tree: TreeId,
        indexes: &[LeafIndex],
        size: TreeSize,
    ) -> StoreResult<Vec<StoredEntry>> {
        pooled!(self.readers, connection => reads::entries(connection, tree, indexes, size))
    }

    async fn body_lengths(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<u64>> {
        pooled!(self.readers, connection => reads::body_lengths(connection, tree, range))
    }

    async fn bodies(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<Vec<u8>>> {
        pooled!(self.readers, connection => reads::bodies(connection, tree, range))
    }

    async fn put_timestamps(&self, tree: TreeId, timestamps: &[TimestampRow]) -> StoreResult<()> {
        pooled!(self.side_writer, connection => commit::put_timestamps(connection, tree, timestamps))
    }

    async fn now_millis(&self) -> StoreResult<i64> {
        pooled!(self.readers, connection => reads::now_millis(connection))
    }

    async fn audited_trees(&self) -> StoreResult<Vec<Audited<TreeRow>>> {
        pooled!(self.readers, connection => audit::trees(connection))
    }

    async fn audited_entries(
        &self,
        tree: TreeId,
        range: Range<u64>,
    ) -> StoreResult<Vec<Audited<AuditEntry>>> {
        pooled!(self.readers, connection => audit::entries(connection, tree, range))
    }

    async fn audited_heads(
        &self,
        tree: TreeId,
        from: TreeSize,
        limit: u32,
    ) -> StoreResult<Vec<Audited<HeadRow>>> {
        pooled!(self.readers, connection => audit::heads(connection, tree, from, limit))
    }

    async fn audited_last_heads(
        &self,
        tree: TreeId,
        limit: u32,
    ) -> StoreResult<Vec<Audited<HeadRow>>> {
        pooled!(self.readers, connection => audit::last_heads(connection, tree, limit))
    }

    async fn audited_publications(
        &self,
        tree: TreeId,
        from: Option<TreeSize>,
        limit: u32,
    ) -> StoreResult<Vec<Audited<PublicationRow>>> {
        pooled!(self.readers, connection => audit::publications(connection, tree, from, limit))
    }

    async fn audited_final(&self, tree: TreeId) -> StoreResult<Option<Audited<FinalCheckpoint>>> {
        pooled!(self.readers, connection => audit::final_checkpoint(connection, tree))
    }

    async fn audited_last_index(&self, tree: TreeId) -> StoreResult<Option<LeafIndex>> {
        pooled!(self.readers, connection => audit::last_index(connection, tree))
    }

    async fn audited_outside(&self, tree: TreeId) -> StoreResult<Vec<(&'static str, u64)>> {
        pooled!(self.readers, connection => audit::outside(connection, tree))
    }

    async fn audited_orphans(&self) -> StoreResult<Vec<(&'static str, i64)>> {
        pooled!(self.readers, connection => audit::orphans(connection))
    }

    async fn audited_structure(&self) -> StoreResult<Vec<String>> {
        pooled!(self.readers, connection => audit::structure(connection))
    }
}

#[async_trait]
impl Search for SqliteStore {
    async fn newest(
        &self,
        tree: TreeId,
        condition: &Condition,
        range: Range<u64>,
        limit: u32,
    ) -> StoreResult<Vec<u64>> {
        pooled!(self.searchers, connection => search::newest(connection, tree, condition, range, limit))
    }

    async fn meeting(
        &self,
        tree: TreeId,
        condition: &Condition,
        indexes: &[u64],
    ) -> StoreResult<Vec<u64>> {
        pooled!(self.searchers, connection => search::meeting(connection, tree, condition, indexes))
    }

    async fn found(
        &self,
        tree: TreeId,
        indexes: &[u64],
        conditions: &[Condition],
    ) -> StoreResult<Vec<FoundEntry>> {
        pooled!(self.searchers, connection => search::found(connection, tree, indexes, conditions))
    }

    async fn search_each(
        &self,
        tree: TreeId,
        queries: &[KeyQuery],
        limit: u32,
    ) -> StoreResult<Vec<Page>> {
        pooled!(self.readers, connection => search::search_each(connection, tree, queries, limit))
    }

    async fn first_at(&self, tree: TreeId, time: i64, size: TreeSize) -> StoreResult<LeafIndex> {
        pooled!(self.searchers, connection => search::first_at(connection, tree, time, size))
    }

    async fn events(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<EventRow>> {
        pooled!(self.readers, connection => events::rows(connection, tree, range))
    }
}

#[async_trait]
impl Audit for SqliteStore {
    async fn audit_entries(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<AuditEntry>> {
        let audited = self.audited_entries(tree, range).await?;
        audited.into_iter().map(Audited::strictly).collect()
    }

    async fn audit_sizes(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<(u64, u64)>> {
        pooled!(self.readers, connection => audit::sizes(connection, tree, range))
    }

    async fn audit_tiles(
        &self,
        tree: TreeId,
        level: u8,
        from: u64,
        limit: u32,
    ) -> StoreResult<Vec<FullTile>> {
        pooled!(self.readers, connection => audit::tiles(connection, tree, level, from, limit))
    }

    async fn audit_claimed(&self, names: &[[u8; 16]]) -> StoreResult<Vec<[u8; 16]>> {
        pooled!(self.readers, connection => claims::claimed(connection, names))
    }

    async fn audit_counts(&self, tree: TreeId, size: TreeSize) -> StoreResult<AuditCounts> {
        pooled!(self.readers, connection => audit::counts(connection, tree, size))
    }
}

#[async_trait]
impl Rotation for SqliteStore {
    async fn register_next_key(&self, log: LogName<'_>, spki: &[u8]) -> StoreResult<bool> {
        pooled!(self.side_writer, connection => rotation::register(connection, log, spki))
    }

    async fn next_key(&self, log: LogName<'_>) -> StoreResult<Option<Vec<u8>>> {
        pooled!(self.readers, connection => rotation::next_key(connection, log))
    }

    async fn forget_next_key(&self, log: LogName<'_>, spki: &[u8]) -> StoreResult<()> {
        pooled!(self.side_writer, connection => rotation::forget_next_key(connection, log, spki))
    }

    async fn withdraw_next_key(
        &self,
        _tree: TreeId,
        log: LogName<'_>,
        spki: &[u8],
    ) -> StoreResult<bool> {
        pooled!(self.side_writer, connection => rotation::withdraw_next_key(connection, log, spki))
    }

    async fn note_server(&self, server: &ServerRow) -> StoreResult<()> {
        pooled!(self.side_writer, connection => rotation::note_server(connection, server))
    }

    async fn forget_server(&self, server_id: &str) -> StoreResult<()> {
        pooled!(self.side_writer, connection => rotation::forget_server(connection, server_id))
    }

    async fn servers(&self, name: &str, age: Duration) -> StoreResult<Vec<ServerRow>> {
        pooled!(self.side_writer, connection => rotation::servers(connection, name, age))
    }

    async fn freeze(&self, tree: TreeId, next: &TreeRow) -> StoreResult<Freeze> {
        pooled!(self.side_writer, connection => rotation::freeze(connection, tree, next))
    }

    async fn unsigned(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<LeafIndex>> {
        pooled!(self.readers, connection => rotation::unsigned(connection, tree, range))
    }

    async fn keep_final(&self, tree: TreeId, last: &FinalCheckpoint) -> StoreResult<()> {
        pooled!(self.side_writer, connection => rotation::keep_final(connection, tree, last))
    }

    async fn final_checkpoint(&self, tree: TreeId) -> StoreResult<Option<FinalCheckpoint>> {
        pooled!(self.readers, connection => rotation::final_checkpoint(connection, tree))
    }
}

struct SqliteReader {
    pool: SqlitePool,
}

/// Runs one query of a reader on a connection of its pool.
macro_rules! on_pool {
    ($reader:expr, $connection:ident => $query:expr) => {
        pooled!($reader.pool, $connection => $query)
    };
}

delegate_reads!(SqliteReader, on_pool);
