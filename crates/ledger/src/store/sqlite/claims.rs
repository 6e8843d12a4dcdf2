//! Claims of entries: the first one of each name.

use std::ops::Range;
use std::sync::LazyLock;

use sqlx::SqliteConnection;

use super::chunks::{Insert, insert, texts};
use super::error;
use super::reads::{json_hex, json_list};
use crate::TreeId;
use crate::store::claim_records::{ClaimRecord, OwnClaimRecord};
use crate::store::numbers::to_sql;
use crate::store::packed_values::pack_values;
use crate::store::{Claim, NameKey, NewClaims, StoreError, StoreResult, StoredClaim, Taken};

const COLUMNS: [&str; 5] = [
    "leaf_index",
    "name_hash",
    "name_case",
    "name",
    "packed_values",
];

static INSERT_NEW: Insert = LazyLock::new(|| texts("claim", &COLUMNS, ""));
static INSERT_ABSENT: Insert = LazyLock::new(|| texts("claim", &COLUMNS, "ON CONFLICT DO NOTHING"));

/// Stores the claims of a round, inside its transaction.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    tree: TreeId,
    claims: &NewClaims,
) -> StoreResult<()> {
    let rows = claims
        .rows
        .iter()
        .map(|(claim, index)| Ok((claim, to_sql(index.0)?)));
    let rows: Vec<(&Claim, i64)> = rows.collect::<StoreResult<_>>()?;
    let texts = match claims.taken {
        Taken::Kept => &INSERT_ABSENT,
        Taken::Refused => &INSERT_NEW,
    };
    let inserted = insert(connection, texts, tree, &rows, |query, (claim, index)| {
        query
            .bind(*index)
            .bind(claim.key.hash.to_vec())
            .bind(claim.key.case)
            .bind(claim.name.clone().into_bytes())
            .bind(pack_values(&claim.values))
    });
    inserted
        .await
        .map_err(|failed| match error::is_taken(&failed) {
            true => StoreError::Conflict("another entry claimed the same name".to_owned()),
            false => error::of_read(failed),
        })
}

const FIND: &str = "SELECT c.name_hash, c.name_case, c.packed_values, c.tree_id, c.leaf_index, e.leaf_hash, t.first_log_index
    FROM json_each(?1) w
    CROSS JOIN claim c ON c.name_hash = unhex(w.value ->> 0) AND c.name_case = w.value ->> 1
    LEFT JOIN entry e ON e.tree_id = c.tree_id AND e.leaf_index = c.leaf_index
    LEFT JOIN tree t ON t.tree_id = c.tree_id";

pub(super) async fn find(
    connection: &mut SqliteConnection,
    names: &[NameKey],
) -> StoreResult<Vec<StoredClaim>> {
    let wanted = names.iter();
    let wanted = json_list(wanted.map(|name| format!("[{},{}]", json_hex(name.hash), name.case)));
    let query = sqlx::query_as(FIND).bind(wanted);
    let rows: Vec<ClaimRecord<Vec<u8>>> =
        query.fetch_all(connection).await.map_err(error::of_read)?;
    rows.into_iter().map(ClaimRecord::into_stored).collect()
}

const OF_ENTRIES: &str = "SELECT leaf_index, name_hash, name_case, name, packed_values FROM claim
    WHERE tree_id = ?1 AND leaf_index >= ?2 AND leaf_index < ?3";

/// Returns the claims that the entries in a range were the first to make.
pub(super) async fn of_entries(
    connection: &mut SqliteConnection,
    tree: TreeId,
    range: Range<u64>,
) -> StoreResult<Vec<(i64, Claim)>> {
    let query = sqlx::query_as(OF_ENTRIES)
        .bind(tree.0)
        .bind(to_sql(range.start)?)
        .bind(to_sql(range.end)?);
    let rows: Vec<OwnClaimRecord<Vec<u8>>> =
        query.fetch_all(connection).await.map_err(error::of_read)?;
    rows.into_iter().map(OwnClaimRecord::into_claim).collect()
}

const CLAIMED: &str = "SELECT DISTINCT c.name_hash FROM json_each(?1) w
    CROSS JOIN claim c ON c.name_hash = unhex(w.value)";

/// Returns those of the hashes of names under which there is a claim.
pub(super) async fn claimed(
    connection: &mut SqliteConnection,
    names: &[[u8; 16]],
) -> StoreResult<Vec<[u8; 16]>> {
    let wanted = json_list(names.iter().copied().map(json_hex));
    let query = sqlx::query_scalar(CLAIMED).bind(wanted);
    let rows: Vec<Vec<u8>> = query.fetch_all(connection).await.map_err(error::of_read)?;
    let hashes = rows.into_iter().map(<[u8; 16]>::try_from);
    hashes
        .collect::<Result<_, _>>()
        .map_err(|_| StoreError::Damaged("claim.name_hash".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::plans::assert_indexed;
    use super::*;

    #[tokio::test]
    async fn no_table_is_read_whole() {
        assert_indexed(&[
            (
                FIND,
                &[
                    "claim_first (name_hash=? AND name_case=?)",
                    "entry_1 (tree_id=? AND leaf_index=?)",
                    "tree_2 (tree_id=?)",
                ],
            ),
            (
                OF_ENTRIES,
                &["PRIMARY KEY (tree_id=? AND leaf_index>? AND leaf_index<?)"],
            ),
            (CLAIMED, &["claim_first (name_hash=?)"]),
        ])
        .await;
    }
}
