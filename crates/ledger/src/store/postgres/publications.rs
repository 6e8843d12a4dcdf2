//! Published heads of trees that have a witness policy, and the connection that adds to them.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgConnection;
use tlog::TreeSize;

use super::error;
use super::hosts::Hosts;
use super::notice::NoticeTrap;
use super::promises::Lookout;
use super::session::{bounded, bounded_commit};
use crate::TreeId;
use crate::store::checksum::of_publication;
use crate::store::numbers::{prev_size_to_sql, to_sql};
use crate::store::records::PublicationRecord;
use crate::store::{PublicationRow, Publisher, StoreError, StoreResult};

const NEWEST: &str = "SELECT prev_size, size, root, time, checkpoint, checksum FROM publication
    WHERE tree_id = $1 ORDER BY prev_size DESC LIMIT 1";

pub(super) async fn newest(
    connection: &mut PgConnection,
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
    WHERE tree_id = $1 AND prev_size >= $2 ORDER BY prev_size LIMIT $3";

pub(super) async fn page(
    connection: &mut PgConnection,
    tree: TreeId,
    from: Option<TreeSize>,
    limit: u32,
) -> StoreResult<Vec<PublicationRow>> {
    let query = sqlx::query_as(PAGE)
        .bind(tree.0)
        .bind(prev_size_to_sql(from)?)
        .bind(i64::from(limit));
    let rows: Vec<PublicationRecord> = query.fetch_all(connection).await.map_err(error::of_read)?;
    rows.into_iter()
        .map(|row| row.into_publication(tree))
        .collect()
}

/// The compare-and-set.
const PUBLISH: &str =
    "INSERT INTO publication (tree_id, prev_size, size, root, time, checkpoint, checksum)
    SELECT $1, $2, $3, $4, $5, $6, $7
    WHERE $2 = coalesce((
        SELECT p.size FROM publication p WHERE p.tree_id = $1 ORDER BY p.prev_size DESC LIMIT 1
    ), -1)
    ON CONFLICT DO NOTHING";

/// A direct connection that holds a lock of its session while it has the right to publish. It is
/// taken out for each call and put back after an answer: one whose call failed is closed, which
/// gives the right back.
pub(super) struct PostgresPublisher {
    connection: Option<PgConnection>,
    lookout: Lookout,
    notices: NoticeTrap,
}

impl PostgresPublisher {
    pub(super) async fn connect(hosts: &Arc<Hosts>) -> StoreResult<Self> {
        Ok(Self {
            connection: Some(hosts.connect_to_write().await?.connection),
            lookout: Lookout::new(hosts),
            notices: NoticeTrap::new(),
        })
    }

    fn take(&mut self) -> StoreResult<PgConnection> {
        self.connection
            .take()
            .ok_or_else(|| StoreError::Unavailable("the publisher's connection is gone".to_owned()))
    }

    /// The right to publish a tree is the lock of its ID; the lock of the rounds is that of its
    /// negative.
    async fn lock(&mut self, query: &'static str, tree: TreeId) -> StoreResult<bool> {
        let mut connection = self.take()?;
        self.lookout.look_if_due(&mut connection).await?;
        let query = sqlx::query_scalar(query).bind(tree.0);
        let answer = bounded(async {
            query
                .fetch_one(&mut connection)
                .await
                .map_err(error::of_read)
        })
        .await?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

#[async_trait]
impl Publisher for PostgresPublisher {
    async fn claim(&mut self, tree: TreeId) -> StoreResult<bool> {
        self.lock("SELECT pg_try_advisory_lock($1)", tree).await
    }

    async fn release(&mut self, tree: TreeId) -> StoreResult<()> {
        self.lock("SELECT pg_advisory_unlock($1)", tree)
            .await
            .map(drop)
    }

    async fn publish(&mut self, tree: TreeId, publication: &PublicationRow) -> StoreResult<bool> {
        let mut connection = self.take()?;
        let checksum = of_publication(tree, publication)?;
        let query = sqlx::query(PUBLISH)
            .bind(tree.0)
            .bind(prev_size_to_sql(publication.prev_size)?)
            .bind(to_sql(publication.size.0)?)
            .bind(publication.root.0.as_slice())
            .bind(publication.time)
            .bind(&publication.checkpoint)
            .bind(checksum.to_vec());
        // Dies here: the row is stored or not.
        let publish = bounded_commit(query.execute(&mut connection));
        let (done, warning) = self.notices.watch(publish).await;
        let done = done?;
        if let Some(warning) = warning {
            return Err(StoreError::UnknownOutcome(format!(
                "the publication came with a warning: {warning}"
            )));
        }
        self.connection = Some(connection);
        Ok(done.rows_affected() == 1)
    }
}
