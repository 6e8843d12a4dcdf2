//! Queries of fsck. Pages are short reads; only the counts walk whole tables.

use std::ops::Range;

use sqlx::SqliteConnection;
use tlog::{FullTile, TreeSize};

use super::reads::{json_hex, json_list};
use super::{claims, error};
use crate::TreeId;
use crate::store::audit::{assign_found, counts_of, expected_rows};
use crate::store::hash_rows::{HashRows, PREFIX_BYTES};
use crate::store::numbers::to_sql;
use crate::store::records::{AuditRecord, TileRecord, into_sizes};
use crate::store::{AuditCounts, AuditEntry, StoreError, StoreResult};

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
    "SELECT e.leaf_index, e.leaf_hash, e.time, e.kind, e.attested, e.checksum, b.body, s.signature, s.checksum AS signature_checksum, a.digest, a.data,
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
) -> StoreResult<Vec<AuditEntry>> {
    let query = sqlx::query_as(ENTRIES)
        .bind(tree.0)
        .bind(to_sql(range.start)?)
        .bind(to_sql(range.end)?);
    let records: Vec<AuditRecord> = query
        .fetch_all(&mut *connection)
        .await
        .map_err(error::of_read)?;
    let mut entries: Vec<AuditEntry> = records
        .into_iter()
        .map(|record| record.into_audit(tree))
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
    SELECT count(*) FILTER (WHERE leaf_index < ?2), count(*) FILTER (WHERE leaf_index >= (SELECT size FROM newest))
        FROM entry WHERE tree_id = ?1
    UNION ALL
    SELECT count(*) FILTER (WHERE leaf_index < ?2), count(*) FILTER (WHERE leaf_index >= (SELECT size FROM newest))
        FROM body WHERE tree_id = ?1
    UNION ALL
    SELECT count(*) FILTER (WHERE leaf_index < ?2), count(*) FILTER (WHERE leaf_index >= (SELECT size FROM newest))
        FROM leaf WHERE tree_id = ?1
    UNION ALL
    SELECT count(*) FILTER (WHERE leaf_index < ?2), count(*) FILTER (WHERE leaf_index >= (SELECT size FROM newest))
        FROM index_key WHERE tree_id = ?1
    UNION ALL
    SELECT count(*) FILTER (WHERE leaf_index < ?2), count(*) FILTER (WHERE leaf_index >= (SELECT size FROM newest))
        FROM signed_entry_timestamp WHERE tree_id = ?1
    UNION ALL
    SELECT count(*) FILTER (WHERE leaf_index < ?2), count(*) FILTER (WHERE leaf_index >= (SELECT size FROM newest))
        FROM attestation WHERE tree_id = ?1
    UNION ALL
    SELECT count(*) FILTER (WHERE leaf_index < ?2), count(*) FILTER (WHERE leaf_index >= (SELECT size FROM newest))
        FROM claim WHERE tree_id = ?1";

pub(super) async fn counts(
    connection: &mut SqliteConnection,
    tree: TreeId,
    size: TreeSize,
) -> StoreResult<AuditCounts> {
    let query = sqlx::query_as(COUNTS).bind(tree.0).bind(to_sql(size.0)?);
    let rows: Vec<(i64, i64)> = query.fetch_all(connection).await.map_err(error::of_read)?;
    counts_of(&rows)
}
