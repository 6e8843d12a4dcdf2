//! Connections: their options, the checks before one is used, and the migrations.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::hosts::Hosts;
use super::{address, error, settings};
use crate::store::schema::{APPLIED, Applied};
use crate::store::{StoreError, StoreResult, schema};

/// Connections for reads. With [`crate::store::SEARCH_CONNECTIONS`], that of the sequencer and the
/// one for confirmations a server has 12, so that eight servers fit in Postgres' default of 100.
pub const READ_CONNECTIONS: u32 = 7;

/// Longest wait for a connection, a new one or one of the pool. Readers then get 503 rather than a
/// queue.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");

/// The client gives an answer up after this, so that a connection that froze costs less than 5 s. It
/// is later than the server's own time-outs (below), so that the server's answer is heard if it can
/// be.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_millis(4_500);

/// The server notices a client machine that vanished within this time, in a write or while idle.
const DEAD_CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for another server that migrates.
const MIGRATION_LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// Oldest server that is tried. All that is used here came with 12, so that one gets this answer
/// and not a riddle.
const OLDEST_SERVER: u32 = 130_000;

/// Settings of all sessions; times are in milliseconds. They are asked for with the connection, and
/// looked at once it is made.
///
/// Each time-out leaves time for the next one:
/// - The server ends an exclusive section whose holder is silent for 2 s.
/// - Another server waits 2.5 s for the tree's lock, or for a round in flight.
/// - The server gives a statement up after 4 s. A round of 1,024 entries takes 30 ms on a small
///   machine, so that is an overloaded disk.
/// - The client gives the answer up after [`ANSWER_TIMEOUT`].
///
/// The others fix the plans of the few statements there are: look-ups by primary key in the order
/// that they come in. A statement planned while the tables of a new log are small would otherwise go
/// on reading them whole when they are not. For the same reason the statements themselves say
/// `LATERAL (… LIMIT 1)` or `OFFSET 0`, which no plan may pull apart.
pub(super) const SETTINGS: [(&str, &str); 11] = [
    ("idle_in_transaction_session_timeout", "2000"),
    ("lock_timeout", "2500"),
    ("statement_timeout", "4000"),
    ("default_transaction_isolation", "read committed"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_material", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

/// Settings that depend on the server.
///
/// `synchronous_commit`: a commit waits for the disk and for the synchronous standbys that are
/// named, whatever the database's default is. One that waits for more stays. Once it is set here, a
/// changed default does not reach the session any more.
///
/// `enable_memoize`, which servers before 14 do not have: no two rows of a list are looked up alike,
/// so that nothing is gained by keeping what was found.
const SET_UP: &str = "SELECT set_config('synchronous_commit',
        CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false);
    SELECT set_config('enable_memoize', 'off', false) FROM pg_settings WHERE name = 'enable_memoize'";

/// Memory of the writer's statement: a round's arrays (8 MiB of bodies and what goes with them)
/// stay out of temporary files.
const WRITER_WORK_MEM: &str = "SET work_mem = '32MB'";

/// Options of the connections to each server of a URL, in its order.
pub(super) fn options(url: &str) -> StoreResult<Vec<PgConnectOptions>> {
    let hosts = address::parse(url)?;
    Ok(hosts.into_iter().map(with_settings).collect())
}

fn with_settings(options: PgConnectOptions) -> PgConnectOptions {
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("treehead"),
    };
    let dead_client = DEAD_CLIENT_TIMEOUT.as_secs();
    options
        .disable_statement_logging()
        .options(SETTINGS)
        .options([("tcp_user_timeout", DEAD_CLIENT_TIMEOUT.as_millis())])
        .options([
            ("tcp_keepalives_idle", dead_client / 2),
            ("tcp_keepalives_interval", 1),
            ("tcp_keepalives_count", 5),
        ])
}

/// Sets a new session up.
pub(super) async fn set_up(connection: &mut PgConnection) -> StoreResult<()> {
    execute(connection, SET_UP).await
}

async fn execute(connection: &mut PgConnection, sql: &'static str) -> StoreResult<()> {
    let done = sqlx::raw_sql(sql).execute(connection).await;
    done.map(drop).map_err(error::of_read)
}

/// A connection for the sequencer, to a primary that keeps what it acknowledges.
pub(super) async fn writer(hosts: &Hosts) -> StoreResult<PgConnection> {
    let mut connection = hosts.connect_to_write().await?.connection;
    bounded(execute(&mut connection, WRITER_WORK_MEM)).await?;
    Ok(connection)
}

