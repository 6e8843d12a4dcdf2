//! The sequencer: one round at a time gives indexes and makes them durable (design §4).
//!
//! A round takes all that queued while the last one committed; there is no timer in the write path.

use std::sync::Arc;
use std::time::Duration;

use tlog::Hash;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::ReadError;
use crate::heads::head::Integrated;
use crate::heads::{Core, PublishError};
use crate::store::{Commit, EntryRow, Round, StoreError, TimestampRow, Writer};
use crate::writing::append::{AppendError, NoPlace};
use crate::writing::seal::{Freshness, NewRows, Place, Sealed, integrated_time, seal};

/// Entries of one round: at 28 µs each on Postgres a round stays below 30 ms.
pub const MAX_ROUND_ENTRIES: usize = 1_024;
/// Bytes of one round.
pub const MAX_ROUND_BYTES: usize = 8 << 20;
/// Index keys of one round, each of which is a row: four times what a full round of `hashedrekord` has, and twice what the
/// server lets one entry have.
pub const MAX_ROUND_INDEX_KEYS: usize = 8_192;
/// The queue holds four rounds: what more there is waits before it.
pub const MAX_QUEUED_ENTRIES: usize = 4 * MAX_ROUND_ENTRIES;
/// Bytes that the queue holds.
pub const MAX_QUEUED_BYTES: usize = 4 * MAX_ROUND_BYTES;
/// Bytes of the entries that wait before a full queue, as many as it holds. More are told to come back at once.
pub const MAX_WAITING_BYTES: usize = MAX_QUEUED_BYTES;
/// How long an entry waits for its place in a full queue. Half of the stock clients never try again, and the one that gives up
/// first (sigstore-js) does so 5 s after it began: this leaves it two for its check, a round and the way. A queue of four rounds
/// drains in well under a second, so an entry waits longer only for a database that does not write.
pub const MAX_QUEUE_WAIT: Duration = Duration::from_secs(3);
/// What a client is told when it has waited in vain.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Signed entry timestamps stored along with a round.
const MAX_ROUND_TIMESTAMPS: usize = 4 * MAX_ROUND_ENTRIES;
/// An idle log stores its waiting signed entry timestamps after this.
const IDLE_FLUSH: Duration = Duration::from_secs(1);
/// Attempts at one round in an exclusive section, after serialization failures.
const MAX_EXCLUSIVE_ATTEMPTS: u32 = 3;

/// One entry on its way, with who waits for it.
struct Submission {
    row: Arc<EntryRow>,
    answer: oneshot::Sender<Result<Place, NoPlace>>,
    _share: QueueShare,
}

/// What an entry does that finds the queue full.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It waits for its turn, in the order in which entries came, for [`MAX_QUEUE_WAIT`].
    Waits,
    /// It is told that the log is busy.
    None,
}

/// The way into the sequencer.
pub(crate) struct Queue {
    sender: mpsc::Sender<Submission>,
    /// Free bytes of the queue. Whoever waits for some gets them in turn.
    bytes: Arc<Semaphore>,
    /// Free bytes for those that wait.
    waiting_room: Semaphore,
    core: Arc<Core>,
    stopping: CancellationToken,
}

/// A submission's share of the queue's bytes; given back when it is answered or dropped.
struct QueueShare {
    bytes: OwnedSemaphorePermit,
    core: Arc<Core>,
}

impl QueueShare {
    fn new(bytes: OwnedSemaphorePermit, core: &Arc<Core>) -> Self {
        core.metrics.queue_bytes.add(bytes.num_permits() as i64);
        core.metrics.queue_entries.inc();
        Self { bytes, core: Arc::clone(core) }
    }
}

impl Drop for QueueShare {
    fn drop(&mut self) {
        self.core.metrics.queue_bytes.sub(self.bytes.num_permits() as i64);
        self.core.metrics.queue_entries.dec();
    }
}

/// Counts an entry that waits before the queue.
struct Waiting<'a>(&'a Core, Instant);

impl<'a> Waiting<'a> {
    fn new(core: &'a Core) -> Self {
        core.metrics.queue_waiting.inc();
        Self(core, Instant::now())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.metrics.queue_waiting.dec();
        self.0.metrics.queue_wait_seconds.observe(self.1.elapsed().as_secs_f64());
    }
}

