//! No change to what was signed, to the signature or to the key goes unnoticed.

use std::collections::HashSet;

use crate::submission::{SEEDS, Submission};

/// Every bit of the signature, the digest and the key of an entry of each algorithm.
#[test]
fn one_flipped_bit_is_refused() {
    let mut flipped = HashSet::new();
    for seed in SEEDS.iter() {
        let (name, entry) = (&seed.name, Submission::from_leaf(seed.entry.leaf_bytes()));
        // Names in a certificate may be anything: nobody but its issuer vouches for them.
        let Some(key) = Key::read(&entry.key) else {
            continue;
        };
        // One entry of each algorithm will do.
        if !flipped.insert((entry.algorithm.clone(), key.0.len())) {
            continue;
        }
        for bit in 0..8 * entry.signature.len() {
            let entry = Submission {
                signature: flip(&entry.signature, bit),
                ..entry.clone()
            };
            assert!(
                entry.look_up().is_err(),
                "{name}: bit {bit} of the signature"
            );
        }
        for bit in 0..8 * entry.digest.len() {
            let entry = Submission {
                digest: flip(&entry.digest, bit),
                ..entry.clone()
            };
            assert!(entry.look_up().is_err(), "{name}: bit {bit} of the digest");
        }
        for bit in 0..8 * key.0.len() {
            let entry = Submission {
                key: Key(flip(&key.0, bit)).pem(),
                ..entry.clone()
            };
            assert!(entry.look_up().is_err(), "{name}: bit {bit} of the key");
        }
    }
    assert_eq!(
        flipped.len(),
        7,
        "P-256, P-384, P-521, three sizes of RSA, Ed25519"
    );
}

/// A signature counts for the digest that it was made over and for no other.
#[test]
fn digests_of_other_entries_are_refused() {
    let entries: Vec<Submission> = SEEDS
        .iter()
        .map(|seed| Submission::from_leaf(seed.entry.leaf_bytes()))
        .collect();
    for entry in &entries {
        for other in entries.iter().filter(|other| other.digest != entry.digest) {
            let forged = Submission {
                digest: other.digest.clone(),
                algorithm: other.algorithm.clone(),
                ..entry.clone()
            };
            assert!(forged.look_up().is_err());
        }
    }
}

/// The DER of a public key.
struct Key(Vec<u8>);

impl Key {
    fn read(pem: &[u8]) -> Option<Self> {
        let (label, der) = der::pem::decode_vec(pem.trim_ascii()).ok()?;
        (label == "PUBLIC KEY").then_some(Self(der))
    }

    fn pem(&self) -> Vec<u8> {
        der::pem::encode_string("PUBLIC KEY", der::pem::LineEnding::LF, &self.0)
            .unwrap()
            .into_bytes()
    }
}

fn flip(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}
