//! Tiles that were checked to lead to the root of a signed head.

use std::collections::HashMap;
use std::sync::Arc;

use tlog::{Edge, Hash, TILE_WIDTH, TileId, TileTree, Tiles, TreeSize};

use crate::error::{Result, VerifyError, require};

/// Tiles of one tree, each of which leads to the root of a head.
///
/// The partial tiles at the right edge are checked together: they alone have all that the root
/// needs. A full tile is checked by its parent, the tile above it that has its root.
#[derive(Clone, Debug)]
pub struct VerifiedTiles {
    size: TreeSize,
    tiles: HashMap<TileId, Arc<TileTree>>,
}

impl VerifiedTiles {
    /// Returns the partial tiles at the right edge of a tree, with their widths. A level whose tiles
    /// are all full has none.
    pub fn edge_of(size: TreeSize) -> Vec<(TileId, usize)> {
        let mut edge = Edge::shape(size);
        edge.retain(|(_, width)| *width > 0);
        edge
    }

    /// Takes the partial tiles at the right edge, which [`VerifiedTiles::edge_of`] lists.
    ///
    /// # Errors
    ///
    /// A tile is missing or has another width, or they do not lead to `root`.
    pub fn new(size: TreeSize, root: &Hash, edge: HashMap<TileId, Arc<TileTree>>) -> Result<Self> {
        let shape = Self::edge_of(size);
        for (id, width) in &shape {
            let got = edge.get(id).map_or(0, |tile| tile.width());
            require(got == *width, || {
                format!("{} has {got} hashes instead of {width}", Name(*id))
            })?;
        }
        require(edge.len() == shape.len(), || {
            "there are tiles that are not at the right edge".to_owned()
        })?;
        let computed = tlog::root_at(size, &edge)?;
        require(computed == *root, || {
            format!("the tiles lead to root {computed}, and the head has {root}")
        })?;
        Ok(Self { size, tiles: edge })
    }

    /// Returns the size of the tree.
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// Returns the tile, if it is here.
    pub fn get(&self, id: TileId) -> Option<&Arc<TileTree>> {
        self.tiles.get(&id)
    }

    /// Returns the root that the full tile must have, or `None` if its parent is not here.
    pub fn root_of(&self, id: TileId) -> Option<Hash> {
        let width = TILE_WIDTH as u64;
        let parent = self.get(parent(id))?;
        parent.subtree_root(0, (id.index % width) as usize)
    }

    /// Returns the full tiles that are missing on the way to this one, itself among them, from the
    /// top down. They MUST be added in this order.
    pub fn missing(&self, id: TileId) -> Vec<TileId> {
        let mut missing = Vec::new();
        let mut next = id;
        // The way ends at the right edge, at the latest at the top level.
        while self.get(next).is_none() && usize::from(next.level) < MAX_LEVELS {
            missing.push(next);
            next = parent(next);
        }
        missing.reverse();
        missing
    }

    /// Adds a full tile.
    ///
    /// # Errors
    ///
    /// It is not full, its parent is not here, or its root is not the one that the parent has.
    pub fn add(&mut self, id: TileId, tile: Arc<TileTree>) -> Result<()> {
        let wanted = self.root_of(id).ok_or_else(|| {
            VerifyError::Mismatch(format!("{} comes before the tile above it", Name(id)))
        })?;
        let (width, root) = (tile.width(), tile.root());
        require(width == TILE_WIDTH, || {
            format!("{} has {width} hashes instead of {TILE_WIDTH}", Name(id))
        })?;
        require(root == wanted, || {
            format!("{} has root {root}, and the head needs {wanted}", Name(id))
        })?;
        self.tiles.insert(id, tile);
        Ok(())
    }

    /// Drops the full tiles that are not on the way to this one.
    pub fn keep_way_to(&mut self, id: TileId) {
        let size = self.size;
        let is_on_way = |tile: &TileId| {
            let mut next = id;
            while next.level < tile.level {
                next = parent(next);
            }
            next == *tile
        };
        self.tiles
            .retain(|tile, _| tile.width_at(size) < TILE_WIDTH || is_on_way(tile));
    }

