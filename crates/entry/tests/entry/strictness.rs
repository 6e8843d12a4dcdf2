//! Inputs on which readers differ. Each file of `cases` has a request body and what becomes of it:
//! the SHA-256 of the leaf bytes and the index keys that Rekor v1.6.1's own code makes of it, or
//! why it is refused here. `docs/KINDS.md` has the rules.

use std::collections::BTreeSet;
use std::path::Path;

use entry::{Attribute, Policy, ProposedEntry};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::submission::NOW;

#[derive(Deserialize)]
struct Case {
    entry: Box<RawValue>,
    leaf_sha256: Option<String>,
    index_keys: Option<Vec<String>>,
    /// How the refusal begins.
    refusal: Option<String>,
}

#[test]
fn accepted_cases_agree_with_rekor_and_refusals_say_why() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/entry/cases");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let case: Case = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let verified = ProposedEntry::from_json(case.entry.get().as_bytes())
            .and_then(|entry| entry.verify(&Policy::default(), NOW))
            .map_err(|refusal| refusal.to_string());
        count += 1;
        match (verified, case.refusal) {
            (Ok(entry), None) => {
                assert_eq!(
                    Some(tlog::sha256(entry.leaf_bytes()).to_string()),
                    case.leaf_sha256,
                    "{name}"
                );
                assert_eq!(
                    rekors_keys(entry.index_keys()),
                    case.index_keys.unwrap().into_iter().collect(),
                    "{name}"
                );
            }
            (Err(refusal), Some(expected)) => {
                assert!(refusal.starts_with(&expected), "{name}: {refusal}")
            }
            (verified, _) => panic!("{name}: {:?}", verified.err()),
        }
    }
    assert!(count >= 40, "only {count} cases");
}

/// Index keys without those that only this log has: names of attributes, and the hash of an
/// envelope's key without a prefix.
pub(crate) fn rekors_keys(keys: &[String]) -> BTreeSet<String> {
    let is_added = |key: &String| {
        Attribute::ALL
            .iter()
            .any(|attribute| key.starts_with(&format!("{}=", attribute.name())))
            || keys.contains(&format!("sha256:{key}"))
    };
    keys.iter().filter(|key| !is_added(key)).cloned().collect()
}
