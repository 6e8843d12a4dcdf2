//! Finishing a frozen tree: all its signed entry timestamps are stored and its last checkpoints are kept, so that its key is needed
//! no more.

use std::sync::Arc;

use tlog::LeafIndex;

use crate::ReadError;
use crate::heads::Core;
use crate::heads::follow::PAUSE_AFTER_ERROR;
use crate::heads::head::{Head, SigningError};
use crate::store::{FinalCheckpoint, StoreError, TimestampRow};

/// Entries of one read: with bodies of at most 64 KiB, at most 16 MiB.
const PAGE_ENTRIES: u64 = 256;

/// Finishes a frozen tree, trying again until it is done. Any number of servers may do so at once: what was kept first counts.
pub(crate) async fn finish_patiently(core: &Core) {
    while let Err(error) = finish(core).await {
        tracing::warn!(tree = %core.tree.id, %error, "a frozen tree cannot be finished yet");
        tokio::time::sleep(PAUSE_AFTER_ERROR).await;
    }
}

/// Finishes a frozen tree unless it is, and shows its last checkpoints from then on.
///
/// Dies half way: some timestamps are stored; whoever has the key goes on from there.
pub(crate) async fn finish(core: &Core) -> Result<FinalCheckpoint, ReadError> {
    // Another server may have published its last head. Before anything of it is shown or signed, it has to be the head here.
    let head = core.newest_head().await?;
    if let Some(reason) = core.read_only.get() {
        return Err(StoreError::Unavailable(reason.clone()).into());
    }
    if head.size < core.integrated().size {
        return Err(StoreError::Unavailable("its last head is not published yet".into()).into());
    }
    if let Some(kept) = core.store.final_checkpoint(core.tree.id).await? {
        core.show_last(&kept)?;
        return Ok(kept);
    }
    for start in (0..head.size.0).step_by(PAGE_ENTRIES as usize) {
        store_timestamps(core, &head, start..head.size.0.min(start + PAGE_ENTRIES)).await?;
    }
    let last = core.sign_last(&head)?;
    core.store.keep_final(core.tree.id, &last).await?;
    let kept = core.store.final_checkpoint(core.tree.id).await?;
    let kept = kept.ok_or_else(|| StoreError::Damaged(format!("tree {} is not frozen", core.tree.id)))?;
    core.show_last(&kept)?;
    tracing::info!(tree = %core.tree.id, size = head.size.0, root = %head.root, "a frozen tree is finished: its key is needed no more");
    Ok(kept)
}

async fn store_timestamps(core: &Core, head: &Arc<Head>, range: std::ops::Range<u64>) -> Result<(), ReadError> {
    let unsigned: Vec<LeafIndex> = core.store.unsigned(core.tree.id, range).await?;
    if unsigned.is_empty() {
        return Ok(());
    }
    let entries = core.entries(head, &unsigned).await?;
    for entry in &entries {
        // No answer was verified before this signature is made: it MUST be an entry of this tree.
        core.inclusion_proof(head, entry.leaf_index, &entry.leaf_hash).await?;
    }
    let signed = entries.iter().map(|entry| {
        let signature = core.signed_entry_timestamp(entry)?;
        Ok(TimestampRow { leaf_index: entry.leaf_index, signature })
    });
    let rows: Vec<TimestampRow> = signed.collect::<Result<_, SigningError>>()?;
    core.store.put_timestamps(core.tree.id, &rows).await?;
    core.timestamps.stored(&rows);
    Ok(())
}
