//! Search: by index keys, by kind, by time.
//!
//! Lists come back as one array: a row for each index would cost more than finding it.

use std::ops::Range;

use sqlx::PgConnection;
use tlog::{LeafIndex, TreeSize};

use super::error;
use super::key16::Key16;
use crate::store::index_keys::key_hashes;
use crate::store::numbers::{from_sql, to_sql};
use crate::store::records::{
    FoundRecord, PlacedRecord, ask_for_keys, into_found, key_page, with_long_keys,
};
use crate::store::{Condition, FoundEntry, KeyQuery, Page, StoreError, StoreResult};
use crate::{IndexKeyHash, TreeId};

/// Looks up the newest rows of each key; the newest of all are among them.
const NEWEST_WITH_KEY: &str = "SELECT array_agg(leaf_index) FROM (
    SELECT DISTINCT of_key.leaf_index FROM unnest($2::uuid[]) AS wanted CROSS JOIN LATERAL (
        SELECT leaf_index FROM index_key
        WHERE tree_id = $1 AND key_hash = wanted AND leaf_index >= $3 AND leaf_index < $4
        ORDER BY leaf_index DESC LIMIT $5
    ) AS of_key
    ORDER BY of_key.leaf_index DESC LIMIT $5
) AS newest";

/// Looks up the newest rows of each kind; an entry has one kind. Only the index of kinds has this
/// order, so no plan walks the primary key, where it would read all entries of other kinds. In this
/// form Postgres begins at the upper bound and stops at the end of the kind. It knows no lower
/// bound, so the caller drops the indexes below its range.
const NEWEST_OF_KIND: &str = "SELECT array_agg(leaf_index) FROM (
    SELECT of_kind.leaf_index FROM unnest($2::text[]) AS wanted CROSS JOIN LATERAL (
        SELECT leaf_index FROM entry
        WHERE tree_id = $1 AND kind >= wanted AND (kind, leaf_index) < (wanted, $3)
        ORDER BY kind DESC, leaf_index DESC LIMIT $4
    ) AS of_kind
    ORDER BY of_kind.leaf_index DESC LIMIT $4
) AS newest";

/// Returns the leaf indexes of the newest entries that meet a condition.
pub(super) async fn newest(
    connection: &mut PgConnection,
    tree: TreeId,
    condition: &Condition,
    range: Range<u64>,
    limit: u32,
) -> StoreResult<Vec<u64>> {
    let (from, below) = (to_sql(range.start)?, to_sql(range.end)?);
    let query = match condition {
        Condition::Keys(texts) => sqlx::query_scalar(NEWEST_WITH_KEY)
            .bind(tree.0)
            .bind(hashes(texts))
            .bind(from),
        Condition::Kinds(tags) => sqlx::query_scalar(NEWEST_OF_KIND).bind(tree.0).bind(tags),
    };
    let query = query.bind(below).bind(i64::from(limit));
    let mut newest = leaf_indexes(query.fetch_one(connection).await.map_err(error::of_read)?)?;
    newest.retain(|index| *index >= range.start);
    Ok(newest)
}

const WITH_KEY: &str = "SELECT array_agg(candidate ORDER BY place)
    FROM unnest($3::bigint[]) WITH ORDINALITY AS candidates(candidate, place)
    CROSS JOIN LATERAL (
        SELECT FROM unnest($2::uuid[]) AS wanted CROSS JOIN LATERAL (
            SELECT FROM index_key WHERE tree_id = $1 AND key_hash = wanted AND leaf_index = candidate LIMIT 1
        ) AS of_key LIMIT 1
    ) AS of_any";

const OF_KIND: &str = "SELECT array_agg(candidate ORDER BY place)
    FROM unnest($3::bigint[]) WITH ORDINALITY AS candidates(candidate, place)
    CROSS JOIN LATERAL (
        SELECT FROM unnest($2::text[]) AS wanted CROSS JOIN LATERAL (
            SELECT FROM entry WHERE tree_id = $1 AND kind = wanted AND leaf_index = candidate LIMIT 1
        ) AS of_kind LIMIT 1
    ) AS of_any";

/// Returns those of some leaf indexes whose entries meet a condition.
pub(super) async fn meeting(
    connection: &mut PgConnection,
    tree: TreeId,
    condition: &Condition,
    indexes: &[u64],
) -> StoreResult<Vec<u64>> {
    let query = match condition {
        Condition::Keys(texts) => sqlx::query_scalar(WITH_KEY)
            .bind(tree.0)
            .bind(hashes(texts)),
        Condition::Kinds(tags) => sqlx::query_scalar(OF_KIND).bind(tree.0).bind(tags),
    };
    let query = query.bind(sql_indexes(indexes)?);
    leaf_indexes(query.fetch_one(connection).await.map_err(error::of_read)?)
}

/// The key texts of an entry may have a megabyte, so they are read only for a search by keys ($3),
/// and here only up to 16 KiB.
const FOUND: &str =
    "SELECT wanted AS leaf_index, e.leaf_hash, e.time, e.kind, e.attested, e.checksum, e.index_keys
    FROM unnest($2::bigint[]) AS wanted
    CROSS JOIN LATERAL (
        SELECT leaf_hash, time, kind, attested, checksum,
            CASE WHEN $3 AND octet_length(index_keys) <= 16384 THEN index_keys END AS index_keys
        FROM entry WHERE tree_id = $1 AND leaf_index = wanted LIMIT 1
    ) AS e";

