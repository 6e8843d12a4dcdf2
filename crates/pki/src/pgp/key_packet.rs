//! Public-key packets (RFC 9580 section 5.5.2).

use aws_lc_rs::digest;
use pgp::packet::{PacketHeader, PublicKey};
use pgp::types::{Tag, VerifyingKey};

use super::error::{Error, MAX_RSA_BITS, MIN_RSA_BITS};
use super::key_material::{
    NIST_P256, NIST_P384, NIST_P521, SECP256K1, digits, integers, material_length, split_identifier,
};
use super::low_s::with_low_s;
use super::numbers::{NistKey, RsaKey, RsaScheme};
use super::packet::{self, split, split_integer};
use super::signature_packet::{
    DSA, ECDSA, ED448, ED25519, EDDSA_LEGACY, RSA, RSA_SIGN_ONLY, SignaturePacket,
};
use super::subpackets;
use crate::algorithms::Curve;
use crate::work::Work;

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

    /// Returns the bytes of a key that are hashed (section 5.2.4).
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

    /// Returns the numbers by which signatures of this key are verified.
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

    /// The price of one check by the crate `pgp`. With its arithmetic the cost of RSA and DSA grows
    /// with the square of the modulus, for DSA also with its second number.
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

/// The numbers of a key, by the code that verifies with them.
enum Material<'k> {
    Rsa(RsaKey<'k>),
    Nist(NistKey<'k>),
    /// The crate `pgp`.
    Other,
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
