//! `index/search`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::Clock;
use serde_json::{Value, json};
use tlog::sha256;

use crate::life::only_key;
use crate::proposal::{CertifiedSigner, Signer};
use crate::support::{OF_BOTH, TestLog, open_log_by};

const ENTRIES: &str = "/api/v1/log/entries";
const ENTRIES_V2: &str = "/api/v2/log/entries";
const SEARCH: &str = "/api/v1/index/search";

async fn added(log: &TestLog, proposal: &str) -> String {
    only_key(&log.post(ENTRIES, proposal).await.json())
}

async fn page(log: &TestLog, query: &str) -> Value {
    let answer = log.get(&format!("{SEARCH}?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    answer.json()
}

fn uuids(page: &Value) -> Vec<&str> {
    let entries = page["entries"].as_array().expect("a list").iter();
    entries
        .map(|entry| entry["uuid"].as_str().expect("a text"))
        .collect()
}

#[tokio::test]
async fn every_condition_has_to_hold() {
    let log = TestLog::start().await;
    let certified = CertifiedSigner::new();
    let by_certificate = added(&log, &certified.proposal(b"certified")).await;
    let signer = Signer::new();
    let by_key = added(&log, &signer.proposal(b"keyed")).await;
    let digest = |artifact: &[u8]| sha256(artifact).to_string();
    let key = digest(signer.pem().as_bytes());

    for (query, expected) in [
        (String::new(), vec![&by_key, &by_certificate]),
        ("subject=ANN@example.com".to_owned(), vec![&by_certificate]),
        (
            "issuer=https://issuer.example.com".to_owned(),
            vec![&by_certificate],
        ),
        (
            "repository=org/repo&commit=c0ffee".to_owned(),
            vec![&by_certificate],
        ),
        (
            "repository=https://github.com/org/repo&workflow=release".to_owned(),
            vec![&by_certificate],
        ),
        ("repository=org/repo&commit=0ther".to_owned(), vec![]),
        (format!("sha256={}", digest(b"keyed")), vec![&by_key]),
        (
            format!(
                "sha256={}&issuer=https://issuer.example.com",
                digest(b"keyed")
            ),
            vec![],
        ),
        (format!("key={key}"), vec![&by_key]),
        (format!("key=sha256:{key}&kind=hashedrekord"), vec![&by_key]),
        ("kind=hashedrekord:0.0.1&limit=1".to_owned(), vec![&by_key]),
        ("since=4000000000".to_owned(), vec![]),
        ("until=2020-01-01T00:00:00Z".to_owned(), vec![]),
        (
            "since=2020-01-01T00:00:00Z&until=4000000000&subject=ann@example.com".to_owned(),
            vec![&by_certificate],
        ),
    ] {
        assert_eq!(uuids(&page(&log, &query).await), expected, "{query}");
    }
    let entry = &page(&log, "commit=c0ffee").await["entries"][0];
    let read = log.get(&format!("{ENTRIES}/{by_certificate}")).await.json();
    let expected = json!({
        "apiVersion": "0.0.1",
        "integratedTime": read[&by_certificate]["integratedTime"],
        "kind": "hashedrekord",
        "leafIndex": 0,
        "log": "v1",
        "logIndex": 0,
        "treeID": log.v1().tree().id.to_string(),
        "url": format!("{ENTRIES}/{by_certificate}"),
        "uuid": by_certificate,
    });
    assert_eq!(*entry, expected);
}

#[tokio::test]
async fn the_hits_of_all_logs_are_merged_and_each_names_what_fetches_it() {
    let log = TestLog::start().await;
    let signer = Signer::new();
    let mut expected = BTreeSet::new();
    for number in 0..5_u8 {
        // The same signature in both logs.
        added(&log, &signer.proposal(&[number])).await;
        let answer = log.post(ENTRIES_V2, &signer.proposal_v2(&[number])).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        expected.extend([("v1", u64::from(number)), ("v2", u64::from(number))]);
        if number == 2 {
            log.rotate_v1().await;
            log.rotate_v2("two.example").await;
        }
    }
    let key = format!("key={}", sha256(signer.pem().as_bytes()));
    for condition in [key.as_str(), "kind=hashedrekord", "since=0", ""] {
        for limit in [1, 3, 4, 10, 11] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = page(&log, &format!("{condition}&limit={limit}&cursor={cursor}")).await;
                let entries = page["entries"].as_array().expect("a list");
                assert!(entries.len() <= limit);
                seen.extend(entries.iter().cloned());
                let Some(next) = page["cursor"].as_str() else {
                    break;
                };
                cursor = next.to_owned();
            }
            let times = seen.iter().map(|hit| hit["integratedTime"].as_i64());
            assert!(
                times.is_sorted_by(|newer, older| newer >= older),
                "{seen:?}"
            );
            let of_logs = seen.iter().map(|hit| {
                let log = hit["log"].as_str().expect("a text");
                (log, hit["logIndex"].as_u64().expect("an index"))
            });
            assert_eq!(
                of_logs.collect::<BTreeSet<_>>(),
                expected,
                "{condition} {limit}"
            );
            assert_eq!(seen.len(), expected.len(), "each once");
            for hit in &seen {
                fetch(&log, hit).await;
            }
        }
    }
}

