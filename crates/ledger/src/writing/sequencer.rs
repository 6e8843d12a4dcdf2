//! The sequencer: one round at a time gives indexes and makes them durable.
//!
//! A round takes all entries that queued while the last one committed; there is no timer in the
//! write path.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::append_error::{AppendError, NotSequenced};
use super::last_round::LastRound;
use super::queue::{Queue, Submission, row_bytes};
use super::round_error::RoundError;
use super::rounds::{
    MAX_ROUND_BYTES, MAX_ROUND_ENTRIES, MAX_ROUND_INDEX_KEYS, MAX_ROUND_TIMESTAMPS, Rounds,
    TreeParts,
};
use crate::store::{EntryRow, StoreError, StoreResult, TimestampRow, Turn};

/// An idle log stores its waiting signed entry timestamps after this.
const IDLE_FLUSH: Duration = Duration::from_secs(1);

/// The sequencer of one tree.
pub(crate) struct Sequencer {
    parts: TreeParts,
    rounds: Rounds,
    receiver: mpsc::Receiver<Submission>,
    /// A submission that was taken from the queue but did not fit into its round.
    carried: Option<Submission>,
    last_round: Arc<LastRound>,
    stopping: CancellationToken,
}

/// Returns a queue and the sequencer behind it, which notes the outcome of each round. It ends once
/// `stopping` is cancelled and the queue is empty.
pub(crate) fn sequencer(
    parts: TreeParts,
    last_round: Arc<LastRound>,
    stopping: CancellationToken,
) -> (Queue, Sequencer) {
    let (queue, receiver) = Queue::new(
        Arc::clone(&parts.heads),
        parts.metrics.clone(),
        stopping.clone(),
    );
    let rounds = Rounds::new(parts.clone());
    (
        queue,
        Sequencer {
            parts,
            rounds,
            receiver,
            carried: None,
            last_round,
            stopping,
        },
    )
}

/// Returns how many rows an entry has beside its own: index keys and claims.
fn key_rows_of(row: &EntryRow) -> usize {
    row.index_keys.hashes().len() + row.claims.len()
}

impl Sequencer {
    /// Runs rounds until it is stopped and the queue is empty.
    pub(crate) async fn run(mut self) {
        while let Some((round, _turn)) = self.next_round().await {
            let started = Instant::now();
            let entries = round.len();
            self.commit_or_split(round).await;
            tracing::debug!(entries, elapsed = ?started.elapsed(), "round");
        }
        self.flush_timestamps().await;
    }

    /// Waits for a first submission and for the turn of this log, then takes all that are queued, up
    /// to the bounds of a round. Returns `None` at the end.
    async fn next_round(&mut self) -> Option<(Vec<Submission>, Turn)> {
        let first = match self.carried.take() {
            Some(carried) => carried,
            None => self.next_submission().await?,
        };
        let turn = self.parts.store.turn().await;
        let mut bytes = row_bytes(&first.row);
        let mut key_rows = key_rows_of(&first.row);
        let mut round = vec![first];
        while round.len() < MAX_ROUND_ENTRIES {
            let Ok(submission) = self.receiver.try_recv() else {
                break;
            };
            bytes += row_bytes(&submission.row);
            key_rows += key_rows_of(&submission.row);
            if bytes > MAX_ROUND_BYTES || key_rows > MAX_ROUND_INDEX_KEYS {
                self.carried = Some(submission);
                break;
            }
            round.push(submission);
        }
        Some((round, turn))
    }

    async fn next_submission(&mut self) -> Option<Submission> {
        loop {
            tokio::select! {
                biased;
                submission = self.receiver.recv() => return submission,
                () = self.stopping.cancelled(), if !self.receiver.is_closed() => self.receiver.close(),
                () = tokio::time::sleep(IDLE_FLUSH) => self.flush_timestamps().await,
            }
        }
    }

    /// Stores waiting timestamps outside a round. A failure leaves them waiting; they can be signed
    /// again at any time.
    async fn flush_timestamps(&mut self) {
        loop {
            let rows = self.parts.timestamps.next_rows(MAX_ROUND_TIMESTAMPS);
            if rows.is_empty() {
                return;
            }
            if let Err(error) = self.store_timestamps(&rows).await {
                tracing::warn!(log = %self.parts.heads.tree().api, %error, "signed entry timestamps are not stored yet");
                return;
            }
        }
    }

    async fn store_timestamps(&mut self, rows: &[TimestampRow]) -> StoreResult<()> {
        // No head of a round guards them here: a database that went back would keep them for the
        // entries that come next.
        self.parts.heads.newest_head().await?;
        if let Some(reason) = self.parts.heads.halted() {
            return Err(StoreError::Unavailable(reason.to_owned()));
        }
        self.parts
            .store
            .put_timestamps(self.parts.heads.tree().id, rows)
            .await?;
        self.parts.timestamps.mark_stored(rows);
        Ok(())
    }

    /// Commits a round. If the database refuses its data, commits each half of it, until only the
    /// culprit gets the error.
    async fn commit_or_split(&mut self, round: Vec<Submission>) {
        let mut pending = vec![round];
        while let Some(mut round) = pending.pop() {
            let started = Instant::now();
            let rows: Vec<Arc<EntryRow>> = round
                .iter()
                .map(|submission| Arc::clone(&submission.row))
                .collect();
            match self.rounds.commit(&rows).await {
                Ok(outcomes) => {
                    self.parts
                        .metrics
                        .round_seconds
                        .observe(started.elapsed().as_secs_f64());
                    // A round whose outcome was unknown may turn out to be lost.
                    let lost = outcomes.iter().find_map(|outcome| match outcome {
                        Err(NotSequenced::Error(AppendError::Contradiction(_))) => None,
                        Err(NotSequenced::Error(error)) => Some(error.to_string()),
                        _ => None,
                    });
                    self.last_round.note(lost);
                    for (submission, outcome) in round.into_iter().zip(outcomes) {
                        // A client that no longer waits is not an error, because its entry is in
                        // the log.
                        drop(submission.answer.send(outcome));
                    }
                }
                Err(RoundError::Data(reason)) if round.len() > 1 => {
                    tracing::warn!(log = %self.parts.heads.tree().api, entries = round.len(), %reason, "the database refuses a round; splitting it");
                    self.parts.metrics.splits.inc();
                    let second = round.split_off(round.len() / 2);
                    pending.push(second);
                    pending.push(round);
                }
                Err(error) => {
                    let log = self.parts.heads.tree().api;
                    if let RoundError::Frozen = error {
                        let entries = round.len();
                        tracing::info!(%log, entries, "the tree is frozen; its entries move on");
                    } else {
                        tracing::warn!(%log, entries = round.len(), %error, "round failed");
                    }
                    // The next round of other entries may succeed all the same.
                    if !matches!(error, RoundError::Frozen | RoundError::Data(_)) {
                        self.last_round.note(Some(error.to_string()));
                    }
                    for submission in round {
                        drop(submission.answer.send(Err(NotSequenced::from(&error))));
                    }
                }
            }
        }
    }
}
