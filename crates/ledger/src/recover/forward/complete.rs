//! What belongs to rounds and is stored beside them: signed entry timestamps of older entries,
//! publications, and the last checkpoints of a frozen tree.

use tlog::{Checkpoint, LeafIndex, TreeSize};

use super::{Forward, has_timestamps};
use crate::heads::load::load_edge;
use crate::recover::error::RecoverError;
use crate::recover::plan::Step;
use crate::recover::replay::verifies;
use crate::recover::source::SourceError;
use crate::store::{PublicationRow, StoreError, TimestampRow};

/// Entries that are looked at together.
const PAGE_ENTRIES: u64 = 1_024;

impl Forward<'_> {
    /// Adds signed entry timestamps of entries that the database has. A timestamp is stored with a
    /// later round than its entry, and clients may have it.
    pub(super) async fn add_timestamps(&self, step: &Step) -> Result<(), RecoverError> {
        let (tree, size) = (step.tree.id, step.from.0);
        if !has_timestamps(&step.tree) {
            return Ok(());
        }
        for start in (0..size).step_by(PAGE_ENTRIES as usize) {
            let range = start..size.min(start + PAGE_ENTRIES);
            let unsigned: Vec<LeafIndex> = self.store.unsigned(tree, range).await?;
            if unsigned.is_empty() {
                continue;
            }
            let rows = self.source.timestamps(tree, &unsigned).await?;
            for row in &rows {
                self.check_timestamp(step, row).await?;
            }
            self.store.put_timestamps(tree, &rows).await?;
        }
        Ok(())
    }

    async fn check_timestamp(&self, step: &Step, row: &TimestampRow) -> Result<(), RecoverError> {
        let (tree, index) = (&step.tree, row.leaf_index);
        let range = index.0..index.0 + 1;
        let entry = self.store.audit_entries(tree.id, range).await?.pop();
        let body = entry
            .as_ref()
            .and_then(|entry| Some((entry.time, entry.body.as_ref()?)));
        let missing = || StoreError::Damaged(format!("table body: leaf index {index} is missing"));
        let (time, body) = body.ok_or_else(missing)?;
        match verifies(tree, index, time, body, &row.signature) {
            true => Ok(()),
            false => Err(self.fault(format!(
                "the signed entry timestamp of leaf index {index} does not verify"
            ))),
        }
    }

    /// Adds the publications of heads that the database has by now.
    pub(super) async fn add_publications(&self, step: &Step) -> Result<(), RecoverError> {
        let tree = step.tree.id;
        let mut reader = self.store.reader();
        let integrated = reader.newest_head(tree).await?;
        let integrated = integrated.map_or(TreeSize(0), |head| head.size);
        let newest = reader.newest_publication(tree).await?;
        let mut after = newest.map(|row| row.size);
        loop {
            let mut rows = self.source.publications(tree, after).await?;
            rows.retain(|row| row.size <= integrated);
            let Some(last) = rows.last().map(|row| row.size) else {
                return Ok(());
            };
            let mut publisher = self.store.publisher().await?;
            for row in &rows {
                self.check_publication(step, row).await?;
                if !publisher.publish(tree, row).await? {
                    return Err(RecoverError::Overtaken);
                }
            }
            after = Some(last);
        }
    }

    async fn check_publication(
        &self,
        step: &Step,
        row: &PublicationRow,
    ) -> Result<(), RecoverError> {
        let mut reader = self.store.reader();
        let edge = load_edge(reader.as_mut(), step.tree.id, row.size).await?;
        let wrong =
            |what: String| self.fault(format!("the publication of size {}: {what}", row.size));
        if edge.root() != row.root {
            return Err(wrong("the entries give another root".to_owned()));
        }
        for text in step.tree.texts(None, &row.checkpoint) {
            let stated = text.open().map_err(wrong)?;
            if stated != Checkpoint::new(text.origin.as_str(), row.size, row.root) {
                return Err(wrong("its checkpoint states another head".to_owned()));
            }
        }
        Ok(())
    }

    /// Adds the last checkpoints of a frozen tree once all its signed entry timestamps are stored.
    /// What the source lacks, a server with the key of the tree makes.
    pub(super) async fn finish(&self, step: &Step) -> Result<(), RecoverError> {
        let (tree, size) = (step.tree.id, step.to.size);
        let Some(last) = self.source.final_checkpoint(tree).await? else {
            return Ok(());
        };
        if let Some(fault) = last.faults(&step.tree, size, step.to.root).pop() {
            return Err(self.fault(format!("the end of tree {tree}: {fault}")));
        }
        let signed = if has_timestamps(&step.tree) {
            size.0
        } else {
            0
        };
        for start in (0..signed).step_by(PAGE_ENTRIES as usize) {
            let range = start..signed.min(start + PAGE_ENTRIES);
            if !self.store.unsigned(tree, range).await?.is_empty() {
                return Ok(());
            }
        }
        Ok(self.store.keep_final(tree, &last).await?)
    }

    fn fault(&self, reason: String) -> RecoverError {
        let label = self.source.label();
        SourceError { label, reason }.into()
    }
}