impl Queue {
    /// Hands an entry to the sequencer and waits until it is durable.
    pub(crate) async fn submit(&self, row: Arc<EntryRow>, patience: Patience) -> Result<Place, NoPlace> {
        if let Some(reason) = self.core.read_only.get() {
            return Err(AppendError::ReadOnly(reason.clone()).into());
        }
        if self.stopping.is_cancelled() {
            return Err(self.ended());
        }
        self.core.check_unpublished()?;
        let bytes = u32::try_from(row_bytes(&row)).unwrap_or(u32::MAX);
        let (permit, bytes) = match self.take_place(bytes)? {
            Some(place) => place,
            None if patience == Patience::Waits => {
                let place = self.wait_for_place(bytes).await?;
                // Witnesses may have stopped answering meanwhile.
                self.core.check_unpublished()?;
                place
            }
            None => return Err(busy()),
        };
        let (answer, answered) = oneshot::channel();
        permit.send(Submission { row, answer, _share: QueueShare::new(bytes, &self.core) });
        // The sequencer answers everything that it takes; only its end drops the sender.
        answered.await.unwrap_or_else(|_| Err(AppendError::Stopping.into()))
    }

    /// Why nothing is taken any more: the log has moved on to the next tree, or it stops.
    fn ended(&self) -> NoPlace {
        if self.core.frozen.is_cancelled() { NoPlace::Frozen } else { AppendError::Stopping.into() }
    }

    /// A place in the queue, if one is free. None are while others wait.
    fn take_place(&self, bytes: u32) -> Result<Option<QueuePlace<'_>>, NoPlace> {
        let Ok(bytes) = Arc::clone(&self.bytes).try_acquire_many_owned(bytes) else { return Ok(None) };
        match self.sender.try_reserve() {
            Ok(permit) => Ok(Some((permit, bytes))),
            Err(mpsc::error::TrySendError::Full(())) => Ok(None),
            Err(mpsc::error::TrySendError::Closed(())) => Err(self.ended()),
        }
    }

    /// Waits for a place in the queue, first come, first served.
    async fn wait_for_place(&self, bytes: u32) -> Result<QueuePlace<'_>, NoPlace> {
        let _room = self.waiting_room.try_acquire_many(bytes).map_err(|_| busy())?;
        let _waiting = Waiting::new(&self.core);
        let place = async {
            let bytes = Arc::clone(&self.bytes).acquire_many_owned(bytes).await.ok()?;
            Some((self.sender.reserve().await.ok()?, bytes))
        };
        let place = timeout(MAX_QUEUE_WAIT, self.stopping.run_until_cancelled(place)).await.map_err(|_| busy())?;
        place.flatten().ok_or_else(|| self.ended())
    }
}

/// A place in the queue and its bytes.
type QueuePlace<'a> = (mpsc::Permit<'a, Submission>, OwnedSemaphorePermit);

fn busy() -> NoPlace {
    AppendError::Busy { retry_after: RETRY_AFTER }.into()
}

/// What a row takes of the queue's and a round's bytes.
fn row_bytes(row: &EntryRow) -> usize {
    row.body.len()
        + row.index_keys.packed().len()
        + row.attestation.as_ref().map_or(0, |attestation| attestation.data.len())
}

/// The sequencer of one log.
pub(crate) struct Sequencer {
    core: Arc<Core>,
    receiver: mpsc::Receiver<Submission>,
    /// Taken from the queue, but too large for the round it was taken for.
    carried: Option<Submission>,
    /// None until the first round and after every error.
    writer: Option<Box<dyn Writer>>,
    approach: Approach,
    stopping: CancellationToken,
}

/// How a round begins.
#[derive(Clone, Copy)]
enum Approach {
    /// On the head that is known here: usual, and one statement.
    Optimistic,
    /// Under the tree's lock, because another server came first the last time: sent on the known head it would be sent twice.
    Exclusive,
}

/// A queue and the sequencer behind it. The sequencer ends once `stopping` is cancelled and the queue is empty.
pub(crate) fn sequencer(core: Arc<Core>, stopping: CancellationToken) -> (Queue, Sequencer) {
    let (sender, receiver) = mpsc::channel(MAX_QUEUED_ENTRIES);
    let queue = Queue {
        sender,
        bytes: Arc::new(Semaphore::new(MAX_QUEUED_BYTES)),
        waiting_room: Semaphore::new(MAX_WAITING_BYTES),
        core: Arc::clone(&core),
        stopping: stopping.clone(),
    };
    (queue, Sequencer { core, receiver, carried: None, writer: None, approach: Approach::Optimistic, stopping })
}

