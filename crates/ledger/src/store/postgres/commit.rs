//! The one statement that sequences a round.

use std::time::Duration;

use sqlx::PgConnection;
use tlog::Hash;
use tokio::time::Instant;

use super::claims::Claims;
use super::commit_text::{COMMIT_ROUND, COMMIT_ROUND_ABSENT_CLAIMS, COMMIT_ROUND_CLAIMS};
use super::error;
use super::key16::Key16;
use super::reads::entry_ref;
use crate::TreeId;
use crate::store::checksum::of_timestamp;
use crate::store::encoding::{check_round, pack_hashes};
use crate::store::hash_rows::{HashRows, index_key_rows, leaf_rows};
use crate::store::numbers::to_sql;
use crate::store::skew::least_skew;
use crate::store::{
    Commit, MAX_CLOCK_SKEW_MILLIS, Round, StoreResult, Taken, TimestampRow, TreeLock,
};

/// A round in the shape of its statement's parameters. Bodies are borrowed.
pub(super) struct Rows<'r> {
    round: &'r Round,
    prev_size: i64,
    size: i64,
    leaf_hashes: Vec<&'r [u8]>,
    kinds: Vec<&'r str>,
    attested: Vec<bool>,
    bodies: Vec<&'r [u8]>,
    index_keys: Vec<&'r [u8]>,
    checksums: Vec<Vec<u8>>,
    leaves: KeyColumns,
    keys: KeyColumns,
    attestations: Attestations<'r>,
    tiles: Tiles<'r>,
    timestamps: Timestamps<'r>,
    claims: Claims<'r>,
}

/// The two columns of a hash table.
struct KeyColumns {
    hashes: Vec<Key16>,
    indexes: Vec<i64>,
}

#[derive(Default)]
struct Attestations<'r> {
    indexes: Vec<i64>,
    digests: Vec<&'r [u8]>,
    data: Vec<&'r [u8]>,
}

#[derive(Default)]
struct Tiles<'r> {
    levels: Vec<i16>,
    indexes: Vec<i64>,
    roots: Vec<&'r [u8]>,
    hashes: Vec<Vec<u8>>,
}

struct Timestamps<'r> {
    indexes: Vec<i64>,
    signatures: Vec<&'r [u8]>,
    checksums: Vec<Vec<u8>>,
}

impl<'r> Rows<'r> {
    /// Prepares the parameters. Fails on data that the database cannot take, before anything is
    /// sent.
    pub(super) fn of(round: &'r Round) -> StoreResult<Self> {
        check_round(round)?;
        let entries = &round.entries;
        let prev_size = to_sql(round.head.prev_size.0)?;
        Ok(Self {
            round,
            prev_size,
            size: to_sql(round.head.size.0)?,
            leaf_hashes: entries
                .iter()
                .map(|entry| bytes(&entry.leaf_hash))
                .collect(),
            kinds: entries.iter().map(|entry| entry.kind.as_str()).collect(),
            attested: entries
                .iter()
                .map(|entry| entry.attestation.is_some())
                .collect(),
            bodies: entries.iter().map(|entry| entry.body.as_slice()).collect(),
            index_keys: entries
                .iter()
                .map(|entry| entry.index_keys.packed())
                .collect(),
            checksums: (prev_size..)
                .zip(entries)
                .map(|(index, entry)| entry.facts(round.tree_id, index, round.head.time))
                .map(|facts| facts.checksum().to_vec())
                .collect(),
            leaves: leaf_rows(prev_size, entries).into(),
            keys: index_key_rows(prev_size, entries).into(),
            attestations: Attestations::of(prev_size, round),
            tiles: Tiles::of(round)?,
            timestamps: Timestamps::of(round.tree_id, &round.timestamps)?,
            claims: Claims::of(&round.claims)?,
        })
    }
}

/// The answer to [`COMMIT_ROUND`].
#[derive(sqlx::FromRow)]
pub(super) struct Answer {
    ours: bool,
    skew: i64,
    /// Time between the reading of the local clock that `skew` refers to, and this answer.
    #[sqlx(skip)]
    under_way: Duration,
    current: bool,
    done: bool,
    stored_indexes: Option<Vec<i64>>,
    stored_hashes: Option<Vec<Vec<u8>>>,
}

