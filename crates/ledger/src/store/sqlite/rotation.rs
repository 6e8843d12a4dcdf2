//! Rotation on SQLite.

use std::ops::Range;
use std::time::Duration;

use sqlx::{Connection, SqliteConnection};
use tlog::LeafIndex;

use super::{error, reads, trees};
use crate::TreeId;
use crate::store::encoding::{pack_digests, state};
use crate::store::numbers::{from_sql, millis, to_sql};
use crate::store::records::{HeadRecord, ServerRecord};
use crate::store::rotation::{
    FORGOTTEN_AFTER, FinalCheckpoint, Freeze, LogName, ServerRow, Standing,
};
use crate::store::{HeadRow, KeyRole, StoreError, StoreResult, TreeRow};

/// One statement, so one snapshot.
const STANDING: &str = "SELECT t.state, h.prev_size, h.size, h.root, h.time
    FROM tree t LEFT JOIN head h ON h.tree_id = t.tree_id
    WHERE t.tree_id = ?1 ORDER BY h.prev_size DESC LIMIT 1";

type StandingRecord = (
    String,
    Option<i64>,
    Option<i64>,
    Option<Vec<u8>>,
    Option<i64>,
);

pub(super) async fn standings(
    connection: &mut SqliteConnection,
    trees: &[TreeId],
) -> StoreResult<Vec<Option<Standing>>> {
    let mut standings = Vec::with_capacity(trees.len());
    for tree in trees {
        standings.push(standing(connection, *tree).await?);
    }
    Ok(standings)
}

async fn standing(
    connection: &mut SqliteConnection,
    tree: TreeId,
) -> StoreResult<Option<Standing>> {
    let query = sqlx::query_as(STANDING).bind(tree.0);
    let record: Option<StandingRecord> = query
        .fetch_optional(connection)
        .await
        .map_err(error::of_read)?;
    record
        .map(|(name, prev_size, size, root, time)| {
            let head = HeadRecord::of_columns(prev_size, size, root, time)
                .map(HeadRecord::into_head)
                .transpose()?;
            Ok(Standing {
                state: state(&name)?,
                head,
            })
        })
        .transpose()
}

const REGISTER: &str = "INSERT INTO next_key (name, api, spki)
    SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM tree_key WHERE spki = ?3)
    AND NOT EXISTS (SELECT 1 FROM next_key WHERE spki = ?3 AND (name <> ?1 OR api <> ?2))
    ON CONFLICT (name, api) DO UPDATE SET spki = excluded.spki";

pub(super) async fn register(
    connection: &mut SqliteConnection,
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
    connection: &mut SqliteConnection,
    log: LogName<'_>,
) -> StoreResult<Option<Vec<u8>>> {
    let query = sqlx::query_scalar("SELECT spki FROM next_key WHERE name = ?1 AND api = ?2")
        .bind(log.name)
        .bind(log.api);
    query
        .fetch_optional(connection)
        .await
        .map_err(error::of_read)
}

pub(super) async fn forget_next_key(
    connection: &mut SqliteConnection,
    log: LogName<'_>,
    spki: &[u8],
) -> StoreResult<()> {
    let query = sqlx::query("DELETE FROM next_key WHERE name = ?1 AND api = ?2 AND spki = ?3")
        .bind(log.name)
        .bind(log.api)
        .bind(spki);
    query
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(error::of_commit)
}

const WITHDRAW: &str = "DELETE FROM next_key WHERE name = ?1 AND api = ?2 AND spki = ?3
    AND NOT EXISTS (SELECT 1 FROM tree_key WHERE spki = ?3)";

/// One statement, so under the file's lock.
pub(super) async fn withdraw_next_key(
    connection: &mut SqliteConnection,
    log: LogName<'_>,
    spki: &[u8],
) -> StoreResult<bool> {
    let query = sqlx::query(WITHDRAW)
        .bind(log.name)
        .bind(log.api)
        .bind(spki);
    query
        .execute(connection)
        .await
        .map(|done| done.rows_affected() > 0)
        .map_err(error::of_commit)
}

const NOTE_SERVER: &str =
    "INSERT INTO server (server_id, name, place, keys, vouches, seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (server_id) DO UPDATE SET keys = excluded.keys, vouches = excluded.vouches, seen = excluded.seen";

