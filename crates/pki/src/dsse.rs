//! DSSE envelopes (<https://github.com/secure-systems-lab/dsse>), as Rekor reads and verifies them.
//!
//! ```
//! use pki::Work;
//! use pki::dsse::{self, Envelope, KeysTried};
//!
//! let envelope = Envelope::from_json(r#"{
//!     "payloadType": "text/plain",
//!     "payload": "YW4gYXJ0aWZhY3Q=",
//!     "signatures": [{"sig": "MEYCIQCIFY4POEepxVDdRlf7rd9un6GkiHTiUtSXO0F9i0D3zwIhAPhxdqwQaJHrpNf42j7k45S77xMbxWB6DUH/1Xai1kLY"}]
//! }"#)?;
//! let pem = b"-----BEGIN PUBLIC KEY-----
//! MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/RL3HoH6j0xlH96yYPoNMWBFweo0
//! zohFVYFe146YvDI3VRqE0DKWyR90HNwg+q2VT9sDUPC5vUS6U2Tzev1d7A==
//! -----END PUBLIC KEY-----
//! ";
//! let mut work = Work::of_request(1_000);
//! let verified = dsse::verify(&envelope, &[pem], KeysTried::All, &mut work)?;
//! assert_eq!(verified.payload(), b"an artifact");
//! # Ok::<(), pki::Error>(())
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::GeneralPurpose;

use crate::algorithms::KeyKind;
use crate::base64::BASE64;
use crate::digest::Digest;
use crate::error::Error;
use crate::go_json;
use crate::work::Work;
use crate::x509::Key;

/// Signatures of one envelope, and keys that may verify them; leaf bytes of 65,535 hold fewer than
/// two hundred. Envelopes in use have one to three.
pub const MAX_SIGNATURES: usize = 32;

/// Standard alphabet first, then this one.
const URL_BASE64: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, crate::base64::BASE64_CONFIG);

/// An envelope, its payload still in base64.
#[derive(Debug, Default)]
pub struct Envelope {
    /// The media type of the payload.
    pub payload_type: String,
    /// The payload in base64.
    pub payload: String,
    /// The signatures, in their order.
    pub signatures: Vec<Signature>,
}

/// One signature as the envelope gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// A hint at the key; nothing relies on it.
    pub key_id: String,
    /// Base64.
    pub sig: String,
}

impl Envelope {
    /// Parses the JSON form.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let [payload_type, payload, signatures] =
            go_json::members(json, ["payloadType", "payload", "signatures"])?;
        let mut envelope = Self {
            payload_type: payload_type.text()?.into_owned(),
            payload: payload.text()?.into_owned(),
            signatures: Vec::new(),
        };
        signatures.each_element(|signature| {
            check_signature_count(envelope.signatures.len() + 1)?;
            let [key_id, sig] = signature.members(["keyid", "sig"])?;
            envelope.signatures.push(Signature {
                key_id: key_id.text()?.into_owned(),
                sig: sig.text()?.into_owned(),
            });
            Ok::<_, Error>(())
        })?;
        Ok(envelope)
    }

    /// Decodes payload and signatures, so that the signatures can be checked.
    pub fn open(&self) -> Result<Opened, Error> {
        let payload = decode_base64(&self.payload)?;
        let signatures = self
            .signatures
            .iter()
            .map(|signature| decode_base64(&signature.sig))
            .collect::<Result<_, _>>()?;
        let payload_bytes = payload.len();
        Ok(Opened {
            pae: pae(&self.payload_type, payload),
            payload_bytes,
            signatures,
        })
    }
}

/// Refuses more than [`MAX_SIGNATURES`].
pub fn check_signature_count(count: usize) -> Result<(), Error> {
    match count {
        ..=MAX_SIGNATURES => Ok(()),
        _ => Err(Error::Invalid(format!(
            "the envelope has more than {MAX_SIGNATURES} signatures, the limit"
        ))),
    }
}

/// An envelope whose payload and signatures are decoded.
pub struct Opened {
    /// The bytes that are signed. They end with the payload.
    pae: Vec<u8>,
    payload_bytes: usize,
    signatures: Vec<Vec<u8>>,
}

impl Opened {
    /// Returns the decoded payload.
    pub fn payload(&self) -> &[u8] {
        &self.pae[self.pae.len() - self.payload_bytes..]
    }

    /// Begins to check the signatures of this envelope: hashes the signed bytes once.
    pub fn checks<'o, 'w>(&'o self, work: &'w mut Work) -> Result<Checks<'o, 'w>, Error> {
        work.take_hashing(self.pae.len())?;
        Ok(Checks {
            opened: self,
            digest: Digest::sha256(&self.pae),
            work,
        })
    }
}

