//! Inputs that Rekor's own code judged (tests/recordings/verdicts.jsonl.gz), each with its status,
//! leaf bytes and index keys.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entry::{Policy, ProposedEntry};
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::golden;
use crate::submission::NOW;

/// Rekor v1.6.1, built with Go 1.27, judges these otherwise than the one of the recording, and so
/// does this log.
const OTHERWISE_SINCE: [&str; 2] = ["cert-san-ip6-mapped", "cert-subject-universalstring"];

#[test]
fn recorded_agreement_with_rekor_still_holds() {
    let Some(file) = golden::path("verdicts.jsonl.gz") else {
        return;
    };
    let compressed = std::fs::read(file).unwrap();
    let mut lines = String::new();
    GzDecoder::new(&compressed[..])
        .read_to_string(&mut lines)
        .unwrap();
    let cases: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let counts = |case: &&Value| {
        case["verdict"] == "agree"
            && !OTHERWISE_SINCE.contains(&case["id"].as_str().unwrap_or_default())
    };
    let differences: Vec<String> = cases.iter().filter(counts).filter_map(difference).collect();
    assert!(
        differences.is_empty(),
        "{} of {}:\n{}",
        differences.len(),
        cases.len(),
        differences.join("\n")
    );
    assert!(cases.len() > 300, "{}", cases.len());
}

/// How what comes of a case differs from what came of it in Rekor.
fn difference(case: &Value) -> Option<String> {
    let bytes = |name: &str| {
        case[name]
            .as_str()
            .map(|text| STANDARD.decode(text).unwrap())
    };
    let name = format!("{} {}", case["set"], case["id"]);
    let outcome = ProposedEntry::from_json(&bytes("body").unwrap())
        .and_then(|entry| entry.verify(&Policy::default(), NOW));
    match (case["rekor"].as_u64() == Some(201), outcome) {
        (true, Err(refusal)) => Some(format!("{name}: taken there, here {refusal}")),
        (false, Ok(_)) => Some(format!("{name}: refused there")),
        (false, Err(_)) => None,
        (true, Ok(entry)) if bytes("leaf").as_deref() != Some(entry.leaf_bytes()) => {
            Some(format!("{name}: other leaf bytes"))
        }
        (true, Ok(entry)) => {
            let keys = case["keys"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            let missing = keys
                .map(str::to_lowercase)
                .find(|key| !entry.index_keys().contains(key));
            missing.map(|key| format!("{name}: not found by {key}"))
        }
    }
}
