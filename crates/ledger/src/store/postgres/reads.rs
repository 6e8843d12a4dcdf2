//! Queries of the read path, one round trip each, on whatever connection they are given.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use sqlx::PgConnection;
use tlog::{Hash, LeafIndex, TileId, TreeSize};

use super::error;
use super::key16::Key16;
use crate::TreeId;
use crate::store::encoding::{hash, tile_name, unpack_hashes};
use crate::store::hash_rows::prefix;
use crate::store::numbers::{dense, from_sql, to_sql};
use crate::store::records::{EntryRecord, HeadRecord};
use crate::store::{EntryRef, HeadRow, StoreError, StoreResult, StoredEntry};

const NEWEST_HEAD: &str = "SELECT prev_size, size, root, time FROM head WHERE tree_id = $1 ORDER BY prev_size DESC LIMIT 1";

pub(super) async fn newest_head(
    connection: &mut PgConnection,
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
    WHERE tree_id = $1 AND prev_size >= $2 ORDER BY prev_size LIMIT $3";

pub(super) async fn heads(
    connection: &mut PgConnection,
    tree: TreeId,
    from: TreeSize,
    limit: u32,
) -> StoreResult<Vec<HeadRow>> {
    let query = sqlx::query_as(HEADS)
        .bind(tree.0)
        .bind(to_sql(from.0)?)
        .bind(i64::from(limit));
    let heads: Vec<HeadRecord> = query.fetch_all(connection).await.map_err(error::of_read)?;
    heads.into_iter().map(HeadRecord::into_head).collect()
}

const LEAF_HASHES: &str = "SELECT leaf_index, leaf_hash FROM entry
    WHERE tree_id = $1 AND leaf_index >= $2 AND leaf_index < $3 ORDER BY leaf_index";

pub(super) async fn leaf_hashes(
    connection: &mut PgConnection,
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

const TILE_ROOTS: &str = "SELECT index, root FROM tile
    WHERE tree_id = $1 AND level = $2 AND index >= $3 AND index < $4 ORDER BY index";

pub(super) async fn tile_roots(
    connection: &mut PgConnection,
    tree: TreeId,
    level: u8,
    range: Range<u64>,
) -> StoreResult<Vec<Hash>> {
    let query = sqlx::query_as(TILE_ROOTS)
        .bind(tree.0)
        .bind(i16::from(level))
        .bind(to_sql(range.start)?)
        .bind(to_sql(range.end)?);
    let rows: Vec<(i64, Vec<u8>)> = query.fetch_all(connection).await.map_err(error::of_read)?;
    let table = format!("tile level {level} index");
    dense(&range, rows, &table)?
        .iter()
        .map(|bytes| hash(bytes, "tile.root"))
        .collect()
}

const FULL_TILES: &str = "SELECT t.hashes
    FROM unnest($2::smallint[], $3::bigint[]) WITH ORDINALITY AS wanted(level, index, place)
    LEFT JOIN LATERAL (
        SELECT hashes FROM tile WHERE tree_id = $1 AND level = wanted.level AND index = wanted.index LIMIT 1
    ) AS t ON true
    ORDER BY wanted.place";

pub(super) async fn full_tiles(
    connection: &mut PgConnection,
    tree: TreeId,
    tiles: &[TileId],
) -> StoreResult<Vec<Vec<Hash>>> {
    let levels: Vec<i16> = tiles.iter().map(|tile| i16::from(tile.level)).collect();
    let indexes: Vec<i64> = tiles
        .iter()
        .map(|tile| to_sql(tile.index))
        .collect::<StoreResult<_>>()?;
    let query = sqlx::query_scalar(FULL_TILES)
        .bind(tree.0)
        .bind(levels)
        .bind(indexes);
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

const FIND_LEAVES: &str = "SELECT l.leaf_index, e.leaf_hash
    FROM unnest($2::uuid[]) AS wanted
    CROSS JOIN LATERAL (
        SELECT leaf_index FROM leaf WHERE tree_id = $1 AND hash_prefix = wanted AND leaf_index < $3 OFFSET 0
    ) AS l
    CROSS JOIN LATERAL (
        SELECT leaf_hash FROM entry WHERE tree_id = $1 AND leaf_index = l.leaf_index LIMIT 1
    ) AS e";

pub(super) async fn find_leaves(
    connection: &mut PgConnection,
    tree: TreeId,
    leaf_hashes: &[Hash],
    size: TreeSize,
) -> StoreResult<Vec<EntryRef>> {
    let wanted: HashSet<&Hash> = leaf_hashes.iter().collect();
    let prefixes: BTreeSet<[u8; 16]> = leaf_hashes.iter().map(prefix).collect();
    let prefixes: Vec<Key16> = prefixes.into_iter().map(Key16).collect();
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

/// The length of a large body is in its row, and the body is elsewhere, so it is not read for that.
const ENTRIES: &str =
    "SELECT e.leaf_index, e.leaf_hash, e.time, e.kind, e.attested, e.checksum, b.body, s.signature, s.checksum AS signature_checksum, a.digest, a.data
    FROM unnest($2::bigint[]) AS wanted
    CROSS JOIN LATERAL (
        SELECT leaf_index, leaf_hash, time, kind, attested, checksum FROM entry
        WHERE tree_id = $1 AND leaf_index = wanted AND leaf_index < $3 LIMIT 1
    ) AS e
    LEFT JOIN LATERAL (
        SELECT CASE WHEN octet_length(body) <= 65535 THEN body END AS body
        FROM body WHERE tree_id = $1 AND leaf_index = wanted LIMIT 1
    ) AS b ON true
    LEFT JOIN LATERAL (
        SELECT signature, checksum FROM signed_entry_timestamp WHERE tree_id = $1 AND leaf_index = wanted LIMIT 1
    ) AS s ON true
    LEFT JOIN LATERAL (
        SELECT digest, data FROM attestation WHERE tree_id = $1 AND leaf_index = wanted LIMIT 1
    ) AS a ON true
    ORDER BY e.leaf_index";

pub(super) async fn entries(
    connection: &mut PgConnection,
    tree: TreeId,
    indexes: &[LeafIndex],
    size: TreeSize,
) -> StoreResult<Vec<StoredEntry>> {
    // No entry has an index beyond 63 bits.
    let indexes: BTreeSet<i64> = indexes
        .iter()
        .filter_map(|index| i64::try_from(index.0).ok())
        .collect();
    let indexes = Vec::from_iter(indexes);
    let query = sqlx::query_as(ENTRIES)
        .bind(tree.0)
        .bind(indexes)
        .bind(to_sql(size.0)?);
    let entries: Vec<EntryRecord> = query.fetch_all(connection).await.map_err(error::of_read)?;
    entries
        .into_iter()
        .map(|entry| entry.into_stored(tree))
        .collect()
}

const BODY_LENGTHS: &str = "SELECT leaf_index, octet_length(body) FROM body
    WHERE tree_id = $1 AND leaf_index >= $2 AND leaf_index < $3 ORDER BY leaf_index";

pub(super) async fn body_lengths(
    connection: &mut PgConnection,
    tree: TreeId,
    range: Range<u64>,
) -> StoreResult<Vec<u64>> {
    let query = sqlx::query_as(BODY_LENGTHS)
        .bind(tree.0)
        .bind(to_sql(range.start)?)
        .bind(to_sql(range.end)?);
    let rows: Vec<(i64, i32)> = query.fetch_all(connection).await.map_err(error::of_read)?;
    dense(&range, rows, "body")?
        .into_iter()
        .map(|length| from_sql(i64::from(length), "a length"))
        .collect()
}

const BODIES: &str = "SELECT leaf_index, body FROM body
    WHERE tree_id = $1 AND leaf_index >= $2 AND leaf_index < $3 ORDER BY leaf_index";

pub(super) async fn bodies(
    connection: &mut PgConnection,
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

pub(super) async fn now_millis(connection: &mut PgConnection) -> StoreResult<i64> {
    let query = sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint");
    query.fetch_one(connection).await.map_err(error::of_read)
}

/// Makes an entry reference from its columns.
pub(super) fn entry_ref(index: i64, leaf_hash: &[u8]) -> StoreResult<EntryRef> {
    Ok(EntryRef {
        leaf_index: LeafIndex(from_sql(index, "entry.leaf_index")?),
        leaf_hash: hash(leaf_hash, "entry.leaf_hash")?,
    })
}
