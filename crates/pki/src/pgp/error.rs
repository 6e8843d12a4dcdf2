//! Why OpenPGP data are refused.

use crate::work::TooCostly;

/// Longest RSA modulus, as for x509 keys. GnuPG makes none above 4,096.
pub(super) const MAX_RSA_BITS: u16 = 8192;
/// Shortest RSA modulus, Go's limit since 1.24.
pub(super) const MIN_RSA_BITS: u16 = 1024;

/// Why OpenPGP data are refused, in the words of Rekor's library where it has some. The kind of
/// fault decides how much is skipped: a packet, a key, or nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A packet of an unknown version or algorithm. It is skipped.
    #[error("openpgp: unsupported feature: {0}")]
    Unsupported(String),
    /// A key that breaks the rules. It is skipped if the key ring has another key.
    #[error("openpgp: invalid data: {0}")]
    Structure(String),
    /// Bytes that end too early.
    #[error("unexpected EOF")]
    End,
    /// A packet that must not be skipped.
    #[error("openpgp: unknown critical packet type: {0}")]
    CriticalPacket(u8),
    /// More of something than is read.
    #[error("openpgp: more than {limit} {what}")]
    TooMany {
        /// The things that are too many.
        what: &'static str,
        /// The most that is read.
        limit: usize,
    },
    /// The canonical form of the keys is longer than the caller has room for.
    #[error("openpgp: the key is too long")]
    TooLong,
    /// A secret key, which its owner must not hand out.
    #[error("this is a private key; export the public key, and consider this one disclosed")]
    PrivateKey,
    /// A key whose signatures Rekor verifies and this crate cannot. It must not be skipped, because
    /// the rest of the key ring would become another entry than in Rekor.
    #[error("openpgp: signatures with {0} keys cannot be verified here")]
    Unverifiable(&'static str),
    /// An RSA key of so many bits.
    #[error(
        "openpgp: RSA keys of {0} bits are not supported, only of {MIN_RSA_BITS} to {MAX_RSA_BITS}"
    )]
    RsaSize(u16),
    /// A signature that does not verify.
    #[error("openpgp: invalid signature: {0}")]
    Signature(&'static str),
    /// None of the keys has this key ID, or may sign.
    #[error("openpgp: signature made by unknown entity")]
    UnknownSigner(Option<u64>),
    /// The key is revoked.
    #[error("openpgp: signature made by revoked key")]
    Revoked,
    /// The key has expired.
    #[error("openpgp: key expired")]
    Expired,
    /// The signature was made before the key.
    #[error("openpgp: signature is older than the key")]
    OlderThanKey,
    /// The signature has expired.
    #[error("openpgp: signature expired")]
    SignatureExpired,
    /// The check would cost too much.
    #[error(transparent)]
    TooCostly(#[from] TooCostly),
}

impl Error {
    pub(super) fn structure(what: impl Into<String>) -> Self {
        Self::Structure(what.into())
    }

    pub(super) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }
}
