//! Replays the recorded answers of real Rekor v2 servers and compares. Where older and newest ones
//! differ the newest decides. If the recordings (tests/recordings) are absent, it says so and
//! passes; in CI it fails.
//!
//! Every folder is a server of its own, whose log is made again in the recorded order. What depends
//! on what was in the log and on its key is masked, but the leaves: they must be the recorded ones,
//! and each proof must lead to its checkpoint.

#![expect(
    clippy::expect_used,
    reason = "a test fails where something is not as it must be"
)]
#![expect(clippy::print_stdout, reason = "how much was replayed is of interest")]

#[expect(
    dead_code,
    reason = "the log of other tests too, of which some write by v1"
)]
#[path = "../support/mod.rs"]
mod support;

#[expect(dead_code, reason = "the index keys, which v2 does not have")]
#[path = "../../../entry/tests/entry/golden.rs"]
mod golden;

#[expect(
    dead_code,
    reason = "the signers of another test, of which this one needs some"
)]
#[path = "../http/proposal.rs"]
mod proposal;

mod case;
mod lists;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::V2;
use serde_json::Value;
use server::OnDuplicate;
use tlog::{Checkpoint, Hash, KeyAlgorithm, LeafIndex, NoteKey, TreeSize};

use case::{Age, Case, Expected, PEERS, Peer};
use golden::Differences;
use lists::Aspect;
use proposal::Signer;
use support::{Answer, Logs, NAME, OF_BOTH, TestLog, open_log_for};

/// Both logs, of which v2 signs with ECDSA.
const ECDSA: Logs = &[OF_BOTH[0], (&V2, KeyAlgorithm::EcdsaP256)];

#[tokio::test]
async fn answers_match_the_recordings() {
    let differences = Differences::read();
    let frozen = TestLog::start().await;
    frozen.rotate_v2("next.example").await;
    let mut failures = Vec::new();
    let mut replayed = BTreeSet::new();
    for peer in PEERS {
        let Some(cases) = case::load(peer) else {
            return;
        };
        let log = duplicates_conflict(peer).await;
        let (reads, others): (Vec<&Case>, Vec<&Case>) =
            cases.iter().partition(|case| case.is_of_a_file_server());
        let first_read = others.len();
        for (place, case) in others.into_iter().chain(reads).enumerate() {
            if place == first_read {
                fill(&log, peer.size).await;
            }
            let asked = if case.is_of_a_frozen_log() {
                &frozen
            } else {
                &log
            };
            let answers = case.expected.iter().map(|_| asked.send(case.request()));
            let mut answers = futures_util::future::join_all(answers).await;
            // Of requests that raced, any may have come first.
            answers.sort_by_key(|answer| answer.status);
            for (expected, answer) in case.expected.iter().zip(&answers) {
                let (found, details) = difference(&log, case, expected, answer).await;
                if !is_as_said(peer, case, found.as_deref(), &differences) {
                    let listed = differences.of(&case.id);
                    failures.push(format!(
                        "{:?} {}: {found:?}, in docs/API.md {listed:?} {details}",
                        peer.age, case.id
                    ));
                }
            }
        }
        println!("{}: {} recordings replayed", peer.folder, cases.len());
        replayed.extend(cases.into_iter().map(|case| case.id));
    }
    failures.extend(differences.unused(
        &["v2/", "v2.2.1/", "ecdsa-signer/", "witnessed/", "new/v2/"],
        &replayed,
    ));
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Whether a case differs as it is said of it.
fn is_as_said(peer: Peer, case: &Case, found: Option<&str>, differences: &Differences) -> bool {
    match peer.age {
        Age::Newest => found == differences.of(&case.id),
        Age::Old if case.is_of_a_file_server() => found == lists::read(&case.id),
        Age::Old if lists::is_superseded(&case.id) => found.is_some(),
        // It may be what we do.
        Age::Old => found.is_none() || found == differences.of(&case.id),
    }
}

#[tokio::test]
async fn by_default_a_duplicate_gets_the_stored_entry() {
    let Some(cases) = case::load(PEERS[0]) else {
        return;
    };
    let log = TestLog::start().await;
    let first = cases
        .iter()
        .find(|case| case.name == "dup-first")
        .expect("recorded");
    let again = cases
        .iter()
        .find(|case| case.name == "dup-reformatted")
        .expect("recorded");
    let (first, again) = (
        log.send(first.request()).await,
        log.send(again.request()).await,
    );
    assert_eq!((first.status, again.status), (201, 201), "{}", again.body);
    assert_eq!(first.json(), again.json(), "the log did not grow");
}

/// Adds entries until the log is as large as the recorded one was.
async fn fill(log: &TestLog, size: u64) {
    let signer = Signer::new();
    for artifact in log.v2().head().size.0..size {
        assert_eq!(
            log.post(
                "/api/v2/log/entries",
                &signer.proposal_v2(&artifact.to_be_bytes())
            )
            .await
            .status,
            201
        );
    }
    assert_eq!(log.v2().head().size.0, size);
}

/// As Rekor answers duplicates.
async fn duplicates_conflict(peer: Peer) -> TestLog {
    let logs = match peer.folder.ends_with("ecdsa-signer") {
        true => ECDSA,
        false => OF_BOTH,
    };
    let mut opened = open_log_for(logs).await;
    opened.1.duplicates.v2 = OnDuplicate::Conflict;
    opened.1.limits.body_bytes = 4 * 1024 * 1024;
    TestLog::of(opened)
}

/// How one answer differs, if it does, and both of them.
async fn difference(
    log: &TestLog,
    case: &Case,
    expected: &Expected,
    answer: &Answer,
) -> (Option<String>, String) {
    let mut found = BTreeSet::new();
    let mut details = String::new();
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
        _ => found.extend(of_errors(
            &case::masked(&expected.body),
            &case::masked(&answer.body),
        )),
    }
    details += &format!(
        "\n  {} {:.300}\n  {} {:.300}",
        expected.status, expected.body, answer.status, answer.body
    );
    (
        lists::difference(expected.status, answer.status, &found),
        details,
    )
}

