//! Values that SQL has no type for: how both backends write them, and check them when they are
//! read.

use tlog::{FullTile, Hash, TILE_WIDTH, TileId};

use super::error::{StoreError, StoreResult};
use super::numbers::to_sql;
use super::rows::{KeyRole, Round, TreeState};

/// Reads a hash column.
pub(crate) fn hash(bytes: &[u8], column: &str) -> StoreResult<Hash> {
    let bytes = bytes
        .try_into()
        .map_err(|_| StoreError::Damaged(format!("{column} has {} bytes", bytes.len())))?;
    Ok(Hash(bytes))
}

/// Packs the digests of keys into one value.
pub(crate) fn pack_digests(digests: &[Hash]) -> Vec<u8> {
    digests.iter().flat_map(|digest| digest.0).collect()
}

/// Reads the stored form back.
pub(crate) fn unpack_digests(bytes: &[u8]) -> StoreResult<Vec<Hash>> {
    match bytes.as_chunks::<32>() {
        (digests, []) => Ok(digests.iter().copied().map(Hash).collect()),
        _ => Err(StoreError::Damaged(format!(
            "server.keys has {} bytes",
            bytes.len()
        ))),
    }
}

/// Packs the 256 hashes of a tile into one value.
pub(crate) fn pack_hashes(hashes: &[Hash]) -> StoreResult<Vec<u8>> {
    if hashes.len() != TILE_WIDTH {
        return Err(StoreError::Data(format!(
            "a full tile has {TILE_WIDTH} hashes, not {}",
            hashes.len()
        )));
    }
    Ok(hashes.iter().flat_map(|hash| hash.0).collect())
}

/// Reads the stored form back.
pub(crate) fn unpack_hashes(bytes: &[u8], tile: TileId) -> StoreResult<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if hashes.len() != TILE_WIDTH || !rest.is_empty() {
        return Err(StoreError::Damaged(format!(
            "{} has {} bytes",
            tile_name(tile),
            bytes.len()
        )));
    }
    Ok(hashes.iter().copied().map(Hash).collect())
}

/// Returns the name of a row of `tile` in errors.
pub(crate) fn tile_name(tile: TileId) -> String {
    format!("tile level {} index {}", tile.level, tile.index)
}

/// A row of `tile`.
pub(crate) fn full_tile(id: TileId, root: &[u8], hashes: &[u8]) -> StoreResult<FullTile> {
    Ok(FullTile {
        id,
        root: hash(root, "tile.root")?,
        hashes: unpack_hashes(hashes, id)?,
    })
}

/// Refuses a round whose entries are not those of its head, before any of it is sent.
pub(crate) fn check_round(round: &Round) -> StoreResult<()> {
    let (first, size) = (round.head.prev_size.0, round.head.size.0);
    if round.entries.is_empty() || first.checked_add(round.entries.len() as u64) != Some(size) {
        let entries = round.entries.len();
        return Err(StoreError::Data(format!(
            "a head from {first} to {size} with {entries} entries"
        )));
    }
    to_sql(size).map(|_| ())
}

/// `tree.state` as stored.
pub(crate) fn state_name(state: TreeState) -> &'static str {
    match state {
        TreeState::Active => "active",
        TreeState::Frozen => "frozen",
    }
}

/// Reads the stored form back.
pub(crate) fn state(name: &str) -> StoreResult<TreeState> {
    match name {
        "active" => Ok(TreeState::Active),
        "frozen" => Ok(TreeState::Frozen),
        other => Err(StoreError::Damaged(format!("tree.state is {other:?}"))),
    }
}

/// `tree_key.role` as stored.
pub(crate) fn role_name(role: KeyRole) -> &'static str {
    match role {
        KeyRole::Log => "log",
        KeyRole::Checkpoint => "checkpoint",
    }
}

/// Reads the stored form back.
pub(crate) fn role(name: &str) -> StoreResult<KeyRole> {
    match name {
        "log" => Ok(KeyRole::Log),
        "checkpoint" => Ok(KeyRole::Checkpoint),
        other => Err(StoreError::Damaged(format!("tree_key.role is {other:?}"))),
    }
}
