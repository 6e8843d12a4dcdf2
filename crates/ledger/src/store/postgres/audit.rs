//! Queries of fsck. Pages are short reads; only the counts walk whole tables.

use std::ops::Range;
use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};
use tlog::{FullTile, LeafIndex, TreeSize};

use super::key16::Key16;
use super::{claims, error};
use crate::TreeId;
use crate::store::audit::{
    TABLES_OF_TREES, assign_found, counts_of, expected_rows, orphans_of, outside_of,
};
use crate::store::audit_records::{
    AuditRecord, FinalAudit, HeadAudit, PublicationAudit, TreeAudit, into_audited_trees,
};
use crate::store::hash_rows::HashRows;
use crate::store::numbers::to_sql;
use crate::store::records::{TileRecord, into_sizes};
use crate::store::{
    AuditCounts, AuditEntry, Audited, FinalCheckpoint, HeadRow, PublicationRow, StoreError,
    StoreResult, TreeRow,
};

/// Counting 100 million rows takes minutes; more than an hour means a database that does not
/// answer.
const COUNT_TIMEOUT: Duration = Duration::from_secs(3600);

const SIZES: &str =
    "SELECT e.leaf_index, (octet_length(e.index_keys)
        + coalesce((SELECT octet_length(body) FROM body WHERE tree_id = $1 AND leaf_index = e.leaf_index), 0)
        + coalesce((SELECT octet_length(data) FROM attestation WHERE tree_id = $1 AND leaf_index = e.leaf_index), 0))::bigint
    FROM entry e WHERE e.tree_id = $1 AND e.leaf_index >= $2 AND e.leaf_index < $3
    ORDER BY e.leaf_index";