impl Sequencer {
    /// Runs rounds until it is told to stop and the queue is empty.
    pub(crate) async fn run(mut self) {
        while let Some(round) = self.next_round().await {
            let started = Instant::now();
            let entries = round.len();
            self.work(round).await;
            tracing::debug!(entries, elapsed = ?started.elapsed(), "round");
        }
        self.flush_timestamps().await;
    }

    /// Waits for a first submission, then takes all that queued, up to a round's bounds. None when it is over.
    async fn next_round(&mut self) -> Option<Vec<Submission>> {
        let first = match self.carried.take() {
            Some(carried) => carried,
            None => self.next_submission().await?,
        };
        let mut bytes = row_bytes(&first.row);
        let mut index_keys = first.row.index_keys.hashes().len();
        let mut round = vec![first];
        while round.len() < MAX_ROUND_ENTRIES {
            let Ok(submission) = self.receiver.try_recv() else { break };
            bytes += row_bytes(&submission.row);
            index_keys += submission.row.index_keys.hashes().len();
            if bytes > MAX_ROUND_BYTES || index_keys > MAX_ROUND_INDEX_KEYS {
                self.carried = Some(submission);
                break;
            }
            round.push(submission);
        }
        Some(round)
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

    /// Stores waiting timestamps outside a round. A failure leaves them waiting; they can be signed again at any time.
    async fn flush_timestamps(&mut self) {
        loop {
            let rows = self.core.timestamps.next(MAX_ROUND_TIMESTAMPS);
            if rows.is_empty() {
                return;
            }
            if let Err(error) = self.store_timestamps(&rows).await {
                tracing::warn!(%error, "signed entry timestamps are not stored yet");
                return;
            }
        }
    }

    async fn store_timestamps(&mut self, rows: &[TimestampRow]) -> Result<(), ReadError> {
        // No round's head guards them here: a database that went back would keep them for the entries that come next.
        self.core.newest_head().await?;
        if let Some(reason) = self.core.read_only.get() {
            return Err(StoreError::Unavailable(reason.clone()).into());
        }
        self.core.store.put_timestamps(self.core.tree.id, rows).await?;
        self.core.timestamps.stored(rows);
        Ok(())
    }

    /// One round; if the database refuses its data, both halves of it, until the culprit alone gets the error.
    async fn work(&mut self, round: Vec<Submission>) {
        let mut pending = vec![round];
        while let Some(mut round) = pending.pop() {
            let started = Instant::now();
            let rows: Vec<Arc<EntryRow>> = round.iter().map(|submission| Arc::clone(&submission.row)).collect();
            match self.round(&rows).await {
                Ok(places) => {
                    self.core.metrics.round_seconds.observe(started.elapsed().as_secs_f64());
                    for (submission, place) in round.into_iter().zip(places) {
                        // A client that no longer waits is not an error: its entry is in the log.
                        drop(submission.answer.send(place));
                    }
                }
                Err(RoundError::Data(reason)) if round.len() > 1 => {
                    tracing::warn!(entries = round.len(), %reason, "the database refuses a round; splitting it");
                    self.core.metrics.splits.inc();
                    let second = round.split_off(round.len() / 2);
                    pending.push(second);
                    pending.push(round);
                }
                Err(error) => {
                    match error {
                        RoundError::Frozen => {
                            tracing::info!(entries = round.len(), "the tree is frozen; its entries move on")
                        }
                        _ => tracing::warn!(entries = round.len(), %error, "round failed"),
                    }
                    for submission in round {
                        drop(submission.answer.send(Err(error.to_no_place())));
                    }
                }
            }
        }
    }

    /// The place of each row, or why it has none; an error fails all of them.
    async fn round(&mut self, rows: &[Arc<EntryRow>]) -> Result<Vec<Result<Place, NoPlace>>, RoundError> {
        if let Some(reason) = self.core.read_only.get() {
            return Err(RoundError::ReadOnly(reason.clone()));
        }
        if self.core.frozen.is_cancelled() {
            return Err(RoundError::Frozen);
        }
        let before = self.core.integrated();
        let outcome = match self.approach {
            Approach::Exclusive => self.exclusive(rows).await,
            Approach::Optimistic => match self.optimistic(rows).await {
                Ok(Some(places)) => Ok(places),
                Ok(None) => {
                    self.core.metrics.lost_races.inc();
                    self.exclusive(rows).await
                }
                Err(RoundError::Store(StoreError::Conflict(_))) => self.exclusive(rows).await,
                Err(error) => Err(error),
            },
        };
        match outcome {
            Ok(places) => Ok(places.into_iter().map(Ok).collect()),
            Err(RoundError::Store(StoreError::UnknownOutcome(reason))) => self.resolve(rows, &before, &reason).await,
            Err(RoundError::NotOurs) => Err(self.core.why_not_ours().await),
            Err(error) => Err(error),
        }
    }

    /// The sequencer's connection; it is put back after success only, because an error spends it.
    async fn take_writer(&mut self) -> Result<Box<dyn Writer>, RoundError> {
        match self.writer.take() {
            Some(writer) => Ok(writer),
            None => Ok(self.core.store.writer().await?),
        }
    }

    /// Seals against the newest integrated head and commits. None: another server was faster.
    async fn optimistic(&mut self, rows: &[Arc<EntryRow>]) -> Result<Option<Vec<Place>>, RoundError> {
        let mut writer = self.take_writer().await?;
        let base = self.core.integrated();
        let places = self.core.seal_and_commit(writer.as_mut(), &base, rows).await?;
        self.writer = Some(writer);
        Ok(places)
    }

    /// Takes the tree's lock, reads the newest head and only then seals: nobody can come between.
    async fn exclusive(&mut self, rows: &[Arc<EntryRow>]) -> Result<Vec<Place>, RoundError> {
        let mut reason = "another server's rounds come through the tree's lock".to_owned();
        for _ in 0..MAX_EXCLUSIVE_ATTEMPTS {
            let mut writer = self.take_writer().await?;
            writer.begin_exclusive(self.core.tree.id).await?;
            let known = self.core.integrated();
            let base = self.core.follow(writer.as_mut()).await?;
            self.approach = if base.size == known.size { Approach::Optimistic } else { Approach::Exclusive };
            if self.core.frozen.is_cancelled() {
                return Err(RoundError::Frozen);
            }
            match self.core.seal_and_commit(writer.as_mut(), &base, rows).await {
                Ok(places) => {
                    self.writer = Some(writer);
                    if let Some(places) = places {
                        return Ok(places);
                    }
                }
                Err(RoundError::Store(StoreError::Conflict(conflict))) => reason = conflict,
                Err(error) => return Err(error),
            }
        }
        Err(RoundError::Store(StoreError::Conflict(reason)))
    }

    /// After a commit whose outcome is unknown: under the lock (which waits for that commit's end, if it still runs) read
    /// back what is there and acknowledge it. The clients of what is not there try again; should the commit have been under way
    /// all along and arrive yet, it wins or loses against the next round as any other server's, and a retry is a duplicate. Not so if
    /// the tree is frozen: then it cannot arrive any more, and what is not there may go into the next tree.
    async fn resolve(
        &mut self,
        rows: &[Arc<EntryRow>],
        before: &Integrated,
        reason: &str,
    ) -> Result<Vec<Result<Place, NoPlace>>, RoundError> {
        tracing::warn!(reason, "the outcome of a commit is unknown; reading back");
        self.core.metrics.unknown_outcomes.inc();
        let mut writer = self.take_writer().await?;
        writer.begin_exclusive(self.core.tree.id).await?;
        let base = self.core.follow(writer.as_mut()).await?;
        let hashes: Vec<Hash> = rows.iter().map(|row| row.leaf_hash).collect();
        let found = writer.find_leaves(self.core.tree.id, &hashes, base.size).await?;
        writer.abandon().await?;
        self.writer = Some(writer);
        let absent = || match self.core.frozen.is_cancelled() {
            true => NoPlace::Frozen,
            false => AppendError::Unavailable(reason.to_owned()).into(),
        };
        let place = |row: &Arc<EntryRow>| {
            let entry = found.iter().find(|entry| entry.leaf_hash == row.leaf_hash).ok_or_else(absent)?;
            let was_there = entry.leaf_index.0 < before.size.0;
            let freshness = if was_there { Freshness::Duplicate } else { Freshness::Recovered };
            Ok(Place { leaf_index: entry.leaf_index, freshness })
        };
        Ok(rows.iter().map(place).collect())
    }
}

impl Core {
    /// Nothing of the round was stored. If that is because the tree is frozen, nothing of it ever will be, and its entries may go
    /// into the next tree.
    async fn why_not_ours(&self) -> RoundError {
        let newest = self.newest_head().await;
        if let Some(reason) = self.read_only.get() {
            return RoundError::ReadOnly(reason.clone());
        }
        match newest {
            Ok(_) if self.frozen.is_cancelled() => RoundError::Frozen,
            Ok(_) => RoundError::NotOurs,
            Err(error) => RoundError::Store(StoreError::Unavailable(error.to_string())),
        }
    }