    /// Returns the tiles on the way from the right edge to this one, which is the last of them if
    /// it is here: all partial tiles first.
    pub fn way_to(&self, id: TileId) -> Vec<(TileId, Arc<TileTree>)> {
        let edge = Self::edge_of(self.size).into_iter().map(|(id, _)| id);
        let mut ids: Vec<TileId> = edge.collect();
        let mut way = Vec::new();
        let mut next = id;
        while usize::from(next.level) < MAX_LEVELS && !ids.contains(&next) {
            way.push(next);
            next = parent(next);
        }
        ids.extend(way.into_iter().rev());
        let tile = |id| Some((id, Arc::clone(self.get(id)?)));
        ids.into_iter().filter_map(tile).collect()
    }
}

impl Tiles for VerifiedTiles {
    fn tile(&self, id: TileId) -> Option<&TileTree> {
        self.get(id).map(Arc::as_ref)
    }
}

/// Levels of tiles in the largest tree: its size has 63 bits, and a level spans 8.
const MAX_LEVELS: usize = 8;

/// Returns the tile that has the root of a full tile.
fn parent(id: TileId) -> TileId {
    TileId {
        level: id.level.saturating_add(1),
        index: id.index / TILE_WIDTH as u64,
    }
}

/// The name of a tile in messages.
struct Name(TileId);

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tile {} of level {}", self.0.index, self.0.level)
    }
}

#[cfg(test)]
mod tests {
    use tlog::LeafIndex;

    use super::*;

    const SIZE: u64 = 70_000;

    type TileMap = HashMap<TileId, Arc<TileTree>>;

    /// All tiles of a tree: the partial ones at its right edge, and the full ones.
    fn tiles() -> (Hash, TileMap, TileMap) {
        let leaves = (0..SIZE).map(|leaf| tlog::leaf_hash(&leaf.to_be_bytes()));
        let mut edge = Edge::empty();
        let full = edge.append(&leaves.collect::<Vec<_>>());
        let full = full.into_iter().map(|tile| {
            let tree = TileTree::new(&tile.hashes).unwrap();
            (tile.id, Arc::new(tree))
        });
        (
            edge.root(),
            edge.tiles().into_iter().collect(),
            full.collect(),
        )
    }

    #[test]
    fn every_tile_leads_to_the_root() {
        let (root, edge, full) = tiles();
        let size = TreeSize(SIZE);
        let mut verified = VerifiedTiles::new(size, &root, edge).unwrap();
        let first = TileId { level: 0, index: 7 };
        let way = verified.missing(first);
        assert_eq!(way, [TileId { level: 1, index: 0 }, first]);
        verified.add(first, Arc::clone(&full[&first])).unwrap_err();
        for id in way {
            verified.add(id, Arc::clone(&full[&id])).unwrap();
        }
        assert_eq!(verified.missing(first), []);
        assert_eq!(verified.root_of(first), Some(full[&first].root()));
        let ids: Vec<_> = verified.way_to(first).iter().map(|(id, _)| *id).collect();
        assert_eq!(ids.last(), Some(&first));
        let proof = tlog::inclusion_proof(LeafIndex(7 * 256 + 3), size, &verified);
        let leaf = full[&first].hashes().nth(3).unwrap();
        tlog::verify_inclusion(&leaf, LeafIndex(7 * 256 + 3), size, &root, &proof.unwrap())
            .unwrap();

        let second = TileId { level: 0, index: 8 };
        verified.add(second, Arc::clone(&full[&first])).unwrap_err();
        verified.add(second, Arc::clone(&full[&second])).unwrap();
        verified.keep_way_to(second);
        assert!(verified.get(first).is_none());
        assert_eq!(verified.missing(second), []);
        // The last leaf is below the right edge.
        let last = TileId {
            level: 0,
            index: SIZE / 256,
        };
        assert_eq!(verified.missing(last), []);
    }

    #[test]
    fn a_right_edge_of_another_tree_is_refused() {
        let (root, edge, full) = tiles();
        VerifiedTiles::new(TreeSize(SIZE), &tlog::EMPTY_ROOT, edge.clone()).unwrap_err();
        VerifiedTiles::new(TreeSize(SIZE - 1), &root, edge.clone()).unwrap_err();
        let mut more = edge.clone();
        more.extend(full.into_iter().take(1));
        VerifiedTiles::new(TreeSize(SIZE), &root, more).unwrap_err();
        VerifiedTiles::new(TreeSize(SIZE), &root, HashMap::new()).unwrap_err();
        let empty = VerifiedTiles::new(TreeSize(0), &tlog::EMPTY_ROOT, HashMap::new());
        assert_eq!(empty.unwrap().size(), TreeSize(0));
    }
}
