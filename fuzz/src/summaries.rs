//! Summaries of leaf bytes.

use entry::{Summary, VerifiedEntry, index_keys_of_leaf, summarize, summarize_attestation};

use crate::cost;

/// Every leaf with index keys has a summary with the same ones, whatever its certificates are.
pub fn summary(leaf: &[u8]) {
    let summary = cost::within(leaf, |_| summarize(leaf));
    cost::within(leaf, |_| summarize_attestation(leaf));
    if let Ok(Some(keys)) = index_keys_of_leaf(leaf) {
        let summary = summary.expect("a leaf with keys has a summary");
        assert_eq!(sorted(&summary.index_keys), sorted(&keys));
    }
}

/// The summary of an accepted entry names its kind, and its keys are keys of the entry; those that
/// the leaf and the attestation do not show follow from a payload that is not kept.
pub(crate) fn check_summary_of(entry: &VerifiedEntry) {
    let summary = summarize(entry.leaf_bytes()).expect("an entry has a summary");
    let Summary { kind, version, .. } = &summary;
    assert_eq!(format!("{kind}:{version}"), entry.kind());
    assert!(!summary.signers.is_empty(), "every entry has a signer");
    for key in &summary.index_keys {
        assert!(entry.index_keys().contains(key), "{key} is no key");
    }
    for digest in &summary.digests {
        assert!(entry.index_keys().contains(digest), "{digest} is no key");
    }
    if let Ok(Some(keys)) = index_keys_of_leaf(entry.leaf_bytes()) {
        assert_eq!(sorted(&summary.index_keys), sorted(&keys));
    }
    if let Some(attestation) = entry.attestation() {
        check_attestation(attestation);
    }
}

/// The packages of a statement are among its search keys.
fn check_attestation(attestation: &[u8]) {
    let statement = summarize_attestation(attestation);
    for package in &statement.packages {
        let key = format!("purl={}", package.purl).to_lowercase();
        assert!(statement.index_keys.contains(&key), "{key} is no key");
    }
}

fn sorted(keys: &[String]) -> Vec<&String> {
    let mut keys: Vec<&String> = keys.iter().collect();
    keys.sort_unstable();
    keys
}
