//! Checkpoints: copying what rounds wrote from the WAL into the file, beside the rounds.
//!
//! By itself SQLite copies within the commit that made the WAL long enough, and all callers of that
//! round and of the next one wait for the disk. A passive checkpoint on another connection delays
//! no writer. It cannot restart the WAL while rounds continue; that remains the task of the
//! automatic checkpoint of [`super::session`], which by then has little to copy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sqlx::sqlite::SqlitePool;

/// Entries between two checkpoints. In a large log each entry changes three to four pages that no
/// other entry changes, so these are some 16 MiB.
const ENTRIES: usize = 1_024;

/// Checkpoints of one file. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Checkpoints {
    connections: SqlitePool,
    /// Entries committed since the last checkpoint began.
    entries: Arc<AtomicUsize>,
    under_way: Arc<AtomicBool>,
}

impl Checkpoints {
    pub(super) fn new(connections: SqlitePool) -> Self {
        Self {
            connections,
            entries: Arc::default(),
            under_way: Arc::default(),
        }
    }

    /// Notes a round, and begins a checkpoint if enough were written and none is under way.
    ///
    /// Dies in the checkpoint: the WAL still has everything.
    pub(super) fn committed(&self, entries: usize) {
        let waiting = self.entries.fetch_add(entries, Ordering::Relaxed) + entries;
        if waiting < ENTRIES {
            return;
        }
        let Some(under_way) = self.begin() else {
            return;
        };
        self.entries.store(0, Ordering::Relaxed);
        let connections = self.connections.clone();
        tokio::spawn(async move {
            let outcome = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
                .execute(&connections)
                .await;
            drop(under_way);
            if let Err(error) = outcome {
                tracing::debug!(%error, "a checkpoint of the database's WAL");
            }
        });
    }

    /// Returns `None` while another checkpoint is under way.
    fn begin(&self) -> Option<UnderWay> {
        let is_first = !self.under_way.swap(true, Ordering::AcqRel);
        is_first.then(|| UnderWay(Arc::clone(&self.under_way)))
    }
}

/// A checkpoint under way. Another one may begin when its task ends, however it ends.
struct UnderWay(Arc<AtomicBool>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_one_that_panicked_another_may_begin() {
        let checkpoints = Checkpoints::new(SqlitePool::connect_lazy("sqlite::memory:").unwrap());
        let under_way = checkpoints.begin().unwrap();
        assert!(checkpoints.begin().is_none());
        let panicked = tokio::spawn(async move {
            let _under_way = under_way;
            panic!("a bug");
        });
        assert!(panicked.await.is_err());
        assert!(checkpoints.begin().is_some());
    }
}
