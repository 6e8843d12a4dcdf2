//! Looking something up in a log: in the heads that this process knows, then in the newest ones.
//!
//! Another server of the same log may have written meanwhile, so "absent" and "too large" are
//! answers of the newest heads only.

use std::sync::Arc;

use ledger::{Head, Log, LoggedEntry, ReadError, Shards};
use tlog::{Hash, LeafIndex};

/// An entry and the head that it is proved in.
pub(crate) type Found = (Arc<Head>, LoggedEntry);

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
    let known = look(log.shards()).await?;
    if is_all(&known) {
        return Ok(known);
    }
    look(log.newest_shards().await?).await
}

/// Returns the entry at a leaf index, if the head covers it.
pub(crate) async fn entry_at(
    log: &Log,
    head: &Arc<Head>,
    index: LeafIndex,
) -> Result<Option<Found>, ReadError> {
    if index.0 >= head.size.0 {
        return Ok(None);
    }
    let entry = log.entries(head, &[index]).await?.pop();
    Ok(entry.map(|entry| (Arc::clone(head), entry)))
}

/// Returns the entry with a leaf hash, if the head covers one.
pub(crate) async fn entry_with_hash(
    log: &Log,
    head: &Arc<Head>,
    leaf_hash: Hash,
) -> Result<Option<Found>, ReadError> {
    let places = log.find_leaves(head, &[leaf_hash]).await?;
    match places.first() {
        Some(place) => entry_at(log, head, place.leaf_index).await,
        None => Ok(None),
    }
}
