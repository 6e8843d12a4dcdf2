//! Public-key packets (RFC 9580 section 5.5.2).

use aws_lc_rs::digest;
use pgp::packet::{PacketHeader, PublicKey};
use pgp::types::{Mpi, SignatureBytes, Tag, VerifyingKey};

use super::error::{Error, MAX_RSA_BITS, MIN_RSA_BITS};
use super::numbers::{NistKey, RsaKey, RsaScheme};
use super::packet::{self, split, split_integer};
use super::signature_packet::{
    DSA, ECDSA, ED448, ED25519, EDDSA_LEGACY, RSA, RSA_SIGN_ONLY, SignaturePacket,
};
use super::subpackets;
use crate::public_key::Curve;
use crate::work::Work;

/// Longest RSA exponent in bytes, as in Rekor.
const MAX_EXPONENT: usize = 3;

// Public-key algorithms that do not sign (section 9.1).
const RSA_ENCRYPT_ONLY: u8 = 2;
const ELGAMAL: u8 = 16;
const ECDH: u8 = 18;
const X25519: u8 = 25;
const X448: u8 = 26;

/// Curves (section 9.2, and Brainpool's), by the identifiers in keys.
const NIST_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const NIST_P384: &[u8] = &[0x2b, 0x81, 4, 0, 0x22];
const NIST_P521: &[u8] = &[0x2b, 0x81, 4, 0, 0x23];
const SECP256K1: &[u8] = &[0x2b, 0x81, 4, 0, 0x0a];
const CURVE25519_LEGACY: &[u8] = &[0x2b, 6, 1, 4, 1, 0x97, 0x55, 1, 5, 1];
const ED25519_LEGACY: &[u8] = &[0x2b, 6, 1, 4, 1, 0xda, 0x47, 15, 1];
const X448_OID: &[u8] = &[0x2b, 0x65, 0x6f];
const ED448_OID: &[u8] = &[0x2b, 0x65, 0x71];
const BRAINPOOL_P256: &[u8] = &[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7];
const BRAINPOOL_P384: &[u8] = &[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 11];
const BRAINPOOL_P512: &[u8] = &[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 13];

/// A parsed primary key or subkey.
pub(super) struct KeyPacket {
    tag: u8,
    pub(super) version: u8,
    pub(super) created: u32,
    algorithm: u8,
    pub(super) fingerprint: Vec<u8>,
    pub(super) id: u64,
    /// The packet's contents without anything after the key.
    canonical: Vec<u8>,
    /// Where its numbers begin in them.
    material_at: usize,
}

impl KeyPacket {
    /// Parses the contents of a packet of this type: version 4 or 6.
    pub(super) fn parse(tag: u8, body: &[u8]) -> Result<Self, Error> {
        let (fields, rest) = split(body, 6)?;
        let (version, algorithm) = (fields[0], fields[5]);
        let material = match version {
            4 => rest,
            // The length is not used, as in Rekor.
            6 => split(rest, 4)?.1,
            version => return Err(Error::unsupported(format!("public key version {version}"))),
        };
        let length = material_length(version, algorithm, material)?;
        let material_at = body.len() - material.len();
        let canonical = body[..material_at + length].to_vec();
        let fingerprint = fingerprint(version, &canonical);
        let id = subpackets::key_id(version, &fingerprint).unwrap_or_default();
        let created = u32::from_be_bytes([fields[1], fields[2], fields[3], fields[4]]);
        Ok(Self {
            tag,
            version,
            created,
            algorithm,
            fingerprint,
            id,
            canonical,
            material_at,
        })
    }

    pub(super) fn is_primary(&self) -> bool {
        self.tag == packet::PUBLIC_KEY
    }

    /// Bytes that a number in a signature by this key has at most.
    fn signature_number_bytes(&self) -> usize {
        match (self.algorithm, self.curve()) {
            (RSA | RSA_SIGN_ONLY, _) => usize::from(self.first_number_bits()).div_ceil(8),
            // The second number of the key, with its two bytes of a length.
            (DSA, _) => integers(1, &self.canonical[self.material_at..])
                .and_then(split_integer)
                .map_or(0, |(order, _)| order.len() - 2),
            (_, Some(NIST_P384)) => 48,
            (_, Some(NIST_P521)) => 66,
            (ED25519 | ED448, _) => usize::MAX,
            _ => 32,
        }
    }

