//! C2SP checkpoints: `origin\nsize\nbase64 root\n`, then extension lines if any.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::rand::SecureRandom;

use crate::{Hash, MAX_TREE_SIZE, Note, NoteError, NoteKey, SigningKey, TreeSize};

/// The text of a tree head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// First line: `<name> - <tree id>` on v1, unique per tree on v2.
    pub origin: String,
    /// Tree size.
    pub size: TreeSize,
    /// Root hash.
    pub root: Hash,
    /// Further lines, each not empty. Other logs write some (older versions of Rekor a `Timestamp:
    /// `), this log writes none.
    pub extensions: Vec<String>,
}

/// The reason why a checkpoint could not be made, read or verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not the text of a checkpoint, with the fault.
    #[error("not a checkpoint: {0}")]
    Text(&'static str),
    /// A checkpoint of another log.
    #[error("a checkpoint of another origin")]
    Origin,
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl Checkpoint {
    /// Makes a checkpoint without extension lines.
    pub fn new(origin: impl Into<String>, size: TreeSize, root: Hash) -> Self {
        Self {
            origin: origin.into(),
            size,
            root,
            extensions: Vec::new(),
        }
    }

    /// Returns the signed text: three lines, and the extension lines.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            STANDARD.encode(self.root)
        );
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Returns the signed note, with one signature line by `signer_name`: on v1 the `<name>` of the
    /// origin, on v2 the origin itself.
    ///
    /// Every signed note can be read back: an origin that is not one line, or a size that is too
    /// large, is refused.
    pub fn sign(
        &self,
        signer_name: &str,
        key: &SigningKey,
        rng: &dyn SecureRandom,
    ) -> Result<String, CheckpointError> {
        let text = self.text();
        if Self::parse(&text)? != *self {
            return Err(CheckpointError::Text("a newline within a line"));
        }
        Ok(crate::sign_note(&text, signer_name, key, rng)?)
    }

    /// Reads the text of a checkpoint. Each part has exactly one accepted form.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text
            .strip_suffix('\n')
            .ok_or(CheckpointError::Text("no final newline"))?
            .split('\n');
        let origin = lines
            .next()
            .filter(|line| !line.is_empty())
            .ok_or(CheckpointError::Text("no origin"))?;
        let size = lines
            .next()
            .and_then(parse_size)
            .ok_or(CheckpointError::Text("no tree size"))?;
        let root = lines
            .next()
            .and_then(parse_root)
            .ok_or(CheckpointError::Text("no root hash"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointError::Text("an empty line"));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
            extensions,
        })
    }

    /// Reads a signed checkpoint and verifies that it is of `origin` and signed by one or more of
    /// `keys` (see [`Note::verify`]).
    pub fn open(note: &str, origin: &str, keys: &[NoteKey]) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        note.verify(keys)?;
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin == origin {
            Ok(checkpoint)
        } else {
            Err(CheckpointError::Origin)
        }
    }
}

/// Reads a decimal without sign or leading zeros, at most [`MAX_TREE_SIZE`].
pub(crate) fn parse_size(line: &str) -> Option<TreeSize> {
    let canonical = line == "0" || !line.starts_with(['0', '+']);
    let size = TreeSize(line.parse().ok()?);
    (canonical && size <= MAX_TREE_SIZE).then_some(size)
}

/// Reads 32 bytes in standard base64 with padding and no stray bits.
pub(crate) fn parse_root(line: &str) -> Option<Hash> {
    // The length is checked first, so that no line of any length is allocated for.
    if line.len() != 44 {
        return None;
    }
    Hash::try_from(STANDARD.decode(line).ok()?.as_slice()).ok()
}
