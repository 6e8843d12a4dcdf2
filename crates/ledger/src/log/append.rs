//! Appending an entry: to the active tree, or to the next one if that is frozen meanwhile.

use std::sync::Arc;

use tlog::LeafIndex;
use tokio::time::{Instant, sleep};

use super::Log;
use crate::reading::entry::LoggedEntry;
use crate::shards::shard::Shard;
use crate::writing::append_error::{AppendError, NotSequenced};
use crate::writing::new_entry::{Appended, NewEntry};
use crate::writing::queue::{BEHIND_OTHERS_PAUSE, Patience};
use crate::writing::seal::Freshness;

impl Log {
    /// Appends an entry; returns once it is durable and below the published head. In a full queue
    /// it waits for its turn, up to [`crate::MAX_QUEUE_WAIT`].
    pub async fn append(&self, entry: NewEntry) -> Result<Appended, AppendError> {
        self.counted(self.append_or_find(entry, Patience::Waits).await)
    }

    /// Appends one of many entries, which does not take the turn of single ones: while the queue is
    /// full it waits outside. If the queue is still full at `until`, it fails with
    /// [`AppendError::Busy`].
    pub async fn append_behind_others(
        &self,
        entry: NewEntry,
        until: Instant,
    ) -> Result<Appended, AppendError> {
        let patience = Patience::BehindOthers(until);
        self.counted(self.append_or_find(entry, patience).await)
    }

    fn counted(&self, outcome: Result<Appended, AppendError>) -> Result<Appended, AppendError> {
        match &outcome {
            Ok(Appended::Sequenced(_)) => {}
            Ok(Appended::Duplicate(_)) => self.open.parts.metrics.duplicates.inc(),
            Err(error) => self
                .open
                .parts
                .metrics
                .append_errors
                .with_label_values(&[error.reason()])
                .inc(),
        }
        outcome
    }

    async fn append_or_find(
        &self,
        entry: NewEntry,
        patience: Patience,
    ) -> Result<Appended, AppendError> {
        let row = Arc::new(entry.into_row(&self.tree().name));
        loop {
            let active = self.open.active();
            let shard = &active.shard;
            let limit = shard.heads.tree().max_leaf_bytes;
            if row.body.len() > limit as usize {
                return Err(AppendError::LeafTooLarge {
                    got: row.body.len(),
                    limit,
                });
            }
            let outcome = match active.queue.submit(Arc::clone(&row), patience).await {
                Ok(outcome) => outcome,
                // The frozen tree certainly does not have the entry.
                Err(NotSequenced::Frozen) => {
                    let moved = self.open.move_on(shard.id()).await;
                    moved.map_err(|error| AppendError::Unavailable(error.to_string()))?;
                    continue;
                }
                Err(NotSequenced::Error(AppendError::Busy { .. })) if patience.tries_again() => {
                    sleep(BEHIND_OTHERS_PAUSE).await;
                    continue;
                }
                Err(NotSequenced::Error(error)) => return Err(error),
            };
            shard.heads.wait_published(outcome.leaf_index).await?;
            return match outcome.freshness {
                Freshness::New { time } => Ok(Appended::Sequenced(LoggedEntry {
                    tree: shard.id(),
                    leaf_index: outcome.leaf_index,
                    leaf_hash: row.leaf_hash,
                    time,
                    kind: row.kind.clone(),
                    signed_entry_timestamp: None,
                    body: row.body.as_slice().into(),
                    attestation: row.attestation.clone(),
                })),
                Freshness::Recovered => read_back(shard, outcome.leaf_index)
                    .await
                    .map(Appended::Sequenced),
                Freshness::Duplicate => read_back(shard, outcome.leaf_index)
                    .await
                    .map(Appended::Duplicate),
            };
        }
    }
}

/// Reads an entry that is stored already.
async fn read_back(shard: &Shard, leaf_index: LeafIndex) -> Result<LoggedEntry, AppendError> {
    let stored = shard
        .reader
        .entries
        .get(&shard.heads.published(), &[leaf_index])
        .await;
    let stored = stored.map_err(|error| AppendError::Unavailable(error.to_string()))?;
    let absent = || AppendError::Unavailable(format!("entry {leaf_index} cannot be read back"));
    stored.into_iter().next().ok_or_else(absent)
}
