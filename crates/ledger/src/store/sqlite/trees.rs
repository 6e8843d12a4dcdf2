//! The trees of a database.

use sqlx::{Connection, SqliteConnection};

use super::error;
use crate::store::encoding::{role_name, state_name};
use crate::store::numbers::to_sql;
use crate::store::records::{TreeRecord, into_trees};
use crate::store::rows::origin_taken;
use crate::store::{StoreResult, TreeRow};

const TREES: &str =
    "SELECT t.tree_id, t.name, t.api, t.origin, t.first_log_index, t.max_leaf_bytes, t.state,
        t.created_at, t.frozen_at, k.role, k.spki
    FROM tree t LEFT JOIN tree_key k ON k.tree_id = t.tree_id
    ORDER BY t.created, k.role DESC, k.spki";

pub(super) async fn all(connection: &mut SqliteConnection) -> StoreResult<Vec<TreeRow>> {
    let records: Vec<TreeRecord> = sqlx::query_as(TREES)
        .fetch_all(connection)
        .await
        .map_err(error::of_read)?;
    into_trees(records)
}

const CREATE: &str =
    "INSERT INTO tree (tree_id, name, api, origin, first_log_index, max_leaf_bytes, state,
        created_at, frozen_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING";

const CREATE_KEY: &str = "INSERT INTO tree_key (tree_id, role, spki) VALUES (?1, ?2, ?3)";

const TAKEN: &str = "SELECT EXISTS (SELECT 1 FROM tree WHERE tree_id = ?1 OR (name = ?2 AND api = ?3 AND state = 'active'))";

/// Dies here: the trees are there with their keys, or nothing is. The next start sees which.
pub(super) async fn create(
    connection: &mut SqliteConnection,
    trees: &[TreeRow],
) -> StoreResult<bool> {
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(error::of_read)?;
    for tree in trees {
        if insert(&mut transaction, tree).await? {
            continue;
        }
        let query = sqlx::query_scalar(TAKEN)
            .bind(tree.tree_id.0)
            .bind(&tree.name)
            .bind(&tree.api);
        let taken: bool = query
            .fetch_one(&mut *transaction)
            .await
            .map_err(error::of_read)?;
        transaction.rollback().await.map_err(error::of_read)?;
        return match taken {
            true => Ok(false),
            false => Err(origin_taken(tree)),
        };
    }
    transaction.commit().await.map_err(error::of_commit)?;
    Ok(true)
}

/// Inserts the rows in the open transaction; false if its ID, its place as the active tree of its
/// log, or its origin is taken.
pub(super) async fn insert(connection: &mut SqliteConnection, tree: &TreeRow) -> StoreResult<bool> {
    let insert = sqlx::query(CREATE)
        .bind(tree.tree_id.0)
        .bind(&tree.name)
        .bind(&tree.api)
        .bind(&tree.origin)
        .bind(to_sql(tree.first_log_index)?)
        .bind(tree.max_leaf_bytes)
        .bind(state_name(tree.state))
        .bind(tree.created_at)
        .bind(tree.frozen_at);
    let inserted = insert
        .execute(&mut *connection)
        .await
        .map_err(error::of_read)?;
    if inserted.rows_affected() == 0 {
        return Ok(false);
    }
    for key in &tree.keys {
        let insert = sqlx::query(CREATE_KEY)
            .bind(tree.tree_id.0)
            .bind(role_name(key.role))
            .bind(&key.spki);
        insert
            .execute(&mut *connection)
            .await
            .map_err(error::of_read)?;
    }
    Ok(true)
}