    /// The one place where entries become part of the tree. None: nothing was stored, another head is newer.
    async fn seal_and_commit(
        &self,
        writer: &mut dyn Writer,
        base: &Arc<Integrated>,
        rows: &[Arc<EntryRow>],
    ) -> Result<Option<Vec<Place>>, RoundError> {
        // In the usual round nothing is stored yet, and the database says so with the commit.
        let mut stored = Vec::new();
        let (round, sealed) = loop {
            let local_millis = self.clock.unix_millis();
            let time = integrated_time(base, local_millis).map_err(RoundError::Ahead)?;
            let (new, sealed) = seal(base, rows, &stored, time);
            if new.entries.is_empty() {
                writer.abandon().await?;
                return Ok(Some(sealed.places));
            }
            let round = self.round_of(new, &sealed, base, local_millis);
            // Dies before or in this commit: nothing, or all of the round, is stored; nothing of it is signed.
            match writer.commit(&round).await? {
                Commit::Done => break (round, sealed),
                Commit::Duplicates(found) if stored.is_empty() && !found.is_empty() => stored = found,
                Commit::Duplicates(_) => {
                    let what = format!("table leaf: other leaves below size {} at a second look", base.size);
                    return Err(StoreError::Damaged(what).into());
                }
                Commit::LostRace => return Ok(None),
                Commit::ClockSkew(millis) => return Err(RoundError::Skew(millis)),
                Commit::NotOurs => return Err(RoundError::NotOurs),
            }
        };
        // Dies here: the round is durable and nobody knows; a client that tries again gets the stored entry.
        self.timestamps.stored(&round.timestamps);
        self.metrics.round_entries.observe(round.entries.len() as f64);
        self.metrics.appended.inc_by(round.entries.len() as u64);
        self.tiles.keep(round.full_tiles);
        let (integrated, places) = sealed.into_integrated();
        self.integrate(base, integrated, writer).await?;
        Ok(Some(places))
    }

