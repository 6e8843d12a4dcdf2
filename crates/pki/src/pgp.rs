//! The PKI format `pgp`: OpenPGP keys, detached signatures, clear-signed text.
//!
//! Packets are framed and read here, because Rekor's canonical form is made of them byte for byte;
//! hashes and the mathematics of keys are those of the `pgp` crate. What is taken and how it is
//! written is what Rekor v1.5.4 does with ProtonMail's go-crypto v1.4.1, but for what
//! `docs/KINDS.md` names: what v1.5.3 took and honest users still have.

mod armor;
mod budget;
mod clear_signed;
pub(crate) mod error;
#[cfg(test)]
mod hostile;
mod key_material;
mod key_packet;
mod keyring;
#[cfg(test)]
mod limits;
mod low_s;
mod numbers;
mod packet;
mod reader;
mod self_signatures;
mod signature_packet;
mod stream;
mod subpackets;
mod verify;

pub use clear_signed::ClearSigned;
pub use error::Error;

use crate::email::{self, is_email};
use crate::format;
use crate::work::Work;
use budget::Budget;
use keyring::Entity;
use signature_packet::SignaturePacket;
use stream::Signatures;

/// Bytes of a submitted key. Leaf bytes hold base64 of its base64, so that the ledger's 65,535
/// would refuse one of 37,000, but a tree for v1 alone takes larger ones.
const MAX_KEY_BYTES: usize = 1024 * 1024;
/// Armored blocks in a submitted key.
const MAX_BLOCKS: usize = 100;
/// Bytes of submitted signatures. The largest in use, with an 8,192-bit key and a policy, has
/// 2,000.
const MAX_SIGNATURE_BYTES: usize = 64 * 1024;
const PUBLIC_KEY: &str = "PGP PUBLIC KEY BLOCK";
const PRIVATE_KEY: &str = "PGP PRIVATE KEY BLOCK";
const SIGNATURE: &str = "PGP SIGNATURE";

/// A key ring as submitted. The self-signatures of each key are verified.
pub struct Key {
    entities: Vec<Entity>,
    canonical: Vec<u8>,
    emails: Vec<String>,
}

impl Key {
    fn from_entities(entities: Vec<Entity>) -> Self {
        let mut packets = Vec::new();
        entities
            .iter()
            .for_each(|entity| entity.write(&mut packets));
        let user_ids = entities.iter().flat_map(|entity| &entity.user_ids);
        // Names in old keys may be Latin-1. The address beside such a name can still be read.
        let texts = user_ids.map(|user_id| String::from_utf8_lossy(&user_id.text));
        let emails = texts
            .map(|text| email::of_user_id(&text).to_owned())
            .filter(|email| is_email(email))
            .collect();
        Self {
            canonical: armor::encode(PUBLIC_KEY, &packets),
            emails,
            entities,
        }
    }

    /// Checks a stream of signature packets over the concatenation of `parts`. The first signature
    /// that a key of this ring can have made decides.
    ///
    /// # Errors
    ///
    /// That signature does not verify, or the stream has no such signature.
    pub fn verify_packets(
        &self,
        packets: &[u8],
        parts: &[&[u8]],
        work: &mut Work,
    ) -> Result<(), crate::Error> {
        Ok(verify::detached(&self.entities, packets, parts, work)?)
    }

    /// Checks the only signature packet in `packet` over the concatenation of `parts`.
    pub fn verify_packet(
        &self,
        packet: &[u8],
        parts: &[&[u8]],
        work: &mut Work,
    ) -> Result<(), crate::Error> {
        match packet::read(packet)? {
            Some((
                packet::Packet {
                    tag: packet::SIGNATURE,
                    body,
                },
                [],
            )) => SignaturePacket::of_message(&body)?,
            Some((_, [])) => {
                return Err(Error::structure("no supported PGP signature packet found").into());
            }
            _ => {
                return Err(Error::structure("trailing garbage after PGP signature packet").into());
            }
        };
        Ok(verify::detached(&self.entities, packet, parts, work)?)
    }
}

impl format::Key for Key {
    fn parse(key: &[u8], work: &mut Work) -> Result<Self, crate::Error> {
        Self::parse_within(key, usize::MAX, work)
    }

    fn parse_within(key: &[u8], most: usize, work: &mut Work) -> Result<Self, crate::Error> {
        const BEGIN: &[u8] = b"-----BEGIN PGP";
        if key.len() > MAX_KEY_BYTES {
            return Err(too_large("key", key.len(), MAX_KEY_BYTES));
        }
        if key.len() < BEGIN.len() {
            return Err(crate::Error::Invalid(
                "unable to read PGP public key: EOF".to_owned(),
            ));
        }
        // Armor makes four bytes of three.
        let mut budget = Budget::of_one_key(most / 4 * 3, work);
        let entities = match key.starts_with(BEGIN) {
            true => read_armored(key, &mut budget)?,
            false => {
                let mut entities = Vec::new();
                reader::read(key, &mut budget, &mut entities)
                    .map_err(|error| unreadable("error reading binary PGP public key", error))?;
                entities
            }
        };
        match entities.is_empty() {
            true => Err(crate::Error::Invalid(
                "no PGP public keys could be read".to_owned(),
            )),
            false => Ok(Self::from_entities(entities)),
        }
    }

    fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// The fingerprints of all primary keys and subkeys.
    fn fingerprints(&self) -> Vec<String> {
        let mut fingerprints = Vec::new();
        for entity in &self.entities {
            fingerprints.push(hex::encode(&entity.primary.fingerprint));
            let subkeys = entity.subkeys.iter();
            fingerprints.extend(subkeys.map(|subkey| hex::encode(&subkey.key.fingerprint)));
        }
        fingerprints
    }

