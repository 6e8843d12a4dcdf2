//! Tree heads that a trusted key signed.

use tlog::{Checkpoint, Hash, Note, NoteKey, TreeSize};

use crate::error::{Result, VerifyError};
use crate::key::LogKey;

/// A checkpoint whose signature was verified with a trusted key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// Origin, size and root.
    pub checkpoint: Checkpoint,
    /// The signed note, as the log wrote it.
    pub note: String,
    /// The key that signed it, under its name.
    pub signer: NoteKey,
    /// The names of the other keys that signed it, such as witnesses. They are not verified.
    pub others: Vec<String>,
}

impl SignedHead {
    /// Reads a signed checkpoint and verifies it with one of `keys`.
    ///
    /// The key must have signed under the name in the origin. This is the origin itself, or the
    /// part before ` - ` where a tree ID follows, as in Rekor v1. The caller MUST compare the
    /// origin if it knows the log.
    ///
    /// # Errors
    ///
    /// The text is not a checkpoint, no trusted key signed it, or a trusted key is named in a
    /// signature that does not verify.
    pub fn open(keys: &[LogKey], note: &str) -> Result<Self> {
        let parsed = Note::parse(note)?;
        let checkpoint = Checkpoint::parse(parsed.text())?;
        let name = signer_name(&checkpoint.origin);
        for key in keys {
            let Some(key) = key.under(name)? else {
                continue;
            };
            let signs = |line: &&tlog::NoteSignature| {
                line.name == key.name() && line.key_id == key.key_id()
            };
            if !parsed.signatures().iter().any(|line| signs(&line)) {
                continue;
            }
            parsed.verify(std::slice::from_ref(&key))?;
            let others = parsed.signatures().iter().filter(|line| !signs(line));
            return Ok(Self {
                others: others.map(|line| line.name.clone()).collect(),
                note: note.to_owned(),
                signer: key,
                checkpoint,
            });
        }
        Err(VerifyError::UntrustedKey {
            origin: checkpoint.origin,
            signers: signers(&parsed),
        })
    }

    /// Returns the origin.
    pub fn origin(&self) -> &str {
        &self.checkpoint.origin
    }

    /// Returns the tree size.
    pub fn size(&self) -> TreeSize {
        self.checkpoint.size
    }

    /// Returns the root hash.
    pub fn root(&self) -> &Hash {
        &self.checkpoint.root
    }

    /// Returns whether another head has the same origin, size and root. Their texts may differ: Rekor
    /// v1 signs the head anew for each answer, and its signatures are random.
    pub fn states_the_same_as(&self, other: &Self) -> bool {
        let of = |head: &Self| (head.size(), *head.root());
        self.origin() == other.origin() && of(self) == of(other)
    }

    /// Returns whether another head is of the same tree. A v1 tree of treehead has heads of two
    /// origins: `name - tree ID` in the text of Rekor, and `name/trees/tree ID` in C2SP checkpoints.
    pub fn is_of_tree_of(&self, other: &Self) -> bool {
        let (one, other) = (self.origin(), other.origin());
        one == other || split(one).is_some_and(|tree| split(other) == Some(tree))
    }

    /// Returns the tree ID in an origin of Rekor v1.
    pub fn tree_id(&self) -> Option<&str> {
        Some(split_v1(self.origin())?.1)
    }
}

/// Returns the name under which the log of an origin signs.
fn signer_name(origin: &str) -> &str {
    split_v1(origin).map_or(origin, |(name, _tree)| name)
}

/// Takes an origin of Rekor v1 apart, `name - tree ID`.
fn split_v1(origin: &str) -> Option<(&str, &str)> {
    let (name, tree) = origin.rsplit_once(" - ")?;
    let is_number = !tree.is_empty() && tree.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((name, tree))
}

/// Takes an origin of a v1 tree apart, in either form.
fn split(origin: &str) -> Option<(&str, &str)> {
    split_v1(origin).or_else(|| origin.rsplit_once("/trees/"))
}

/// Returns the signers that a note names, for people.
fn signers(note: &Note) -> String {
    let signers = note.signatures().iter().map(|line| {
        let key_id = u32::from_be_bytes(line.key_id);
        format!("{}+{key_id:08x}", line.name)
    });
    signers.collect::<Vec<_>>().join(", ")
}
