//! Public keys of clients, and their signatures over given digests.

pub(crate) mod algorithm;
mod parse;
mod strict;

use aws_lc_rs::digest as aws_digest;
use aws_lc_rs::signature::{self as aws, ParsedPublicKey};
use ed25519_dalek::{Verifier as _, VerifyingKey};

use crate::algorithms::HashAlgorithm;
use crate::digest::Digest;
use crate::error::Error;
use crate::prehash::Prehash;
use crate::signature;
use crate::work::Work;
use algorithm::{ecdsa_algorithm, rsa_algorithm, verify};

pub use crate::algorithms::{Curve, KeyKind};
pub use crate::error::{KeyError, SignatureError};

/// A key that parsed: its numbers are in range and its point, but for P-224 and Ed25519, is on the
/// curve.
#[derive(Debug)]
pub struct PublicKey {
    kind: KeyKind,
    verifier: Verifier,
}

#[derive(Debug)]
enum Verifier {
    /// Parsed for SHA-256, which nine in ten entries use.
    AwsLc(ParsedPublicKey),
    Ed25519([u8; 32]),
    /// P-224, which aws-lc-rs does not have and no policy can admit.
    None,
}

impl PublicKey {
    /// Returns the algorithm of the key.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Returns the bytes of the key in the encoding of its algorithm. Different keys have different
    /// bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.verifier {
            Verifier::AwsLc(key) => key.as_ref(),
            Verifier::Ed25519(key) => key,
            Verifier::None => &[],
        }
    }

    /// Checks a signature over a digest as Rekor does for a `hashedrekord`: ECDSA on any curve with
    /// any hash, as ASN.1 or as r ‖ s; RSA as PKCS#1 v1.5; Ed25519 as Ed25519ph (RFC 8032), hence
    /// over SHA-512 only.
    pub fn verify_digest(
        &self,
        digest: &Digest,
        signature: &[u8],
        work: &mut Work,
    ) -> Result<(), Error> {
        let hash = digest.algorithm();
        work.take_signature(self.kind)?;
        match (self.kind, &self.verifier) {
            (KeyKind::Ecdsa(curve), Verifier::AwsLc(key)) => {
                let algorithm = ecdsa_algorithm(curve, hash).ok_or(SignatureError::NotAllowed)?;
                // As Rekor tells the forms apart: what begins like ASN.1 is never taken for r ‖ s.
                if signature::is_asn1_pair(signature) {
                    let verified = verify(key, algorithm, digest, signature);
                    return Ok(verified.ok_or(SignatureError::Asn1)?);
                }
                let asn1 =
                    signature::asn1_of_raw_pair(signature).ok_or(SignatureError::NeitherForm)?;
                Ok(verify(key, algorithm, digest, &asn1).ok_or(SignatureError::RawPair)?)
            }
            (KeyKind::Rsa { bytes }, Verifier::AwsLc(key)) => {
                let algorithm = rsa_algorithm(bytes, hash).ok_or(SignatureError::NotAllowed)?;
                Ok(verify(key, algorithm, digest, signature).ok_or(SignatureError::Rsa)?)
            }
            (_, Verifier::Ed25519(key)) => Ok(verify_ed25519ph(key, digest, signature)?),
            (_, Verifier::AwsLc(_) | Verifier::None) => Err(SignatureError::NotAllowed.into()),
        }
    }

    /// Checks a signature over `message` as Rekor does where the message itself is there: over its
    /// SHA-256 by ECDSA on any curve (as ASN.1 or as r ‖ s) or RSA PKCS#1 v1.5, over itself by
    /// Ed25519.
    pub fn verify_message(
        &self,
        message: &[u8],
        signature: &[u8],
        work: &mut Work,
    ) -> Result<(), Error> {
        work.take_hashing(message.len())?;
        match &self.verifier {
            Verifier::Ed25519(key) => {
                work.take_signature(self.kind)?;
                let verified = verify_ed25519(key, message, signature);
                Ok(verified.ok_or(SignatureError::Ed25519Message)?)
            }
            Verifier::AwsLc(_) | Verifier::None => {
                self.verify_digest(&Digest::sha256(message), signature, work)
            }
        }
    }

    /// Checks a signature over the hash of a package or archive, as [`Self::verify_digest`] with
    /// two hash functions more: SHA-1, by which Alpine packages are signed and old archives, and
    /// with ECDSA keys SHA-224. Ed25519 keys sign neither.
    pub fn verify_hash(
        &self,
        hash: &aws_digest::Digest,
        signature: &[u8],
        work: &mut Work,
    ) -> Result<(), Error> {
        let (algorithm, bytes) = (hash.algorithm(), hash.as_ref().to_vec());
        let (algorithm, bytes) = match (self.kind, &self.verifier) {
            (KeyKind::Ed25519, _) => return Err(SignatureError::NotForPackages.into()),
            (KeyKind::Rsa { .. }, Verifier::AwsLc(key))
                if *algorithm == aws_digest::SHA1_FOR_LEGACY_USE_ONLY =>
            {
                work.take_signature(self.kind)?;
                let with_sha1 = &aws::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY;
                let verified = ParsedPublicKey::new(with_sha1, key.as_ref())
                    .is_ok_and(|key| key.verify_digest_sig(hash, signature).is_ok());
                return Ok(verified.then_some(()).ok_or(SignatureError::Rsa)?);
            }
            // ECDSA takes a hash for a number, which is the same with zeros before it.
            (KeyKind::Ecdsa(_), _) if bytes.len() < 32 => (
                HashAlgorithm::Sha256,
                [vec![0; 32 - bytes.len()], bytes].concat(),
            ),
            _ if *algorithm == aws_digest::SHA256 => (HashAlgorithm::Sha256, bytes),
            _ if *algorithm == aws_digest::SHA384 => (HashAlgorithm::Sha384, bytes),
            _ if *algorithm == aws_digest::SHA512 => (HashAlgorithm::Sha512, bytes),
            _ => return Err(SignatureError::NotAllowed.into()),
        };
        let digest = Digest::from_bytes(algorithm, bytes).ok_or(SignatureError::NotAllowed)?;
        self.verify_digest(&digest, signature, work)
    }
}

/// RFC 8032 section 5.1.7; some if the signature verifies. Not the strict rules of ed25519-dalek:
/// Go's are these.
pub fn verify_ed25519(key: &[u8; 32], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = VerifyingKey::from_bytes(key).ok()?;
    key.verify(
        message,
        &ed25519_dalek::Signature::from_slice(signature).ok()?,
    )
    .ok()
}

/// RFC 8032 section 5.1.7 with the pre-hash given. Not the strict rules of ed25519-dalek: Go's are
/// these.
fn verify_ed25519ph(
    key: &[u8; 32],
    digest: &Digest,
    signature: &[u8],
) -> Result<(), SignatureError> {
    let prehash = Prehash::new(digest).ok_or(SignatureError::Ed25519Hash(digest.algorithm()))?;
    let key = VerifyingKey::from_bytes(key).map_err(|_| SignatureError::Ed25519)?;
    let signature = ed25519_dalek::Signature::from_slice(signature)
        .map_err(|_| SignatureError::Ed25519Length(signature.len()))?;
    key.verify_prehashed(prehash, None, &signature)
        .map_err(|_| SignatureError::Ed25519)
}