pub(super) async fn sizes(
    connection: &mut PgConnection,
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
    "SELECT e.leaf_index, e.leaf_hash, e.time, convert_to(e.kind, 'UTF8') AS kind, e.attested::int::bigint AS attested, e.checksum, b.body, s.signature, s.checksum AS signature_checksum, a.digest, a.data,
        e.index_keys
    FROM entry e
    LEFT JOIN LATERAL (
        SELECT body FROM body WHERE tree_id = $1 AND leaf_index = e.leaf_index LIMIT 1
    ) AS b ON true
    LEFT JOIN LATERAL (
        SELECT signature, checksum FROM signed_entry_timestamp WHERE tree_id = $1 AND leaf_index = e.leaf_index LIMIT 1
    ) AS s ON true
    LEFT JOIN LATERAL (
        SELECT digest, data FROM attestation WHERE tree_id = $1 AND leaf_index = e.leaf_index LIMIT 1
    ) AS a ON true
    WHERE e.tree_id = $1 AND e.leaf_index >= $2 AND e.leaf_index < $3
    ORDER BY e.leaf_index";

const LEAF_ROWS: &str = "SELECT wanted.hash, wanted.leaf_index
    FROM unnest($2::uuid[], $3::bigint[]) AS wanted(hash, leaf_index)
    CROSS JOIN LATERAL (
        SELECT FROM leaf WHERE tree_id = $1 AND hash_prefix = wanted.hash AND leaf_index = wanted.leaf_index LIMIT 1
    ) AS found";

const INDEX_KEY_ROWS: &str = "SELECT wanted.hash, wanted.leaf_index
    FROM unnest($2::uuid[], $3::bigint[]) AS wanted(hash, leaf_index)
    CROSS JOIN LATERAL (
        SELECT FROM index_key WHERE tree_id = $1 AND key_hash = wanted.hash AND leaf_index = wanted.leaf_index LIMIT 1
    ) AS found";

pub(super) async fn entries(
    connection: &mut PgConnection,
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
    connection: &mut PgConnection,
    sql: &'static str,
    tree: TreeId,
    wanted: HashRows,
) -> StoreResult<HashRows> {
    let (hashes, indexes): (Vec<Key16>, Vec<i64>) = wanted
        .into_iter()
        .map(|(hash, index)| (Key16(hash), index))
        .unzip();
    let query = sqlx::query_as(sql).bind(tree.0).bind(hashes).bind(indexes);
    let rows: Vec<(Key16, i64)> = query.fetch_all(connection).await.map_err(error::of_read)?;
    Ok(rows
        .into_iter()
        .map(|(hash, index)| (hash.0, index))
        .collect())
}

const TILES: &str = "SELECT index, root, hashes FROM tile
    WHERE tree_id = $1 AND level = $2 AND index >= $3 ORDER BY index LIMIT $4";

pub(super) async fn tiles(
    connection: &mut PgConnection,
    tree: TreeId,
    level: u8,
    from: u64,
    limit: u32,
) -> StoreResult<Vec<FullTile>> {
    let query = sqlx::query_as(TILES)
        .bind(tree.0)
        .bind(i16::from(level))
        .bind(to_sql(from)?)
        .bind(i64::from(limit));
    let records: Vec<TileRecord> = query.fetch_all(connection).await.map_err(error::of_read)?;
    records
        .into_iter()
        .map(|record| record.into_full_tile(level))
        .collect()
}

/// One statement, so one snapshot: a round that commits meanwhile is in all of it or in none. For
/// each table, rows below the size and rows at or beyond the newest head's.
const COUNTS: &str = "WITH newest AS MATERIALIZED (SELECT coalesce(max(size), 0) AS size FROM head WHERE tree_id = $1)
    SELECT t.below, t.beyond FROM newest n, LATERAL (
        SELECT 1, count(*) FILTER (WHERE leaf_index < $2), count(*) FILTER (WHERE leaf_index < 0 OR leaf_index >= n.size)
            FROM entry WHERE tree_id = $1
        UNION ALL SELECT 2, count(*) FILTER (WHERE leaf_index < $2), count(*) FILTER (WHERE leaf_index < 0 OR leaf_index >= n.size)
            FROM body WHERE tree_id = $1
        UNION ALL SELECT 3, count(*) FILTER (WHERE leaf_index < $2), count(*) FILTER (WHERE leaf_index < 0 OR leaf_index >= n.size)
            FROM leaf WHERE tree_id = $1
        UNION ALL SELECT 4, count(*) FILTER (WHERE leaf_index < $2), count(*) FILTER (WHERE leaf_index < 0 OR leaf_index >= n.size)
            FROM index_key WHERE tree_id = $1
        UNION ALL SELECT 5, count(*) FILTER (WHERE leaf_index < $2), count(*) FILTER (WHERE leaf_index < 0 OR leaf_index >= n.size)
            FROM signed_entry_timestamp WHERE tree_id = $1
        UNION ALL SELECT 6, count(*) FILTER (WHERE leaf_index < $2), count(*) FILTER (WHERE leaf_index < 0 OR leaf_index >= n.size)
            FROM attestation WHERE tree_id = $1
        UNION ALL SELECT 7, count(*) FILTER (WHERE leaf_index < $2), count(*) FILTER (WHERE leaf_index < 0 OR leaf_index >= n.size)
            FROM claim WHERE tree_id = $1
    ) AS t(place, below, beyond) ORDER BY t.place";

pub(super) async fn counts(
    connection: &mut PgConnection,
    tree: TreeId,
    size: TreeSize,
) -> StoreResult<AuditCounts> {
    counts_of(&count_rows(connection, tree, size).await?)
}

pub(super) async fn outside(
    connection: &mut PgConnection,
    tree: TreeId,
) -> StoreResult<Vec<(&'static str, u64)>> {
    outside_of(&count_rows(connection, tree, TreeSize(0)).await?)
}

async fn count_rows(
    connection: &mut PgConnection,
    tree: TreeId,
    size: TreeSize,
) -> StoreResult<Vec<(i64, i64)>> {
    let size = to_sql(size.0)?;
    let work = async {
        let mut transaction = connection.begin().await?;
        // SET takes no parameters. Whole tables are to be read, unlike everywhere else.
        let settings = format!(
            "SET LOCAL statement_timeout = {}; SET LOCAL enable_seqscan = on; SET LOCAL plan_cache_mode = auto",
            COUNT_TIMEOUT.as_millis()
        );
        transaction.execute(sqlx::AssertSqlSafe(settings)).await?;
        let query = sqlx::query_as(COUNTS).bind(tree.0).bind(size);
        let rows: Vec<(i64, i64)> = query.fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(rows)
    };
    match tokio::time::timeout(COUNT_TIMEOUT, work).await {
        Ok(rows) => rows.map_err(error::of_read),
        Err(_) => Err(StoreError::Unavailable(
            "counting took more than an hour".to_owned(),
        )),
    }
}

const TREES: &str = "SELECT t.tree_id, convert_to(t.name, 'UTF8') AS name, convert_to(t.api, 'UTF8') AS api, convert_to(t.origin, 'UTF8') AS origin,
        t.first_log_index, t.max_leaf_bytes, convert_to(t.state, 'UTF8') AS state, t.created_at, t.frozen_at,
        convert_to(k.role, 'UTF8') AS role, k.spki
    FROM tree t LEFT JOIN tree_key k ON k.tree_id = t.tree_id
    ORDER BY t.created, k.role DESC, k.spki";

pub(super) async fn trees(connection: &mut PgConnection) -> StoreResult<Vec<Audited<TreeRow>>> {
    let query = sqlx::query_as(TREES);
    let records: Vec<TreeAudit> = query.fetch_all(connection).await.map_err(error::of_read)?;
    Ok(into_audited_trees(records))
}

const HEADS: &str = "SELECT prev_size, size, root, time FROM head
    WHERE tree_id = $1 AND prev_size >= $2 ORDER BY prev_size LIMIT $3";

const LAST_HEADS: &str = "SELECT prev_size, size, root, time FROM head
    WHERE tree_id = $1 AND prev_size >= $2 ORDER BY prev_size DESC LIMIT $3";

pub(super) async fn heads(
    connection: &mut PgConnection,
    tree: TreeId,
    from: TreeSize,
    limit: u32,
) -> StoreResult<Vec<Audited<HeadRow>>> {
    read_heads(connection, HEADS, tree, from, limit).await
}

pub(super) async fn last_heads(
    connection: &mut PgConnection,
    tree: TreeId,
    limit: u32,
) -> StoreResult<Vec<Audited<HeadRow>>> {
    read_heads(connection, LAST_HEADS, tree, TreeSize(0), limit).await
}

async fn read_heads(
    connection: &mut PgConnection,
    sql: &'static str,
    tree: TreeId,
    from: TreeSize,
    limit: u32,
) -> StoreResult<Vec<Audited<HeadRow>>> {
    let query = sqlx::query_as(sql)
        .bind(tree.0)
        .bind(to_sql(from.0)?)
        .bind(i64::from(limit));
    let rows: Vec<HeadAudit> = query.fetch_all(connection).await.map_err(error::of_read)?;
    Ok(rows.into_iter().map(HeadAudit::into_audited).collect())
}

const PUBLICATIONS: &str = "SELECT prev_size, size, root, time, convert_to(checkpoint, 'UTF8') AS checkpoint, checksum FROM publication
    WHERE tree_id = $1 AND prev_size >= $2 ORDER BY prev_size LIMIT $3";

pub(super) async fn publications(
    connection: &mut PgConnection,
    tree: TreeId,
    from: Option<TreeSize>,
    limit: u32,
) -> StoreResult<Vec<Audited<PublicationRow>>> {
    let query = sqlx::query_as(PUBLICATIONS)
        .bind(tree.0)
        .bind(from.map_or(Ok(i64::MIN), |size| to_sql(size.0))?)
        .bind(i64::from(limit));
    let rows: Vec<PublicationAudit> = query.fetch_all(connection).await.map_err(error::of_read)?;
    rows.into_iter().map(|row| row.into_audited(tree)).collect()
}

const FINAL: &str = "SELECT convert_to(rekor_checkpoint, 'UTF8') AS rekor_checkpoint, convert_to(checkpoint, 'UTF8') AS checkpoint,
        convert_to(freeze_note, 'UTF8') AS freeze_note, receipt_signature
    FROM final_checkpoint WHERE tree_id = $1";

pub(super) async fn final_checkpoint(
    connection: &mut PgConnection,
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
    "SELECT leaf_index FROM entry WHERE tree_id = $1 ORDER BY leaf_index DESC LIMIT 1";

pub(super) async fn last_index(
    connection: &mut PgConnection,
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
    connection: &mut PgConnection,
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
