//! Replays what the real servers were asked and answered: Rekor v1.6.1, and v1.5.4 before it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entry::{Attribute, Policy, ProposedEntry, Refusal, index_keys_of_leaf};
use serde_json::Value;

use crate::golden::{self, Differences, Folder};
use crate::submission::NOW;

/// Folders of Rekor v1.5.4, and how docs/API.md calls them.
const OLD: &[Folder] = &[("v1/own", "v1/"), ("v1/upstream", "v1/")];
/// Those of v1.6.1.
const NEWEST: &[Folder] = &[
    ("newest/v1/own", "v1/"),
    ("newest/v1/upstream", "v1/"),
    ("newest/new/v1", "new/v1/"),
    ("newest/new/v1b", "new/v1b/"),
    ("newest/new/v1x", "new/v1x/"),
];
/// Recordings of v1.5.4 whose newest one has another answer, which is ours.
const SUPERSEDED: [&str; 1] = ["v1/rpm-cli-json"];

/// Kinds whose leaf bytes are not a proposal, because what was signed is no part of them.
const WITHOUT_ARTIFACT: [&str; 8] = [
    "alpine", "cose", "dsse", "helm", "intoto", "jar", "rekord", "rpm",
];
/// Kinds some of whose index keys do not follow from the leaf bytes.
const WITH_OTHER_KEYS: [&str; 3] = ["cose", "dsse", "intoto"];

#[test]
fn recorded_submissions() {
    for (folders, least) in [(OLD, [20, 7, 35]), (NEWEST, [200, 15, 110])] {
        let Some(recordings) = recordings(folders, "/api/v1/log/entries") else {
            return;
        };
        let counts = replay(&recordings, &Differences::read());
        let is_enough = counts
            .iter()
            .zip(least)
            .all(|(count, least)| *count >= least);
        assert!(is_enough, "recordings are missing: {counts:?}");
    }
}

/// How many were taken, repeated and refused as recorded.
fn replay(recordings: &[Recording], differences: &Differences) -> [usize; 3] {
    let mut counts = [0; 3];
    for recording in recordings {
        let listed = differences.of(&recording.name);
        // The replay over HTTP holds the statuses that differ.
        let is_elsewhere = listed.is_some_and(|how| how != golden::INDEX_KEYS && how != "text");
        if is_elsewhere
            || recording.is_about_headers()
            || SUPERSEDED.contains(&recording.name.as_str())
        {
            continue;
        }
        let result = ProposedEntry::from_json(&recording.body())
            .and_then(|entry| entry.verify(&Policy::default(), NOW));
        match (recording.status(), result) {
            (201, Ok(entry)) => {
                counts[0] += 1;
                recording.assert_leaf(entry.leaf_bytes());
                let has_same_keys = recording.has_index_keys(entry.index_keys());
                let keys = (entry.index_keys(), &recording.file["index_keys"]);
                assert_eq!(
                    has_same_keys,
                    listed != Some(golden::INDEX_KEYS),
                    "{}: {keys:?}",
                    recording.name
                );
                let again = index_keys_of_leaf(entry.leaf_bytes()).unwrap();
                let (kind, _) = entry.kind().split_once(':').unwrap();
                let follow = !WITH_OTHER_KEYS.contains(&kind);
                assert_eq!(
                    again.as_deref(),
                    follow.then_some(entry.index_keys()),
                    "{}",
                    recording.name
                );
            }
            (409, Ok(entry)) => {
                counts[1] += 1;
                assert_eq!(
                    recording.hash_of_duplicate(),
                    leaf_hash(entry.leaf_bytes()),
                    "{}",
                    recording.name
                );
            }
            (400.., Err(refusal)) => {
                counts[2] += 1;
                recording.assert_refusal(&refusal, listed);
            }
            (status, result) => panic!(
                "{}: {status} there, here {:?}",
                recording.name,
                result.err()
            ),
        }
    }
    counts
}

