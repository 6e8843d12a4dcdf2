//! Full tiles, decoded, behind a cache; and the tiles that a proof needs.

use std::sync::Arc;

use futures_util::future::try_join_all;
use tlog::{FullTile, Hash, TileId, TileTree};

use super::batched::{Batched, LookUp};
use super::caches::Caches;
use crate::heads::tile_set::{HeadView, TileSet, decode_tile};
use crate::ids::TreeId;
use crate::metrics::{CacheMetric, Metrics};
use crate::store::{Store, StoreError, StoreResult};

/// Immutable full tiles of one tree. The same decoded tile serves proofs and readers of its bytes.
pub(crate) struct TileCache {
    tree: TreeId,
    caches: Arc<Caches>,
    look_ups: CacheMetric,
    stored: Batched<StoredTiles>,
}

impl TileCache {
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        tree: TreeId,
        caches: &Arc<Caches>,
        metrics: &Metrics,
    ) -> Self {
        let together = metrics.look_ups_together.with_label_values(&["tile"]);
        Self {
            tree,
            caches: Arc::clone(caches),
            look_ups: metrics.tile_cache.clone(),
            stored: Batched::new(
                StoredTiles {
                    store: Arc::clone(store),
                    tree,
                },
                together,
            ),
        }
    }

    /// Caches tiles that became full in a committed round, because their entries are read next.
    pub(crate) fn keep(&self, full_tiles: Vec<FullTile>) {
        for tile in full_tiles {
            if let Ok(tree) = TileTree::new(&tile.hashes) {
                let key = (self.tree, tile.id);
                self.caches.tiles.insert(key, Arc::new(tree));
            }
        }
    }

    /// Returns the tiles `ids` as of `head`. Full tiles come from the cache or else the database.
    pub(crate) async fn get(&self, head: HeadView<'_>, ids: &[TileId]) -> StoreResult<TileSet> {
        let mut set = head.partial_tiles(ids);
        let full = ids.iter().filter(|id| head.is_full(**id));
        let look_ups = full.map(async |&id| Ok::<_, StoreError>((id, self.full_tile(id).await?)));
        set.extend(try_join_all(look_ups).await?);
        Ok(set)
    }

    /// Returns a tile that MUST be full in the head of the request.
    pub(crate) async fn full_tile(&self, id: TileId) -> StoreResult<Arc<TileTree>> {
        if let Some(tile) = self.caches.tiles.get(&(self.tree, id)) {
            self.look_ups.hit();
            return Ok(tile);
        }
        self.look_ups.miss();
        let tile = Arc::new(decode_tile(id, &self.stored.get(id).await?)?);
        let key = (self.tree, id);
        self.caches.tiles.insert(key, Arc::clone(&tile));
        Ok(tile)
    }
}

/// Reads full tiles from the database.
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
