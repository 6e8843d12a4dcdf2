//! Entries of one tree: looked up together, and kept in a bounded cache once nothing about them changes any more.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tlog::{Hash, LeafIndex, TreeSize};

use crate::heads::Core;
use crate::metrics::Metrics;
use crate::reading::batched::{Gathered, LookUp};
use crate::reading::proofs::LoggedEntry;
use crate::store::{Attestation, EntryRef, Store, StoreResult, StoredEntry};
use crate::{Head, ReadError, TreeId};

/// What the cache may hold: 20,000 entries signed with a key, half as many with certificates.
const CACHED_BYTES: u64 = 24 << 20;
/// What the cache is laid out for.
const CACHED_ENTRIES: usize = 20_000;
/// What an entry takes beside its bytes: its place in the cache, and the headers of its allocations.
const OVERHEAD_BYTES: usize = 256;

/// Entries of one tree.
pub(crate) struct Entries {
    cache: Cache<LeafIndex, LoggedEntry, ByLength>,
    by_index: Gathered<ByIndex>,
    by_hash: Gathered<ByHash>,
}

#[derive(Clone)]
struct ByLength;

impl Weighter<LeafIndex, LoggedEntry> for ByLength {
    fn weight(&self, _: &LeafIndex, entry: &LoggedEntry) -> u64 {
        let timestamp = entry.signed_entry_timestamp.as_ref().map_or(0, |bytes| bytes.len());
        (OVERHEAD_BYTES + entry.body.len() + entry.kind.len() + timestamp) as u64
    }
}

impl Entries {
    pub(crate) fn new(store: &Arc<dyn Store>, tree: TreeId, metrics: &Metrics) -> Self {
        let together = |kind: &str| metrics.look_ups_together.with_label_values(&[kind]);
        Self {
            cache: Cache::with_weighter(CACHED_ENTRIES, CACHED_BYTES, ByLength),
            by_index: Gathered::new(ByIndex { store: Arc::clone(store), tree }, together("entry")),
            by_hash: Gathered::new(ByHash { store: Arc::clone(store), tree }, together("leaf_hash")),
        }
    }
}

impl Core {
    /// Entries below `head` in the order of `indexes`; others are left out.
    pub(crate) async fn entries(&self, head: &Head, indexes: &[LeafIndex]) -> Result<Vec<LoggedEntry>, ReadError> {
        let below = indexes.iter().filter(|index| index.0 < head.size.0);
        try_join_all(below.map(|index| self.entry(head, *index))).await
    }

    /// An entry that `head` covers.
    async fn entry(&self, head: &Head, index: LeafIndex) -> Result<LoggedEntry, ReadError> {
        if let Some(entry) = self.entries.cache.get(&index) {
            self.metrics.entry_cache.hit();
            return Ok(entry);
        }
        self.metrics.entry_cache.miss();
        let missing = || ReadError::Damaged(format!("table entry: leaf index {index} is missing"));
        let stored = self.entries.by_index.get((index, head.size)).await?.ok_or_else(missing)?;
        let entry = self.logged(&stored)?;
        // Kept is what never changes any more. Before its signed entry timestamp is stored, another one may be; and an attestation may
        // be erased where a policy asks, and MUST not be shown from then on. (Old entries do not say that they have one.)
        if entry.signed_entry_timestamp.is_some() && !stored.attested && stored.attestation.is_none() {
            self.entries.cache.insert(index, entry.clone());
        }
        Ok(entry)
    }

    /// A stored entry, checked: what is signed and shown MUST be what the tree holds.
    fn logged(&self, stored: &StoredEntry) -> Result<LoggedEntry, ReadError> {
        if tlog::leaf_hash(&stored.body) != stored.leaf_hash {
            let what = format!("table body: leaf index {} does not have its leaf hash", stored.leaf_index);
            return Err(ReadError::Damaged(what));
        }
        Ok(LoggedEntry {
            tree: self.tree.id,
            leaf_index: stored.leaf_index,
            leaf_hash: stored.leaf_hash,
            time: stored.time,
            kind: stored.kind.clone(),
            signed_entry_timestamp: stored.signed_entry_timestamp.as_deref().map(Arc::from),
            body: stored.body.as_slice().into(),
            attestation: self.attestation(stored),
        })
    }

