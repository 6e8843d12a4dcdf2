//! The guard: for each log the newest head that this server let out, kept outside the database.
//!
//! A database can go back: an older copy is put in its place, or a standby takes over that had not
//! caught up. Nothing in it tells. So a server keeps the newest heads where a restore of the
//! database does not reach, and each is durable there before anything that states it leaves. At a
//! start the highest of these heads is the floor, which the database must extend.

use async_trait::async_trait;
use tlog::{Edge, Hash, TreeSize};

use crate::ids::TreeId;

mod board;
mod file;
mod format;
mod keeper;
mod metrics;
#[cfg(test)]
mod samples;

pub use file::FilePlace;
pub use format::{GuardFault, MAX_GUARD_BYTES};
pub use keeper::{KEEP_PATIENCE, Keeper, PLACE_PATIENCE, READ_PATIENCE};

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

/// Why a place cannot be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PlaceError(pub String);

/// Why a head is at no place.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no guard can be written: {0}")]
pub struct GuardError(pub String);

/// The answer of one place or source.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The place or source.
    pub label: String,
    /// Its heads; `None` if it never had any.
    pub found: Result<Option<GuardedHeads>, PlaceError>,
}

/// Keeps heads outside the database, at one place or several.
#[async_trait]
pub trait Guard: Send + Sync + 'static {
    /// Reads all places and sources, each for a bounded time.
    async fn read(&self) -> Vec<Reading>;
    /// Keeps the head of a log, unless a newer one of that log is kept. On return it is durable at
    /// each place that works.
    ///
    /// # Errors
    ///
    /// No place has it.
    async fn keep(&self, head: GuardedHead) -> Result<(), GuardError>;
    /// Returns the newest heads that were kept.
    fn heads(&self) -> GuardedHeads;
    /// Returns why the newest heads are at no place, if that is so.
    fn fault(&self) -> Option<String>;
}

/// A place outside the database where heads are kept. It blocks, so each works on a thread of its
/// own.
pub trait Place: Send + 'static {
    /// Returns how log lines, metrics and people call it.
    fn label(&self) -> String;
    /// Returns the heads that it has; `None` if none were ever written.
    fn read(&mut self) -> Result<Option<GuardedHeads>, PlaceError>;
    /// Stores the heads; durable on return. MUST NOT put older heads in the place of newer ones that
    /// another server stored.
    fn write(&mut self, heads: &GuardedHeads) -> Result<(), PlaceError>;
}

/// Heads that others know: another server of the ledger.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Returns how log lines and people call it.
    fn label(&self) -> String;
    /// Returns the heads that it let out; `None` if it has let none out.
    async fn read(&self) -> Result<Option<GuardedHeads>, PlaceError>;
}

impl GuardedHead {
    /// Returns the tree size.
    pub fn size(&self) -> TreeSize {
        self.edge.size()
    }

    /// Returns the root hash.
    pub fn root(&self) -> Hash {
        self.edge.root()
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
