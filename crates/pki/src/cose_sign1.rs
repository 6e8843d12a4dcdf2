//! COSE_Sign1 messages (RFC 9052), as strictly as Rekor reads them: tagged, of definite lengths,
//! without other tags.

use coset::iana::{self, EnumI64};
use coset::{Algorithm, ContentType, CoseSign1, TaggedCborSerializable};

use crate::cose_headers;
use crate::digest::Digest;
use crate::error::Error;
use crate::public_key::{Curve, KeyKind, PublicKey};
use crate::work::Work;

/// Arrays, maps and tags in one another: what Go's decoder takes, where headers in use need three.
const MAX_NESTING: usize = 32;
/// Data items of one message, those of its headers included. Headers in use have a dozen; each item
/// takes some 32 bytes once it is decoded.
const MAX_ITEMS: usize = 4_096;

/// The tag of COSE_Sign1 (18) and the array of four that follows it.
const PREFIX: [u8; 2] = [0xd2, 0x84];

/// A message whose headers are read; nothing is verified.
pub struct Sign1 {
    message: CoseSign1,
    payload: Vec<u8>,
}

impl Sign1 {
    /// Parses a tagged message that has its payload in it.
    pub fn from_tagged(bytes: &[u8]) -> Result<Self, Error> {
        if !bytes.starts_with(&PREFIX) {
            return Err(invalid("cbor: invalid COSE_Sign1_Tagged object"));
        }
        check_well_formed(&bytes[1..], Tags::Forbidden)?;
        let mut message = CoseSign1::from_tagged_slice(bytes)
            .map_err(|error| invalid(format!("cbor: {error}")))?;
        if let Some(protected) = message
            .protected
            .original_data
            .as_deref()
            .filter(|protected| !protected.is_empty())
        {
            check_well_formed(protected, Tags::Allowed)?;
        }
        cose_headers::check(&message.protected.header, &message.unprotected)?;
        let payload = message
            .payload
            .take()
            .ok_or_else(|| invalid("missing payload"))?;
        if message.signature.is_empty() {
            return Err(invalid("empty signature"));
        }
        Ok(Self { message, payload })
    }

    /// Returns the payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The protected content type, where it is a text.
    pub fn content_type(&self) -> Option<&str> {
        match self.message.protected.header.content_type.as_ref()? {
            ContentType::Text(text) => Some(text),
            ContentType::Assigned(_) => None,
        }
    }

    /// Checks the signature (RFC 9052 section 4.4). The protected header names the algorithm; it
    /// may be silent only where there is external data.
    pub fn verify(
        &self,
        external: &[u8],
        verifier: &Verifier<'_>,
        work: &mut Work,
    ) -> Result<(), Error> {
        let algorithm = verifier.algorithm;
        match &self.message.protected.header.alg {
            Some(Algorithm::Assigned(named)) if named.to_i64() == algorithm.to_i64() => {}
            Some(named) => {
                return Err(invalid(format!(
                    "algorithm mismatch: verifier {algorithm:?}: header {named:?}"
                )));
            }
            None if external.is_empty() => return Err(invalid("algorithm not found")),
            None => {}
        }
        let signed = coset::sig_structure_data(
            coset::SignatureContext::CoseSign1,
            self.message.protected.clone(),
            None,
            external,
            &self.payload,
        );
        work.take_hashing(signed.len())?;
        let digest = Digest::sha256(&signed);
        let verified = match algorithm {
            ES256 => verifier
                .key
                .verify_p256_pair(&digest, &self.message.signature, work),
            _ => verifier
                .key
                .verify_pss(&digest, &self.message.signature, work),
        };
        verified.map_err(|_| invalid("verification error"))
    }
}

const ES256: iana::Algorithm = iana::Algorithm::ES256;
const PS256: iana::Algorithm = iana::Algorithm::PS256;

/// A key with the algorithm that Rekor verifies with by such a key, the only one.
pub struct Verifier<'k> {
    key: &'k PublicKey,
    algorithm: iana::Algorithm,
}

