//! Entries to post: `hashedrekord` 0.0.1 or 0.0.2 with ECDSA P-256, signed before the clock starts.
//!
//! Only its digest and its signature are kept of each, some 110 bytes: a run of minutes has
//! millions. The JSON around them is put together when it is sent, which costs 0.2 µs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use tlog::{Hash, SigningKey};

use crate::progress::Progress;

/// Signers of a run. Few enough that their index keys have many hits, as build machines have.
const SIGNERS: usize = 64;
/// Longest DER form of an ECDSA P-256 signature: two integers of 33 bytes with their headers.
const MAX_SIGNATURE: usize = 72;

/// Signed entries, each handed out once.
pub(crate) struct Proposals {
    signers: Vec<Signer>,
    signed: Vec<Signed>,
    next: AtomicUsize,
}

struct Signer {
    key: SigningKey,
    /// Base64 of the PEM, as v1's wire has it.
    pem: String,
    /// Base64 of the DER, as v2's has it.
    der: String,
}

struct Signed {
    digest: Hash,
    signature: [u8; MAX_SIGNATURE],
    length: u8,
}

impl Proposals {
    /// Signs `count` entries, each over an artifact of its own that no other run has.
    pub(crate) fn sign(count: usize) -> Result<Self> {
        let rng = SystemRandom::new();
        let mut run = [0; 16];
        rng.fill(&mut run).ok().context("no randomness")?;
        let run = hex::encode(run);
        let signers = (0..SIGNERS)
            .map(|_| Signer::generate(&rng))
            .collect::<Result<Vec<_>>>()?;
        let progress = Progress::new("signing entries", count);
        let sign = |number: usize| {
            progress.step();
            signers[number % SIGNERS].sign(format!("{run} {number}").as_bytes(), &rng)
        };
        let share = count
            .div_ceil(thread::available_parallelism()?.get())
            .max(1);
        let mut signed = Vec::with_capacity(count);
        thread::scope(|scope| {
            let parts: Vec<_> = (0..count)
                .step_by(share)
                .map(|first| {
                    scope.spawn(move || {
                        (first..count.min(first + share))
                            .map(sign)
                            .collect::<Result<Vec<_>>>()
                    })
                })
                .collect();
            for part in parts {
                signed.extend(part.join().ok().context("a signing thread panicked")??);
            }
            anyhow::Ok(())
        })?;
        Ok(Self {
            signers,
            signed,
            next: AtomicUsize::new(0),
        })
    }

    /// Hands out `count` entries by the number of the first; `None` once fewer are left.
    pub(crate) fn take(&self, count: usize) -> Option<usize> {
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        (first + count <= self.signed.len()).then_some(first)
    }

    /// SHA-256 of the artifact that an entry is about.
    pub(crate) fn digest(&self, number: usize) -> Hash {
        self.signed[number].digest
    }

    /// Appends the JSON of an entry as v1 takes it.
    pub(crate) fn write_v1(&self, number: usize, json: &mut Vec<u8>) {
        let (signed, signer) = (&self.signed[number], &self.signers[number % SIGNERS]);
        json.extend_from_slice(
            br#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":""#,
        );
        append_hex(&signed.digest.0, json);
        json.extend_from_slice(br#""}},"signature":{"content":""#);
        append_base64(signed.signature(), json);
        json.extend_from_slice(br#"","publicKey":{"content":""#);
        json.extend_from_slice(signer.pem.as_bytes());
        json.extend_from_slice(br#""}}}}"#);
    }

    /// Appends the JSON of an entry as v2 takes it.
    pub(crate) fn write_v2(&self, number: usize, json: &mut Vec<u8>) {
        let (signed, signer) = (&self.signed[number], &self.signers[number % SIGNERS]);
        json.extend_from_slice(br#"{"hashedRekordRequestV002":{"digest":""#);
        append_base64(&signed.digest.0, json);
        json.extend_from_slice(br#"","signature":{"content":""#);
        append_base64(signed.signature(), json);
        json.extend_from_slice(br#"","verifier":{"publicKey":{"rawBytes":""#);
        json.extend_from_slice(signer.der.as_bytes());
        json.extend_from_slice(br#""},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}}}}"#);
    }
}

impl Signer {
    fn generate(rng: &SystemRandom) -> Result<Self> {
        let key = SigningKey::from_pkcs8(&SigningKey::generate_p256_pkcs8(rng)?, rng)?;
        let (pem, der) = (
            key.verifying_key().to_pem(),
            STANDARD.encode(key.verifying_key().spki()),
        );
        Ok(Self {
            key,
            pem: STANDARD.encode(pem),
            der,
        })
    }

    fn sign(&self, artifact: &[u8], rng: &SystemRandom) -> Result<Signed> {
        let der = self.key.sign(artifact, rng)?;
        let mut signature = [0; MAX_SIGNATURE];
        signature
            .get_mut(..der.len())
            .context("a signature that is too long")?
            .copy_from_slice(&der);
        Ok(Signed {
            digest: tlog::sha256(artifact),
            signature,
            length: der.len() as u8,
        })
    }
}

impl Signed {
    fn signature(&self) -> &[u8] {
        &self.signature[..usize::from(self.length)]
    }
}

/// Appends lower-case hex.
pub(crate) fn append_hex(bytes: &[u8], text: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.extend(bytes.iter().flat_map(|byte| {
        [
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ]
    }));
}

fn append_base64(bytes: &[u8], text: &mut Vec<u8>) {
    let start = text.len();
    text.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // Unwrap safety: the space was just made.
    #[expect(clippy::unwrap_used, reason = "see above")]
    STANDARD.encode_slice(bytes, &mut text[start..]).unwrap();
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tlog::VerifyingKey;

    use super::*;

    #[test]
    fn entries_are_signed_and_handed_out_once() {
        let proposals = Proposals::sign(130).unwrap();
        let mut digests = std::collections::HashSet::new();
        for number in 0..130 {
            let (mut v1, mut v2) = (Vec::new(), Vec::new());
            proposals.write_v1(number, &mut v1);
            proposals.write_v2(number, &mut v2);
            let (v1, v2): (Value, Value) = (
                serde_json::from_slice(&v1).unwrap(),
                serde_json::from_slice(&v2).unwrap(),
            );
            assert_eq!(
                v1["spec"]["data"]["hash"]["value"],
                proposals.digest(number).to_string()
            );
            let request = &v2["hashedRekordRequestV002"];
            assert_eq!(request["digest"], STANDARD.encode(proposals.digest(number)));
            assert_eq!(
                request["signature"]["content"],
                v1["spec"]["signature"]["content"]
            );
            digests.insert(proposals.digest(number));
        }
        assert_eq!(digests.len(), 130);
        assert_eq!(
            (proposals.take(100), proposals.take(30), proposals.take(1)),
            (Some(0), Some(100), None)
        );
    }

    #[test]
    fn the_signature_is_of_the_artifact() {
        let rng = SystemRandom::new();
        let signer = Signer::generate(&rng).unwrap();
        let signed = signer.sign(b"artifact", &rng).unwrap();
        let key = VerifyingKey::from_spki(&STANDARD.decode(&signer.der).unwrap()).unwrap();
        key.verify(b"artifact", signed.signature()).unwrap();
        assert_eq!(signed.digest, tlog::sha256(b"artifact"));
    }
}
