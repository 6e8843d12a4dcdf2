//! Replays the recorded answers of real Rekor v2 servers and compares. Where the recordings are absent, it says so and passes over.
//!
//! Every folder is a server of its own, whose log is made again in the recorded order. What depends on what was in the log and
//! on its key is masked, but the leaves: they must be the recorded ones, and each proof must lead to its checkpoint.

#![expect(clippy::expect_used, reason = "a test fails where something is not as it must be")]

#[path = "../support/mod.rs"]
mod support;

#[expect(dead_code, reason = "the signers of another test, of which this one needs some")]
#[path = "../http/proposal.rs"]
mod proposal;

mod case;
mod lists;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use server::OnDuplicate;
use tlog::{Checkpoint, Hash, LeafIndex, NoteKey, TreeSize, VerifyingKey};

use case::{Case, Expected, FOLDERS};
use lists::Aspect;
use proposal::Signer;
use support::{Answer, NAME, TestLog, open_log};

#[tokio::test]
async fn answers_match_the_recordings() {
    let Some(cases) = case::load() else { return };
    let mut failures = Vec::new();
    let frozen = TestLog::start().await;
    frozen.rotate("next.example").await;
    for folder in FOLDERS {
        let log = duplicates_conflict().await;
        let (reads, others): (Vec<&Case>, Vec<&Case>) =
            cases.iter().filter(|case| case.folder == folder.name).partition(|case| case.is_of_a_file_server());
        for case in others.into_iter().map(Some).chain([None]).chain(reads.into_iter().map(Some)) {
            let Some(case) = case else {
                fill(&log, folder.size).await;
                continue;
            };
            let asked = if case.is_of_a_frozen_log() { &frozen } else { &log };
            let answers = case.expected.iter().map(|_| asked.send(case.request()));
            let mut answers = futures_util::future::join_all(answers).await;
            // Of requests that raced, any may have come first.
            answers.sort_by_key(|answer| answer.status);
            for (expected, answer) in case.expected.iter().zip(&answers) {
                failures.extend(verdict(&log, case, expected, answer).await);
            }
        }
    }
    failures.extend(lists::unused(&cases));
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test]
async fn by_default_a_duplicate_gets_the_stored_entry() {
    let Some(cases) = case::load() else { return };
    let log = TestLog::start().await;
    let first = cases.iter().find(|case| case.name == "dup-first").expect("recorded");
    let again = cases.iter().find(|case| case.name == "dup-reformatted").expect("recorded");
    let (first, again) = (log.send(first.request()).await, log.send(again.request()).await);
    assert_eq!((first.status, again.status), (201, 201), "{}", again.body);
    assert_eq!(first.json(), again.json(), "the log did not grow");
}

/// Adds entries until the log is as large as the recorded one was.
async fn fill(log: &TestLog, size: u64) {
    let signer = Signer::new();
    for artifact in log.ledger.head().size.0..size {
        assert_eq!(log.post("/api/v1/log/entries", &signer.proposal(&artifact.to_be_bytes())).await.status, 201);
    }
    assert_eq!(log.ledger.head().size.0, size);
}

/// As Rekor answers duplicates.
async fn duplicates_conflict() -> TestLog {
    let mut opened = open_log().await;
    opened.1.duplicates.v2 = OnDuplicate::Conflict;
    opened.1.limits.body_bytes = 4 * 1024 * 1024;
    TestLog::of(opened)
}

