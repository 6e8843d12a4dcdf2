//! The public key of a log.

use tlog::{Checkpoint, NoteKey, VerifyingKey};

use crate::error::Result;

/// The public key of a log, against which its answers are verified.
#[derive(Clone, Debug)]
pub struct LogKey(VerifyingKey);

impl LogKey {
    /// Makes the key of a log from a public key that the caller trusts.
    pub fn new(key: VerifyingKey) -> Self {
        Self(key)
    }

    /// Returns the public key.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.0
    }

    /// Opens a checkpoint of `origin` that this key signed under `name`.
    pub(crate) fn open(&self, note: &str, origin: &str, name: &str) -> Result<Checkpoint> {
        Ok(Checkpoint::open(
            note,
            origin,
            &[NoteKey::new(name, self.0.clone())?],
        )?)
    }
}
