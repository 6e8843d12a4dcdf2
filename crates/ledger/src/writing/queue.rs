//! The queue before the sequencer: bounded in entries and in bytes, with a bounded wait before it.

use std::sync::Arc;
use std::time::Duration;

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::append_error::{AppendError, NotSequenced};
use super::rounds::{MAX_ROUND_BYTES, MAX_ROUND_ENTRIES};
use super::seal::Outcome;
use crate::heads::Heads;
use crate::metrics::Metrics;
use crate::store::{Claim, EntryRow};

/// The queue holds four rounds. Further entries wait before it.
pub const MAX_QUEUED_ENTRIES: usize = 4 * MAX_ROUND_ENTRIES;
/// Bytes that the queue holds.
pub const MAX_QUEUED_BYTES: usize = 4 * MAX_ROUND_BYTES;
/// Bytes of the entries that wait before a full queue, as many as the queue holds. Further entries
/// are refused at once.
pub const MAX_WAITING_BYTES: usize = MAX_QUEUED_BYTES;
/// How long an entry waits for its place in a full queue. Half of the stock clients never try
/// again, and the one that gives up first (sigstore-js) does so 5 s after it began: this leaves it
/// two for its check, a round and the way. A queue of four rounds drains in well under a second, so
/// an entry waits longer only for a database that does not write.
pub const MAX_QUEUE_WAIT: Duration = Duration::from_secs(3);
/// Pause of an entry that lets others go first: the sequencer works off a round in less.
pub(crate) const BEHIND_OTHERS_PAUSE: Duration = Duration::from_millis(50);
/// The time after which a client that waited in vain should try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An entry on its way, and the caller that waits for it.
pub(super) struct Submission {
    pub(super) row: Arc<EntryRow>,
    pub(super) answer: oneshot::Sender<Result<Outcome, NotSequenced>>,
    _share: QueueShare,
}

/// The behaviour of an entry that finds the queue full.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It waits for its turn, in the order in which entries came, for [`MAX_QUEUE_WAIT`].
    Waits,
    /// It lets entries that wait go first, and tries again every [`BEHIND_OTHERS_PAUSE`] until this
    /// moment. Then it fails: the log is busy.
    BehindOthers(Instant),
}

impl Patience {
    /// Whether an entry that found the queue full tries again.
    pub(crate) fn tries_again(self) -> bool {
        matches!(self, Self::BehindOthers(until) if Instant::now() < until)
    }
}

/// The way into the sequencer.
pub(crate) struct Queue {
    sender: mpsc::Sender<Submission>,
    /// Free bytes of the queue. Callers that wait for some get them in turn.
    bytes: Arc<Semaphore>,
    /// Free bytes for entries that wait before the queue.
    waiting_room: Semaphore,
    heads: Arc<Heads>,
    metrics: Metrics,
    stopping: CancellationToken,
}

/// A submission's share of the queue's bytes; given back when it is answered or dropped.
struct QueueShare {
    bytes: OwnedSemaphorePermit,
    queue_bytes: IntGauge,
    queue_entries: IntGauge,
}

impl QueueShare {
    fn new(bytes: OwnedSemaphorePermit, metrics: &Metrics) -> Self {
        let (queue_bytes, queue_entries) =
            (metrics.queue_bytes.clone(), metrics.queue_entries.clone());
        queue_bytes.add(bytes.num_permits() as i64);
        queue_entries.inc();
        Self {
            bytes,
            queue_bytes,
            queue_entries,
        }
    }
}

impl Drop for QueueShare {
    fn drop(&mut self) {
        self.queue_bytes.sub(self.bytes.num_permits() as i64);
        self.queue_entries.dec();
    }
}

/// Counts an entry that waits before the queue.
struct Waiting<'a>(&'a Metrics, Instant);

impl<'a> Waiting<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.queue_waiting.inc();
        Self(metrics, Instant::now())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.queue_waiting.dec();
        self.0
            .queue_wait_seconds
            .observe(self.1.elapsed().as_secs_f64());
    }
}

