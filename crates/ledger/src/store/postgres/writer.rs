//! The sequencer's connection.

use std::mem;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{Executor, PgConnection};

use super::hosts::Hosts;
use super::notice::NoticeTrap;
use super::promises::Lookout;
use super::session::{bounded, bounded_commit};
use super::{claims, commit, error, publications, reads, rotation, session};
use crate::TreeId;
use crate::store::delegated_reads::delegate_reads;
use crate::store::{Commit, Round, StoreError, StoreResult, TreeLock, Writer};

/// A direct connection. It is taken out for each call and put back after an answer: one whose call
/// failed or was dropped half way is not used again, and closing it rolls back.
pub(super) struct PostgresWriter {
    connection: Option<PgConnection>,
    lock: TreeLock,
    notices: NoticeTrap,
    lookout: Lookout,
}

impl PostgresWriter {
    pub(super) async fn connect(hosts: &Arc<Hosts>) -> StoreResult<Self> {
        let mut connection = session::writer(hosts).await?;
        bounded(commit::prepare(&mut connection)).await?;
        Ok(Self {
            connection: Some(connection),
            lock: TreeLock::Free,
            notices: NoticeTrap::new(),
            lookout: Lookout::new(hosts),
        })
    }

    fn take(&mut self) -> StoreResult<PgConnection> {
        self.connection
            .take()
            .ok_or_else(|| StoreError::Unavailable("the writer's connection is gone".to_owned()))
    }

    /// Commits by the statement itself.
    async fn commit_at_once(
        &mut self,
        mut connection: PgConnection,
        rows: &commit::Rows<'_>,
    ) -> StoreResult<Commit> {
        self.lookout.look_if_due(&mut connection).await?;
        // Dies here: the database decides. It commits the whole statement or nothing of it.
        let (answer, warning) = self
            .notices
            .watch(bounded_commit(commit::run(
                &mut connection,
                rows,
                TreeLock::Free,
            )))
            .await;
        let outcome = answer?.into_commit()?;
        certain(&outcome, warning)?;
        self.connection = Some(connection);
        Ok(outcome)
    }

    /// Commits the transaction that holds the lock.
    async fn commit_exclusive(
        &mut self,
        mut connection: PgConnection,
        rows: &commit::Rows<'_>,
    ) -> StoreResult<Commit> {
        // Dies here: nothing is stored, whatever this statement did; COMMIT was not sent.
        let run = async {
            commit::run(&mut connection, rows, TreeLock::Held)
                .await
                .map_err(error::of_read)?
                .into_commit()
        };
        let outcome = bounded(run).await;
        if matches!(
            outcome,
            Err(StoreError::Data(_) | StoreError::Damaged(_) | StoreError::Conflict(_))
        ) {
            // Closing the connection rolls back as well, but not before the server notices.
            let _ = bounded(end(&mut connection)).await;
        }
        match outcome? {
            Commit::Done => {}
            duplicates @ Commit::Duplicates(_) => {
                self.connection = Some(connection);
                self.lock = TreeLock::Held;
                return Ok(duplicates);
            }
            refused => {
                bounded(end(&mut connection)).await?;
                self.connection = Some(connection);
                return Ok(refused);
            }
        }
        // Dies here: the database decides.
        let (answer, warning) = self
            .notices
            .watch(bounded_commit(connection.execute("COMMIT")))
            .await;
        answer?;
        certain(&Commit::Done, warning)?;
        self.connection = Some(connection);
        Ok(Commit::Done)
    }
}

/// A commit that came with a warning may not be where it has to be.
fn certain(outcome: &Commit, warning: Option<String>) -> StoreResult<()> {
    match warning {
        Some(warning) if *outcome == Commit::Done => Err(StoreError::UnknownOutcome(format!(
            "the commit came with a warning: {warning}"
        ))),
        Some(warning) => {
            tracing::warn!(%warning, "the database warns");
            Ok(())
        }
        None => Ok(()),
    }
}

async fn end(connection: &mut PgConnection) -> StoreResult<()> {
    connection
        .execute("ROLLBACK")
        .await
        .map(|_| ())
        .map_err(error::of_read)
}

/// Waits for the lock. The snapshot of this statement is older than the lock: read in later
/// statements.
async fn begin_exclusive(connection: &mut PgConnection, tree: TreeId) -> StoreResult<()> {
    connection
        .execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        .await
        .map_err(error::of_read)?;
    let lock = sqlx::query("SELECT pg_advisory_xact_lock(-$1)").bind(tree.0);
    lock.execute(connection)
        .await
        .map(|_| ())
        .map_err(error::of_read)
}

#[async_trait]
impl Writer for PostgresWriter {
    async fn commit(&mut self, round: &Round) -> StoreResult<Commit> {
        let connection = self.take()?;
        let rows = commit::Rows::of(round)?;
        match mem::take(&mut self.lock) {
            TreeLock::Free => self.commit_at_once(connection, &rows).await,
            TreeLock::Held => self.commit_exclusive(connection, &rows).await,
        }
    }

    async fn begin_exclusive(&mut self, tree: TreeId) -> StoreResult<()> {
        if self.lock == TreeLock::Held {
            self.abandon().await?;
        }
        let mut connection = self.take()?;
        self.lookout.look_if_due(&mut connection).await?;
        bounded(begin_exclusive(&mut connection, tree)).await?;
        self.connection = Some(connection);
        self.lock = TreeLock::Held;
        Ok(())
    }

    async fn lock_claims(&mut self) -> StoreResult<()> {
        if self.lock == TreeLock::Held {
            let mut connection = self.take()?;
            bounded(claims::lock(&mut connection)).await?;
            self.connection = Some(connection);
        }
        Ok(())
    }

    async fn abandon(&mut self) -> StoreResult<()> {
        if mem::take(&mut self.lock) == TreeLock::Held {
            let mut connection = self.take()?;
            bounded(end(&mut connection)).await?;
            self.connection = Some(connection);
        }
        Ok(())
    }
}

/// Runs one query on the writer's own connection.
macro_rules! own {
    ($writer:expr, $connection:ident => $query:expr) => {{
        let mut taken = $writer.take()?;
        let $connection = &mut taken;
        let answer = bounded($query).await?;
        $writer.connection = Some(taken);
        Ok(answer)
    }};
}

delegate_reads!(PostgresWriter, own);
