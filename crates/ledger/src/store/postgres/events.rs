//! Entries as events need them.

use std::ops::Range;

use sqlx::PgConnection;

use super::error;
use crate::TreeId;
use crate::store::event_rows::{EventRecord, MAX_LONG_KEY_BYTES, into_events};
use crate::store::numbers::to_sql;
use crate::store::{EventRow, StoreResult};

/// The key texts of an entry may have a megabyte, so they are read with others only up to 16 KiB:
/// 4 MiB of a page.
const EVENTS: &str = "SELECT leaf_index, leaf_hash, time, kind, attested, checksum,
        CASE WHEN octet_length(index_keys) <= 16384 THEN index_keys END AS index_keys
    FROM entry WHERE tree_id = $1 AND leaf_index >= $2 AND leaf_index < $3 ORDER BY leaf_index";

const KEYS: &str = "SELECT index_keys FROM entry WHERE tree_id = $1 AND leaf_index = $2";

pub(super) async fn rows(
    connection: &mut PgConnection,
    tree: TreeId,
    mut range: Range<u64>,
) -> StoreResult<Vec<EventRow>> {
    let query = sqlx::query_as(EVENTS)
        .bind(tree.0)
        .bind(to_sql(range.start)?)
        .bind(to_sql(range.end)?);
    let mut rows: Vec<EventRecord> = query
        .fetch_all(&mut *connection)
        .await
        .map_err(error::of_read)?;
    let mut long_bytes = 0;
    for place in 0..rows.len() {
        if rows[place].index_keys.is_some() {
            continue;
        }
        if long_bytes >= MAX_LONG_KEY_BYTES {
            rows.truncate(place);
            range.end = range.start + place as u64;
            break;
        }
        let query = sqlx::query_scalar(KEYS).bind(tree.0);
        let query = query.bind(rows[place].leaf_index);
        let keys: Vec<u8> = query
            .fetch_one(&mut *connection)
            .await
            .map_err(error::of_read)?;
        long_bytes += keys.len();
        rows[place].index_keys = Some(keys);
    }
    into_events(tree, &range, rows)
}

#[cfg(test)]
mod tests {
    use super::super::plans::assert_indexed;
    use super::*;

    #[tokio::test]
    async fn no_table_is_read_whole() {
        assert_indexed(&[(EVENTS, &["entry_pkey"]), (KEYS, &["entry_pkey"])]).await;
    }
}
