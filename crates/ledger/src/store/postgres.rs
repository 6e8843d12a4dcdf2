//! Postgres, for production: any number of servers on one database.
//!
//! Reads go through a small pool. The sequencer's [`Writer`] is a direct connection of its own,
//! with short time-outs on both sides, so that a server that died never keeps the others waiting.
//! The URL MUST lead to the primary itself: a pooler in between could answer a commit in the
//! server's stead. Prefer a unix socket (`postgres:///db?host=/run/postgresql`) where server and
//! database share a machine.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tlog::{EMPTY_ROOT, FullTile, Hash, LeafIndex, TreeSize};

use super::delegated_reads::delegate_reads;
use super::{
    Audit, AuditCounts, AuditEntry, Audited, Condition, EventRow, FinalCheckpoint, FoundEntry,
    Freeze, HeadRow, KeyQuery, LogName, Page, PublicationRow, Publisher, Read, Rotation,
    SEARCH_CONNECTIONS, Search, ServerRow, Store, StoreResult, StoredEntry, TimestampRow, TreeRow,
    Usage, Writer,
};
use crate::TreeId;

mod address;
mod audit;
mod claims;
mod commit;
mod commit_text;
mod confirmation;
mod error;
mod events;
mod hosts;
mod key16;
mod notice;
#[cfg(test)]
mod plans;
mod pool;
mod promises;
mod publications;
mod reads;
mod rotation;
mod search;
mod session;
mod settings;
mod trees;
mod writer;

use confirmation::{Confirmations, Stored};
use hosts::{Access, Hosts};
use pool::Pool;
use publications::PostgresPublisher;
use session::bounded;
pub use session::{CONNECT_TIMEOUT, READ_CONNECTIONS};
use writer::PostgresWriter;

/// A log's database on Postgres. Cheap to clone.
#[derive(Clone)]
pub struct PostgresStore {
    hosts: Arc<Hosts>,
    pool: Pool,
    /// Apart, so that a read waits for no search.
    searches: Pool,
    confirmations: Arc<Confirmations>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Fails with [`super::StoreError::Unusable`] on a URL that [`PostgresStore::connect`] cannot
    /// use; asks no server.
    pub fn check_url(url: &str) -> StoreResult<()> {
        address::parse(url).map(|_| ())
    }

    /// Connects, brings the schema up to date (under a lock: several servers may start at once) and
    /// returns the store. A role that may not change the schema will do where it is up to date.
    ///
    /// Warns of settings of the server that a busy log wants changed, and of a way to it that
    /// others can read or change.
    ///
    /// `url` is a `postgres://` URL as libpq knows it. Of several hosts the primary is taken. Fails
    /// with [`super::StoreError::Unavailable`] on a standby, and with
    /// [`super::StoreError::Unusable`] on a schema newer than this release, on a server older than
    /// Postgres 13, and as [`Store::check`] does.
    pub async fn connect(url: &str) -> StoreResult<Self> {
        let options = session::options(url)?;
        options.iter().for_each(address::advise);
        let hosts = Hosts::new(options, Access::Primary);
        session::migrate(&hosts).await?;
        Ok(Self::over(hosts))
    }

    /// As [`PostgresStore::connect`], for a ledger that is there: leaves the schema as it is, and
    /// fails with [`super::StoreError::Unusable`] unless it is the one of this release.
    pub async fn connect_existing(url: &str) -> StoreResult<Self> {
        Self::connect_with_schema(url, Access::Primary).await
    }

    /// As [`PostgresStore::connect_existing`], for reading alone: takes a standby too. Of several
    /// hosts the first one that answers is taken.
    pub async fn connect_to_read(url: &str) -> StoreResult<Self> {
        Self::connect_with_schema(url, Access::Any).await
    }

    async fn connect_with_schema(url: &str, access: Access) -> StoreResult<Self> {
        let hosts = Hosts::new(session::options(url)?, access);
        session::check_schema(&hosts).await?;
        Ok(Self::over(hosts))
    }

    fn over(hosts: Hosts) -> Self {
        let hosts = Arc::new(hosts);
        Self {
            pool: Pool::new(&hosts, READ_CONNECTIONS),
            searches: Pool::new(&hosts, SEARCH_CONNECTIONS),
            confirmations: Arc::new(Confirmations::new(&hosts)),
            hosts,
        }
    }
}

/// Runs one query on a connection of a pool. After any error the connection is not used again.
macro_rules! pooled {
    ($pool:expr, $connection:ident => $query:expr) => {{
        let mut held = $pool.acquire().await?;
        let $connection = held.connection()?;
        let answer = bounded($query).await;
        match answer {
            Ok(_) => held.put_back(),
            Err(_) => held.close(),
        }
        answer
    }};
}

#[async_trait]
impl Store for PostgresStore {
    fn backend(&self) -> &'static str {
        "postgres"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn usage(&self) -> Usage {
        Usage {
            pools: vec![self.pool.usage("reads"), self.searches.usage("searches")],
            wal_bytes: None,
        }
    }

    fn reader(&self) -> Box<dyn Read> {
        Box::new(PostgresReader {
            pool: self.pool.clone(),
        })
    }