    /// Whether keys of its algorithm sign.
    pub(super) fn can_sign(&self) -> bool {
        matches!(
            self.algorithm,
            RSA | RSA_SIGN_ONLY | DSA | ECDSA | EDDSA_LEGACY | ED25519 | ED448
        )
    }

    /// Appends the packet as Rekor writes it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        packet::write(self.tag, &self.canonical, out);
    }

    /// Section 5.2.4: what of a key is hashed.
    pub(super) fn to_be_hashed(&self) -> Vec<u8> {
        to_be_hashed(self.version, &self.canonical)
    }

    /// Checks a signature by this key over `parts`.
    pub(super) fn verify(
        &self,
        signature: &SignaturePacket,
        parts: &[&[u8]],
        work: &mut Work,
    ) -> Result<(), Error> {
        self.verify_digest(signature, &signature.digest(parts, work)?, work)
    }

    /// Checks a signature by this key over a digest. Versions 3 and 6 must name the digest's first
    /// two bytes, as in the libraries of Rekor.
    pub(super) fn verify_digest(
        &self,
        signature: &SignaturePacket,
        digest: &[u8],
        work: &mut Work,
    ) -> Result<(), Error> {
        if signature.version != 4 && !digest.starts_with(&signature.hash_tag) {
            return Err(Error::Signature("hash tag doesn't match"));
        }
        if signature.key_algorithm != self.algorithm {
            return Err(Error::Signature(
                "public key and signature use different algorithms",
            ));
        }
        // Whoever adds zeros would make an entry of each number of them.
        if signature.longest_number > self.signature_number_bytes() {
            return Err(Error::Signature(
                "a number is longer than those of this key",
            ));
        }
        let is_verified = match self.material()? {
            Material::Rsa(key) => match RsaScheme::of(signature.hash, &key) {
                Some(scheme) => key.verifies(&scheme, digest, &signature.numbers, work)?,
                None => self.is_verified_by_library(signature, digest, work)?,
            },
            Material::Nist(key) => key.verifies(digest, &signature.numbers, work)?,
            Material::Other => self.is_verified_by_library(signature, digest, work)?,
        };
        is_verified
            .then_some(())
            .ok_or(Error::Signature(match self.algorithm {
                RSA | RSA_SIGN_ONLY => "RSA verification failure",
                DSA => "DSA verification failure",
                ECDSA => "ECDSA verification failure",
                EDDSA_LEGACY => "EdDSA verification failure",
                ED25519 => "Ed25519 verification failure",
                _ => "ed448 verification failure",
            }))
    }

    /// What verifies a signature by this key.
    fn material(&self) -> Result<Material<'_>, Error> {
        let material = &self.canonical[self.material_at..];
        match self.algorithm {
            RSA | RSA_SIGN_ONLY => {
                // Not where keys are parsed: those that only encrypt may be longer.
                let bits = self.first_number_bits();
                if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
                    return Err(Error::RsaSize(bits));
                }
                let (modulus, rest) = split_integer(material)?;
                let (exponent, _) = split_integer(rest)?;
                Ok(Material::Rsa(RsaKey {
                    modulus: digits(modulus),
                    exponent: digits(exponent),
                }))
            }
            ECDSA => {
                let (curve, rest) = split_identifier(material)?;
                let curve = match curve {
                    NIST_P256 => Curve::P256,
                    NIST_P384 => Curve::P384,
                    NIST_P521 => Curve::P521,
                    _ => return Ok(Material::Other),
                };
                let (point, _) = split_integer(rest)?;
                Ok(Material::Nist(NistKey {
                    curve,
                    point: digits(point),
                }))
            }
            _ => Ok(Material::Other),
        }
    }

    /// The length of the first number of an RSA or DSA key: the modulus.
    fn first_number_bits(&self) -> u16 {
        match self.canonical[self.material_at..] {
            [first, second, ..] => u16::from_be_bytes([first, second]),
            _ => 0,
        }
    }

    /// The curve of an ECDSA key.
    fn curve(&self) -> Option<&[u8]> {
        let material = (self.algorithm == ECDSA).then(|| &self.canonical[self.material_at..])?;
        split_identifier(material).ok().map(|(curve, _)| curve)
    }

    fn is_verified_by_library(
        &self,
        signature: &SignaturePacket,
        digest: &[u8],
        work: &mut Work,
    ) -> Result<bool, Error> {
        work.take(self.price_of_library())?;
        let numbers = match self.curve() {
            Some(SECP256K1) => &with_low_s(&signature.numbers),
            _ => &signature.numbers,
        };
        let header = PacketHeader::new_fixed(Tag::PublicKey, self.canonical.len() as u32);
        let key = PublicKey::try_from_reader(header, &self.canonical[..])
            .map_err(|_| Error::structure("public key with numbers that are out of range"))?;
        Ok(key.verify(signature.hash, digest, numbers).is_ok())
    }

    /// What one check by the crate `pgp` costs: with its own arithmetic, that of RSA and DSA grows
    /// with the square of the modulus, that of DSA also with its second number.
    fn price_of_library(&self) -> u64 {
        let modulus = u64::from(self.first_number_bits()).div_ceil(8);
        match self.algorithm {
            RSA | RSA_SIGN_ONLY => 5 * modulus * modulus,
            DSA => {
                let numbers = &self.canonical[self.material_at..];
                let order = split_integer(numbers).and_then(|(_, rest)| split_integer(rest));
                let order_bytes = order.map_or(0, |(order, _)| digits(order).len() as u64);
                100_000 + modulus * modulus * order_bytes / 2
            }
            ECDSA => 400_000,
            ED448 => 2_000_000,
            _ => 100_000,
        }
    }
}