impl Queue {
    /// A queue, and the receiver of its submissions. It accepts entries until `stopping` is
    /// cancelled.
    pub(super) fn new(
        heads: Arc<Heads>,
        metrics: Metrics,
        stopping: CancellationToken,
    ) -> (Self, mpsc::Receiver<Submission>) {
        let (sender, receiver) = mpsc::channel(MAX_QUEUED_ENTRIES);
        let bytes = Arc::new(Semaphore::new(MAX_QUEUED_BYTES));
        let waiting_room = Semaphore::new(MAX_WAITING_BYTES);
        (
            Self {
                sender,
                bytes,
                waiting_room,
                heads,
                metrics,
                stopping,
            },
            receiver,
        )
    }

    /// Hands an entry to the sequencer and waits until it is durable.
    pub(crate) async fn submit(
        &self,
        row: Arc<EntryRow>,
        patience: Patience,
    ) -> Result<Outcome, NotSequenced> {
        if let Some(reason) = self.heads.halted() {
            return Err(AppendError::ReadOnly(reason.to_owned()).into());
        }
        if self.stopping.is_cancelled() {
            return Err(self.ended());
        }
        self.heads.check_unpublished()?;
        let bytes = u32::try_from(row_bytes(&row)).unwrap_or(u32::MAX);
        let (permit, bytes) = match self.take_place(bytes)? {
            Some(place) => place,
            None if patience == Patience::Waits => {
                let place = self.wait_for_place(bytes).await?;
                // Witnesses may have stopped answering meanwhile.
                self.heads.check_unpublished()?;
                place
            }
            None => return Err(busy()),
        };
        let (answer, answered) = oneshot::channel();
        permit.send(Submission {
            row,
            answer,
            _share: QueueShare::new(bytes, &self.metrics),
        });
        // The sequencer answers everything that it takes; only its end drops the sender.
        answered
            .await
            .unwrap_or_else(|_| Err(AppendError::Stopping.into()))
    }

    /// Returns why no entry is accepted any more: the log has moved on to the next tree, or it
    /// stops.
    fn ended(&self) -> NotSequenced {
        if self.heads.is_frozen() {
            NotSequenced::Frozen
        } else {
            AppendError::Stopping.into()
        }
    }

    /// Takes a place in the queue if one is free. No place is free while others wait.
    fn take_place(&self, bytes: u32) -> Result<Option<QueuePlace<'_>>, NotSequenced> {
        let Ok(bytes) = Arc::clone(&self.bytes).try_acquire_many_owned(bytes) else {
            return Ok(None);
        };
        match self.sender.try_reserve() {
            Ok(permit) => Ok(Some((permit, bytes))),
            Err(mpsc::error::TrySendError::Full(())) => Ok(None),
            Err(mpsc::error::TrySendError::Closed(())) => Err(self.ended()),
        }
    }

    /// Waits for a place in the queue, first come, first served.
    async fn wait_for_place(&self, bytes: u32) -> Result<QueuePlace<'_>, NotSequenced> {
        let _room = self
            .waiting_room
            .try_acquire_many(bytes)
            .map_err(|_| busy())?;
        let _waiting = Waiting::new(&self.metrics);
        let place = async {
            let bytes = Arc::clone(&self.bytes)
                .acquire_many_owned(bytes)
                .await
                .ok()?;
            Some((self.sender.reserve().await.ok()?, bytes))
        };
        let place = timeout(MAX_QUEUE_WAIT, self.stopping.run_until_cancelled(place))
            .await
            .map_err(|_| busy())?;
        place.flatten().ok_or_else(|| self.ended())
    }
}

/// A place in the queue, and its bytes.
type QueuePlace<'a> = (mpsc::Permit<'a, Submission>, OwnedSemaphorePermit);

fn busy() -> NotSequenced {
    AppendError::Busy {
        retry_after: RETRY_AFTER,
    }
    .into()
}

/// Returns how many bytes of the queue and of a round a row takes.
pub(super) fn row_bytes(row: &EntryRow) -> usize {
    row.body.len()
        + row.index_keys.packed().len()
        + row.claims.iter().map(claim_bytes).sum::<usize>()
        + row
            .attestation
            .as_ref()
            .map_or(0, |attestation| attestation.data.len())
}

fn claim_bytes(claim: &Claim) -> usize {
    claim.name.len() + claim.values.values().map(Vec::len).sum::<usize>()
}
