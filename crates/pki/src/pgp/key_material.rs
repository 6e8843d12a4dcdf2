//! The numbers of public keys (RFC 9580 section 5.5.5), as far as Rekor tells them apart.

use super::error::Error;
use super::packet::{split, split_integer};
use super::signature_packet::{DSA, ECDSA, ED448, ED25519, EDDSA_LEGACY, RSA, RSA_SIGN_ONLY};

/// Longest RSA exponent in bytes, as in Rekor.
const MAX_EXPONENT: usize = 3;

// Public-key algorithms that do not sign (section 9.1).
const RSA_ENCRYPT_ONLY: u8 = 2;
const ELGAMAL: u8 = 16;
const ECDH: u8 = 18;
const X25519: u8 = 25;
const X448: u8 = 26;

/// Curves (section 9.2, and Brainpool's), by the identifiers in keys.
pub(super) const NIST_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
pub(super) const NIST_P384: &[u8] = &[0x2b, 0x81, 4, 0, 0x22];
pub(super) const NIST_P521: &[u8] = &[0x2b, 0x81, 4, 0, 0x23];
pub(super) const SECP256K1: &[u8] = &[0x2b, 0x81, 4, 0, 0x0a];
const CURVE25519_LEGACY: &[u8] = &[0x2b, 6, 1, 4, 1, 0x97, 0x55, 1, 5, 1];
const ED25519_LEGACY: &[u8] = &[0x2b, 6, 1, 4, 1, 0xda, 0x47, 15, 1];
const X448_OID: &[u8] = &[0x2b, 0x65, 0x6f];
const ED448_OID: &[u8] = &[0x2b, 0x65, 0x71];
const BRAINPOOL_P256: &[u8] = &[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7];
const BRAINPOOL_P384: &[u8] = &[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 11];
const BRAINPOOL_P512: &[u8] = &[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 13];

/// How long the numbers of a key are, if they are of the kinds that Rekor takes.
pub(super) fn material_length(version: u8, algorithm: u8, material: &[u8]) -> Result<usize, Error> {
    let rest = match algorithm {
        RSA | RSA_ENCRYPT_ONLY | RSA_SIGN_ONLY => rsa(material)?,
        DSA => integers(4, material)?,
        ELGAMAL => integers(3, material)?,
        ECDSA => {
            let (curve, rest) = split_identifier(material)?;
            match curve {
                NIST_P256 | NIST_P384 | NIST_P521 | SECP256K1 => integers(1, rest)?,
                BRAINPOOL_P256 | BRAINPOOL_P384 | BRAINPOOL_P512 => {
                    return Err(Error::Unverifiable("Brainpool"));
                }
                _ => return Err(unknown_curve(curve)),
            }
        }
        ECDH => ecdh(version, material)?,
        EDDSA_LEGACY => eddsa(version, material)?,
        X25519 | ED25519 => split(material, 32)?.1,
        X448 => split(material, 56)?.1,
        ED448 => split(material, 57)?.1,
        algorithm => return Err(Error::unsupported(format!("public key type: {algorithm}"))),
    };
    Ok(material.len() - rest.len())
}

fn rsa(material: &[u8]) -> Result<&[u8], Error> {
    let (exponent, rest) = split_integer(integers(1, material)?)?;
    match exponent.len() - 2 {
        ..=MAX_EXPONENT => Ok(rest),
        _ => Err(Error::unsupported("large public exponent")),
    }
}

/// Section 11.5: curve, point, and how to derive a key. Only what Rekor tells apart is looked at:
/// nothing is encrypted.
fn ecdh(version: u8, material: &[u8]) -> Result<&[u8], Error> {
    let (curve, rest) = split_identifier(material)?;
    match curve {
        NIST_P256 | NIST_P384 | NIST_P521 | SECP256K1 | X448_OID | BRAINPOOL_P256
        | BRAINPOOL_P384 | BRAINPOOL_P512 => {}
        CURVE25519_LEGACY if version == 4 => {}
        CURVE25519_LEGACY => {
            return Err(Error::structure(
                "cannot read v6 key with deprecated OID: Curve25519Legacy",
            ));
        }
        curve => return Err(unknown_curve(curve)),
    }
    let (derivation, rest) = split_identifier(integers(1, rest)?)?;
    match derivation {
        // Reserved, a hash of at least 224 bits, a cipher: 3DES, CAST5, AES.
        [1, 8..=12 | 14, 2 | 3 | 7..=9, ..] => Ok(rest),
        _ => Err(Error::unsupported("ECDH key derivation")),
    }
}

fn eddsa(version: u8, material: &[u8]) -> Result<&[u8], Error> {
    if version == 6 {
        return Err(Error::structure(
            "cannot generate v6 key with deprecated algorithm: EdDSALegacy",
        ));
    }
    let (curve, rest) = split_identifier(material)?;
    match curve {
        ED25519_LEGACY => {}
        ED448_OID => return Err(Error::Unverifiable("Ed448 (of algorithm 22)")),
        curve => return Err(unknown_curve(curve)),
    }
    let (point, rest) = split_integer(rest)?;
    match point {
        // Section 11.2: a point in its own form.
        [_, _, 0x40, ..] => Ok(rest),
        _ => Err(Error::unsupported("unsupported EdDSA compression")),
    }
}

pub(super) fn integers(count: usize, mut bytes: &[u8]) -> Result<&[u8], Error> {
    for _ in 0..count {
        bytes = split_integer(bytes)?.1;
    }
    Ok(bytes)
}

/// Bytes with their length in one byte before them, and the rest.
pub(super) fn split_identifier(bytes: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    match split(bytes, 1)? {
        ([0 | 0xff], _) => Err(Error::unsupported("reserved for future extensions")),
        (length, rest) => split(rest, usize::from(length[0])),
    }
}

fn unknown_curve(curve: &[u8]) -> Error {
    Error::unsupported(format!("unknown oid: {}", hex::encode(curve)))
}

/// A number without its length and without zeros before it.
pub(super) fn digits(integer: &[u8]) -> &[u8] {
    let digits = &integer[2..];
    &digits[digits.iter().take_while(|digit| **digit == 0).count()..]
}
