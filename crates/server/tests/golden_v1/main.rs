//! Replays the recorded answers of a real Rekor v1.6.1, and the older ones of v1.5.4, and compares.
//! Where they differ the newest decides. If the recordings (tests/recordings) are absent, it says
//! so and passes; in CI it fails.
//!
//! The state of the recorded log is made again as far as its proposals are known, in its order, so
//! that the first six leaves and everything that follows from them have the recorded hashes.

#![expect(
    clippy::expect_used,
    reason = "a test fails where something is not as it must be"
)]
#![expect(clippy::print_stdout, reason = "how much was replayed is of interest")]

#[expect(
    dead_code,
    reason = "the log of other tests too, which read more of an answer"
)]
#[path = "../support/mod.rs"]
mod support;

#[path = "../../../entry/tests/entry/golden.rs"]
mod golden;

#[expect(
    dead_code,
    reason = "the signers of another test, of which this one needs one"
)]
#[path = "../http/proposal.rs"]
mod proposal;

mod case;
mod compare;
mod lists;
mod mask;
mod raw;
mod sharding;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use case::{Case, Expected, Peer, Recordings};
use compare::{Aspect, mismatches};
use golden::Differences;
use ledger::Clock;
use mask::Mask;
use support::{Answer, OF_BOTH, TestLog, open_log_by};

/// Recorded before the first entry.
const EMPTY_LOG: [&str; 4] = [
    "get-log-first",
    "get-entries-logindex0-first",
    "get-proof-1-1-first",
    "retrieve-logindex0-first",
];

/// Its cases were recorded with an order of their own.
const FIRST_FOLDER: &str = "v1/";

/// Asks for upstream entries, among others.
const ASKS_FOR_UPSTREAM: &str = "retrieve-mixed";

/// Leaves that our log has at the recorded positions.
const SAME_LEAVES: u64 = 6;

/// The evening of the recording: the TUF metadata in it was good for a day.
struct RecordedTime;

impl Clock for RecordedTime {
    fn unix_millis(&self) -> i64 {
        1_795_385_760_000
    }

    fn since_boot(&self) -> Duration {
        Duration::ZERO
    }
}

#[tokio::test]
async fn answers_match_the_recordings() {
    replay_all(Peer::Old).await;
}

/// And every case that docs/API.md names is recorded, and differs as it is said there.
#[tokio::test]
async fn answers_match_the_newest_recordings() {
    replay_all(Peer::Newest).await;
}

