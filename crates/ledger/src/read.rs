//! Reads: entries, proofs, search. Every answer belongs to one published head.

use std::sync::Arc;

use tlog::{Hash, LeafIndex};

use crate::store::{Attestation, StoreError};
use crate::Head;

/// An entry that is in the log.
#[derive(Clone, Debug)]
pub struct LoggedEntry {
    /// Position in its tree.
    pub leaf_index: LeafIndex,
    /// Leaf hash.
    pub leaf_hash: Hash,
    /// Integrated time, Unix seconds.
    pub time: i64,
    /// Kind and version tag.
    pub kind: String,
    /// The leaf bytes.
    pub body: Arc<[u8]>,
    /// Signature over Rekor's SET payload.
    pub signed_entry_timestamp: Vec<u8>,
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
    /// A size or index beyond the head.
    #[error("{0}")]
    OutOfRange(String),
    /// What is stored does not lead to the head's root. Never answered with.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
}
