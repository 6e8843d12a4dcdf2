//! TUF roots of RSA keys, made with python-cryptography 50: RSASSA-PSS with the longest salt (as
//! go-tuf signs), one as long as the hash (as python-tuf does) and none; and by keys of 2,049 bits,
//! whose signatures begin with a byte of zeros, and 1,024.

use std::path::Path;

use entry::{Policy, ProposedEntry, Refusal, UnixSeconds, VerifiedEntry};
use serde_json::{Value, json};

/// 2026-01-01, ten years before they expire.
const NOW: UnixSeconds = UnixSeconds(1_767_225_600);

const ROOTS: [&str; 5] = [
    "longest.json",
    "hash.json",
    "none.json",
    "odd.json",
    "small.json",
];

#[test]
fn salts_of_any_length_are_taken() {
    for name in ROOTS {
        let root = root(name);
        let entry = verify(&root, &root).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        let leaf: Value = serde_json::from_slice(entry.leaf_bytes()).unwrap();
        assert_eq!(leaf["kind"], "tuf", "{name}");
    }
}

#[test]
fn other_contents_are_refused() {
    for name in ROOTS {
        let mut other = root(name);
        other["signed"]["version"] = json!(2);
        assert_eq!(
            refusal(&root(name), &other),
            "tuf: valid signatures did not meet threshold",
            "{name}"
        );
    }
}

/// Each byte of a signature counts, and no change of one makes more than a refusal.
#[test]
fn changed_signatures_are_refused() {
    for name in ROOTS {
        let signature = hex::decode(root(name)["signatures"][0]["sig"].as_str().unwrap()).unwrap();
        let changed = (0..signature.len()).step_by(16).map(|at| {
            let mut changed = signature.clone();
            changed[at] ^= 0x01;
            changed
        });
        let others = [
            signature[1..].to_vec(),
            [&[0], &*signature].concat(),
            vec![0; signature.len()],
            Vec::new(),
        ];
        for other in changed.chain(others).chain([vec![0xff; signature.len()]]) {
            let mut document = root(name);
            document["signatures"][0]["sig"] = json!(hex::encode(other));
            assert_eq!(
                refusal(&root(name), &document),
                "tuf: valid signatures did not meet threshold",
                "{name}"
            );
        }
    }
}

fn verify(root: &Value, metadata: &Value) -> Result<VerifiedEntry, Refusal> {
    let proposal = json!({"kind": "tuf", "apiVersion": "0.0.1", "spec": {
        "root": {"content": root},
        "metadata": {"content": metadata},
    }});
    ProposedEntry::from_json(proposal.to_string().as_bytes())?.verify(&Policy::default(), NOW)
}

fn refusal(root: &Value, metadata: &Value) -> String {
    verify(root, metadata)
        .err()
        .map(|refusal| refusal.to_string())
        .unwrap_or_default()
}

fn root(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/entry/pki/tuf");
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}
