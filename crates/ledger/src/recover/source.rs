//! What a recovery reads from.

use std::ops::Range;

use async_trait::async_trait;
use tlog::{Hash, LeafIndex, TreeSize};

use super::page::Page;
use crate::ids::TreeId;
use crate::store::{FinalCheckpoint, LogName, PublicationRow, TimestampRow, TreeRow};
use crate::tree::Tree;

/// Why a source does not give what it is asked for.
#[derive(Debug, thiserror::Error)]
#[error("{label}: {reason}")]
pub struct SourceError {
    /// The source.
    pub label: String,
    /// The reason.
    pub reason: String,
}

/// The newest head of a tree that a source has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceHead {
    /// Tree size.
    pub size: TreeSize,
    /// Root hash.
    pub root: Hash,
}

/// Another copy of a database, or a server that has the entries. Nothing that it gives is trusted:
/// all is checked against the tree, the keys of the log, and the floor.
#[async_trait]
pub trait Source: Send + Sync {
    /// Returns how people call it.
    fn label(&self) -> String;
    /// Returns the trees of a log, oldest first; none if it does not have the log. `known` are
    /// trees of the log whose IDs are known.
    async fn trees(&self, log: LogName<'_>, known: &[TreeId]) -> Result<Vec<TreeRow>, SourceError>;
    /// Returns the newest head of a tree up to which it gives rows.
    async fn head(&self, tree: &Tree) -> Result<SourceHead, SourceError>;
    /// Returns the leaf hashes of a range that lies within one tile of leaf hashes.
    async fn leaf_hashes(&self, tree: TreeId, range: Range<u64>) -> Result<Vec<Hash>, SourceError>;
    /// Returns the whole rounds that follow the size `from`, as many as a page takes, none beyond
    /// the size `end`.
    async fn page(&self, tree: TreeId, from: TreeSize, end: TreeSize) -> Result<Page, SourceError>;
    /// Returns the signed entry timestamps of some entries below its head, as far as it has them.
    async fn timestamps(
        &self,
        tree: TreeId,
        indexes: &[LeafIndex],
    ) -> Result<Vec<TimestampRow>, SourceError>;
    /// Returns publications that follow the one of size `after` (`None`: from the first), ascending.
    /// An empty answer is the end.
    async fn publications(
        &self,
        tree: TreeId,
        after: Option<TreeSize>,
    ) -> Result<Vec<PublicationRow>, SourceError>;
    /// Returns the last checkpoints of a frozen tree, if it has them.
    async fn final_checkpoint(&self, tree: TreeId) -> Result<Option<FinalCheckpoint>, SourceError>;
}
