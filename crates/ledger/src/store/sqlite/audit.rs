//! Queries of fsck. Pages are short reads; only the counts walk whole tables.

use std::ops::Range;

use sqlx::SqliteConnection;
use tlog::{FullTile, LeafIndex, TreeSize};

use super::reads::{json_hex, json_list};
use super::{claims, error};
use crate::TreeId;
use crate::store::audit::{
    MAX_STRAYS, TABLES_OF_TREES, assign_found, counts_of, expected_rows, orphans_of, outside_of,
};
use crate::store::audit_records::{
    AuditRecord, FinalAudit, HeadAudit, PublicationAudit, TreeAudit, into_audited_trees,
};
use crate::store::hash_rows::{HashRows, PREFIX_BYTES};
use crate::store::numbers::to_sql;
use crate::store::records::{TileRecord, into_sizes};
use crate::store::{
    AuditCounts, AuditEntry, Audited, FinalCheckpoint, HeadRow, PublicationRow, StoreError,
    StoreResult, TreeRow,
};

const SIZES: &str =
    "SELECT e.leaf_index, (length(e.index_keys)
        + coalesce((SELECT length(body) FROM body WHERE tree_id = ?1 AND leaf_index = e.leaf_index), 0)
        + coalesce((SELECT length(data) FROM attestation WHERE tree_id = ?1 AND leaf_index = e.leaf_index), 0))
    FROM entry e WHERE e.tree_id = ?1 AND e.leaf_index >= ?2 AND e.leaf_index < ?3
    ORDER BY e.leaf_index";

pub(super) async fn sizes(
    connection: &mut SqliteConnection,
    tree: TreeId,
    range: Range<u64>,
) -> StoreResult<Vec<(u64, u64)>> {
    let query = sqlx::query_as(SIZES)
        .bind(tree.0)
        .bind(to_sql(range.start)?)
        .bind(to_sql(range.end)?);
    let rows = query.fetch_all(connection).await.map_err(error::of_read)?;
    into_sizes(rows)
}

const ENTRIES: &str =
    "SELECT e.leaf_index, e.leaf_hash, e.time, CAST(e.kind AS BLOB) AS kind, e.attested, e.checksum, b.body, s.signature, s.checksum AS signature_checksum, a.digest, a.data,
        e.index_keys
    FROM entry e
    LEFT JOIN body b ON b.tree_id = ?1 AND b.leaf_index = e.leaf_index
    LEFT JOIN signed_entry_timestamp s ON s.tree_id = ?1 AND s.leaf_index = e.leaf_index
    LEFT JOIN attestation a ON a.tree_id = ?1 AND a.leaf_index = e.leaf_index
    WHERE e.tree_id = ?1 AND e.leaf_index >= ?2 AND e.leaf_index < ?3
    ORDER BY e.leaf_index";

const LEAF_ROWS: &str = "SELECT l.hash_prefix, l.leaf_index FROM json_each(?2) w
    CROSS JOIN leaf l ON l.tree_id = ?1 AND l.hash_prefix = unhex(w.value ->> 0) AND l.leaf_index = w.value ->> 1";

const INDEX_KEY_ROWS: &str = "SELECT k.key_hash, k.leaf_index FROM json_each(?2) w
    CROSS JOIN index_key k ON k.tree_id = ?1 AND k.key_hash = unhex(w.value ->> 0) AND k.leaf_index = w.value ->> 1";

pub(super) async fn entries(
    connection: &mut SqliteConnection,
    tree: TreeId,
    range: Range<u64>,
) -> StoreResult<Vec<Audited<AuditEntry>>> {
    let query = sqlx::query_as(ENTRIES)
        .bind(tree.0)
        .bind(to_sql(range.start)?)
        .bind(to_sql(range.end)?);
    let records: Vec<AuditRecord> = query
        .fetch_all(&mut *connection)
        .await
        .map_err(error::of_read)?;
    let mut entries: Vec<Audited<AuditEntry>> = records
        .into_iter()
        .map(|record| record.into_audited(tree))
        .collect::<StoreResult<_>>()?;
    let (leaves, keys) = expected_rows(&entries)?;
    let leaves = found(connection, LEAF_ROWS, tree, leaves).await?;
    let keys = found(connection, INDEX_KEY_ROWS, tree, keys).await?;
    let claims = claims::of_entries(connection, tree, range).await?;
    assign_found(&mut entries, leaves, keys, claims);
    Ok(entries)
}