/// A clock that the test sets, in Unix seconds.
struct SetClock(Arc<AtomicI64>);

impl Clock for SetClock {
    fn unix_millis(&self) -> i64 {
        self.0.load(Ordering::Relaxed) * 1_000
    }

    fn since_boot(&self) -> Duration {
        Duration::from_millis(self.unix_millis().unsigned_abs())
    }
}

#[tokio::test]
async fn a_log_that_was_rotated_keeps_its_place_among_the_hits() {
    let now = Arc::new(AtomicI64::new(1_800_000_000));
    let clock = Arc::new(SetClock(Arc::clone(&now)));
    let log = TestLog::of(open_log_by(clock, OF_BOTH).await);
    let signer = Signer::new();
    for number in 0..3_u8 {
        log.post(ENTRIES_V2, &signer.proposal_v2(&[number])).await;
    }
    now.fetch_add(100, Ordering::Relaxed);
    let older = added(&log, &signer.proposal(&[0])).await;
    log.rotate_v1().await;
    now.fetch_add(100, Ordering::Relaxed);
    let newer = added(&log, &signer.proposal(&[1])).await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = page(&log, &format!("cursor={cursor}")).await;
        seen.extend(uuids(&page).into_iter().map(str::to_owned));
        let Some(next) = page["cursor"].as_str() else {
            break;
        };
        cursor = next.to_owned();
    }
    assert_eq!((seen.len(), &seen[..2]), (5, &[newer, older][..]));
}

/// Fetches a hit by its URL.
async fn fetch(log: &TestLog, hit: &Value) {
    let answer = log.get(hit["url"].as_str().expect("a path")).await;
    assert_eq!(answer.status, 200, "{hit}: {}", answer.body);
    let answer = answer.json();
    let uuid = hit["uuid"].as_str().expect("a text");
    let (body, index) = match hit["log"].as_str() {
        Some("v1") => (&answer[uuid]["body"], answer[uuid]["logIndex"].to_string()),
        _ => {
            let index = answer["logIndex"].as_str().expect("a text");
            (&answer["canonicalizedBody"], index.to_owned())
        }
    };
    let of_tree = format!("/trees/{}/", hit["treeID"].as_str().expect("a text"));
    let entry = log
        .get(&format!("{of_tree}entries/{}", hit["leafIndex"]))
        .await;
    assert_eq!(entry.json()["canonicalizedBody"], *body);
    let expected = match hit["log"].as_str() {
        Some("v1") => &hit["logIndex"],
        _ => &hit["leafIndex"],
    };
    assert_eq!(index, expected.to_string());
    let body = STANDARD
        .decode(body.as_str().expect("a text"))
        .expect("base64");
    assert_eq!(uuid[16..], tlog::leaf_hash(&body).to_string());
}

#[tokio::test]
async fn pages_lead_through_all_entries_while_the_log_grows() {
    let log = TestLog::start().await;
    let signer = Signer::new();
    let mut expected = Vec::new();
    for number in 0..7 {
        expected.push(added(&log, &signer.proposal(&[number])).await);
    }
    for condition in [
        format!("key={}", sha256(signer.pem().as_bytes())),
        "kind=hashedrekord".to_owned(),
        "since=0".to_owned(),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = page(&log, &format!("{condition}&limit=3&cursor={cursor}")).await;
            seen.extend(uuids(&page).into_iter().map(str::to_owned));
            let Some(next) = page["cursor"].as_str() else {
                break;
            };
            cursor = next.to_owned();
            // What comes in meanwhile is newer than the page.
            added(&log, &signer.proposal(&[7])).await;
        }
        seen.reverse();
        let known = expected.iter().cloned().collect::<BTreeSet<_>>();
        let seen_known: Vec<_> = seen
            .iter()
            .filter(|id| known.contains(*id))
            .cloned()
            .collect();
        assert_eq!(seen_known, expected, "{condition}");
        assert_eq!(
            seen.iter().collect::<BTreeSet<_>>().len(),
            seen.len(),
            "each once"
        );
    }
}

