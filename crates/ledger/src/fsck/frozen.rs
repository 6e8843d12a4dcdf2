//! Checks of a frozen tree: its last head adds nothing. Once its last checkpoints are stored, they
//! state that head, and all its signed entry timestamps are stored.

use super::Check;
use crate::Tree;
use crate::api::HeadForm;
use crate::heads::tile_set::describe;
use crate::store::{Audited, FinalCheckpoint, StoreError, TreeRow, TreeState};

impl Check<'_> {
    /// Checks the end of a tree. `kept` was read before the first page.
    pub(super) async fn frozen(
        &mut self,
        tree: Option<&Tree>,
        kept: Option<Audited<FinalCheckpoint>>,
    ) -> Result<(), StoreError> {
        let size = self.report.size;
        let heads = self.store.heads(self.tree.tree_id, size, 1).await?;
        let closing = heads.first().filter(|head| head.prev_size == head.size);
        match (self.tree.state, closing) {
            (TreeState::Active, None) => return Ok(()),
            (TreeState::Active, Some(head)) if self.tree_is_active().await? => {
                let found = describe(head.size, &head.root);
                self.report.add(format!(
                    "table head: {found} ends the tree, which is active"
                ));
                return Ok(());
            }
            // The tree was frozen after this fsck began.
            (TreeState::Active, Some(_)) => return Ok(()),
            (TreeState::Frozen, None) => {
                self.report.add(
                    "table head: the tree is frozen, and the head that ends it is missing".into(),
                );
            }
            (TreeState::Frozen, Some(head)) if head.root != self.audit.root() => {
                let found = describe(head.size, &head.root);
                self.report.add(format!(
                    "table head: {found} ends the tree, but its entries give root {}",
                    self.audit.root()
                ));
            }
            (TreeState::Frozen, Some(_)) => {}
        }
        let Some(Audited { row, unreadable }) = kept else {
            return self.no_final_checkpoint().await;
        };
        self.report.add_unreadable(&"the tree", &unreadable);
        if let (kept, Some(tree)) = (row, tree) {
            for fault in kept.faults(tree, size, self.audit.root()) {
                self.report.add(format!("table final_checkpoint: {fault}"));
            }
            if tree.api.heads == HeadForm::RekorV1 && self.expected.timestamps != size.0 {
                let stored = self.expected.timestamps;
                self.report.add(format!(
                    "table signed_entry_timestamp: {stored} rows of a frozen tree of size {size}"
                ));
            }
        }
        Ok(())
    }

    /// Reports that the last checkpoints of a frozen tree are missing, if its successor has entries: a
    /// server was there since then, which makes them unless it lacks the key.
    async fn no_final_checkpoint(&mut self) -> Result<(), StoreError> {
        // A server may have stored them meanwhile.
        let stored = self.store.audited_final(self.tree.tree_id).await?;
        if stored.is_none() && self.successor_has_entries().await? {
            self.report.add(
                "table final_checkpoint: the row of the frozen tree is missing: if no rotation is at \
                 work, start a server that has the key of the tree, which makes it again; do not \
                 destroy that key before"
                    .to_owned(),
            );
        }
        Ok(())
    }

    async fn successor_has_entries(&self) -> Result<bool, StoreError> {
        let trees = self.store.audited_trees().await?;
        let of_log = trees
            .iter()
            .filter(|tree| (&tree.row.name, &tree.row.api) == (&self.tree.name, &self.tree.api));
        let later = of_log.skip_while(|tree| tree.row.tree_id != self.tree.tree_id);
        for tree in later.skip(1) {
            let heads = self.store.audited_last_heads(tree.row.tree_id, 1).await?;
            if !heads.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn tree_is_active(&self) -> Result<bool, StoreError> {
        let trees = self.store.trees().await?;
        let is_active =
            |tree: &TreeRow| tree.tree_id == self.tree.tree_id && tree.state == TreeState::Active;
        Ok(trees.iter().any(is_active))
    }
}