/// Returns those of `wanted` that are stored.
async fn found(
    connection: &mut SqliteConnection,
    sql: &'static str,
    tree: TreeId,
    wanted: HashRows,
) -> StoreResult<HashRows> {
    let wanted = json_list(
        wanted
            .into_iter()
            .map(|(hash, index)| format!("[{},{index}]", json_hex(hash))),
    );
    let query = sqlx::query_as(sql).bind(tree.0).bind(wanted);
    let rows: Vec<(Vec<u8>, i64)> = query.fetch_all(connection).await.map_err(error::of_read)?;
    let keyed = rows
        .into_iter()
        .map(|(hash, index)| match <[u8; PREFIX_BYTES]>::try_from(hash) {
            Ok(hash) => Ok((hash, index)),
            Err(_) => Err(StoreError::Damaged(format!(
                "a hash row of leaf index {index}"
            ))),
        });
    keyed.collect()
}

const TILES: &str = "SELECT \"index\", root, hashes FROM tile
    WHERE tree_id = ?1 AND level = ?2 AND \"index\" >= ?3 ORDER BY \"index\" LIMIT ?4";

pub(super) async fn tiles(
    connection: &mut SqliteConnection,
    tree: TreeId,
    level: u8,
    from: u64,
    limit: u32,
) -> StoreResult<Vec<FullTile>> {
    let query = sqlx::query_as(TILES)
        .bind(tree.0)
        .bind(level)
        .bind(to_sql(from)?)
        .bind(limit);
    let records: Vec<TileRecord> = query.fetch_all(connection).await.map_err(error::of_read)?;
    records
        .into_iter()
        .map(|record| record.into_full_tile(level))
        .collect()
}

/// One statement, so one snapshot: a round that commits meanwhile is in all of it or in none. For
/// each table, rows below the size and rows at or beyond the newest head's.
const COUNTS: &str = "WITH newest(size) AS (SELECT coalesce(max(size), 0) FROM head WHERE tree_id = ?1)
    SELECT count(*) FILTER (WHERE leaf_index < ?2), count(*) FILTER (WHERE leaf_index < 0 OR leaf_index >= (SELECT size FROM newest))
        FROM entry WHERE tree_id = ?1
    UNION ALL
    SELECT count(*) FILTER (WHERE leaf_index < ?2), count(*) FILTER (WHERE leaf_index < 0 OR leaf_index >= (SELECT size FROM newest))
        FROM body WHERE tree_id = ?1
    UNION ALL
    SELECT count(*) FILTER (WHERE leaf_index < ?2), count(*) FILTER (WHERE leaf_index < 0 OR leaf_index >= (SELECT size FROM newest))
        FROM leaf WHERE tree_id = ?1
    UNION ALL
    SELECT count(*) FILTER (WHERE leaf_index < ?2), count(*) FILTER (WHERE leaf_index < 0 OR leaf_index >= (SELECT size FROM newest))
        FROM index_key WHERE tree_id = ?1
    UNION ALL
    SELECT count(*) FILTER (WHERE leaf_index < ?2), count(*) FILTER (WHERE leaf_index < 0 OR leaf_index >= (SELECT size FROM newest))
        FROM signed_entry_timestamp WHERE tree_id = ?1
    UNION ALL
    SELECT count(*) FILTER (WHERE leaf_index < ?2), count(*) FILTER (WHERE leaf_index < 0 OR leaf_index >= (SELECT size FROM newest))
        FROM attestation WHERE tree_id = ?1
    UNION ALL
    SELECT count(*) FILTER (WHERE leaf_index < ?2), count(*) FILTER (WHERE leaf_index < 0 OR leaf_index >= (SELECT size FROM newest))
        FROM claim WHERE tree_id = ?1";

pub(super) async fn counts(
    connection: &mut SqliteConnection,
    tree: TreeId,
    size: TreeSize,
) -> StoreResult<AuditCounts> {
    counts_of(&count_rows(connection, tree, size).await?)
}

pub(super) async fn outside(
    connection: &mut SqliteConnection,
    tree: TreeId,
) -> StoreResult<Vec<(&'static str, u64)>> {
    outside_of(&count_rows(connection, tree, TreeSize(0)).await?)
}

async fn count_rows(
    connection: &mut SqliteConnection,
    tree: TreeId,
    size: TreeSize,
) -> StoreResult<Vec<(i64, i64)>> {
    let query = sqlx::query_as(COUNTS).bind(tree.0).bind(to_sql(size.0)?);
    query.fetch_all(connection).await.map_err(error::of_read)
}

const TREES: &str = "SELECT t.tree_id, CAST(t.name AS BLOB) AS name, CAST(t.api AS BLOB) AS api, CAST(t.origin AS BLOB) AS origin,
        t.first_log_index, t.max_leaf_bytes, CAST(t.state AS BLOB) AS state, t.created_at, t.frozen_at,
        CAST(k.role AS BLOB) AS role, k.spki
    FROM tree t LEFT JOIN tree_key k ON k.tree_id = t.tree_id
    ORDER BY t.created, k.role DESC, k.spki";

