//! Entries without their bytes, in the order of a tree.

use std::sync::Arc;

use tlog::LeafIndex;

use super::Log;
use crate::heads::head::Head;
use crate::reading::entry::ReadError;
use crate::store::EventRow;

impl Log {
    /// Returns some entries from the leaf index `from` on, all below `head`, which MUST be larger
    /// than `from`. They were compared with the tree.
    pub(crate) async fn events(
        &self,
        head: &Head,
        from: LeafIndex,
    ) -> Result<Vec<Arc<EventRow>>, ReadError> {
        let reader = &self.shard_of(head)?.reader;
        self.judged(reader.events(head, from).await).await
    }

    /// Returns the texts of all keys by which a search finds an entry, in lower case. Those of an
    /// entry at or beyond the size of `head` are empty.
    pub async fn index_keys(
        &self,
        head: &Head,
        index: LeafIndex,
    ) -> Result<Vec<String>, ReadError> {
        if index.0 >= head.size.0 {
            return Ok(Vec::new());
        }
        let store = self.open.parts.shared.store.as_ref();
        let range = index.0..index.0 + 1;
        let entries = store.audit_entries(head.tree.id, range).await?;
        let keys = entries.into_iter().flat_map(|entry| entry.index_keys);
        Ok(keys.collect())
    }
}