pub(super) async fn note_server(
    connection: &mut SqliteConnection,
    server: &ServerRow,
) -> StoreResult<()> {
    let now = reads::now_millis(connection).await?;
    let query = sqlx::query(NOTE_SERVER)
        .bind(&server.server_id)
        .bind(&server.name)
        .bind(&server.place)
        .bind(pack_digests(&server.keys))
        .bind(server.vouches)
        .bind(now);
    query
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(error::of_read)
}

pub(super) async fn forget_server(
    connection: &mut SqliteConnection,
    server_id: &str,
) -> StoreResult<()> {
    let query = sqlx::query("DELETE FROM server WHERE server_id = ?1").bind(server_id);
    query
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(error::of_read)
}

const SERVERS: &str = "SELECT server_id, name, place, keys, vouches, seen FROM server
    WHERE name = ?1 AND seen >= ?2 ORDER BY server_id";

pub(super) async fn servers(
    connection: &mut SqliteConnection,
    name: &str,
    age: Duration,
) -> StoreResult<Vec<ServerRow>> {
    let now = reads::now_millis(connection).await?;
    let forget =
        sqlx::query("DELETE FROM server WHERE seen < ?1").bind(now - millis(FORGOTTEN_AFTER));
    forget
        .execute(&mut *connection)
        .await
        .map_err(error::of_read)?;
    let query = sqlx::query_as(SERVERS).bind(name).bind(now - millis(age));
    let records: Vec<ServerRecord> = query.fetch_all(connection).await.map_err(error::of_read)?;
    records.into_iter().map(ServerRecord::into_server).collect()
}

const MAY_FREEZE: &str = "SELECT t.first_log_index FROM tree t JOIN next_key k USING (name, api)
    WHERE t.tree_id = ?1 AND t.state = 'active' AND k.spki = ?2
    AND NOT EXISTS (SELECT 1 FROM tree_key WHERE spki = ?2)";

const FREEZE: &str = "UPDATE tree SET state = 'frozen', frozen_at = ?2 WHERE tree_id = ?1";

const CLOSE: &str =
    "INSERT INTO head (tree_id, prev_size, size, root, time) VALUES (?1, ?2, ?2, ?3, ?4)";

/// The transaction holds the file's lock, so nothing else is under way.
pub(super) async fn freeze(
    connection: &mut SqliteConnection,
    tree: TreeId,
    next: &TreeRow,
) -> StoreResult<Freeze> {
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
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
    let Some(first) = first else {
        transaction.rollback().await.map_err(error::of_read)?;
        return Ok(Freeze::Refused);
    };
    let newest = reads::newest_head(&mut transaction, tree).await?;
    let last = HeadRow::last_after(newest);
    let close = sqlx::query(CLOSE)
        .bind(tree.0)
        .bind(to_sql(last.size.0)?)
        .bind(last.root.0.to_vec())
        .bind(last.time);
    close
        .execute(&mut *transaction)
        .await
        .map_err(error::of_read)?;
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
        &mut transaction,
        &TreeRow {
            first_log_index,
            ..next.clone()
        },
    )
    .await?
    {
        return Err(StoreError::Data(format!(
            "another tree has the ID {} or the origin {:?}",
            next.tree_id, next.origin
        )));
    }
    // Dies here: the WAL holds the whole commit record or does not.
    transaction.commit().await.map_err(error::of_commit)?;
    Ok(Freeze::Done(last))
}

const UNSIGNED: &str = "SELECT e.leaf_index FROM (
        SELECT leaf_index FROM entry WHERE tree_id = ?1 AND leaf_index >= ?2 AND leaf_index < ?3
        ORDER BY leaf_index LIMIT 1024
    ) AS e
    WHERE NOT EXISTS (
        SELECT 1 FROM signed_entry_timestamp s WHERE s.tree_id = ?1 AND s.leaf_index = e.leaf_index
    ) ORDER BY e.leaf_index";

pub(super) async fn unsigned(
    connection: &mut SqliteConnection,
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
    SELECT tree_id, ?2, ?3, ?4, ?5 FROM tree WHERE tree_id = ?1 AND state = 'frozen' ON CONFLICT DO NOTHING";

pub(super) async fn keep_final(
    connection: &mut SqliteConnection,
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
    connection: &mut SqliteConnection,
    tree: TreeId,
) -> StoreResult<Option<FinalCheckpoint>> {
    let query = sqlx::query_as(
        "SELECT rekor_checkpoint, checkpoint, freeze_note, receipt_signature FROM final_checkpoint WHERE tree_id = ?1",
    );
    query
        .bind(tree.0)
        .fetch_optional(connection)
        .await
        .map_err(error::of_read)
}