/// Checks the signatures of one envelope.
pub struct Checks<'o, 'w> {
    opened: &'o Opened,
    /// The digest of the signed bytes.
    digest: Digest,
    work: &'w mut Work,
}

impl Checks<'_, '_> {
    /// Returns the first of the signatures at `positions` that `key` verifies. A key accounts for
    /// one signature, as in Rekor.
    pub fn find(
        &mut self,
        key: &Key,
        positions: impl Iterator<Item = usize>,
    ) -> Result<usize, Error> {
        for position in positions {
            if self.is_verified(key, &self.opened.signatures[position])? {
                return Ok(position);
            }
        }
        Err(Error::Invalid(
            "accepted signatures do not match threshold, Found: 0, Expected 1".to_owned(),
        ))
    }

    fn is_verified(&mut self, key: &Key, signature: &[u8]) -> Result<bool, Error> {
        let key = key.public_key();
        let verified = match key.kind() {
            // It signs the envelope itself; other keys sign a digest, which is made once.
            KeyKind::Ed25519 => key.verify_message(&self.opened.pae, signature, self.work),
            _ => key.verify_digest(&self.digest, signature, self.work),
        };
        match verified {
            Err(error @ Error::TooCostly(_)) => Err(error),
            verified => Ok(verified.is_ok()),
        }
    }
}

/// Returns all positions in a list of so many. Those come first where a match is likely after one
/// at `last`: signatures and keys stand in one order, or in opposite ones.
pub fn likely_first(count: usize, last: Option<usize>) -> impl Iterator<Item = usize> {
    let likely = match last {
        None => [Some(0), count.checked_sub(1)],
        Some(last) => [Some(last + 1), last.checked_sub(1)],
    };
    let is_likely = move |position: &usize| likely.contains(&Some(*position));
    let first = likely
        .into_iter()
        .flatten()
        .filter(move |position| *position < count);
    first.chain((0..count).filter(move |position| !is_likely(position)))
}

/// The keys that have to verify a signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum KeysTried {
    /// All of them.
    All,
    /// In their order, until each signature is verified; the others are not even parsed.
    UntilAllVerify,
}

/// An envelope each of whose signatures is verified by a key.
pub struct Verified<'e> {
    opened: Opened,
    keys: Vec<Key>,
    /// The key of each signature, by position in `keys`.
    by_signature: BTreeMap<&'e str, usize>,
}

impl Verified<'_> {
    /// Returns the decoded payload.
    pub fn payload(&self) -> &[u8] {
        self.opened.payload()
    }

    /// Returns the keys that were tried, in their order.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Returns each signature as the envelope has it, with the key that verifies it.
    pub fn keys_by_signature(&self) -> impl Iterator<Item = (&str, &Key)> {
        self.by_signature
            .iter()
            .map(|(signature, key)| (*signature, &self.keys[*key]))
    }
}

/// Verifies an envelope: each key that is tried verifies a signature, each signature is verified by
/// a key. Signatures with equal texts are one, and so are equal keys.
///
/// A key is tried first on the signatures that no other key verified. In Rekor it is always tried
/// on all of them, which shows only where somebody made a signature that two keys verify.
pub fn verify<'e, Pem: AsRef<[u8]>>(
    envelope: &'e Envelope,
    pems: &[Pem],
    tried: KeysTried,
    work: &mut Work,
) -> Result<Verified<'e>, Error> {
    let texts: BTreeSet<&str> = envelope
        .signatures
        .iter()
        .map(|signature| signature.sig.as_str())
        .collect();
    // What is wrong with the first key is said before what is wrong with the envelope.
    let opened = envelope.open();
    let mut checks = opened
        .as_ref()
        .ok()
        .map(|opened| opened.checks(work))
        .transpose()?;
    let mut keys: Vec<Key> = Vec::with_capacity(pems.len());
    let mut by_signature = BTreeMap::new();
    let mut by_key: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut last = None;
    for pem in pems {
        if tried == KeysTried::UntilAllVerify && by_signature.len() == texts.len() {
            break;
        }
        let key = Key::from_pem(pem.as_ref()).map_err(|refusal| {
            Error::Invalid(format!("could not parse public key as x509: {refusal}"))
        })?;
        let found = match (&mut checks, &opened) {
            (Some(checks), _) => match by_key.get(key.public_key().bytes()) {
                Some(position) => Ok(*position),
                None => {
                    let is_open =
                        |position: &usize| !by_key.values().any(|taken| taken == position);
                    let (open, taken): (Vec<usize>, Vec<usize>) =
                        likely_first(envelope.signatures.len(), last).partition(is_open);
                    checks.find(&key, open.into_iter().chain(taken))
                }
            },
            (None, Err(refusal)) => Err(refusal.clone()),
            (None, Ok(_)) => Err(bad_base64()),
        };
        let position = found.map_err(|refusal| unverified(&refusal))?;
        last = Some(position);
        by_key.insert(key.public_key().bytes().to_vec(), position);
        by_signature.insert(envelope.signatures[position].sig.as_str(), keys.len());
        keys.push(key);
    }
    if by_signature.len() < texts.len() {
        return Err(Error::Invalid(
            "all signatures must have a key that verifies it".to_owned(),
        ));
    }
    drop(checks);
    Ok(Verified {
        opened: opened?,
        keys,
        by_signature,
    })
}

