//! The name that SSH has for a key, by which signatures of in-toto envelopes name theirs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use der::asn1::UintRef;
use der::{Decode, Reader, SliceReader};
use spki::SubjectPublicKeyInfoRef;

use crate::algorithms::{Curve, KeyKind};
use crate::digest::sha256;
use crate::public_key::PublicKey;

/// `SHA256:` and base64 of the hash of the key in the SSH wire format (RFC 4253 section 6.6, RFC
/// 5656 section 3.1, RFC 8709 section 4); none for a key that SSH does not know.
pub fn ssh_fingerprint(key: &PublicKey) -> Option<String> {
    match key.kind() {
        KeyKind::Ed25519 => Some(fingerprint(&[b"ssh-ed25519", key.bytes()])),
        KeyKind::Ecdsa(Curve::P224) => None,
        KeyKind::Ecdsa(Curve::P256) => Some(fingerprint(&[
            b"ecdsa-sha2-nistp256",
            b"nistp256",
            subject_key(key)?,
        ])),
        KeyKind::Ecdsa(Curve::P384) => Some(fingerprint(&[
            b"ecdsa-sha2-nistp384",
            b"nistp384",
            subject_key(key)?,
        ])),
        KeyKind::Ecdsa(Curve::P521) => Some(fingerprint(&[
            b"ecdsa-sha2-nistp521",
            b"nistp521",
            subject_key(key)?,
        ])),
        KeyKind::Rsa { .. } => {
            let mut reader = SliceReader::new(subject_key(key)?).ok()?;
            let numbers = reader.sequence(|reader| {
                Ok::<_, der::Error>([UintRef::decode(reader)?, UintRef::decode(reader)?])
            });
            let [modulus, exponent] = numbers.ok()?;
            Some(fingerprint(&[
                b"ssh-rsa",
                &number(exponent),
                &number(modulus),
            ]))
        }
    }
}

/// Returns the contents of the bit string of a key's `SubjectPublicKeyInfo`.
fn subject_key(key: &PublicKey) -> Option<&[u8]> {
    SubjectPublicKeyInfoRef::from_der(key.bytes())
        .ok()?
        .subject_public_key
        .as_bytes()
}

/// Big-endian, with a zero byte in front where the first bit would be taken for a sign.
fn number(number: UintRef<'_>) -> Vec<u8> {
    let bytes = number.as_bytes();
    let sign: &[u8] = if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        &[0]
    } else {
        &[]
    };
    [sign, bytes].concat()
}

/// Of the parts of a key, each of which goes behind its length.
fn fingerprint(parts: &[&[u8]]) -> String {
    let mut wire = Vec::new();
    for part in parts {
        // The longest part is a modulus of 8,192 bits.
        wire.extend_from_slice(&(part.len() as u32).to_be_bytes());
        wire.extend_from_slice(part);
    }
    format!("SHA256:{}", STANDARD_NO_PAD.encode(sha256(&wire)))
}
