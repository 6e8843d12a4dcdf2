//! The heads that a guard keeps.

use tlog::{Edge, Hash, TreeSize};

use crate::ids::TreeId;
use crate::store::TreeRow;

/// The newest head of a log that was let out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedHead {
    /// Name of the API of the log.
    pub api: String,
    /// Its active tree.
    pub tree: TreeId,
    /// Log index of the first entry of that tree.
    pub first_log_index: u64,
    /// Integrated time of the round of the head, Unix seconds; 0 for an empty tree.
    pub time: i64,
    /// The signed texts of the head. `None` for an empty tree of which nothing was let out.
    pub texts: Option<GuardedTexts>,
    /// The right edge of the tree at this head. It has the size, reproduces the root, and lets
    /// entries below the head be proved while the database lacks the newest ones.
    pub edge: Edge,
}

/// The signed texts of a head, as the log alone signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedTexts {
    /// The C2SP checkpoint.
    pub checkpoint: String,
    /// Rekor v1's text of the same head, in a log of that API.
    pub rekor_checkpoint: Option<String>,
}

/// The newest heads of the logs of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedHeads {
    /// Name of the ledger.
    pub ledger: String,
    /// At most one head of each log.
    pub heads: Vec<GuardedHead>,
}

impl GuardedHead {
    /// Returns the head that a new tree begins with, of which nothing was let out.
    pub fn begin(tree: &TreeRow) -> Self {
        Self {
            api: tree.api.clone(),
            tree: tree.tree_id,
            first_log_index: tree.first_log_index,
            time: 0,
            texts: None,
            edge: Edge::empty(),
        }
    }

    /// Returns the tree size.
    pub fn size(&self) -> TreeSize {
        self.edge.size()
    }

    /// Returns the root hash.
    pub fn root(&self) -> Hash {
        self.edge.root()
    }

    /// Returns whether this is another head of the same size of the same tree.
    pub fn contradicts(&self, other: &Self) -> bool {
        (self.tree, self.size()) == (other.tree, other.size()) && self.root() != other.root()
    }

    /// Returns whether this is a later head of the log than the other one. A tree begins at the log
    /// index at which the one before it ended, or later if entries were lost.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let place = |head: &Self| (head.first_log_index, head.size());
        place(self) > place(other)
    }
}

impl GuardedHeads {
    /// Puts a head in the place of that of its log.
    pub fn note(&mut self, head: GuardedHead) {
        match self.heads.iter_mut().find(|old| old.api == head.api) {
            Some(old) => *old = head,
            None => self.heads.push(head),
        }
    }
}