impl Answer {
    /// Returns the outcome that the answer stands for.
    pub(super) fn into_commit(self) -> StoreResult<Commit> {
        Ok(match self {
            Self { done: true, .. } => Commit::Done,
            Self { ours: false, .. } => Commit::NotOurs,
            Self {
                skew, under_way, ..
            } if skew.saturating_abs() > MAX_CLOCK_SKEW_MILLIS => {
                Commit::ClockSkew(least_skew(skew, under_way))
            }
            // A leaf of another tree than ours, of a database that went back, is no duplicate.
            Self {
                current: true,
                stored_indexes: Some(indexes),
                stored_hashes: Some(hashes),
                ..
            } => {
                let stored = indexes
                    .into_iter()
                    .zip(&hashes)
                    .map(|(index, hash)| entry_ref(index, hash));
                Commit::Duplicates(stored.collect::<StoreResult<_>>()?)
            }
            _ => Commit::LostRace,
        })
    }
}

/// Prepares [`COMMIT_ROUND`], so that a commit is one message and one answer.
pub(super) async fn prepare(connection: &mut PgConnection) -> StoreResult<()> {
    use sqlx::{Executor, SqlSafeStr};
    connection
        .prepare(COMMIT_ROUND.into_sql_str())
        .await
        .map(|_| ())
        .map_err(error::of_read)
}

/// Runs the statement. If the connection does not hold the tree's lock, nobody else may. Whether
/// the statement also commits depends on the transaction it is in, and so does the meaning of an
/// error.
pub(super) async fn run(
    connection: &mut PgConnection,
    rows: &Rows<'_>,
    lock: TreeLock,
) -> Result<Answer, sqlx::Error> {
    let (round, head) = (rows.round, &rows.round.head);
    let sent_at = Instant::now();
    let since_read = i64::try_from((sent_at - round.read_at).as_millis()).unwrap_or(i64::MAX);
    let local_millis = round.local_millis.saturating_add(since_read);
    let claims = &rows.claims;
    let text = match claims.taken {
        _ if claims.is_empty() => COMMIT_ROUND,
        Taken::Kept => COMMIT_ROUND_ABSENT_CLAIMS,
        Taken::Refused => COMMIT_ROUND_CLAIMS,
    };
    let mut query = sqlx::query_as(text)
        .bind(round.tree_id.0) // $1 tree
        .bind(&round.log_key_spki) // $2 log key
        .bind(local_millis) // $3 local clock
        .bind(MAX_CLOCK_SKEW_MILLIS) // $4 largest skew
        .bind(rows.prev_size) // $5 previous size
        .bind(bytes(&round.prev_root)) // $6 previous root
        .bind(rows.size) // $7 size
        .bind(bytes(&head.root)) // $8 root
        .bind(head.time) // $9 time
        .bind(lock == TreeLock::Held) // $10 whether the lock is held
        .bind(&rows.leaf_hashes) // $11 entry: leaf_hash
        .bind(&rows.kinds) // $12 entry: kind
        .bind(&rows.attested) // $13 entry: attested
        .bind(&rows.index_keys) // $14 entry: index_keys
        .bind(&rows.bodies) // $15 body: body
        .bind(&rows.leaves.hashes) // $16 leaf: hash_prefix
        .bind(&rows.leaves.indexes) // $17 leaf: leaf_index
        .bind(&rows.keys.hashes) // $18 index_key: key_hash
        .bind(&rows.keys.indexes) // $19 index_key: leaf_index
        .bind(&rows.attestations.indexes) // $20 attestation: leaf_index
        .bind(&rows.attestations.digests) // $21 attestation: digest
        .bind(&rows.attestations.data) // $22 attestation: data
        .bind(&rows.tiles.levels) // $23 tile: level
        .bind(&rows.tiles.indexes) // $24 tile: index
        .bind(&rows.tiles.roots) // $25 tile: root
        .bind(&rows.tiles.hashes) // $26 tile: hashes
        .bind(&rows.timestamps.indexes) // $27 signed_entry_timestamp: leaf_index
        .bind(&rows.timestamps.signatures) // $28 signed_entry_timestamp: signature
        .bind(&rows.checksums) // $29 entry: checksum
        .bind(&rows.timestamps.checksums); // $30 signed_entry_timestamp: checksum
    if !claims.is_empty() {
        query = query
            .bind(&claims.hashes) // $31 claim: name_hash
            .bind(&claims.cases) // $32 claim: name_case
            .bind(&claims.indexes) // $33 claim: leaf_index
            .bind(&claims.names) // $34 claim: name
            .bind(&claims.values); // $35 claim: packed_values
    }
    let mut answer: Answer = query.fetch_one(connection).await?;
    answer.under_way = sent_at.elapsed();
    Ok(answer)
}

