//! Checkpoints of Rekor v1 that were verified.

use std::collections::HashMap;

use tlog::{Hash, TreeSize};

use crate::error::{Result, require};
use crate::head::SignedHead;
use crate::key::LogKey;

/// Trusted keys, and the checkpoints of one answer that were verified with them. The entries of an
/// answer mostly share one.
pub(super) struct OpenedHeads<'a> {
    pub(super) keys: &'a [LogKey],
    opened: HashMap<String, SignedHead>,
}

impl<'a> OpenedHeads<'a> {
    pub(super) fn new(keys: &'a [LogKey]) -> Self {
        Self {
            keys,
            opened: HashMap::new(),
        }
    }

    /// Opens a checkpoint of this head, as [`open_checkpoint`] does.
    pub(super) fn open(&mut self, note: &str, size: TreeSize, root: &Hash) -> Result<SignedHead> {
        if let Some(head) = self.opened.get(note) {
            require_head(head, size, root)?;
            return Ok(head.clone());
        }
        let head = open_checkpoint(self.keys, note, size, root)?;
        self.opened.insert(note.to_owned(), head.clone());
        Ok(head)
    }
}

/// Opens a checkpoint of this head, whose origin is `name - tree ID`.
pub(super) fn open_checkpoint(
    keys: &[LogKey],
    note: &str,
    size: TreeSize,
    root: &Hash,
) -> Result<SignedHead> {
    let head = SignedHead::open(keys, note)?;
    require(head.tree_id().is_some(), || {
        format!("the origin is {}", head.origin())
    })?;
    require_head(&head, size, root)?;
    Ok(head)
}

fn require_head(head: &SignedHead, size: TreeSize, root: &Hash) -> Result<()> {
    require((head.size(), head.root()) == (size, root), || {
        "the checkpoint is of another head".into()
    })
}
