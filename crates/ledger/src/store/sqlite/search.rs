//! Search: by index keys, by kind, by time.
//!
//! Lists come back as one JSON text: a row for each index would cost more than finding it.

use std::ops::Range;

use sqlx::SqliteConnection;
use tlog::{LeafIndex, TreeSize};

use super::error;
use super::reads::json_list;
use crate::store::index_keys::key_hashes;
use crate::store::numbers::{from_sql, to_sql};
use crate::store::records::{FoundRecord, ask_for_keys, into_found, key_page, with_long_keys};
use crate::store::{Condition, FoundEntry, KeyQuery, Page, StoreError, StoreResult};
use crate::{IndexKeyHash, TreeId};

/// The newest rows of one key, or of one kind ([`NEWEST_OF_KIND`]).
const NEWEST_WITH_KEY: &str = "SELECT json_group_array(leaf_index) FROM (
    SELECT leaf_index FROM index_key
    WHERE tree_id = ?1 AND key_hash = unhex(?2) AND leaf_index >= ?3 AND leaf_index < ?4
    ORDER BY leaf_index DESC LIMIT ?5)";

const NEWEST_OF_KIND: &str = "SELECT json_group_array(leaf_index) FROM (
    SELECT leaf_index FROM entry INDEXED BY entry_kind
    WHERE tree_id = ?1 AND kind = ?2 AND leaf_index >= ?3 AND leaf_index < ?4
    ORDER BY leaf_index DESC LIMIT ?5)";

/// Returns the leaf indexes of the newest entries that meet a condition.
pub(super) async fn newest(
    connection: &mut SqliteConnection,
    tree: TreeId,
    condition: &Condition,
    range: Range<u64>,
    limit: u32,
) -> StoreResult<Vec<u64>> {
    let (statement, texts) = match condition {
        Condition::Keys(texts) => (NEWEST_WITH_KEY, hex_hashes(texts)),
        Condition::Kinds(tags) => (NEWEST_OF_KIND, tags.clone()),
    };
    let (from, below) = (to_sql(range.start)?, to_sql(range.end)?);
    let mut newest = Vec::new();
    for text in texts {
        let query = sqlx::query_scalar(statement)
            .bind(tree.0)
            .bind(text)
            .bind(from)
            .bind(below)
            .bind(limit);
        let of_text: String = query
            .fetch_one(&mut *connection)
            .await
            .map_err(error::of_read)?;
        newest.extend(leaf_indexes(&of_text)?);
    }
    newest.sort_unstable_by_key(|index| std::cmp::Reverse(*index));
    newest.dedup();
    newest.truncate(limit as usize);
    Ok(newest)
}

const WITH_KEY: &str =
    "SELECT json_group_array(candidate.value) FROM json_each(?3) candidate WHERE EXISTS (
    SELECT 1 FROM json_each(?2) wanted CROSS JOIN index_key k
        ON k.tree_id = ?1 AND k.key_hash = unhex(wanted.value) AND k.leaf_index = candidate.value)";

const OF_KIND: &str =
    "SELECT json_group_array(candidate.value) FROM json_each(?3) candidate WHERE EXISTS (
    SELECT 1 FROM json_each(?2) wanted CROSS JOIN entry e
        ON e.tree_id = ?1 AND e.leaf_index = candidate.value AND e.kind = wanted.value)";

/// Returns those of some leaf indexes whose entries meet a condition.
pub(super) async fn meeting(
    connection: &mut SqliteConnection,
    tree: TreeId,
    condition: &Condition,
    indexes: &[u64],
) -> StoreResult<Vec<u64>> {
    let (statement, texts) = match condition {
        Condition::Keys(texts) => (WITH_KEY, json_texts(&hex_hashes(texts))),
        Condition::Kinds(tags) => (OF_KIND, json_texts(tags)),
    };
    let query = sqlx::query_scalar(statement)
        .bind(tree.0)
        .bind(texts)
        .bind(json_indexes(indexes));
    let meeting: String = query.fetch_one(connection).await.map_err(error::of_read)?;
    leaf_indexes(&meeting)
}

/// The key texts of an entry may have a megabyte, so they are read only for a search by keys (?3),
/// and here only up to 16 KiB.
const FOUND: &str = "SELECT e.leaf_index, e.leaf_hash, e.time, e.kind, e.attested, e.checksum,
        CASE WHEN ?3 AND length(e.index_keys) <= 16384 THEN e.index_keys END AS index_keys
    FROM json_each(?2) wanted CROSS JOIN entry e ON e.tree_id = ?1 AND e.leaf_index = wanted.value";

