//! The sequencer's connection.

use std::mem;
use std::ops::Range;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Executor, SqliteConnection};
use tlog::{Hash, TileId, TreeSize};

use super::checkpoint::Checkpoints;
use super::file::FileIdentity;
use super::{commit, error, publications, reads, rotation, session};
use crate::TreeId;
use crate::store::encoding::check_round;
use crate::store::{
    Commit, EntryRef, HeadRow, PublicationRow, Read, Round, Standing, StoreError, StoreResult,
    Writer,
};

/// A connection that may write. It is taken out for each call and put back after an answer: one
/// whose call failed or was dropped half way is not used again, and closing it rolls back.
pub(super) struct SqliteWriter {
    connection: Option<SqliteConnection>,
    section: Section,
    file: FileIdentity,
    checkpoints: Checkpoints,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Section {
    /// No transaction is open.
    #[default]
    Shared,
    /// In a transaction that holds the file's write lock (of all trees: SQLite has one).
    Exclusive,
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
            section: Section::Shared,
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
    section: Section,
) -> StoreResult<Commit> {
    // Died here: the transaction was not committed, nothing is stored.
    let outcome = commit::rows(connection, round).await;
    if outcome.is_err() {
        // Closing the connection rolls back as well, but later.
        let _ = connection.execute("ROLLBACK").await;
    }
    let outcome = outcome?;
    match outcome {
        // Died here: the WAL holds the whole commit record or does not.
        Commit::Done => connection
            .execute("COMMIT")
            .await
            .map_err(error::of_commit)
            .map(|_| ())?,
        Commit::Duplicates(_) if section == Section::Exclusive => {}
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
        // A round must not go to a file that nobody will open again.
        self.file.check()?;
        let section = mem::take(&mut self.section);
        if section == Section::Shared {
            match connection.execute(BEGIN).await {
                Ok(_) => {}
                Err(error) if error::is_busy(&error) => {
                    self.connection = Some(connection);
                    return Ok(Commit::LostRace);
                }
                Err(error) => return Err(error::of_read(error)),
            }
        }
        let outcome = finish(&mut connection, round, section).await?;
        match outcome {
            Commit::Done => self.checkpoints.committed(round.entries.len()),
            Commit::Duplicates(_) => self.section = section,
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
        self.section = Section::Exclusive;
        Ok(())
    }

    async fn abandon(&mut self) -> StoreResult<()> {
        if mem::take(&mut self.section) == Section::Exclusive {
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

#[async_trait]
impl Read for SqliteWriter {
    async fn standing(&mut self, tree: TreeId) -> StoreResult<Option<Standing>> {
        own!(self, connection => rotation::standing(connection, tree))
    }

    async fn newest_head(&mut self, tree: TreeId) -> StoreResult<Option<HeadRow>> {
        own!(self, connection => reads::newest_head(connection, tree))
    }

    async fn newest_publication(&mut self, tree: TreeId) -> StoreResult<Option<PublicationRow>> {
        own!(self, connection => publications::newest(connection, tree))
    }

    async fn leaf_hashes(&mut self, tree: TreeId, range: Range<u64>) -> StoreResult<Vec<Hash>> {
        own!(self, connection => reads::leaf_hashes(connection, tree, range))
    }

    async fn tile_roots(
        &mut self,
        tree: TreeId,
        level: u8,
        range: Range<u64>,
    ) -> StoreResult<Vec<Hash>> {
        own!(self, connection => reads::tile_roots(connection, tree, level, range))
    }

    async fn full_tiles(&mut self, tree: TreeId, tiles: &[TileId]) -> StoreResult<Vec<Vec<Hash>>> {
        own!(self, connection => reads::full_tiles(connection, tree, tiles))
    }

    async fn find_leaves(
        &mut self,
        tree: TreeId,
        leaf_hashes: &[Hash],
        size: TreeSize,
    ) -> StoreResult<Vec<EntryRef>> {
        own!(self, connection => reads::find_leaves(connection, tree, leaf_hashes, size))
    }
}
