//! Reads: proofs and signed entry timestamps. Every answer belongs to one published head.

use std::sync::Arc;

use tlog::{Hash, LeafIndex, ProofError, TreeSize};

use crate::heads::Core;
use crate::heads::head::{HeadView, SigningError};
use crate::store::{Attestation, StoreError};
use crate::{Head, TreeId, timestamps};

/// An entry that is in the log.
#[derive(Clone, Debug)]
pub struct LoggedEntry {
    /// Its tree.
    pub tree: TreeId,
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
    /// Stored signature over Rekor's SET payload. None where it was never asked for, or waits to be stored:
    /// [`crate::Ledger::signed_entry_timestamp`] has it in any case.
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
    /// More searches than there are turns for.
    #[error("too many searches at once")]
    Busy,
    /// What is stored does not lead to the head's root. Never answered with.
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

impl Core {
    /// The SET of an entry: the stored one, the one that waits to be stored, or a new one, which then waits.
    ///
    /// MUST be called only for entries below a published head, as every [`LoggedEntry`] is.
    pub(crate) fn signed_entry_timestamp(&self, entry: &LoggedEntry) -> Result<Arc<[u8]>, SigningError> {
        if let Some(known) = entry.signed_entry_timestamp.clone().or_else(|| self.timestamps.get(entry.leaf_index)) {
            return Ok(known);
        }
        let payload = timestamps::payload(&self.tree, entry.leaf_index, entry.time, &entry.body);
        let signature = self.signing_key()?.sign(payload.as_bytes(), &self.rng);
        let signature = signature.map_err(|error| SigningError(error.to_string()))?;
        self.metrics.timestamps_signed.inc();
        Ok(self.timestamps.add(entry.leaf_index, signature))
    }

    pub(crate) async fn inclusion_proof(
        &self,
        head: &Arc<Head>,
        index: LeafIndex,
        leaf_hash: &Hash,
    ) -> Result<InclusionProof, ReadError> {
        let tiles = self.tiles(head.view(), &tlog::tiles_for_inclusion(index, head.size)).await?;
        let hashes = tlog::inclusion_proof(index, head.size, &tiles)?;
        tlog::verify_inclusion(leaf_hash, index, head.size, &head.root, &hashes)?;
        Ok(InclusionProof { head: Arc::clone(head), hashes })
    }

    /// The consistency proof from `first` to a head that need not be published: for witnesses.
    pub(crate) async fn proof_up_to(&self, head: HeadView<'_>, first: TreeSize) -> Result<Vec<Hash>, ReadError> {
        let tiles = self.tiles(head, &tlog::tiles_for_consistency(first, head.size)).await?;
        Ok(tlog::consistency_proof(first, head.size, &tiles)?)
    }

    pub(crate) async fn consistency_proof(
        &self,
        head: &Arc<Head>,
        first: TreeSize,
        second: TreeSize,
    ) -> Result<Vec<Hash>, ReadError> {
        if first > second || second > head.size {
            return Err(ReadError::OutOfRange(format!("sizes {first} and {second} in a tree of size {}", head.size)));
        }
        let mut ids = tlog::tiles_for_consistency(first, second);
        ids.extend(tlog::tiles_for_root(first));
        ids.sort_unstable();
        ids.dedup();
        let tiles = self.tiles(head.view(), &ids).await?;
        let proof = tlog::consistency_proof(first, second, &tiles)?;
        if second == head.size {
            tlog::verify_consistency(first, &tlog::root_at(first, &tiles)?, second, &head.root, &proof)?;
        }
        Ok(proof)
    }
}
