//! Results of reads: entries, inclusion proofs, errors.

use std::sync::Arc;

use tlog::{Hash, LeafIndex, ProofError};

use crate::api::MAX_BUNDLED_LEAF_BYTES;
use crate::heads::head::Head;
use crate::ids::TreeId;
use crate::keys::signer::SigningError;
use crate::store::{Attestation, StoreError};

/// An entry that is in the log.
#[derive(Clone, Debug)]
pub struct LoggedEntry {
    /// Its tree.
    pub tree: TreeId,
    /// Leaf index in its tree.
    pub leaf_index: LeafIndex,
    /// Leaf hash.
    pub leaf_hash: Hash,
    /// Integrated time, Unix seconds.
    pub time: i64,
    /// Kind and version tag.
    pub kind: String,
    /// The leaf bytes.
    pub body: Arc<[u8]>,
    /// Stored signature over Rekor's SET payload. `None` if it was never asked for or waits to be
    /// stored: [`crate::Log::signed_entry_timestamp`] returns it in any case.
    pub signed_entry_timestamp: Option<Arc<[u8]>>,
    /// Bytes kept beside the entry.
    pub attestation: Option<Attestation>,
}

/// A verified inclusion proof with the head that it leads to.
#[derive(Clone)]
pub struct InclusionProof {
    /// The head.
    pub head: Arc<Head>,
    /// Hashes, leaf to root.
    pub hashes: Vec<Hash>,
}

/// Why a read failed. Absence is not an error.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A signed entry timestamp could not be made.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A size or index beyond the head.
    #[error("{0}")]
    OutOfRange(String),
    /// A leaf is larger than an entry bundle can hold (C2SP tlog-tiles).
    #[error(
        "tree {tree} has no entry bundle here: entry {leaf_index} is larger than the \
         {MAX_BUNDLED_LEAF_BYTES} bytes that a bundle can hold"
    )]
    NotBundled {
        /// Its tree.
        tree: TreeId,
        /// Its leaf index.
        leaf_index: u64,
    },
    /// The log is read-only, because its database went back; the text names both heads. Entries
    /// that were acknowledged may be missing, so the log does not answer that anything is absent.
    #[error("the log is read-only: {0}")]
    WentBack(String),
    /// The entry was lost with its database, or may be one that was. Nobody can show it any more.
    #[error("{0}")]
    Lost(String),
    /// Too many searches wait already.
    #[error("too many searches at once")]
    Busy,
    /// Stored data does not lead to the head's root. It is never part of an answer.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
}

impl From<ProofError> for ReadError {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::OutOfRange(what) => Self::OutOfRange(what),
            other => Self::Damaged(other.to_string()),
        }
    }
}
