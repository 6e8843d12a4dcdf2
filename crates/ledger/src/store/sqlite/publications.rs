//! Published heads of trees that have a witness policy, and the connection that adds to them.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqlitePool;
use tlog::TreeSize;

use super::error;
use crate::TreeId;
use crate::store::checksum::of_publication;
use crate::store::numbers::{prev_size_to_sql, to_sql};
use crate::store::records::PublicationRecord;
use crate::store::{PublicationRow, Publisher, StoreResult};

const NEWEST: &str = "SELECT prev_size, size, root, time, checkpoint, checksum FROM publication
    WHERE tree_id = ?1 ORDER BY prev_size DESC LIMIT 1";

pub(super) async fn newest(
    connection: &mut SqliteConnection,
    tree: TreeId,
) -> StoreResult<Option<PublicationRow>> {
    let row: Option<PublicationRecord> = sqlx::query_as(NEWEST)
        .bind(tree.0)
        .fetch_optional(connection)
        .await
        .map_err(error::of_read)?;
    row.map(|row| row.into_publication(tree)).transpose()
}

const PAGE: &str = "SELECT prev_size, size, root, time, checkpoint, checksum FROM publication
    WHERE tree_id = ?1 AND prev_size >= ?2 ORDER BY prev_size LIMIT ?3";

pub(super) async fn page(
    connection: &mut SqliteConnection,
    tree: TreeId,
    from: Option<TreeSize>,
    limit: u32,
) -> StoreResult<Vec<PublicationRow>> {
    let query = sqlx::query_as(PAGE)
        .bind(tree.0)
        .bind(prev_size_to_sql(from)?)
        .bind(limit);
    let rows: Vec<PublicationRecord> = query.fetch_all(connection).await.map_err(error::of_read)?;
    rows.into_iter()
        .map(|row| row.into_publication(tree))
        .collect()
}

/// The compare-and-set.
const PUBLISH: &str =
    "INSERT INTO publication (tree_id, prev_size, size, root, time, checkpoint, checksum)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
    WHERE ?2 = coalesce((
        SELECT p.size FROM publication p WHERE p.tree_id = ?1 ORDER BY p.prev_size DESC LIMIT 1
    ), -1)
    ON CONFLICT DO NOTHING";

/// One process uses the file, so the right to publish needs no lock.
pub(super) struct SqlitePublisher(pub(super) SqlitePool);

#[async_trait]
impl Publisher for SqlitePublisher {
    async fn claim(&mut self, _: TreeId) -> StoreResult<bool> {
        Ok(true)
    }

    async fn release(&mut self, _: TreeId) -> StoreResult<()> {
        Ok(())
    }

    async fn publish(&mut self, tree: TreeId, publication: &PublicationRow) -> StoreResult<bool> {
        let mut connection = self.0.acquire().await.map_err(error::of_read)?;
        let checksum = of_publication(tree, publication)?;
        let query = sqlx::query(PUBLISH)
            .bind(tree.0)
            .bind(prev_size_to_sql(publication.prev_size)?)
            .bind(to_sql(publication.size.0)?)
            .bind(publication.root.0.as_slice())
            .bind(publication.time)
            .bind(&publication.checkpoint)
            .bind(checksum.to_vec());
        // Dies here: the WAL holds the whole row or does not.
        let done = query
            .execute(&mut *connection)
            .await
            .map_err(error::of_commit)?;
        Ok(done.rows_affected() == 1)
    }
}
