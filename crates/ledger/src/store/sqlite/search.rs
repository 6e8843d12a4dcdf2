//! Search: by index keys, by kind, by time.

use sqlx::SqliteConnection;
use tlog::{LeafIndex, TreeSize};

use super::error;
use super::reads::{json_hex, json_list};
use crate::TreeId;
use crate::store::encoding::{from_sql, key_hashes, to_sql};
use crate::store::records::{FoundRecord, merge_kinds, page};
use crate::store::{Page, Query, STRIDE, StoreError, StoreResult};

/// How often a key occurs, counted up to a bound: beyond it any choice of the rarest key is a long walk.
const COUNT_KEY: &str = "SELECT count(*) FROM (
    SELECT 1 FROM index_key WHERE tree_id = ?1 AND key_hash = ?2 AND leaf_index >= ?3 AND leaf_index < ?4 LIMIT 1000)";

/// The last of the next rows of a key, newest first.
const STRIDE_END: &str = "SELECT leaf_index FROM index_key
    WHERE tree_id = ?1 AND key_hash = ?2 AND leaf_index >= ?3 AND leaf_index < ?4
    ORDER BY leaf_index DESC LIMIT 1 OFFSET ?5 - 1";

/// Rows of the rarest key, newest first, that have rows of all other keys too, and one of the kinds if there are any.
const WITH_KEYS: &str = "SELECT e.leaf_index, e.leaf_hash, e.time, e.kind, b.index_keys
    FROM index_key k
    CROSS JOIN entry e ON e.tree_id = ?1 AND e.leaf_index = k.leaf_index
    CROSS JOIN body b ON b.tree_id = ?1 AND b.leaf_index = k.leaf_index
    WHERE k.tree_id = ?1 AND k.key_hash = ?2 AND k.leaf_index >= ?3 AND k.leaf_index < ?4
      AND NOT EXISTS (
        SELECT 1 FROM json_each(?5) other WHERE NOT EXISTS (
            SELECT 1 FROM index_key o
            WHERE o.tree_id = ?1 AND o.key_hash = unhex(other.value) AND o.leaf_index = k.leaf_index))
      AND (json_array_length(?6) = 0 OR e.kind IN (SELECT value FROM json_each(?6)))
    ORDER BY k.leaf_index DESC LIMIT ?7";

const OF_KIND: &str = "SELECT leaf_index, leaf_hash, time, kind, NULL AS index_keys FROM entry INDEXED BY entry_kind
    WHERE tree_id = ?1 AND kind = ?2 AND leaf_index >= ?3 AND leaf_index < ?4
    ORDER BY leaf_index DESC LIMIT ?5";

const ANY: &str = "SELECT leaf_index, leaf_hash, time, kind, NULL AS index_keys FROM entry
    WHERE tree_id = ?1 AND leaf_index >= ?2 AND leaf_index < ?3
    ORDER BY leaf_index DESC LIMIT ?4";

pub(super) async fn search(connection: &mut SqliteConnection, tree: TreeId, query: &Query<'_>) -> StoreResult<Page> {
    let (from, below) = (to_sql(query.range.start)?, to_sql(query.range.end)?);
    match (query.keys, query.kinds) {
        ([], []) => {
            let rows = sqlx::query_as(ANY).bind(tree.0).bind(from).bind(below).bind(query.limit);
            page(rows.fetch_all(connection).await.map_err(error::of_read)?, query, from)
        }
        ([], kinds) => {
            let mut rows = Vec::new();
            for kind in kinds {
                let of_kind = sqlx::query_as(OF_KIND).bind(tree.0).bind(kind).bind(from).bind(below).bind(query.limit);
                rows.push(of_kind.fetch_all(&mut *connection).await.map_err(error::of_read)?);
            }
            page(merge_kinds(rows, query.limit), query, from)
        }
        _ => with_keys(connection, tree, query, from, below).await,
    }
}

async fn with_keys(
    connection: &mut SqliteConnection,
    tree: TreeId,
    query: &Query<'_>,
    from: i64,
    below: i64,
) -> StoreResult<Page> {
    let hashes = rarest_first(connection, tree, query.keys, from, below).await?;
    let Some((rarest, others)) = hashes.split_first() else { return page(Vec::new(), query, from) };
    // Of a single key every row is a hit.
    let from = match others.is_empty() && query.kinds.is_empty() {
        true => from,
        false => stride_end(connection, tree, rarest, from, below).await?,
    };
    let others = json_list(others.iter().map(|hash| json_hex(*hash)));
    // A tag has no character that JSON escapes.
    let kinds = json_list(query.kinds.iter().map(|kind| format!("\"{kind}\"")));
    let rows = sqlx::query_as(WITH_KEYS).bind(tree.0).bind(rarest.to_vec()).bind(from).bind(below);
    let rows: Vec<FoundRecord> =
        rows.bind(others).bind(kinds).bind(query.limit).fetch_all(connection).await.map_err(error::of_read)?;
    page(rows, query, from)
}

/// The hashes of the keys; of several the rarest one first.
async fn rarest_first(
    connection: &mut SqliteConnection,
    tree: TreeId,
    keys: &[String],
    from: i64,
    below: i64,
) -> StoreResult<Vec<[u8; 16]>> {
    let mut hashes: Vec<(i64, [u8; 16])> = key_hashes(keys).into_iter().map(|hash| (0, hash.0)).collect();
    if hashes.len() > 1 {
        for (count, hash) in &mut hashes {
            let query = sqlx::query_scalar(COUNT_KEY).bind(tree.0).bind(hash.to_vec()).bind(from).bind(below);
            *count = query.fetch_one(&mut *connection).await.map_err(error::of_read)?;
        }
        hashes.sort_unstable();
    }
    Ok(hashes.into_iter().map(|(_, hash)| hash).collect())
}

/// The index down to which one call looks.
async fn stride_end(
    connection: &mut SqliteConnection,
    tree: TreeId,
    key: &[u8; 16],
    from: i64,
    below: i64,
) -> StoreResult<i64> {
    let query = sqlx::query_scalar(STRIDE_END).bind(tree.0).bind(key.to_vec()).bind(from).bind(below).bind(STRIDE);
    let end: Option<i64> = query.fetch_optional(connection).await.map_err(error::of_read)?;
    Ok(end.unwrap_or(from))
}

/// Times never go back along a tree, so the first entry of a time is found by halving: a look-up for each bit of the size.
const FIRST_AT: &str = "WITH RECURSIVE half(low, high) AS (
    SELECT 0, ?3
    UNION ALL
    SELECT CASE WHEN e.time < ?2 THEN (low + high) / 2 + 1 ELSE low END,
           CASE WHEN e.time < ?2 THEN high ELSE (low + high) / 2 END
    FROM half CROSS JOIN entry e ON e.tree_id = ?1 AND e.leaf_index = (low + high) / 2
    WHERE low < high)
    SELECT low FROM half WHERE low = high";

pub(super) async fn first_at(
    connection: &mut SqliteConnection,
    tree: TreeId,
    time: i64,
    size: TreeSize,
) -> StoreResult<LeafIndex> {
    let query = sqlx::query_scalar(FIRST_AT).bind(tree.0).bind(time).bind(to_sql(size.0)?);
    let first: Option<i64> = query.fetch_optional(connection).await.map_err(error::of_read)?;
    let first = first.ok_or_else(|| StoreError::Damaged(format!("table entry: one below {size} is missing")))?;
    Ok(LeafIndex(from_sql(first, "entry.leaf_index")?))
}
