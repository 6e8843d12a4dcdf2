//! Pages of entries without their bytes, for readers that follow a log.
//!
//! A page is all entries below one tile of level 0. Readers at the same place share it: the newest
//! page is read once for each published head, whoever needs it first, and then grows in memory. A
//! page is compared with the tree, so it has no entry that the tree does not have.
//!
//! A page of entries with very many search keys is read in pieces, of which the last one that was
//! wanted is kept. So neither a read nor a page in memory is larger than a few MiB.

use std::ops::Range;
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

    /// Returns the cached piece of a page if it answers for this range.
    fn cached(&self, number: u64, wanted: &Range<u64>) -> Option<Arc<EventRows>> {
        let page = self.caches.events.get(&(self.tree, number));
        page.filter(|page| page.answers(wanted))
    }
}

impl Reader {
    /// Returns entries from the leaf index `from` on: one at least, and none behind the end of its
    /// page or of `head`, which MUST be larger than `from`.
    pub(crate) async fn events(
        &self,
        head: &Head,
        from: LeafIndex,
    ) -> Result<Vec<Arc<EventRow>>, ReadError> {
        let number = from.0 / PAGE_ENTRIES;
        let wanted = from.0..head.size.0.min((number + 1) * PAGE_ENTRIES);
        let page = self.event_page(head, number, &wanted).await?;
        Ok(page.of(&wanted))
    }

    async fn event_page(
        &self,
        head: &Head,
        number: u64,
        wanted: &Range<u64>,
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

    /// Reads what the cache lacks of a page, from its beginning on unless that is too much.
    async fn read_event_page(
        &self,
        head: &Head,
        number: u64,
        wanted: &Range<u64>,
    ) -> Result<EventRows, ReadError> {
        let pages = &self.event_pages;
        let none = |first| EventRows {
            first,
            rows: Vec::new(),
        };
        let mut page = match pages.caches.events.get(&(pages.tree, number)) {
            Some(known) if known.leads_to(wanted) => EventRows {
                first: known.first,
                rows: known.rows.clone(),
            },
            Some(_) => none(wanted.start),
            None => none(number * PAGE_ENTRIES),
        };
        loop {
            let read = pages.store.events(pages.tree, page.end()..wanted.end);
            let read = read.await?;
            page.rows.extend(read.into_iter().map(Arc::new));
            if page.end() > wanted.start {
                break;
            }
            page = none(wanted.start);
        }
        self.compare(head, number, &page).await?;
        Ok(page)
    }

    /// Fails if an entry of a page is not in the tree of `head`.
    async fn compare(&self, head: &Head, number: u64, page: &EventRows) -> Result<(), ReadError> {
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
        let hashes = tiles.get(id).into_iter().flat_map(|tile| tile.hashes());
        let mut hashes = hashes.skip((page.first - number * PAGE_ENTRIES) as usize);
        match page
            .rows
            .iter()
            .find(|row| hashes.next() != Some(row.leaf_hash))
        {
            None => Ok(()),
            Some(row) => Err(ReadError::Damaged(format!(
                "table entry: leaf index {} does not have the leaf hash of its tile",
                row.leaf_index
            ))),
        }
    }
}
