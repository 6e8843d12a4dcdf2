//! Inputs with the verdict of Rekor's own code, v1.5.4 (tests/recordings/verdicts.jsonl.gz):
//! certificates, keys, URIs, statements, time stamps, archives.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entry::{Policy, ProposedEntry};
use serde::Deserialize;

use crate::golden;
use crate::strictness::rekors_keys;
use crate::submission::NOW;

/// Another outcome than in v1.5.4, each for a reason that `docs/KINDS.md` gives.
const DIFFERENT: [&str; 7] = [
    // No library here has the curve.
    "rekord-curve-secp224r1",
    // Go writes them otherwise than they are.
    "uri https://example.org/a b%20c",
    "uri https://example.org/a^b",
    "uri https://example.org/`x`",
    // Materials are found whatever else in the provenance is malformed.
    "intoto1 slsa02-time",
    "intoto2 slsa02-time",
    // A limit.
    "intoto2 33-sigs",
];

/// Inputs on which v1.6.1 has another outcome than v1.5.4.
const OF_THE_NEWEST: [&str; 3] = [
    "cert-san-ip6-mapped",
    "cert-subject-universalstring",
    "dsse digest-number",
];

#[derive(Deserialize)]
pub(crate) struct Verdict {
    pub(crate) id: String,
    /// Base64 of the request body.
    body: String,
    rekor: u16,
    leaf: Option<String>,
    keys: Option<Vec<String>>,
}

impl Verdict {
    pub(crate) fn body(&self) -> Vec<u8> {
        STANDARD.decode(&self.body).unwrap()
    }

    /// Whether status, leaf bytes and index keys are the same here.
    fn agrees(&self) -> bool {
        let verified = ProposedEntry::from_json(&self.body())
            .and_then(|entry| entry.verify(&Policy::default(), NOW));
        match verified {
            Err(_) => self.rekor != 201,
            Ok(_) if self.rekor != 201 => false,
            Ok(entry) => {
                let keys = self.keys.iter().flatten().map(|key| key.to_lowercase());
                Some(STANDARD.encode(entry.leaf_bytes())) == self.leaf
                    && rekors_keys(entry.index_keys()) == keys.collect::<BTreeSet<_>>()
            }
        }
    }
}

#[test]
fn verdicts_are_those_of_rekor_but_for_known_ones() {
    let Some(verdicts) = verdicts() else { return };
    let different: BTreeSet<&str> = verdicts
        .iter()
        .filter(|verdict| !verdict.agrees())
        .map(|verdict| verdict.id.as_str())
        .collect();
    let known: BTreeSet<&str> = DIFFERENT.into();
    let unexpected: Vec<_> = different
        .difference(&known)
        .filter(|verdict| !OF_THE_NEWEST.contains(verdict))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    let same: Vec<_> = known.difference(&different).collect();
    assert!(same.is_empty(), "not different any more: {same:?}");
    let taken = verdicts
        .iter()
        .filter(|verdict| verdict.rekor == 201)
        .count();
    assert!(
        verdicts.len() >= 390 && taken >= 150,
        "{} verdicts, {taken} of them taken",
        verdicts.len()
    );
}

/// Returns all verdicts. If they are absent, says so and returns None; in CI it fails.
pub(crate) fn verdicts() -> Option<Vec<Verdict>> {
    let file = std::fs::File::open(golden::path("verdicts.jsonl.gz")?).unwrap();
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    Some(
        lines
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
            .collect(),
    )
}