/// In what an error differs. A refusal says why, which Rekor tells its own log only; and what is
/// wrong with JSON is said in other words.
fn of_errors(expected: &str, found: &str) -> Option<Aspect> {
    if found == expected {
        return None;
    }
    let parse = |body: &str| {
        serde_json::from_str::<Value>(body)
            .ok()
            .filter(|body| body["code"].is_u64())
    };
    let (Some(expected), Some(found)) = (parse(expected), parse(found)) else {
        return Some(Aspect::Body);
    };
    if expected["code"] != found["code"] || expected["details"] != found["details"] {
        return Some(Aspect::Body);
    }
    let text = |body: &Value| body["message"].as_str().unwrap_or_default().to_owned();
    let (expected, found) = (text(&expected), text(&found));
    let says_why = found
        .strip_prefix(&expected)
        .is_some_and(|reason| reason.starts_with(": "));
    let is_of_go = ["proto: ", "unexpected EOF", "invalid character "]
        .iter()
        .any(|go| expected.starts_with(go));
    let is_json = found.starts_with("proto: ");
    (!(says_why || is_of_go && is_json)).then_some(Aspect::Message)
}

/// The members and their order, the leaf bytes, and that what is proved is so.
async fn check_entry(
    log: &TestLog,
    case: &Case,
    expected: &Expected,
    answer: &Answer,
) -> Result<(), String> {
    let (ours, theirs) = (answer.json(), expected.json());
    if case::shape(&answer.body) != case::shape(&expected.body) {
        return Err("other members".into());
    }
    for member in [
        "kindVersion",
        "integratedTime",
        "inclusionPromise",
        "canonicalizedBody",
    ] {
        if ours[member] != theirs[member] {
            return Err(format!("{member}: {}", ours[member]));
        }
    }
    let body = bytes(&ours["canonicalizedBody"]);
    if case
        .canonicalized_body
        .as_ref()
        .is_some_and(|leaf| leaf.as_bytes() != body)
    {
        return Err("other leaf bytes".into());
    }
    verify(log, &ours, &body).await;
    Ok(())
}

/// All that a client verifies.
async fn verify(log: &TestLog, entry: &Value, body: &[u8]) {
    let number = |value: &Value| {
        value
            .as_str()
            .and_then(|text| text.parse::<u64>().ok())
            .expect("a number as text")
    };
    let proof = &entry["inclusionProof"];
    assert_eq!(entry["logIndex"], proof["logIndex"]);
    let (index, size) = (
        LeafIndex(number(&proof["logIndex"])),
        TreeSize(number(&proof["treeSize"])),
    );
    let hashes: Vec<Hash> = proof["hashes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(hash)
        .collect();
    let root = hash(&proof["rootHash"]);
    tlog::verify_inclusion(&tlog::leaf_hash(body), index, size, &root, &hashes).expect("included");
    let key = NoteKey::new(NAME, log.v2().tree().log_key.clone()).expect("a name");
    assert_eq!(hash(&entry["logId"]["keyId"]), key.key_hash());
    let note = proof["checkpoint"]["envelope"].as_str().expect("a note");
    let checkpoint = Checkpoint::open(note, NAME, &[key]).expect("signed");
    assert_eq!((checkpoint.size, checkpoint.root), (size, root));
}

fn hash(value: &Value) -> Hash {
    Hash(bytes(value).try_into().expect("32 bytes"))
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD
        .decode(value.as_str().expect("a text"))
        .expect("base64")
}
