//! Finishing a frozen tree: all its signed entry timestamps and its final checkpoints are stored,
//! so that its key is not needed any more.

use std::ops::Range;
use std::sync::Arc;

use tlog::LeafIndex;

use super::shard::Shard;
use crate::api::HeadForm;
use crate::clock::Clock;
use crate::heads::follow::PAUSE_AFTER_ERROR;
use crate::heads::head::Head;
use crate::reading::entry::ReadError;
use crate::store::{FinalCheckpoint, Store, StoreError, TimestampRow};

/// Entries whose timestamps are looked for and stored together.
const PAGE_ENTRIES: u64 = 256;
/// Entries read at once: with leaves and attestations of 1 MiB, the largest, at most 32 MiB.
const ENTRIES_AT_ONCE: usize = 16;

/// Finishes a frozen tree, and tries again until that succeeds. Any number of servers may do so at
/// once; the final checkpoints that are stored first count.
pub(crate) async fn finish_patiently(shard: &Shard, store: &dyn Store, clock: &dyn Clock) {
    while let Err(error) = finish(shard, store, clock).await {
        tracing::warn!(tree = %shard.id(), %error, "a frozen tree cannot be finished yet");
        tokio::time::sleep(PAUSE_AFTER_ERROR).await;
    }
}

/// Finishes a frozen tree unless it is finished already, and shows its final checkpoints from then
/// on.
///
/// Dies half way: some timestamps are stored; any server that has the key continues from there.
pub(crate) async fn finish(
    shard: &Shard,
    store: &dyn Store,
    clock: &dyn Clock,
) -> Result<FinalCheckpoint, ReadError> {
    let (heads, tree) = (&shard.heads, shard.id());
    // Another server may have published the last head. It has to be the head here before any of it
    // is shown or signed.
    let head = heads.newest_head().await?;
    if let Some(reason) = heads.halted() {
        return Err(StoreError::Unavailable(reason.to_owned()).into());
    }
    if head.size < heads.integrated().size {
        return Err(StoreError::Unavailable("its last head is not published yet".into()).into());
    }
    if let Some(stored) = store.final_checkpoint(tree).await? {
        heads.show_final(&stored)?;
        return Ok(stored);
    }
    let signed = match heads.tree().api.heads {
        HeadForm::RekorV1 => head.size.0,
        HeadForm::Checkpoint => 0,
    };
    for start in (0..signed).step_by(PAGE_ENTRIES as usize) {
        let end = signed.min(start + PAGE_ENTRIES);
        store_timestamps(shard, store, &head, start..end).await?;
    }
    let last = heads.sign_freeze(&head, clock.unix_millis())?;
    store.keep_final(tree, &last).await?;
    let stored = store.final_checkpoint(tree).await?;
    let stored = stored.ok_or_else(|| StoreError::Damaged(format!("tree {tree} is not frozen")))?;
    heads.show_final(&stored)?;
    tracing::info!(%tree, size = head.size.0, root = %head.root, "a frozen tree is finished: its key is needed no more");
    Ok(stored)
}

/// Signs and stores the signed entry timestamps of `range` that are not stored yet.
async fn store_timestamps(
    shard: &Shard,
    store: &dyn Store,
    head: &Arc<Head>,
    range: Range<u64>,
) -> Result<(), ReadError> {
    let unsigned: Vec<LeafIndex> = store.unsigned(shard.id(), range).await?;
    if unsigned.is_empty() {
        return Ok(());
    }
    let mut rows = Vec::with_capacity(unsigned.len());
    for indexes in unsigned.chunks(ENTRIES_AT_ONCE) {
        for entry in shard.reader.entries.get(head, indexes).await? {
            // No answer was verified before this signature is made, so it MUST be proved that the
            // entry is in this tree.
            shard
                .reader
                .inclusion_proof(head, entry.leaf_index, &entry.leaf_hash)
                .await?;
            let signature = shard.timestamps.get_or_sign(&entry)?;
            rows.push(TimestampRow {
                leaf_index: entry.leaf_index,
                signature,
            });
        }
    }
    store.put_timestamps(shard.id(), &rows).await?;
    shard.timestamps.mark_stored(&rows);
    Ok(())
}