async fn replay_all(peer: Peer) {
    let Some(recordings) = Recordings::load(peer) else {
        return;
    };
    let judge = Judge {
        peer,
        differences: Differences::read(),
    };
    let log = public_log().await;
    let has_upstream = golden::has_upstream();
    let is_wanted = |case: &&Case| {
        !lists::is_multi_shard(&case.name) && (has_upstream || case.name != ASKS_FOR_UPSTREAM)
    };
    let cases = || recordings.cases.iter().filter(is_wanted);
    let mut failures = Vec::new();
    let mut done = BTreeSet::new();

    // An empty log.
    for name in EMPTY_LOG {
        let case = recordings.named(name);
        let (found, details) = replay(&log, case, Mask::Keys).await;
        failures.extend(judge.verdict(case, &found, &details));
        done.insert(case.id.clone());
    }
    for &folder in peer.folders_in_order() {
        let of_folder = || cases().filter(|case| case.id.starts_with(folder));
        // It fills, in the recorded order; what was recorded without its proposal is sent as it was
        // stored.
        for (log_index, entry) in recordings
            .entries
            .iter()
            .filter(|(_, entry)| entry.folder == folder)
        {
            match cases().find(|case| case.entry_id.as_ref() == Some(&entry.id)) {
                // The new cases have numbers, by which they come below.
                Some(case) if folder == FIRST_FOLDER => {
                    let mask = if *log_index < SAME_LEAVES {
                        Mask::Keys
                    } else {
                        Mask::Tree
                    };
                    let (found, details) = replay(&log, case, mask).await;
                    failures.extend(judge.verdict(case, &found, &details));
                    done.insert(case.id.clone());
                }
                // Of the other kinds the stored form is no proposal.
                None if entry.body.contains(r#""kind":"hashedrekord""#) => {
                    assert_eq!(
                        log.post("/api/v1/log/entries", &entry.body).await.status,
                        201,
                        "{}",
                        entry.body
                    );
                }
                _ => {}
            }
        }
        for case in of_folder().filter(|case| !done.contains(&case.id)) {
            if case.expected.status == 409 {
                // What it repeats may not have been recorded itself.
                log.post("/api/v1/log/entries", &case.body).await;
            }
            let (found, details) = replay(&log, case, Mask::Tree).await;
            failures.extend(judge.verdict(case, &found, &details));
        }
    }
    for case in
        cases().filter(|case| case.entry_id.is_some() && judge.differences.of(&case.id).is_none())
    {
        failures.extend(search_failures(&log, case).await);
        failures.extend(read_back_failures(&log, case).await);
    }
    if peer == Peer::Newest {
        // One case was recorded with the old one only.
        let old = Recordings::load(Peer::Old)
            .map(|old| old.cases)
            .unwrap_or_default();
        let replayed = recordings
            .cases
            .iter()
            .chain(&old)
            .map(|case| case.id.clone())
            .collect();
        failures.extend(judge.differences.unused(&["v1/", "new/v1"], &replayed));
    }
    println!("{peer:?}: {} recordings replayed", recordings.cases.len());
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// As Rekor, whose logs all web pages may read.
pub(crate) async fn public_log() -> TestLog {
    let mut opened = open_log_by(Arc::new(RecordedTime), OF_BOTH).await;
    opened.1.public = true;
    TestLog::of(opened)
}

#[tokio::test]
async fn proofs_of_the_same_leaves_are_the_same() {
    let Some(recordings) = Recordings::load(Peer::Old) else {
        return;
    };
    let log = TestLog::start().await;
    for (_, entry) in recordings.entries.range(..SAME_LEAVES) {
        assert_eq!(
            log.post("/api/v1/log/entries", &entry.body).await.status,
            201
        );
    }
    let recorded = recordings.named("get-proof-2-7").expected.json();
    let ours = log
        .get("/api/v1/log/proof?firstSize=2&lastSize=6")
        .await
        .json();
    // The root of leaves 2 and 3.
    assert_eq!(ours["hashes"][0], recorded["hashes"][0]);
}

/// Says what is wrong with the answers of one peer.
struct Judge {
    peer: Peer,
    differences: Differences,
}

impl Judge {
    /// What is wrong with one case, given in what it differs.
    fn verdict(&self, case: &Case, found: &Found, details: &str) -> Option<String> {
        let aspects: Vec<Aspect> = found.aspects.iter().copied().collect();
        let found = lists::difference(case.expected.status, found.status, &aspects);
        let listed = self
            .differences
            .of(&case.id)
            .filter(|how| *how != golden::INDEX_KEYS);
        let is_as_said = match self.peer {
            Peer::Newest => found.as_deref() == listed,
            // The older one may be what we do.
            Peer::Old if lists::is_superseded(&case.id) => found.is_some(),
            Peer::Old => found.is_none() || found.as_deref() == listed,
        };
        (!is_as_said).then(|| {
            format!(
                "{}: {found:?}, in docs/API.md {listed:?}\n{details}",
                case.id
            )
        })
    }
}

async fn replay(log: &TestLog, case: &Case, mask: Mask) -> (Found, String) {
    let answer = log.send(case.request(log)).await;
    found(case, &answer, mask)
}

/// In what an answer differs.
struct Found {
    status: u16,
    aspects: BTreeSet<Aspect>,
}

fn found(case: &Case, answer: &Answer, mask: Mask) -> (Found, String) {
    let (aspects, details) = mismatches(case, answer, mask);
    (
        Found {
            status: answer.status,
            aspects,
        },
        details,
    )
}

/// Each recorded search must lead to the entry, or not, as recorded. (To others as well: some
/// searches were recorded before the log was full.)
async fn search_failures(log: &TestLog, case: &Case) -> Vec<String> {
    let mut failures = Vec::new();
    let leaf = case
        .entry_id
        .as_deref()
        .unwrap_or_default()
        .trim_start_matches(case::TREE_HEX);
    for query in &case.index_queries {
        let answer = log.send(query.request(log)).await;
        // Deliberate differences: Rekor refuses to search for SHA-384, and misses DSSE and in-toto
        // entries by their key.
        let is_statement = ["dsse-", "intoto-"]
            .iter()
            .any(|kind| case.name.starts_with(kind));
        let is_found = query.expected.body.contains(leaf)
            || query.body.contains(r#""hash":"sha384:"#)
            || is_statement && query.body.contains(r#""publicKey""#);
        if answer.status != 200 || answer.body.contains(leaf) != is_found {
            failures.push(format!(
                "{}, searching {}: {answer:?}",
                case.name, query.body
            ));
        }
    }
    failures
}

/// The entry as it reads back, with its recorded leaf bytes.
async fn read_back_failures(log: &TestLog, case: &Case) -> Vec<String> {
    let (
        Some(id),
        Some(Expected {
            status,
            headers,
            body,
        }),
    ) = (&case.entry_id, &case.get_entry)
    else {
        return Vec::new();
    };
    let read = Case {
        name: format!("{} (read back)", case.name),
        method: "GET".to_owned(),
        target: format!("/api/v1/log/entries/{id}"),
        headers: Vec::new(),
        body: String::new(),
        expected: Expected {
            status: *status,
            headers: headers.clone(),
            body: body.clone(),
        },
        ..Case::default()
    };
    let answer = log.send(read.request(log)).await;
    let (found, details) = mismatches(&read, &answer, Mask::Tree);
    let mut failures: Vec<String> = (!found.is_empty())
        .then(|| format!("{}: {details}", read.name))
        .into_iter()
        .collect();
    if case::leaf_bytes(&answer.body) != case.canonical_body {
        failures.push(format!("{}: other leaf bytes", read.name));
    }
    failures
}
