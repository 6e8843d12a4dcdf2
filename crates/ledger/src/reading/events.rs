//! Pages of entries without their bytes, for readers that follow a log.
//!
//! A page is all entries below one tile of level 0. Readers at the same place share it: the newest
//! page is read once for each published head, whoever needs it first, and then grows in memory. A
//! page is compared with the tree, so it has no entry that the tree does not have.

use std::sync::Arc;

use tlog::{LeafIndex, TILE_WIDTH, TileId, TilePath, TileResource};
use tokio::sync::{Mutex, Semaphore};

use super::caches::Caches;
use super::entry::ReadError;
use super::event_rows::EventRows;
use super::reader::Reader;
use crate::heads::head::Head;
use crate::ids::TreeId;
use crate::metrics::{CacheMetric, Metrics};
use crate::store::{EventRow, Store};

/// Entries of a full page.
const PAGE_ENTRIES: u64 = TILE_WIDTH as u64;

/// Pages that are read from the database at once for all readers that are behind, whatever their
/// number. One keeps a reader busy with 100,000 entries a second, and leaves the other connections to
/// other reads.
const READS_BEHIND: usize = 1;

/// Turns of readers that are behind, in all trees of a process.
pub(crate) struct TurnsBehind(Semaphore);

impl TurnsBehind {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(READS_BEHIND))
    }
}

/// Reads the pages of one tree.
pub(crate) struct EventPages {
    store: Arc<dyn Store>,
    tree: TreeId,
    caches: Arc<Caches>,
    /// Held while the newest page is read.
    newest: Mutex<()>,
    behind: Arc<TurnsBehind>,
    look_ups: CacheMetric,
}

impl EventPages {
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        tree: TreeId,
        caches: &Arc<Caches>,
        behind: &Arc<TurnsBehind>,
        metrics: &Metrics,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            tree,
            caches: Arc::clone(caches),
            newest: Mutex::default(),
            behind: Arc::clone(behind),
            look_ups: metrics.event_page_cache.clone(),
        }
    }

    /// Returns a page if the cache has the first `wanted` entries of it.
    fn cached(&self, number: u64, wanted: usize) -> Option<Arc<EventRows>> {
        let page = self.caches.events.get(&(self.tree, number));
        page.filter(|page| page.rows.len() >= wanted)
    }
}

impl Reader {
    /// Returns the entries from the leaf index `from` on to the end of its page, all below `head`,
    /// which MUST be larger than `from`.
    pub(crate) async fn events(
        &self,
        head: &Head,
        from: LeafIndex,
    ) -> Result<Vec<Arc<EventRow>>, ReadError> {
        let number = from.0 / PAGE_ENTRIES;
        let first = number * PAGE_ENTRIES;
        let wanted = (head.size.0 - first).min(PAGE_ENTRIES) as usize;
        let page = self.event_page(head, number, wanted).await?;
        let from = (from.0 - first) as usize;
        Ok(page.rows[from..wanted].to_vec())
    }

    async fn event_page(
        &self,
        head: &Head,
        number: u64,
        wanted: usize,
    ) -> Result<Arc<EventRows>, ReadError> {
        let pages = &self.event_pages;
        if let Some(page) = pages.cached(number, wanted) {
            pages.look_ups.hit();
            return Ok(page);
        }
        // Readers at the tip do not wait behind those that read older pages.
        let is_newest = (number + 1) * PAGE_ENTRIES + PAGE_ENTRIES > head.size.0;
        let (_newest, _behind);
        if is_newest {
            _newest = pages.newest.lock().await;
        } else {
            // The semaphore is never closed.
            _behind = pages.behind.0.acquire().await;
        }
        if let Some(page) = pages.cached(number, wanted) {
            pages.look_ups.hit();
            return Ok(page);
        }
        pages.look_ups.miss();
        let page = Arc::new(self.read_event_page(head, number, wanted).await?);
        let key = (pages.tree, number);
        pages.caches.events.insert(key, Arc::clone(&page));
        Ok(page)
    }

    /// Reads what the cache lacks of a page.
    async fn read_event_page(
        &self,
        head: &Head,
        number: u64,
        wanted: usize,
    ) -> Result<EventRows, ReadError> {
        let pages = &self.event_pages;
        let known = pages.caches.events.get(&(pages.tree, number));
        let mut rows = known.map_or_else(Vec::new, |page| page.rows.clone());
        let first = number * PAGE_ENTRIES;
        let lacks = first + rows.len() as u64..first + wanted as u64;
        let read = pages.store.events(pages.tree, lacks).await?;
        rows.extend(read.into_iter().map(Arc::new));
        self.compare(head, number, &rows).await?;
        Ok(EventRows { rows })
    }

    /// Fails if an entry of a page is not in the tree of `head`.
    async fn compare(
        &self,
        head: &Head,
        number: u64,
        rows: &[Arc<EventRow>],
    ) -> Result<(), ReadError> {
        let id = TileId {
            level: 0,
            index: number,
        };
        let path = TilePath {
            resource: TileResource::Tile(id),
            partial: None,
        };
        // A partial tile is a part of the head itself.
        if head.view().is_full(id) {
            self.check_tile(head, path).await?;
        }
        let tiles = self.tiles.get(head.view(), &[id]).await?;
        let mut hashes = tiles.get(id).into_iter().flat_map(|tile| tile.hashes());
        match rows.iter().find(|row| hashes.next() != Some(row.leaf_hash)) {
            None => Ok(()),
            Some(row) => Err(ReadError::Damaged(format!(
                "table entry: leaf index {} does not have the leaf hash of its tile",
                row.leaf_index
            ))),
        }
    }
}
