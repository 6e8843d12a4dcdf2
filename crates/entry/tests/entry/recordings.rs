//! Replays what the real server was asked and answered (`../shared/golden/v1` beside the repository).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use entry::{Attribute, Policy, ProposedEntry, Refusal, index_keys_of_leaf};
use serde_json::Value;

use crate::submission::NOW;

/// Kinds whose leaf bytes are not a proposal, because what was signed is no part of them.
const WITHOUT_ARTIFACT: [&str; 8] = ["alpine", "cose", "dsse", "helm", "intoto", "jar", "rekord", "rpm"];
/// Kinds some of whose index keys do not follow from the leaf bytes.
const WITH_OTHER_KEYS: [&str; 3] = ["cose", "dsse", "intoto"];

/// Reasons whose text comes from Go's libraries. They need not match; the status does.
const GO_TEXTS: [&str; 4] = ["x509: malformed serial number", "json: cannot unmarshal", "invalid character", "asn1: "];

/// Taken here: a signature of version 3, as rpm made them until 2019. Rekor v1.5.3 took it, v1.5.4 does not.
const TAKEN_HERE: [&str; 1] = ["rpm-cli-json"];

/// Refused by the real server too, but with 500.
const BAD_INPUT_500: [&str; 1] = ["intoto-0.0.2-raw-double-b64"];

#[test]
fn recorded_submissions() {
    let Some(recordings) = recordings("/api/v1/log/entries") else { return };
    let mut counts = [0; 3];
    for recording in &recordings {
        let body = recording.body();
        if recording.is_about_headers() {
            continue;
        }
        let result = ProposedEntry::from_json(body.as_bytes()).and_then(|entry| entry.verify(&Policy::default(), NOW));
        match (recording.status(), result) {
            (201, Ok(entry)) => {
                counts[0] += 1;
                recording.assert_leaf(entry.leaf_bytes());
                recording.assert_index_keys(entry.index_keys());
                let again = index_keys_of_leaf(entry.leaf_bytes()).unwrap();
                let follow = !WITH_OTHER_KEYS.contains(&&*kind(body).unwrap());
                assert_eq!(again.as_deref(), follow.then_some(entry.index_keys()), "{}", recording.name);
            }
            (409, Ok(entry)) => {
                counts[1] += 1;
                assert_eq!(recording.hash_of_duplicate(), leaf_hash(entry.leaf_bytes()), "{}", recording.name);
            }
            (400, Ok(_)) if TAKEN_HERE.contains(&recording.name.as_str()) => {}
            (500, Err(Refusal::Invalid(_))) if BAD_INPUT_500.contains(&recording.name.as_str()) => counts[2] += 1,
            (400.., Err(refusal)) => {
                counts[2] += 1;
                recording.assert_refusal(&refusal);
            }
            (status, result) => panic!("{}: {status} there, here {:?}", recording.name, result.err()),
        }
    }
    assert!(counts[0] >= 20 && counts[1] >= 7 && counts[2] >= 35, "recordings are missing: {counts:?}");
}

#[test]
fn recorded_lookups() {
    let Some(recordings) = recordings("/api/v1/log/entries/retrieve") else { return };
    let mut count = 0;
    for recording in &recordings {
        let Ok(body) = serde_json::from_str::<Value>(recording.body()) else { continue };
        for element in body["entries"].as_array().into_iter().flatten() {
            let json = element.to_string();
            count += 1;
            match ProposedEntry::from_json(json.as_bytes()).and_then(|entry| entry.leaf_bytes_for_lookup(NOW)) {
                Ok(leaf) => {
                    let answer = recording.file["response"]["body"].as_str().unwrap();
                    assert!(answer.contains(&leaf_hash(&leaf)), "{}", recording.name);
                }
                Err(Refusal::Invalid(reason)) => {
                    assert_eq!(
                        recording.file["response"]["body_json"]["message"],
                        reason.as_str(),
                        "{}",
                        recording.name
                    );
                }
                Err(refusal) => {
                    assert!(matches!(refusal, Refusal::Json(_)), "{}: {refusal}", recording.name);
                    assert_eq!(recording.status(), 400, "{}", recording.name);
                }
            }
        }
    }
    assert!(count >= 4, "recordings are missing: {count}");
}

