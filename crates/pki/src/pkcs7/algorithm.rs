//! Algorithms that signers name.

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::signature::ParsedPublicKey;

use crate::algorithms::KeyKind;
use crate::signature::is_asn1_pair;
use crate::work::Work;
use crate::x509::certificate::Certificate;
use crate::x509::chain::pss_algorithm;
use crate::x509::der::{Element, Elements, SEQUENCE};

use super::error::SignerError;

/// `AlgorithmIdentifier`: an object identifier and perhaps one parameter.
pub(super) struct Identifier<'a> {
    oid: &'a [u8],
    /// The whole element.
    parameters: &'a [u8],
}

impl<'a> Identifier<'a> {
    pub(super) fn read(element: &Element<'a>) -> Option<Self> {
        let mut fields = Elements(element.contents);
        let oid = fields
            .object_identifier()
            .filter(|_| element.tag == SEQUENCE)?;
        let parameters = if fields.is_empty() {
            &[]
        } else {
            fields.any()?.whole
        };
        fields.is_empty().then_some(Self { oid, parameters })
    }

    /// The hash function that this names; none for MD5, whose collisions take seconds to find.
    pub(super) fn hash(&self) -> Option<&'static digest::Algorithm> {
        const SHA1: &[u8] = &[0x2b, 14, 3, 2, 26];
        match self.oid {
            SHA1 => Some(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, number] => sha2(*number),
            _ => None,
        }
    }

    /// Checks a signature over `hash` by the key of `certificate`, if this algorithm is one for
    /// such a hash and key.
    pub(super) fn verify(
        &self,
        hash: &Digest,
        signature: &[u8],
        certificate: &Certificate<'_>,
        work: &mut Work,
    ) -> Result<(), SignerError> {
        let key = certificate
            .public_key
            .as_ref()
            .map_err(|_| SignerError::Key)?;
        let scheme = Scheme::of(self.oid).ok_or(SignerError::Key)?;
        if scheme
            .hash
            .is_some_and(|expected| expected != hash.algorithm())
        {
            return Err(SignerError::OtherHash);
        }
        let is_valid = match (scheme.signature, key.kind()) {
            (Signature::Rsa, KeyKind::Rsa { .. }) => key.verify_hash(hash, signature, work).is_ok(),
            (Signature::Ecdsa, KeyKind::Ecdsa(_)) => {
                is_asn1_pair(signature) && key.verify_hash(hash, signature, work).is_ok()
            }
            (Signature::Pss, kind @ KeyKind::Rsa { .. }) => {
                work.take_signature(kind)?;
                pss_algorithm(self.parameters)
                    .and_then(|algorithm| {
                        ParsedPublicKey::new(algorithm, certificate.public_key_info).ok()
                    })
                    .is_some_and(|key| key.verify_digest_sig(hash, signature).is_ok())
            }
            _ => return Err(SignerError::OtherKey),
        };
        is_valid.then_some(()).ok_or(SignerError::Signature)
    }
}

/// How a signature is made, and over which hash where its identifier says so.
struct Scheme {
    signature: Signature,
    hash: Option<&'static digest::Algorithm>,
}

enum Signature {
    Rsa,
    Pss,
    Ecdsa,
}

impl Scheme {
    /// None for DSA and Ed25519, with which Rekor does not verify either.
    fn of(oid: &[u8]) -> Option<Self> {
        const SHA1_WITH_RSA_OF_ISO: &[u8] = &[0x2b, 14, 3, 2, 29];
        let sha1 = Some(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        let (signature, hash) = match oid {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, number] => match number {
                1 => (Signature::Rsa, None),
                10 => (Signature::Pss, None),
                5 => (Signature::Rsa, sha1),
                11..=13 => (Signature::Rsa, sha2(number - 10)),
                _ => return None,
            },
            SHA1_WITH_RSA_OF_ISO => (Signature::Rsa, sha1),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1] => (Signature::Ecdsa, None),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1] => (Signature::Ecdsa, sha1),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, number @ 2..=4] => {
                (Signature::Ecdsa, sha2(number - 1))
            }
            _ => return None,
        };
        Some(Self { signature, hash })
    }
}

/// By the last number of its identifier (RFC 5754).
fn sha2(number: u8) -> Option<&'static digest::Algorithm> {
    match number {
        1 => Some(&digest::SHA256),
        2 => Some(&digest::SHA384),
        3 => Some(&digest::SHA512),
        4 => Some(&digest::SHA224),
        _ => None,
    }
}
