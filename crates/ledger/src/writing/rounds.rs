//! Rounds: sealing entries against the newest head and committing them.

use std::sync::Arc;

use tlog::Hash;

use super::append_error::{AppendError, NotSequenced};
use super::claims::Judged;
use super::dating::{Date, Dating};
use super::round_error::RoundError;
use super::seal::{Freshness, NewRows, Outcome, Sealed, seal};
use crate::heads::Heads;
use crate::heads::head::Integrated;
use crate::metrics::Metrics;
use crate::reading::reader::Reader;
use crate::store::{
    Claimant, Commit, EntryRow, NewClaims, Round, Store, StoreError, TreeLock, Writer,
};
use crate::timestamps::Timestamps;

/// Entries of one round: at 28 µs each on Postgres a round stays below 30 ms.
pub const MAX_ROUND_ENTRIES: usize = 1_024;
/// Bytes of one round.
pub const MAX_ROUND_BYTES: usize = 8 << 20;
/// Index keys of one round, each of which is a row: four times as many as a full round of
/// `hashedrekord` has, and as many as the largest entry that the server accepts has.
pub const MAX_ROUND_INDEX_KEYS: usize = 8_192;
/// Signed entry timestamps stored along with a round.
pub(super) const MAX_ROUND_TIMESTAMPS: usize = 4 * MAX_ROUND_ENTRIES;
/// Attempts at one round in an exclusive section. One fails on a serialization failure, or if
/// another head is newer all the same.
const MAX_EXCLUSIVE_ATTEMPTS: u32 = 3;

/// The outcome of each row of a round, or why it has no leaf index.
type Outcomes = Vec<Result<Outcome, NotSequenced>>;

/// The parts of one tree that rounds work with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct TreeParts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) dating: Arc<Dating>,
    pub(crate) metrics: Metrics,
    pub(crate) heads: Arc<Heads>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) timestamps: Arc<Timestamps>,
}

/// Commits the rounds of one tree.
pub(super) struct Rounds {
    parts: TreeParts,
    /// `None` until the first round and after every error.
    writer: Option<Box<dyn Writer>>,
    /// Whether the next round begins by taking the tree's lock. Usually it does not: it is one
    /// statement on the head that is known here. It does after a round that found another server's
    /// head first: sent on the known head, it would be sent twice.
    next: TreeLock,
}

impl Rounds {
    pub(super) fn new(parts: TreeParts) -> Self {
        Self {
            parts,
            writer: None,
            next: TreeLock::Free,
        }
    }

    /// Commits one round. Returns the outcome of each row, or why it has no leaf index; an error fails
    /// all rows.
    pub(super) async fn commit(&mut self, rows: &[Arc<EntryRow>]) -> Result<Outcomes, RoundError> {
        if let Some(reason) = self.parts.heads.halted() {
            return Err(RoundError::ReadOnly(reason.to_owned()));
        }
        if self.parts.heads.is_frozen() {
            return Err(RoundError::Frozen);
        }
        let before = self.parts.heads.integrated();
        let outcome = match self.next {
            TreeLock::Held => self.exclusive(rows).await,
            TreeLock::Free => match self.optimistic(rows).await {
                Ok(Some(outcomes)) => Ok(outcomes),
                Ok(None) => {
                    self.parts.metrics.lost_races.inc();
                    self.exclusive(rows).await
                }
                Err(RoundError::Store(StoreError::Conflict(_))) => self.exclusive(rows).await,
                Err(error) => Err(error),
            },
        };
        match outcome {
            Ok(outcomes) => Ok(outcomes),
            Err(RoundError::Store(StoreError::UnknownOutcome(reason))) => {
                self.resolve(rows, &before, &reason).await
            }
            Err(RoundError::NotOurs) => Err(self.parts.why_not_ours().await),
            Err(error) => Err(error),
        }
    }

    /// Takes the sequencer's connection. It is put back only after success, because an error spends
    /// it.
    async fn take_writer(&mut self) -> Result<Box<dyn Writer>, RoundError> {
        match self.writer.take() {
            Some(writer) => Ok(writer),
            None => Ok(self.parts.store.writer().await?),
        }
    }

