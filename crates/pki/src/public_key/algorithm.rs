//! The algorithms as aws-lc-rs has them.

use aws_lc_rs::digest as aws_digest;
use aws_lc_rs::signature::{self as aws, ParsedPublicKey, VerificationAlgorithm};

use crate::algorithms::{Curve, HashAlgorithm};
use crate::digest::Digest;

/// Verifies ECDSA signatures in ASN.1 form.
pub(crate) fn ecdsa_algorithm(
    curve: Curve,
    hash: HashAlgorithm,
) -> Option<&'static dyn VerificationAlgorithm> {
    use HashAlgorithm::{Sha256, Sha384, Sha512};
    Some(match (curve, hash) {
        (Curve::P224, _) => return None,
        (Curve::P256, Sha256) => &aws::ECDSA_P256_SHA256_ASN1,
        (Curve::P256, Sha384) => &aws::ECDSA_P256_SHA384_ASN1,
        (Curve::P256, Sha512) => &aws::ECDSA_P256_SHA512_ASN1,
        (Curve::P384, Sha256) => &aws::ECDSA_P384_SHA256_ASN1,
        (Curve::P384, Sha384) => &aws::ECDSA_P384_SHA384_ASN1,
        (Curve::P384, Sha512) => &aws::ECDSA_P384_SHA512_ASN1,
        (Curve::P521, Sha256) => &aws::ECDSA_P521_SHA256_ASN1,
        (Curve::P521, Sha384) => &aws::ECDSA_P521_SHA384_ASN1,
        (Curve::P521, Sha512) => &aws::ECDSA_P521_SHA512_ASN1,
    })
}

/// Verifies RSA PKCS#1 v1.5 signatures by a key with a modulus of so many bytes.
pub(crate) fn rsa_algorithm(
    bytes: usize,
    hash: HashAlgorithm,
) -> Option<&'static dyn VerificationAlgorithm> {
    // "Legacy" is what aws-lc-rs calls keys below 2,048 bits. Rekor verifies with them too, and its
    // policy then refuses.
    Some(match hash {
        HashAlgorithm::Sha256 => &aws::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        HashAlgorithm::Sha384 if bytes * 8 < 2048 => return None,
        HashAlgorithm::Sha384 => &aws::RSA_PKCS1_2048_8192_SHA384,
        HashAlgorithm::Sha512 => &aws::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    })
}

/// Some if the signature verifies.
pub(super) fn verify(
    key: &ParsedPublicKey,
    algorithm: &'static dyn VerificationAlgorithm,
    digest: &Digest,
    signature: &[u8],
) -> Option<()> {
    let imported = imported(digest)?;
    match digest.algorithm() {
        HashAlgorithm::Sha256 => key.verify_digest_sig(&imported, signature).ok(),
        HashAlgorithm::Sha384 | HashAlgorithm::Sha512 => {
            ParsedPublicKey::new(algorithm, key.as_ref())
                .ok()?
                .verify_digest_sig(&imported, signature)
                .ok()
        }
    }
}

/// A digest as aws-lc-rs takes it.
pub(crate) fn imported(digest: &Digest) -> Option<aws_digest::Digest> {
    let algorithm = match digest.algorithm() {
        HashAlgorithm::Sha256 => &aws_digest::SHA256,
        HashAlgorithm::Sha384 => &aws_digest::SHA384,
        HashAlgorithm::Sha512 => &aws_digest::SHA512,
    };
    aws_digest::Digest::import_less_safe(digest.bytes(), algorithm).ok()
}
