//! The decisions of a witness about a checkpoint.

use ring::rand::SystemRandom;
use tlog::{
    AddCheckpoint, Checkpoint, EMPTY_ROOT, Note, NoteError, NoteSignature, SigningKey, TreeSize,
    WitnessKey,
};

use crate::{Cosigned, Logs, State, StateError};

/// How often a request is checked again because another request of the same log came first.
const MAX_TURNS: u32 = 4;

/// A witness: its key, the logs that it trusts, and the checkpoints that it cosigned.
pub struct Witness {
    name: String,
    key: SigningKey,
    logs: Logs,
    state: State,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    rng: SystemRandom,
}

/// The outcome of an `add-checkpoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The cosignature. The state that it states is durable.
    Cosigned(NoteSignature),
    /// The checkpoint is refused, and the state did not change.
    Refused(Refusal),
}

/// Why a checkpoint is not cosigned, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not the body of a request. 400.
    #[error("not an add-checkpoint request")]
    Malformed,
    /// The origin is not one of the trusted logs. 404.
    #[error("unknown log")]
    UnknownOrigin,
    /// No signature is by a key that is trusted for the origin, or a signature of such a key does
    /// not verify. 403.
    #[error("not signed by a trusted key of the log")]
    Untrusted,
    /// The old size is larger than the checkpoint's. 400.
    #[error("the old size is larger than the size of the checkpoint")]
    OldSize,
    /// The old size differs from the size that was cosigned last, which is the value; or another
    /// root was cosigned at that size. 409.
    #[error("the size cosigned last is {0}")]
    Conflict(TreeSize),
    /// The checkpoint does not extend the one cosigned last. 422.
    #[error("the checkpoint does not extend the one that was cosigned last")]
    Inconsistent,
}

impl Witness {
    /// Makes a witness. The key MUST be Ed25519 and its own: the signed message does not name the
    /// witness.
    pub fn new(
        name: &str,
        key: SigningKey,
        logs: Logs,
        state: State,
        clock: Box<dyn Fn() -> u64 + Send + Sync>,
    ) -> Result<Self, NoteError> {
        WitnessKey::new(name, key.verifying_key().clone())?;
        Ok(Self {
            name: name.to_owned(),
            key,
            logs,
            state,
            clock,
            rng: SystemRandom::new(),
        })
    }

    /// Returns the logs.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// C2SP tlog-witness, `add-checkpoint`: the checks in the order of the specification.
    pub async fn add_checkpoint(&self, body: &str) -> Result<Outcome, StateError> {
        let refused = |refusal| Ok(Outcome::Refused(refusal));
        let Ok(request) = AddCheckpoint::parse(body) else {
            return refused(Refusal::Malformed);
        };
        let note = &request.checkpoint;
        let Ok(checkpoint) = Checkpoint::parse(note.text()) else {
            return refused(Refusal::Malformed);
        };
        // The origin is unknown: 404.
        let origin = checkpoint.origin.as_str();
        let Some(keys) = self.logs.keys(origin) else {
            return refused(Refusal::UnknownOrigin);
        };
        // No signature verifies against a trusted key, or the signature of a trusted key does not
        // verify: 403.
        if note.verify(keys).is_err() {
            return refused(Refusal::Untrusted);
        }
        // The old size must be equal to or lower than the checkpoint size: 400.
        if request.old_size > checkpoint.size {
            return refused(Refusal::OldSize);
        }
        let time = (self.clock)();
        let next = Cosigned {
            size: checkpoint.size,
            root: checkpoint.root,
            checkpoint: note.to_string(),
            time: Some(time),
        };
        let mut newest = TreeSize(0);
        for _ in 0..MAX_TURNS {
            let last = self.state.last(origin).await?;
            let (size, root) = last
                .as_ref()
                .map_or((TreeSize(0), EMPTY_ROOT), |last| (last.size, last.root));
            // The old size must match the size of the latest cosigned checkpoint: 409 with that
            // size.
            if request.old_size != size {
                return refused(Refusal::Conflict(size));
            }
            // The proof must lead from there to the checkpoint, and be empty from 0 and from its
            // own size: 422. At the same size the root must be the same: 409.
            if tlog::verify_consistency(size, &root, next.size, &next.root, &request.proof).is_err()
            {
                tracing::warn!(origin, last = size.0, size = next.size.0, root = %next.root, "a log contradicts itself");
                let is_other_root = next.size == size && request.proof.is_empty();
                return refused(if is_other_root {
                    Refusal::Conflict(size)
                } else {
                    Refusal::Inconsistent
                });
            }
            // The state is durable before anything is signed. If the process dies here, the log
            // asks again with the size that it learns of, and gets a cosignature over this very
            // root.
            if self.state.advance(origin, last.as_ref(), &next).await? {
                return Ok(Outcome::Cosigned(self.cosign(note.text(), time)?));
            }
            newest = size;
        }
        refused(Refusal::Conflict(newest))
    }

    /// Returns the checkpoint of an origin that was cosigned last, with the cosignature that was
    /// given. An older version did not keep the time of its cosignature; then it has one of now.
    pub async fn checkpoint(&self, origin: &str) -> Result<Option<Note>, StateError> {
        let Some(last) = self.state.last(origin).await? else {
            return Ok(None);
        };
        let mut note = Note::parse(&last.checkpoint).map_err(damaged)?;
        // Ed25519 signs the same bytes the same way.
        let time = last.time.unwrap_or_else(|| (self.clock)());
        note.add(self.cosign(note.text(), time)?).map_err(damaged)?;
        Ok(Some(note))
    }

    fn cosign(&self, text: &str, time: u64) -> Result<NoteSignature, StateError> {
        tlog::cosign(text, &self.name, &self.key, time, &self.rng).map_err(damaged)
    }
}

fn damaged(error: NoteError) -> StateError {
    StateError::Damaged(error.to_string())
}