    async fn writer(&self) -> StoreResult<Box<dyn Writer>> {
        Ok(Box::new(PostgresWriter::connect(&self.hosts).await?))
    }

    async fn publisher(&self) -> StoreResult<Box<dyn Publisher>> {
        Ok(Box::new(PostgresPublisher::connect(&self.hosts).await?))
    }

    async fn confirm(&self, tree: TreeId, size: TreeSize, root: &Hash) -> StoreResult<()> {
        let head = Stored { tree, size, root };
        self.confirmations.confirm_if_needed(&head).await
    }

    async fn check(&self) -> StoreResult<()> {
        pooled!(self.pool, connection => self.hosts.check(connection))
    }

    async fn probe(&self) -> StoreResult<()> {
        self.check().await?;
        let nothing = Stored {
            tree: TreeId(0),
            size: TreeSize(0),
            root: &EMPTY_ROOT,
        };
        self.confirmations.confirm(&nothing).await
    }

    async fn trees(&self) -> StoreResult<Vec<TreeRow>> {
        pooled!(self.pool, connection => trees::all(connection))
    }

    async fn create_trees(&self, trees: &[TreeRow]) -> StoreResult<bool> {
        pooled!(self.pool, connection => trees::create(connection, trees))
    }

    async fn heads(&self, tree: TreeId, from: TreeSize, limit: u32) -> StoreResult<Vec<HeadRow>> {
        pooled!(self.pool, connection => reads::heads(connection, tree, from, limit))
    }

    async fn publications(
        &self,
        tree: TreeId,
        from: Option<TreeSize>,
        limit: u32,
    ) -> StoreResult<Vec<PublicationRow>> {
        pooled!(self.pool, connection => publications::page(connection, tree, from, limit))
    }

    async fn entries(
        &self,
        tree: TreeId,
        indexes: &[LeafIndex],
        size: TreeSize,
    ) -> StoreResult<Vec<StoredEntry>> {
        pooled!(self.pool, connection => reads::entries(connection, tree, indexes, size))
    }

