//! Signatures in the name of one tree.

use std::sync::Arc;

use ring::rand::SystemRandom;
use tlog::{Checkpoint, CheckpointError, Note, NoteError, SigningKey};

use crate::ids::TreeId;

/// A signature could not be made: the key is absent, or the system gives no random numbers.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot sign: {0}")]
pub struct SigningError(pub(crate) String);

impl From<NoteError> for SigningError {
    fn from(error: NoteError) -> Self {
        Self(error.to_string())
    }
}

impl From<CheckpointError> for SigningError {
    fn from(error: CheckpointError) -> Self {
        Self(error.to_string())
    }
}

/// Signs for one tree. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Signer {
    tree: TreeId,
    /// `None` in a frozen tree that is finished: its key is not needed any more.
    key: Option<Arc<SigningKey>>,
    /// Signs a second line below the v2 checkpoint.
    cosigner: Option<Arc<SigningKey>>,
    rng: SystemRandom,
}

impl Signer {
    pub(crate) fn new(
        tree: TreeId,
        key: Option<Arc<SigningKey>>,
        cosigner: Option<Arc<SigningKey>>,
        rng: SystemRandom,
    ) -> Self {
        Self {
            tree,
            key,
            cosigner,
            rng,
        }
    }

    /// Signs bytes with the log key.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let signature = self.key()?.sign(message, &self.rng);
        signature.map_err(|error| SigningError(error.to_string()))
    }

    /// Signs a v1 checkpoint as `name`.
    pub(crate) fn sign_v1(
        &self,
        checkpoint: &Checkpoint,
        name: &str,
    ) -> Result<String, SigningError> {
        Ok(checkpoint.sign(name, self.key()?, &self.rng)?)
    }

    /// Signs a v2 checkpoint as its origin: first with the log key, then with the cosigner's key if
    /// there is one.
    pub(crate) fn sign_v2(&self, checkpoint: &Checkpoint) -> Result<String, SigningError> {
        let signed = checkpoint.sign(&checkpoint.origin, self.key()?, &self.rng)?;
        let Some(cosigner) = &self.cosigner else {
            return Ok(signed);
        };
        let mut note = Note::parse(&signed)?;
        note.sign(&checkpoint.origin, cosigner, &self.rng)?;
        Ok(note.to_string())
    }

    fn key(&self) -> Result<&SigningKey, SigningError> {
        let absent = || SigningError(format!("the key of tree {} is not here", self.tree));
        self.key.as_deref().ok_or_else(absent)
    }
}
