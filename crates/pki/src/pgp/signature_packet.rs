//! Signature packets (RFC 9580 section 5.2).

use pgp::crypto::hash::HashAlgorithm;
use pgp::types::{Mpi, SignatureBytes};

use super::error::Error;
use super::packet::{self, split, split_integer};
use super::subpackets::{self, Area, Claims};
use crate::work::Work;

// Signature types (section 5.2.1).
pub(super) const BINARY: u8 = 0x00;
pub(super) const TEXT: u8 = 0x01;
/// Certifications of a user ID: generic, persona, casual, positive.
pub(super) const CERTIFICATIONS: std::ops::RangeInclusive<u8> = 0x10..=0x13;
pub(super) const SUBKEY_BINDING: u8 = 0x18;
const PRIMARY_KEY_BINDING: u8 = 0x19;
pub(super) const DIRECT_KEY: u8 = 0x1f;
pub(super) const KEY_REVOCATION: u8 = 0x20;
pub(super) const SUBKEY_REVOCATION: u8 = 0x28;
pub(super) const CERTIFICATION_REVOCATION: u8 = 0x30;

// Public-key algorithms (section 9.1).
pub(super) const RSA: u8 = 1;
pub(super) const RSA_SIGN_ONLY: u8 = 3;
pub(super) const DSA: u8 = 17;
pub(super) const ECDSA: u8 = 19;
pub(super) const EDDSA_LEGACY: u8 = 22;
pub(super) const ED25519: u8 = 27;
pub(super) const ED448: u8 = 28;

/// A parsed signature packet of version 3, 4 or 6.
pub(super) struct SignaturePacket {
    pub(super) version: u8,
    pub(super) kind: u8,
    pub(super) key_algorithm: u8,
    pub(super) hash: HashAlgorithm,
    pub(super) created: u32,
    pub(super) claims: Claims,
    pub(super) numbers: SignatureBytes,
    /// Bytes of the longest of them as it is written, zeros at its front included.
    pub(super) longest_number: usize,
    /// Version 6: the bytes that are hashed before the data.
    pub(super) salt: Vec<u8>,
    /// The bytes that are hashed after the data.
    pub(super) suffix: Vec<u8>,
    /// The first two bytes of the digest.
    pub(super) hash_tag: [u8; 2],
    /// The packet's contents as Rekor writes them.
    pub(super) canonical: Vec<u8>,
}

impl SignaturePacket {
    /// Parses the contents of a packet in a key: version 4 or 6.
    pub(super) fn of_key(body: &[u8]) -> Result<Self, Error> {
        Self::version_4_or_6(body, Claims::default())
    }

    /// Parses the contents of a packet beside a message: version 3 as well, which GnuPG 1.4 and
    /// older rpm write, and which cannot say more than who signed when.
    pub(super) fn of_message(body: &[u8]) -> Result<Self, Error> {
        match split(body, 1)?.0[0] {
            2 | 3 => Self::version_3(body),
            _ => Self::of_key(body),
        }
    }

    /// Parses a signature by a subkey of its parent. Of all that it may say, this is all that
    /// matters.
    pub(super) fn embedded(body: &[u8]) -> Result<Self, Error> {
        let signature = Self::version_4_or_6(body, Claims::of_embedded())?;
        match signature.kind {
            PRIMARY_KEY_BINDING => Ok(signature),
            kind => Err(Error::structure(format!(
                "cross-signature has unexpected type {kind}"
            ))),
        }
    }

    fn version_4_or_6(body: &[u8], claims: Claims) -> Result<Self, Error> {
        match split(body, 1)?.0[0] {
            4 => Self::version_4(body, claims),
            6 => Self::version_6(body, claims),
            version => Err(Error::unsupported(format!(
                "signature packet version {version}"
            ))),
        }
    }

