//! Signatures in the name of one tree.

use std::sync::Arc;

use ring::rand::SystemRandom;
use tlog::{Checkpoint, CheckpointError, NoteError, SignedRoot, SigningKey};

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
    /// Absent in a frozen tree that is finished, which signs no more.
    keys: Option<Keys>,
    rng: SystemRandom,
}

/// The signing keys of a tree.
#[derive(Clone)]
pub(crate) struct Keys {
    /// The log key.
    pub(crate) log: Arc<SigningKey>,
    /// Signs C2SP checkpoints. It is the log key where the tree has no other.
    pub(crate) checkpoint: Arc<SigningKey>,
}

impl Signer {
    pub(crate) fn new(tree: TreeId, keys: Option<Keys>, rng: SystemRandom) -> Self {
        Self { tree, keys, rng }
    }

    /// Signs bytes with the log key.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let signature = self.keys()?.log.sign(message, &self.rng);
        signature.map_err(|error| SigningError(error.to_string()))
    }

    /// Signs the root in COSE receipts, with the log key.
    pub(crate) fn sign_root(&self, root: &SignedRoot<'_>) -> Result<Vec<u8>, SigningError> {
        let signature = self.keys()?.log.sign_fixed(&root.message(), &self.rng);
        signature.map_err(|error| SigningError(error.to_string()))
    }

    /// Signs Rekor v1's text as `name`, with the log key.
    pub(crate) fn sign_rekor(
        &self,
        checkpoint: &Checkpoint,
        name: &str,
    ) -> Result<String, SigningError> {
        Ok(checkpoint.sign(name, &self.keys()?.log, &self.rng)?)
    }

    /// Signs a C2SP checkpoint as its origin.
    pub(crate) fn sign_checkpoint(&self, checkpoint: &Checkpoint) -> Result<String, SigningError> {
        Ok(checkpoint.sign(&checkpoint.origin, &self.keys()?.checkpoint, &self.rng)?)
    }

    fn keys(&self) -> Result<&Keys, SigningError> {
        let absent = || SigningError(format!("the key of tree {} is not here", self.tree));
        self.keys.as_ref().ok_or_else(absent)
    }
}
