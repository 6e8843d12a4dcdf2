//! The caches of all trees of a process. They share their bounds, so that a ledger of many trees
//! takes no more memory than one of a single tree.

use std::sync::Arc;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tlog::{LeafIndex, TileId, TilePath, TileTree};

use super::entry::LoggedEntry;
use super::event_rows::EventRows;
use crate::ids::TreeId;

/// Decoded full tiles in the cache. Each has 16 KiB, so all together 72 MiB. That is all of a log
/// of 10^6 entries (3,922 tiles), with room for the shards of the cache to fill unevenly. Of more
/// entries the cache keeps the tiles that are read most.
const MAX_CACHED_TILES: usize = 4_608;

/// Bytes of cached entries: 20,000 entries signed with a key, half as many with certificates. No
/// entry has much more than 64 KiB, because larger ones are not cached.
const CACHED_ENTRY_BYTES: u64 = 24 << 20;
/// Number of entries that the cache is laid out for.
const CACHED_ENTRIES: usize = 20_000;
/// Bytes of a cached entry beside its content: its slot in the cache, and the headers of its
/// allocations.
const OVERHEAD_BYTES: usize = 256;

/// Bytes of cached bundles: some 50 bundles of entries with certificates.
const CACHED_BUNDLE_BYTES: u64 = 16 << 20;
/// Number of bundles that the cache is laid out for.
const CACHED_BUNDLES: usize = 128;

/// Bytes of cached pages of events: some 60,000 entries with eight search keys.
const CACHED_EVENT_BYTES: u64 = 16 << 20;
/// Number of pages of events that the cache is laid out for.
const CACHED_EVENT_PAGES: usize = 256;

/// Everything that reads of all trees keep. It is made once for a process.
///
/// A key begins with the tree. Hashing it costs a multiplication more at most than hashing the rest
/// alone.
pub(crate) struct Caches {
    /// Full tiles, decoded.
    pub(super) tiles: Cache<(TreeId, TileId), Arc<TileTree>>,
    /// Entries that cannot change any more.
    pub(super) entries: Cache<(TreeId, LeafIndex), LoggedEntry, ByLength>,
    /// Entry bundles, which never change.
    pub(super) bundles: Cache<(TreeId, TilePath), Bytes, ByLength>,
    /// Pages of events by their number in the tree. The newest one of a tree grows.
    pub(super) events: Cache<(TreeId, u64), Arc<EventRows>, ByLength>,
}

impl Caches {
    pub(crate) fn new() -> Self {
        Self {
            tiles: Cache::new(MAX_CACHED_TILES),
            entries: Cache::with_weighter(CACHED_ENTRIES, CACHED_ENTRY_BYTES, ByLength),
            bundles: Cache::with_weighter(CACHED_BUNDLES, CACHED_BUNDLE_BYTES, ByLength),
            events: Cache::with_weighter(CACHED_EVENT_PAGES, CACHED_EVENT_BYTES, ByLength),
        }
    }
}

/// Weighs what is cached by its bytes.
#[derive(Clone)]
pub(super) struct ByLength;

impl Weighter<(TreeId, LeafIndex), LoggedEntry> for ByLength {
    fn weight(&self, _: &(TreeId, LeafIndex), entry: &LoggedEntry) -> u64 {
        let timestamp = entry
            .signed_entry_timestamp
            .as_ref()
            .map_or(0, |bytes| bytes.len());
        (OVERHEAD_BYTES + entry.body.len() + entry.kind.len() + timestamp) as u64
    }
}

impl Weighter<(TreeId, u64), Arc<EventRows>> for ByLength {
    fn weight(&self, _: &(TreeId, u64), page: &Arc<EventRows>) -> u64 {
        (OVERHEAD_BYTES + page.bytes()) as u64
    }
}

impl Weighter<(TreeId, TilePath), Bytes> for ByLength {
    fn weight(&self, _: &(TreeId, TilePath), bytes: &Bytes) -> u64 {
        bytes.len() as u64
    }
}
