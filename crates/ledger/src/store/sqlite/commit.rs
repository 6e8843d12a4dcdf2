//! The rows of a round.

use std::sync::{Arc, LazyLock};

use sqlx::{Connection, SqliteConnection};
use tlog::{Hash, TreeSize};

use super::chunks::{Insert, insert, texts};
use super::{claims, error, reads};
use crate::TreeId;
use crate::store::checksum::of_timestamp;
use crate::store::encoding::pack_hashes;
use crate::store::hash_rows::{HashRows, index_key_rows, leaf_rows};
use crate::store::numbers::to_sql;
use crate::store::{Attestation, Commit, EntryRow, Round, StoreResult, TimestampRow};

/// The compare-and-set: inserts the head if the tree is ours and the newest head is the one that
/// the round was made for.
const INSERT_HEAD: &str = "INSERT INTO head (tree_id, prev_size, size, root, time)
    SELECT ?1, ?3, ?5, ?6, ?7
    WHERE EXISTS (
        SELECT 1 FROM tree t JOIN tree_key k ON k.tree_id = t.tree_id
        WHERE t.tree_id = ?1 AND t.state = 'active' AND k.role = 'log' AND k.spki = ?2)
      AND coalesce((
        SELECT h.size = ?3 AND h.root = ?4 FROM head h WHERE h.tree_id = ?1 ORDER BY h.prev_size DESC LIMIT 1), ?3 = 0)
    ON CONFLICT DO NOTHING";

const IS_OURS: &str = "SELECT EXISTS (
    SELECT 1 FROM tree t JOIN tree_key k ON k.tree_id = t.tree_id
    WHERE t.tree_id = ?1 AND t.state = 'active' AND k.role = 'log' AND k.spki = ?2)";

static INSERT_ENTRY: Insert = LazyLock::new(|| {
    texts(
        "entry",
        &[
            "leaf_index",
            "time",
            "leaf_hash",
            "kind",
            "attested",
            "index_keys",
            "checksum",
        ],
        "",
    )
});
static INSERT_BODY: Insert = LazyLock::new(|| texts("body", &["leaf_index", "body"], ""));
static INSERT_LEAF: Insert = LazyLock::new(|| texts("leaf", &["hash_prefix", "leaf_index"], ""));
static INSERT_INDEX_KEY: Insert =
    LazyLock::new(|| texts("index_key", &["key_hash", "leaf_index"], ""));
static INSERT_ATTESTATION: Insert =
    LazyLock::new(|| texts("attestation", &["leaf_index", "digest", "data"], ""));
static INSERT_TILE: Insert =
    LazyLock::new(|| texts("tile", &["level", "\"index\"", "root", "hashes"], ""));
static INSERT_TIMESTAMP: Insert = LazyLock::new(|| {
    texts(
        "signed_entry_timestamp",
        &["leaf_index", "signature", "checksum"],
        "ON CONFLICT DO NOTHING",
    )
});

/// Inserts the rows of a round inside the transaction that holds the file's lock. Anything but
/// [`Commit::Done`] inserted nothing.
pub(super) async fn rows(connection: &mut SqliteConnection, round: &Round) -> StoreResult<Commit> {
    let leaf_hashes: Vec<Hash> = round.entries.iter().map(|entry| entry.leaf_hash).collect();
    let stored = reads::find_leaves(
        connection,
        round.tree_id,
        &leaf_hashes,
        round.head.prev_size,
    )
    .await?;
    if !stored.is_empty() {
        // A leaf of another tree than ours, of a database that went back, is no duplicate.
        return match why_not(connection, round).await? {
            None => Ok(Commit::Duplicates(stored)),
            Some(refused) => Ok(refused),
        };
    }
    if !insert_head(connection, round).await? {
        return Ok(why_not(connection, round)
            .await?
            .unwrap_or(Commit::LostRace));
    }
    insert_entries(connection, round).await?;
    insert_hash_rows(connection, round).await?;
    insert_tiles(connection, round).await?;
    insert_timestamps(connection, round.tree_id, &round.timestamps).await?;
    claims::put(connection, round.tree_id, &round.claims).await?;
    Ok(Commit::Done)
}

/// Returns why the round's head cannot follow; `None` if it can.
async fn why_not(connection: &mut SqliteConnection, round: &Round) -> StoreResult<Option<Commit>> {
    let query = sqlx::query_scalar(IS_OURS)
        .bind(round.tree_id.0)
        .bind(&round.log_key_spki);
    let ours: bool = query
        .fetch_one(&mut *connection)
        .await
        .map_err(error::of_read)?;
    if !ours {
        return Ok(Some(Commit::NotOurs));
    }
    let newest = reads::newest_head(connection, round.tree_id).await?;
    let newest = newest.map_or((TreeSize(0), tlog::EMPTY_ROOT), |head| {
        (head.size, head.root)
    });
    Ok((newest != (round.head.prev_size, round.prev_root)).then_some(Commit::LostRace))
}

