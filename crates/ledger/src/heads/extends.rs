//! Whether one head extends another, by what the database holds now.

use super::tile_set::{HeadView, fresh_tiles};
use super::went_back::WentBack;
use crate::ids::TreeId;
use crate::store::{Read, StoreError, StoreResult};

/// Checks with tiles that are read now that `newer` extends `older`. Returns why not.
///
/// # Errors
///
/// The database cannot be read. Tiles that it lacks, or that are damaged, are no error of this kind:
/// a database that does not have them does not show that the head extends.
pub(crate) async fn extends(
    read: &mut dyn Read,
    tree: TreeId,
    older: HeadView<'_>,
    newer: HeadView<'_>,
) -> StoreResult<Result<(), WentBack>> {
    let fork = |why: &dyn std::fmt::Display| {
        let found = format!("{} ({why})", newer.describe());
        WentBack::fork(older, newer.size, &found)
    };
    let ids = tlog::tiles_for_consistency(older.size, newer.size);
    let tiles = match fresh_tiles(read, tree, newer, &ids).await {
        Ok(tiles) => tiles,
        Err(StoreError::Damaged(what)) => return Ok(Err(fork(&what))),
        Err(error) => return Err(error),
    };
    let verified = tlog::consistency_proof(older.size, newer.size, &tiles).and_then(|proof| {
        tlog::verify_consistency(older.size, &older.root, newer.size, &newer.root, &proof)
    });
    Ok(verified.map_err(|error| fork(&error)))
}
