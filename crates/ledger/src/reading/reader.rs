//! All reads of one tree.

use std::sync::Arc;

use bytes::Bytes;
use tlog::{Hash, LeafIndex, TILE_WIDTH, TileId, TilePath, TreeSize};

use super::caches::Caches;
use super::entries::Entries;
use super::entry::{InclusionProof, ReadError};
use super::events::{EventPages, TurnsBehind};
use super::search::{Searcher, Turns};
use super::tile_bytes::TileBytes;
use super::tiles::TileCache;
use crate::heads::head::Head;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::tree::Tree;

/// Answers reads of one tree, each as of a head that the caller passes. It never asks for a head
/// itself.
///
/// Every head MUST belong to this tree.
pub(crate) struct Reader {
    pub(crate) entries: Entries,
    pub(crate) tiles: TileCache,
    pub(crate) searcher: Searcher,
    pub(super) event_pages: EventPages,
    tile_bytes: TileBytes,
}

impl Reader {
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        tree: &Tree,
        caches: &Arc<Caches>,
        turns: &Arc<Turns>,
        behind: &Arc<TurnsBehind>,
        metrics: &Metrics,
    ) -> Self {
        Self {
            entries: Entries::new(store, tree, caches, metrics),
            tiles: TileCache::new(store, tree.id, caches, metrics),
            searcher: Searcher::new(store, tree.id, turns, metrics),
            event_pages: EventPages::new(store, tree.id, caches, behind, metrics),
            tile_bytes: TileBytes::new(store, caches, metrics),
        }
    }

    /// Returns the bytes of a tile or an entry bundle. `None` if `head` does not cover all of it.
    pub(crate) async fn tile_resource(
        &self,
        head: &Head,
        path: TilePath,
    ) -> Result<Option<Bytes>, ReadError> {
        self.tile_bytes.get(&self.tiles, head, path).await
    }

    /// Returns the inclusion proof of a leaf in `head`, verified.
    pub(crate) async fn inclusion_proof(
        &self,
        head: &Arc<Head>,
        index: LeafIndex,
        leaf_hash: &Hash,
    ) -> Result<InclusionProof, ReadError> {
        Ok(InclusionProof {
            head: Arc::clone(head),
            hashes: self.hashes_to_root(head, index, leaf_hash).await?,
        })
    }

    async fn hashes_to_root(
        &self,
        head: &Head,
        index: LeafIndex,
        leaf_hash: &Hash,
    ) -> Result<Vec<Hash>, ReadError> {
        let tiles = self
            .tiles
            .get(head.view(), &tlog::tiles_for_inclusion(index, head.size))
            .await?;
        let hashes = tlog::inclusion_proof(index, head.size, &tiles)?;
        tlog::verify_inclusion(leaf_hash, index, head.size, &head.root, &hashes)?;
        Ok(hashes)
    }

    /// Checks that the tile of a resource, which `head` MUST cover, leads to the root of `head`: the
    /// proof of the first leaf below it goes through all of its hashes.
    pub(crate) async fn check_tile(&self, head: &Head, path: TilePath) -> Result<(), ReadError> {
        let id = path.tile();
        let levels_below = u32::from(id.level) * u8::BITS;
        let leaves = TileId {
            level: 0,
            index: id.index << levels_below,
        };
        let tiles = self.tiles.get(head.view(), &[leaves]).await?;
        let first = tiles.get(leaves).and_then(|tile| tile.hashes().next());
        let first =
            first.ok_or_else(|| ReadError::Damaged("table tile: it is empty".to_owned()))?;
        let index = LeafIndex(leaves.index * TILE_WIDTH as u64);
        self.hashes_to_root(head, index, &first).await?;
        Ok(())
    }

    /// Returns the consistency proof between two sizes up to `head`. It is verified if `second` is
    /// the size of `head`.
    pub(crate) async fn consistency_proof(
        &self,
        head: &Head,
        first: TreeSize,
        second: TreeSize,
    ) -> Result<Vec<Hash>, ReadError> {
        if first > second || second > head.size {
            return Err(ReadError::OutOfRange(format!(
                "sizes {first} and {second} in a tree of size {}",
                head.size
            )));
        }
        let mut ids = tlog::tiles_for_consistency(first, second);
        ids.extend(tlog::tiles_for_root(first));
        ids.sort_unstable();
        ids.dedup();
        let tiles = self.tiles.get(head.view(), &ids).await?;
        let proof = tlog::consistency_proof(first, second, &tiles)?;
        if second == head.size {
            let first_root = tlog::root_at(first, &tiles)?;
            tlog::verify_consistency(first, &first_root, second, &head.root, &proof)?;
        }
        Ok(proof)
    }
}
