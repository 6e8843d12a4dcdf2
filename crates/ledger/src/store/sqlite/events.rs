//! Entries as events need them.

use std::ops::Range;

use sqlx::SqliteConnection;

use super::error;
use crate::TreeId;
use crate::store::event_rows::{EventRead, EventRecord};
use crate::store::numbers::to_sql;
use crate::store::{EventRow, StoreResult};

/// The key texts of an entry may have a megabyte, so they are read with others only up to 16 KiB:
/// 4 MiB of a page.
const EVENTS: &str = "SELECT leaf_index, leaf_hash, time, kind, attested, checksum,
        CASE WHEN length(index_keys) <= 16384 THEN index_keys END AS index_keys
    FROM entry WHERE tree_id = ?1 AND leaf_index >= ?2 AND leaf_index < ?3 ORDER BY leaf_index";

const KEYS: &str = "SELECT index_keys FROM entry WHERE tree_id = ?1 AND leaf_index = ?2";

pub(super) async fn rows(
    connection: &mut SqliteConnection,
    tree: TreeId,
    range: Range<u64>,
) -> StoreResult<Vec<EventRow>> {
    let query = sqlx::query_as(EVENTS)
        .bind(tree.0)
        .bind(to_sql(range.start)?)
        .bind(to_sql(range.end)?);
    let rows: Vec<EventRecord> = query
        .fetch_all(&mut *connection)
        .await
        .map_err(error::of_read)?;
    let mut read = EventRead::new(range, rows);
    while let Some(leaf_index) = read.next_long() {
        let query = sqlx::query_scalar(KEYS).bind(tree.0).bind(leaf_index);
        let keys = query.fetch_one(&mut *connection).await;
        read.put_keys(keys.map_err(error::of_read)?);
    }
    read.into_events(tree)
}

#[cfg(test)]
mod tests {
    use super::super::plans::assert_indexed;
    use super::*;

    #[tokio::test]
    async fn no_table_is_read_whole() {
        assert_indexed(&[
            (EVENTS, &["entry_1 (tree_id=? AND leaf_index"]),
            (KEYS, &["entry_1 (tree_id=? AND leaf_index=?)"]),
        ])
        .await;
    }
}