    /// Seals against the newest integrated head and commits. Returns `None` if another server was
    /// faster.
    async fn optimistic(&mut self, rows: &[Arc<EntryRow>]) -> Result<Option<Outcomes>, RoundError> {
        let mut writer = self.take_writer().await?;
        let base = self.parts.heads.integrated();
        let outcomes = self
            .parts
            .seal_and_commit(writer.as_mut(), &base, rows)
            .await?;
        self.writer = Some(writer);
        Ok(outcomes)
    }

    /// Takes the tree's lock, reads the newest head and only then seals, so that no other round can
    /// come between.
    async fn exclusive(&mut self, rows: &[Arc<EntryRow>]) -> Result<Outcomes, RoundError> {
        let mut reason = "another server's rounds come through the tree's lock".to_owned();
        for _ in 0..MAX_EXCLUSIVE_ATTEMPTS {
            let mut writer = self.take_writer().await?;
            writer.begin_exclusive(self.parts.heads.tree().id).await?;
            let known = self.parts.heads.integrated();
            let base = self.parts.heads.follow(writer.as_mut()).await?;
            self.next = if base.size == known.size {
                TreeLock::Free
            } else {
                TreeLock::Held
            };
            if self.parts.heads.is_frozen() {
                return Err(RoundError::Frozen);
            }
            match self
                .parts
                .seal_and_commit(writer.as_mut(), &base, rows)
                .await
            {
                Ok(outcomes) => {
                    self.writer = Some(writer);
                    if let Some(outcomes) = outcomes {
                        return Ok(outcomes);
                    }
                }
                Err(RoundError::Store(StoreError::Conflict(conflict))) => reason = conflict,
                Err(error) => return Err(error),
            }
        }
        Err(RoundError::Store(StoreError::Conflict(reason)))
    }

    /// Resolves a commit whose outcome is unknown. It takes the lock, which waits until that commit
    /// has ended if it still runs, and reads back which entries are stored. Those are acknowledged.
    ///
    /// The clients of the other entries try again. Should the commit still arrive, it wins or loses
    /// against the next round as a round of any other server does, and a retry is a duplicate. In a
    /// frozen tree it cannot arrive any more, so the other entries may go into the next tree.
    async fn resolve(
        &mut self,
        rows: &[Arc<EntryRow>],
        before: &Integrated,
        reason: &str,
    ) -> Result<Outcomes, RoundError> {
        tracing::warn!(
            log = %self.parts.heads.tree().api,
            reason,
            "the outcome of a commit is unknown; reading back"
        );
        self.parts.metrics.unknown_outcomes.inc();
        let mut writer = self.take_writer().await?;
        writer.begin_exclusive(self.parts.heads.tree().id).await?;
        let base = self.parts.heads.follow(writer.as_mut()).await?;
        let hashes: Vec<Hash> = rows.iter().map(|row| row.leaf_hash).collect();
        let found = writer
            .find_leaves(self.parts.heads.tree().id, &hashes, base.size)
            .await?;
        writer.abandon().await?;
        self.writer = Some(writer);
        let absent = || match self.parts.heads.is_frozen() {
            true => NotSequenced::Frozen,
            false => AppendError::Unavailable(reason.to_owned()).into(),
        };
        let outcome_of = |row: &Arc<EntryRow>| {
            let entry = found
                .iter()
                .find(|entry| entry.leaf_hash == row.leaf_hash)
                .ok_or_else(absent)?;
            let was_there = entry.leaf_index.0 < before.size.0;
            let freshness = if was_there {
                Freshness::Duplicate
            } else {
                Freshness::Recovered
            };
            Ok(Outcome {
                leaf_index: entry.leaf_index,
                freshness,
            })
        };
        Ok(rows.iter().map(outcome_of).collect())
    }
}