/// Returns the entries at some leaf indexes, without those that have the hash of a key but not its
/// text.
pub(super) async fn found(
    connection: &mut SqliteConnection,
    tree: TreeId,
    indexes: &[u64],
    conditions: &[Condition],
) -> StoreResult<Vec<FoundEntry>> {
    let rows = sqlx::query_as(FOUND)
        .bind(tree.0)
        .bind(json_indexes(indexes))
        .bind(ask_for_keys(conditions));
    let mut rows: Vec<FoundRecord> = rows
        .fetch_all(&mut *connection)
        .await
        .map_err(error::of_read)?;
    compare_long_keys(connection, tree, &mut rows, conditions).await?;
    into_found(tree, rows, conditions)
}

const KEYS: &str = "SELECT index_keys FROM entry WHERE tree_id = ?1 AND leaf_index = ?2";

/// Compares key texts that are too long to be read with others, one entry at a time.
async fn compare_long_keys(
    connection: &mut SqliteConnection,
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

/// The newest entries of a key.
const OF_ONE_KEY: &str = "SELECT e.leaf_index, e.leaf_hash, e.time, e.kind, e.attested, e.checksum,
        CASE WHEN length(e.index_keys) <= 16384 THEN e.index_keys END AS index_keys
    FROM index_key k CROSS JOIN entry e ON e.tree_id = ?1 AND e.leaf_index = k.leaf_index
    WHERE k.tree_id = ?1 AND k.key_hash = ?2 AND k.leaf_index >= ?3 AND k.leaf_index < ?4
    ORDER BY k.leaf_index DESC LIMIT ?5";

pub(super) async fn search_each(
    connection: &mut SqliteConnection,
    tree: TreeId,
    queries: &[KeyQuery],
    limit: u32,
) -> StoreResult<Vec<Page>> {
    let mut pages = Vec::with_capacity(queries.len());
    for query in queries {
        let hash = IndexKeyHash::of(&query.key).0.to_vec();
        let (from, below) = (to_sql(query.range.start)?, to_sql(query.range.end)?);
        let rows = sqlx::query_as(OF_ONE_KEY)
            .bind(tree.0)
            .bind(hash)
            .bind(from)
            .bind(below)
            .bind(limit);
        let mut rows: Vec<FoundRecord> = rows
            .fetch_all(&mut *connection)
            .await
            .map_err(error::of_read)?;
        let conditions = query.conditions();
        compare_long_keys(connection, tree, &mut rows, &conditions).await?;
        pages.push(key_page(tree, rows, query, &conditions, limit)?);
    }
    Ok(pages)
}

fn hex_hashes(texts: &[String]) -> Vec<String> {
    key_hashes(texts)
        .into_iter()
        .map(|hash| hex::encode(hash.0))
        .collect()
}

/// Hashes in hexadecimal or tags of kinds, neither of which has a character that JSON escapes.
fn json_texts(texts: &[String]) -> String {
    json_list(texts.iter().map(|text| format!("\"{text}\"")))
}

fn json_indexes(indexes: &[u64]) -> String {
    json_list(indexes.iter().map(u64::to_string))
}

fn leaf_indexes(json: &str) -> StoreResult<Vec<u64>> {
    let damaged = |_| StoreError::Damaged(format!("leaf indexes are {json:.64}"));
    let indexes = json
        .trim_start_matches('[')
        .trim_end_matches(']')
        .split(',')
        .filter(|index| !index.is_empty());
    indexes
        .map(|index| index.parse().map_err(damaged))
        .collect()
}

/// Times never go back along a tree, so the first entry of a time is found by halving: a look-up
/// for each bit of the size.
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
            (
                NEWEST_WITH_KEY,
                &["PRIMARY KEY (tree_id=? AND key_hash=? AND leaf_index"],
            ),
            (NEWEST_OF_KIND, &["entry_kind (tree_id=? AND kind=? AND"]),
            (
                WITH_KEY,
                &["PRIMARY KEY (tree_id=? AND key_hash=? AND leaf_index"],
            ),
            (
                OF_KIND,
                &["entry_kind (tree_id=? AND kind=? AND leaf_index=?)"],
            ),
            (FOUND, &["entry_1 (tree_id=? AND leaf_index=?)"]),
            (
                OF_ONE_KEY,
                &[
                    "PRIMARY KEY (tree_id=? AND key_hash=? AND leaf_index",
                    "entry_1 (tree_id=? AND leaf_index=?)",
                ],
            ),
        ])
        .await;
    }
}