impl<'k> Verifier<'k> {
    /// Chooses the algorithm of `key`. Errors for a key that signs no messages.
    pub fn new(key: &'k PublicKey) -> Result<Self, Error> {
        let algorithm = match key.kind() {
            KeyKind::Ecdsa(Curve::P256) => ES256,
            KeyKind::Ecdsa(Curve::P224) => return Err(invalid("unsupported elliptic curve P-224")),
            KeyKind::Ecdsa(Curve::P384) => return Err(invalid("unsupported elliptic curve P-384")),
            KeyKind::Ecdsa(Curve::P521) => return Err(invalid("unsupported elliptic curve P-521")),
            KeyKind::Rsa { bytes: 256.. } => PS256,
            KeyKind::Rsa { .. } => return Err(invalid("RSA key must be at least 2048 bits long")),
            KeyKind::Ed25519 => {
                return Err(invalid("unsupported algorithm type ed25519.PublicKey"));
            }
        };
        Ok(Self { key, algorithm })
    }
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::Invalid(reason.into())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tags {
    Allowed,
    Forbidden,
}

/// Checks that `cbor` is one data item of definite lengths (RFC 8949 section 5.3.1), within
/// [`MAX_NESTING`] and [`MAX_ITEMS`], and nothing else: before anything is allocated for it.
fn check_well_formed(cbor: &[u8], tags: Tags) -> Result<(), Error> {
    let mut rest = cbor;
    let mut items = 0;
    // Items that are still to come, for each array, map and tag that is open.
    let mut open: Vec<u64> = vec![1];
    while let Some(due) = open.last_mut() {
        if *due == 0 {
            open.pop();
            continue;
        }
        *due -= 1;
        items += 1;
        if items > MAX_ITEMS {
            return Err(invalid(format!(
                "the COSE message has more than {MAX_ITEMS} data items, the limit"
            )));
        }
        let (major, argument, after) = head(rest)?;
        rest = after;
        let children = match major {
            2 | 3 => {
                let length = usize::try_from(argument)
                    .ok()
                    .filter(|length| *length <= rest.len());
                rest = &rest[length.ok_or_else(|| invalid("cbor: unexpected end"))?..];
                continue;
            }
            4 => argument,
            5 => argument
                .checked_mul(2)
                .ok_or_else(|| invalid("cbor: unexpected end"))?,
            6 if tags == Tags::Forbidden => return Err(invalid("cbor: CBOR tag isn't allowed")),
            6 => 1,
            _ => continue,
        };
        if open.len() > MAX_NESTING {
            return Err(invalid(format!(
                "the COSE message is nested deeper than {MAX_NESTING}, the limit"
            )));
        }
        open.push(children);
    }
    match rest.is_empty() {
        true => Ok(()),
        false => Err(invalid("cbor: extraneous data")),
    }
}

/// Major type and argument of the item that begins here, and what follows them.
fn head(cbor: &[u8]) -> Result<(u8, u64, &[u8]), Error> {
    let end = || invalid("cbor: unexpected end");
    let (first, rest) = cbor.split_first().ok_or_else(end)?;
    let (major, info) = (first >> 5, first & 0x1f);
    let width = match info {
        ..24 => return Ok((major, u64::from(info), rest)),
        24..=27 => 1 << (info - 24),
        28..=30 => return Err(invalid("cbor: invalid additional information")),
        _ => return Err(invalid("cbor: indefinite length isn't allowed")),
    };
    let (argument, rest) = rest.split_at_checked(width).ok_or_else(end)?;
    if major == 7 && info == 24 && argument[0] < 32 {
        return Err(invalid("cbor: invalid simple value"));
    }
    let argument = argument
        .iter()
        .fold(0, |argument, byte| argument << 8 | u64::from(*byte));
    Ok((major, argument, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cbor: &[u8]) -> Result<(), String> {
        check_well_formed(cbor, Tags::Forbidden).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn one_item_of_definite_lengths() {
        let good: [&[u8]; 7] = [
            &[0],
            &[0x42, 1, 2],
            &[0x82, 1, 0x61, b'a'],
            &[0xa1, 1, 0x80],
            &[0xf6],
            &[0x18, 1],
            &[0x1b, 0, 0, 0, 0, 0, 0, 0, 1],
        ];
        for cbor in good {
            assert_eq!(check(cbor), Ok(()), "{cbor:x?}");
        }
        let bad: [&[u8]; 11] = [
            &[],
            &[0x42, 1],
            &[0x82, 1],
            &[0xa1, 1],
            &[0, 0],
            &[0x5f, 0xff],
            &[0x9f, 0xff],
            &[0x1c],
            &[0xc0, 0],
            &[0xf8, 1],
            &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ];
        for cbor in bad {
            assert!(check(cbor).is_err(), "{cbor:x?}");
        }
        assert!(check_well_formed(&[0xc0, 0], Tags::Allowed).is_ok());
    }

    #[test]
    fn nesting_and_items_are_bounded() {
        let nested = |depth: usize| [vec![0x81; depth], vec![0]].concat();
        assert_eq!(check(&nested(MAX_NESTING)), Ok(()));
        assert_eq!(
            check(&nested(MAX_NESTING + 1)).unwrap_err(),
            "the COSE message is nested deeper than 32, the limit"
        );
        let many = |items: u16| {
            [
                vec![0x99],
                items.to_be_bytes().to_vec(),
                vec![0; items.into()],
            ]
            .concat()
        };
        let most = u16::try_from(MAX_ITEMS).unwrap() - 1;
        assert_eq!(check(&many(most)), Ok(()));
        assert_eq!(
            check(&many(most + 1)).unwrap_err(),
            "the COSE message has more than 4096 data items, the limit"
        );
    }

    #[test]
    fn other_items_than_tagged_messages_are_refused() {
        let refusal = |bytes: &[u8]| Sign1::from_tagged(bytes).err().unwrap().to_string();
        assert_eq!(
            refusal(b"garbage"),
            "cbor: invalid COSE_Sign1_Tagged object"
        );
        assert_eq!(
            refusal(&[0x84, 0x40, 0xa0, 0x40, 0x40]),
            "cbor: invalid COSE_Sign1_Tagged object"
        );
        assert_eq!(
            refusal(&[0xd2, 0x84, 0x40, 0xa0, 0xf6, 0x41, 0]),
            "missing payload"
        );
        assert_eq!(
            refusal(&[0xd2, 0x84, 0x40, 0xa0, 0x41, 0, 0x40]),
            "empty signature"
        );
        assert_eq!(
            refusal(&[0xd2, 0x84, 0x40, 0xa0, 0x41, 0, 0x41, 0, 0]),
            "cbor: extraneous data"
        );
    }
}
