//! Entries of one tree. Look-ups share queries, and entries that cannot change any more stay in a
//! bounded cache.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;
use prometheus::IntCounterVec;
use tlog::{Hash, LeafIndex, TreeSize};

use super::batched::{Batched, LookUp};
use super::caches::Caches;
use super::entry::{LoggedEntry, ReadError};
use crate::api::HeadForm;
use crate::heads::head::Head;
use crate::ids::TreeId;
use crate::metrics::{CacheMetric, Metrics};
use crate::store::{Attestation, EntryRef, Store, StoreResult, StoredEntry};
use crate::tree::Tree;

/// Entries of one tree.
pub(crate) struct Entries {
    store: Arc<dyn Store>,
    tree: TreeId,
    heads: HeadForm,
    caches: Arc<Caches>,
    by_index: Batched<ByIndex>,
    by_hash: Batched<ByHash>,
    look_ups: CacheMetric,
    attestations_unavailable: IntCounterVec,
}

impl Entries {
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        tree: &Tree,
        caches: &Arc<Caches>,
        metrics: &Metrics,
    ) -> Self {
        let (tree, heads) = (tree.id, tree.api.heads);
        let together = |kind: &str| metrics.look_ups_together.with_label_values(&[kind]);
        Self {
            store: Arc::clone(store),
            tree,
            heads,
            caches: Arc::clone(caches),
            by_index: Batched::new(
                ByIndex {
                    store: Arc::clone(store),
                    tree,
                },
                together("entry"),
            ),
            by_hash: Batched::new(
                ByHash {
                    store: Arc::clone(store),
                    tree,
                },
                together("leaf_hash"),
            ),
            look_ups: metrics.entry_cache.clone(),
            attestations_unavailable: metrics.attestations_unavailable.clone(),
        }
    }

    /// Returns the entries at `indexes`, in their order. Indexes at or beyond the size of `head`
    /// are left out.
    pub(crate) async fn get(
        &self,
        head: &Head,
        indexes: &[LeafIndex],
    ) -> Result<Vec<LoggedEntry>, ReadError> {
        let below = indexes.iter().filter(|index| index.0 < head.size.0);
        try_join_all(below.map(|index| self.entry(head, *index))).await
    }

    /// Returns an entry that `head` covers.
    async fn entry(&self, head: &Head, index: LeafIndex) -> Result<LoggedEntry, ReadError> {
        if let Some(entry) = self.caches.entries.get(&(self.tree, index)) {
            self.look_ups.hit();
            return Ok(entry);
        }
        self.look_ups.miss();
        let missing = || ReadError::Damaged(format!("table entry: leaf index {index} is missing"));
        let stored = self
            .by_index
            .get((index, head.size))
            .await?
            .ok_or_else(missing)?;
        let Some(body) = &stored.body else {
            return self.large_entry(&stored).await;
        };
        let entry = self.logged(&stored, body)?;
        // Only an entry that cannot change any more is cached. Until a signed entry timestamp is
        // stored, where the log has them, another server may store a different one. An attestation
        // may be erased on request, and MUST NOT be shown from then on. (Old entries do not say that
        // they have one.)
        let is_signed =
            self.heads == HeadForm::Checkpoint || entry.signed_entry_timestamp.is_some();
        if is_signed && !stored.attested && stored.attestation.is_none() {
            let key = (self.tree, index);
            self.caches.entries.insert(key, entry.clone());
        }
        Ok(entry)
    }

    /// Reads the body of an entry that is too large to share a query. The entry is not cached: its
    /// room there is better used for hundreds of others.
    async fn large_entry(&self, stored: &StoredEntry) -> Result<LoggedEntry, ReadError> {
        let index = stored.leaf_index.0;
        let bodies = self.store.bodies(self.tree, index..index + 1).await?;
        // The store fails if the one that is asked for is missing.
        self.logged(stored, bodies.first().map_or(&[], Vec::as_slice))
    }

    /// Checks a stored entry: what is signed and shown MUST be what the tree holds.
    fn logged(&self, stored: &StoredEntry, body: &[u8]) -> Result<LoggedEntry, ReadError> {
        if tlog::leaf_hash(body) != stored.leaf_hash {
            let what = format!(
                "table body: leaf index {} does not have its leaf hash",
                stored.leaf_index
            );
            return Err(ReadError::Damaged(what));
        }
        Ok(LoggedEntry {
            tree: self.tree,
            leaf_index: stored.leaf_index,
            leaf_hash: stored.leaf_hash,
            time: stored.time,
            kind: stored.kind.clone(),
            signed_entry_timestamp: stored.signed_entry_timestamp.as_deref().map(Arc::from),
            body: body.into(),
            attestation: self.attestation(stored),
        })
    }

    /// Returns the attestation of a stored entry if it is undamaged.
    ///
    /// An entry is valid without its attestation, so a missing or damaged one is not an error. It
    /// is counted, and logged unless it was erased on purpose.
    fn attestation(&self, entry: &StoredEntry) -> Option<Attestation> {
        let reason = match &entry.attestation {
            None if !entry.attested => return None,
            None => "missing",
            Some(stored) if stored.is_erased() => "erased",
            Some(stored) if tlog::sha256(&stored.data) != stored.digest => "damaged",
            Some(stored) => return Some(stored.clone()),
        };
        self.attestations_unavailable
            .with_label_values(&[reason])
            .inc();
        if reason != "erased" {
            let (leaf_index, tree) = (entry.leaf_index.0, self.tree);
            tracing::error!(leaf_index, %tree, reason, "table attestation: an entry is shown without its attestation");
        }
        None
    }

    /// Finds leaf hashes below `head`. Absent ones are left out.
    pub(crate) async fn find_leaves(
        &self,
        head: &Head,
        leaf_hashes: &[Hash],
    ) -> Result<Vec<EntryRef>, ReadError> {
        let places = leaf_hashes
            .iter()
            .map(|hash| self.by_hash.get((*hash, head.size)));
        let mut found = try_join_all(places).await?.concat();
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

/// Looks up entries by leaf index. Each key has the size of the head of its request, which is
/// larger than the index.
struct ByIndex {
    store: Arc<dyn Store>,
    tree: TreeId,
}

impl LookUp for ByIndex {
    type Key = (LeafIndex, TreeSize);
    type Answer = Option<Arc<StoredEntry>>;

    async fn look_up(&self, keys: &[Self::Key]) -> StoreResult<Vec<Self::Answer>> {
        let indexes: Vec<LeafIndex> = keys.iter().map(|(index, _)| *index).collect();
        let stored = self
            .store
            .entries(self.tree, &indexes, largest(keys))
            .await?;
        let stored: HashMap<LeafIndex, Arc<StoredEntry>> = stored
            .into_iter()
            .map(|entry| (entry.leaf_index, Arc::new(entry)))
            .collect();
        let below =
            |(index, size): &Self::Key| stored.get(index).filter(|_| index.0 < size.0).cloned();
        Ok(keys.iter().map(below).collect())
    }
}

/// Looks up leaf indexes by leaf hash. Each key has the size of the head of its request.
struct ByHash {
    store: Arc<dyn Store>,
    tree: TreeId,
}

impl LookUp for ByHash {
    type Key = (Hash, TreeSize);
    type Answer = Vec<EntryRef>;

    async fn look_up(&self, keys: &[Self::Key]) -> StoreResult<Vec<Self::Answer>> {
        let hashes: Vec<Hash> = keys.iter().map(|(hash, _)| *hash).collect();
        let found = self
            .store
            .reader()
            .find_leaves(self.tree, &hashes, largest(keys))
            .await?;
        let mut by_hash: HashMap<Hash, Vec<EntryRef>> = HashMap::new();
        for entry in found {
            by_hash.entry(entry.leaf_hash).or_default().push(entry);
        }
        let below = |(hash, size): &Self::Key| {
            let found = by_hash.get(hash).into_iter().flatten();
            found
                .filter(|entry| entry.leaf_index.0 < size.0)
                .copied()
                .collect()
        };
        Ok(keys.iter().map(below).collect())
    }
}

/// Returns the largest size of a query: below it are all entries that any of its look-ups may find.
fn largest<K>(keys: &[(K, TreeSize)]) -> TreeSize {
    keys.iter().map(|(_, size)| *size).max().unwrap_or_default()
}
