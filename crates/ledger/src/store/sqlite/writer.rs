//! The connection of the sequencers.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Executor, SqliteConnection};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

use super::checkpoint::Checkpoints;
use super::file::FileIdentity;
use super::{BUSY_TIMEOUT, claims, commit, error, publications, reads, rotation, session};
use crate::TreeId;
use crate::store::delegated_reads::delegate_reads;
use crate::store::encoding::check_round;
use crate::store::{Commit, Round, StoreError, StoreResult, TreeLock, Writer};

/// The connection that all writers of a file share, one at a time. Connections of their own would
/// empty each other's page cache with every round.
///
/// It is taken out for each call and put back after an answer: a connection whose call failed or
/// was dropped half way is not used again, and closing it rolls back. Then the next call connects
/// anew.
pub(super) type SharedConnection = Arc<Mutex<Option<Connected>>>;

/// A connection that may write.
#[derive(Debug)]
pub(super) struct Connected {
    connection: SqliteConnection,
    file: FileIdentity,
}

impl Connected {
    async fn open(options: &SqliteConnectOptions) -> StoreResult<Self> {
        // Looked at before it is opened: a file put in its place in between is noticed at the first
        // round.
        let file = FileIdentity::of(options.get_filename())?;
        let connection = session::writer(options).await?;
        Ok(Self { connection, file })
    }
}

/// A writer of one tree.
pub(super) struct SqliteWriter {
    shared: SharedConnection,
    /// The right to the connection, with the connection in it, within an exclusive section.
    section: Option<OwnedMutexGuard<Option<Connected>>>,
    /// Whether a call has the connection, or had it and failed. Then the writer is spent.
    has_lease: bool,
    options: SqliteConnectOptions,
    checkpoints: Checkpoints,
}

/// The connection in one call.
struct Lease {
    right: OwnedMutexGuard<Option<Connected>>,
    connected: Connected,
    /// Whether the call is within an exclusive section.
    lock: TreeLock,
}

impl SqliteWriter {
    pub(super) async fn connect(
        options: &SqliteConnectOptions,
        shared: &SharedConnection,
        checkpoints: Checkpoints,
    ) -> StoreResult<Self> {
        let mut writer = Self {
            shared: Arc::clone(shared),
            section: None,
            has_lease: false,
            options: options.clone(),
            checkpoints,
        };
        let lease = writer.lease().await?;
        writer.put_back(lease, TreeLock::Free);
        Ok(writer)
    }

    /// Takes the connection when no other writer has it. Fails with [`StoreError::Conflict`] if that
    /// takes too long.
    async fn lease(&mut self) -> StoreResult<Lease> {
        if self.has_lease {
            return Err(StoreError::Unavailable(
                "the writer's connection is gone".to_owned(),
            ));
        }
        let (mut right, lock) = match self.section.take() {
            Some(right) => (right, TreeLock::Held),
            None => {
                let right = timeout(BUSY_TIMEOUT, Arc::clone(&self.shared).lock_owned()).await;
                let busy = |_| StoreError::Conflict("another round is under way".to_owned());
                (right.map_err(busy)?, TreeLock::Free)
            }
        };
        self.has_lease = true;
        let connected = match right.take() {
            Some(connected) => connected,
            None => Connected::open(&self.options).await?,
        };
        Ok(Lease {
            right,
            connected,
            lock,
        })
    }

    /// Puts the connection back, and the right to it unless an exclusive section goes on.
    fn put_back(&mut self, lease: Lease, lock: TreeLock) {
        let Lease {
            mut right,
            connected,
            ..
        } = lease;
        *right = Some(connected);
        self.has_lease = false;
        if lock == TreeLock::Held {
            self.section = Some(right);
        }
    }
}

impl Drop for SqliteWriter {
    /// Closes a connection whose exclusive section is still open, which rolls back.
    fn drop(&mut self) {
        if let Some(mut right) = self.section.take() {
            *right = None;
        }
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
        let mut lease = match self.lease().await {
            Err(StoreError::Conflict(_)) => return Ok(Commit::LostRace),
            lease => lease?,
        };
        check_round(round)?;
        // A round must not go to a file that will never be opened again.
        lease.connected.file.check()?;
        let connection = &mut lease.connected.connection;
        if lease.lock == TreeLock::Free {
            match connection.execute(BEGIN).await {
                Ok(_) => {}
                Err(error) if error::is_busy(&error) => {
                    self.put_back(lease, TreeLock::Free);
                    return Ok(Commit::LostRace);
                }
                Err(error) => return Err(error::of_read(error)),
            }
        }
        let outcome = finish(connection, round, lease.lock).await?;
        let lock = match outcome {
            Commit::Duplicates(_) => lease.lock,
            _ => TreeLock::Free,
        };
        if outcome == Commit::Done {
            self.checkpoints.committed(round.entries.len());
        }
        self.put_back(lease, lock);
        Ok(outcome)
    }

