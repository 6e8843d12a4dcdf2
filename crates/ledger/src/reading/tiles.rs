//! Full tiles, decoded, behind a bounded cache; and the tiles that a proof needs.

use std::sync::Arc;

use futures_util::future::try_join_all;
use quick_cache::sync::Cache;
use tlog::{FullTile, Hash, TILE_WIDTH, TileId, TileTree, TileWidthError, Tiles};

use crate::TreeId;
use crate::heads::Core;
use crate::heads::head::HeadView;
use crate::metrics::Metrics;
use crate::reading::batched::{Gathered, LookUp};
use crate::store::{Read, Store, StoreError, StoreResult};

/// Decoded full tiles kept: 16 KiB each, so 72 MiB. All of a log of 10^6 entries (3,922), with room for the shards of the cache
/// to fill unevenly; of a larger one what is read most.
const MAX_CACHED_TILES: usize = 4_608;

/// The tiles of one proof: so few that a walk finds one sooner than a hash of its name.
#[derive(Default)]
pub(crate) struct TileSet(Vec<(TileId, Arc<TileTree>)>);

impl TileSet {
    /// The tile, if it is there.
    pub(crate) fn get(&self, id: TileId) -> Option<&Arc<TileTree>> {
        self.0.iter().find(|(of, _)| *of == id).map(|(_, tile)| tile)
    }
}

impl Tiles for TileSet {
    fn tile(&self, id: TileId) -> Option<&TileTree> {
        self.get(id).map(Arc::as_ref)
    }
}

impl FromIterator<(TileId, Arc<TileTree>)> for TileSet {
    fn from_iter<I: IntoIterator<Item = (TileId, Arc<TileTree>)>>(tiles: I) -> Self {
        Self(tiles.into_iter().collect())
    }
}

/// Immutable full tiles of one tree. The same tile serves proofs, by look-up, and readers of its bytes.
pub(crate) struct TileCache {
    tiles: Cache<TileId, Arc<TileTree>>,
    stored: Gathered<StoredTiles>,
}

impl TileCache {
    pub(crate) fn new(store: &Arc<dyn Store>, tree: TreeId, metrics: &Metrics) -> Self {
        let together = metrics.look_ups_together.with_label_values(&["tile"]);
        Self {
            tiles: Cache::new(MAX_CACHED_TILES),
            stored: Gathered::new(StoredTiles { store: Arc::clone(store), tree }, together),
        }
    }

    /// Keeps tiles that became full in a committed round: their entries are read next.
    pub(crate) fn keep(&self, full_tiles: Vec<FullTile>) {
        for tile in full_tiles {
            if let Ok(tree) = TileTree::new(&tile.hashes) {
                self.tiles.insert(tile.id, Arc::new(tree));
            }
        }
    }
}

impl Core {
    /// The tiles `ids` as of `head`: its partial ones, and full ones from the cache or else the database.
    pub(crate) async fn tiles(&self, head: HeadView<'_>, ids: &[TileId]) -> StoreResult<TileSet> {
        let mut set = partial_tiles(head, ids);
        let full = ids.iter().filter(|id| is_full(**id, head));
        let full = full.map(async |&id| Ok::<_, StoreError>((id, self.full_tile(id).await?)));
        set.0.extend(try_join_all(full).await?);
        Ok(set)
    }

    /// A tile that is full in the head of this request.
    pub(crate) async fn full_tile(&self, id: TileId) -> StoreResult<Arc<TileTree>> {
        if let Some(tile) = self.tiles.tiles.get(&id) {
            self.metrics.tile_cache.hit();
            return Ok(tile);
        }
        self.metrics.tile_cache.miss();
        let tile = Arc::new(decoded(id, &self.tiles.stored.get(id).await?)?);
        self.tiles.tiles.insert(id, Arc::clone(&tile));
        Ok(tile)
    }
}

/// Looks full tiles up.
struct StoredTiles {
    store: Arc<dyn Store>,
    tree: TreeId,
}

impl LookUp for StoredTiles {
    type Key = TileId;
    type Answer = Vec<Hash>;

    async fn look_up(&self, ids: &[TileId]) -> StoreResult<Vec<Vec<Hash>>> {
        self.store.reader().full_tiles(self.tree, ids).await
    }
}

/// The tiles `ids` as of `head`, the full ones fresh from the database, for judging what the database holds now.
pub(crate) async fn fresh_tiles(
    read: &mut dyn Read,
    tree: TreeId,
    head: HeadView<'_>,
    ids: &[TileId],
) -> StoreResult<TileSet> {
    let mut set = partial_tiles(head, ids);
    let full: Vec<TileId> = ids.iter().copied().filter(|id| is_full(*id, head)).collect();
    set.0.extend(read_full(read, tree, &full).await?);
    Ok(set)
}

fn is_full(id: TileId, head: HeadView<'_>) -> bool {
    id.width_at(head.size) == TILE_WIDTH
}

fn partial_tiles(head: HeadView<'_>, ids: &[TileId]) -> TileSet {
    ids.iter().filter_map(|id| Some((*id, Arc::clone(head.edge_tiles.get(*id)?)))).collect()
}

async fn read_full(read: &mut dyn Read, tree: TreeId, ids: &[TileId]) -> StoreResult<Vec<(TileId, Arc<TileTree>)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let stored = read.full_tiles(tree, ids).await?;
    ids.iter().zip(stored).map(|(&id, hashes)| Ok((id, Arc::new(decoded(id, &hashes)?)))).collect()
}

fn decoded(id: TileId, hashes: &[Hash]) -> StoreResult<TileTree> {
    let damaged = |error: TileWidthError| {
        StoreError::Damaged(format!("table tile: level {} index {}: {error}", id.level, id.index))
    };
    TileTree::new(hashes).map_err(damaged)
}
