//! DSSE envelopes (<https://github.com/secure-systems-lab/dsse>), as Rekor reads and verifies them.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::GeneralPurpose;

use crate::digest::Digest;
use crate::go_json;
use crate::member::BASE64;
use crate::public_key::KeyKind;
use crate::refusal::Refusal;
use crate::x509::Key;

/// Signatures of one envelope, and keys that may verify them. Each key has to verify one, so that an envelope with
/// so many asks for half as many checks squared, of which one with P-521 takes half a millisecond; leaf bytes of 65,535 hold fewer
/// than two hundred. Envelopes in use have one to three.
pub(crate) const MAX_SIGNATURES: usize = 32;
/// Bytes that the checks of one envelope's Ed25519 signatures hash, all together: half a second. (Other keys sign
/// a digest, which is made once.)
const MAX_HASHED_BYTES: usize = 256 * 1024 * 1024;

/// Standard alphabet first, then this one.
const URL_BASE64: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, crate::member::BASE64_CONFIG);

/// An envelope, its payload still in base64.
#[derive(Debug, Default)]
pub(crate) struct Envelope {
    pub(crate) payload_type: String,
    pub(crate) payload: String,
    pub(crate) signatures: Vec<Signature>,
}

/// One signature as the envelope gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) key_id: String,
    /// Base64.
    pub(crate) sig: String,
}

impl Envelope {
    /// Parses the JSON form.
    pub(crate) fn from_json(json: &str) -> Result<Self, Refusal> {
        let [payload_type, payload, signatures] =
            go_json::members(json, ["payloadType", "payload", "signatures"]).map_err(Refusal::invalid)?;
        let mut envelope = Self {
            payload_type: go_json::text(payload_type).map_err(Refusal::invalid)?.into_owned(),
            payload: go_json::text(payload).map_err(Refusal::invalid)?.into_owned(),
            signatures: Vec::new(),
        };
        go_json::each_element(signatures, Refusal::invalid, |signature| {
            check_signature_count(envelope.signatures.len() + 1)?;
            let [key_id, sig] = go_json::members(signature.get(), ["keyid", "sig"]).map_err(Refusal::invalid)?;
            let key_id = go_json::text(key_id).map_err(Refusal::invalid)?.into_owned();
            let sig = go_json::text(sig).map_err(Refusal::invalid)?.into_owned();
            envelope.signatures.push(Signature { key_id, sig });
            Ok(())
        })?;
        Ok(envelope)
    }

    /// Decodes payload and signatures, so that the signatures can be checked.
    pub(crate) fn open(&self) -> Result<Opened, Refusal> {
        let payload = decode_base64(&self.payload)?;
        let signatures =
            self.signatures.iter().map(|signature| decode_base64(&signature.sig)).collect::<Result<_, _>>()?;
        let payload_bytes = payload.len();
        Ok(Opened { pae: pae(&self.payload_type, payload), payload_bytes, signatures })
    }
}

/// Refuses more than [`MAX_SIGNATURES`].
pub(crate) fn check_signature_count(count: usize) -> Result<(), Refusal> {
    match count {
        ..=MAX_SIGNATURES => Ok(()),
        _ => Err(Refusal::Invalid(format!("the envelope has more than {MAX_SIGNATURES} signatures, the limit"))),
    }
}

/// An envelope whose payload and signatures are decoded.
pub(crate) struct Opened {
    /// What is signed; its end is the payload.
    pae: Vec<u8>,
    payload_bytes: usize,
    signatures: Vec<Vec<u8>>,
}

impl Opened {
    pub(crate) fn payload(&self) -> &[u8] {
        &self.pae[self.pae.len() - self.payload_bytes..]
    }

    /// The checks of this envelope's signatures.
    pub(crate) fn checks(&self) -> Checks<'_> {
        Checks { opened: self, digest: Digest::sha256(&self.pae), hashed: 0 }
    }
}

/// Checks the signatures of one envelope, within what all of them together may cost.
pub(crate) struct Checks<'o> {
    opened: &'o Opened,
    /// Of what is signed.
    digest: Digest,
    /// Bytes hashed beyond that.
    hashed: usize,
}

impl Checks<'_> {
    /// The first signature that `key` verifies: a key accounts for one signature, as in Rekor. Of those that
    /// `is_candidate` takes; positions are those in the envelope.
    pub(crate) fn find(&mut self, key: &Key, is_candidate: impl Fn(usize) -> bool) -> Result<usize, Refusal> {
        for (position, signature) in self.opened.signatures.iter().enumerate() {
            if !is_candidate(position) {
                continue;
            }
            if self.is_verified(key, signature)? {
                return Ok(position);
            }
        }
        Err(Refusal::Invalid("accepted signatures do not match threshold, Found: 0, Expected 1".to_owned()))
    }

    fn is_verified(&mut self, key: &Key, signature: &[u8]) -> Result<bool, Refusal> {
        let key = key.public_key();
        if key.kind() != KeyKind::Ed25519 {
            return Ok(key.verify_digest(&self.digest, signature).is_ok());
        }
        self.hashed += self.opened.pae.len();
        match self.hashed {
            ..=MAX_HASHED_BYTES => Ok(key.verify_message(&self.opened.pae, signature).is_ok()),
            _ => Err(Refusal::Invalid("too many Ed25519 signatures for a payload of this size".to_owned())),
        }
    }
}

