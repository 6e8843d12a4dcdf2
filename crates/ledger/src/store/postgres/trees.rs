//! The trees of a database.

use sqlx::PgConnection;

use super::error;
use crate::store::encoding::{role_name, state_name};
use crate::store::numbers::to_sql;
use crate::store::records::{TreeRecord, into_trees};
use crate::store::{StoreError, StoreResult, TreeRow};

const TREES: &str =
    "SELECT t.tree_id, t.name, t.origin_v1, t.origin_v2, t.first_log_index, t.max_leaf_bytes, t.apis, t.state,
        t.created_at, t.frozen_at, k.role, k.spki
    FROM tree t LEFT JOIN tree_key k USING (tree_id)
    ORDER BY t.created, k.role DESC, k.spki";

pub(super) async fn all(connection: &mut PgConnection) -> StoreResult<Vec<TreeRow>> {
    let records: Vec<TreeRecord> = sqlx::query_as(TREES)
        .fetch_all(connection)
        .await
        .map_err(error::of_read)?;
    into_trees(records)
}

/// One statement, so one transaction. Of two servers that start at once, one waits for the other
/// here and finds its tree.
const CREATE: &str = "WITH new_tree AS (
        INSERT INTO tree (tree_id, name, origin_v1, origin_v2, first_log_index, max_leaf_bytes, apis, state,
            created_at, frozen_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT DO NOTHING
        RETURNING tree_id
    ), new_keys AS (
        INSERT INTO tree_key (tree_id, role, spki)
        SELECT t.tree_id, k.role, k.spki FROM new_tree t, unnest($11::text[], $12::bytea[]) AS k(role, spki)
    )
    SELECT EXISTS (SELECT FROM new_tree)";

/// Dies here: the tree is there with its keys, or nothing is. The next start sees which.
pub(super) async fn create(connection: &mut PgConnection, tree: &TreeRow) -> StoreResult<bool> {
    let roles: Vec<&str> = tree.keys.iter().map(|key| role_name(key.role)).collect();
    let spkis: Vec<&[u8]> = tree.keys.iter().map(|key| key.spki.as_slice()).collect();
    let query = sqlx::query_scalar(CREATE)
        .bind(tree.tree_id.0)
        .bind(&tree.name)
        .bind(&tree.origin_v1)
        .bind(&tree.origin_v2)
        .bind(to_sql(tree.first_log_index)?)
        .bind(i64::from(tree.max_leaf_bytes))
        .bind(tree.apis.name())
        .bind(state_name(tree.state))
        .bind(tree.created_at)
        .bind(tree.frozen_at)
        .bind(roles)
        .bind(spkis);
    let created: bool = query
        .fetch_one(&mut *connection)
        .await
        .map_err(error::of_commit)?;
    if created || name_or_id_taken(connection, tree).await? {
        return Ok(created);
    }
    Err(StoreError::Data(format!(
        "another tree has an origin of {:?}",
        tree.name
    )))
}

const TAKEN: &str =
    "SELECT EXISTS (SELECT FROM tree WHERE tree_id = $1 OR (name = $2 AND state = 'active'))";

async fn name_or_id_taken(connection: &mut PgConnection, tree: &TreeRow) -> StoreResult<bool> {
    let query = sqlx::query_scalar(TAKEN)
        .bind(tree.tree_id.0)
        .bind(&tree.name);
    query.fetch_one(connection).await.map_err(error::of_read)
}
