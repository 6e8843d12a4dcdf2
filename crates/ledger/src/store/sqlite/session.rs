//! Connections: their options, and the migrations.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::fs::OpenOptions;
use tokio::time::Instant;

use super::chunks::PREPARED_STATEMENTS;
use super::{BUSY_TIMEOUT, CONNECT_TIMEOUT, READ_CONNECTIONS, error};
use crate::store::schema::{APPLIED, Applied};
use crate::store::{SEARCH_CONNECTIONS, StoreError, StoreResult, schema};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// Page cache of a reader, KiB: the inner pages of all b-trees. The leaves come from the system's
/// cache.
const READER_CACHE_KIB: u32 = 2 * 1024;

/// Page cache of the connection of all writers, KiB: with those of readers and searches at most 22
/// MiB, well below the 42 MiB of an idle server.
const WRITER_CACHE_KIB: u32 = 8 * 1024;

/// Pages in the WAL before the writer itself checkpoints, so that the WAL begins anew: 128 MiB.
/// Most of them were copied beside the rounds by then ([`super::checkpoint`]).
const CHECKPOINT_PAGES: u32 = 32_000;

/// The WAL file is cut back to this size, bytes, after a checkpoint: it has room for all those
/// pages, and keeps it.
const WAL_SIZE_LIMIT: u32 = 136 * 1024 * 1024;

/// Between two attempts to open a file that somebody else is opening.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// The connection for the rare writes is closed when it was idle for this long.
const SIDE_WRITER_IDLE: Duration = Duration::from_secs(60);

/// Makes the file with mode 0600; SQLite gives its WAL the same mode. An existing file is left as
/// it is.
pub(super) async fn create_file(path: &Path) -> StoreResult<()> {
    let opened = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .await;
    opened
        .map(|_| ())
        .map_err(|error| StoreError::Unusable(format!("{}: {error}", path.display())))
}

/// Options of all connections.
pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    let name = Cow::Borrowed("treehead-sqlite");
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(false)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(PREPARED_STATEMENTS)
        .pragma("cache_size", kib(WRITER_CACHE_KIB))
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .pragma("journal_size_limit", WAL_SIZE_LIMIT.to_string())
        .thread_name(move |_| name.to_string())
        .disable_statement_logging()
}

/// A negative cache size is in KiB, a positive one in pages.
fn kib(size: u32) -> String {
    format!("-{size}")
}

/// The pool for reads: its connections refuse to write. They are not opened read-only, because the
/// WAL's index is shared memory that every connection must be able to set up.
pub(super) fn readers(options: &SqliteConnectOptions) -> SqlitePool {
    pool_of(READ_CONNECTIONS, options)
}

/// The pool for searches, likewise.
pub(super) fn searchers(options: &SqliteConnectOptions) -> SqlitePool {
    pool_of(SEARCH_CONNECTIONS, options)
}