    async fn body_lengths(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<u64>> {
        pooled!(self.pool, connection => reads::body_lengths(connection, tree, range))
    }

    async fn bodies(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<Vec<u8>>> {
        pooled!(self.pool, connection => reads::bodies(connection, tree, range))
    }

    async fn put_timestamps(&self, tree: TreeId, timestamps: &[TimestampRow]) -> StoreResult<()> {
        pooled!(self.pool, connection => commit::put_timestamps(connection, tree, timestamps))
    }

    async fn now_millis(&self) -> StoreResult<i64> {
        pooled!(self.pool, connection => reads::now_millis(connection))
    }

    async fn audited_trees(&self) -> StoreResult<Vec<Audited<TreeRow>>> {
        pooled!(self.pool, connection => audit::trees(connection))
    }

    async fn audited_entries(
        &self,
        tree: TreeId,
        range: Range<u64>,
    ) -> StoreResult<Vec<Audited<AuditEntry>>> {
        pooled!(self.pool, connection => audit::entries(connection, tree, range))
    }

    async fn audited_heads(
        &self,
        tree: TreeId,
        from: TreeSize,
        limit: u32,
    ) -> StoreResult<Vec<Audited<HeadRow>>> {
        pooled!(self.pool, connection => audit::heads(connection, tree, from, limit))
    }

    async fn audited_last_heads(
        &self,
        tree: TreeId,
        limit: u32,
    ) -> StoreResult<Vec<Audited<HeadRow>>> {
        pooled!(self.pool, connection => audit::last_heads(connection, tree, limit))
    }

    async fn audited_publications(
        &self,
        tree: TreeId,
        from: Option<TreeSize>,
        limit: u32,
    ) -> StoreResult<Vec<Audited<PublicationRow>>> {
        pooled!(self.pool, connection => audit::publications(connection, tree, from, limit))
    }

    async fn audited_final(&self, tree: TreeId) -> StoreResult<Option<Audited<FinalCheckpoint>>> {
        pooled!(self.pool, connection => audit::final_checkpoint(connection, tree))
    }

    async fn audited_last_index(&self, tree: TreeId) -> StoreResult<Option<LeafIndex>> {
        pooled!(self.pool, connection => audit::last_index(connection, tree))
    }

    async fn audited_outside(&self, tree: TreeId) -> StoreResult<Vec<(&'static str, u64)>> {
        // Not bounded like other reads: it counts whole tables.
        let mut held = self.pool.acquire().await?;
        let counts = audit::outside(held.connection()?, tree).await;
        match counts {
            Ok(_) => held.put_back(),
            Err(_) => held.close(),
        }
        counts
    }

    async fn audited_orphans(&self) -> StoreResult<Vec<(&'static str, i64)>> {
        pooled!(self.pool, connection => audit::orphans(connection))
    }
}

#[async_trait]
impl Search for PostgresStore {
    async fn newest(
        &self,
        tree: TreeId,
        condition: &Condition,
        range: Range<u64>,
        limit: u32,
    ) -> StoreResult<Vec<u64>> {
        pooled!(self.searches, connection => search::newest(connection, tree, condition, range, limit))
    }

    async fn meeting(
        &self,
        tree: TreeId,
        condition: &Condition,
        indexes: &[u64],
    ) -> StoreResult<Vec<u64>> {
        pooled!(self.searches, connection => search::meeting(connection, tree, condition, indexes))
    }

    async fn found(
        &self,
        tree: TreeId,
        indexes: &[u64],
        conditions: &[Condition],
    ) -> StoreResult<Vec<FoundEntry>> {
        pooled!(self.searches, connection => search::found(connection, tree, indexes, conditions))
    }

    async fn search_each(
        &self,
        tree: TreeId,
        queries: &[KeyQuery],
        limit: u32,
    ) -> StoreResult<Vec<Page>> {
        pooled!(self.pool, connection => search::search_each(connection, tree, queries, limit))
    }

    async fn first_at(&self, tree: TreeId, time: i64, size: TreeSize) -> StoreResult<LeafIndex> {
        pooled!(self.searches, connection => search::first_at(connection, tree, time, size))
    }

    async fn events(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<EventRow>> {
        pooled!(self.pool, connection => events::rows(connection, tree, range))
    }
}

#[async_trait]
impl Audit for PostgresStore {
    async fn audit_entries(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<AuditEntry>> {
        let audited = self.audited_entries(tree, range).await?;
        audited.into_iter().map(Audited::strictly).collect()
    }

    async fn audit_sizes(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<(u64, u64)>> {
        pooled!(self.pool, connection => audit::sizes(connection, tree, range))
    }

    async fn audit_tiles(
        &self,
        tree: TreeId,
        level: u8,
        from: u64,
        limit: u32,
    ) -> StoreResult<Vec<FullTile>> {
        pooled!(self.pool, connection => audit::tiles(connection, tree, level, from, limit))
    }

    async fn audit_claimed(&self, names: &[[u8; 16]]) -> StoreResult<Vec<[u8; 16]>> {
        pooled!(self.pool, connection => claims::claimed(connection, names))
    }

    async fn audit_counts(&self, tree: TreeId, size: TreeSize) -> StoreResult<AuditCounts> {
        // Not bounded like other reads: it counts whole tables.
        let mut held = self.pool.acquire().await?;
        let counts = audit::counts(held.connection()?, tree, size).await;
        match counts {
            Ok(_) => held.put_back(),
            Err(_) => held.close(),
        }
        counts
    }
}

#[async_trait]
impl Rotation for PostgresStore {
    async fn register_next_key(&self, log: LogName<'_>, spki: &[u8]) -> StoreResult<bool> {
        pooled!(self.pool, connection => rotation::register(connection, log, spki))
    }

    async fn next_key(&self, log: LogName<'_>) -> StoreResult<Option<Vec<u8>>> {
        pooled!(self.pool, connection => rotation::next_key(connection, log))
    }

    async fn forget_next_key(&self, log: LogName<'_>, spki: &[u8]) -> StoreResult<()> {
        pooled!(self.pool, connection => rotation::forget_next_key(connection, log, spki))
    }

    async fn withdraw_next_key(
        &self,
        tree: TreeId,
        log: LogName<'_>,
        spki: &[u8],
    ) -> StoreResult<bool> {
        pooled!(self.pool, connection => rotation::withdraw_next_key(connection, tree, log, spki))
    }

    async fn note_server(&self, server: &ServerRow) -> StoreResult<()> {
        pooled!(self.pool, connection => rotation::note_server(connection, server))
    }

    async fn forget_server(&self, server_id: &str) -> StoreResult<()> {
        pooled!(self.pool, connection => rotation::forget_server(connection, server_id))
    }

    async fn servers(&self, name: &str, age: Duration) -> StoreResult<Vec<ServerRow>> {
        pooled!(self.pool, connection => rotation::servers(connection, name, age))
    }

    async fn freeze(&self, tree: TreeId, next: &TreeRow) -> StoreResult<Freeze> {
        // Bounded within, where it is known what an answer that is lost means.
        let mut held = self.pool.acquire().await?;
        let answer = rotation::freeze(held.connection()?, tree, next).await;
        match answer {
            Ok(_) => held.put_back(),
            Err(_) => held.close(),
        }
        answer
    }

    async fn unsigned(&self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<LeafIndex>> {
        pooled!(self.pool, connection => rotation::unsigned(connection, tree, range))
    }

    async fn keep_final(&self, tree: TreeId, last: &FinalCheckpoint) -> StoreResult<()> {
        pooled!(self.pool, connection => rotation::keep_final(connection, tree, last))
    }

    async fn final_checkpoint(&self, tree: TreeId) -> StoreResult<Option<FinalCheckpoint>> {
        pooled!(self.pool, connection => rotation::final_checkpoint(connection, tree))
    }
}

struct PostgresReader {
    pool: Pool,
}

/// Runs one query of a reader on a connection of its pool.
macro_rules! on_pool {
    ($reader:expr, $connection:ident => $query:expr) => {
        pooled!($reader.pool, $connection => $query)
    };
}

delegate_reads!(PostgresReader, on_pool);
