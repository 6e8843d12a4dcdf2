//! The log as the server sees it.

use std::sync::Arc;

use tlog::{Hash, LeafIndex, SigningKey, TreeSize};

use crate::store::{EntryRef, Store, StoreError};
use crate::{AppendError, Appended, Clock, Head, InclusionProof, LoggedEntry, NewEntry, ReadError, Tree, TreeId};

/// What a log needs to run.
pub struct Settings {
    /// The database.
    pub store: Arc<dyn Store>,
    /// Name of the log: MUST equal the stored one where the database holds a log; none takes the only one there.
    /// An empty database gets a new tree of this name (`localhost` if none).
    pub name: Option<String>,
    /// The P-256 log key.
    pub key: SigningKey,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Where the `treehead_…` metrics of the ledger are registered.
    pub metrics: prometheus::Registry,
}

/// Why a log cannot be opened. One clear line each.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored head was signed by another key.
    #[error("the key does not belong to this log: the log {name:?} (tree {tree}) needs the key with log ID {wanted}, this one has {got}")]
    WrongKey {
        /// Name of the log.
        name: String,
        /// Its tree.
        tree: TreeId,
        /// Log ID of its key.
        wanted: Hash,
        /// Log ID of the key given.
        got: Hash,
    },
    /// The database holds other logs.
    #[error("the database holds {held}, not {wanted:?}: a log's name never changes")]
    WrongName {
        /// Names it holds.
        held: String,
        /// Name asked for.
        wanted: String,
    },
    /// The stored head does not follow from the stored tiles.
    #[error("{0}")]
    Damaged(String),
}

/// One open log. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    tree: Arc<Tree>,
}

impl Ledger {
    /// Opens the log, creating its tree in an empty database, and starts the sequencer.
    pub async fn open(_settings: Settings) -> Result<Self, OpenError> {
        todo!()
    }

    /// The active tree.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.inner.tree
    }

    /// The published head as this process knows it.
    pub fn head(&self) -> Arc<Head> {
        todo!()
    }

    /// The newest head, with one read of the database that all waiting requests share where other servers may write to it.
    /// Call it before any answer that says "absent" or "too large", and for tree heads and checkpoints.
    pub async fn newest_head(&self) -> Result<Arc<Head>, ReadError> {
        todo!()
    }

    /// Why the log is read-only, if it is.
    pub fn read_only(&self) -> Option<String> {
        todo!()
    }

    /// Database reachable, head loaded, its checkpoint verifies, log not read-only.
    pub async fn ready(&self) -> Result<(), String> {
        todo!()
    }

    /// Appends an entry; returns once it is durable, below the published head, and signed.
    pub async fn append(&self, _entry: NewEntry) -> Result<Appended, AppendError> {
        todo!()
    }

    /// Entries by leaf index below `head`, in the order asked for, absent ones left out, duplicates kept.
    pub async fn entries(&self, _head: &Head, _indexes: &[LeafIndex]) -> Result<Vec<LoggedEntry>, ReadError> {
        todo!()
    }

    /// Where these leaf hashes are below `head`; absent ones are left out.
    pub async fn find_leaves(&self, _head: &Head, _leaf_hashes: &[Hash]) -> Result<Vec<EntryRef>, ReadError> {
        todo!()
    }

    /// Entries below `head` that have all of `keys` (lower-cased here), newest first, at most `limit`.
    pub async fn find_by_keys(&self, _head: &Head, _keys: &[String], _limit: u32) -> Result<Vec<EntryRef>, ReadError> {
        todo!()
    }

    /// The inclusion proof of a leaf in `head`, verified before it is returned.
    pub async fn inclusion_proof(&self, _head: &Arc<Head>, _index: LeafIndex, _leaf_hash: &Hash) -> Result<InclusionProof, ReadError> {
        todo!()
    }

    /// The consistency proof between two sizes up to `head`, verified before it is returned.
    pub async fn consistency_proof(&self, _head: &Arc<Head>, _first: TreeSize, _second: TreeSize) -> Result<Vec<Hash>, ReadError> {
        todo!()
    }

    /// Stops taking entries, finishes the queue, stores what signed entry timestamps wait. Appends then answer `Stopping`.
    pub async fn stop(&self) {
        todo!()
    }
}
