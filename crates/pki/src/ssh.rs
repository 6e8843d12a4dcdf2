//! The PKI format `ssh`: a line as in `authorized_keys`, and signatures of `ssh-keygen -Y sign`.
//!
//! Read here and not by the crate `ssh-key`: that one reads a signature only out of PEM that is
//! stricter than Go's, which Rekor takes, and would bring a second implementation of every
//! algorithm.

mod public_key;
mod wire;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::base64::BASE64;
use crate::digest::sha256;
use crate::error::{Error, quoted};
use crate::format;
use crate::pem;
use crate::work::Work;
use public_key::PublicKey;
use wire::Reader;

/// Bytes of a submitted key, as in Rekor.
const MAX_KEY_BYTES: usize = 64 * 1024;
/// Bytes of a submitted signature: with a key of 16,384 bits it has 7,000.
const MAX_SIGNATURE_BYTES: usize = 64 * 1024;
/// Between the fields of a line, and around it. Other white space belongs to the field that holds
/// it.
const BLANKS: [char; 2] = [' ', '\t'];
const LABEL: &str = "SSH SIGNATURE";
const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
/// The namespace that `ssh-keygen -Y sign -n` has to name.
const NAMESPACE: &[u8] = b"file";
/// The hash that every canonical signature names.
const HASH: &[u8] = b"sha512";
/// The only other hash of the format.
const OTHER_HASH: &[u8] = b"sha256";

/// A public key.
pub struct Key {
    key: PublicKey,
    canonical: Vec<u8>,
    fingerprint: String,
}

impl format::Key for Key {
    /// Takes the first line with a key. Skips other lines, and options before the key.
    fn parse(key: &[u8], _: &mut Work) -> Result<Self, Error> {
        if key.len() > MAX_KEY_BYTES {
            return Err(Error::Invalid("http: request body too large".to_owned()));
        }
        let mut fault = None;
        for line in String::from_utf8_lossy(key).split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line).trim_matches(BLANKS);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            for line in [Some(line), after_options(line)].into_iter().flatten() {
                match Self::from_line(line) {
                    Some(Ok(key)) => return Ok(key),
                    Some(Err(error)) => _ = fault.get_or_insert(error),
                    None => {}
                }
            }
        }
        Err(Error::Invalid(match fault {
            Some(fault) => {
                format!("ssh: no key found; last parsing error for ignored line: {fault}")
            }
            None => "ssh: no key found".to_owned(),
        }))
    }

    /// Type and key, without the comment, with a line break.
    fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// None: an address in the comment is not in the entry, so that Rekor does not index it either.
    fn subjects(&self) -> &[String] {
        &[]
    }

    /// The one that `ssh-keygen -l` prints.
    fn fingerprints(&self) -> Vec<String> {
        vec![self.fingerprint.clone()]
    }
}

impl Key {
    /// `type base64 comment`; none if there is but one word.
    fn from_line(line: &str) -> Option<Result<Self, Error>> {
        let (name, rest) = line.split_once(BLANKS)?;
        let encoded = rest
            .trim_start_matches(BLANKS)
            .split(BLANKS)
            .next()
            .unwrap_or_default();
        Some(Self::from_parts(name, encoded))
    }

    fn from_parts(name: &str, encoded: &str) -> Result<Self, Error> {
        let blob = BASE64
            .decode(encoded)
            .map_err(|_| Error::Invalid("illegal base64 data in ssh key".to_owned()))?;
        let key = PublicKey::parse(&blob)?;
        if key.type_name() != name {
            return Err(Error::Invalid(format!(
                "ssh: authorized keys key type mismatch: human-readable type {:?}, encoded type {:?}",
                quoted(name),
                key.type_name()
            )));
        }
        let canonical = format!("{name} {}\n", STANDARD.encode(&blob)).into_bytes();
        let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(sha256(&blob)));
        Ok(Self {
            key,
            canonical,
            fingerprint,
        })
    }
}

/// Returns the rest of a line after its options, which may have blanks between quotes.
fn after_options(line: &str) -> Option<&str> {
    let (mut is_quoted, mut before) = (false, ' ');
    for (at, letter) in line.char_indices() {
        match letter {
            ' ' | '\t' if !is_quoted => return Some(line[at..].trim_start_matches(BLANKS)),
            '"' if before != '\\' => is_quoted = !is_quoted,
            _ => {}
        }
        before = letter;
    }
    None
}

