//! Queries of the read path, one statement each, on whatever connection they are given.
//!
//! Lists go in as one JSON text: a statement per row, or a text per length of a list, would cost
//! more than all the rest. `CROSS JOIN` keeps SQLite to the order written: the list first, then
//! look-ups by primary key.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use sqlx::SqliteConnection;
use tlog::{Hash, LeafIndex, TileId, TreeSize};

use super::error;
use crate::TreeId;
use crate::store::encoding::{hash, tile_name, unpack_hashes};
use crate::store::hash_rows::prefix;
use crate::store::numbers::{dense, from_sql, to_sql};
use crate::store::records::{EntryRecord, HeadRecord};
use crate::store::{EntryRef, HeadRow, StoreError, StoreResult, StoredEntry};

const NEWEST_HEAD: &str = "SELECT prev_size, size, root, time FROM head WHERE tree_id = ?1 ORDER BY prev_size DESC LIMIT 1";

pub(super) async fn newest_head(
    connection: &mut SqliteConnection,
    tree: TreeId,
) -> StoreResult<Option<HeadRow>> {
    let head: Option<HeadRecord> = sqlx::query_as(NEWEST_HEAD)
        .bind(tree.0)
        .fetch_optional(connection)
        .await
        .map_err(error::of_read)?;
    head.map(HeadRecord::into_head).transpose()
}

const HEADS: &str = "SELECT prev_size, size, root, time FROM head
    WHERE tree_id = ?1 AND prev_size >= ?2 ORDER BY prev_size LIMIT ?3";

pub(super) async fn heads(
    connection: &mut SqliteConnection,
    tree: TreeId,
    from: TreeSize,
    limit: u32,
) -> StoreResult<Vec<HeadRow>> {
    let query = sqlx::query_as(HEADS)
        .bind(tree.0)
        .bind(to_sql(from.0)?)
        .bind(limit);
    let heads: Vec<HeadRecord> = query.fetch_all(connection).await.map_err(error::of_read)?;
    heads.into_iter().map(HeadRecord::into_head).collect()
}

const LEAF_HASHES: &str = "SELECT leaf_index, leaf_hash FROM entry
    WHERE tree_id = ?1 AND leaf_index >= ?2 AND leaf_index < ?3 ORDER BY leaf_index";

pub(super) async fn leaf_hashes(
    connection: &mut SqliteConnection,
    tree: TreeId,
    range: Range<u64>,
) -> StoreResult<Vec<Hash>> {
    let query = sqlx::query_as(LEAF_HASHES)
        .bind(tree.0)
        .bind(to_sql(range.start)?)
        .bind(to_sql(range.end)?);
    let rows: Vec<(i64, Vec<u8>)> = query.fetch_all(connection).await.map_err(error::of_read)?;
    dense(&range, rows, "entry")?
        .iter()
        .map(|bytes| hash(bytes, "entry.leaf_hash"))
        .collect()
}

const TILE_ROOTS: &str = "SELECT \"index\", root FROM tile
    WHERE tree_id = ?1 AND level = ?2 AND \"index\" >= ?3 AND \"index\" < ?4 ORDER BY \"index\"";

pub(super) async fn tile_roots(
    connection: &mut SqliteConnection,
    tree: TreeId,
    level: u8,
    range: Range<u64>,
) -> StoreResult<Vec<Hash>> {
    let query = sqlx::query_as(TILE_ROOTS)
        .bind(tree.0)
        .bind(level)
        .bind(to_sql(range.start)?)
        .bind(to_sql(range.end)?);
    let rows: Vec<(i64, Vec<u8>)> = query.fetch_all(connection).await.map_err(error::of_read)?;
    let table = format!("tile level {level} index");
    dense(&range, rows, &table)?
        .iter()
        .map(|bytes| hash(bytes, "tile.root"))
        .collect()
}

const FULL_TILES: &str = "SELECT t.hashes FROM json_each(?2) w
    LEFT JOIN tile t ON t.tree_id = ?1 AND t.level = w.value ->> 0 AND t.\"index\" = w.value ->> 1
    ORDER BY w.key";

pub(super) async fn full_tiles(
    connection: &mut SqliteConnection,
    tree: TreeId,
    tiles: &[TileId],
) -> StoreResult<Vec<Vec<Hash>>> {
    let wanted = json_list(
        tiles
            .iter()
            .map(|tile| format!("[{},{}]", tile.level, tile.index)),
    );
    let query = sqlx::query_scalar(FULL_TILES).bind(tree.0).bind(wanted);
    let rows: Vec<Option<Vec<u8>>> = query.fetch_all(connection).await.map_err(error::of_read)?;
    let hashes = rows.into_iter().zip(tiles).map(|(row, &tile)| match row {
        Some(bytes) => unpack_hashes(&bytes, tile),
        None => Err(StoreError::Damaged(format!(
            "{} is missing",
            tile_name(tile)
        ))),
    });
    hashes.collect()
}

const FIND_LEAVES: &str = "SELECT e.leaf_index, e.leaf_hash FROM json_each(?2) w
    CROSS JOIN leaf l ON l.tree_id = ?1 AND l.hash_prefix = unhex(w.value) AND l.leaf_index < ?3
    CROSS JOIN entry e ON e.tree_id = ?1 AND e.leaf_index = l.leaf_index";