#[tokio::test]
async fn frozen_shards_are_searched_and_retrieved_as_well() {
    let log = TestLog::start().await;
    let signer = Signer::new();
    let proposals: Vec<String> = (0..6)
        .map(|number| signer.proposal(&[number / 2]))
        .collect();
    let mut expected = Vec::new();
    for shard in proposals.chunks(2) {
        for proposal in shard {
            expected.push(added(&log, proposal).await);
        }
        log.rotate_v1().await;
    }
    // In the newest shard once more: an entry of its own.
    expected.push(added(&log, &proposals[0]).await);
    assert_eq!(expected[0][16..], expected[6][16..]);
    let trees: BTreeSet<&str> = expected.iter().map(|id| &id[..16]).collect();
    assert_eq!(trees.len(), 4);
    expected.reverse();

    let key = format!("key={}", sha256(signer.pem().as_bytes()));
    for condition in [key.as_str(), "kind=hashedrekord", "since=0"] {
        let (mut seen, mut log_indexes, mut cursor) = (Vec::new(), Vec::new(), String::new());
        loop {
            // Pages end within shards and at their edges.
            let page = page(&log, &format!("{condition}&limit=2&cursor={cursor}")).await;
            seen.extend(uuids(&page).into_iter().map(str::to_owned));
            let entries = page["entries"].as_array().expect("a list").iter();
            log_indexes.extend(entries.map(|entry| entry["logIndex"].as_u64().expect("a number")));
            let Some(next) = page["cursor"].as_str() else {
                break;
            };
            cursor = next.to_owned();
        }
        assert_eq!(
            (seen, log_indexes),
            (expected.clone(), (0..7).rev().collect()),
            "{condition}"
        );
    }
    let found = log
        .post(
            "/api/v1/index/retrieve",
            &json!({"hash": sha256(&[0]).to_string()}).to_string(),
        )
        .await;
    assert_eq!(found.json(), json!([expected[0], expected[5], expected[6]]));
    let key = json!({"content": signer.public_key(), "format": "x509"});
    let found = log
        .post(
            "/api/v1/index/retrieve",
            &json!({"publicKey": key}).to_string(),
        )
        .await;
    assert_eq!(found.json(), json!(expected));
    let wanted = json!({"entryUUIDs": expected, "logIndexes": [0, 3, 6]}).to_string();
    let retrieved = log
        .post("/api/v1/log/entries/retrieve", &wanted)
        .await
        .json();
    let retrieved: Vec<String> = retrieved
        .as_array()
        .expect("a list")
        .iter()
        .map(only_key)
        .collect();
    assert_eq!(
        retrieved,
        [
            &expected[..],
            &[&expected[6], &expected[3], &expected[0]].map(Clone::clone)
        ]
        .concat()
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_said() {
    let log = TestLog::start().await;
    for (query, code, message) in [
        ("kind=bogus", 606, "kind in query should be one of ["),
        (
            "sha512=ab",
            605,
            "sha512 in query should match '^[0-9a-fA-F]{128}$'",
        ),
        (
            "since=soon",
            601,
            "since in query must be of type date-time: \\\"soon\\\"",
        ),
        (
            "workflow=github.com/a/b/c.yml@refs/heads/main",
            605,
            "workflow in query: a workflow is searched without its ref",
        ),
        (
            &"commit=a&".repeat(17),
            611,
            "the query has too many conditions",
        ),
        (
            "cursor=abc",
            605,
            "cursor in query is not one that this ledger gave",
        ),
        (
            "emial=a@b",
            606,
            "\\\"emial\\\" is no parameter of a search, which has [issuer ",
        ),
    ] {
        let answer = log.get(&format!("{SEARCH}?{query}")).await;
        assert_eq!(answer.status, 422, "{query}");
        assert!(
            answer
                .body
                .starts_with(&format!("{{\"code\":{code},\"message\":\"{message}")),
            "{}",
            answer.body
        );
    }
}
