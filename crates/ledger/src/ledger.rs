//! The log as the server sees it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ring::rand::SystemRandom;
use tlog::{Checkpoint, Hash, LeafIndex, NoteKey, TilePath, TreeSize};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::heads::head::Head;
use crate::ids::TreeId;
use crate::open::{Settings, find_or_create_tree};
use crate::open_error::OpenError;
use crate::reading::entry::{InclusionProof, LoggedEntry, ReadError};
use crate::reading::search::{Hits, Search};
use crate::shards::Shards;
use crate::shards::log::Log;
use crate::shards::shard::{Parts, Shard};
use crate::store::{EntryRef, TreeRow};
use crate::tasks::Fatal;
use crate::tree::Tree;
use crate::writing::append::{AppendError, Appended, NewEntry, NoPlace};
use crate::writing::queue::{BEHIND_OTHERS_PAUSE, Patience};
use crate::writing::seal::Freshness;

/// One open log. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    log: Arc<Log>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.log.ended.cancel();
    }
}

impl Ledger {
    /// Opens the log, creating its tree in an empty database, and starts the sequencer.
    pub async fn open(settings: Settings) -> Result<Self, OpenError> {
        let rng = SystemRandom::new();
        let active = find_or_create_tree(&settings, &rng).await?;
        let mut rows = settings.store.trees().await?;
        rows.retain(|row| row.name == active.name);
        // Those of before: should the log be rotated in this moment, it moves on to what came
        // after.
        let before = rows
            .iter()
            .position(|row| row.tree_id == active.tree_id)
            .unwrap_or_default();
        rows.truncate(before);
        rows.push(active);
        let parts = Parts::new(settings, &rows[before].name)?;
        let ended = CancellationToken::new();
        let opened = Log::open(parts, &rows, ended.clone()).await;
        let log = opened.inspect_err(|_| ended.cancel())?;
        let ledger = Self {
            inner: Arc::new(Inner {
                log: Arc::clone(&log),
            }),
        };
        log.note_server(&log.parts.keys.log_ids()).await?;
        let tasks = &log.parts.tasks;
        let has_ended = {
            let ended = log.ended.clone();
            move || ended.is_cancelled()
        };
        tasks.spawn(
            "what shows that this server lives",
            has_ended.clone(),
            Arc::clone(&log).show_presence(),
        );
        log.be_seen().await;
        if log.parts.store.is_shared() {
            tasks.spawn(
                "what looks for other servers",
                has_ended,
                Arc::clone(&log).look_around(),
            );
        }
        Ok(ledger)
    }

    /// The active tree.
    pub fn tree(&self) -> Arc<Tree> {
        Arc::clone(self.active().heads.tree())
    }

    /// The clock that entries are dated by.
    pub fn clock(&self) -> &dyn Clock {
        self.inner.log.parts.clock.as_ref()
    }

    /// All trees of this log as they are stored now, oldest first.
    pub async fn trees(&self) -> Result<Vec<TreeRow>, ReadError> {
        let mut trees = self.inner.log.parts.store.trees().await?;
        trees.retain(|tree| tree.name == self.tree().name);
        Ok(trees)
    }

    /// The published head of the active tree as this process knows it.
    pub fn head(&self) -> Arc<Head> {
        self.active().heads.published()
    }

    /// The published head of a tree of this log.
    pub fn head_of(&self, tree: TreeId) -> Option<Arc<Head>> {
        self.inner
            .log
            .shard_of(tree)
            .map(|shard| shard.heads.published())
    }

    /// The published heads of all shards as this process knows them.
    pub fn shards(&self) -> Shards {
        self.inner.log.shards()
    }

    /// The newest head of the active tree, with one read of the database that all waiting requests
    /// share where other servers write to it. Call it before any answer that says "absent" or "too
    /// large", and for tree heads and checkpoints.
    pub async fn newest_head(&self) -> Result<Arc<Head>, ReadError> {
        self.inner.log.newest_head().await
    }

