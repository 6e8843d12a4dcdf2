//! Search by index keys.

use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::SqliteConnection;
use tlog::TreeSize;
use tokio::time::Instant;

use super::error;
use super::reads::{entry_ref, json_hex, json_list};
use crate::TreeId;
use crate::store::encoding::{has_all_keys, key_hashes, to_sql};
use crate::store::{EntryRef, StoreError, StoreResult};

/// A search for several keys gives up after this, as Postgres' statements do: where each key has a million entries and none
/// has both, it walks a million rows.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Rows of the rarest key that one statement of such a search looks at, some 30 ms: SQLite has no time-out of its own, and a
/// statement whose reader has gone runs on.
const STRIDE: i64 = 10_000;

/// How often a key occurs, counted up to a bound: beyond it any choice of the rarest key is a long walk.
const COUNT_KEY: &str = "SELECT count(*) FROM (
    SELECT 1 FROM index_key WHERE tree_id = ?1 AND key_hash = ?2 AND leaf_index < ?3 LIMIT 1000)";

/// The last of the next rows of a key, newest first.
const STRIDE_END: &str = "SELECT leaf_index FROM index_key WHERE tree_id = ?1 AND key_hash = ?2 AND leaf_index < ?3
    ORDER BY leaf_index DESC LIMIT 1 OFFSET ?4 - 1";

/// Rows of the rarest key, newest first, that have rows of all other keys too.
const FIND: &str = "SELECT k.leaf_index, e.leaf_hash, b.index_keys
    FROM index_key k
    CROSS JOIN entry e ON e.tree_id = ?1 AND e.leaf_index = k.leaf_index
    CROSS JOIN body b ON b.tree_id = ?1 AND b.leaf_index = k.leaf_index
    WHERE k.tree_id = ?1 AND k.key_hash = ?2 AND k.leaf_index >= ?4 AND k.leaf_index < ?5
      AND NOT EXISTS (
        SELECT 1 FROM json_each(?3) other WHERE NOT EXISTS (
            SELECT 1 FROM index_key o
            WHERE o.tree_id = ?1 AND o.key_hash = unhex(other.value) AND o.leaf_index = k.leaf_index))
    ORDER BY k.leaf_index DESC LIMIT ?6";

/// What is searched for: all of some keys, the rarest one first.
struct Search<'k> {
    tree: TreeId,
    keys: &'k [String],
    rarest: [u8; 16],
    others: Vec<[u8; 16]>,
}

pub(super) async fn find_by_keys(
    connection: &mut SqliteConnection,
    tree: TreeId,
    keys: &[String],
    size: TreeSize,
    limit: u32,
) -> StoreResult<Vec<EntryRef>> {
    let deadline = Instant::now() + SEARCH_TIMEOUT;
    let mut found = Vec::new();
    let mut below = to_sql(size.0)?;
    let Some(search) = Search::plan(connection, tree, keys, below).await? else {
        return Ok(found);
    };
    while found.len() < limit as usize {
        if Instant::now() > deadline {
            return Err(StoreError::Unavailable("the search took too long".to_owned()));
        }
        let from = search.stride_end(connection, below).await?;
        let page = limit as usize - found.len();
        let mut read = 0;
        let query = sqlx::query_as(FIND).bind(tree.0).bind(search.rarest.to_vec()).bind(hex_list(&search.others));
        let mut rows = query.bind(from).bind(below).bind(to_sql(page as u64)?).fetch(&mut *connection);
        while let Some(row) = rows.try_next().await.map_err(error::of_read)? {
            let (index, leaf_hash, packed): (i64, Vec<u8>, Vec<u8>) = row;
            let entry = entry_ref(index, &leaf_hash)?;
            // Key texts that share 16 bytes of their SHA-256 are not the same.
            if has_all_keys(&packed, search.keys, entry.leaf_index.0)? {
                found.push(entry);
            }
            (read, below) = (read + 1, index);
        }
        if read < page {
            if from == 0 {
                break;
            }
            below = from;
        }
    }
    Ok(found)
}

impl<'k> Search<'k> {
    /// None if there are no keys.
    async fn plan(
        connection: &mut SqliteConnection,
        tree: TreeId,
        keys: &'k [String],
        below: i64,
    ) -> StoreResult<Option<Self>> {
        let mut hashes: Vec<(i64, [u8; 16])> = key_hashes(keys).into_iter().map(|hash| (0, hash.0)).collect();
        if hashes.len() > 1 {
            for (count, hash) in &mut hashes {
                let query = sqlx::query_scalar(COUNT_KEY).bind(tree.0).bind(hash.to_vec()).bind(below);
                *count = query.fetch_one(&mut *connection).await.map_err(error::of_read)?;
            }
            hashes.sort_unstable();
        }
        let mut hashes = hashes.into_iter().map(|(_, hash)| hash);
        Ok(hashes.next().map(|rarest| Self { tree, keys, rarest, others: hashes.collect() }))
    }

    /// The index down to which the next statement looks. A single key needs no end: every row is a hit.
    async fn stride_end(&self, connection: &mut SqliteConnection, below: i64) -> StoreResult<i64> {
        if self.others.is_empty() {
            return Ok(0);
        }
        let query =
            sqlx::query_scalar(STRIDE_END).bind(self.tree.0).bind(self.rarest.to_vec()).bind(below).bind(STRIDE);
        let end: Option<i64> = query.fetch_optional(connection).await.map_err(error::of_read)?;
        Ok(end.unwrap_or(0))
    }
}

fn hex_list(hashes: &[[u8; 16]]) -> String {
    json_list(hashes.iter().map(|hash| json_hex(*hash)))
}