async fn insert_head(connection: &mut SqliteConnection, round: &Round) -> StoreResult<bool> {
    let head = &round.head;
    let query = sqlx::query(INSERT_HEAD)
        .bind(round.tree_id.0)
        .bind(&round.log_key_spki)
        .bind(to_sql(head.prev_size.0)?)
        .bind(round.prev_root.0.as_slice())
        .bind(to_sql(head.size.0)?)
        .bind(head.root.0.as_slice())
        .bind(head.time);
    let inserted = query.execute(connection).await.map_err(error::of_read)?;
    Ok(inserted.rows_affected() == 1)
}

async fn insert_entries(connection: &mut SqliteConnection, round: &Round) -> StoreResult<()> {
    let (tree, time) = (round.tree_id, round.head.time);
    let entries = round.entries.iter().map(Arc::as_ref);
    let entries: Vec<(i64, &EntryRow)> = (to_sql(round.head.prev_size.0)?..).zip(entries).collect();
    insert(
        connection,
        &INSERT_ENTRY,
        tree,
        &entries,
        |query, (index, entry)| {
            let facts = entry.facts(tree, *index, time);
            query
                .bind(*index)
                .bind(time)
                .bind(entry.leaf_hash.0.to_vec())
                .bind(entry.kind.clone())
                .bind(facts.attested)
                .bind(entry.index_keys.packed().to_vec())
                .bind(facts.checksum().to_vec())
        },
    )
    .await
    .map_err(error::of_read)?;

    insert(
        connection,
        &INSERT_BODY,
        tree,
        &entries,
        |query, (index, entry)| query.bind(*index).bind(entry.body.clone()),
    )
    .await
    .map_err(error::of_read)?;

    let attested = entries
        .iter()
        .filter_map(|(index, entry)| Some((*index, entry.attestation.as_ref()?)));
    let attestations: Vec<(i64, &Attestation)> = attested.collect();
    insert(
        connection,
        &INSERT_ATTESTATION,
        tree,
        &attestations,
        |query, (index, attestation)| {
            query
                .bind(*index)
                .bind(attestation.digest.0.to_vec())
                .bind(attestation.data.clone())
        },
    )
    .await
    .map_err(error::of_read)
}

async fn insert_hash_rows(connection: &mut SqliteConnection, round: &Round) -> StoreResult<()> {
    let first = to_sql(round.head.prev_size.0)?;
    let tables: [(&'static Insert, HashRows); 2] = [
        (&INSERT_LEAF, leaf_rows(first, &round.entries)),
        (&INSERT_INDEX_KEY, index_key_rows(first, &round.entries)),
    ];
    for (texts, rows) in tables {
        insert(
            connection,
            texts,
            round.tree_id,
            &rows,
            |query, (hash, index)| query.bind(hash.to_vec()).bind(*index),
        )
        .await
        .map_err(error::of_read)?;
    }
    Ok(())
}

async fn insert_tiles(connection: &mut SqliteConnection, round: &Round) -> StoreResult<()> {
    let packed = round
        .full_tiles
        .iter()
        .map(|tile| Ok((tile, to_sql(tile.id.index)?, pack_hashes(&tile.hashes)?)));
    let tiles: Vec<_> = packed.collect::<StoreResult<_>>()?;
    insert(
        connection,
        &INSERT_TILE,
        round.tree_id,
        &tiles,
        |query, (tile, index, hashes)| {
            query
                .bind(tile.id.level)
                .bind(*index)
                .bind(tile.root.0.to_vec())
                .bind(hashes.clone())
        },
    )
    .await
    .map_err(error::of_read)
}

async fn insert_timestamps(
    connection: &mut SqliteConnection,
    tree: TreeId,
    timestamps: &[TimestampRow],
) -> StoreResult<()> {
    let rows = timestamps
        .iter()
        .map(|row| Ok((to_sql(row.leaf_index.0)?, row)));
    let rows: Vec<(i64, &TimestampRow)> = rows.collect::<StoreResult<_>>()?;
    insert(
        connection,
        &INSERT_TIMESTAMP,
        tree,
        &rows,
        |query, (index, row)| {
            let checksum = of_timestamp(tree, *index, &row.signature);
            query
                .bind(*index)
                .bind(row.signature.to_vec())
                .bind(checksum.to_vec())
        },
    )
    .await
    .map_err(error::of_read)
}

/// Stores timestamps outside a round.
///
/// Dies here: all are stored or none. They are facts, so storing them again changes nothing.
pub(super) async fn put_timestamps(
    connection: &mut SqliteConnection,
    tree: TreeId,
    timestamps: &[TimestampRow],
) -> StoreResult<()> {
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(error::of_read)?;
    let size = reads::newest_head(&mut transaction, tree)
        .await?
        .map_or(TreeSize(0), |head| head.size);
    let below: Vec<TimestampRow> = timestamps
        .iter()
        .filter(|row| row.leaf_index.0 < size.0)
        .cloned()
        .collect();
    insert_timestamps(&mut transaction, tree, &below).await?;
    transaction.commit().await.map_err(error::of_read)
}
