//! The PKI format `minisign`: keys and signatures of minisign and of OpenBSD's signify.
//!
//! Read here and not by the crate `minisign-verify`: that one checks what Rekor does not (the key
//! ID, the global signature over the trusted comment) and keeps no bytes to write back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest};

use crate::base64::BASE64;
use crate::error::Error;
use crate::format;
use crate::public_key::{KeyKind, verify_ed25519};
use crate::work::Work;

/// Bytes of a submitted key or signature. A comment has at most 1,024 in minisign, and two are in a
/// signature.
const MAX_BYTES: usize = 8 * 1024;
/// Algorithm, key ID and key.
const KEY_BYTES: usize = 2 + 8 + 32;
/// Algorithm, key ID and signature.
const SIGNATURE_BYTES: usize = 2 + 8 + 64;
/// The algorithm of keys, and of signatures over the message itself.
const ED25519: &[u8; 2] = b"Ed";
/// The second byte of the algorithm of signatures over the BLAKE2b-512 of a message, `ED`.
const PREHASHED: u8 = b'D';

/// A public key with its algorithm and ID.
pub struct Key {
    canonical: Vec<u8>,
    bytes: [u8; 32],
}

impl format::Key for Key {
    /// Takes a key file, its second line alone, or the 32 bytes of the key alone (as Rekor once
    /// stored it).
    fn parse(key: &[u8], _: &mut Work) -> Result<Self, Error> {
        let bytes = bounded("key", key)?;
        let text = &*String::from_utf8_lossy(bytes);
        let in_file = text.split_once('\n').and_then(|(_, line)| decode(line));
        let encoded = match (in_file.or_else(|| decode(text)), bytes.try_into()) {
            (Some(encoded), _) => encoded,
            (None, Ok(alone)) => with_id(alone),
            (None, Err(_)) => {
                return Err(Error::Invalid(
                    "unable to read minisign public key: Invalid encoded public key".to_owned(),
                ));
            }
        };
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&encoded[10..]);
        Ok(Self {
            canonical: STANDARD.encode(encoded).into_bytes(),
            bytes,
        })
    }

    /// Base64 of algorithm, ID and key, without a comment or a line break.
    fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    fn subjects(&self) -> &[String] {
        &[]
    }
}

/// A signature without its comments.
pub struct Signature {
    canonical: Vec<u8>,
    bytes: [u8; SIGNATURE_BYTES],
}

impl format::Signature for Signature {
    type Key = Key;

    /// Takes the four lines of minisign or the two of signify.
    fn parse(signature: &[u8]) -> Result<Self, Error> {
        let invalid = |what: String| Error::Invalid(format!("invalid signature provided: {what}"));
        let text = &*String::from_utf8_lossy(bounded("signature", signature)?);
        let bytes = match of_minisign(text) {
            Some(bytes) => bytes,
            None => {
                let lines: Vec<&str> = text.trim_end_matches('\n').split('\n').collect();
                let [_, encoded] = lines[..] else {
                    return Err(invalid(format!("{} lines detected", lines.len())));
                };
                let bytes = decode_base64(encoded)
                    .ok_or_else(|| invalid("base64 decoding failed".to_owned()))?;
                let length = bytes.len();
                bytes
                    .try_into()
                    .map_err(|_| invalid(format!("incorrect size {length} detected")))?
            }
        };
        Ok(Self {
            canonical: format!("untrusted comment:\n{}", STANDARD.encode(bytes)).into_bytes(),
            bytes,
        })
    }

    fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// As Rekor: neither the key ID nor the signature over the trusted comment is looked at.
    fn verify(&self, message: &[u8], key: &Key, work: &mut Work) -> Result<(), Error> {
        work.take_hashing(message.len())?;
        work.take_signature(KeyKind::Ed25519)?;
        let signature = &self.bytes[10..];
        match self.bytes[1] {
            PREHASHED => verify_ed25519(&key.bytes, &Blake2b512::digest(message), signature),
            _ => verify_ed25519(&key.bytes, message, signature),
        }
        .ok_or_else(|| Error::Invalid("failed to verify signature".to_owned()))
    }
}