pub(super) async fn trees(connection: &mut SqliteConnection) -> StoreResult<Vec<Audited<TreeRow>>> {
    let query = sqlx::query_as(TREES);
    let records: Vec<TreeAudit> = query.fetch_all(connection).await.map_err(error::of_read)?;
    Ok(into_audited_trees(records))
}

const HEADS: &str = "SELECT prev_size, size, root, time FROM head
    WHERE tree_id = ?1 AND prev_size >= ?2 ORDER BY prev_size LIMIT ?3";

const LAST_HEADS: &str = "SELECT prev_size, size, root, time FROM head
    WHERE tree_id = ?1 AND prev_size >= ?2 ORDER BY prev_size DESC LIMIT ?3";

pub(super) async fn heads(
    connection: &mut SqliteConnection,
    tree: TreeId,
    from: TreeSize,
    limit: u32,
) -> StoreResult<Vec<Audited<HeadRow>>> {
    read_heads(connection, HEADS, tree, from, limit).await
}

pub(super) async fn last_heads(
    connection: &mut SqliteConnection,
    tree: TreeId,
    limit: u32,
) -> StoreResult<Vec<Audited<HeadRow>>> {
    read_heads(connection, LAST_HEADS, tree, TreeSize(0), limit).await
}

async fn read_heads(
    connection: &mut SqliteConnection,
    sql: &'static str,
    tree: TreeId,
    from: TreeSize,
    limit: u32,
) -> StoreResult<Vec<Audited<HeadRow>>> {
    let query = sqlx::query_as(sql)
        .bind(tree.0)
        .bind(to_sql(from.0)?)
        .bind(limit);
    let rows: Vec<HeadAudit> = query.fetch_all(connection).await.map_err(error::of_read)?;
    Ok(rows.into_iter().map(HeadAudit::into_audited).collect())
}

const PUBLICATIONS: &str =
    "SELECT prev_size, size, root, time, CAST(checkpoint AS BLOB) AS checkpoint, checksum FROM publication
    WHERE tree_id = ?1 AND prev_size >= ?2 ORDER BY prev_size LIMIT ?3";

pub(super) async fn publications(
    connection: &mut SqliteConnection,
    tree: TreeId,
    from: Option<TreeSize>,
    limit: u32,
) -> StoreResult<Vec<Audited<PublicationRow>>> {
    let query = sqlx::query_as(PUBLICATIONS)
        .bind(tree.0)
        .bind(from.map_or(Ok(i64::MIN), |size| to_sql(size.0))?)
        .bind(limit);
    let rows: Vec<PublicationAudit> = query.fetch_all(connection).await.map_err(error::of_read)?;
    rows.into_iter().map(|row| row.into_audited(tree)).collect()
}

const FINAL: &str = "SELECT CAST(rekor_checkpoint AS BLOB) AS rekor_checkpoint, CAST(checkpoint AS BLOB) AS checkpoint,
        CAST(freeze_note AS BLOB) AS freeze_note, receipt_signature
    FROM final_checkpoint WHERE tree_id = ?1";

pub(super) async fn final_checkpoint(
    connection: &mut SqliteConnection,
    tree: TreeId,
) -> StoreResult<Option<Audited<FinalCheckpoint>>> {
    let query = sqlx::query_as(FINAL).bind(tree.0);
    let row: Option<FinalAudit> = query
        .fetch_optional(connection)
        .await
        .map_err(error::of_read)?;
    Ok(row.map(FinalAudit::into_audited))
}

const LAST_INDEX: &str =
    "SELECT leaf_index FROM entry WHERE tree_id = ?1 ORDER BY leaf_index DESC LIMIT 1";

pub(super) async fn last_index(
    connection: &mut SqliteConnection,
    tree: TreeId,
) -> StoreResult<Option<LeafIndex>> {
    let query = sqlx::query_scalar(LAST_INDEX).bind(tree.0);
    let last: Option<i64> = query
        .fetch_optional(connection)
        .await
        .map_err(error::of_read)?;
    Ok(last
        .and_then(|last| u64::try_from(last).ok())
        .map(LeafIndex))
}

pub(super) async fn orphans(
    connection: &mut SqliteConnection,
) -> StoreResult<Vec<(&'static str, i64)>> {
    let mut orphans = Vec::new();
    for table in TABLES_OF_TREES {
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(orphans_of(table)));
        let trees: Vec<i64> = query
            .fetch_all(&mut *connection)
            .await
            .map_err(error::of_read)?;
        orphans.extend(trees.into_iter().map(|tree| (table, tree)));
    }
    Ok(orphans)
}

/// Compares indexes with tables, and every page with the form that it has to have.
pub(super) async fn structure(connection: &mut SqliteConnection) -> StoreResult<Vec<String>> {
    let sql = format!("PRAGMA integrity_check({MAX_STRAYS})");
    let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql));
    let lines: Vec<String> = query.fetch_all(connection).await.map_err(error::of_read)?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}