    /// RFC 4880 section 5.2.2.
    fn version_3(body: &[u8]) -> Result<Self, Error> {
        let (fields, rest) = split(body, 19)?;
        let [
            _,
            hashed_length,
            kind,
            created @ ..,
            key_algorithm,
            hash,
            tag_1,
            tag_2,
        ] = fields
        else {
            return Err(Error::End);
        };
        if *hashed_length != 5 {
            return Err(Error::unsupported(format!(
                "invalid hashed material length {hashed_length}"
            )));
        }
        let (created, issuer) = created.split_at(4);
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |number, byte| number << 8 | u64::from(*byte))
        };
        let hash_algorithm = hash_algorithm(*hash)?;
        if !matches!(*key_algorithm, RSA | RSA_SIGN_ONLY | DSA) {
            return Err(Error::unsupported(format!(
                "public key algorithm {key_algorithm}"
            )));
        }
        let (numbers, longest_number, encoded) = numbers(*key_algorithm, rest)?;
        // One signature would make any number of packets.
        if encoded.len() < rest.len() {
            return Err(Error::structure("trailing data in v3 signature packet"));
        }
        Ok(Self {
            version: 3,
            kind: *kind,
            key_algorithm: *key_algorithm,
            hash: hash_algorithm,
            created: number(created) as u32,
            claims: Claims::of_version_3(number(issuer)),
            numbers,
            longest_number,
            salt: Vec::new(),
            suffix: fields[2..7].to_vec(),
            hash_tag: [*tag_1, *tag_2],
            canonical: [fields, encoded].concat(),
        })
    }

    /// Section 5.2.3 for version 4.
    fn version_4(body: &[u8], mut claims: Claims) -> Result<Self, Error> {
        let (fields, rest) = split(body, 6)?;
        let hash = check_algorithms(fields)?;
        let (hashed, rest) = split(rest, length(&fields[4..]))?;
        subpackets::read(hashed, Area::Hashed, 4, &mut claims)?;
        let created = claims.created.ok_or_else(no_creation_time)?;
        let (unhashed_length, rest) = split(rest, 2)?;
        let (unhashed, rest) = split(rest, length(unhashed_length))?;
        let unhashed = subpackets::read(unhashed, Area::Unhashed, 4, &mut claims)?;
        let (tag, rest) = split(rest, 2)?;
        let (numbers, longest_number, encoded) = numbers(fields[2], rest)?;
        let trailer = [&[4, 0xff][..], &((6 + hashed.len()) as u32).to_be_bytes()].concat();
        Ok(Self {
            version: 4,
            kind: fields[1],
            key_algorithm: fields[2],
            hash,
            created,
            claims,
            numbers,
            longest_number,
            salt: Vec::new(),
            suffix: [fields, hashed, &trailer].concat(),
            hash_tag: [tag[0], tag[1]],
            canonical: [
                fields,
                hashed,
                &(unhashed.len() as u16).to_be_bytes(),
                &unhashed,
                tag,
                encoded,
            ]
            .concat(),
        })
    }

    /// Section 5.2.3 for version 6.
    fn version_6(body: &[u8], mut claims: Claims) -> Result<Self, Error> {
        let (fields, rest) = split(body, 8)?;
        let hash = check_algorithms(fields)?;
        let salt_length = match (hash, hash.salt_len()) {
            (HashAlgorithm::Sha1, _) | (_, None) => {
                return Err(Error::unsupported(format!("hash function {}", fields[3])));
            }
            (_, Some(length)) => length,
        };
        let (hashed, rest) = split(rest, length(&fields[4..]))?;
        subpackets::read(hashed, Area::Hashed, 6, &mut claims)?;
        let created = claims.created.ok_or_else(no_creation_time)?;
        let (unhashed_length, rest) = split(rest, 4)?;
        let (unhashed, rest) = split(rest, length(unhashed_length))?;
        let unhashed = subpackets::read(unhashed, Area::Unhashed, 6, &mut claims)?;
        let (tag, rest) = split(rest, 2)?;
        let (salt, rest) = match split(rest, 1)? {
            ([length], rest) if usize::from(*length) == salt_length => split(rest, salt_length)?,
            _ => {
                return Err(Error::structure(
                    "unexpected salt size for the given hash algorithm",
                ));
            }
        };
        let (numbers, longest_number, encoded) = numbers(fields[2], rest)?;
        let trailer = [&[6, 0xff][..], &((8 + hashed.len()) as u32).to_be_bytes()].concat();
        let unhashed_length = (unhashed.len() as u32).to_be_bytes();
        Ok(Self {
            version: 6,
            kind: fields[1],
            key_algorithm: fields[2],
            hash,
            created,
            claims,
            numbers,
            longest_number,
            salt: salt.to_vec(),
            suffix: [fields, hashed, &trailer].concat(),
            hash_tag: [tag[0], tag[1]],
            canonical: [
                fields,
                hashed,
                &unhashed_length,
                &unhashed,
                tag,
                &[salt_length as u8],
                salt,
                encoded,
            ]
            .concat(),
        })
    }

    /// Section 5.2.4: the digest over `parts`, one after the other, and over what the signature
    /// says of itself.
    pub(super) fn digest(&self, parts: &[&[u8]], work: &mut Work) -> Result<Box<[u8]>, Error> {
        work.take_hashing(parts.iter().map(|part| part.len()).sum::<usize>() + self.suffix.len())?;
        let mut hasher = self
            .hash
            .new_hasher()
            .map_err(|_| Error::unsupported("hash function"))?;
        hasher.update(&self.salt);
        match self.kind {
            TEXT => canonical_text(parts, |bytes| hasher.update(bytes)),
            _ => parts.iter().for_each(|part| hasher.update(part)),
        }
        hasher.update(&self.suffix);
        Ok(hasher.finalize())
    }

    /// Appends the packet as Rekor writes it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        packet::write(packet::SIGNATURE, &self.canonical, out);
    }

    /// Whether it says to be made by the key with this fingerprint and ID.
    pub(super) fn names(&self, fingerprint: &[u8], key_id: u64) -> bool {
        match &self.claims.issuer_fingerprint {
            Some(issuer) => issuer == fingerprint,
            None => self.claims.issuer == Some(key_id),
        }
    }
}

