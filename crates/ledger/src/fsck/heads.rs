//! The stored heads: each must follow its predecessor and have the root that its entries give.

use tlog::TreeSize;

use super::{Check, Report};
use crate::heads::tile_set::describe;
use crate::store::{AuditEntry, Audited, HeadRow, Store, StoreError, TreeRow};

/// Heads of one read.
const PAGE_HEADS: u32 = 1_024;
/// Heads at the end that may be damaged, before the tree counts as empty.
const LAST_HEADS: u32 = 16;
/// Entries that may be missing at the end, each of which is reported: those of a full round.
const MISSING_AT_END: u64 = 1_024;

/// Returns the size at which a tree is compared: that of the newest head that is no smaller than its
/// predecessor, unless the entries end long before.
///
/// A damaged size would otherwise make fsck look for entries that never were, almost without end.
pub(super) async fn size_to_compare(
    store: &dyn Store,
    tree: &TreeRow,
    report: &mut Report,
) -> Result<TreeSize, StoreError> {
    let heads = store.audited_last_heads(tree.tree_id, LAST_HEADS).await?;
    // Read after the heads, so that it is no older.
    let last = store.audited_last_index(tree.tree_id).await?;
    let entries = TreeSize(last.map_or(0, |last| last.0.saturating_add(1)));
    let is_plausible = |head: &Audited<HeadRow>| head.row.prev_size <= head.row.size;
    let newest = heads.iter().find(|head| is_plausible(head));
    let size = newest.map_or(TreeSize(0), |head| head.row.size);
    let end = entries.0.saturating_add(MISSING_AT_END);
    if size.0 <= end {
        return Ok(size);
    }
    report.add(format!(
        "table head: the newest size is {size}, and the entries end at {entries}"
    ));
    Ok(entries)
}

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
    page: std::vec::IntoIter<Audited<HeadRow>>,
    /// Size of the last head given out: where the next must begin.
    reached: TreeSize,
    last_time: i64,
    end: TreeSize,
    /// Whether the last page was read.
    is_at_end: bool,
    current: Option<HeadRow>,
}

impl Heads {
    pub(super) fn new(end: TreeSize) -> Self {
        Self {
            page: Vec::new().into_iter(),
            reached: TreeSize(0),
            last_time: i64::MIN,
            end,
            is_at_end: false,
            current: None,
        }
    }

    /// Returns the time of the head of this size, which the entries have just reached.
    pub(super) fn time_of(&self, size: TreeSize) -> Option<i64> {
        match self.current {
            Some(head) => (head.size == size).then_some(head.time),
            // A head that adds nothing to an empty tree has this time.
            None => (size.0 == 0).then_some(0),
        }
    }

    async fn next(
        &mut self,
        store: &dyn Store,
        tree: &TreeRow,
        report: &mut Report,
    ) -> Result<Option<HeadRow>, StoreError> {
        if self.page.len() == 0 && self.reached < self.end && !self.is_at_end {
            let (tree, from) = (tree.tree_id, self.reached);
            let page = store.audited_heads(tree, from, PAGE_HEADS).await?;
            self.is_at_end = page.len() < PAGE_HEADS as usize;
            self.page = page.into_iter();
        }
        let head = loop {
            let Some(Audited { row, unreadable }) = self.page.next() else {
                return Ok(None);
            };
            let at = format!("the head after size {}", row.prev_size);
            report.add_unreadable(&at, &unreadable);
            match row {
                head if head.prev_size > head.size => report.add(format!(
                    "table head: {} ends before it begins, at size {}",
                    describe(head.size, &head.root),
                    head.prev_size
                )),
                // The last head of a frozen tree, which is looked at by itself.
                head if head.prev_size == head.size && head.size == self.end => continue,
                head if head.size <= self.end => break head,
                head if head.prev_size < self.end => {
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