/// Looks at the server and brings the schema up to date unless it is: once per start. sqlx holds an
/// advisory lock meanwhile, so that of several servers one does it.
///
/// A schema that is up to date is only read, so a role without the right to change it will do.
pub(super) async fn migrate(hosts: &Hosts) -> StoreResult<()> {
    let mut connection = hosts.connect_at_once().await?.connection;
    check_version(&connection)?;
    bounded(hosts.check(&mut connection)).await?;
    bounded(settings::advise(&mut connection)).await?;
    let applied = bounded(applied(&mut connection)).await?;
    schema::check_known(&MIGRATIONS, &applied)?;
    if !schema::is_current(&MIGRATIONS, &applied) {
        bounded(be_patient(&mut connection)).await?;
        // Closing the connection is what gives the lock back after an error.
        let migrated = MIGRATIONS.run_direct(None, &mut connection, false).await;
        migrated.map_err(|error| not_migrated(&applied, error))?;
    }
    connection.close().await.map_err(error::of_read)
}

/// Sets a session up for a migration, which may take long.
async fn be_patient(connection: &mut PgConnection) -> StoreResult<()> {
    let lock_timeout = MIGRATION_LOCK_TIMEOUT.as_millis();
    // That a table is there already is no news.
    let sql = format!(
        "SET lock_timeout = {lock_timeout}; SET statement_timeout = 0; SET client_min_messages = warning"
    );
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(connection)
        .await;
    done.map(drop).map_err(error::of_read)
}

/// A role that may not change the schema is the usual case where two roles are used, so its way out
/// is named.
fn not_migrated(applied: &[Applied], error: MigrateError) -> StoreError {
    let (MigrateError::Execute(inner) | MigrateError::ExecuteMigration(inner, _)) = &error else {
        return schema::of_migration(error, error::of_read);
    };
    if !error::is_not_permitted(inner) {
        return schema::of_migration(error, error::of_read);
    }
    let version = applied.last().map_or(0, |applied| applied.version);
    StoreError::Unusable(format!(
        "the schema has version {version}, this release needs {}, and the role of this URL may not change it ({inner}): run \
         `treehead migrate` with the role that owns the tables, then grant this role its rights on them",
        schema::newest(&MIGRATIONS)
    ))
}

/// Fails unless the schema is the one of this release. Changes nothing, so a standby will do.
pub(super) async fn check_schema(hosts: &Hosts) -> StoreResult<()> {
    let mut connection = hosts.connect_at_once().await?.connection;
    check_version(&connection)?;
    let applied = bounded(applied(&mut connection)).await?;
    connection.close().await.map_err(error::of_read)?;
    schema::check(&MIGRATIONS, &applied)
}

async fn applied(connection: &mut PgConnection) -> StoreResult<Vec<Applied>> {
    let is_there = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL");
    let is_there: bool = is_there
        .fetch_one(&mut *connection)
        .await
        .map_err(error::of_read)?;
    if !is_there {
        return Ok(Vec::new());
    }
    sqlx::query_as(APPLIED)
        .fetch_all(connection)
        .await
        .map_err(error::of_read)
}

/// Waits for an answer no longer than [`ANSWER_TIMEOUT`].
pub(super) async fn bounded<T>(answer: impl Future<Output = StoreResult<T>>) -> StoreResult<T> {
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::Unavailable(no_answer())),
    }
}

/// As [`bounded`], for what may have been durable before the answer was lost.
pub(super) async fn bounded_commit<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> StoreResult<T> {
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(error::of_commit),
        Err(_) => Err(StoreError::UnknownOutcome(no_answer())),
    }
}

fn no_answer() -> String {
    format!("no answer within {} s", ANSWER_TIMEOUT.as_secs_f32())
}

fn check_version(connection: &PgConnection) -> StoreResult<()> {
    match connection.server_version_num() {
        Some(version) if version < OLDEST_SERVER => Err(StoreError::Unusable(format!(
            "the database server is Postgres {}, at least {} is needed",
            version / 10_000,
            OLDEST_SERVER / 10_000
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer of the server is heard before the client gives it up, and a holder that went silent
    /// loses its lock before another server stops waiting for it.
    #[test]
    fn each_time_out_leaves_time_for_the_next() {
        let [silent, lock, statement] = [0, 1, 2].map(|place| {
            let millis = SETTINGS[place].1.parse().unwrap();
            Duration::from_millis(millis)
        });
        assert!(silent < lock && lock < statement && statement < ANSWER_TIMEOUT);
        assert!(ANSWER_TIMEOUT < Duration::from_secs(5));
    }
}
