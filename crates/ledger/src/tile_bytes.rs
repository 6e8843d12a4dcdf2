//! Tiles and entry bundles as C2SP tlog-tiles wants their bytes, behind a bounded cache.

use bytes::{BufMut, Bytes, BytesMut};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tlog::{Hash, TILE_WIDTH, TileId, TilePath, TileResource};

use crate::core::Core;
use crate::store::{StoreError, StoreResult};
use crate::{Head, ReadError};

/// What the cache may hold: 4,096 full tiles, or some 100 bundles of entries with certificates.
const CACHED_BYTES: u64 = 32 << 20;
/// What the cache is laid out for.
const CACHED_RESOURCES: usize = 1_024;

/// Immutable resources of one tree: a tile of a width never changes, nor does a bundle.
pub(crate) struct TileBytes {
    resources: Cache<TilePath, Bytes, ByLength>,
}

#[derive(Clone)]
struct ByLength;

impl Weighter<TilePath, Bytes> for ByLength {
    fn weight(&self, _: &TilePath, bytes: &Bytes) -> u64 {
        bytes.len() as u64
    }
}

impl TileBytes {
    pub(crate) fn new() -> Self {
        Self { resources: Cache::with_weighter(CACHED_RESOURCES, CACHED_BYTES, ByLength) }
    }
}

impl Core {
    pub(crate) async fn tile_resource(&self, head: &Head, path: TilePath) -> Result<Option<Bytes>, ReadError> {
        let id = match path.resource {
            TileResource::Tile(id) => id,
            TileResource::Entries(index) => TileId { level: 0, index },
        };
        let width = path.partial.map_or(TILE_WIDTH, |width| usize::from(width.get()));
        if id.width_at(head.size) < width {
            return Ok(None);
        }
        Ok(Some(match path.resource {
            TileResource::Tile(_) => self.tile(head, id).await?.slice(..width * size_of::<Hash>()),
            TileResource::Entries(_) => {
                self.tile_bytes.resources.get_or_insert_async(&path, self.entry_bundle(head, id, width)).await?
            }
        }))
    }

    /// All hashes that a tile has in `head`.
    async fn tile(&self, head: &Head, id: TileId) -> StoreResult<Bytes> {
        if let Some(partial) = head.view().edge_tiles.get(&id) {
            return Ok(partial.hashes().flat_map(|hash| hash.0).collect());
        }
        let path = TilePath { resource: TileResource::Tile(id), partial: None };
        let read = async {
            let tiles = self.store.reader().full_tiles(self.tree.id, &[id]).await?;
            Ok(tiles.into_iter().flatten().flat_map(|hash| hash.0).collect())
        };
        self.tile_bytes.resources.get_or_insert_async(&path, read).await
    }

    /// The first `width` entries below a level-0 tile, each behind its length. What the tile does not hold is never shown.
    async fn entry_bundle(&self, head: &Head, id: TileId, width: usize) -> Result<Bytes, ReadError> {
        let first = id.index * TILE_WIDTH as u64;
        let tiles = self.tiles(head.view(), &[id]).await?;
        let bodies = self.store.bodies(self.tree.id, first..first + width as u64).await?;
        let hashes = tiles.get(&id).into_iter().flat_map(|tile| tile.hashes());
        let mut bundle = BytesMut::with_capacity(bodies.iter().map(|body| size_of::<u16>() + body.len()).sum());
        for ((leaf_index, body), hash) in (first..).zip(&bodies).zip(hashes) {
            let damaged = |what| StoreError::Damaged(format!("table body: leaf index {leaf_index} {what}"));
            if tlog::leaf_hash(body) != hash {
                return Err(damaged("does not have its leaf hash").into());
            }
            bundle.put_u16(u16::try_from(body.len()).map_err(|_| damaged("is too large for a bundle"))?);
            bundle.put_slice(body);
        }
        Ok(bundle.freeze())
    }
}