/// What verifies the signatures by a key.
enum Material<'k> {
    Rsa(RsaKey<'k>),
    Nist(NistKey<'k>),
    /// The crate `pgp`.
    Other,
}

/// A number without its length and without zeros before it.
fn digits(integer: &[u8]) -> &[u8] {
    let digits = &integer[2..];
    &digits[digits.iter().take_while(|digit| **digit == 0).count()..]
}

/// The order of secp256k1.
const SECP256K1_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// The signature with the smaller of the two numbers s that verify alike. The crate `k256` takes no
/// other, as Bitcoin has it; OpenPGP knows no such rule.
fn with_low_s(numbers: &SignatureBytes) -> SignatureBytes {
    let SignatureBytes::Mpis(integers) = numbers else {
        return numbers.clone();
    };
    let [r, s] = &integers[..] else {
        return numbers.clone();
    };
    let mut padded = [0; 32];
    let Some(place) = 32_usize
        .checked_sub(s.len())
        .map(|from| &mut padded[from..])
    else {
        return numbers.clone();
    };
    place.copy_from_slice(s.as_ref());
    // The order less s, digit by digit; s is below the order, or nothing verifies.
    let mut other = [0; 32];
    let mut borrow = false;
    for at in (0..32).rev() {
        let (digit, first) = SECP256K1_ORDER[at].overflowing_sub(padded[at]);
        let (digit, second) = digit.overflowing_sub(u8::from(borrow));
        (other[at], borrow) = (digit, first || second);
    }
    match borrow {
        true => numbers.clone(),
        false => SignatureBytes::Mpis(vec![r.clone(), Mpi::from_slice(&padded.min(other))]),
    }
}

/// Section 5.5.4.
fn fingerprint(version: u8, contents: &[u8]) -> Vec<u8> {
    let algorithm = if version == 4 {
        &digest::SHA1_FOR_LEGACY_USE_ONLY
    } else {
        &digest::SHA256
    };
    digest::digest(algorithm, &to_be_hashed(version, contents))
        .as_ref()
        .to_vec()
}

fn to_be_hashed(version: u8, contents: &[u8]) -> Vec<u8> {
    let length = (contents.len() as u32).to_be_bytes();
    match version {
        4 => [&[0x99][..], &length[2..], contents].concat(),
        version => [&[0x95 + version][..], &length, contents].concat(),
    }
}

/// How long the numbers of a key are, if they are of the kinds that Rekor takes.
fn material_length(version: u8, algorithm: u8, material: &[u8]) -> Result<usize, Error> {
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

fn integers(count: usize, mut bytes: &[u8]) -> Result<&[u8], Error> {
    for _ in 0..count {
        bytes = split_integer(bytes)?.1;
    }
    Ok(bytes)
}

/// Bytes with their length in one byte before them, and the rest.
fn split_identifier(bytes: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    match split(bytes, 1)? {
        ([0 | 0xff], _) => Err(Error::unsupported("reserved for future extensions")),
        (length, rest) => split(rest, usize::from(length[0])),
    }
}

fn unknown_curve(curve: &[u8]) -> Error {
    Error::unsupported(format!("unknown oid: {}", hex::encode(curve)))
}
