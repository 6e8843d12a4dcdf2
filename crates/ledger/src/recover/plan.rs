//! What brings a log forward.

use crate::api::Api;
use crate::store::TreeRow;
use crate::tree::Tree;
use tlog::TreeSize;

use super::source::SourceHead;

/// The steps that bring one log forward. All of it was verified, and nothing was changed.
#[derive(Debug)]
pub struct Plan {
    /// The API of the log.
    pub api: &'static Api,
    /// Whether the source has the log.
    pub is_in_source: bool,
    /// Its trees that are brought forward, oldest first. None if the log has not gone back.
    pub steps: Vec<Step>,
}

/// The step of one tree.
#[derive(Debug)]
pub struct Step {
    /// The tree as the source has it.
    pub row: TreeRow,
    /// The size that the database has.
    pub from: TreeSize,
    /// The head that it is brought to.
    pub to: SourceHead,
    /// The tree that follows it and that the database lacks.
    pub next: Option<TreeRow>,
    /// Whether this is the first tree of a log that the database lacks.
    pub(super) begins_log: bool,
    pub(super) tree: Tree,
}

/// Progress of a recovery.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// So many leaf hashes of so many are verified.
    Verified(u64, u64),
    /// So many entries of so many are copied.
    Copied(u64, u64),
}

impl Plan {
    /// Returns the number of entries that are added.
    pub fn entries(&self) -> u64 {
        self.steps.iter().map(Step::entries).sum()
    }
}

impl Step {
    /// Returns the number of entries that are added to the tree.
    pub fn entries(&self) -> u64 {
        self.to.size.0 - self.from.0
    }
}
