//! Public keys in DER.

use aws_lc_rs::signature::{self as aws, ParsedPublicKey};
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::{ObjectIdentifier, UintRef};
use der::{Decode, Reader, SliceReader};
use spki::SubjectPublicKeyInfoRef;

use super::algorithm::ecdsa_algorithm;
use super::{PublicKey, Verifier};
use crate::algorithms::{Curve, HashAlgorithm, KeyKind};
use crate::error::{Error, KeyError, MAX_RSA_BITS, MIN_RSA_BITS};

impl PublicKey {
    /// Parses a DER `SubjectPublicKeyInfo`. Keys whose algorithm Rekor parses too but never
    /// verifies with (DSA, X25519, Ed448) are [`KeyError::UnknownAlgorithm`].
    pub fn from_spki(spki: &[u8]) -> Result<Self, Error> {
        Ok(Self::parse(spki)?)
    }

    pub(crate) fn parse(spki: &[u8]) -> Result<Self, KeyError> {
        let info = SubjectPublicKeyInfoRef::from_der(spki).map_err(|_| KeyError::Malformed)?;
        let bits = info
            .subject_public_key
            .as_bytes()
            .ok_or(KeyError::Malformed)?;
        let parameters = info.algorithm.parameters;
        match info.algorithm.oid {
            rfc5912::ID_EC_PUBLIC_KEY => {
                let curve = parameters
                    .and_then(|parameters| parameters.decode_as().ok())
                    .ok_or(KeyError::Malformed)?;
                ecdsa(curve, spki, bits)
            }
            rfc5912::RSA_ENCRYPTION => {
                match parameters.is_some_and(|parameters| parameters.is_null()) {
                    true => rsa(spki, bits),
                    false => Err(KeyError::Malformed),
                }
            }
            rfc8410::ID_ED_25519 if parameters.is_none() => {
                let bytes = bits.try_into().map_err(|_| KeyError::Malformed)?;
                Ok(Self {
                    kind: KeyKind::Ed25519,
                    verifier: Verifier::Ed25519(bytes),
                })
            }
            rfc8410::ID_ED_25519 => Err(KeyError::Malformed),
            _ => Err(KeyError::UnknownAlgorithm),
        }
    }
}

fn ecdsa(curve: ObjectIdentifier, spki: &[u8], point: &[u8]) -> Result<PublicKey, KeyError> {
    let (curve, coordinate_bytes) = match curve {
        rfc5912::SECP_224_R_1 => (Curve::P224, 28),
        rfc5912::SECP_256_R_1 => (Curve::P256, 32),
        rfc5912::SECP_384_R_1 => (Curve::P384, 48),
        rfc5912::SECP_521_R_1 => (Curve::P521, 66),
        _ => return Err(KeyError::UnknownCurve),
    };
    // Uncompressed points only, as Go: one key has one encoding, hence one entry.
    if point.len() != 1 + 2 * coordinate_bytes || point[0] != 0x04 {
        return Err(KeyError::Malformed);
    }
    let verifier = match ecdsa_algorithm(curve, HashAlgorithm::Sha256) {
        Some(algorithm) => {
            Verifier::AwsLc(ParsedPublicKey::new(algorithm, spki).map_err(|_| KeyError::Malformed)?)
        }
        None => Verifier::None,
    };
    Ok(PublicKey {
        kind: KeyKind::Ecdsa(curve),
        verifier,
    })
}

fn rsa(spki: &[u8], key: &[u8]) -> Result<PublicKey, KeyError> {
    let [modulus, _] = rsa_numbers(key).map_err(|_| KeyError::Malformed)?;
    let bytes = modulus.as_bytes();
    let bits = bytes.len() * 8
        - bytes
            .first()
            .map_or(0, |first| first.leading_zeros() as usize);
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(KeyError::RsaSize(bits));
    }
    let parsed = ParsedPublicKey::new(&aws::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, spki)
        .map_err(|_| KeyError::Malformed)?;
    Ok(PublicKey {
        kind: KeyKind::Rsa { bytes: bytes.len() },
        verifier: Verifier::AwsLc(parsed),
    })
}

/// Modulus and public exponent.
pub(super) fn rsa_numbers(key: &[u8]) -> Result<[UintRef<'_>; 2], der::Error> {
    let mut reader = SliceReader::new(key)?;
    let numbers = reader.sequence(|reader| {
        Ok::<_, der::Error>([UintRef::decode(reader)?, UintRef::decode(reader)?])
    })?;
    reader.finish()?;
    Ok(numbers)
}
