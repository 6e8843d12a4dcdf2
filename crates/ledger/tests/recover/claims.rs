//! Claims are checked against the entries that made them.

use std::ops::Range;

use async_trait::async_trait;
use ledger::recover::{DatabaseCopy, Page, RecoverError, Source, SourceError, SourceHead};
use ledger::store::{FinalCheckpoint, LogName, PublicationRow, TimestampRow, TreeRow};
use ledger::{NewClaim, Tree, TreeId};
use tlog::{Hash, LeafIndex, TreeSize};

use crate::database::Database;
use crate::sample::Sample;
use crate::{assert_same, begin, copy_of, recover};

/// A copy in which the claim of the entry with leaf index 4 is another one.
struct Changed {
    inner: DatabaseCopy,
    change: fn(&mut NewClaim),
}

pub(crate) async fn a_wrong_one_is_refused(database: &Database) {
    let store = database.store.as_ref();
    let sample = Sample::sqlite().await;
    sample.append(0..9).await;
    begin(store, sample.store.as_ref()).await;
    for (change, fault) in [
        (
            (|claim| claim.name = "group-3".into()) as fn(&mut NewClaim),
            "group-3 has a name that is not among",
        ),
        (
            |claim| claim.values = [(1, vec![0xff, 0xff])].into(),
            "group-4 has a value that is not among",
        ),
    ] {
        let changed = Changed {
            inner: copy_of(&sample.store),
            change,
        };
        let refused = recover(store, &changed, None).await;
        let Err(RecoverError::Source(error)) = refused else {
            panic!("{refused:?}");
        };
        let expected = format!("the claim of leaf index 4 on {fault}");
        assert!(error.reason.starts_with(&expected), "{error}");
    }
    // The rounds before it are there, and the next run goes on.
    recover(store, &copy_of(&sample.store), None).await.unwrap();
    assert_same(store, sample.store.as_ref()).await;
}

#[async_trait]
impl Source for Changed {
    fn label(&self) -> String {
        self.inner.label()
    }

    async fn trees(&self, log: LogName<'_>, known: &[TreeId]) -> Result<Vec<TreeRow>, SourceError> {
        self.inner.trees(log, known).await
    }

    async fn head(&self, tree: &Tree) -> Result<SourceHead, SourceError> {
        self.inner.head(tree).await
    }

    async fn leaf_hashes(&self, tree: TreeId, range: Range<u64>) -> Result<Vec<Hash>, SourceError> {
        self.inner.leaf_hashes(tree, range).await
    }

    async fn page(&self, tree: TreeId, from: TreeSize, end: TreeSize) -> Result<Page, SourceError> {
        let mut page = self.inner.page(tree, from, end).await?;
        for round in &mut page.rounds {
            let entries = (round.head.prev_size.0..).zip(&mut round.entries);
            for (_, entry) in entries.filter(|(index, _)| *index == 4) {
                entry.claims.iter_mut().for_each(self.change);
            }
        }
        Ok(page)
    }

    async fn timestamps(
        &self,
        tree: TreeId,
        indexes: &[LeafIndex],
    ) -> Result<Vec<TimestampRow>, SourceError> {
        self.inner.timestamps(tree, indexes).await
    }

    async fn publications(
        &self,
        tree: TreeId,
        after: Option<TreeSize>,
    ) -> Result<Vec<PublicationRow>, SourceError> {
        self.inner.publications(tree, after).await
    }

    async fn final_checkpoint(&self, tree: TreeId) -> Result<Option<FinalCheckpoint>, SourceError> {
        self.inner.final_checkpoint(tree).await
    }
}
