//! How both backends write what SQL has no type for, and check what they read back.

use std::ops::Range;
use std::sync::Arc;

use tlog::{FullTile, Hash, TILE_WIDTH, TileId, TreeSize};

use super::{
    AuditCounts, AuditEntry, EntryRow, KeyRole, Round, StoreError, StoreResult, TreeState,
};
use crate::{Apis, IndexKeyHash};

/// Bytes of a hash that a look-up table is keyed by.
pub(crate) const PREFIX_BYTES: usize = 16;

/// A size, index or id as SQL keeps it: both databases know signed 64-bit integers only.
pub(crate) fn to_sql(value: u64) -> StoreResult<i64> {
    i64::try_from(value).map_err(|_| StoreError::Data(format!("{value} does not fit in 63 bits")))
}

/// The other way round; `column` names what is damaged.
pub(crate) fn from_sql(value: i64, column: &str) -> StoreResult<u64> {
    u64::try_from(value).map_err(|_| StoreError::Damaged(format!("{column} is {value}")))
}

/// `publication.prev_size`: -1 stands for none.
pub(crate) fn prev_size_to_sql(prev_size: Option<TreeSize>) -> StoreResult<i64> {
    prev_size.map_or(Ok(-1), |size| to_sql(size.0))
}

/// A hash column.
pub(crate) fn hash(bytes: &[u8], column: &str) -> StoreResult<Hash> {
    let bytes = bytes
        .try_into()
        .map_err(|_| StoreError::Damaged(format!("{column} has {} bytes", bytes.len())))?;
    Ok(Hash(bytes))
}

/// Log IDs as one value.
pub(crate) fn pack_log_ids(log_ids: &[Hash]) -> Vec<u8> {
    log_ids.iter().flat_map(|log_id| log_id.0).collect()
}

/// The other way round.
pub(crate) fn unpack_log_ids(bytes: &[u8]) -> StoreResult<Vec<Hash>> {
    match bytes.as_chunks::<32>() {
        (log_ids, []) => Ok(log_ids.iter().copied().map(Hash).collect()),
        _ => Err(StoreError::Damaged(format!(
            "server.log_ids has {} bytes",
            bytes.len()
        ))),
    }
}

/// First 16 bytes of a leaf hash.
pub(crate) fn prefix(leaf_hash: &Hash) -> [u8; PREFIX_BYTES] {
    let mut prefix = [0; PREFIX_BYTES];
    prefix.copy_from_slice(&leaf_hash.0[..PREFIX_BYTES]);
    prefix
}

/// The 256 hashes of a tile as one value.
pub(crate) fn pack_hashes(hashes: &[Hash]) -> StoreResult<Vec<u8>> {
    if hashes.len() != TILE_WIDTH {
        return Err(StoreError::Data(format!(
            "a full tile has {TILE_WIDTH} hashes, not {}",
            hashes.len()
        )));
    }
    Ok(hashes.iter().flat_map(|hash| hash.0).collect())
}

/// The other way round.
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

/// How errors name a row of `tile`.
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

