//! Tiles and entry bundles as C2SP tlog-tiles wants their bytes: tiles as they are decoded for proofs, bundles behind a bounded
//! cache.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tlog::{Hash, TILE_WIDTH, TileId, TilePath, TileResource, TileTree};

use crate::heads::Core;
use crate::store::{StoreError, StoreResult};
use crate::{Head, ReadError};

/// What the cache may hold: some 50 bundles of entries with certificates.
const CACHED_BYTES: u64 = 16 << 20;
/// What the cache is laid out for.
const CACHED_BUNDLES: usize = 128;

/// Immutable entry bundles of one tree.
pub(crate) struct TileBytes {
    bundles: Cache<TilePath, Bytes, ByLength>,
}

/// A tile that is being sent: its bytes are not copied.
struct Shared(Arc<TileTree>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
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
        Self { bundles: Cache::with_weighter(CACHED_BUNDLES, CACHED_BYTES, ByLength) }
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
            TileResource::Entries(_) => match self.tile_bytes.bundles.get(&path) {
                Some(bundle) => {
                    self.metrics.bundle_cache.hit();
                    bundle
                }
                None => {
                    self.metrics.bundle_cache.miss();
                    self.tile_bytes.bundles.get_or_insert_async(&path, self.entry_bundle(head, id, width)).await?
                }
            },
        }))
    }

    /// All hashes that a tile has in `head`.
    async fn tile(&self, head: &Head, id: TileId) -> StoreResult<Bytes> {
        let tile = match head.view().edge_tiles.get(id) {
            Some(partial) => Arc::clone(partial),
            None => self.full_tile(id).await?,
        };
        Ok(Bytes::from_owner(Shared(tile)))
    }

    /// The first `width` entries below a level-0 tile, each behind its length. What the tile does not hold is never shown.
    async fn entry_bundle(&self, head: &Head, id: TileId, width: usize) -> Result<Bytes, ReadError> {
        let first = id.index * TILE_WIDTH as u64;
        let tiles = self.tiles(head.view(), &[id]).await?;
        let bodies = self.store.bodies(self.tree.id, first..first + width as u64).await?;
        let hashes = tiles.get(id).into_iter().flat_map(|tile| tile.hashes());
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
