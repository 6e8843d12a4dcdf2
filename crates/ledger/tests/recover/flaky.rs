//! A source that ends at one of its calls, as a run that is killed there.

use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use ledger::recover::{Page, Source, SourceError, SourceHead};
use ledger::store::{FinalCheckpoint, LogName, PublicationRow, TimestampRow, TreeRow};
use ledger::{Tree, TreeId};
use tlog::{Hash, LeafIndex, TreeSize};

pub(crate) struct Flaky<'a> {
    inner: &'a dyn Source,
    /// Calls that it still answers.
    left: AtomicI64,
}

impl<'a> Flaky<'a> {
    /// Answers so many calls.
    pub(crate) fn new(inner: &'a dyn Source, calls: i64) -> Self {
        Self {
            inner,
            left: AtomicI64::new(calls),
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.left.load(Ordering::Relaxed) < 0
    }

    fn call(&self) -> Result<&'a dyn Source, SourceError> {
        if self.left.fetch_sub(1, Ordering::Relaxed) <= 0 {
            return Err(SourceError {
                label: self.label(),
                reason: "ended here".into(),
            });
        }
        Ok(self.inner)
    }
}

#[async_trait]
impl Source for Flaky<'_> {
    fn label(&self) -> String {
        self.inner.label()
    }

    async fn trees(&self, log: LogName<'_>, known: &[TreeId]) -> Result<Vec<TreeRow>, SourceError> {
        self.call()?.trees(log, known).await
    }

    async fn head(&self, tree: &Tree) -> Result<SourceHead, SourceError> {
        self.call()?.head(tree).await
    }

    async fn leaf_hashes(&self, tree: TreeId, range: Range<u64>) -> Result<Vec<Hash>, SourceError> {
        self.call()?.leaf_hashes(tree, range).await
    }

    /// One round at a time, so that there is a call between any two.
    async fn page(&self, tree: TreeId, from: TreeSize, end: TreeSize) -> Result<Page, SourceError> {
        let mut page = self.call()?.page(tree, from, end).await?;
        page.rounds.truncate(1);
        Ok(page)
    }

    async fn timestamps(
        &self,
        tree: TreeId,
        indexes: &[LeafIndex],
    ) -> Result<Vec<TimestampRow>, SourceError> {
        self.call()?.timestamps(tree, indexes).await
    }

    async fn publications(
        &self,
        tree: TreeId,
        after: Option<TreeSize>,
    ) -> Result<Vec<PublicationRow>, SourceError> {
        self.call()?.publications(tree, after).await
    }

    async fn final_checkpoint(&self, tree: TreeId) -> Result<Option<FinalCheckpoint>, SourceError> {
        self.call()?.final_checkpoint(tree).await
    }
}
