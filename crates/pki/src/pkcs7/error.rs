//! Why signed data are refused.

use crate::work::TooCostly;
use crate::x509::error::ChainError;

/// Bytes of one structure. Leaf bytes hold base64 of its base64, so that the ledger's 65,535 would
/// refuse one of 37,000.
pub(super) const MAX_BYTES: usize = 64 * 1024;
/// Certificates in one structure: twice the ten of a chain, for signer and time stamper. Each is
/// parsed.
pub(super) const MAX_CERTIFICATES: usize = 20;
/// Signers of one structure, each of which costs a signature check or two. JAR archives have one.
pub(super) const MAX_SIGNERS: usize = 10;

/// Why signed data are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Pkcs7Error {
    /// It is not signed data.
    #[error("pkcs7: malformed signed data: {0}")]
    Malformed(&'static str),
    /// It has so many bytes.
    #[error("pkcs7: {0} bytes are too many, the limit is {MAX_BYTES}")]
    TooLarge(usize),
    /// It has more certificates than are read.
    #[error("pkcs7: more than {MAX_CERTIFICATES} certificates")]
    TooManyCertificates,
    /// It has more signers than are checked.
    #[error("pkcs7: more than {MAX_SIGNERS} signers")]
    TooManySigners,
    /// No signer is in it.
    #[error("pkcs7 contains no signatures")]
    NotSigned,
    /// It contains another content than the one that was given.
    #[error("pkcs7: internal and external content were both provided but are not equal")]
    OtherContent,
    /// The content is absent.
    #[error("pkcs7: missing content")]
    NoContent,
    /// No certificate is in it.
    #[error("unable to extract public key from certificate inside PKCS7 bundle")]
    NoCertificate,
    /// A certificate cannot be read.
    #[error("{0}")]
    Certificate(String),
    /// The first certificate is a stranger's.
    #[error("pkcs7: the first certificate is neither the signer's nor leads to it: {0}")]
    StrangeCertificate(ChainError),
    /// A signer's signature does not count.
    #[error(transparent)]
    Signer(#[from] SignerError),
}

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// A hash function that is not known.
    #[error("pkcs7: unsupported hash algorithm")]
    Hash,
    /// The signed attributes name no digest of the content.
    #[error("attribute not found: messageDigest")]
    NoDigest,
    /// The signed attributes name another digest.
    #[error("pkcs7: content digest does not match")]
    OtherDigest,
    /// The certificate with this serial number is absent.
    #[error("certificate missing from signedData: serial={0}")]
    NoCertificate(String),
    /// A key of an algorithm that is not known.
    #[error("unsupported public key algorithm")]
    Key,
    /// A key of another algorithm than the signature.
    #[error("incorrect key type for signature")]
    OtherKey,
    /// A hash function that does not go with the signature.
    #[error("signature type does not match digest type")]
    OtherHash,
    /// The signature does not verify.
    #[error("pkcs7: the signature does not verify")]
    Signature,
    /// The time stamp cannot be read.
    #[error("pkcs7: the time stamp is malformed")]
    MalformedTime,
    /// The time stamp has not exactly one signer.
    #[error("timestamp should have exactly one SignerInfo")]
    TimeSigners,
    /// The time stamp is one of another signature.
    #[error("verifying timestamp imprint: pkcs9: digest check failed")]
    Imprint,
    /// The time stamp's own signature does not count.
    #[error("verifying timestamp: {0}")]
    Time(Box<SignerError>),
    /// The check would cost too much.
    #[error(transparent)]
    TooCostly(#[from] TooCostly),
}
