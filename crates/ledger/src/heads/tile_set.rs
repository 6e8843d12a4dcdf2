//! The tiles of one head, and heads as proofs see them.

use std::sync::Arc;

use tlog::{Hash, TILE_WIDTH, TileId, TileTree, TileWidthError, Tiles, TreeSize};

use crate::ids::TreeId;
use crate::store::{Read, StoreError, StoreResult};

/// The tiles of one proof. They are few, so a linear search is faster than a map.
#[derive(Default)]
pub(crate) struct TileSet(Vec<(TileId, Arc<TileTree>)>);

impl TileSet {
    /// Returns the tile if the set has it.
    pub(crate) fn get(&self, id: TileId) -> Option<&Arc<TileTree>> {
        self.0
            .iter()
            .find(|(of, _)| *of == id)
            .map(|(_, tile)| tile)
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

impl Extend<(TileId, Arc<TileTree>)> for TileSet {
    fn extend<I: IntoIterator<Item = (TileId, Arc<TileTree>)>>(&mut self, tiles: I) {
        self.0.extend(tiles);
    }
}

/// A tree head with the partial tiles of its size. Proofs up to this head need these and full
/// tiles.
#[derive(Clone, Copy)]
pub(crate) struct HeadView<'a> {
    pub(crate) size: TreeSize,
    pub(crate) root: Hash,
    pub(crate) edge_tiles: &'a TileSet,
}

impl HeadView<'_> {
    /// Formats the head as `size N root H`, for logs and alarms.
    pub(crate) fn describe(&self) -> String {
        describe(self.size, &self.root)
    }

    /// Whether the tile is full in this head.
    pub(crate) fn is_full(&self, id: TileId) -> bool {
        id.width_at(self.size) == TILE_WIDTH
    }

    /// Returns those of the tiles `ids` that are partial in this head.
    pub(crate) fn partial_tiles(&self, ids: &[TileId]) -> TileSet {
        ids.iter()
            .filter_map(|id| Some((*id, Arc::clone(self.edge_tiles.get(*id)?))))
            .collect()
    }
}

/// Formats a head as `size N root H`.
pub(crate) fn describe(size: TreeSize, root: &Hash) -> String {
    format!("size {size} root {root}")
}

/// Returns the tiles `ids` as of `head`. The full ones are read from the database, to judge what it
/// holds now.
pub(crate) async fn fresh_tiles(
    read: &mut dyn Read,
    tree: TreeId,
    head: HeadView<'_>,
    ids: &[TileId],
) -> StoreResult<TileSet> {
    let mut set = head.partial_tiles(ids);
    let full: Vec<TileId> = ids.iter().copied().filter(|id| head.is_full(*id)).collect();
    if full.is_empty() {
        return Ok(set);
    }
    let stored = read.full_tiles(tree, &full).await?;
    for (id, hashes) in full.into_iter().zip(stored) {
        set.extend([(id, Arc::new(decode_tile(id, &hashes)?))]);
    }
    Ok(set)
}

/// Decodes the hashes of a full tile.
pub(crate) fn decode_tile(id: TileId, hashes: &[Hash]) -> StoreResult<TileTree> {
    let damaged = |error: TileWidthError| {
        StoreError::Damaged(format!(
            "table tile: level {} index {}: {error}",
            id.level, id.index
        ))
    };
    TileTree::new(hashes).map_err(damaged)
}
