//! Checks of signatures with the numbers of RSA keys, and of ECDSA keys on NIST's curves. aws-lc
//! does them faster than the crate `pgp`, and they are nearly all that a log sees.

use aws_lc_rs::digest as aws_digest;
use aws_lc_rs::signature::{self as aws, ParsedPublicKey, VerificationAlgorithm};
use pgp::crypto::hash::HashAlgorithm as PgpHash;
use pgp::types::{Mpi, SignatureBytes};

use super::error::Error;
use crate::algorithms::{Curve, HashAlgorithm, KeyKind};
use crate::digest::Digest;
use crate::public_key::algorithm::{ecdsa_algorithm, imported, rsa_algorithm};
use crate::signature::{asn1_of_pair, asn1_of_raw_pair};
use crate::work::Work;

/// How an RSA signature over a digest is checked.
pub(super) struct RsaScheme {
    algorithm: &'static dyn VerificationAlgorithm,
    hash: &'static aws_digest::Algorithm,
}

impl RsaScheme {
    /// Returns nothing where aws-lc has no such check: SHA-224, SHA-3, and SHA-384 with keys below
    /// 2,048 bits.
    pub(super) fn of(hash: PgpHash, key: &RsaKey<'_>) -> Option<Self> {
        // Whole bytes, so that a modulus of 2,047 bits counts as a short one.
        let sha2 = |hash| rsa_algorithm(key.modulus_bits() / 8, hash);
        Some(match hash {
            PgpHash::Sha1 => Self {
                algorithm: &aws::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
                hash: &aws_digest::SHA1_FOR_LEGACY_USE_ONLY,
            },
            PgpHash::Sha256 => Self {
                algorithm: sha2(HashAlgorithm::Sha256)?,
                hash: &aws_digest::SHA256,
            },
            PgpHash::Sha384 => Self {
                algorithm: sha2(HashAlgorithm::Sha384)?,
                hash: &aws_digest::SHA384,
            },
            PgpHash::Sha512 => Self {
                algorithm: sha2(HashAlgorithm::Sha512)?,
                hash: &aws_digest::SHA512,
            },
            _ => return None,
        })
    }
}

/// The numbers of an RSA key, without zeros before them.
pub(super) struct RsaKey<'k> {
    pub(super) modulus: &'k [u8],
    pub(super) exponent: &'k [u8],
}

impl RsaKey<'_> {
    fn modulus_bits(&self) -> usize {
        let zeros = self
            .modulus
            .first()
            .map_or(0, |byte| byte.leading_zeros() as usize);
        self.modulus.len() * 8 - zeros
    }

    /// Whether it verifies a signature over a digest.
    pub(super) fn verifies(
        &self,
        scheme: &RsaScheme,
        digest: &[u8],
        signature: &SignatureBytes,
        work: &mut Work,
    ) -> Result<bool, Error> {
        work.take_signature(KeyKind::Rsa {
            bytes: self.modulus.len(),
        })?;
        // RFC 8017 appendix A.1.1.
        let key = asn1_of_pair(self.modulus, self.exponent).ok_or_else(out_of_range)?;
        let key = ParsedPublicKey::new(scheme.algorithm, key).map_err(|_| out_of_range())?;
        let [number] = integers(signature) else {
            return Ok(false);
        };
        let Some(number) = padded(number.as_ref(), self.modulus.len()) else {
            return Ok(false);
        };
        let digest = aws_digest::Digest::import_less_safe(digest, scheme.hash);
        Ok(digest.is_ok_and(|digest| key.verify_digest_sig(&digest, &number).is_ok()))
    }
}

/// A point on one of NIST's curves.
pub(super) struct NistKey<'k> {
    pub(super) curve: Curve,
    pub(super) point: &'k [u8],
}

impl NistKey<'_> {
    /// Whether it verifies a signature over a digest of any length. RFC 9580 section 5.2.3.2
    /// forbids digests that are shorter than the curve; Go takes them, and hardware signers make
    /// them.
    pub(super) fn verifies(
        &self,
        digest: &[u8],
        signature: &SignatureBytes,
        work: &mut Work,
    ) -> Result<bool, Error> {
        let coordinate_bytes = match self.curve {
            Curve::P224 => return Ok(false),
            Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        };
        work.take_signature(KeyKind::Ecdsa(self.curve))?;
        let hash = match digest.len() {
            ..=32 => HashAlgorithm::Sha256,
            33..=48 => HashAlgorithm::Sha384,
            _ => HashAlgorithm::Sha512,
        };
        // ECDSA takes a digest for a number, which is the same with zeros before it.
        let digest = padded(digest, hash.digest_length());
        let is_uncompressed = self.point.len() == 1 + 2 * coordinate_bytes && self.point[0] == 4;
        let key = ecdsa_algorithm(self.curve, hash)
            .filter(|_| is_uncompressed)
            .and_then(|algorithm| ParsedPublicKey::new(algorithm, self.point).ok())
            .ok_or_else(out_of_range)?;
        let [r, s] = integers(signature) else {
            return Ok(false);
        };
        let pair = [r, s].map(|number| padded(number.as_ref(), coordinate_bytes));
        let [Some(r), Some(s)] = pair else {
            return Ok(false);
        };
        let signature = asn1_of_raw_pair(&[r, s].concat());
        let digest = digest
            .and_then(|digest| Digest::from_bytes(hash, digest))
            .and_then(|digest| imported(&digest));
        let verified = signature
            .zip(digest)
            .map(|(signature, digest)| key.verify_digest_sig(&digest, &signature));
        Ok(verified.is_some_and(|verified| verified.is_ok()))
    }
}

fn out_of_range() -> Error {
    Error::structure("public key with numbers that are out of range")
}

fn integers(signature: &SignatureBytes) -> &[Mpi] {
    match signature {
        SignatureBytes::Mpis(integers) => integers,
        SignatureBytes::Native(_) => &[],
    }
}

/// With zeros before it, so that it has this length; none if it is longer.
fn padded(number: &[u8], length: usize) -> Option<Vec<u8>> {
    let zeros = length.checked_sub(number.len())?;
    Some([&vec![0; zeros], number].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modulus_of_2047_bits_is_short_for_sha_384() {
        let mut modulus = [0xff; 256];
        for (first_byte, takes_sha_384) in [(0xff, true), (0x7f, false)] {
            modulus[0] = first_byte;
            let key = RsaKey {
                modulus: &modulus,
                exponent: &[1, 0, 1],
            };
            assert_eq!(
                RsaScheme::of(PgpHash::Sha384, &key).is_some(),
                takes_sha_384
            );
            assert!(RsaScheme::of(PgpHash::Sha512, &key).is_some());
        }
    }
}