    /// The attestation of a stored entry, if it is the one that was stored. The entry holds without it, so that one that is
    /// not there, or not itself any more, is no error: it is counted, and told but for those that a policy erased.
    fn attestation(&self, entry: &StoredEntry) -> Option<Attestation> {
        let reason = match &entry.attestation {
            None if !entry.attested => return None,
            None => "missing",
            Some(stored) if stored.is_erased() => "erased",
            Some(stored) if tlog::sha256(&stored.data) != stored.digest => "damaged",
            Some(stored) => return Some(stored.clone()),
        };
        self.metrics.attestations_unavailable.with_label_values(&[reason]).inc();
        if reason != "erased" {
            let (leaf_index, tree) = (entry.leaf_index.0, self.tree.id);
            tracing::error!(leaf_index, %tree, reason, "table attestation: an entry is shown without its attestation");
        }
        None
    }

    /// Where these leaf hashes are below `head`; absent ones are left out.
    pub(crate) async fn find_leaves(&self, head: &Head, leaf_hashes: &[Hash]) -> Result<Vec<EntryRef>, ReadError> {
        let places = leaf_hashes.iter().map(|hash| self.entries.by_hash.get((*hash, head.size)));
        let mut found = try_join_all(places).await?.concat();
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

/// Looks entries up by leaf index. The size is that of the head for which one is looked up: it is below it.
struct ByIndex {
    store: Arc<dyn Store>,
    tree: TreeId,
}

impl LookUp for ByIndex {
    type Key = (LeafIndex, TreeSize);
    type Answer = Option<Arc<StoredEntry>>;

    async fn look_up(&self, keys: &[Self::Key]) -> StoreResult<Vec<Self::Answer>> {
        let indexes: Vec<LeafIndex> = keys.iter().map(|(index, _)| *index).collect();
        let stored = self.store.entries(self.tree, &indexes, largest(keys)).await?;
        let stored: HashMap<LeafIndex, Arc<StoredEntry>> =
            stored.into_iter().map(|entry| (entry.leaf_index, Arc::new(entry))).collect();
        let below = |(index, size): &Self::Key| stored.get(index).filter(|_| index.0 < size.0).cloned();
        Ok(keys.iter().map(below).collect())
    }
}

/// Looks leaf indexes up by leaf hash, below the size of a head each.
struct ByHash {
    store: Arc<dyn Store>,
    tree: TreeId,
}

impl LookUp for ByHash {
    type Key = (Hash, TreeSize);
    type Answer = Vec<EntryRef>;

    async fn look_up(&self, keys: &[Self::Key]) -> StoreResult<Vec<Self::Answer>> {
        let hashes: Vec<Hash> = keys.iter().map(|(hash, _)| *hash).collect();
        let found = self.store.reader().find_leaves(self.tree, &hashes, largest(keys)).await?;
        let mut by_hash: HashMap<Hash, Vec<EntryRef>> = HashMap::new();
        for entry in found {
            by_hash.entry(entry.leaf_hash).or_default().push(entry);
        }
        let below = |(hash, size): &Self::Key| {
            let found = by_hash.get(hash).into_iter().flatten();
            found.filter(|entry| entry.leaf_index.0 < size.0).copied().collect()
        };
        Ok(keys.iter().map(below).collect())
    }
}

/// The size below which one query finds what each of its look-ups may find.
fn largest<K>(keys: &[(K, TreeSize)]) -> TreeSize {
    keys.iter().map(|(_, size)| *size).max().unwrap_or_default()
}
