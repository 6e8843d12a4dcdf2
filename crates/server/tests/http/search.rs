//! `retrieve` and the index.

use serde_json::{Value, json};
use tlog::sha256;

use crate::life::only_key;
use crate::proposal::Signer;
use crate::support::TestLog;

const ENTRIES: &str = "/api/v1/log/entries";
const RETRIEVE: &str = "/api/v1/log/entries/retrieve";
const INDEX: &str = "/api/v1/index/retrieve";

/// A log with entries of one signer; their proposals and IDs.
async fn filled(count: u8) -> (TestLog, Signer, Vec<(String, String)>) {
    let log = TestLog::start().await;
    let signer = Signer::new();
    let mut entries = Vec::new();
    for artifact in 0..count {
        let proposal = signer.proposal(&[artifact]);
        let id = only_key(&log.post(ENTRIES, &proposal).await.json());
        entries.push((proposal, id));
    }
    (log, signer, entries)
}

async fn retrieved(log: &TestLog, target: &str, query: &Value) -> Vec<String> {
    let answer = log.post(target, &query.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
        .json()
        .as_array()
        .expect("a list")
        .iter()
        .map(only_key)
        .collect()
}

async fn found(log: &TestLog, query: Value) -> Vec<String> {
    let answer = log.post(INDEX, &query.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_value(answer.json()).expect("texts")
}

#[tokio::test]
async fn retrieve_keeps_rekors_order_and_leaves_out_what_is_absent() {
    let (log, signer, entries) = filled(5).await;
    let id = |index: usize| entries[index].1.clone();
    let absent: Value = serde_json::from_str(&signer.proposal(b"never sent")).expect("JSON");
    let proposal: Value = serde_json::from_str(&entries[3].0).expect("JSON");
    let other_tree = format!("{:016x}{}", log.v1().tree().id.0 ^ 1, &id(1)[16..]);
    let query = json!({
        "logIndexes": [0, 99, 0],
        "entries": [proposal, absent],
        "entryUUIDs": [id(2)[16..], id(1), "f".repeat(64), other_tree, id(1)],
    });
    // Long IDs, then short ones, then proposals, then log indexes; twice asked for, twice given.
    assert_eq!(
        retrieved(&log, RETRIEVE, &query).await,
        [id(1), id(1), id(2), id(3), id(0), id(0)]
    );
    assert_eq!(
        retrieved(&log, &format!("{RETRIEVE}/"), &query).await.len(),
        6,
        "with a slash, as sigstore-python asks"
    );
    assert!(
        retrieved(&log, RETRIEVE, &json!({"logIndexes": [99]}))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn retrieve_shows_all_entries_under_one_head() {
    let (log, _, entries) = filled(3).await;
    let answer = log.post(RETRIEVE, r#"{"logIndexes":[0,1,2]}"#).await.json();
    let checkpoints =
        answer
            .as_array()
            .expect("a list")
            .iter()
            .zip(&entries)
            .map(|(entry, (_, id))| {
                entry[id]["verification"]["inclusionProof"]["checkpoint"]
                    .as_str()
                    .expect("a note")
            });
    let checkpoints: Vec<&str> = checkpoints.collect();
    assert_eq!(checkpoints.len(), 3);
    assert!(checkpoints.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn retrieve_refuses_ids_of_impossible_trees() {
    let (log, _, entries) = filled(1).await;
    for prefix in ["0000000000000000", "8000000000000000", "FFFFFFFFFFFFFFFF"] {
        let id = format!("{prefix}{}", &entries[0].1[16..]);
        let answer = log
            .post(RETRIEVE, &json!({"entryUUIDs": [id]}).to_string())
            .await;
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.body,
            format!("{{\"code\":400,\"message\":\"invalid entryID {id}\"}}\n")
        );
    }
}

#[tokio::test]
async fn an_entry_is_found_under_each_of_its_keys_newest_first() {
    let (log, signer, entries) = filled(3).await;
    let ids: Vec<String> = entries.iter().rev().map(|(_, id)| id.clone()).collect();
    let key = json!({"format": "x509", "content": signer.public_key()});
    let hash = sha256(&[1]).to_string();
    assert_eq!(found(&log, json!({"publicKey": key})).await, ids);
    for hash in [hash.clone(), hash.to_uppercase(), format!("sha256:{hash}")] {
        assert_eq!(found(&log, json!({"hash": hash})).await, [ids[1].clone()]);
    }
    assert_eq!(
        found(&log, json!({"subject": format!("SHA256:{hash}")})).await,
        [ids[1].clone()],
        "in any case"
    );
    assert_eq!(
        found(
            &log,
            json!({"publicKey": key, "hash": hash, "operator": "and"})
        )
        .await,
        [ids[1].clone()]
    );
    assert_eq!(
        found(&log, json!({"publicKey": key, "hash": hash})).await,
        ids,
        "each once"
    );
    let other = sha256(b"other").to_string();
    assert!(
        found(
            &log,
            json!({"publicKey": key, "hash": other, "operator": "and"})
        )
        .await
        .is_empty()
    );
    assert_eq!(
        found(
            &log,
            json!({"publicKey": key, "hash": other, "operator": "or"})
        )
        .await,
        ids
    );
    assert!(found(&log, json!({"operator": "and"})).await.is_empty());
}
