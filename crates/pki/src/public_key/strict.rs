//! Signatures of formats that leave less open than Rekor's own.

use aws_lc_rs::signature::{self as aws, ParsedPublicKey, VerificationAlgorithm};
use der::Decode;
use spki::SubjectPublicKeyInfoRef;

use super::PublicKey;
use super::algorithm::{ecdsa_algorithm, imported};
use super::parse::rsa_numbers;
use crate::algorithms::{Curve, KeyKind};
use crate::digest::Digest;
use crate::error::{Error, SignatureError};
use crate::pss;
use crate::work::Work;

impl PublicKey {
    /// Checks an ECDSA signature with SHA-256 in ASN.1 form, on any curve.
    pub fn verify_ecdsa_asn1(
        &self,
        digest: &Digest,
        signature: &[u8],
        work: &mut Work,
    ) -> Result<(), Error> {
        work.take_signature(self.kind)?;
        match self.kind {
            KeyKind::Ecdsa(curve) => {
                let algorithm =
                    ecdsa_algorithm(curve, digest.algorithm()).ok_or(SignatureError::NotAllowed)?;
                let verified = self.verify_by(algorithm, digest, signature);
                Ok(verified.ok_or(SignatureError::Asn1)?)
            }
            KeyKind::Rsa { .. } | KeyKind::Ed25519 => Err(SignatureError::NotAllowed.into()),
        }
    }

    /// Checks an ECDSA signature with SHA-256 by a P-256 key, as r ‖ s of 64 bytes.
    pub fn verify_p256_pair(
        &self,
        digest: &Digest,
        signature: &[u8],
        work: &mut Work,
    ) -> Result<(), Error> {
        work.take_signature(self.kind)?;
        match self.kind {
            KeyKind::Ecdsa(Curve::P256) => {
                let verified = self.verify_by(&aws::ECDSA_P256_SHA256_FIXED, digest, signature);
                Ok(verified.ok_or(SignatureError::RawPair)?)
            }
            _ => Err(SignatureError::NotAllowed.into()),
        }
    }

    /// Checks an RSASSA-PSS signature with SHA-256 and a salt of any length.
    pub fn verify_pss(
        &self,
        digest: &Digest,
        signature: &[u8],
        work: &mut Work,
    ) -> Result<(), Error> {
        let info = SubjectPublicKeyInfoRef::from_der(self.bytes())
            .map_err(|_| SignatureError::NotAllowed)?;
        let bits = info
            .subject_public_key
            .as_bytes()
            .filter(|_| matches!(self.kind, KeyKind::Rsa { .. }));
        let [modulus, exponent] = bits
            .and_then(|bits| rsa_numbers(bits).ok())
            .ok_or(SignatureError::NotAllowed)?;
        work.take_pss(modulus.as_bytes().len())?;
        let key = pss::Numbers {
            modulus: modulus.as_bytes(),
            exponent: exponent.as_bytes(),
        };
        let digest = digest
            .bytes()
            .try_into()
            .map_err(|_| SignatureError::NotAllowed)?;
        let verified = key.verify_pss(digest, signature);
        Ok(verified.ok_or(SignatureError::Rsa)?)
    }

    fn verify_by(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        digest: &Digest,
        signature: &[u8],
    ) -> Option<()> {
        let key = ParsedPublicKey::new(algorithm, self.bytes()).ok()?;
        key.verify_digest_sig(&imported(digest)?, signature).ok()
    }
}
