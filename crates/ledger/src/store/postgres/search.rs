//! Search: by index keys, by kind, by time.

use sqlx::PgConnection;
use tlog::{LeafIndex, TreeSize};

use super::error;
use super::key16::Key16;
use crate::store::encoding::{from_sql, key_hashes, to_sql};
use crate::store::records::{FoundRecord, PlacedRecord, merge_kinds, page};
use crate::store::{KeyQuery, Page, Query, STRIDE, StoreError, StoreResult};
use crate::{IndexKeyHash, TreeId};

/// How rare a key is, is counted up to a bound: beyond it any choice is a long walk.
const RAREST: &str = "SELECT wanted FROM unnest($2::uuid[]) AS wanted ORDER BY (
        SELECT count(*) FROM (
            SELECT FROM index_key WHERE tree_id = $1 AND key_hash = wanted AND leaf_index >= $3 AND leaf_index < $4
            LIMIT 1000
        ) AS counted
    ) LIMIT 1";

/// The last of the next rows of a key, newest first.
const STRIDE_END: &str = "SELECT leaf_index FROM index_key
    WHERE tree_id = $1 AND key_hash = $2 AND leaf_index >= $3 AND leaf_index < $4
    ORDER BY leaf_index DESC LIMIT 1 OFFSET $5::bigint - 1";

/// Rows of the rarest key, newest first, that have rows of all keys, and one of the kinds if there are any.
const WITH_KEYS: &str = "SELECT k.leaf_index, e.leaf_hash, e.time, e.kind, b.index_keys
    FROM (
        SELECT leaf_index FROM index_key
        WHERE tree_id = $1 AND key_hash = $2 AND leaf_index >= $3 AND leaf_index < $4
        ORDER BY leaf_index DESC OFFSET 0
    ) AS k
    CROSS JOIN LATERAL (
        SELECT count(*) FROM unnest($5::uuid[]) AS wanted CROSS JOIN LATERAL (
            SELECT FROM index_key WHERE tree_id = $1 AND key_hash = wanted AND leaf_index = k.leaf_index LIMIT 1
        ) AS one
    ) AS keys(found)
    CROSS JOIN LATERAL (
        SELECT leaf_hash, time, kind FROM entry WHERE tree_id = $1 AND leaf_index = k.leaf_index LIMIT 1
    ) AS e
    CROSS JOIN LATERAL (SELECT index_keys FROM body WHERE tree_id = $1 AND leaf_index = k.leaf_index LIMIT 1) AS b
    WHERE keys.found = cardinality($5::uuid[]) AND (cardinality($6::text[]) = 0 OR e.kind = ANY($6::text[]))
    ORDER BY k.leaf_index DESC LIMIT $7";

/// Compared as rows, so that no plan walks along the table's own key: a rare kind would have it read all of the table.
const OF_KIND: &str = "SELECT leaf_index, leaf_hash, time, kind, NULL::bytea AS index_keys FROM entry
    WHERE (tree_id, kind, leaf_index) >= ($1, $2, $3) AND (tree_id, kind, leaf_index) < ($1, $2, $4)
    ORDER BY tree_id DESC, kind DESC, leaf_index DESC LIMIT $5";

const ANY: &str = "SELECT leaf_index, leaf_hash, time, kind, NULL::bytea AS index_keys FROM entry
    WHERE tree_id = $1 AND leaf_index >= $2 AND leaf_index < $3
    ORDER BY leaf_index DESC LIMIT $4";

pub(super) async fn search(connection: &mut PgConnection, tree: TreeId, query: &Query<'_>) -> StoreResult<Page> {
    let (from, below) = (to_sql(query.range.start)?, to_sql(query.range.end)?);
    let limit = i64::from(query.limit);
    match (query.keys, query.kinds) {
        ([], []) => {
            let rows = sqlx::query_as(ANY).bind(tree.0).bind(from).bind(below).bind(limit);
            page(rows.fetch_all(connection).await.map_err(error::of_read)?, query, from)
        }
        ([], kinds) => {
            let mut rows = Vec::new();
            for kind in kinds {
                let of_kind = sqlx::query_as(OF_KIND).bind(tree.0).bind(kind).bind(from).bind(below).bind(limit);
                rows.push(of_kind.fetch_all(&mut *connection).await.map_err(error::of_read)?);
            }
            page(merge_kinds(rows, query.limit), query, from)
        }
        _ => with_keys(connection, tree, query, from, below).await,
    }
}

