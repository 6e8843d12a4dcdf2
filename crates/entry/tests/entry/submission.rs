//! Entries to submit.

use std::path::Path;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entry::{Policy, ProposedEntry, Refusal, UnixSeconds, VerifiedEntry};
use serde_json::{Value, json};

/// When entries are checked: as the recordings were made.
pub(crate) const NOW: UnixSeconds = UnixSeconds(1_795_384_279);

/// A `hashedrekord` 0.0.1.
#[derive(Clone)]
pub(crate) struct Submission {
    pub(crate) algorithm: String,
    pub(crate) digest: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl Submission {
    pub(crate) fn new(algorithm: &str, digest: &[u8], signature: &[u8], pem: &str) -> Self {
        Self {
            algorithm: algorithm.to_owned(),
            digest: digest.to_vec(),
            signature: signature.to_vec(),
            key: pem.as_bytes().to_vec(),
        }
    }

    /// What leaf bytes say.
    pub(crate) fn from_leaf(leaf: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(leaf).unwrap();
        let (hash, signature) = (&value["spec"]["data"]["hash"], &value["spec"]["signature"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            algorithm: text(&hash["algorithm"]),
            digest: hex::decode(text(&hash["value"])).unwrap(),
            signature: STANDARD.decode(text(&signature["content"])).unwrap(),
            key: STANDARD
                .decode(text(&signature["publicKey"]["content"]))
                .unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Vec<u8> {
        let value = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": {"algorithm": self.algorithm, "value": hex::encode(&self.digest)}},
            "signature": {
                "content": STANDARD.encode(&self.signature),
                "publicKey": {"content": STANDARD.encode(&self.key)},
            },
        }});
        value.to_string().into_bytes()
    }

    pub(crate) fn verify(&self) -> Result<VerifiedEntry, Refusal> {
        ProposedEntry::from_json(&self.json())?.verify(&Policy::default(), NOW)
    }

    /// Checks the signature without the policy.
    pub(crate) fn look_up(&self) -> Result<Vec<u8>, Refusal> {
        ProposedEntry::from_json(&self.json())?.leaf_bytes_for_lookup(NOW)
    }
}

/// A seed of the fuzz target for entries that is accepted.
pub(crate) struct Seed {
    pub(crate) name: String,
    pub(crate) entry: VerifiedEntry,
}

/// All of them.
pub(crate) static SEEDS: LazyLock<Vec<Seed>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/hashedrekord");
    let accept = |file: std::io::Result<std::fs::DirEntry>| {
        let file = file.unwrap();
        let json = std::fs::read(file.path()).unwrap();
        let entry = ProposedEntry::from_json(&json)
            .and_then(|entry| entry.verify(&Policy::default(), NOW))
            .ok()?;
        Some(Seed {
            name: file.file_name().into_string().unwrap(),
            entry,
        })
    };
    let seeds: Vec<Seed> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(accept)
        .collect();
    assert!(seeds.len() >= 25, "only {} seeds are accepted", seeds.len());
    seeds
});
