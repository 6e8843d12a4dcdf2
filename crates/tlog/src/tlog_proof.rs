//! C2SP tlog-proof: one text with the index of an entry, its inclusion proof and the checkpoint of
//! the tree. With the log's key and the leaf it proves offline that the entry is in the log.

use std::fmt;
use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::checkpoint::{parse_root, parse_size};
use crate::{
    Checkpoint, CheckpointError, Hash, LeafIndex, MAX_INCLUSION_PROOF, MAX_NOTE_BYTES, NoteKey,
    ProofError, verify_inclusion,
};

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Largest proof that is read: the note, the hashes, and as much extra data as a note may have.
const MAX_BYTES: usize = 2 * MAX_NOTE_BYTES + 64 * MAX_INCLUSION_PROOF;

/// A proof that was read or is to be written. Nothing in it is checked before
/// [`TlogProof::verify`].
///
/// Parsing accepts exactly the texts that formatting writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Data for the application. Nothing authenticates it.
    pub extra: Option<Vec<u8>>,
    /// The index of the entry in its tree.
    pub index: LeafIndex,
    /// The inclusion proof, leaf to root.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint of the tree, with its cosignatures.
    pub checkpoint: String,
}

/// The reason why a proof cannot be read or does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// Not the text of a proof, with the fault.
    #[error("not a tlog-proof: {0}")]
    Text(&'static str),
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The inclusion proof.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl TlogProof {
    /// Verifies that the entry of `leaf_hash` is in the tree of a checkpoint that one of `keys`
    /// signed for `origin`. Cosignatures are not looked at.
    ///
    /// # Errors
    ///
    /// The checkpoint is of another origin or not signed by the keys, or the proof does not lead
    /// to its root.
    pub fn verify(
        &self,
        leaf_hash: &Hash,
        origin: &str,
        keys: &[NoteKey],
    ) -> Result<Checkpoint, TlogProofError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, origin, keys)?;
        let (size, root) = (checkpoint.size, &checkpoint.root);
        verify_inclusion(leaf_hash, self.index, size, root, &self.hashes)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = TlogProofError;

    fn from_str(text: &str) -> Result<Self, TlogProofError> {
        let fault = TlogProofError::Text;
        if text.len() > MAX_BYTES {
            return Err(fault("too large"));
        }
        let rest = text.strip_prefix(HEADER).ok_or(fault("another header"))?;
        let rest = rest.strip_prefix('\n').ok_or(fault("another header"))?;
        let (extra, rest) = match rest.strip_prefix("extra ") {
            Some(rest) => {
                let (extra, rest) = rest.split_once('\n').ok_or(fault("no index"))?;
                let extra = STANDARD.decode(extra);
                (
                    Some(extra.map_err(|_| fault("extra data not in base64"))?),
                    rest,
                )
            }
            None => (None, rest),
        };
        let rest = rest.strip_prefix("index ").ok_or(fault("no index"))?;
        let (proof, checkpoint) = rest.split_once("\n\n").ok_or(fault("no checkpoint"))?;
        let mut lines = proof.split('\n');
        // An index has the form of a size, and is below one.
        let index = lines.next().and_then(parse_size).ok_or(fault("no index"))?;
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == MAX_INCLUSION_PROOF {
                return Err(fault("too many hashes"));
            }
            hashes.push(parse_root(line).ok_or(fault("a line that is not a hash"))?);
        }
        Ok(Self {
            extra,
            index: LeafIndex(index.0),
            hashes,
            checkpoint: checkpoint.to_owned(),
        })
    }
}