/// A comment, the signature, the trusted comment, and the signature over that, which has to have
/// its length.
fn of_minisign(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let mut lines = text.splitn(4, '\n').skip(1);
    let signature = decode(lines.next()?)?;
    decode::<64>(lines.nth(1)?)?;
    Some(signature)
}

/// A key without algorithm and ID.
fn with_id(key: [u8; 32]) -> [u8; KEY_BYTES] {
    let mut encoded = [0; KEY_BYTES];
    encoded[..2].copy_from_slice(ED25519);
    encoded[10..].copy_from_slice(&key);
    encoded
}

/// Base64 of so many bytes, line breaks anywhere.
fn decode<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    decode_base64(text)?.try_into().ok()
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.replace(['\r', '\n'], "")).ok()
}

fn bounded<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
    match bytes.len() {
        ..=MAX_BYTES => Ok(bytes),
        length => Err(Error::Invalid(format!(
            "a minisign {what} of {length} bytes is too large, the limit is {MAX_BYTES}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Key as _, Signature as _};

    const LINE: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn forms_of_one_key() {
        for form in [
            LINE.to_owned(),
            format!("{LINE}\r\n"),
            format!("untrusted comment: x\n{LINE}\n"),
        ] {
            assert_eq!(
                Key::parse(form.as_bytes(), &mut Work::of_request(0))
                    .unwrap()
                    .canonical(),
                LINE.as_bytes(),
                "{form:?}"
            );
        }
        let alone = Key::parse(&[7; 32], &mut Work::of_request(0)).unwrap();
        assert_eq!(
            STANDARD.decode(alone.canonical()).unwrap(),
            [&b"Ed"[..], &[0; 8], &[7; 32]].concat()
        );
        for other in ["", "RWQf", &LINE[1..], &format!("{LINE}\n{LINE}\nx")] {
            assert!(
                Key::parse(other.as_bytes(), &mut Work::of_request(0)).is_err(),
                "{other:?}"
            );
        }
        assert!(Key::parse(&[0xff; 33], &mut Work::of_request(0)).is_err());
    }

    #[test]
    fn forms_of_one_signature() {
        let (line, global) = (STANDARD.encode([1; 74]), STANDARD.encode([2; 64]));
        for form in [
            format!("untrusted comment: x\n{line}\ntrusted comment: y\n{global}\n"),
            format!("untrusted comment: x\r\n{line}\r\ntrusted comment: y\r\n{global}\r\n"),
            format!("untrusted comment: x\n{line}\n\n"),
            format!("\n{line}"),
        ] {
            let signature = Signature::parse(form.as_bytes()).unwrap();
            assert_eq!(
                signature.canonical(),
                format!("untrusted comment:\n{line}").as_bytes(),
                "{form:?}"
            );
        }
        for (form, fault) in [
            (line.clone(), "1 lines detected"),
            (format!("x\n{line}\ny\n{line}\n"), "4 lines detected"),
            ("x\n?".to_owned(), "base64 decoding failed"),
            ("x\nAAAA".to_owned(), "incorrect size 3 detected"),
        ] {
            let refusal = Signature::parse(form.as_bytes()).err().unwrap().to_string();
            assert_eq!(
                refusal,
                format!("invalid signature provided: {fault}"),
                "{form:?}"
            );
        }
    }

    #[test]
    fn oversized_input_is_not_parsed() {
        for refusal in [
            Key::parse(&[b'a'; MAX_BYTES + 1], &mut Work::of_request(0)).err(),
            Signature::parse(&[b'a'; MAX_BYTES + 1]).err(),
        ] {
            assert!(
                refusal
                    .unwrap()
                    .to_string()
                    .ends_with("of 8193 bytes is too large, the limit is 8192")
            );
        }
    }
}
