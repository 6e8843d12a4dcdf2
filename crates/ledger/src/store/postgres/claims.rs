//! Claims of entries: the first one of each name.

use std::ops::Range;

use sqlx::PgConnection;

use super::error;
use super::key16::Key16;
use crate::TreeId;
use crate::store::claim_records::{ClaimRecord, OwnClaimRecord};
use crate::store::numbers::to_sql;
use crate::store::packed_values::pack_values;
use crate::store::{Claim, NameKey, NewClaims, StoreResult, StoredClaim, Taken};

/// The advisory lock of all claims of the database. A round that stores some shares it, and one that
/// must be certain has it alone. Trees have the other numbers, with either sign.
const CLAIMS_LOCK: i64 = 0;

/// The claims of a round in the shape of its statement's parameters.
pub(super) struct Claims<'r> {
    pub(super) taken: Taken,
    pub(super) hashes: Vec<Key16>,
    pub(super) cases: Vec<i64>,
    pub(super) indexes: Vec<i64>,
    pub(super) names: Vec<&'r [u8]>,
    pub(super) values: Vec<Vec<u8>>,
}

impl<'r> Claims<'r> {
    /// Sorts by key, so that two servers that store claims of the same names cannot deadlock.
    pub(super) fn of(claims: &'r NewClaims) -> StoreResult<Self> {
        let mut sorted: Vec<_> = claims.rows.iter().collect();
        sorted.sort_by_key(|(claim, _)| claim.place());
        let claims_of = || sorted.iter().map(|(claim, _)| claim);
        let indexes = sorted.iter().map(|(_, index)| to_sql(index.0));
        Ok(Self {
            taken: claims.taken,
            hashes: claims_of().map(|claim| Key16(claim.key.hash)).collect(),
            cases: claims_of().map(|claim| claim.key.case).collect(),
            indexes: indexes.collect::<StoreResult<_>>()?,
            names: claims_of().map(|claim| claim.name.as_bytes()).collect(),
            values: claims_of()
                .map(|claim| pack_values(&claim.values))
                .collect(),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

const FIND: &str = "SELECT c.name_hash, c.name_case, c.packed_values, c.tree_id, c.leaf_index, e.leaf_hash, t.first_log_index
    FROM unnest($1::uuid[], $2::bigint[]) AS wanted(name_hash, name_case)
    CROSS JOIN LATERAL (
        SELECT * FROM claim WHERE name_hash = wanted.name_hash AND name_case = wanted.name_case OFFSET 0
    ) AS c
    LEFT JOIN LATERAL (
        SELECT leaf_hash FROM entry WHERE tree_id = c.tree_id AND leaf_index = c.leaf_index LIMIT 1
    ) AS e ON true
    LEFT JOIN LATERAL (
        SELECT first_log_index FROM tree WHERE tree_id = c.tree_id LIMIT 1
    ) AS t ON true";

pub(super) async fn find(
    connection: &mut PgConnection,
    names: &[NameKey],
) -> StoreResult<Vec<StoredClaim>> {
    let (hashes, cases): (Vec<Key16>, Vec<i64>) = names
        .iter()
        .map(|name| (Key16(name.hash), name.case))
        .unzip();
    let query = sqlx::query_as(FIND).bind(hashes).bind(cases);
    let rows: Vec<ClaimRecord<Key16>> =
        query.fetch_all(connection).await.map_err(error::of_read)?;
    rows.into_iter().map(ClaimRecord::into_stored).collect()
}

/// Waits until no transaction stores claims, and keeps all others from it until this one ends.
pub(super) async fn lock(connection: &mut PgConnection) -> StoreResult<()> {
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(CLAIMS_LOCK);
    let locked = lock.execute(connection).await;
    locked.map(|_| ()).map_err(error::of_read)
}

const OF_ENTRIES: &str = "SELECT leaf_index, name_hash, name_case, name, packed_values FROM claim
    WHERE tree_id = $1 AND leaf_index >= $2 AND leaf_index < $3";

/// Returns the claims that the entries in a range were the first to make.
pub(super) async fn of_entries(
    connection: &mut PgConnection,
    tree: TreeId,
    range: Range<u64>,
) -> StoreResult<Vec<(i64, Claim)>> {
    let query = sqlx::query_as(OF_ENTRIES)
        .bind(tree.0)
        .bind(to_sql(range.start)?)
        .bind(to_sql(range.end)?);
    let rows: Vec<OwnClaimRecord<Key16>> =
        query.fetch_all(connection).await.map_err(error::of_read)?;
    rows.into_iter().map(OwnClaimRecord::into_claim).collect()
}

const CLAIMED: &str = "SELECT wanted.name_hash FROM unnest($1::uuid[]) AS wanted(name_hash)
    CROSS JOIN LATERAL (SELECT FROM claim WHERE name_hash = wanted.name_hash LIMIT 1) AS found";

/// Returns those of the hashes of names under which there is a claim.
pub(super) async fn claimed(
    connection: &mut PgConnection,
    names: &[[u8; 16]],
) -> StoreResult<Vec<[u8; 16]>> {
    let names: Vec<Key16> = names.iter().copied().map(Key16).collect();
    let query = sqlx::query_scalar(CLAIMED).bind(names);
    let rows: Vec<Key16> = query.fetch_all(connection).await.map_err(error::of_read)?;
    Ok(rows.into_iter().map(|hash| hash.0).collect())
}

#[cfg(test)]
mod tests {
    use super::super::plans::assert_indexed;
    use super::*;

    #[tokio::test]
    async fn no_table_is_read_whole() {
        assert_indexed(&[
            (FIND, &["claim_first", "entry_pkey", "tree_pkey"]),
            (OF_ENTRIES, &["claim_pkey"]),
            (CLAIMED, &["claim_first"]),
        ])
        .await;
    }
}