/// Everything that was accepted is found again by its own leaf bytes, and by nothing else.
#[test]
fn accepted_leaf_is_a_fixed_point() {
    let Some(recordings) = recordings("/api/v1/log/entries") else { return };
    let is_wanted = |recording: &&Recording| {
        let body = recording.body();
        recording.status() == 201 && !WITHOUT_ARTIFACT.contains(&&*kind(body).unwrap_or_default())
    };
    for recording in recordings.iter().filter(is_wanted) {
        let entry =
            ProposedEntry::from_json(recording.body().as_bytes()).unwrap().verify(&Policy::default(), NOW).unwrap();
        let again = ProposedEntry::from_json(entry.leaf_bytes()).unwrap().verify(&Policy::default(), NOW).unwrap();
        assert_eq!(again.leaf_bytes(), entry.leaf_bytes(), "{}", recording.name);
        assert_eq!(again.index_keys(), entry.index_keys(), "{}", recording.name);
        let looked_up = ProposedEntry::from_json(entry.leaf_bytes()).unwrap().leaf_bytes_for_lookup(NOW).unwrap();
        assert_eq!(looked_up, entry.leaf_bytes(), "{}", recording.name);
    }
}

struct Recording {
    name: String,
    file: Value,
}

impl Recording {
    fn body(&self) -> &str {
        self.file["request"]["body"].as_str().unwrap_or_default()
    }

    fn status(&self) -> u64 {
        self.file["response"]["status"].as_u64().unwrap()
    }

    /// Refused before the body is looked at.
    fn is_about_headers(&self) -> bool {
        self.name.starts_with("neg-content-type")
    }

    fn assert_leaf(&self, leaf: &[u8]) {
        // Answers of a sharded log have no copy of the leaf bytes; the UUID tells their hash.
        match self.file["canonical_body"].as_str() {
            Some(recorded) => assert_eq!(std::str::from_utf8(leaf).unwrap(), recorded, "{}", self.name),
            None => {
                let body = self.file["response"]["body"].as_str().unwrap();
                assert!(body.contains(&leaf_hash(leaf)), "{}", self.name);
            }
        }
    }

    fn assert_index_keys(&self, keys: &[String]) {
        let Some(recorded) = self.file["index_keys"].as_array() else { return };
        // The digests of a statement's subject come in random order there, and repeated ones repeat.
        let recorded: BTreeSet<String> = recorded.iter().map(|key| key.as_str().unwrap().to_lowercase()).collect();
        let is_added = |key: &String| {
            let is_attribute =
                Attribute::ALL.iter().any(|attribute| key.starts_with(&format!("{}=", attribute.name())));
            // The hash of an envelope's key, by which a search for the key finds it here.
            is_attribute || recorded.contains(&format!("sha256:{key}"))
        };
        let keys: BTreeSet<String> = keys.iter().filter(|key| !is_added(key)).cloned().collect();
        assert_eq!(keys, recorded, "{}", self.name);
    }

    /// The leaf hash at the end of `an equivalent entry already exists … with UUID <tree ID and leaf hash>`.
    fn hash_of_duplicate(&self) -> String {
        let message = self.file["response"]["body_json"]["message"].as_str().unwrap();
        message[message.len() - 64..].to_owned()
    }

    fn assert_refusal(&self, refusal: &Refusal) {
        let message = self.file["response"]["body_json"]["message"].as_str().unwrap();
        let (status, code, text) = match refusal {
            // Here 400, a deliberate difference.
            Refusal::Json(_) => (500, 500, refusal.to_string()),
            Refusal::Required(_) => (422, 602, refusal.to_string()),
            Refusal::Pattern(_) => (422, 605, refusal.to_string()),
            Refusal::UnknownKind(_) => (422, 422, refusal.to_string()),
            Refusal::Invalid(reason) => (400, 400, format!("error processing entry: {reason}")),
        };
        assert_eq!(
            (self.status(), &self.file["response"]["body_json"]["code"]),
            (status, &Value::from(code)),
            "{}",
            self.name
        );
        if !GO_TEXTS.iter().any(|text| message.contains(text)) {
            assert_eq!(text, message, "{}", self.name);
        }
    }
}

/// All recorded POSTs to `path`; none, with a note, where the recordings are absent.
fn recordings(path: &str) -> Option<Vec<Recording>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/v1");
    if !folder.is_dir() {
        println!("passed over: no recordings in {}", folder.display());
        return None;
    }
    let mut files: Vec<PathBuf> = ["own", "upstream"]
        .iter()
        .flat_map(|part| std::fs::read_dir(folder.join(part)).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let recordings = files.iter().map(|file| Recording {
        name: file.file_stem().unwrap().to_string_lossy().into_owned(),
        file: serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap(),
    });
    let is_wanted = |recording: &Recording| {
        recording.file["request"]["method"] == "POST" && recording.file["request"]["path"] == path
    };
    Some(recordings.filter(is_wanted).collect())
}

fn kind(body: &str) -> Option<String> {
    let value = serde_json::Deserializer::from_str(body).into_iter::<Value>().next()?.ok()?;
    value["kind"].as_str().map(str::to_owned)
}

fn leaf_hash(leaf: &[u8]) -> String {
    tlog::sha256(&[&[0], leaf].concat()).to_string()
}
