//! Whether a database has reached the floor of a log.

use super::error::RecoverError;
use crate::api::Api;
use crate::guard::floor::Floors;
use crate::guard::{Guard, GuardedHead};
use crate::heads::load::load_edge;
use crate::heads::tile_set::describe;
use crate::ids::TreeId;
use crate::store::{LogName, Read, Store, StoreResult, TreeRow};
use crate::tree::Tree;

/// All that the places and sources of a guard know of the logs of a ledger.
#[derive(Debug)]
pub struct KnownHeads {
    /// The newest head of each log.
    pub newest: Vec<GuardedHead>,
    /// The sources that could not be read, each with the reason. One of them may know more.
    pub silent: Vec<String>,
}

/// Reads the heads that the places and sources of the guard have.
///
/// # Errors
///
/// One of them has the heads of another ledger, or a place cannot be read.
pub async fn known_heads(guard: &dyn Guard, ledger: &str) -> Result<KnownHeads, RecoverError> {
    let floors = Floors::read(guard, ledger).await;
    let floors = floors.map_err(|error| RecoverError::Unusable(error.to_string()))?;
    Ok(KnownHeads {
        newest: floors.newest(),
        silent: floors.silent,
    })
}

/// Fails unless a head of the guard is signed by the keys of its tree, which must be among `trees`
/// to be known.
pub(super) fn check_signed(floor: &GuardedHead, trees: &[TreeRow]) -> Result<(), RecoverError> {
    let Some(row) = trees.iter().find(|row| row.tree_id == floor.tree) else {
        return Ok(());
    };
    let api = Api::by_name(&row.api);
    let api = api.ok_or_else(|| RecoverError::Unusable(format!("unknown API {:?}", row.api)))?;
    let checked = floor.check(&Tree::of(row, api)?);
    checked.map_err(|fault| {
        RecoverError::Unusable(format!(
            "the guard has a head of the {api} log that {fault}"
        ))
    })
}

/// Returns the stored trees of a log, oldest first.
pub(super) async fn trees_of(store: &dyn Store, log: LogName<'_>) -> StoreResult<Vec<TreeRow>> {
    let mut trees = store.trees().await?;
    trees.retain(|tree| tree.name == log.name && tree.api == log.api);
    Ok(trees)
}

/// Returns whether a database whose log has these trees has everything up to the floor, publications
/// included, or records what is missing as lost.
///
/// # Errors
///
/// As [`has_entries`].
pub(super) async fn is_reached(
    store: &dyn Store,
    trees: &[TreeRow],
    floor: &GuardedHead,
) -> Result<bool, RecoverError> {
    if !has_entries(store, trees, floor).await? {
        return Ok(false);
    }
    // A head that was published with witnesses has to be published again.
    let published = store.reader().newest_publication(floor.tree).await?;
    Ok(published.is_none_or(|row| row.size >= floor.size()) || !is_active(trees, floor.tree))
}

fn is_active(trees: &[TreeRow], tree: TreeId) -> bool {
    trees.last().is_some_and(|active| active.tree_id == tree)
}

/// Returns whether a database has all entries up to the floor, or records those that are missing as
/// lost.
///
/// # Errors
///
/// [`RecoverError::Forked`] if it has another history up to the floor.
pub(super) async fn has_entries(
    store: &dyn Store,
    trees: &[TreeRow],
    floor: &GuardedHead,
) -> Result<bool, RecoverError> {
    let mut reader = store.reader();
    let read = reader.as_mut();
    let Some(place) = trees.iter().position(|tree| tree.tree_id == floor.tree) else {
        return Ok(is_lost_with_its_tree(read, trees, floor).await?);
    };
    let (size, end) = (floor.size(), floor.first_log_index + floor.size().0);
    if size_of(read, floor.tree).await? < size.0 {
        let next = trees.get(place + 1);
        return Ok(next.is_some_and(|next| next.first_log_index >= end));
    }
    let root = load_edge(read, floor.tree, size).await?.root();
    if root != floor.root() {
        return Err(RecoverError::Forked(format!(
            "tree {} has {} where {} was published",
            floor.tree,
            describe(size, &root),
            describe(size, &floor.root())
        )));
    }
    Ok(true)
}

/// Returns whether the log went on without the tree of the floor, which it lost whole: a tree begins
/// where the floor ends or later, and the one before it ended before the lost tree began.
pub(crate) async fn is_lost_with_its_tree(
    read: &mut dyn Read,
    trees: &[TreeRow],
    floor: &GuardedHead,
) -> StoreResult<bool> {
    let (begin, end) = (
        floor.first_log_index,
        floor.first_log_index + floor.size().0,
    );
    for pair in trees.windows(2) {
        let [before, next] = pair else { continue };
        if next.first_log_index < end {
            continue;
        }
        return Ok(before.first_log_index + size_of(read, before.tree_id).await? <= begin);
    }
    Ok(false)
}

async fn size_of(read: &mut dyn Read, tree: TreeId) -> StoreResult<u64> {
    let newest = read.newest_head(tree).await?;
    Ok(newest.map_or(0, |head| head.size.0))
}
