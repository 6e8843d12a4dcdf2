//! The error of this crate.

use std::borrow::Cow;

use crate::algorithms::HashAlgorithm;
use crate::pgp::error as pgp;
use crate::pkcs7::error::Pkcs7Error;
use crate::work::TooCostly;
use crate::x509::error::{CertificateError, ChainError};

/// How much of a client's text a refusal repeats, in characters. Kinds, versions and PEM labels in
/// use have at most 22; a message, and the log line it becomes, must not grow with the body.
const MAX_QUOTED: usize = 100;

/// Why a key, a signature or a document is refused, in the words of Rekor where it has some.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be read, or does not verify.
    #[error("{0}")]
    Invalid(String),
    /// A text is not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A public key is refused.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A signature does not verify.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A certificate is refused.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Certificates are not a chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// OpenPGP packets are refused.
    #[error(transparent)]
    Pgp(#[from] pgp::Error),
    /// CMS signed data are refused.
    #[error(transparent)]
    Pkcs7(#[from] Pkcs7Error),
    /// The canonical form of a key is longer than the caller has room for.
    #[error("the key is too long")]
    TooLong,
    /// The check would cost too much.
    #[error(transparent)]
    TooCostly(#[from] TooCostly),
}

impl Error {
    /// An error with the text of `error`.
    pub fn invalid(error: impl ToString) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// Longest RSA modulus: the longest that aws-lc verifies with. A check with 8,192 bits takes 0.4
/// ms, and one with 16,384 would take four times that.
pub(crate) const MAX_RSA_BITS: usize = 8192;
/// Shortest RSA modulus, Go's limit since 1.24.
pub(crate) const MIN_RSA_BITS: usize = 1024;

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read, or breaks the rules of its algorithm.
    #[error("malformed public key")]
    Malformed,
    /// Its algorithm is not known.
    #[error("unsupported public key type")]
    UnknownAlgorithm,
    /// Its curve is not known.
    #[error("unsupported elliptic curve")]
    UnknownCurve,
    /// Its modulus has so many bits.
    #[error("RSA keys of {0} bits are not supported, only of {MIN_RSA_BITS} to {MAX_RSA_BITS}")]
    RsaSize(usize),
}

/// Why a signature does not verify. The texts are Rekor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A signature in ASN.1 does not verify.
    #[error("invalid signature when validating ASN.1 encoded signature")]
    Asn1,
    /// A signature as r ‖ s does not verify.
    #[error("invalid signature when validating IEEE_P1363 encoded signature")]
    RawPair,
    /// The signature is neither ASN.1 nor r ‖ s.
    #[error("ecdsa: Invalid IEEE_P1363 encoded bytes")]
    NeitherForm,
    /// An RSA signature does not verify.
    #[error("crypto/rsa: verification error")]
    Rsa,
    /// A digest that Ed25519ph does not sign.
    #[error("unsupported hash algorithm: {:?} not in [SHA-512]", .0.title())]
    Ed25519Hash(HashAlgorithm),
    /// A signature of so many bytes.
    #[error("failed to verify signature: ed25519: bad signature length: {0}")]
    Ed25519Length(usize),
    /// An Ed25519ph signature does not verify.
    #[error("failed to verify signature: ed25519: invalid signature")]
    Ed25519,
    /// An Ed25519 signature does not verify.
    #[error("failed to verify signature")]
    Ed25519Message,
    /// Keys of this type do not sign packages.
    #[error("a key of this type signs no packages")]
    NotForPackages,
    /// No library here verifies this pair of key and hash (P-224, RSA-1024 with SHA-384), and no
    /// policy can name it.
    #[error("entry algorithms are not allowed")]
    NotAllowed,
}

/// Why a text is not a digest. The texts are Rekor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The text does not have two digits for each byte of the digest.
    #[error("invalid value for hash")]
    Length,
    /// This byte is not a hexadecimal digit.
    #[error("encoding/hex: invalid byte: U+{:04X} '{}'", .0, char::from(*.0))]
    Hex(u8),
}

/// Returns the beginning of a client's text, for a message.
pub fn quoted(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(quoted("ü").len(), 2);
        assert_eq!(quoted(&"ü".repeat(MAX_QUOTED)), "ü".repeat(MAX_QUOTED));
        assert_eq!(
            quoted(&"ü".repeat(1000)),
            format!("{}…", "ü".repeat(MAX_QUOTED))
        );
    }
}
