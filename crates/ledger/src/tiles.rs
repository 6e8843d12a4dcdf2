//! Full tiles, decoded, behind a bounded cache; and the tiles that a proof needs.

use std::collections::HashMap;
use std::sync::Arc;

use quick_cache::sync::Cache;
use tlog::{FullTile, TILE_WIDTH, TileId, TileTree, TileWidthError};

use crate::TreeId;
use crate::core::Core;
use crate::head::HeadView;
use crate::store::{Read, StoreError, StoreResult};

/// Decoded full tiles kept: about 20 KiB each, so 20 MiB; the level-0 tiles of the last 250,000 entries.
const MAX_CACHED_TILES: usize = 1_024;

/// The tiles of one proof.
pub(crate) type TileSet = HashMap<TileId, Arc<TileTree>>;

/// Immutable full tiles of one tree.
pub(crate) struct TileCache {
    tiles: Cache<TileId, Arc<TileTree>>,
}

impl TileCache {
    pub(crate) fn new() -> Self {
        Self { tiles: Cache::new(MAX_CACHED_TILES) }
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
    /// The tiles `ids` as of `head`: its partial ones, and full ones from the cache or else the database in one query.
    pub(crate) async fn tiles(&self, head: HeadView<'_>, ids: &[TileId]) -> StoreResult<TileSet> {
        let mut set = partial_tiles(head, ids);
        let mut absent = Vec::new();
        for &id in ids.iter().filter(|id| is_full(**id, head)) {
            match self.tiles.tiles.get(&id) {
                Some(tile) => {
                    self.metrics.tile_cache.with_label_values(&["hit"]).inc();
                    set.insert(id, tile);
                }
                None => absent.push(id),
            }
        }
        if !absent.is_empty() {
            self.metrics.tile_cache.with_label_values(&["miss"]).inc_by(absent.len() as u64);
            for (id, tile) in read_full(self.store.reader().as_mut(), self.tree.id, &absent).await? {
                self.tiles.tiles.insert(id, Arc::clone(&tile));
                set.insert(id, tile);
            }
        }
        Ok(set)
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
    set.extend(read_full(read, tree, &full).await?);
    Ok(set)
}

fn is_full(id: TileId, head: HeadView<'_>) -> bool {
    id.width_at(head.size) == TILE_WIDTH
}

fn partial_tiles(head: HeadView<'_>, ids: &[TileId]) -> TileSet {
    ids.iter().filter_map(|id| Some((*id, Arc::clone(head.edge_tiles.get(id)?)))).collect()
}

async fn read_full(read: &mut dyn Read, tree: TreeId, ids: &[TileId]) -> StoreResult<Vec<(TileId, Arc<TileTree>)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let decoded = read.full_tiles(tree, ids).await?.into_iter().zip(ids).map(|(hashes, &id)| {
        let damaged = |error: TileWidthError| {
            StoreError::Damaged(format!("table tile: level {} index {}: {error}", id.level, id.index))
        };
        Ok((id, Arc::new(TileTree::new(&hashes).map_err(damaged)?)))
    });
    decoded.collect()
}
