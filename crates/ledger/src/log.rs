//! A log as the server sees it.

use std::sync::Arc;

use bytes::Bytes;
use tlog::{Hash, LeafIndex, TilePath, TreeSize};

use crate::api::Api;
use crate::clock::ClockFault;
use crate::heads::head::Head;
use crate::ids::TreeId;
use crate::reading::entry::{InclusionProof, LoggedEntry, ReadError};
use crate::reading::search::{Hits, Search};
use crate::shards::Shards;
use crate::shards::open_log::OpenLog;
use crate::shards::shard::Shard;
use crate::store::{EntryRef, StoreError};
use crate::tree::Tree;

mod append;
mod events;
pub(crate) mod rows;

/// A log is quiet if its newest entry is older than this.
const QUIET_SECONDS: i64 = 2;

/// One open log of a ledger. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    pub(crate) open: Arc<OpenLog>,
}

impl Log {
    /// Returns the API by which the log takes entries.
    pub fn api(&self) -> &'static Api {
        self.open.parts.api
    }

    /// Returns the active tree.
    pub fn tree(&self) -> Arc<Tree> {
        Arc::clone(self.active().heads.tree())
    }

    /// Returns the published head of the active tree as this process knows it.
    pub fn head(&self) -> Arc<Head> {
        self.active().heads.published()
    }

    /// Returns the published head of a tree of this log.
    pub fn head_of(&self, tree: TreeId) -> Option<Arc<Head>> {
        self.open
            .shard_of(tree)
            .map(|shard| shard.heads.published())
    }

    /// Returns the published heads of all shards as this process knows them.
    pub fn shards(&self) -> Shards {
        self.open.shards()
    }

    /// Returns the newest heads of all shards, to be shown as tree heads and checkpoints. Where other
    /// servers write to the database it is asked, with one read that all waiting requests share. A
    /// log that is read-only because its database went back returns the heads that it knows.
    ///
    /// An answer that says "absent" or "too large" needs [`Log::newest_shards`].
    pub async fn newest_heads(&self) -> Result<Shards, ReadError> {
        self.open.newest_heads().await
    }

    /// Returns the newest head of the active tree; see [`Log::newest_heads`].
    pub async fn newest_head(&self) -> Result<Arc<Head>, ReadError> {
        let shards = self.newest_heads().await?;
        Ok(Arc::clone(shards.active()))
    }

    /// Returns all shards with the newest heads that the database had at some moment after this call
    /// began. It is asked each time, with one read that all waiting requests share. Call it before
    /// any answer that says "absent" or "too large", that is empty, or that may lack a part.
    ///
    /// # Errors
    ///
    /// [`ReadError::WentBack`] if the log is read-only because its database went back: an entry that
    /// is not found may have been acknowledged.
    pub async fn newest_shards(&self) -> Result<Shards, ReadError> {
        self.open.newest_shards().await
    }

    fn active(&self) -> Arc<Shard> {
        Arc::clone(&self.open.active().shard)
    }

    /// Returns the shard that a head belongs to.
    fn shard_of(&self, head: &Head) -> Result<Arc<Shard>, ReadError> {
        self.shard(head.tree.id)
    }

    fn shard(&self, tree: TreeId) -> Result<Arc<Shard>, ReadError> {
        let absent = || ReadError::OutOfRange(format!("tree {tree} is not of this log"));
        self.open.shard_of(tree).ok_or_else(absent)
    }

    /// Returns why the log is read-only, if its database went back.
    pub fn halted(&self) -> Option<String> {
        self.active().heads.halted().map(str::to_owned)
    }

    /// Returns why no entry can be dated now, if so.
    pub fn clock_fault(&self) -> Option<ClockFault> {
        let integrated = self.active().heads.integrated();
        let dating = &self.open.parts.shared.dating;
        dating.date(&integrated, self.api().name).err()
    }

    /// Returns entries by leaf index, in the order of `indexes`. Indexes at or beyond the size of
    /// `head` are left out; an index that is given twice is returned twice.
    pub async fn entries(
        &self,
        head: &Head,
        indexes: &[LeafIndex],
    ) -> Result<Vec<LoggedEntry>, ReadError> {
        let reader = &self.shard_of(head)?.reader;
        self.judged(reader.entries.get(head, indexes).await).await
    }

    /// Returns the signed entry timestamp of an entry. The first one that was made stays. It is
    /// made in the first task that asks for it, and stored later.
    pub fn signed_entry_timestamp(&self, entry: &LoggedEntry) -> Result<Arc<[u8]>, ReadError> {
        Ok(self.shard(entry.tree)?.timestamps.get_or_sign(entry)?)
    }

    /// Returns the COSE receipt (RFC 9942) of an entry, which holds its proof in `head`. The head's
    /// signature is made by the first call.
    pub async fn receipt(
        &self,
        head: &Arc<Head>,
        index: LeafIndex,
        leaf_hash: &Hash,
    ) -> Result<Vec<u8>, ReadError> {
        let proof = self.inclusion_proof(head, index, leaf_hash).await?;
        let heads = &self.shard_of(head)?.heads;
        Ok(heads.receipt(&proof.head, index, &proof.hashes)?)
    }

    /// Returns the bytes of a tile or entry bundle as of `head`, in any width that it ever had;
    /// `None` if it reaches beyond `head`.
    pub async fn tile_resource(
        &self,
        head: &Head,
        path: TilePath,
    ) -> Result<Option<Bytes>, ReadError> {
        let reader = &self.shard_of(head)?.reader;
        let bytes = self.judged(reader.tile_resource(head, path).await).await?;
        if bytes.is_some() && self.open.halted().is_some() {
            // The database may have another history by now, with other tiles at these places.
            self.judged(reader.check_tile(head, path).await).await?;
        }
        Ok(bytes)
    }

    /// Returns the places of leaf hashes below `head`. Absent ones are left out.
    pub async fn find_leaves(
        &self,
        head: &Head,
        leaf_hashes: &[Hash],
    ) -> Result<Vec<EntryRef>, ReadError> {
        let entries = &self.shard_of(head)?.reader.entries;
        let found = entries.find_leaves(head, leaf_hashes).await;
        self.judged(found).await
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
        let searcher = &self.shard_of(head)?.reader.searcher;
        let found = searcher.search(head, search, below, limit).await;
        let mut hits = self.judged(found).await?;
        if hits.rest.is_none() && heads.next().is_some() {
            hits.rest = Some(head.tree.first_log_index);
        }
        Ok(hits)
    }

    /// Searches as [`Log::search`] does, in the newest shards, and returns them; see
    /// [`Log::newest_shards`].
    ///
    /// While the log is quiet it searches in the known shards meanwhile, which are most likely the
    /// newest. While it takes entries, that work would often be for nothing.
    pub async fn search_newest(
        &self,
        search: &Search,
        below: Option<u64>,
        limit: u32,
    ) -> Result<(Shards, Hits), ReadError> {
        let known = self.shards();
        let newest = if self.is_quiet(known.active()) {
            let in_known = self.search(&known, search, below, limit);
            let (hits, newest) = tokio::join!(in_known, self.newest_shards());
            let newest = newest?;
            if newest.is_same(&known) {
                return Ok((newest, hits?));
            }
            newest
        } else {
            self.newest_shards().await?
        };
        let hits = self.search(&newest, search, below, limit).await?;
        Ok((newest, hits))
    }

    /// Returns whether the newest entry is some seconds old.
    fn is_quiet(&self, head: &Head) -> bool {
        let now_millis = self.open.parts.shared.clock.unix_millis();
        now_millis.div_euclid(1_000) - head.time > QUIET_SECONDS
    }

    /// Returns the inclusion proof of a leaf in `head`, which was verified.
    pub async fn inclusion_proof(
        &self,
        head: &Arc<Head>,
        index: LeafIndex,
        leaf_hash: &Hash,
    ) -> Result<InclusionProof, ReadError> {
        let reader = &self.shard_of(head)?.reader;
        let proof = reader.inclusion_proof(head, index, leaf_hash).await;
        self.judged(proof).await
    }

    /// Returns the consistency proof between two sizes up to `head`. It was verified if `second` is
    /// the size of `head`; the client compares the roots of other sizes.
    pub async fn consistency_proof(
        &self,
        head: &Arc<Head>,
        first: TreeSize,
        second: TreeSize,
    ) -> Result<Vec<Hash>, ReadError> {
        let reader = &self.shard_of(head)?.reader;
        let proof = reader.consistency_proof(head, first, second).await;
        let proof = self.judged(proof).await?;
        if second < head.size && self.open.halted().is_some() {
            // The database may have another history by now, so both roots are proved in the head.
            for size in [first, second] {
                let proved = reader.consistency_proof(head, size, head.size).await;
                self.judged(proved).await?;
            }
        }
        Ok(proof)
    }

    /// Returns the outcome of a read of stored data. Rows that are missing or do not fit are damage,
    /// unless the database went back: it may have done so a moment ago, so it is asked.
    async fn judged<T>(&self, outcome: Result<T, ReadError>) -> Result<T, ReadError> {
        let is_damage = matches!(
            outcome,
            Err(ReadError::Damaged(_) | ReadError::Store(StoreError::Damaged(_)))
        );
        if is_damage && let Err(went_back @ ReadError::WentBack(_)) = self.newest_shards().await {
            return Err(went_back);
        }
        outcome
    }
}
