//! Rotation on Postgres.

use std::ops::Range;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tlog::LeafIndex;

use super::promises::a_standby;
use super::session::{bounded, bounded_commit};
use super::{error, trees};
use crate::TreeId;
use crate::store::encoding::{pack_digests, state};
use crate::store::numbers::{from_sql, millis, to_sql};
use crate::store::records::{HeadRecord, ServerRecord};
use crate::store::rotation::{
    FORGOTTEN_AFTER, FinalCheckpoint, Freeze, LogName, ServerRow, Standing,
};
use crate::store::{HeadRow, KeyRole, StoreError, StoreResult, TreeRow};

/// One statement, so one snapshot. The function is asked in the same moment, because a standby may
/// lack what was acknowledged.
const STANDINGS: &str = "SELECT pg_is_in_recovery(), t.state, h.prev_size, h.size, h.root, h.time
    FROM unnest($1::bigint[]) WITH ORDINALITY AS wanted(tree_id, place)
    LEFT JOIN LATERAL (
        SELECT tree_id, state FROM tree WHERE tree_id = wanted.tree_id LIMIT 1
    ) AS t ON true
    LEFT JOIN LATERAL (
        SELECT prev_size, size, root, time FROM head WHERE tree_id = t.tree_id ORDER BY prev_size DESC LIMIT 1
    ) AS h ON true
    ORDER BY wanted.place";

type StandingRecord = (
    bool,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<Vec<u8>>,
    Option<i64>,
);

pub(super) async fn standings(
    connection: &mut PgConnection,
    trees: &[TreeId],
) -> StoreResult<Vec<Option<Standing>>> {
    let ids: Vec<i64> = trees.iter().map(|tree| tree.0).collect();
    let query = sqlx::query_as(STANDINGS).bind(ids);
    let records: Vec<StandingRecord> = query.fetch_all(connection).await.map_err(error::of_read)?;
    records.into_iter().map(into_standing).collect()
}

fn into_standing(record: StandingRecord) -> StoreResult<Option<Standing>> {
    let (is_standby, name, prev_size, size, root, time) = record;
    if is_standby {
        return Err(a_standby());
    }
    let Some(name) = name else { return Ok(None) };
    let head = HeadRecord::of_columns(prev_size, size, root, time);
    Ok(Some(Standing {
        state: state(&name)?,
        head: head.map(HeadRecord::into_head).transpose()?,
    }))
}

const REGISTER: &str = "INSERT INTO next_key (name, api, spki)
    SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT 1 FROM tree_key WHERE spki = $3)
    AND NOT EXISTS (SELECT 1 FROM next_key WHERE spki = $3 AND (name <> $1 OR api <> $2))
    ON CONFLICT (name, api) DO UPDATE SET spki = excluded.spki";

pub(super) async fn register(
    connection: &mut PgConnection,
    log: LogName<'_>,
    spki: &[u8],
) -> StoreResult<bool> {
    let query = sqlx::query(REGISTER)
        .bind(log.name)
        .bind(log.api)
        .bind(spki);
    query
        .execute(connection)
        .await
        .map(|done| done.rows_affected() > 0)
        .map_err(error::of_commit)
}

pub(super) async fn next_key(
    connection: &mut PgConnection,
    log: LogName<'_>,
) -> StoreResult<Option<Vec<u8>>> {
    let query = sqlx::query_scalar("SELECT spki FROM next_key WHERE name = $1 AND api = $2")
        .bind(log.name)
        .bind(log.api);
    query
        .fetch_optional(connection)
        .await
        .map_err(error::of_read)
}

pub(super) async fn forget_next_key(
    connection: &mut PgConnection,
    log: LogName<'_>,
    spki: &[u8],
) -> StoreResult<()> {
    let query = sqlx::query("DELETE FROM next_key WHERE name = $1 AND api = $2 AND spki = $3")
        .bind(log.name)
        .bind(log.api)
        .bind(spki);
    query
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(error::of_commit)
}

const WITHDRAW: &str = "DELETE FROM next_key WHERE name = $1 AND api = $2 AND spki = $3
    AND NOT EXISTS (SELECT 1 FROM tree_key WHERE spki = $3)";