#[test]
fn recorded_lookups() {
    let Some(recordings) = recordings(OLD, "/api/v1/log/entries/retrieve") else {
        return;
    };
    let mut count = 0;
    for recording in &recordings {
        let Ok(body) = serde_json::from_slice::<Value>(&recording.body()) else {
            continue;
        };
        for element in body["entries"].as_array().into_iter().flatten() {
            let json = element.to_string();
            count += 1;
            match ProposedEntry::from_json(json.as_bytes())
                .and_then(|entry| entry.leaf_bytes_for_lookup(NOW))
            {
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
                    assert!(
                        matches!(refusal, Refusal::Json(_)),
                        "{}: {refusal}",
                        recording.name
                    );
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
    let Some(recordings) = recordings(NEWEST, "/api/v1/log/entries") else {
        return;
    };
    let differences = Differences::read();
    let is_wanted = |recording: &&Recording| {
        let body = recording.body();
        let is_taken = recording.status() == 201 && differences.of(&recording.name).is_none();
        is_taken && !WITHOUT_ARTIFACT.contains(&&*kind(&body).unwrap_or_default())
    };
    for recording in recordings.iter().filter(is_wanted) {
        let entry = ProposedEntry::from_json(&recording.body())
            .unwrap()
            .verify(&Policy::default(), NOW)
            .unwrap();
        let again = ProposedEntry::from_json(entry.leaf_bytes())
            .unwrap()
            .verify(&Policy::default(), NOW)
            .unwrap();
        assert_eq!(again.leaf_bytes(), entry.leaf_bytes(), "{}", recording.name);
        assert_eq!(again.index_keys(), entry.index_keys(), "{}", recording.name);
        let looked_up = ProposedEntry::from_json(entry.leaf_bytes())
            .unwrap()
            .leaf_bytes_for_lookup(NOW)
            .unwrap();
        assert_eq!(looked_up, entry.leaf_bytes(), "{}", recording.name);
    }
}

struct Recording {
    name: String,
    file: Value,
}

impl Recording {
    fn body(&self) -> Vec<u8> {
        let request = &self.file["request"];
        match request["body_base64"].as_str() {
            Some(base64) => STANDARD.decode(base64).unwrap(),
            None => request["body"].as_str().unwrap_or_default().into(),
        }
    }

    fn status(&self) -> u64 {
        self.file["response"]["status"].as_u64().unwrap()
    }

    /// Refused before the body is looked at.
    fn is_about_headers(&self) -> bool {
        self.name.starts_with("v1/neg-content-type")
    }

    fn assert_leaf(&self, leaf: &[u8]) {
        // Answers of a sharded log have no copy of the leaf bytes; the UUID tells their hash.
        match self.file["canonical_body"].as_str() {
            Some(recorded) => assert_eq!(
                std::str::from_utf8(leaf).unwrap(),
                recorded,
                "{}",
                self.name
            ),
            None => {
                let body = self.file["response"]["body"].as_str().unwrap();
                assert!(body.contains(&leaf_hash(leaf)), "{}", self.name);
            }
        }
    }

    fn has_index_keys(&self, keys: &[String]) -> bool {
        let Some(recorded) = self.file["index_keys"].as_array() else {
            return true;
        };
        // The digests of a statement's subject come in random order there, and repeated ones
        // repeat.
        let recorded: BTreeSet<String> = recorded
            .iter()
            .map(|key| key.as_str().unwrap().to_lowercase())
            .collect();
        let is_added = |key: &String| {
            let is_attribute = Attribute::ALL
                .iter()
                .any(|attribute| key.starts_with(&format!("{}=", attribute.name())));
            // The hash of an envelope's key, by which a search for the key finds it here.
            is_attribute || recorded.contains(&format!("sha256:{key}"))
        };
        keys.iter()
            .filter(|key| !is_added(key))
            .cloned()
            .collect::<BTreeSet<String>>()
            == recorded
    }

    /// The leaf hash at the end of `an equivalent entry already exists … with UUID <tree ID and
    /// leaf hash>`.
    fn hash_of_duplicate(&self) -> String {
        let message = self.file["response"]["body_json"]["message"]
            .as_str()
            .unwrap();
        message[message.len() - 64..].to_owned()
    }

    /// The same status and code; the same text unless that differs on purpose.
    fn assert_refusal(&self, refusal: &Refusal, listed: Option<&str>) {
        let message = self.file["response"]["body_json"]["message"]
            .as_str()
            .unwrap();
        let (status, code, text) = match refusal {
            Refusal::Json(_) => (400, 400, refusal.to_string()),
            Refusal::Required(_) => (422, 602, refusal.to_string()),
            Refusal::Pattern(_) => (422, 605, refusal.to_string()),
            Refusal::UnknownKind(_) => (422, 422, refusal.to_string()),
            Refusal::Invalid(reason) => (400, 400, format!("error processing entry: {reason}")),
        };
        let recorded_code = &self.file["response"]["body_json"]["code"];
        assert_eq!(
            (self.status(), recorded_code),
            (status, &Value::from(code)),
            "{}",
            self.name
        );
        if listed.is_none() {
            assert_eq!(text, message, "{}", self.name);
        }
    }
}

/// All recorded POSTs to `path`, named as in docs/API.md; none where the recordings are absent.
fn recordings(folders: &[Folder], path: &str) -> Option<Vec<Recording>> {
    let mut recordings = Vec::new();
    for (folder, prefix) in golden::folders(folders)? {
        let files = std::fs::read_dir(folder).unwrap();
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        recordings.extend(files.iter().map(|file| Recording {
            name: format!("{prefix}{}", file.file_stem().unwrap().to_string_lossy()),
            file: serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap(),
        }));
    }
    recordings.retain(|recording| {
        recording.file["request"]["method"] == "POST" && recording.file["request"]["path"] == path
    });
    Some(recordings)
}

fn kind(body: &[u8]) -> Option<String> {
    let value = serde_json::Deserializer::from_slice(body)
        .into_iter::<Value>()
        .next()?
        .ok()?;
    value["kind"].as_str().map(str::to_owned)
}

fn leaf_hash(leaf: &[u8]) -> String {
    tlog::sha256(&[&[0], leaf].concat()).to_string()
}
