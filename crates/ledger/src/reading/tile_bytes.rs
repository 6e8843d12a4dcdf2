//! Tiles and entry bundles in the bytes of C2SP tlog-tiles. Tiles are sent as they are decoded for
//! proofs; bundles stay in a bounded cache.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tlog::{Hash, TILE_WIDTH, TileId, TilePath, TileResource, TileTree};

use super::caches::Caches;
use super::entry::ReadError;
use super::tiles::TileCache;
use crate::heads::head::Head;
use crate::metrics::{CacheMetric, Metrics};
use crate::store::{MAX_BODY_BYTES_TOGETHER, Store, StoreError, StoreResult};

/// Tiles and immutable entry bundles of one tree, as bytes.
pub(crate) struct TileBytes {
    store: Arc<dyn Store>,
    caches: Arc<Caches>,
    look_ups: CacheMetric,
}

/// A tile that is being sent: its bytes are not copied.
struct Shared(Arc<TileTree>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl TileBytes {
    pub(crate) fn new(store: &Arc<dyn Store>, caches: &Arc<Caches>, metrics: &Metrics) -> Self {
        Self {
            store: Arc::clone(store),
            caches: Arc::clone(caches),
            look_ups: metrics.bundle_cache.clone(),
        }
    }

    /// Returns the bytes of a tile or an entry bundle. `None` if `head` does not cover all of it.
    pub(crate) async fn get(
        &self,
        tiles: &TileCache,
        head: &Head,
        path: TilePath,
    ) -> Result<Option<Bytes>, ReadError> {
        let id = path.tile();
        let width = path
            .partial
            .map_or(TILE_WIDTH, |width| usize::from(width.get()));
        if id.width_at(head.size) < width {
            return Ok(None);
        }
        Ok(Some(match path.resource {
            TileResource::Tile(_) => tile(tiles, head, id)
                .await?
                .slice(..width * size_of::<Hash>()),
            TileResource::Entries(_) => {
                let (key, bundles) = ((head.tree.id, path), &self.caches.bundles);
                match bundles.get(&key) {
                    Some(bundle) => {
                        self.look_ups.hit();
                        bundle
                    }
                    None => {
                        self.look_ups.miss();
                        let made = self.entry_bundle(tiles, head, id, width);
                        bundles.get_or_insert_async(&key, made).await?
                    }
                }
            }
        }))
    }

    /// Returns the first `width` entries below a level-0 tile, each behind its length: at most 16
    /// MiB, and as much again while it is made. A body whose hash is not in the tile is never shown.
    /// No body is read if a bundle cannot hold one of them.
    async fn entry_bundle(
        &self,
        tiles: &TileCache,
        head: &Head,
        id: TileId,
        width: usize,
    ) -> Result<Bytes, ReadError> {
        let first = id.index * TILE_WIDTH as u64;
        let range = first..first + width as u64;
        if head.tree.max_leaf_bytes as usize > MAX_BODY_BYTES_TOGETHER {
            let lengths = self.store.body_lengths(head.tree.id, range.clone()).await?;
            let is_large = |length: &u64| *length > MAX_BODY_BYTES_TOGETHER as u64;
            if let Some(place) = lengths.iter().position(is_large) {
                return Err(ReadError::NotBundled {
                    tree: head.tree.id,
                    leaf_index: first + place as u64,
                });
            }
        }
        let tiles = tiles.get(head.view(), &[id]).await?;
        let bodies = self.store.bodies(head.tree.id, range).await?;
        let hashes = tiles.get(id).into_iter().flat_map(|tile| tile.hashes());
        let bytes = bodies.iter().map(|body| size_of::<u16>() + body.len());
        let mut bundle = BytesMut::with_capacity(bytes.sum());
        for ((leaf_index, body), hash) in (first..).zip(&bodies).zip(hashes) {
            let damaged =
                |what| StoreError::Damaged(format!("table body: leaf index {leaf_index} {what}"));
            if tlog::leaf_hash(body) != hash {
                return Err(damaged("does not have its leaf hash").into());
            }
            bundle.put_u16(
                u16::try_from(body.len()).map_err(|_| damaged("is too large for a bundle"))?,
            );
            bundle.put_slice(body);
        }
        Ok(bundle.freeze())
    }
}

/// Returns all hashes that a tile has in `head`.
async fn tile(tiles: &TileCache, head: &Head, id: TileId) -> StoreResult<Bytes> {
    let tile = match head.view().edge_tiles.get(id) {
        Some(partial) => Arc::clone(partial),
        None => tiles.full_tile(id).await?,
    };
    Ok(Bytes::from_owner(Shared(tile)))
}
