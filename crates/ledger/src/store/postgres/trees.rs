//! The trees of a database.

use sqlx::{Connection, PgConnection};

use super::error;
use crate::store::encoding::{role_name, state_name};
use crate::store::numbers::to_sql;
use crate::store::records::{TreeRecord, into_trees};
use crate::store::rows::origin_taken;
use crate::store::{StoreResult, TreeRow};

const TREES: &str =
    "SELECT t.tree_id, t.name, t.api, t.origin, t.first_log_index, t.max_leaf_bytes, t.state,
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

/// One statement. Of two servers that start at once, one waits for the other here and finds its
/// tree.
const CREATE: &str = "WITH new_tree AS (
        INSERT INTO tree (tree_id, name, api, origin, first_log_index, max_leaf_bytes, state,
            created_at, frozen_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT DO NOTHING
        RETURNING tree_id
    ), new_keys AS (
        INSERT INTO tree_key (tree_id, role, spki)
        SELECT t.tree_id, k.role, k.spki FROM new_tree t, unnest($10::text[], $11::bytea[]) AS k(role, spki)
    )
    SELECT EXISTS (SELECT FROM new_tree)";

/// Creates all of the trees or none.
///
/// Dies here: the trees are there with their keys, or nothing is. The next start sees which.
pub(super) async fn create(connection: &mut PgConnection, trees: &[TreeRow]) -> StoreResult<bool> {
    let mut transaction = connection.begin().await.map_err(error::of_read)?;
    for tree in trees {
        if !insert(&mut transaction, tree).await? {
            transaction.rollback().await.map_err(error::of_read)?;
            return Ok(false);
        }
    }
    transaction.commit().await.map_err(error::of_commit)?;
    Ok(true)
}

/// Inserts a tree; false if its ID, or its place as the active tree of its log, is taken.
pub(super) async fn insert(connection: &mut PgConnection, tree: &TreeRow) -> StoreResult<bool> {
    let roles: Vec<&str> = tree.keys.iter().map(|key| role_name(key.role)).collect();
    let spkis: Vec<&[u8]> = tree.keys.iter().map(|key| key.spki.as_slice()).collect();
    let query = sqlx::query_scalar(CREATE)
        .bind(tree.tree_id.0)
        .bind(&tree.name)
        .bind(&tree.api)
        .bind(&tree.origin)
        .bind(to_sql(tree.first_log_index)?)
        .bind(i64::from(tree.max_leaf_bytes))
        .bind(state_name(tree.state))
        .bind(tree.created_at)
        .bind(tree.frozen_at)
        .bind(roles)
        .bind(spkis);
    let created: bool = query
        .fetch_one(&mut *connection)
        .await
        .map_err(error::of_commit)?;
    if created || place_or_id_taken(connection, tree).await? {
        return Ok(created);
    }
    Err(origin_taken(tree))
}

const TAKEN: &str = "SELECT EXISTS (SELECT FROM tree WHERE tree_id = $1 OR (name = $2 AND api = $3 AND state = 'active'))";

async fn place_or_id_taken(connection: &mut PgConnection, tree: &TreeRow) -> StoreResult<bool> {
    let query = sqlx::query_scalar(TAKEN)
        .bind(tree.tree_id.0)
        .bind(&tree.name)
        .bind(&tree.api);
    query.fetch_one(connection).await.map_err(error::of_read)
}