/// Which of the keys have to verify a signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeysTried {
    /// All of them.
    All,
    /// In their order, until each signature is verified; the others are not even parsed.
    UntilAllVerify,
}

/// An envelope each of whose signatures is verified by a key.
pub(crate) struct Verified<'e> {
    opened: Opened,
    keys: Vec<Key>,
    /// The key of each signature, by position in `keys`.
    by_signature: BTreeMap<&'e str, usize>,
}

impl Verified<'_> {
    pub(crate) fn payload(&self) -> &[u8] {
        self.opened.payload()
    }

    /// The keys that were tried, in their order.
    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Each signature as the envelope has it with the key that verifies it, by signature.
    pub(crate) fn keys_by_signature(&self) -> impl Iterator<Item = (&str, &Key)> {
        self.by_signature.iter().map(|(signature, key)| (*signature, &self.keys[*key]))
    }
}

/// Verifies an envelope: each key that is tried verifies a signature, each signature is verified by a key. Signatures with equal
/// texts are one.
pub(crate) fn verify<'e, Pem: AsRef<[u8]>>(
    envelope: &'e Envelope,
    pems: &[Pem],
    tried: KeysTried,
) -> Result<Verified<'e>, Refusal> {
    let texts: BTreeSet<&str> = envelope.signatures.iter().map(|signature| signature.sig.as_str()).collect();
    // What is wrong with the first key is said before what is wrong with the envelope.
    let opened = envelope.open();
    let mut checks = opened.as_ref().ok().map(Opened::checks);
    let mut keys = Vec::with_capacity(pems.len());
    let mut by_signature = BTreeMap::new();
    for pem in pems {
        if tried == KeysTried::UntilAllVerify && by_signature.len() == texts.len() {
            break;
        }
        let key = Key::from_pem(pem.as_ref())
            .map_err(|refusal| Refusal::Invalid(format!("could not parse public key as x509: {refusal}")))?;
        let found = match (&mut checks, &opened) {
            (Some(checks), _) => checks.find(&key, |_| true),
            (None, Err(refusal)) => Err(refusal.clone()),
            (None, Ok(_)) => Err(bad_base64()),
        };
        let position = found.map_err(|refusal| unverified(&refusal))?;
        by_signature.insert(envelope.signatures[position].sig.as_str(), keys.len());
        keys.push(key);
    }
    if by_signature.len() < texts.len() {
        return Err(Refusal::Invalid("all signatures must have a key that verifies it".to_owned()));
    }
    drop(checks);
    Ok(Verified { opened: opened?, keys, by_signature })
}

/// Why an envelope is not verified, in Rekor's words.
pub(crate) fn unverified(reason: &Refusal) -> Refusal {
    Refusal::Invalid(format!("could not verify envelope: {reason}"))
}

/// What is no base64 in an envelope.
pub(crate) fn bad_base64() -> Refusal {
    Refusal::Invalid("unable to base64 decode payload (is payload in the right format?)".to_owned())
}

/// Pre-authentication encoding: what the signatures of an envelope sign.
pub(crate) fn pae(payload_type: &str, payload: Vec<u8>) -> Vec<u8> {
    let mut pae = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    pae.reserve_exact(payload.len());
    pae.extend_from_slice(&payload);
    pae
}

/// Base64 in the standard or the URL alphabet, with padding; CR and LF are skipped.
pub(crate) fn decode_base64(text: &str) -> Result<Vec<u8>, Refusal> {
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
        let envelope = |count: usize| format!("{{\"signatures\":[{}]}}", vec!["{\"sig\":\"AA==\"}"; count].join(","));
        assert_eq!(Envelope::from_json(&envelope(MAX_SIGNATURES)).unwrap().signatures.len(), MAX_SIGNATURES);
        let refusal = Envelope::from_json(&envelope(MAX_SIGNATURES + 1)).unwrap_err();
        assert_eq!(refusal.to_string(), "the envelope has more than 32 signatures, the limit");
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        for json in ["", "garbage", "[]", "7", "{\"payload\":7}", "{\"signatures\":{}}", "{\"signatures\":[7]}", "{} x"]
        {
            assert!(matches!(Envelope::from_json(json), Err(Refusal::Invalid(_))), "{json}");
        }
        assert!(Envelope::from_json("null").unwrap().signatures.is_empty());
        let envelope =
            Envelope::from_json(r#"{"PAYLOADTYPE":"t","payload":"x","payload":"YQ==","signatures":[null]}"#).unwrap();
        assert_eq!((envelope.payload_type.as_str(), envelope.open().unwrap().payload()), ("t", &b"a"[..]));
        assert_eq!(envelope.signatures, [Signature::default()]);
    }
}