/// The distinct hashes of some keys, ascending.
pub(crate) fn key_hashes<T: AsRef<str>>(keys: &[T]) -> Vec<IndexKeyHash> {
    let mut hashes: Vec<IndexKeyHash> = keys
        .iter()
        .map(|key| IndexKeyHash::of(key.as_ref()))
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// What one round adds to a table that is keyed by a hash, in key order: neighbours land on one
/// page.
pub(crate) type HashRows = Vec<([u8; PREFIX_BYTES], i64)>;

/// Rows of `leaf` of a round whose first entry has index `first`.
pub(crate) fn leaf_rows(first: i64, entries: &[Arc<EntryRow>]) -> HashRows {
    let mut rows: HashRows = (first..)
        .zip(entries)
        .map(|(index, entry)| (prefix(&entry.leaf_hash), index))
        .collect();
    rows.sort_unstable();
    rows
}

/// Rows of `index_key`, likewise.
pub(crate) fn index_key_rows(first: i64, entries: &[Arc<EntryRow>]) -> HashRows {
    let rows = (first..).zip(entries);
    let mut rows: HashRows = rows
        .flat_map(|(index, entry)| {
            entry
                .index_keys
                .hashes()
                .iter()
                .map(move |key| (key.0, index))
        })
        .collect();
    rows.sort_unstable();
    rows
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

/// The rows of the hash tables that an entry calls for, still to be looked up.
pub(crate) fn expected_rows(entries: &[AuditEntry]) -> StoreResult<(HashRows, HashRows)> {
    let (mut leaves, mut keys) = (HashRows::new(), HashRows::new());
    for entry in entries {
        let index = to_sql(entry.leaf_index.0)?;
        leaves.push((prefix(&entry.leaf_hash), index));
        keys.extend(
            key_hashes(&entry.index_keys)
                .into_iter()
                .map(|key| (key.0, index)),
        );
    }
    Ok((leaves, keys))
}

/// Puts rows that were found to the entries they belong to. `entries` MUST be ascending.
pub(crate) fn assign_found(entries: &mut [AuditEntry], leaves: HashRows, keys: HashRows) {
    for (row, index) in leaves {
        if let Some(entry) = entry_at(entries, index) {
            entry.leaf_rows.push(row);
        }
    }
    for (row, index) in keys {
        if let Some(entry) = entry_at(entries, index) {
            entry.index_key_rows.push(IndexKeyHash(row));
        }
    }
    for entry in entries {
        entry.index_key_rows.sort_unstable();
    }
}

fn entry_at(entries: &mut [AuditEntry], index: i64) -> Option<&mut AuditEntry> {
    let at = entries
        .binary_search_by_key(&u64::try_from(index).ok()?, |entry| entry.leaf_index.0)
        .ok()?;
    entries.get_mut(at)
}

/// `tree.state` as stored.
pub(crate) fn state_name(state: TreeState) -> &'static str {
    match state {
        TreeState::Active => "active",
        TreeState::Frozen => "frozen",
    }
}

/// The other way round.
pub(crate) fn state(name: &str) -> StoreResult<TreeState> {
    match name {
        "active" => Ok(TreeState::Active),
        "frozen" => Ok(TreeState::Frozen),
        other => Err(StoreError::Damaged(format!("tree.state is {other:?}"))),
    }
}

/// `tree.apis` as read.
pub(crate) fn apis(name: &str) -> StoreResult<Apis> {
    Apis::from_name(name).ok_or_else(|| StoreError::Damaged(format!("tree.apis is {name:?}")))
}

/// `tree_key.role` as stored.
pub(crate) fn role_name(role: KeyRole) -> &'static str {
    match role {
        KeyRole::Log => "log",
        KeyRole::Cosigner => "cosigner",
    }
}

/// The other way round.
pub(crate) fn role(name: &str) -> StoreResult<KeyRole> {
    match name {
        "log" => Ok(KeyRole::Log),
        "cosigner" => Ok(KeyRole::Cosigner),
        other => Err(StoreError::Damaged(format!("tree_key.role is {other:?}"))),
    }
}

/// Checks that rows read for `range` are exactly its indexes, in order.
pub(crate) fn dense<T>(
    range: &Range<u64>,
    rows: Vec<(i64, T)>,
    table: &str,
) -> StoreResult<Vec<T>> {
    let mut found = Vec::with_capacity(rows.len());
    let mut rows = rows.into_iter();
    for index in range.clone() {
        match rows.next() {
            Some((stored, value)) if u64::try_from(stored) == Ok(index) => found.push(value),
            _ => return Err(StoreError::Damaged(format!("{table} {index} is missing"))),
        }
    }
    Ok(found)
}

/// The counts of the six tables of entries: rows below a size, and rows at or beyond the newest
/// head's.
pub(crate) fn counts_of(rows: &[(i64, i64)]) -> StoreResult<AuditCounts> {
    let &[
        entries,
        bodies,
        leaves,
        index_keys,
        timestamps,
        attestations,
    ] = rows
    else {
        return Err(StoreError::Damaged(format!(
            "{} counts instead of 6",
            rows.len()
        )));
    };
    let count = |(below, _): (i64, i64)| from_sql(below, "count");
    Ok(AuditCounts {
        entries: count(entries)?,
        bodies: count(bodies)?,
        leaves: count(leaves)?,
        index_keys: count(index_keys)?,
        timestamps: count(timestamps)?,
        attestations: count(attestations)?,
        beyond_newest_head: from_sql(rows.iter().map(|(_, beyond)| beyond).sum(), "count")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_noticed() {
        assert_eq!(
            dense(&(3..5), vec![(3, 'a'), (4, 'b')], "entry").unwrap(),
            ['a', 'b']
        );
        for rows in [
            vec![],
            vec![(3, 'a')],
            vec![(4, 'b')],
            vec![(3, 'a'), (5, 'c')],
        ] {
            assert!(matches!(
                dense(&(3..5), rows, "entry"),
                Err(StoreError::Damaged(_))
            ));
        }
    }
}