/// The newest rows of each key.
const EACH_KEY: &str = "SELECT wanted.place, k.leaf_index, e.leaf_hash, e.time, e.kind, b.index_keys
    FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS wanted(key_hash, first, below, place)
    CROSS JOIN LATERAL (
        SELECT leaf_index FROM index_key
        WHERE tree_id = $1 AND key_hash = wanted.key_hash AND leaf_index >= wanted.first AND leaf_index < wanted.below
        ORDER BY leaf_index DESC LIMIT $5
    ) AS k
    CROSS JOIN LATERAL (
        SELECT leaf_hash, time, kind FROM entry WHERE tree_id = $1 AND leaf_index = k.leaf_index LIMIT 1
    ) AS e
    CROSS JOIN LATERAL (SELECT index_keys FROM body WHERE tree_id = $1 AND leaf_index = k.leaf_index LIMIT 1) AS b
    ORDER BY wanted.place, k.leaf_index DESC";

pub(super) async fn search_each(
    connection: &mut PgConnection,
    tree: TreeId,
    queries: &[KeyQuery],
    limit: u32,
) -> StoreResult<Vec<Page>> {
    let hashes: Vec<Key16> = queries.iter().map(|query| Key16(IndexKeyHash::of(&query.key).0)).collect();
    let from: Vec<i64> = queries.iter().map(|query| to_sql(query.range.start)).collect::<StoreResult<_>>()?;
    let below: Vec<i64> = queries.iter().map(|query| to_sql(query.range.end)).collect::<StoreResult<_>>()?;
    let rows = sqlx::query_as(EACH_KEY).bind(tree.0).bind(hashes).bind(&from).bind(below).bind(i64::from(limit));
    let rows: Vec<PlacedRecord> = rows.fetch_all(connection).await.map_err(error::of_read)?;
    let mut rows = rows.into_iter().peekable();
    let mut pages = Vec::with_capacity(queries.len());
    for ((query, from), place) in queries.iter().zip(from).zip(1..) {
        let of_query = std::iter::from_fn(|| rows.next_if(|row| row.place == place)).map(|row| row.found).collect();
        pages.push(page(of_query, &query.with_limit(limit), from)?);
    }
    Ok(pages)
}

async fn with_keys(
    connection: &mut PgConnection,
    tree: TreeId,
    query: &Query<'_>,
    from: i64,
    below: i64,
) -> StoreResult<Page> {
    let hashes: Vec<Key16> = key_hashes(query.keys).into_iter().map(|hash| Key16(hash.0)).collect();
    let rarest = match hashes[..] {
        [only] => only,
        _ => {
            let rarest = sqlx::query_scalar(RAREST).bind(tree.0).bind(&hashes).bind(from).bind(below);
            rarest.fetch_one(&mut *connection).await.map_err(error::of_read)?
        }
    };
    // Of a single key every row is a hit.
    let from = match hashes.len() == 1 && query.kinds.is_empty() {
        true => from,
        false => stride_end(connection, tree, rarest, from, below).await?,
    };
    let rows = sqlx::query_as(WITH_KEYS).bind(tree.0).bind(rarest).bind(from).bind(below).bind(hashes);
    let rows = rows.bind(query.kinds).bind(i64::from(query.limit)).fetch_all(connection).await;
    let rows: Vec<FoundRecord> = rows.map_err(error::of_read)?;
    page(rows, query, from)
}

/// The index down to which one call looks.
async fn stride_end(
    connection: &mut PgConnection,
    tree: TreeId,
    key: Key16,
    from: i64,
    below: i64,
) -> StoreResult<i64> {
    let query = sqlx::query_scalar(STRIDE_END).bind(tree.0).bind(key).bind(from).bind(below).bind(i64::from(STRIDE));
    let end: Option<i64> = query.fetch_optional(connection).await.map_err(error::of_read)?;
    Ok(end.unwrap_or(from))
}

/// Times never go back along a tree, so the first entry of a time is found by halving: a look-up for each bit of the size.
const FIRST_AT: &str = "WITH RECURSIVE half(low, high) AS (
    SELECT 0::bigint, $3::bigint
    UNION ALL
    SELECT CASE WHEN e.time < $2 THEN (low + high) / 2 + 1 ELSE low END,
           CASE WHEN e.time < $2 THEN high ELSE (low + high) / 2 END
    FROM half CROSS JOIN LATERAL (
        SELECT time FROM entry WHERE tree_id = $1 AND leaf_index = (low + high) / 2 LIMIT 1
    ) AS e
    WHERE low < high)
    SELECT low FROM half WHERE low = high";

pub(super) async fn first_at(
    connection: &mut PgConnection,
    tree: TreeId,
    time: i64,
    size: TreeSize,
) -> StoreResult<LeafIndex> {
    let query = sqlx::query_scalar(FIRST_AT).bind(tree.0).bind(time).bind(to_sql(size.0)?);
    let first: Option<i64> = query.fetch_optional(connection).await.map_err(error::of_read)?;
    let first = first.ok_or_else(|| StoreError::Damaged(format!("table entry: one below {size} is missing")))?;
    Ok(LeafIndex(from_sql(first, "entry.leaf_index")?))
}