fn pool_of(connections: u32, options: &SqliteConnectOptions) -> SqlitePool {
    let options = options
        .clone()
        .pragma("query_only", "ON")
        .pragma("cache_size", kib(READER_CACHE_KIB));
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(CONNECT_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

/// The pool of one for writes that are not rounds.
pub(super) fn side_writer(options: &SqliteConnectOptions) -> SqlitePool {
    let options = options.clone().pragma("cache_size", kib(READER_CACHE_KIB));
    SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECT_TIMEOUT)
        .idle_timeout(SIDE_WRITER_IDLE)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

/// Writes the first page anew with what it has: nobody uses this number of the file. So the WAL
/// grows and is synced, as it is by a round.
pub(super) async fn probe(connection: &mut SqliteConnection) -> StoreResult<()> {
    let done = sqlx::raw_sql("PRAGMA user_version = 0")
        .execute(connection)
        .await;
    done.map(drop).map_err(error::of_read)
}

/// The connection of the sequencers.
pub(super) async fn writer(options: &SqliteConnectOptions) -> StoreResult<SqliteConnection> {
    let mut connection = SqliteConnection::connect_with(options)
        .await
        .map_err(error::of_read)?;
    check_journal(&mut connection).await?;
    Ok(connection)
}

/// Brings the schema up to date.
pub(super) async fn migrate(options: &SqliteConnectOptions) -> StoreResult<()> {
    patiently(options, |options| Box::pin(migrate_once(options))).await
}

/// Fails unless the schema is the one of this release. Changes nothing.
pub(super) async fn check_schema(options: &SqliteConnectOptions) -> StoreResult<()> {
    patiently(options, |options| Box::pin(check_schema_once(options))).await
}

/// Tries again while somebody else opens or closes the file: SQLite does not wait for that by
/// itself, as the first connection switches to WAL and the last one puts the WAL away.
async fn patiently<'o>(
    options: &'o SqliteConnectOptions,
    attempt: fn(&'o SqliteConnectOptions) -> BoxFuture<'o, StoreResult<()>>,
) -> StoreResult<()> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match attempt(options).await {
            Err(StoreError::Conflict(_)) if Instant::now() < deadline => {
                tokio::time::sleep(BUSY_PAUSE).await
            }
            Err(StoreError::Conflict(_)) => {
                return Err(StoreError::Unavailable(
                    "another process holds the database".to_owned(),
                ));
            }
            outcome => return outcome,
        }
    }
}

/// One transaction that holds the file's lock: sqlx itself takes no lock here.
async fn migrate_once(options: &SqliteConnectOptions) -> StoreResult<()> {
    let mut connection = SqliteConnection::connect_with(options)
        .await
        .map_err(error::of_open)?;
    check_journal(&mut connection).await?;
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(error::of_open)?;
    schema::check_known(&MIGRATIONS, &applied(&mut transaction).await?)?;
    MIGRATIONS
        .run_direct(None, &mut *transaction, false)
        .await
        .map_err(|error| schema::of_migration(error, error::of_open))?;
    transaction.commit().await.map_err(error::of_open)?;
    connection.close().await.map_err(error::of_open)
}

async fn check_schema_once(options: &SqliteConnectOptions) -> StoreResult<()> {
    let mut connection = SqliteConnection::connect_with(options)
        .await
        .map_err(error::of_open)?;
    let applied = applied(&mut connection).await?;
    connection.close().await.map_err(error::of_read)?;
    schema::check(&MIGRATIONS, &applied)
}

/// The migrations that were applied; none in a new file.
async fn applied(connection: &mut SqliteConnection) -> StoreResult<Vec<Applied>> {
    let query = sqlx::query_scalar(
        "SELECT count(*) > 0 FROM sqlite_master WHERE name = '_sqlx_migrations'",
    );
    let is_there: bool = query
        .fetch_one(&mut *connection)
        .await
        .map_err(error::of_open)?;
    if !is_there {
        return Ok(Vec::new());
    }
    sqlx::query_as(APPLIED)
        .fetch_all(connection)
        .await
        .map_err(error::of_open)
}

/// Network file systems and some others cannot do WAL: SQLite then silently stays with another
/// journal.
async fn check_journal(connection: &mut SqliteConnection) -> StoreResult<()> {
    let query = sqlx::query_scalar("PRAGMA journal_mode");
    let mode: String = query.fetch_one(connection).await.map_err(error::of_open)?;
    if mode != "wal" {
        return Err(StoreError::Unusable(format!(
            "the file system does not support SQLite's WAL (journal mode {mode})"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What SQLite calls a level of 2: a commit waits for the disk.
    const FULL: i64 = 2;

    #[tokio::test]
    async fn each_connection_that_writes_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        create_file(&path).await.unwrap();
        let options = options(&path);
        migrate(&options).await.unwrap();
        let (mut writer, side_writer) = (writer(&options).await.unwrap(), side_writer(&options));
        let mut side = side_writer.acquire().await.unwrap();
        for connection in [&mut writer, &mut *side] {
            let level = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection);
            let level: i64 = level.await.unwrap();
            assert_eq!(level, FULL);
            let mode = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(connection);
            let mode: String = mode.await.unwrap();
            assert_eq!(mode, "wal");
        }
    }
}
