//! Heads read back from the database, each checked against its right edge.

use std::sync::Arc;

use tlog::{Edge, TreeSize};

use super::head::Integrated;
use super::tile_set::describe;
use crate::ids::TreeId;
use crate::store::{PublicationRow, Read, StoreError, StoreResult};

/// Reads the right edge of the tree at `size`. The caller compares its root.
pub(crate) async fn load_edge(
    read: &mut dyn Read,
    tree: TreeId,
    size: TreeSize,
) -> StoreResult<Edge> {
    let mut levels = Vec::new();
    for (tile, width) in Edge::shape(size) {
        let start = tile.index * tlog::TILE_WIDTH as u64;
        let range = start..start + width as u64;
        levels.push(match tile.level {
            _ if width == 0 => Vec::new(),
            0 => read.leaf_hashes(tree, range).await?,
            level => read.tile_roots(tree, level - 1, range).await?,
        });
    }
    Edge::new(size, levels).map_err(|error| StoreError::Damaged(error.to_string()))
}

/// Reads the newest head of a tree that is being opened, and checks it against its edge.
pub(crate) async fn load_head(read: &mut dyn Read, tree: TreeId) -> StoreResult<Integrated> {
    let Some(row) = read.newest_head(tree).await? else {
        return Ok(Integrated::empty());
    };
    let edge = load_edge(read, tree, row.size).await?;
    Integrated::read_back(edge, row.root, row.time).ok_or_else(|| {
        StoreError::Damaged(format!(
            "table head: {} does not follow from tile and entry",
            describe(row.size, &row.root)
        ))
    })
}

/// Returns the head of a stored publication. That is the newest integrated head, or an earlier one
/// whose right edge is read back.
pub(super) async fn published_head(
    read: &mut dyn Read,
    tree: TreeId,
    row: &PublicationRow,
    newest: &Arc<Integrated>,
) -> Result<Arc<Integrated>, StoreError> {
    let damaged = || {
        let found = describe(row.size, &row.root);
        StoreError::Damaged(format!(
            "table publication: {found} does not follow from head, tile and entry"
        ))
    };
    if row.size == newest.size && row.root == newest.root {
        return Ok(Arc::clone(newest));
    }
    if row.size >= newest.size {
        return Err(damaged());
    }
    let edge = load_edge(read, tree, row.size).await?;
    Integrated::read_back(edge, row.root, row.time)
        .map(Arc::new)
        .ok_or_else(damaged)
}