/// Returns the refusal of an envelope for this reason, in Rekor's words.
pub fn unverified(reason: &Error) -> Error {
    Error::Invalid(format!("could not verify envelope: {reason}"))
}

/// The refusal of a field of an envelope that is not base64.
pub fn bad_base64() -> Error {
    Error::Invalid("unable to base64 decode payload (is payload in the right format?)".to_owned())
}

/// Returns the pre-authentication encoding, which the signatures of an envelope sign.
pub fn pae(payload_type: &str, payload: Vec<u8>) -> Vec<u8> {
    let mut pae = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    pae.reserve_exact(payload.len());
    pae.extend_from_slice(&payload);
    pae
}

/// Base64 in the standard or the URL alphabet, with padding; CR and LF are skipped.
pub fn decode_base64(text: &str) -> Result<Vec<u8>, Error> {
    let decode = |text: &str| BASE64.decode(text).or_else(|_| URL_BASE64.decode(text));
    decode(text)
        .or_else(|error| match text.contains(['\r', '\n']) {
            true => decode(&text.replace(['\r', '\n'], "")),
            false => Err(error),
        })
        .map_err(|_| bad_base64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_of_the_specification() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world".to_vec()),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(pae("ü", Vec::new()), "DSSEv1 2 ü 0 ".as_bytes());
    }

    #[test]
    fn base64_of_either_alphabet() {
        for text in ["+/+/", "-_-_", "+/\r\n+/", "-_\n-_"] {
            assert_eq!(decode_base64(text).unwrap(), [0xfb, 0xff, 0xbf], "{text:?}");
        }
        assert_eq!(decode_base64("").unwrap(), [0; 0]);
        for text in ["+/-_", "+/+", "YQ", "!"] {
            assert!(decode_base64(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn signatures_are_counted_before_they_are_kept() {
        let envelope = |count: usize| {
            format!(
                "{{\"signatures\":[{}]}}",
                vec!["{\"sig\":\"AA==\"}"; count].join(",")
            )
        };
        assert_eq!(
            Envelope::from_json(&envelope(MAX_SIGNATURES))
                .unwrap()
                .signatures
                .len(),
            MAX_SIGNATURES
        );
        let refusal = Envelope::from_json(&envelope(MAX_SIGNATURES + 1)).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the envelope has more than 32 signatures, the limit"
        );
    }

    #[test]
    fn malformed_envelopes_are_refused() {
        for json in [
            "",
            "garbage",
            "[]",
            "7",
            "{\"payload\":7}",
            "{\"signatures\":{}}",
            "{\"signatures\":[7]}",
            "{} x",
        ] {
            assert!(
                matches!(Envelope::from_json(json), Err(Error::Invalid(_))),
                "{json}"
            );
        }
        assert!(Envelope::from_json("null").unwrap().signatures.is_empty());
        let envelope = Envelope::from_json(
            r#"{"PAYLOADTYPE":"t","payload":"x","payload":"YQ==","signatures":[null]}"#,
        )
        .unwrap();
        assert_eq!(
            (
                envelope.payload_type.as_str(),
                envelope.open().unwrap().payload()
            ),
            ("t", &b"a"[..])
        );
        assert_eq!(envelope.signatures, [Signature::default()]);
    }

    #[test]
    fn signatures_that_are_repeated_are_merged() {
        let signatures = |json: &str| Envelope::from_json(json).unwrap().signatures;
        let signature = |key_id: &str, sig: &str| Signature {
            key_id: key_id.to_owned(),
            sig: sig.to_owned(),
        };
        let twice =
            r#"{"signatures":[{"keyid":"k","sig":"a"},{"sig":"b"}],"signatures":[{"sig":"c"}]}"#;
        assert_eq!(signatures(twice), [signature("k", "c")]);
        assert_eq!(
            signatures(r#"{"signatures":[{"sig":"a"}],"signatures":null}"#),
            []
        );
        assert!(Envelope::from_json(r#"{"payload":7,"payload":"YQ=="}"#).is_err());
    }
}
