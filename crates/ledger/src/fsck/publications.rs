//! Published heads with a witness policy: each follows its predecessor, states a stored head, and has
//! the text that says so.

use tlog::TreeSize;

use super::Check;
use crate::Tree;
use crate::heads::tile_set::describe;
use crate::store::{Audited, PublicationRow, StoreError};

/// Publications of one read.
const PAGE: u32 = 256;

/// The stored publications in order, read in pages.
#[derive(Default)]
pub(super) struct Publications {
    page: std::vec::IntoIter<PublicationRow>,
    /// The one that waits for the tree to reach its size.
    waiting: Option<PublicationRow>,
    /// Size of the last one that was read; `None` before the first.
    reached: Option<TreeSize>,
    /// Whether all were read.
    is_at_end: bool,
}

impl Check<'_> {
    /// Compares the publications of the size that the tree has reached.
    pub(super) async fn publication_at_size(
        &mut self,
        tree: Option<&Tree>,
    ) -> Result<(), StoreError> {
        let size = self.audit.size();
        loop {
            if self.publications.waiting.is_none() {
                self.publications.waiting = self.next_publication().await?;
            }
            match self.publications.waiting.take_if(|row| row.size <= size) {
                None => return Ok(()),
                Some(row) if row.size == size => self.publication(&row, tree),
                Some(row) => self.not_a_head(&row),
            }
        }
    }

    /// Reports publications that the heads do not reach.
    pub(super) async fn finish_publications(
        &mut self,
        tree: Option<&Tree>,
    ) -> Result<(), StoreError> {
        self.publication_at_size(tree).await?;
        // A head is integrated before it is published, so one that is newer than this run is stored.
        let newest = self.store.reader().newest_head(self.tree.tree_id).await;
        let newest = newest.ok().flatten().map(|head| head.size);
        let mut waiting = self.publications.waiting.take();
        while let Some(row) = waiting {
            if newest.is_none_or(|newest| row.size > newest) {
                self.not_a_head(&row);
            }
            waiting = self.next_publication().await?;
        }
        Ok(())
    }

    async fn next_publication(&mut self) -> Result<Option<PublicationRow>, StoreError> {
        if self.publications.page.len() == 0 && !self.publications.is_at_end {
            let from = self.publications.reached;
            let read = self
                .store
                .audited_publications(self.tree.tree_id, from, PAGE)
                .await?;
            self.publications.is_at_end = read.len() < PAGE as usize;
            let mut page = Vec::new();
            for Audited { row, unreadable } in read {
                let at = format!("the publication of size {}", row.size);
                self.report.add_unreadable(&at, &unreadable);
                page.push(row);
            }
            self.publications.page = page.into_iter();
        }
        let Some(row) = self.publications.page.next() else {
            return Ok(None);
        };
        if row.prev_size != self.publications.reached {
            let after = self.publications.reached.map_or(0, |size| size.0);
            let size = row.size;
            self.report.add(format!(
                "table publication: the row of size {size} does not follow the one of size {after}"
            ));
        }
        self.publications.reached = Some(row.size);
        Ok(Some(row))
    }

    /// Compares a publication with the tree at its size, and with its own text.
    fn publication(&mut self, row: &PublicationRow, tree: Option<&Tree>) {
        let (size, root) = (row.size, self.audit.root());
        if row.root != root {
            let stored = describe(size, &row.root);
            self.report.add(format!(
                "table publication: {stored}, but its entries give root {root}"
            ));
        }
        match self.heads.time_of(size) {
            Some(time) if time == row.time => {}
            Some(_) => self.report.add(format!(
                "table publication: the time of size {size} is not that of its head"
            )),
            None => self.not_a_head(row),
        }
        let Some(tree) = tree else { return };
        for text in tree.texts(None, &row.checkpoint) {
            let fault = match text.open() {
                Ok(stated) if (stated.size, stated.root) == (size, root) => continue,
                Ok(stated) => format!("states {}", describe(stated.size, &stated.root)),
                Err(error) => format!("does not verify: {error}"),
            };
            self.report.add(format!(
                "table publication: the checkpoint of size {size} {fault}"
            ));
        }
    }

    fn not_a_head(&mut self, row: &PublicationRow) {
        let stored = describe(row.size, &row.root);
        self.report
            .add(format!("table publication: {stored} is no stored head"));
    }
}