    fn round_of(&self, new: NewRows, sealed: &Sealed, base: &Integrated, local_millis: i64) -> Round {
        Round {
            tree_id: self.tree.id,
            log_key_spki: self.log_key().spki().to_vec(),
            prev_root: base.root,
            head: sealed.head,
            entries: new.entries,
            full_tiles: new.full_tiles,
            timestamps: self.timestamps.next(MAX_ROUND_TIMESTAMPS),
            local_millis,
        }
    }
}

/// Why a round failed as a whole.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error("the database refuses the data: {0}")]
    Data(String),
    #[error(transparent)]
    Store(StoreError),
    #[error("{0}")]
    ReadOnly(String),
    #[error("the newest tree head is dated {0} s ahead of this server's clock")]
    Ahead(i64),
    #[error("this server's clock and the database's differ by {0} ms")]
    Skew(i64),
    #[error("the tree has another log key than this server")]
    NotOurs,
    #[error("the tree is frozen")]
    Frozen,
}

impl From<StoreError> for RoundError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Data(reason) => Self::Data(reason),
            other => Self::Store(other),
        }
    }
}

impl From<PublishError> for RoundError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Store(error) => Self::Store(error),
            PublishError::Signing(error) => Self::Store(StoreError::Unavailable(error.to_string())),
            PublishError::WentBack(reason) => Self::ReadOnly(reason.0),
        }
    }
}

impl RoundError {
    fn to_no_place(&self) -> NoPlace {
        NoPlace::Error(match self {
            Self::Frozen => return NoPlace::Frozen,
            Self::Data(reason) => AppendError::Refused(reason.clone()),
            Self::Store(error) => AppendError::Unavailable(error.to_string()),
            Self::ReadOnly(reason) => AppendError::ReadOnly(reason.clone()),
            Self::Ahead(_) | Self::Skew(_) => AppendError::Clock(self.to_string()),
            Self::NotOurs => AppendError::ReadOnly(self.to_string()),
        })
    }
}
