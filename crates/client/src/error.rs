//! Why an answer is not accepted.

/// The result of a verification.
pub type Result<T> = std::result::Result<T, VerifyError>;

/// Why an answer is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The answer is not the JSON that was expected.
    #[error("the answer is not {what}: {source}")]
    Json {
        /// The expected answer.
        what: &'static str,
        /// The error of the parser.
        source: serde_json::Error,
    },
    /// A field is not base64.
    #[error("a field is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// A hash is not hexadecimal.
    #[error("a hash is not 64 hexadecimal digits: {0}")]
    Hex(#[from] hex::FromHexError),
    /// A hash has another length than 32 bytes.
    #[error(transparent)]
    HashLength(#[from] tlog::HashLengthError),
    /// A number is not one.
    #[error("a number cannot be read: {0}")]
    Number(#[from] std::num::ParseIntError),
    /// A note is not UTF-8.
    #[error("a note is not UTF-8: {0}")]
    Text(#[from] std::str::Utf8Error),
    /// A proof does not lead to the root.
    #[error(transparent)]
    Proof(#[from] tlog::ProofError),
    /// A checkpoint is not of this log, or is not signed by it.
    #[error(transparent)]
    Checkpoint(#[from] tlog::CheckpointError),
    /// The name in an origin cannot be the name of a key.
    #[error(transparent)]
    Name(#[from] tlog::NoteError),
    /// A signature does not verify.
    #[error(transparent)]
    Signature(#[from] tlog::SignatureError),
    /// A checkpoint that no trusted key signed.
    #[error("the head of {origin} is signed by {signers}, and by no trusted key")]
    UntrustedKey {
        /// The origin that the checkpoint states.
        origin: String,
        /// The names and key IDs that sign it.
        signers: String,
    },
    /// Two parts of an answer, or an answer and its request, do not fit together.
    #[error("{0}")]
    Mismatch(String),
    /// One part of the answer is not accepted.
    #[error("{part}: {source}")]
    In {
        /// The name of the part.
        part: String,
        /// Why it is not accepted.
        source: Box<VerifyError>,
    },
}

impl VerifyError {
    /// Names the part of the answer that is not accepted.
    pub(crate) fn within(self, part: impl Into<String>) -> Self {
        Self::In {
            part: part.into(),
            source: Box::new(self),
        }
    }

    /// Names the answer that was expected instead.
    pub(crate) fn expected(what: &'static str) -> impl Fn(serde_json::Error) -> Self {
        move |source| Self::Json { what, source }
    }
}

/// Refuses with the text of `reason` unless `holds`.
pub(crate) fn require(holds: bool, reason: impl FnOnce() -> String) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(VerifyError::Mismatch(reason()))
    }
}
