//! Another copy of the database.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use tlog::{Hash, LeafIndex, TreeSize};

use super::page::{self, Page};
use super::source::{Source, SourceError, SourceHead};
use crate::heads::load::load_head;
use crate::ids::TreeId;
use crate::store::{
    FinalCheckpoint, LogName, PublicationRow, Store, StoreError, TimestampRow, TreeRow,
};
use crate::tree::Tree;

/// Publications of one read.
const PAGE_PUBLICATIONS: u32 = 64;

/// Another copy of the database: its rows are taken as they are.
pub struct DatabaseCopy {
    store: Arc<dyn Store>,
    label: String,
}

impl DatabaseCopy {
    /// Makes a source of an open copy. `label` is how people call it.
    pub fn new(store: Arc<dyn Store>, label: String) -> Self {
        Self { store, label }
    }

    fn fault(&self, error: &StoreError) -> SourceError {
        SourceError {
            label: self.label.clone(),
            reason: error.to_string(),
        }
    }
}

#[async_trait]
impl Source for DatabaseCopy {
    fn label(&self) -> String {
        self.label.clone()
    }

    async fn trees(&self, log: LogName<'_>, _: &[TreeId]) -> Result<Vec<TreeRow>, SourceError> {
        let trees = self.store.trees().await;
        let mut trees = trees.map_err(|error| self.fault(&error))?;
        trees.retain(|tree| tree.name == log.name && tree.api == log.api);
        Ok(trees)
    }

    async fn head(&self, tree: &Tree) -> Result<SourceHead, SourceError> {
        let mut reader = self.store.reader();
        let head = load_head(reader.as_mut(), tree.id).await;
        let head = head.map_err(|error| self.fault(&error))?;
        Ok(SourceHead {
            size: head.size,
            root: head.root,
        })
    }

    async fn leaf_hashes(&self, tree: TreeId, range: Range<u64>) -> Result<Vec<Hash>, SourceError> {
        let hashes = self.store.reader().leaf_hashes(tree, range).await;
        hashes.map_err(|error| self.fault(&error))
    }

    async fn page(&self, tree: TreeId, from: TreeSize, end: TreeSize) -> Result<Page, SourceError> {
        let page = page::read(self.store.as_ref(), tree, from, end).await;
        page.map_err(|error| self.fault(&error))
    }

    async fn timestamps(
        &self,
        tree: TreeId,
        indexes: &[LeafIndex],
    ) -> Result<Vec<TimestampRow>, SourceError> {
        let mut reader = self.store.reader();
        let read = async {
            let newest = reader.newest_head(tree).await?;
            let size = newest.map_or(TreeSize(0), |head| head.size);
            self.store.entries(tree, indexes, size).await
        };
        let entries = read.await.map_err(|error| self.fault(&error))?;
        let rows = entries.into_iter().filter_map(|entry| {
            Some(TimestampRow {
                leaf_index: entry.leaf_index,
                signature: entry.signed_entry_timestamp?.into(),
            })
        });
        Ok(rows.collect())
    }

    async fn publications(
        &self,
        tree: TreeId,
        after: Option<TreeSize>,
    ) -> Result<Vec<PublicationRow>, SourceError> {
        let rows = self.store.publications(tree, after, PAGE_PUBLICATIONS);
        rows.await.map_err(|error| self.fault(&error))
    }

    async fn final_checkpoint(&self, tree: TreeId) -> Result<Option<FinalCheckpoint>, SourceError> {
        let last = self.store.final_checkpoint(tree).await;
        last.map_err(|error| self.fault(&error))
    }
}
