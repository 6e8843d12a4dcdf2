//! Looking something up in a log: in the heads that this process knows, then in the newest ones.
//!
//! Another server of the same log may have written meanwhile, so "absent" and "too large" are
//! answers of the newest heads only, for which the database is asked. A look-up finds the place of
//! an entry and not its bytes, for which there has to be room first.

use std::sync::Arc;

use ledger::{Head, Log, ReadError, Shards};
use tlog::{Hash, LeafIndex};

/// The place of an entry.
pub(crate) struct Place {
    /// The head that covers the entry, in which it is proved.
    pub(crate) head: Arc<Head>,
    /// The index in the tree of that head.
    pub(crate) leaf_index: LeafIndex,
}

/// Returns the result of `look` in the known heads, or else in the newest ones.
pub(crate) async fn find<T, E, Looking>(
    log: &Log,
    look: impl Fn(Shards) -> Looking,
) -> Result<Option<T>, E>
where
    E: From<ReadError>,
    Looking: Future<Output = Result<Option<T>, E>>,
{
    until(log, look, Option::is_some).await
}

/// Returns the result of `look` in the known heads if it is complete, or else the result in the
/// newest ones.
pub(crate) async fn until<T, E, Looking>(
    log: &Log,
    look: impl Fn(Shards) -> Looking,
    is_all: impl Fn(&T) -> bool,
) -> Result<T, E>
where
    E: From<ReadError>,
    Looking: Future<Output = Result<T, E>>,
{
    let shards = log.shards();
    let known = look(shards.clone()).await?;
    if is_all(&known) {
        return Ok(known);
    }
    let newest = log.newest_shards().await?;
    if newest.is_same(&shards) {
        // What a head covers never changes.
        return Ok(known);
    }
    look(newest).await
}

/// Returns the place of the entry at a leaf index, if the head covers it.
pub(crate) fn place_at(head: &Arc<Head>, leaf_index: LeafIndex) -> Option<Place> {
    (leaf_index.0 < head.size.0).then(|| Place {
        head: Arc::clone(head),
        leaf_index,
    })
}

/// Returns the place of the entry at a leaf index of the tree of a head.
///
/// # Errors
///
/// The entry was lost.
pub(crate) fn place_in_tree(
    shards: &Shards,
    head: &Arc<Head>,
    leaf_index: LeafIndex,
) -> Result<Option<Place>, ReadError> {
    let place = place_at(head, leaf_index);
    if place.is_none() {
        shards.check_leaf(head.tree.id, leaf_index.0)?;
    }
    Ok(place)
}

/// Returns the place of the entry with a leaf hash, if the head covers one.
pub(crate) async fn place_of_hash(
    log: &Log,
    head: &Arc<Head>,
    leaf_hash: Hash,
) -> Result<Option<Place>, ReadError> {
    let found = log.find_leaves(head, &[leaf_hash]).await?;
    let found = found.first();
    Ok(found.and_then(|entry| place_at(head, entry.leaf_index)))
}
