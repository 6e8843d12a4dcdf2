//! Why a bundle is not accepted.

use std::error::Error as StdError;

use sigstore_verify::Error;
use sigstore_verify::TransparencyLogError;

use crate::error::VerifyError;

/// The reason below a [`BundleError`].
pub(super) type Cause = Box<dyn StdError + Send + Sync>;

/// Why a bundle is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file is no bundle, or is damaged.
    #[error("it is not a whole Sigstore bundle: {0}")]
    Form(#[source] Cause),
    /// A bundle that may be right, but that this program cannot verify.
    #[error("it cannot be verified here: {0}")]
    Unsupported(#[source] Cause),
    /// The trust root cannot be used.
    #[error("the trust root cannot be used: {0}")]
    Trust(#[source] Cause),
    /// No trusted log shows the entry.
    #[error("log entry {number}: {source}")]
    Log {
        /// Its position in the bundle, from 0.
        number: usize,
        /// The fault.
        source: VerifyError,
    },
    /// A log entry is of another signature, key or payload than the bundle.
    #[error("a log entry is not of this bundle: {0}")]
    Entry(#[source] Cause),
    /// The certificate does not lead to a trusted authority, or was not valid at the time.
    #[error("certificate: {0}")]
    Certificate(#[source] Cause),
    /// No trusted time, or one that does not fit.
    #[error("time of the signature: {0}")]
    Time(#[source] Cause),
    /// Something happened later than now.
    #[error(
        "{what} is {later} s later than the clock of this machine ({now} Unix seconds): set the clock, or the bundle is forged"
    )]
    Clock {
        /// What is later.
        what: String,
        /// By how many seconds.
        later: i64,
        /// The clock.
        now: i64,
    },
    /// The signature does not verify.
    #[error("signature: {0}")]
    Signature(#[source] Cause),
    /// The bundle is of another artifact.
    #[error("artifact: {0}")]
    Artifact(#[source] Cause),
    /// Another signer than expected.
    #[error("signer: {0}")]
    Signer(String),
    /// The attestation is not the one that was expected.
    #[error("attestation: {0}")]
    Attestation(String),
    /// The artifact cannot be read.
    #[error("the artifact cannot be read: {0}")]
    Read(#[from] std::io::Error),
}

impl BundleError {
    pub(super) fn form(reason: impl Into<Cause>) -> Self {
        Self::Form(reason.into())
    }
}

/// Sorts what `sigstore-verify` refuses.
impl From<Error> for BundleError {
    fn from(error: Error) -> Self {
        match error {
            Error::SignatureInvalid(reason) => Self::Signature(reason.into()),
            Error::Crypto(error) => Self::Signature(error.into()),
            Error::ArtifactMismatch(reason) => Self::Artifact(reason.into()),
            Error::ArtifactRead(error) => Self::Read(error),
            Error::Certificate(error) => Self::Certificate(error.into()),
            Error::Timestamp(error) => Self::Time(error.into()),
            Error::TransparencyLog(error @ TransparencyLogError::IntegratedTime(_)) => {
                Self::Time(error.into())
            }
            Error::TransparencyLog(error) => Self::Entry(error.into()),
            Error::UnsupportedBundle(reason) | Error::UnsupportedArtifact(reason) => {
                Self::Unsupported(reason.into())
            }
            Error::InvalidTrustRoot(reason) => Self::Trust(reason.into()),
            Error::TrustRoot(error) => Self::Trust(error.into()),
            Error::TrustedCertificate(error) => Self::Trust(error),
            Error::IdentityMismatch { .. } | Error::IssuerMismatch { .. } => {
                Self::Signer(error.to_string())
            }
            error => Self::Form(error.into()),
        }
    }
}

/// Refuses what is later than now.
pub(super) fn check_not_later(time: i64, now: i64, what: impl FnOnce() -> String) -> Result<()> {
    if time <= now {
        return Ok(());
    }
    Err(BundleError::Clock {
        what: what(),
        later: time.saturating_sub(now),
        now,
    })
}

/// The result of reading or verifying a bundle.
pub type Result<T> = std::result::Result<T, BundleError>;
