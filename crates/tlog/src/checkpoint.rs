//! C2SP checkpoints: `origin\nsize\nbase64 root\n`.

use ring::rand::SecureRandom;

use crate::{Hash, SigningKey, TreeSize};

/// The text of a tree head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// First line: `<name> - <tree id>` on v1, unique per tree on v2.
    pub origin: String,
    /// Tree size.
    pub size: TreeSize,
    /// Root hash.
    pub root: Hash,
}

impl Checkpoint {
    /// The signed text, three lines.
    pub fn text(&self) -> String {
        todo!()
    }

    /// The signed note, with one signature line by `signer_name`.
    pub fn sign(&self, _signer_name: &str, _key: &SigningKey, _rng: &dyn SecureRandom) -> String {
        todo!()
    }
}