fn no_creation_time() -> Error {
    Error::structure("no creation time in signature")
}

fn length(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte))
}

/// Bytes 2 and 3 of a signature: an algorithm that signs, and the hash.
fn check_algorithms(fields: &[u8]) -> Result<HashAlgorithm, Error> {
    match fields[2] {
        RSA | RSA_SIGN_ONLY | DSA | ECDSA | EDDSA_LEGACY | ED25519 | ED448 => {
            hash_algorithm(fields[3])
        }
        algorithm => Err(Error::unsupported(format!(
            "public key algorithm {algorithm}"
        ))),
    }
}

/// The hashes that v1.5.4 knows. It does not know MD5 and RIPEMD-160 any more, and it is right.
/// SHA-1 counts only where the data shows no sign of a collision.
pub(super) fn hash_algorithm(id: u8) -> Result<HashAlgorithm, Error> {
    match id {
        2 | 8..=12 | 14 => Ok(HashAlgorithm::from(id)),
        id => Err(Error::unsupported(format!("hash function {id}"))),
    }
}

/// The numbers that are the signature, the length of the longest one, and the bytes of all.
fn numbers(key_algorithm: u8, bytes: &[u8]) -> Result<(SignatureBytes, usize, &[u8]), Error> {
    let integers = match key_algorithm {
        RSA | RSA_SIGN_ONLY => 1,
        DSA | ECDSA | EDDSA_LEGACY => 2,
        native => {
            let (signature, _) = split(bytes, if native == ED25519 { 64 } else { 114 })?;
            return Ok((
                SignatureBytes::Native(signature.to_vec().into()),
                signature.len(),
                signature,
            ));
        }
    };
    let mut numbers = Vec::with_capacity(integers);
    let mut longest = 0;
    let mut rest = bytes;
    for _ in 0..integers {
        let (integer, after) = split_integer(rest)?;
        longest = longest.max(integer.len() - 2);
        numbers.push(Mpi::from_slice(&integer[2..]));
        rest = after;
    }
    Ok((
        SignatureBytes::Mpis(numbers),
        longest,
        &bytes[..bytes.len() - rest.len()],
    ))
}

/// Section 5.2.1.2: line ends as CR LF, as Rekor's library makes them.
fn canonical_text(parts: &[&[u8]], mut write: impl FnMut(&[u8])) {
    let mut is_after_return = false;
    for part in parts {
        let mut from = 0;
        for (at, byte) in part.iter().enumerate() {
            if *byte == b'\n' && !is_after_return {
                write(&part[from..at]);
                write(b"\r\n");
                from = at + 1;
            }
            is_after_return = *byte == b'\r' && !is_after_return;
        }
        write(&part[from..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_lines_that_end_in_both() {
        let canonical = |parts: &[&[u8]]| {
            let mut text = Vec::new();
            canonical_text(parts, |bytes| text.extend_from_slice(bytes));
            text
        };
        assert_eq!(canonical(&[b"a\nb\r\n\nc"]), b"a\r\nb\r\n\r\nc");
        assert_eq!(
            canonical(&[b"a\r", b"\nb\r\r\n", b"\n"]),
            b"a\r\nb\r\r\r\n\r\n"
        );
        assert_eq!(canonical(&[]), b"");
    }
}
