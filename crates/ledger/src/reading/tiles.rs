//! Full tiles, decoded, behind a bounded cache; and the tiles that a proof needs.

use std::sync::Arc;

use futures_util::future::try_join_all;
use quick_cache::sync::Cache;
use tlog::{FullTile, Hash, TileId, TileTree};

use super::batched::{Batched, LookUp};
use crate::heads::tile_set::{HeadView, TileSet, decode_tile};
use crate::ids::TreeId;
use crate::metrics::{CacheMetric, Metrics};
use crate::store::{Store, StoreError, StoreResult};

/// Decoded full tiles in the cache. Each has 16 KiB, so all together 72 MiB. That is all of a log
/// of 10^6 entries (3,922 tiles), with room for the shards of the cache to fill unevenly. Of a
/// larger log the cache keeps the tiles that are read most.
const MAX_CACHED_TILES: usize = 4_608;

/// Immutable full tiles of one tree. The same decoded tile serves proofs and readers of its bytes.
pub(crate) struct TileCache {
    cache: Cache<TileId, Arc<TileTree>>,
    look_ups: CacheMetric,
    stored: Batched<StoredTiles>,
}

impl TileCache {
    pub(crate) fn new(store: &Arc<dyn Store>, tree: TreeId, metrics: &Metrics) -> Self {
        let together = metrics.look_ups_together.with_label_values(&["tile"]);
        Self {
            cache: Cache::new(MAX_CACHED_TILES),
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
                self.cache.insert(tile.id, Arc::new(tree));
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
        if let Some(tile) = self.cache.get(&id) {
            self.look_ups.hit();
            return Ok(tile);
        }
        self.look_ups.miss();
        let tile = Arc::new(decode_tile(id, &self.stored.get(id).await?)?);
        self.cache.insert(id, Arc::clone(&tile));
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