impl TreeParts {
    /// Finds out why the database refused a round as not ours. If the tree is frozen, the round can
    /// never be stored, so its entries may go into the next tree.
    async fn why_not_ours(&self) -> RoundError {
        let newest = self.heads.newest_head().await;
        if let Some(reason) = self.heads.halted() {
            return RoundError::ReadOnly(reason.to_owned());
        }
        match newest {
            Ok(_) if self.heads.is_frozen() => RoundError::Frozen,
            Ok(_) => RoundError::NotOurs,
            Err(error) => RoundError::Store(StoreError::Unavailable(error.to_string())),
        }
    }

    /// Makes entries part of the tree, but for those that contradict earlier ones; no other function
    /// does. Returns `None`, with nothing stored, if another head is newer.
    async fn seal_and_commit(
        &self,
        writer: &mut dyn Writer,
        base: &Arc<Integrated>,
        rows: &[Arc<EntryRow>],
    ) -> Result<Option<Outcomes>, RoundError> {
        let judged = self.judge(writer, base, rows).await?;
        let Some(outcomes) = self.commit(writer, base, &judged).await? else {
            return Ok(None);
        };
        let tree = self.heads.tree();
        let place = |outcome: Outcome, leaf_hash| Claimant {
            tree: tree.id,
            leaf_index: outcome.leaf_index,
            log_index: tree.first_log_index + outcome.leaf_index.0,
            leaf_hash,
        };
        let (outcomes, tolerated) = judged.answers(outcomes, place);
        for contradictions in &tolerated {
            self.report(contradictions);
        }
        Ok(Some(outcomes))
    }

    /// Seals and commits the rows that were not refused.
    async fn commit(
        &self,
        writer: &mut dyn Writer,
        base: &Arc<Integrated>,
        judged: &Judged<'_>,
    ) -> Result<Option<Vec<Outcome>>, RoundError> {
        let rows = judged.rows.as_ref();
        // In the usual round nothing is stored yet, and the database says so with the commit.
        let mut stored = Vec::new();
        let mut clocks_differed = false;
        let (round, sealed) = loop {
            let date = self.dating.date(base, self.heads.tree().api.name)?;
            let (new, sealed) = seal(base, rows, &stored, date.time);
            if new.entries.is_empty() {
                writer.abandon().await?;
                return Ok(Some(sealed.outcomes));
            }
            let mut round = self.round_of(new, &sealed, base, date);
            round.claims = judged.new_claims(base.size, &round.entries);
            // Dies here: nothing of the round is stored, or all of it. Nothing of it is signed.
            match writer.commit(&round).await? {
                Commit::Done => break (round, sealed),
                Commit::Duplicates(found) if stored.is_empty() && !found.is_empty() => {
                    stored = found
                }
                Commit::Duplicates(_) => {
                    let what = format!(
                        "table leaf: other leaves below size {} at a second look",
                        base.size
                    );
                    return Err(StoreError::Damaged(what).into());
                }
                Commit::LostRace => return Ok(None),
                // A clock that was just set, or a round that was long under way: read it anew.
                Commit::ClockSkew(_) if !clocks_differed => clocks_differed = true,
                Commit::ClockSkew(millis) => return Err(RoundError::of_skew(millis)),
                Commit::NotOurs => return Err(RoundError::NotOurs),
            }
        };
        // Dies here: the round is durable, but no client has an answer. A client that tries again
        // gets the stored entry.
        self.timestamps.mark_stored(&round.timestamps);
        self.metrics
            .round_entries
            .observe(round.entries.len() as f64);
        self.metrics.appended.inc_by(round.entries.len() as u64);
        self.reader.tiles.keep(round.full_tiles);
        let (integrated, outcomes) = sealed.into_integrated();
        self.heads.integrate(base, integrated, writer).await?;
        Ok(Some(outcomes))
    }

    fn round_of(&self, new: NewRows, sealed: &Sealed, base: &Integrated, date: Date) -> Round {
        Round {
            tree_id: self.heads.tree().id,
            log_key_spki: self.heads.tree().log_key.spki().to_vec(),
            prev_root: base.root,
            head: sealed.head,
            entries: new.entries,
            full_tiles: new.full_tiles,
            timestamps: self.timestamps.next_rows(MAX_ROUND_TIMESTAMPS),
            claims: NewClaims::default(),
            local_millis: date.local_millis,
            read_at: date.read_at,
        }
    }
}
