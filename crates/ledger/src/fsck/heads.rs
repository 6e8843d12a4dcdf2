//! The stored heads: each must follow its predecessor and have the root that its entries give.

use tlog::TreeSize;

use super::{Check, Report};
use crate::heads::tile_set::describe;
use crate::store::{AuditEntry, HeadRow, Store, StoreError, TreeRow};

/// Heads of one read.
const PAGE_HEADS: u32 = 1_024;

impl Check<'_> {
    /// Compares the time of an entry with the head of its round.
    pub(super) async fn head_of(&mut self, entry: &AuditEntry) -> Result<(), StoreError> {
        while self
            .heads
            .current
            .is_none_or(|head| head.size.0 <= entry.leaf_index.0)
        {
            match self
                .heads
                .next(self.store, self.tree, &mut self.report)
                .await?
            {
                Some(head) => self.heads.current = Some(head),
                None => return Ok(()),
            }
        }
        if let Some(head) = self.heads.current
            && head.time != entry.time
        {
            let at = entry.leaf_index;
            self.report.add(format!(
                "table entry: leaf index {at} and the head of its round have different times"
            ));
        }
        Ok(())
    }

    pub(super) async fn root_at_size(&mut self) -> Result<(), StoreError> {
        if let Some(head) = self.heads.current
            && head.size == self.audit.size()
        {
            let root = self.audit.root();
            if head.root != root {
                let stored = describe(head.size, &head.root);
                self.report.add(format!(
                    "table head: {stored}, but its entries give root {root}"
                ));
            }
        }
        Ok(())
    }

    /// Reports heads that the entries did not reach.
    pub(super) async fn finish_heads(&mut self) -> Result<(), StoreError> {
        while let Some(head) = self
            .heads
            .next(self.store, self.tree, &mut self.report)
            .await?
        {
            self.report.add(format!(
                "table head: there are no entries up to {}",
                describe(head.size, &head.root)
            ));
        }
        Ok(())
    }
}

/// The stored heads in order, read in pages, each checked against its predecessor.
pub(super) struct Heads {
    page: std::vec::IntoIter<HeadRow>,
    /// Size of the last head given out: where the next must begin.
    reached: TreeSize,
    last_time: i64,
    end: TreeSize,
    current: Option<HeadRow>,
}

impl Heads {
    pub(super) fn new(end: TreeSize) -> Self {
        Self {
            page: Vec::new().into_iter(),
            reached: TreeSize(0),
            last_time: i64::MIN,
            end,
            current: None,
        }
    }

    async fn next(
        &mut self,
        store: &dyn Store,
        tree: &TreeRow,
        report: &mut Report,
    ) -> Result<Option<HeadRow>, StoreError> {
        if self.page.len() == 0 && self.reached < self.end {
            self.page = store
                .heads(tree.tree_id, self.reached, PAGE_HEADS)
                .await?
                .into_iter();
        }
        let head = loop {
            match self.page.next() {
                // The last head of a frozen tree, which is looked at by itself.
                Some(head) if head.prev_size == head.size && head.size == self.end => continue,
                Some(head) if head.size <= self.end => break head,
                Some(head) if head.prev_size < self.end => {
                    let found = describe(head.size, &head.root);
                    report.add(format!(
                        "table head: {found} begins below the newest head and ends beyond it"
                    ));
                }
                // Rows that were stored after this fsck began.
                _ => return Ok(None),
            }
        };
        if head.prev_size != self.reached {
            let (at, reached) = (head.prev_size, self.reached);
            report.add(format!("table head: the head after size {reached} is missing; the next one follows size {at}"));
        }
        if head.time < self.last_time {
            report.add(format!(
                "table head: the time of {} is before its predecessor's",
                describe(head.size, &head.root)
            ));
        }
        self.reached = head.size;
        self.last_time = self.last_time.max(head.time);
        Ok(Some(head))
    }
}
