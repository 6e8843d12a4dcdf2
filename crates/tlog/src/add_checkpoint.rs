//! The messages of C2SP tlog-witness: a log sends a witness a checkpoint, with the proof that it
//! extends the last one.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::checkpoint::{parse_root, parse_size};
use crate::{Hash, Note, NoteError, TreeSize};

/// Most hashes of a proof in a request.
pub const MAX_WITNESS_PROOF: usize = 63;

/// The body of `add-checkpoint`. Formatting returns exactly the text that was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the checkpoint that the witness cosigned last; 0 if it never did.
    pub old_size: TreeSize,
    /// Consistency proof from `old_size` (RFC 6962 section 2.1.2).
    pub proof: Vec<Hash>,
    /// The checkpoint as a signed note, whose text is not read yet.
    pub checkpoint: Note,
}

/// Not the body of `add-checkpoint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddCheckpointError {
    /// No blank line after the proof.
    #[error("no blank line before the checkpoint")]
    NoCheckpoint,
    /// The first line.
    #[error("the first line is not `old` and a tree size")]
    OldSize,
    /// A line of the proof.
    #[error("a line of the proof is not a hash in base64")]
    Hash,
    /// More than [`MAX_WITNESS_PROOF`].
    #[error("more than {MAX_WITNESS_PROOF} lines of proof")]
    TooManyHashes,
    /// The checkpoint is not a signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl AddCheckpoint {
    /// Reads a body. Each part has exactly one accepted form.
    pub fn parse(body: &str) -> Result<Self, AddCheckpointError> {
        let (header, checkpoint) = body
            .split_once("\n\n")
            .ok_or(AddCheckpointError::NoCheckpoint)?;
        let mut lines = header.split('\n');
        let old_size = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .and_then(parse_size);
        let old_size = old_size.ok_or(AddCheckpointError::OldSize)?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == MAX_WITNESS_PROOF {
                return Err(AddCheckpointError::TooManyHashes);
            }
            proof.push(parse_root(line).ok_or(AddCheckpointError::Hash)?);
        }
        Ok(Self {
            old_size,
            proof,
            checkpoint: Note::parse(checkpoint)?,
        })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        self.proof
            .iter()
            .try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Returns the body of a conflict (`text/x.tlog.size`): the size that the witness cosigned last.
pub fn parse_cosigned_size(body: &str) -> Option<TreeSize> {
    parse_size(body.strip_suffix('\n')?)
}