/// Returns the entries at some leaf indexes, without those that have the hash of a key but not its
/// text.
pub(super) async fn found(
    connection: &mut PgConnection,
    tree: TreeId,
    indexes: &[u64],
    conditions: &[Condition],
) -> StoreResult<Vec<FoundEntry>> {
    let rows = sqlx::query_as(FOUND)
        .bind(tree.0)
        .bind(sql_indexes(indexes)?)
        .bind(ask_for_keys(conditions));
    let mut rows: Vec<FoundRecord> = rows
        .fetch_all(&mut *connection)
        .await
        .map_err(error::of_read)?;
    compare_long_keys(connection, tree, &mut rows, conditions).await?;
    into_found(tree, rows, conditions)
}

const KEYS: &str = "SELECT index_keys FROM entry WHERE tree_id = $1 AND leaf_index = $2";

/// Compares key texts that are too long to be read with others, one entry at a time.
async fn compare_long_keys(
    connection: &mut PgConnection,
    tree: TreeId,
    rows: &mut [FoundRecord],
    conditions: &[Condition],
) -> StoreResult<()> {
    for row in with_long_keys(rows, conditions) {
        let query = sqlx::query_scalar(KEYS).bind(tree.0).bind(row.leaf_index());
        let keys: Vec<u8> = query
            .fetch_one(&mut *connection)
            .await
            .map_err(error::of_read)?;
        row.compare(&keys, conditions)?;
    }
    Ok(())
}

fn hashes(texts: &[String]) -> Vec<Key16> {
    key_hashes(texts)
        .into_iter()
        .map(|hash| Key16(hash.0))
        .collect()
}

fn sql_indexes(indexes: &[u64]) -> StoreResult<Vec<i64>> {
    indexes.iter().map(|index| to_sql(*index)).collect()
}

/// Reads an array of leaf indexes, which is NULL if there are no rows.
fn leaf_indexes(array: Option<Vec<i64>>) -> StoreResult<Vec<u64>> {
    array
        .unwrap_or_default()
        .into_iter()
        .map(|index| from_sql(index, "leaf_index"))
        .collect()
}

/// The newest rows of each key.
const EACH_KEY: &str = "SELECT wanted.place, k.leaf_index, e.leaf_hash, e.time, e.kind, e.attested, e.checksum, e.index_keys
    FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS wanted(key_hash, first, below, place)
    CROSS JOIN LATERAL (
        SELECT leaf_index FROM index_key
        WHERE tree_id = $1 AND key_hash = wanted.key_hash AND leaf_index >= wanted.first AND leaf_index < wanted.below
        ORDER BY leaf_index DESC LIMIT $5
    ) AS k
    CROSS JOIN LATERAL (
        SELECT leaf_hash, time, kind, attested, checksum,
            CASE WHEN octet_length(index_keys) <= 16384 THEN index_keys END AS index_keys
        FROM entry WHERE tree_id = $1 AND leaf_index = k.leaf_index LIMIT 1
    ) AS e
    ORDER BY wanted.place, k.leaf_index DESC";

pub(super) async fn search_each(
    connection: &mut PgConnection,
    tree: TreeId,
    queries: &[KeyQuery],
    limit: u32,
) -> StoreResult<Vec<Page>> {
    let hashes: Vec<Key16> = queries
        .iter()
        .map(|query| Key16(IndexKeyHash::of(&query.key).0))
        .collect();
    let from: Vec<i64> = queries
        .iter()
        .map(|query| to_sql(query.range.start))
        .collect::<StoreResult<_>>()?;
    let below: Vec<i64> = queries
        .iter()
        .map(|query| to_sql(query.range.end))
        .collect::<StoreResult<_>>()?;
    let rows = sqlx::query_as(EACH_KEY)
        .bind(tree.0)
        .bind(hashes)
        .bind(from)
        .bind(below)
        .bind(i64::from(limit));
    let rows: Vec<PlacedRecord> = rows
        .fetch_all(&mut *connection)
        .await
        .map_err(error::of_read)?;
    let mut rows = rows.into_iter().peekable();
    let mut pages = Vec::with_capacity(queries.len());
    for (query, place) in queries.iter().zip(1..) {
        let mut of_query: Vec<FoundRecord> =
            std::iter::from_fn(|| rows.next_if(|row| row.place == place))
                .map(|row| row.found)
                .collect();
        let conditions = query.conditions();
        compare_long_keys(connection, tree, &mut of_query, &conditions).await?;
        pages.push(key_page(tree, of_query, query, &conditions, limit)?);
    }
    Ok(pages)
}

/// Times never go back along a tree, so the first entry of a time is found by halving: a look-up
/// for each bit of the size.
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
    let query = sqlx::query_scalar(FIRST_AT)
        .bind(tree.0)
        .bind(time)
        .bind(to_sql(size.0)?);
    let first: Option<i64> = query
        .fetch_optional(connection)
        .await
        .map_err(error::of_read)?;
    let first = first
        .ok_or_else(|| StoreError::Damaged(format!("table entry: one below {size} is missing")))?;
    Ok(LeafIndex(from_sql(first, "entry.leaf_index")?))
}

#[cfg(test)]
mod tests {
    use super::super::plans::assert_indexed;
    use super::*;

    #[tokio::test]
    async fn no_table_is_read_whole() {
        assert_indexed(&[
            (NEWEST_WITH_KEY, &["index_key_pkey"]),
            (NEWEST_OF_KIND, &["entry_kind"]),
            (WITH_KEY, &["index_key_pkey"]),
            (OF_KIND, &["entry_kind"]),
            (FOUND, &["entry_pkey"]),
            (EACH_KEY, &["index_key_pkey", "entry_pkey"]),
        ])
        .await;
    }
}
