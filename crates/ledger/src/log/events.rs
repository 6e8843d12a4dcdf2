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
}
