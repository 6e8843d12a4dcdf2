//! Entries of `hashedrekord` 0.0.1 with ECDSA P-256, all of whose hashes and signatures are made
//! up.
//!
//! Nothing reads a signature again once an entry is in the log, so only its length counts. That all
//! else is what `entry` writes is checked, for every signer, with an entry that it did sign.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entry::{Policy, ProposedEntry, UnixSeconds};
use ledger::{EntryClaims, NewEntry};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::{EncodePublicKey, LineEnding};

use crate::certificate::Certificate;

/// As many as the load generator has: few enough that their index keys have many hits, as build
/// machines have.
const SIGNERS: u64 = 64;
const KIND: &str = "hashedrekord:0.0.1";

/// The way in which entries name their signers.
#[derive(Clone, Copy)]
pub(crate) enum Verifiers {
    /// One public key a signer, as a build machine has it.
    Keys,
    /// One certificate an entry, as Fulcio gives it to a workflow.
    Certificates,
}

/// An endless, numbered list of entries; the seed decides it.
pub(crate) struct Entries {
    seed: u64,
    signers: Vec<Signer>,
}

struct Signer {
    verifier: Verifier,
    /// The names in the certificate, as `entry` derives them.
    subjects: Vec<String>,
}

enum Verifier {
    Key { pem: String },
    Certificate(Certificate),
}

impl Entries {
    /// Fails where `entry` would write another leaf than this generator, or with other index keys.
    pub(crate) fn new(seed: u64, verifiers: Verifiers) -> Result<Self> {
        let signers = (0..SIGNERS)
            .map(|number| Signer::new(seed, number, verifiers))
            .collect::<Result<_>>()?;
        Ok(Self { seed, signers })
    }

    /// The entry of this number.
    pub(crate) fn entry(&self, number: u64) -> NewEntry {
        let [artifact, r, s, serial] = [0, 1, 2, 3].map(|part| made_up(self.seed, number, part));
        self.signers[(number % SIGNERS) as usize].entry(&artifact, &signature(&r, &s), &serial)
    }
}

impl Signer {
    fn new(seed: u64, number: u64, verifiers: Verifiers) -> Result<Self> {
        let key = SigningKey::from_slice(&made_up(seed, number, 4)).context("not a P-256 key")?;
        let verifier = match verifiers {
            Verifiers::Keys => Verifier::Key {
                pem: key.verifying_key().to_public_key_pem(LineEnding::LF)?,
            },
            Verifiers::Certificates => Verifier::Certificate(Certificate::new(number, &key)?),
        };
        let artifact = number.to_be_bytes();
        let signed: Signature = key.sign(&artifact);
        let mut signer = Self {
            verifier,
            subjects: Vec::new(),
        };
        let write = |signer: &Self| {
            signer.entry(
                &tlog::sha256(&artifact).0,
                signed.to_der().as_bytes(),
                &made_up(seed, number, 5),
            )
        };

        let verified = ProposedEntry::from_json(&write(&signer).leaf_bytes)?
            .verify(&Policy::default(), UnixSeconds(0))?;
        // Before them is the verifier's hash, behind them the artifact's.
        let [_, subjects @ .., _] = verified.index_keys() else {
            anyhow::bail!("an entry without index keys")
        };
        signer.subjects = subjects.to_vec();
        let ours = write(&signer);
        ensure!(
            ours.leaf_bytes == verified.leaf_bytes(),
            "another leaf than `entry` writes"
        );
        ensure!(
            ours.index_keys == verified.index_keys(),
            "other index keys than `entry` derives"
        );
        ensure!(ours.kind == verified.kind(), "another kind");
        Ok(signer)
    }

    fn entry(&self, artifact: &[u8; 32], signature: &[u8], serial: &[u8; 32]) -> NewEntry {
        let pem = match &self.verifier {
            Verifier::Key { pem } => pem,
            Verifier::Certificate(certificate) => &certificate.pem(serial),
        };
        let (hash, signature, content) = (
            hex::encode(artifact),
            STANDARD.encode(signature),
            STANDARD.encode(pem),
        );
        let leaf = format!(
            r#"{{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{{"data":{{"hash":{{"algorithm":"sha256","value":"{hash}"}}}},"signature":{{"content":"{signature}","publicKey":{{"content":"{content}"}}}}}}}}"#
        );
        let mut index_keys = Vec::with_capacity(2 + self.subjects.len());
        index_keys.push(hex::encode(tlog::sha256(pem.as_bytes()).0));
        index_keys.extend_from_slice(&self.subjects);
        index_keys.push(format!("sha256:{hash}"));
        NewEntry {
            leaf_bytes: leaf.into_bytes(),
            kind: KIND.to_owned(),
            index_keys,
            attestation: None,
            claims: EntryClaims::default(),
        }
    }
}

/// 32 bytes that cannot be told from random ones.
fn made_up(seed: u64, number: u64, part: u8) -> [u8; 32] {
    let mut input = [part; 17];
    input[..8].copy_from_slice(&seed.to_be_bytes());
    input[8..16].copy_from_slice(&number.to_be_bytes());
    tlog::sha256(&input).0
}

/// The DER form of an ECDSA signature.
fn signature(r: &[u8; 32], s: &[u8; 32]) -> Vec<u8> {
    let mut der = vec![0x30, 0];
    for scalar in [r, s] {
        let zeros = scalar
            .iter()
            .take_while(|byte| **byte == 0)
            .count()
            .min(scalar.len() - 1);
        let digits = &scalar[zeros..];
        let sign: &[u8] = if digits[0] < 0x80 { &[] } else { &[0] };
        der.extend([2, (sign.len() + digits.len()) as u8]);
        der.extend(sign.iter().chain(digits));
    }
    der[1] = (der.len() - 2) as u8;
    der
}

#[cfg(test)]
mod tests {
    use entry::index_keys_of_leaf;

    use super::*;

    #[test]
    fn entries_are_of_the_form_that_entry_reads() {
        for (verifiers, leaf_bytes) in [
            (Verifiers::Keys, 550..560),
            (Verifiers::Certificates, 3_000..4_000),
        ] {
            let entries = Entries::new(1, verifiers).unwrap();
            for number in (0..1_000).chain([u64::MAX]) {
                let entry = entries.entry(number);
                assert_eq!(
                    index_keys_of_leaf(&entry.leaf_bytes),
                    Ok(Some(entry.index_keys))
                );
                assert!(
                    leaf_bytes.contains(&entry.leaf_bytes.len()),
                    "{}",
                    entry.leaf_bytes.len()
                );
            }
        }
    }

    #[test]
    fn signatures_are_der() {
        let mut small = [0; 32];
        small[31] = 1;
        for r in [small, [1; 32], [0x7f; 32], [0x80; 32], [0xfe; 32]] {
            let der = signature(&r, &small);
            let read = Signature::from_der(&der).unwrap();
            assert_eq!(read.to_der().as_bytes(), der);
            assert_eq!(read.r().to_bytes().as_slice(), r);
        }
    }

    #[test]
    fn the_seed_and_the_number_decide() {
        let leaf = |seed, number| {
            Entries::new(seed, Verifiers::Certificates)
                .unwrap()
                .entry(number)
                .leaf_bytes
        };
        assert_eq!(leaf(1, 2), leaf(1, 2));
        assert_ne!(leaf(1, 2), leaf(2, 2));
        assert_ne!(leaf(1, 2), leaf(1, 2 + SIGNERS));
    }
}
