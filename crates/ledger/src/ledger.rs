//! The log as the server sees it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tlog::{Checkpoint, Hash, LeafIndex, NoteKey, TilePath, TreeSize};
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
use crate::shards::shard::{LogParts, Shard};
use crate::store::{EntryRef, TreeRow};
use crate::tasks::Fatal;
use crate::tree::Tree;

mod append;

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
        let active = find_or_create_tree(&settings).await?;
        let mut rows = settings.store.trees().await?;
        rows.retain(|row| row.name == active.name);
        // Only the trees before it: if the log is rotated at this moment, it moves on to the later
        // ones by itself.
        let before = rows
            .iter()
            .position(|row| row.tree_id == active.tree_id)
            .unwrap_or_default();
        rows.truncate(before);
        rows.push(active);
        let parts = LogParts::new(settings, &rows[before].name)?;
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
            "the task that shows that this server lives",
            has_ended.clone(),
            Arc::clone(&log).show_presence(),
        );
        log.wait_for_neighbours().await;
        if log.parts.store.is_shared() {
            tasks.spawn(
                "the task that looks for other servers",
                has_ended,
                Arc::clone(&log).look_for_neighbours(),
            );
        }
        Ok(ledger)
    }

    /// Returns the active tree.
    pub fn tree(&self) -> Arc<Tree> {
        Arc::clone(self.active().heads.tree())
    }

    /// Returns the clock that entries are dated by.
    pub fn clock(&self) -> &dyn Clock {
        self.inner.log.parts.clock.as_ref()
    }

    /// Returns all trees of this log as they are stored now, oldest first.
    pub async fn trees(&self) -> Result<Vec<TreeRow>, ReadError> {
        let mut trees = self.inner.log.parts.store.trees().await?;
        trees.retain(|tree| tree.name == self.tree().name);
        Ok(trees)
    }

    /// Returns the published head of the active tree as this process knows it.
    pub fn head(&self) -> Arc<Head> {
        self.active().heads.published()
    }

    /// Returns the published head of a tree of this log.
    pub fn head_of(&self, tree: TreeId) -> Option<Arc<Head>> {
        self.inner
            .log
            .shard_of(tree)
            .map(|shard| shard.heads.published())
    }

    /// Returns the published heads of all shards as this process knows them.
    pub fn shards(&self) -> Shards {
        self.inner.log.shards()
    }

    /// Returns the newest head of the active tree, with one read of the database that all waiting
    /// requests share where other servers write to it. A log that is read-only because its database
    /// went back returns the head that it knows, without a read. Call it before any answer that
    /// says "absent" or "too large", and for tree heads and checkpoints.
    pub async fn newest_head(&self) -> Result<Arc<Head>, ReadError> {
        self.inner.log.newest_head().await
    }

    /// Returns all shards, with the newest head of the active one; see [`Ledger::newest_head`].
    pub async fn newest_shards(&self) -> Result<Shards, ReadError> {
        self.inner.log.newest_head().await?;
        Ok(self.shards())
    }

    /// Waits until this server cannot go on. Returns the reason.
    pub async fn fatal(&self) -> Fatal {
        self.inner.log.parts.tasks.wait_fatal().await
    }

    fn active(&self) -> Arc<Shard> {
        Arc::clone(&self.inner.log.active().shard)
    }

    /// Returns the shard that a head belongs to.
    fn shard_of(&self, head: &Head) -> Result<Arc<Shard>, ReadError> {
        self.shard(head.tree.id)
    }

    fn shard(&self, tree: TreeId) -> Result<Arc<Shard>, ReadError> {
        let absent = || ReadError::OutOfRange(format!("tree {tree} is not of this log"));
        self.inner.log.shard_of(tree).ok_or_else(absent)
    }

    /// Returns why the log is read-only, if it is.
    pub fn read_only(&self) -> Option<String> {
        self.active().heads.read_only().map(str::to_owned)
    }

    /// Fails with the reason if the server is not ready. It is ready while all tasks run, the
    /// database answers, the published checkpoint verifies and the log is not read-only.
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

    /// Returns entries by leaf index, in the order of `indexes`. Indexes at or beyond the size of
    /// `head` are left out; an index that is given twice is returned twice.
    pub async fn entries(
        &self,
        head: &Head,
        indexes: &[LeafIndex],
    ) -> Result<Vec<LoggedEntry>, ReadError> {
        self.shard_of(head)?.reader.entries.get(head, indexes).await
    }

    /// Returns the signed entry timestamp of an entry. The first one that was made stays. It is
    /// made in the first task that asks for it, and stored later.
    pub fn signed_entry_timestamp(&self, entry: &LoggedEntry) -> Result<Arc<[u8]>, ReadError> {
        Ok(self.shard(entry.tree)?.timestamps.get_or_sign(entry)?)
    }

    /// Returns the bytes of a tile or entry bundle as of `head`, in any width that it ever had;
    /// `None` if it reaches beyond `head`.
    pub async fn tile_resource(
        &self,
        head: &Head,
        path: TilePath,
    ) -> Result<Option<Bytes>, ReadError> {
        self.shard_of(head)?.reader.tile_resource(head, path).await
    }

    /// Returns the places of leaf hashes below `head`. Absent ones are left out.
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

    /// Returns the newest entries of `shards` that `search` looks for, below the log index `below`
    /// if there is one, at most `limit` (at least 1). A call is one bounded piece of work in one
    /// shard; [`Hits::rest`] is where the next one begins.
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

    /// Returns the inclusion proof of a leaf in `head`, which was verified.
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

    /// Returns the consistency proof between two sizes up to `head`. It was verified if `second` is
    /// the size of `head`; the client compares the roots of other sizes.
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

    /// Accepts no more entries, finishes the queue, stores the signed entry timestamps that wait,
    /// and tries once more to publish heads that wait for witnesses. Appends then fail with
    /// [`AppendError::Stopping`](crate::AppendError::Stopping).
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
            tracing::warn!(%error, "the row of this server cannot be removed");
        }
    }
}