pub(super) async fn find_leaves(
    connection: &mut SqliteConnection,
    tree: TreeId,
    leaf_hashes: &[Hash],
    size: TreeSize,
) -> StoreResult<Vec<EntryRef>> {
    let wanted: HashSet<&Hash> = leaf_hashes.iter().collect();
    let prefixes: BTreeSet<[u8; 16]> = leaf_hashes.iter().map(prefix).collect();
    let prefixes = json_list(prefixes.into_iter().map(json_hex));
    let query = sqlx::query_as(FIND_LEAVES)
        .bind(tree.0)
        .bind(prefixes)
        .bind(to_sql(size.0)?);
    let rows: Vec<(i64, Vec<u8>)> = query.fetch_all(connection).await.map_err(error::of_read)?;
    let found = rows
        .iter()
        .map(|(index, leaf_hash)| entry_ref(*index, leaf_hash));
    found
        .filter(|found| {
            found
                .as_ref()
                .map_or(true, |entry| wanted.contains(&entry.leaf_hash))
        })
        .collect()
}

/// The length of a body is in the header of its row, so a large body is not read for that.
const ENTRIES: &str = "SELECT e.leaf_index, e.leaf_hash, e.time, e.kind, e.attested, e.checksum,
        CASE WHEN length(b.body) <= 65535 THEN b.body END AS body, s.signature, s.checksum AS signature_checksum, a.digest, a.data
    FROM entry e
    LEFT JOIN body b ON b.tree_id = ?1 AND b.leaf_index = e.leaf_index
    LEFT JOIN signed_entry_timestamp s ON s.tree_id = ?1 AND s.leaf_index = e.leaf_index
    LEFT JOIN attestation a ON a.tree_id = ?1 AND a.leaf_index = e.leaf_index
    WHERE e.tree_id = ?1 AND e.leaf_index IN (SELECT value FROM json_each(?2) WHERE value < ?3)
    ORDER BY e.leaf_index";

pub(super) async fn entries(
    connection: &mut SqliteConnection,
    tree: TreeId,
    indexes: &[LeafIndex],
    size: TreeSize,
) -> StoreResult<Vec<StoredEntry>> {
    // No entry has an index beyond 63 bits, and SQLite's JSON has no such integer.
    let indexes = indexes
        .iter()
        .filter(|index| i64::try_from(index.0).is_ok());
    let wanted = json_list(indexes.map(LeafIndex::to_string));
    let query = sqlx::query_as(ENTRIES)
        .bind(tree.0)
        .bind(wanted)
        .bind(to_sql(size.0)?);
    let entries: Vec<EntryRecord> = query.fetch_all(connection).await.map_err(error::of_read)?;
    entries
        .into_iter()
        .map(|entry| entry.into_stored(tree))
        .collect()
}

const BODY_LENGTHS: &str = "SELECT leaf_index, length(body) FROM body
    WHERE tree_id = ?1 AND leaf_index >= ?2 AND leaf_index < ?3 ORDER BY leaf_index";

pub(super) async fn body_lengths(
    connection: &mut SqliteConnection,
    tree: TreeId,
    range: Range<u64>,
) -> StoreResult<Vec<u64>> {
    let query = sqlx::query_as(BODY_LENGTHS)
        .bind(tree.0)
        .bind(to_sql(range.start)?)
        .bind(to_sql(range.end)?);
    let rows: Vec<(i64, i64)> = query.fetch_all(connection).await.map_err(error::of_read)?;
    dense(&range, rows, "body")?
        .into_iter()
        .map(|length| from_sql(length, "a length"))
        .collect()
}

const BODIES: &str = "SELECT leaf_index, body FROM body
    WHERE tree_id = ?1 AND leaf_index >= ?2 AND leaf_index < ?3 ORDER BY leaf_index";

pub(super) async fn bodies(
    connection: &mut SqliteConnection,
    tree: TreeId,
    range: Range<u64>,
) -> StoreResult<Vec<Vec<u8>>> {
    let query = sqlx::query_as(BODIES)
        .bind(tree.0)
        .bind(to_sql(range.start)?)
        .bind(to_sql(range.end)?);
    let rows: Vec<(i64, Vec<u8>)> = query.fetch_all(connection).await.map_err(error::of_read)?;
    dense(&range, rows, "body")
}

pub(super) async fn now_millis(connection: &mut SqliteConnection) -> StoreResult<i64> {
    let query = sqlx::query_scalar("SELECT CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)");
    query.fetch_one(connection).await.map_err(error::of_read)
}

pub(super) fn entry_ref(index: i64, leaf_hash: &[u8]) -> StoreResult<EntryRef> {
    Ok(EntryRef {
        leaf_index: LeafIndex(from_sql(index, "entry.leaf_index")?),
        leaf_hash: hash(leaf_hash, "entry.leaf_hash")?,
    })
}

/// A JSON array of values that are JSON already.
pub(super) fn json_list(values: impl Iterator<Item = String>) -> String {
    let values: Vec<String> = values.collect();
    format!("[{}]", values.join(","))
}

/// Bytes as a JSON string of hex digits.
pub(super) fn json_hex(bytes: [u8; 16]) -> String {
    format!("\"{}\"", hex::encode(bytes))
}
