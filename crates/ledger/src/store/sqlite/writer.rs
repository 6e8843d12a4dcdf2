//! The sequencer's connection.

use std::mem;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Executor, SqliteConnection};

use super::checkpoint::Checkpoints;
use super::file::FileIdentity;
use super::{commit, error, publications, reads, rotation, session};
use crate::TreeId;
use crate::store::delegated_reads::delegate_reads;
use crate::store::encoding::check_round;
use crate::store::{Commit, Round, StoreError, StoreResult, TreeLock, Writer};

/// A connection that may write. It is taken out for each call and put back after an answer: one
/// whose call failed or was dropped half way is not used again, and closing it rolls back.
pub(super) struct SqliteWriter {
    connection: Option<SqliteConnection>,
    /// The file's write lock, of all trees: SQLite has one.
    lock: TreeLock,
    file: FileIdentity,
    checkpoints: Checkpoints,
}

impl SqliteWriter {
    pub(super) async fn connect(
        options: &SqliteConnectOptions,
        checkpoints: Checkpoints,
    ) -> StoreResult<Self> {
        // Looked at before it is opened: a file put in its place in between is noticed at the first
        // round.
        let file = FileIdentity::of(options.get_filename())?;
        let connection = Some(session::writer(options).await?);
        Ok(Self {
            connection,
            lock: TreeLock::Free,
            file,
            checkpoints,
        })
    }

    fn take(&mut self) -> StoreResult<SqliteConnection> {
        self.connection
            .take()
            .ok_or_else(|| StoreError::Unavailable("the writer's connection is gone".to_owned()))
    }
}

const BEGIN: &str = "BEGIN IMMEDIATE";

/// Writes a round in the open transaction and ends it; see [`Writer::commit`] for when an exclusive
/// section goes on.
async fn finish(
    connection: &mut SqliteConnection,
    round: &Round,
    lock: TreeLock,
) -> StoreResult<Commit> {
    // Dies here: the transaction is not committed, so nothing is stored.
    let outcome = commit::rows(connection, round).await;
    if outcome.is_err() {
        // Closing the connection rolls back as well, but later.
        let _ = connection.execute("ROLLBACK").await;
    }
    let outcome = outcome?;
    match outcome {
        // Dies here: the WAL holds the whole commit record or does not.
        Commit::Done => connection
            .execute("COMMIT")
            .await
            .map_err(error::of_commit)
            .map(|_| ())?,
        Commit::Duplicates(_) if lock == TreeLock::Held => {}
        _ => connection
            .execute("ROLLBACK")
            .await
            .map_err(error::of_read)
            .map(|_| ())?,
    }
    Ok(outcome)
}

#[async_trait]
impl Writer for SqliteWriter {
    async fn commit(&mut self, round: &Round) -> StoreResult<Commit> {
        let mut connection = self.take()?;
        check_round(round)?;
        // A round must not go to a file that will never be opened again.
        self.file.check()?;
        let lock = mem::take(&mut self.lock);
        if lock == TreeLock::Free {
            match connection.execute(BEGIN).await {
                Ok(_) => {}
                Err(error) if error::is_busy(&error) => {
                    self.connection = Some(connection);
                    return Ok(Commit::LostRace);
                }
                Err(error) => return Err(error::of_read(error)),
            }
        }
        let outcome = finish(&mut connection, round, lock).await?;
        match outcome {
            Commit::Done => self.checkpoints.committed(round.entries.len()),
            Commit::Duplicates(_) => self.lock = lock,
            _ => {}
        }
        self.connection = Some(connection);
        Ok(outcome)
    }

    async fn begin_exclusive(&mut self, _: TreeId) -> StoreResult<()> {
        self.abandon().await?;
        let mut connection = self.take()?;
        self.file.check()?;
        connection.execute(BEGIN).await.map_err(error::of_read)?;
        self.connection = Some(connection);
        self.lock = TreeLock::Held;
        Ok(())
    }

    async fn abandon(&mut self) -> StoreResult<()> {
        if mem::take(&mut self.lock) == TreeLock::Held {
            let mut connection = self.take()?;
            connection
                .execute("ROLLBACK")
                .await
                .map_err(error::of_read)?;
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
        let answer = $query.await?;
        $writer.connection = Some(taken);
        Ok(answer)
    }};
}

delegate_reads!(SqliteWriter, own);