    /// The e-mail addresses of the user IDs.
    fn subjects(&self) -> &[String] {
        &self.emails
    }
}

/// Returns the keys of all armored blocks. Skips a block that does not end.
fn read_armored(key: &[u8], budget: &mut Budget<'_>) -> Result<Vec<Entity>, crate::Error> {
    let mut entities = Vec::new();
    let (mut from, mut at, mut blocks) = (0, 0, 0);
    for line in key.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        if !line.starts_with(b"-----END PGP") {
            continue;
        }
        blocks += 1;
        if blocks > MAX_BLOCKS {
            return Err(Error::TooMany {
                what: "armored blocks",
                limit: MAX_BLOCKS,
            }
            .into());
        }
        let block = armor::decode(&key[from..at]).ok_or_else(|| {
            crate::Error::Invalid("invalid PGP public key provided: EOF".to_owned())
        })?;
        if block.label == PRIVATE_KEY.as_bytes() {
            return Err(Error::PrivateKey.into());
        }
        if block.label != PUBLIC_KEY.as_bytes() {
            return Err(crate::Error::Invalid(
                "invalid PGP type detected".to_owned(),
            ));
        }
        block
            .bytes
            .ok_or_else(|| Error::structure("armor invalid"))
            .and_then(|bytes| reader::read(&bytes, budget, &mut entities))
            .map_err(|error| unreadable("error reading PGP public key", error))?;
        from = at;
    }
    Ok(entities)
}

/// The refusal of a key ring.
fn unreadable(what: &str, error: Error) -> crate::Error {
    match error {
        Error::TooLong => crate::Error::TooLong,
        error => crate::Error::Invalid(format!("{what}: {error}")),
    }
}

/// A detached signature, or several.
pub struct Signature {
    packets: Vec<u8>,
    canonical: Vec<u8>,
}

impl Signature {
    /// Parses signature packets.
    pub fn from_packets(packets: &[u8]) -> Result<Self, crate::Error> {
        check_first_packet(packets)?;
        Ok(Self {
            packets: packets.to_vec(),
            canonical: armor::encode(SIGNATURE, packets),
        })
    }
}

impl format::Signature for Signature {
    type Key = Key;

    /// Takes it armored or not. What is armored is canonical as it is.
    fn parse(signature: &[u8]) -> Result<Self, crate::Error> {
        if signature.len() > MAX_SIGNATURE_BYTES {
            return Err(too_large("signature", signature.len(), MAX_SIGNATURE_BYTES));
        }
        let Some(block) = armor::decode(signature) else {
            return Self::from_packets(signature);
        };
        if block.label != SIGNATURE.as_bytes() {
            return Err(crate::Error::Invalid(
                "invalid PGP signature provided".to_owned(),
            ));
        }
        let packets = block
            .bytes
            .ok_or_else(|| invalid_signature(&Error::structure("armor invalid")))?;
        check_first_packet(&packets)?;
        Ok(Self {
            packets,
            canonical: signature.to_vec(),
        })
    }

    fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    fn verify(&self, message: &[u8], key: &Key, work: &mut Work) -> Result<(), crate::Error> {
        key.verify_packets(&self.packets, &[message], work)
    }
}

/// Checks that there is a signature of a known version and algorithm, and no other packet before
/// it.
fn check_first_packet(packets: &[u8]) -> Result<(), crate::Error> {
    let mut signatures = Signatures::of(packets);
    if signatures
        .next()
        .map_err(|error| invalid_signature(&error))?
        .is_some()
    {
        return Ok(());
    }
    // Rekor says "EOF" of both.
    Err(match signatures.passed_over() {
        Some(error) => invalid_signature(error),
        None => crate::Error::Invalid("invalid PGP signature: EOF".to_owned()),
    })
}

fn invalid_signature(error: &Error) -> crate::Error {
    crate::Error::Invalid(format!("invalid PGP signature: {error}"))
}

fn too_large(what: &str, bytes: usize, limit: usize) -> crate::Error {
    crate::Error::Invalid(format!(
        "a PGP {what} of {bytes} bytes is too large, the limit is {limit}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Key as _, Signature as _};

    #[test]
    fn oversized_keys_and_signatures_are_not_parsed() {
        let key = Key::parse(&vec![b' '; MAX_KEY_BYTES + 1], &mut Work::of_request(0))
            .err()
            .unwrap();
        assert_eq!(
            key.to_string(),
            "a PGP key of 1048577 bytes is too large, the limit is 1048576"
        );
        let signature = Signature::parse(&vec![b' '; MAX_SIGNATURE_BYTES + 1])
            .err()
            .unwrap();
        assert_eq!(
            signature.to_string(),
            "a PGP signature of 65537 bytes is too large, the limit is 65536"
        );
    }

    #[test]
    fn blocks_are_counted() {
        let blocks = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----\n";
        let refusal = |count| {
            Key::parse(blocks.repeat(count).as_bytes(), &mut Work::of_request(0))
                .err()
                .unwrap()
                .to_string()
        };
        assert_eq!(refusal(MAX_BLOCKS), "no PGP public keys could be read");
        assert_eq!(
            refusal(MAX_BLOCKS + 1),
            "openpgp: more than 100 armored blocks"
        );
    }

    #[test]
    fn private_keys_are_not_taken() {
        let text = "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n-----END PGP PRIVATE KEY BLOCK-----\n";
        assert!(
            Key::parse(text.as_bytes(), &mut Work::of_request(0))
                .err()
                .unwrap()
                .to_string()
                .starts_with("this is a private key")
        );
        let packet = [
            0xc5, 20, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        let refusal = Key::parse(&packet, &mut Work::of_request(0))
            .err()
            .unwrap()
            .to_string();
        assert!(refusal.contains("this is a private key"), "{refusal}");
    }
}