/// What is wrong with one answer.
async fn verdict(log: &TestLog, case: &Case, expected: &Expected, answer: &Answer) -> Option<String> {
    let mut found = BTreeSet::new();
    let mut details = String::new();
    if answer.status != expected.status {
        found.insert(Aspect::Status);
    }
    if answer.header("content-type") != expected.content_type && !case.is_of_a_file_server() {
        found.insert(Aspect::ContentType);
    }
    if expected.log_index && answer.header("x-log-index").is_empty() {
        found.insert(Aspect::LogIndex);
    }
    match expected.status {
        201 if answer.status == 201 => {
            if let Err(reason) = check_entry(log, case, expected, answer).await {
                found.insert(Aspect::Body);
                details = reason;
            }
        }
        200..300 if case.is_of_a_file_server() => {
            if case.is_of_a_tile() && answer.bytes.len() != expected.length {
                found.insert(Aspect::Body);
            }
        }
        _ if case.is_of_a_file_server() => {}
        _ => found.extend(of_errors(&case::masked(&expected.body), &case::masked(&answer.body))),
    }
    let allowed = lists::deliberate(case.folder, &case.name);
    (found != allowed).then(|| {
        format!(
            "{}/{}: differs in {found:?}, listed with {allowed:?} {details}\n  {} {:.300}\n  {} {:.300}",
            case.folder, case.name, expected.status, expected.body, answer.status, answer.body
        )
    })
}

/// In what an error differs. A refusal says why, which Rekor tells its own log only; and what is wrong with JSON is said in other
/// words.
fn of_errors(expected: &str, found: &str) -> Option<Aspect> {
    if found == expected {
        return None;
    }
    let parse = |body: &str| serde_json::from_str::<Value>(body).ok().filter(|body| body["code"].is_u64());
    let (Some(expected), Some(found)) = (parse(expected), parse(found)) else { return Some(Aspect::Body) };
    if expected["code"] != found["code"] || expected["details"] != found["details"] {
        return Some(Aspect::Body);
    }
    let text = |body: &Value| body["message"].as_str().unwrap_or_default().to_owned();
    let (expected, found) = (text(&expected), text(&found));
    let says_why = found.strip_prefix(&expected).is_some_and(|reason| reason.starts_with(": "));
    let is_of_go = ["proto: ", "unexpected EOF", "invalid character "].iter().any(|go| expected.starts_with(go));
    let is_json = found.starts_with("proto: ");
    (!(says_why || is_of_go && is_json)).then_some(Aspect::Message)
}

/// The members and their order, the leaf bytes, and that what is proved is so.
async fn check_entry(log: &TestLog, case: &Case, expected: &Expected, answer: &Answer) -> Result<(), String> {
    let (ours, theirs) = (answer.json(), expected.json());
    if case::shape(&answer.body) != case::shape(&expected.body) {
        return Err("other members".into());
    }
    for member in ["kindVersion", "integratedTime", "inclusionPromise", "canonicalizedBody"] {
        if ours[member] != theirs[member] {
            return Err(format!("{member}: {}", ours[member]));
        }
    }
    let body = bytes(&ours["canonicalizedBody"]);
    if case.canonicalized_body.as_ref().is_some_and(|leaf| leaf.as_bytes() != body) {
        return Err("other leaf bytes".into());
    }
    verify(log, &ours, &body).await;
    Ok(())
}

/// All that a client verifies.
async fn verify(log: &TestLog, entry: &Value, body: &[u8]) {
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok()).expect("a number as text");
    let proof = &entry["inclusionProof"];
    assert_eq!(entry["logIndex"], proof["logIndex"]);
    let (index, size) = (LeafIndex(number(&proof["logIndex"])), TreeSize(number(&proof["treeSize"])));
    let hashes: Vec<Hash> = proof["hashes"].as_array().expect("a list").iter().map(hash).collect();
    let root = hash(&proof["rootHash"]);
    tlog::verify_inclusion(&tlog::leaf_hash(body), index, size, &root, &hashes).expect("included");
    let pem = log.get("/api/v1/log/publicKey").await.body;
    let spki: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = VerifyingKey::from_spki(&STANDARD.decode(spki).expect("base64")).expect("a key");
    assert_eq!(hash(&entry["logId"]["keyId"]), key.log_id());
    let note = proof["checkpoint"]["envelope"].as_str().expect("a note");
    let checkpoint = Checkpoint::open(note, NAME, &[NoteKey::new(NAME, key).expect("a name")]).expect("signed");
    assert_eq!((checkpoint.size, checkpoint.root), (size, root));
}

fn hash(value: &Value) -> Hash {
    Hash(bytes(value).try_into().expect("32 bytes"))
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().expect("a text")).expect("base64")
}