/// The lock first: a freeze holds it until it has committed, and the next statement sees that.
pub(super) async fn withdraw_next_key(
    connection: &mut PgConnection,
    tree: TreeId,
    log: LogName<'_>,
    spki: &[u8],
) -> StoreResult<bool> {
    let mut transaction = connection.begin().await.map_err(error::of_read)?;
    let lock = sqlx::query("SELECT pg_advisory_xact_lock(-$1)").bind(tree.0);
    lock.execute(&mut *transaction)
        .await
        .map_err(error::of_read)?;
    let withdraw = sqlx::query(WITHDRAW)
        .bind(log.name)
        .bind(log.api)
        .bind(spki);
    let done = withdraw
        .execute(&mut *transaction)
        .await
        .map_err(error::of_read)?;
    transaction.commit().await.map_err(error::of_commit)?;
    Ok(done.rows_affected() > 0)
}

const NOTE_SERVER: &str = "INSERT INTO server (server_id, name, place, keys, vouches, seen)
    VALUES ($1, $2, $3, $4, $5, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
    ON CONFLICT (server_id) DO UPDATE SET keys = excluded.keys, vouches = excluded.vouches, seen = excluded.seen";

pub(super) async fn note_server(
    connection: &mut PgConnection,
    server: &ServerRow,
) -> StoreResult<()> {
    let query = sqlx::query(NOTE_SERVER)
        .bind(&server.server_id)
        .bind(&server.name)
        .bind(&server.place)
        .bind(pack_digests(&server.keys))
        .bind(server.vouches);
    query
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(error::of_read)
}

pub(super) async fn forget_server(
    connection: &mut PgConnection,
    server_id: &str,
) -> StoreResult<()> {
    let query = sqlx::query("DELETE FROM server WHERE server_id = $1").bind(server_id);
    query
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(error::of_read)
}

const SERVERS: &str = "WITH gone AS (
        DELETE FROM server WHERE seen < (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $3
    )
    SELECT server_id, name, place, keys, vouches, seen FROM server
    WHERE name = $1 AND seen >= (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $2 ORDER BY server_id";

pub(super) async fn servers(
    connection: &mut PgConnection,
    name: &str,
    age: Duration,
) -> StoreResult<Vec<ServerRow>> {
    let query = sqlx::query_as(SERVERS)
        .bind(name)
        .bind(millis(age))
        .bind(millis(FORGOTTEN_AFTER));
    let records: Vec<ServerRecord> = query.fetch_all(connection).await.map_err(error::of_read)?;
    records.into_iter().map(ServerRecord::into_server).collect()
}

const MAY_FREEZE: &str = "SELECT t.first_log_index FROM tree t JOIN next_key k USING (name, api)
    WHERE t.tree_id = $1 AND t.state = 'active' AND k.spki = $2
    AND NOT EXISTS (SELECT 1 FROM tree_key WHERE spki = $2)";

const FREEZE: &str = "UPDATE tree SET state = 'frozen', frozen_at = $2 WHERE tree_id = $1";

const CLOSE: &str = "INSERT INTO head (tree_id, prev_size, size, root, time)
    SELECT $1, n.size, n.size, n.root, n.time FROM (
        SELECT size, root, time, 1 AS rank FROM (
            SELECT size, root, time FROM head WHERE tree_id = $1 ORDER BY prev_size DESC LIMIT 1
        ) AS newest
        UNION ALL SELECT 0, sha256(''), 0, 2
        ORDER BY rank LIMIT 1
    ) AS n
    RETURNING prev_size, size, root, time";

/// The lock first, and everything else in later statements: their snapshots are younger than it. A
/// round that decided on an older snapshot and comes for the lock after this transaction gets the
/// lock, but not the place in `head`.
pub(super) async fn freeze(
    connection: &mut PgConnection,
    tree: TreeId,
    next: &TreeRow,
) -> StoreResult<Freeze> {
    let mut transaction =
        bounded(async { connection.begin().await.map_err(error::of_read) }).await?;
    let Some(last) = bounded(close_and_open(&mut transaction, tree, next)).await? else {
        bounded(async { transaction.rollback().await.map_err(error::of_read) }).await?;
        return Ok(Freeze::Refused);
    };
    // Dies here: the database decides.
    bounded_commit(transaction.commit()).await?;
    Ok(Freeze::Done(last))
}

/// Makes the changes of a freeze, not committed yet. Returns the last head, or `None` if the tree
/// may not be frozen.
async fn close_and_open(
    transaction: &mut PgConnection,
    tree: TreeId,
    next: &TreeRow,
) -> StoreResult<Option<HeadRow>> {
    let lock = sqlx::query("SELECT pg_advisory_xact_lock(-$1)").bind(tree.0);
    lock.execute(&mut *transaction)
        .await
        .map_err(error::of_read)?;
    let next_log_key = next
        .keys
        .iter()
        .find(|key| key.role == KeyRole::Log)
        .map(|key| key.spki.as_slice());
    let query = sqlx::query_scalar(MAY_FREEZE)
        .bind(tree.0)
        .bind(next_log_key);
    let first: Option<i64> = query
        .fetch_optional(&mut *transaction)
        .await
        .map_err(error::of_read)?;
    let Some(first) = first else { return Ok(None) };
    let close = sqlx::query_as(CLOSE).bind(tree.0);
    let last: HeadRecord = close
        .fetch_one(&mut *transaction)
        .await
        .map_err(error::of_read)?;
    let last: HeadRow = last.into_head()?;
    let update = sqlx::query(FREEZE)
        .bind(tree.0)
        .bind(next.created_at.max(last.time));
    update
        .execute(&mut *transaction)
        .await
        .map_err(error::of_read)?;
    let end = from_sql(first, "tree.first_log_index")? + last.size.0;
    let first_log_index = next.first_log_index.max(end);
    if !trees::insert(
        &mut *transaction,
        &TreeRow {
            first_log_index,
            ..next.clone()
        },
    )
    .await?
    {
        return Err(StoreError::Data(format!(
            "the tree ID {} is taken",
            next.tree_id
        )));
    }
    Ok(Some(last))
}

const UNSIGNED: &str = "SELECT e.leaf_index FROM (
        SELECT leaf_index FROM entry WHERE tree_id = $1 AND leaf_index >= $2 AND leaf_index < $3
        ORDER BY leaf_index LIMIT 1024
    ) AS e
    LEFT JOIN LATERAL (
        SELECT true AS is_there FROM signed_entry_timestamp WHERE tree_id = $1 AND leaf_index = e.leaf_index LIMIT 1
    ) AS s ON true
    WHERE s.is_there IS NULL ORDER BY e.leaf_index";

pub(super) async fn unsigned(
    connection: &mut PgConnection,
    tree: TreeId,
    range: Range<u64>,
) -> StoreResult<Vec<LeafIndex>> {
    let query = sqlx::query_scalar(UNSIGNED)
        .bind(tree.0)
        .bind(to_sql(range.start)?)
        .bind(to_sql(range.end)?);
    let indexes: Vec<i64> = query.fetch_all(connection).await.map_err(error::of_read)?;
    indexes
        .into_iter()
        .map(|index| from_sql(index, "entry.leaf_index").map(LeafIndex))
        .collect()
}

const KEEP_FINAL: &str = "INSERT INTO final_checkpoint (tree_id, rekor_checkpoint, checkpoint, freeze_note, receipt_signature)
    SELECT tree_id, $2, $3, $4, $5 FROM tree WHERE tree_id = $1 AND state = 'frozen' ON CONFLICT DO NOTHING";

pub(super) async fn keep_final(
    connection: &mut PgConnection,
    tree: TreeId,
    last: &FinalCheckpoint,
) -> StoreResult<()> {
    let query = sqlx::query(KEEP_FINAL)
        .bind(tree.0)
        .bind(&last.rekor_checkpoint)
        .bind(&last.checkpoint)
        .bind(&last.freeze_note)
        .bind(&last.receipt_signature);
    query
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(error::of_commit)
}

pub(super) async fn final_checkpoint(
    connection: &mut PgConnection,
    tree: TreeId,
) -> StoreResult<Option<FinalCheckpoint>> {
    let query = sqlx::query_as(
        "SELECT rekor_checkpoint, checkpoint, freeze_note, receipt_signature FROM final_checkpoint WHERE tree_id = $1",
    );
    query
        .bind(tree.0)
        .fetch_optional(connection)
        .await
        .map_err(error::of_read)
}
