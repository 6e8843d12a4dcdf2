//! Connections: their options, the checks before one is used, and the migrations.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::{address, error, settings};
use crate::store::schema::{APPLIED, Applied};
use crate::store::{SEARCH_CONNECTIONS, StoreError, StoreResult, schema};

/// Connections for reads. With [`crate::store::SEARCH_CONNECTIONS`] and the sequencer's a server
/// has 11, so that eight servers fit in Postgres' default of 100.
pub const READ_CONNECTIONS: u32 = 7;

/// Longest wait for a connection, a new one or one of the pool. Readers then get 503 rather than a
/// queue.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");

/// The server gives a statement up after this. A round of 1,024 entries takes 30 ms on a small
/// machine; ten seconds is an overloaded disk.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The client gives an answer up after this: later than the server, so that the server's own answer
/// is heard if it can be.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Longest wait for the tree's lock, or for another server's round in flight.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The server ends an exclusive section whose holder is silent for this long.
const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(5);

/// The server notices a client machine that vanished within this time, in a write or while idle.
const DEAD_CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for another server that migrates.
const MIGRATION_LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection of the pool lives this long, so that one to a server that lost its role goes away.
const MAX_CONNECTION_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// A connection of the pool that was idle for longer is tried before it is used: its server may
/// have been restarted.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// Memory of the writer's statement: a round's arrays (8 MiB of bodies and what goes with them)
/// stay out of temporary files.
const WRITER_WORK_MEM: &str = "32MB";

/// Oldest server that is tried. All that is used here came with 12, so that one gets this answer
/// and not a riddle.
const OLDEST_SERVER: u32 = 130_000;

/// Settings that fix the plans of the few statements there are: look-ups by primary key in the
/// order that they come in. A statement planned while the tables of a new log are small would
/// otherwise go on reading them whole when they are not. For the same reason the statements
/// themselves say `LATERAL (… LIMIT 1)` or `OFFSET 0`, which no plan may pull apart.
const PLANS: [(&str, &str); 7] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_material", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

/// The same, which servers before 14 do not have. No two rows of a list are looked up alike, so
/// that nothing is gained by keeping what was found.
const WITHOUT_MEMOIZE: &str = "SELECT set_config('enable_memoize', 'off', false) FROM pg_settings WHERE name = 'enable_memoize'";

/// Options of all connections, from the URL.
pub(super) fn options(url: &str) -> StoreResult<PgConnectOptions> {
    let options = address::parse(url)?;
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("treehead"),
    };
    let dead_client = DEAD_CLIENT_TIMEOUT.as_secs();
    Ok(options
        .disable_statement_logging()
        .options([("default_transaction_isolation", "read committed")])
        .options(PLANS)
        .options([("statement_timeout", STATEMENT_TIMEOUT.as_millis())])
        .options([("lock_timeout", LOCK_TIMEOUT.as_millis())])
        .options([(
            "idle_in_transaction_session_timeout",
            IDLE_IN_TRANSACTION_TIMEOUT.as_millis(),
        )])
        .options([("tcp_user_timeout", DEAD_CLIENT_TIMEOUT.as_millis())])
        .options([
            ("tcp_keepalives_idle", dead_client / 2),
            ("tcp_keepalives_interval", 1),
            ("tcp_keepalives_count", 5),
        ]))
}

/// The pool for reads; connects when first asked.
pub(super) fn pool(options: &PgConnectOptions) -> PgPool {
    pool_of(READ_CONNECTIONS, options)
}

/// The pool for searches, likewise.
pub(super) fn search_pool(options: &PgConnectOptions) -> PgPool {
    pool_of(SEARCH_CONNECTIONS, options)
}

fn pool_of(connections: u32, options: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(CONNECT_TIMEOUT)
        .max_lifetime(MAX_CONNECTION_LIFETIME)
        // sqlx would ask before each query whether the server is still there, which costs as much
        // as the query.
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(async move { without_memoize(connection).await }))
        .before_acquire(|connection, state| {
            Box::pin(async move {
                if state.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options.clone())
}

/// A connection for the sequencer, checked to lead to a primary that keeps what it acknowledges.
pub(super) async fn writer(options: &PgConnectOptions) -> StoreResult<PgConnection> {
    let mut connection = connect(&options.clone().options([("work_mem", WRITER_WORK_MEM)])).await?;
    bounded(check_primary(&mut connection)).await?;
    Ok(connection)
}

/// Looks at the server and brings the schema up to date unless it is: once per start. sqlx holds an
/// advisory lock meanwhile, so that of several servers one does it.
///
/// A schema that is up to date is only read, so a role without the right to change it will do.
pub(super) async fn migrate(options: &PgConnectOptions) -> StoreResult<()> {
    let options = options
        .clone()
        .options([("lock_timeout", MIGRATION_LOCK_TIMEOUT.as_millis())])
        .options([("statement_timeout", 0)])
        // That a table is there already is no news.
        .options([("client_min_messages", "warning")]);
    let mut connection = connect(&options).await?;
    check_version(&connection)?;
    bounded(check_primary(&mut connection)).await?;
    bounded(settings::advise(&mut connection)).await?;
    let applied = bounded(applied(&mut connection)).await?;
    schema::check_known(&MIGRATIONS, &applied)?;
    if !schema::is_current(&MIGRATIONS, &applied) {
        // Closing the connection is what gives the lock back after an error.
        let migrated = MIGRATIONS.run_direct(None, &mut connection, false).await;
        migrated.map_err(|error| not_migrated(&applied, error))?;
    }
    connection.close().await.map_err(error::of_read)
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
pub(super) async fn check_schema(options: &PgConnectOptions) -> StoreResult<()> {
    let mut connection = connect(options).await?;
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
    format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())
}

async fn without_memoize(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(WITHOUT_MEMOIZE)
        .persistent(false)
        .execute(connection)
        .await
        .map(|_| ())
}

async fn connect(options: &PgConnectOptions) -> StoreResult<PgConnection> {
    let connect = async {
        let mut connection = PgConnection::connect_with(options).await?;
        without_memoize(&mut connection).await?;
        Ok(connection)
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
        Ok(connection) => connection.map_err(|error: sqlx::Error| error::of_read(error)),
        Err(_) => Err(StoreError::Unavailable(format!(
            "no connection within {} s",
            CONNECT_TIMEOUT.as_secs()
        ))),
    }
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

const PRIMARY: &str = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', \
    current_setting('synchronous_commit') = 'off', current_setting('fsync') = 'off'";

async fn check_primary(connection: &mut PgConnection) -> StoreResult<()> {
    let (standby, read_only, asynchronous, no_fsync): (bool, bool, bool, bool) =
        sqlx::query_as(PRIMARY)
            .fetch_one(connection)
            .await
            .map_err(error::of_read)?;
    if standby {
        return Err(StoreError::Unusable(
            "the database is a standby: the log must write to the primary".to_owned(),
        ));
    }
    if read_only {
        return Err(StoreError::Unusable("the database is read-only".to_owned()));
    }
    if asynchronous {
        return Err(StoreError::Unusable(
            "synchronous_commit is off: the database would acknowledge entries that it may lose"
                .to_owned(),
        ));
    }
    if no_fsync {
        tracing::warn!("the database runs with fsync off: a power failure may lose the log");
    }
    Ok(())
}