    /// All shards, with the newest head of the active one; see [`Ledger::newest_head`].
    pub async fn newest_shards(&self) -> Result<Shards, ReadError> {
        self.inner.log.newest_head().await?;
        Ok(self.shards())
    }

    /// Waits until this server cannot go on; says why.
    pub async fn fatal(&self) -> Fatal {
        self.inner.log.parts.tasks.wait_fatal().await
    }

    fn active(&self) -> Arc<Shard> {
        Arc::clone(&self.inner.log.active().shard)
    }

    /// The shard that a head belongs to.
    fn shard_of(&self, head: &Head) -> Result<Arc<Shard>, ReadError> {
        self.shard(head.tree.id)
    }

    fn shard(&self, tree: TreeId) -> Result<Arc<Shard>, ReadError> {
        let absent = || ReadError::OutOfRange(format!("tree {tree} is not of this log"));
        self.inner.log.shard_of(tree).ok_or_else(absent)
    }

    /// Why the log is read-only, if it is.
    pub fn read_only(&self) -> Option<String> {
        self.active().heads.read_only().map(str::to_owned)
    }

    /// All tasks at work, database reachable, head loaded, its checkpoint verifies, log not
    /// read-only.
    pub async fn ready(&self) -> Result<(), String> {
        let active = self.inner.log.active();
        let heads = &active.shard.heads;
        match self.inner.log.parts.tasks.fatal() {
            Some(Fatal::LacksKey(reason)) => return Err(reason),
            Some(Fatal::TaskEnded(task)) => return Err(format!("{task} ended abnormally")),
            None if active.is_stopping() => return Err("the log is stopping".to_owned()),
            None => {}
        }
        if let Some(reason) = heads.read_only() {
            return Err(format!("the log is read-only: {reason}"));
        }
        self.inner
            .log
            .parts
            .store
            .now_millis()
            .await
            .map_err(|error| error.to_string())?;
        let head = heads.published();
        let broken = |reason: &dyn fmt::Display| {
            format!("the published checkpoint does not verify: {reason}")
        };
        let tree = heads.tree();
        for (checkpoint, origin, signer) in [
            (&head.checkpoint_v1, &tree.origin_v1, &tree.name),
            (&head.checkpoint_v2, &tree.origin_v2, &tree.origin_v2),
        ] {
            let key = NoteKey::new(signer, tree.log_key.clone()).map_err(|error| broken(&error))?;
            Checkpoint::open(checkpoint, origin, &[key]).map_err(|error| broken(&error))?;
        }
        Ok(())
    }

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
            Ok(Appended::Duplicate(_)) => self.inner.log.parts.metrics.duplicates.inc(),
            Err(error) => self
                .inner
                .log
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
        let row = Arc::new(entry.into_row());
        loop {
            let active = self.inner.log.active();
            let shard = &active.shard;
            let limit = shard.heads.tree().max_leaf_bytes;
            if row.body.len() > limit as usize {
                return Err(AppendError::LeafTooLarge {
                    got: row.body.len(),
                    limit,
                });
            }
            let place = match active.queue.submit(Arc::clone(&row), patience).await {
                Ok(place) => place,
                // It is certain that the frozen tree does not have it.
                Err(NoPlace::Frozen) => {
                    let moved = self.inner.log.move_on(shard.id()).await;
                    moved.map_err(|error| AppendError::Unavailable(error.to_string()))?;
                    continue;
                }
                Err(NoPlace::Error(AppendError::Busy { .. })) if patience.tries_again() => {
                    sleep(BEHIND_OTHERS_PAUSE).await;
                    continue;
                }
                Err(NoPlace::Error(error)) => return Err(error),
            };
            shard.heads.wait_published(place.leaf_index).await?;
            return match place.freshness {
                Freshness::New { time } => Ok(Appended::Sequenced(LoggedEntry {
                    tree: shard.id(),
                    leaf_index: place.leaf_index,
                    leaf_hash: row.leaf_hash,
                    time,
                    kind: row.kind.clone(),
                    signed_entry_timestamp: None,
                    body: row.body.as_slice().into(),
                    attestation: row.attestation.clone(),
                })),
                Freshness::Recovered => read_back(shard, place.leaf_index)
                    .await
                    .map(Appended::Sequenced),
                Freshness::Duplicate => read_back(shard, place.leaf_index)
                    .await
                    .map(Appended::Duplicate),
            };
        }
    }

    /// Entries by leaf index, in the order asked for, those at or beyond `head`'s size left out,
    /// duplicates kept.
    pub async fn entries(
        &self,
        head: &Head,
        indexes: &[LeafIndex],
    ) -> Result<Vec<LoggedEntry>, ReadError> {
        self.shard_of(head)?.reader.entries.get(head, indexes).await
    }

    /// The signed entry timestamp of an entry: the first one that was made stays. It is made when
    /// it is first asked for, on the task that asks, and stored later.
    pub fn signed_entry_timestamp(&self, entry: &LoggedEntry) -> Result<Arc<[u8]>, ReadError> {
        Ok(self.shard(entry.tree)?.timestamps.get_or_sign(entry)?)
    }

    /// The bytes of a tile or entry bundle as of `head`; none where `head` does not have all of it.
    /// Any width that the tile ever had is there.
    pub async fn tile_resource(
        &self,
        head: &Head,
        path: TilePath,
    ) -> Result<Option<Bytes>, ReadError> {
        self.shard_of(head)?.reader.tile_resource(head, path).await
    }

    /// Where these leaf hashes are below `head`; absent ones are left out.
    pub async fn find_leaves(
        &self,
        head: &Head,
        leaf_hashes: &[Hash],
    ) -> Result<Vec<EntryRef>, ReadError> {
        self.shard_of(head)?
            .reader
            .entries
            .find_leaves(head, leaf_hashes)
            .await
    }

    /// The newest entries of `shards` that `search` looks for, below the log index `below` if there
    /// is one, at most `limit` (at least 1). One bounded piece of work, in one shard:
    /// [`Hits::rest`] says where the next one begins.
    pub async fn search(
        &self,
        shards: &Shards,
        search: &Search,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Hits, ReadError> {
        let begins_below =
            |head: &&Arc<Head>| below.is_none_or(|below| head.tree.first_log_index < below);
        let mut heads = shards
            .newest_first()
            .filter(|head| head.size.0 > 0)
            .filter(begins_below);
        let Some(head) = heads.next() else {
            return Ok(Hits::default());
        };
        let mut hits = self
            .shard_of(head)?
            .reader
            .searcher
            .search(head, search, below, limit)
            .await?;
        if hits.rest.is_none() && heads.next().is_some() {
            hits.rest = Some(head.tree.first_log_index);
        }
        Ok(hits)
    }

    /// The inclusion proof of a leaf in `head`, verified before it is returned.
    pub async fn inclusion_proof(
        &self,
        head: &Arc<Head>,
        index: LeafIndex,
        leaf_hash: &Hash,
    ) -> Result<InclusionProof, ReadError> {
        self.shard_of(head)?
            .reader
            .inclusion_proof(head, index, leaf_hash)
            .await
    }

    /// The consistency proof between two sizes up to `head`. Verified before it is returned where
    /// `second` is the size of `head`; the roots of other sizes are the client's to compare.
    pub async fn consistency_proof(
        &self,
        head: &Arc<Head>,
        first: TreeSize,
        second: TreeSize,
    ) -> Result<Vec<Hash>, ReadError> {
        self.shard_of(head)?
            .reader
            .consistency_proof(head, first, second)
            .await
    }

    /// Stops taking entries, finishes the queue, stores what signed entry timestamps wait, tries
    /// once more to publish what waits for witnesses. Appends then answer `Stopping`.
    pub async fn stop(&self) {
        let log = &self.inner.log;
        log.active().stop().await;
        log.ended.cancel();
        // A server that is not deregistered here blocks a rotation until it is presumed dead.
        if let Err(error) = log
            .parts
            .store
            .forget_server(&log.parts.server.server_id)
            .await
        {
            tracing::warn!(%error, "this server cannot be forgotten");
        }
    }
}

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