const PUT_TIMESTAMPS: &str = "INSERT INTO signed_entry_timestamp (tree_id, leaf_index, signature, checksum)
    SELECT $1, r.leaf_index, r.signature, r.checksum
    FROM unnest($2::bigint[], $3::bytea[], $4::bytea[]) AS r(leaf_index, signature, checksum)
    WHERE r.leaf_index < (SELECT h.size FROM head h WHERE h.tree_id = $1 ORDER BY h.prev_size DESC LIMIT 1)
    ON CONFLICT DO NOTHING";

/// Dies here: all are stored or none. They are facts, so storing them again changes nothing.
pub(super) async fn put_timestamps(
    connection: &mut PgConnection,
    tree: TreeId,
    timestamps: &[TimestampRow],
) -> StoreResult<()> {
    let rows = Timestamps::of(tree, timestamps)?;
    let query = sqlx::query(PUT_TIMESTAMPS)
        .bind(tree.0)
        .bind(rows.indexes)
        .bind(rows.signatures)
        .bind(rows.checksums);
    query
        .execute(connection)
        .await
        .map(|_| ())
        .map_err(error::of_read)
}

fn bytes(hash: &Hash) -> &[u8] {
    hash.0.as_slice()
}

impl From<HashRows> for KeyColumns {
    fn from(rows: HashRows) -> Self {
        let (hashes, indexes) = rows
            .into_iter()
            .map(|(hash, index)| (Key16(hash), index))
            .unzip();
        Self { hashes, indexes }
    }
}

impl<'r> Attestations<'r> {
    fn of(prev_size: i64, round: &'r Round) -> Self {
        let mut rows = Self::default();
        for (index, entry) in (prev_size..).zip(&round.entries) {
            if let Some(attestation) = &entry.attestation {
                rows.indexes.push(index);
                rows.digests.push(bytes(&attestation.digest));
                rows.data.push(&attestation.data);
            }
        }
        rows
    }
}

impl<'r> Tiles<'r> {
    fn of(round: &'r Round) -> StoreResult<Self> {
        let mut rows = Self::default();
        for tile in &round.full_tiles {
            rows.levels.push(i16::from(tile.id.level));
            rows.indexes.push(to_sql(tile.id.index)?);
            rows.roots.push(bytes(&tile.root));
            rows.hashes.push(pack_hashes(&tile.hashes)?);
        }
        Ok(rows)
    }
}

impl<'r> Timestamps<'r> {
    /// Sorts by index, so that two servers that store the same rows cannot deadlock.
    fn of(tree: TreeId, timestamps: &'r [TimestampRow]) -> StoreResult<Self> {
        let mut sorted: Vec<&TimestampRow> = timestamps.iter().collect();
        sorted.sort_by_key(|row| row.leaf_index);
        let indexes = sorted.iter().map(|row| to_sql(row.leaf_index.0));
        let indexes: Vec<i64> = indexes.collect::<StoreResult<_>>()?;
        let checksums = indexes
            .iter()
            .zip(&sorted)
            .map(|(index, row)| of_timestamp(tree, *index, &row.signature).to_vec());
        Ok(Self {
            checksums: checksums.collect(),
            indexes,
            signatures: sorted.iter().map(|row| &*row.signature).collect(),
        })
    }
}