/// A signature.
pub struct Signature {
    canonical: Vec<u8>,
    /// The name of the hash of the message.
    hash: Vec<u8>,
    signature: Vec<u8>,
}

impl format::Signature for Signature {
    type Key = Key;

    /// PROTOCOL.sshsig of OpenSSH.
    fn parse(signature: &[u8]) -> Result<Self, Error> {
        let refuse = |what: String| Err(Error::Invalid(what));
        if signature.len() > MAX_SIGNATURE_BYTES {
            return refuse(format!(
                "an ssh signature of {} bytes is too large, the limit is {MAX_SIGNATURE_BYTES}",
                signature.len()
            ));
        }
        let Some((block, _)) = pem::decode(signature) else {
            return refuse("unable to decode pem file".to_owned());
        };
        let text = |bytes: &[u8]| quoted(&String::from_utf8_lossy(bytes)).into_owned();
        if block.label != LABEL.as_bytes() {
            return refuse(format!(
                "wrong pem block type: {}. Expected SSH-SIGNATURE",
                text(block.label)
            ));
        }
        let mut fields = Reader(&block.bytes);
        let magic = fields.bytes(MAGIC.len())?;
        let version = fields.number()?;
        let [key, namespace, _reserved, hash, signature] = fields.strings()?;
        fields.finish()?;
        if version != VERSION {
            return refuse(format!("unsupported signature version: {version}"));
        }
        if magic != MAGIC {
            return refuse(format!("invalid magic header: {}", text(magic)));
        }
        if namespace != NAMESPACE {
            return refuse(format!("invalid signature namespace: {}", text(namespace)));
        }
        if hash != HASH && hash != OTHER_HASH {
            return refuse(format!("unsupported hash algorithm: {}", text(hash)));
        }
        PublicKey::parse(key)?;
        // Algorithm, signature, and perhaps more.
        Reader(signature).strings::<2>()?;
        Ok(Self {
            canonical: armor(key, signature),
            hash: hash.to_vec(),
            signature: signature.to_vec(),
        })
    }

    /// The signature with the key that came with it, written as if its hash were SHA-512.
    fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// The key that came with the signature is not looked at, as in Rekor.
    fn verify(&self, message: &[u8], key: &Key, work: &mut Work) -> Result<(), Error> {
        if self.hash != HASH {
            // Whoever checks the entry finds the name of the wrong hash in it.
            return Err(Error::Invalid(
                "ssh: signature did not verify: only those over SHA-512 can be logged (ssh-keygen -O hashalg=sha512)"
                    .to_owned(),
            ));
        }
        work.take_hashing(message.len())?;
        work.take_signature(key.key.kind())?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, message);
        let mut signed = MAGIC.to_vec();
        for field in [NAMESPACE, b"", HASH, digest.as_ref()] {
            wire::write(field, &mut signed);
        }
        key.key.verify(&signed, &self.signature)
    }
}

fn armor(key: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut blob = [MAGIC, &VERSION.to_be_bytes()].concat();
    for field in [key, NAMESPACE, b"", HASH, signature] {
        wire::write(field, &mut blob);
    }
    let mut armored = Vec::new();
    pem::encode(LABEL, &blob, &mut armored);
    armored
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Key as _;

    const LINE: &str = include_str!("../../entry/tests/entry/pki/ssh/ed25519.pub");

    /// As in golang.org/x/crypto v0.58: other white space is part of the type, or of the base64.
    #[test]
    fn only_blanks_and_tabs_stand_between_fields() {
        let parse = |line: &str| {
            Key::parse(line.as_bytes(), &mut Work::of_request(0)).map(|key| key.canonical)
        };
        let plain = LINE.trim_end();
        let expected = parse(plain).unwrap();
        for line in [
            format!("\t {plain}\r\n"),
            plain.replacen(' ', "\t \t", 1),
            format!("no-pty \t{plain} \t"),
        ] {
            assert_eq!(parse(&line).as_ref(), Ok(&expected), "{line:?}");
        }
        for blank in ["\u{c}", "\u{a0}", "\u{b}", "\r", "\u{2003}"] {
            for line in [
                format!("{blank}{plain}"),
                plain.replacen(' ', blank, 1),
                plain.replacen(' ', &format!(" {blank}"), 1),
            ] {
                assert!(parse(&line).is_err(), "{line:?}");
            }
        }
    }
}