    async fn begin_exclusive(&mut self, _: TreeId) -> StoreResult<()> {
        self.abandon().await?;
        let mut lease = self.lease().await?;
        lease.connected.file.check()?;
        let begun = lease.connected.connection.execute(BEGIN).await;
        begun.map_err(error::of_read)?;
        self.put_back(lease, TreeLock::Held);
        Ok(())
    }

    async fn abandon(&mut self) -> StoreResult<()> {
        if self.section.is_some() {
            let mut lease = self.lease().await?;
            let rolled_back = lease.connected.connection.execute("ROLLBACK").await;
            rolled_back.map_err(error::of_read)?;
            self.put_back(lease, TreeLock::Free);
        }
        Ok(())
    }
}

/// Runs one query on the writer's own connection.
macro_rules! own {
    ($writer:expr, $connection:ident => $query:expr) => {{
        let mut lease = $writer.lease().await?;
        let $connection = &mut lease.connected.connection;
        let answer = $query.await?;
        let lock = lease.lock;
        $writer.put_back(lease, lock);
        Ok(answer)
    }};
}

delegate_reads!(SqliteWriter, own);

#[cfg(test)]
mod tests {
    use tlog::{EMPTY_ROOT, TreeSize};
    use tokio::time::Instant;

    use super::*;
    use crate::store::sqlite::SqliteStore;
    use crate::store::{
        ClaimRules, EntryRow, HeadRow, IndexKeys, KeyRole, KeyRow, NewClaims, Store, TreeRow,
        TreeState,
    };

    const TREE: TreeId = TreeId(1);
    const SPKI: &[u8] = b"der of a key";

    fn tree() -> TreeRow {
        let key = KeyRow {
            role: KeyRole::Log,
            spki: SPKI.to_vec(),
        };
        TreeRow {
            tree_id: TREE,
            name: "a".to_owned(),
            api: "v1".to_owned(),
            origin: "a/1".to_owned(),
            first_log_index: 0,
            max_leaf_bytes: 65_535,
            state: TreeState::Active,
            created_at: 1,
            frozen_at: None,
            keys: vec![key],
        }
    }

    fn round() -> Round {
        let entry = EntryRow {
            leaf_hash: tlog::leaf_hash(b"leaf"),
            kind: "test:1".to_owned(),
            body: b"leaf".to_vec(),
            index_keys: IndexKeys::default(),
            attestation: None,
            claims: Vec::new(),
            claim_rules: ClaimRules::default(),
        };
        Round {
            tree_id: TREE,
            log_key_spki: SPKI.to_vec(),
            prev_root: EMPTY_ROOT,
            head: HeadRow {
                prev_size: TreeSize(0),
                size: TreeSize(1),
                root: entry.leaf_hash,
                time: 1,
            },
            entries: vec![Arc::new(entry)],
            full_tiles: Vec::new(),
            timestamps: Vec::new(),
            claims: NewClaims::default(),
            local_millis: 1_000,
            read_at: Instant::now(),
        }
    }

    /// After a failed write or sync the commit record may be in the WAL all the same.
    #[tokio::test]
    async fn the_outcome_of_a_commit_that_failed_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let opened = SqliteStore::open(&folder.path().join("log.sqlite")).await;
        let store = opened.unwrap();
        store.create_trees(&[tree()]).await.unwrap();
        let checkpoints = store.checkpoints.clone();
        let connected = SqliteWriter::connect(&store.options, &store.writer, checkpoints).await;
        let mut writer = connected.unwrap();
        let mut lease = writer.lease().await.unwrap();
        let connection = &mut lease.connected.connection;
        let mut handle = connection.lock_handle().await.unwrap();
        handle.set_commit_hook(|| false);
        drop(handle);
        writer.put_back(lease, TreeLock::Free);
        let outcome = writer.commit(&round()).await;
        let is_unknown = matches!(outcome, Err(StoreError::UnknownOutcome(_)));
        assert!(is_unknown, "{outcome:?}");
    }
}
