//! Stored rounds, for a recovery elsewhere.

use std::sync::Arc;

use tlog::TreeSize;

use super::Log;
use crate::heads::head::Head;
use crate::reading::entry::ReadError;
use crate::recover::{self, Page};
use crate::store::{FinalCheckpoint, PublicationRow};

/// Rounds of a tree as they are stored, and what is stored beside them.
#[derive(Debug)]
pub struct TreeRows {
    /// The rounds.
    pub page: Page,
    /// The newest publication, in a log with witnesses.
    pub publication: Option<PublicationRow>,
    /// The last checkpoints, of a frozen tree that is finished.
    pub last: Option<FinalCheckpoint>,
}

impl Log {
    /// Returns the rounds of a tree that follow the size `from`, as many as a page takes, none
    /// beyond `head`. They are not compared with its root: whoever takes them does that.
    pub async fn rows(&self, head: &Arc<Head>, from: TreeSize) -> Result<TreeRows, ReadError> {
        let store = self.open.parts.shared.store.as_ref();
        let tree = head.tree.id;
        let publication = store.reader().newest_publication(tree).await?;
        Ok(TreeRows {
            page: recover::read_page(store, tree, from, head.size).await?,
            publication: publication.filter(|row| row.size <= head.size),
            last: store.final_checkpoint(tree).await?,
        })
    }
}
