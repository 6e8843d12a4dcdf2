use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use client::{History, ReadError, RekorLog};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use tlog::{Edge, Hash, LeafIndex, TileId, TileTree, TreeSize};

use crate::server::{Server, URL, key, leaf, leaf_hashes, now, signed, trusted};

const V1_ORIGIN: &str = "log.example - 7";

fn log(server: &Server) -> RekorLog<&Server> {
    RekorLog::new(URL, trusted(), server)
}

fn root(hashes: &[Hash]) -> Hash {
    let mut edge = Edge::empty();
    edge.append(hashes);
    edge.root()
}

/// The tile of at most 256 leaves.
fn tiles(hashes: &[Hash]) -> std::collections::HashMap<TileId, std::sync::Arc<TileTree>> {
    let tile = std::sync::Arc::new(TileTree::new(hashes).unwrap());
    std::collections::HashMap::from([(TileId { level: 0, index: 0 }, tile)])
}

fn texts(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(Hash::to_string).collect()
}

/// The answer with one entry.
fn entry(leaves: &str, size: usize, index: usize) -> (String, Value) {
    let hashes = leaf_hashes(leaves, size);
    let proof = tlog::inclusion_proof(
        LeafIndex(index as u64),
        TreeSize(size as u64),
        &tiles(&hashes),
    );
    let body = BASE64_STANDARD.encode(leaf(leaves, index));
    let log_id = key().verifying_key().log_id();
    let payload =
        format!(r#"{{"body":"{body}","integratedTime":9,"logID":"{log_id}","logIndex":{index}}}"#);
    let timestamp = key()
        .sign(payload.as_bytes(), &SystemRandom::new())
        .unwrap();
    let uuid = format!("0000000000000007{}", hashes[index]);
    let entry = json!({&uuid: {
        "body": body, "integratedTime": 9, "logID": log_id.to_string(), "logIndex": index,
        "verification": {
            "inclusionProof": {
                "checkpoint": signed(V1_ORIGIN, "log.example", &hashes), "hashes": texts(&proof.unwrap()),
                "logIndex": index, "rootHash": root(&hashes).to_string(), "treeSize": size,
            },
            "signedEntryTimestamp": BASE64_STANDARD.encode(timestamp),
        },
    }});
    (uuid, entry)
}

/// A log of one tree, with the proof from each smaller size.
fn server(leaves: &str, size: usize) -> Server {
    let mut server = Server::default();
    let hashes = leaf_hashes(leaves, size);
    let head = json!({
        "inactiveShards": null, "rootHash": root(&hashes).to_string(),
        "signedTreeHead": signed(V1_ORIGIN, "log.example", &hashes), "treeID": "7", "treeSize": size,
    });
    server.put("/api/v1/log", head.to_string());
    for last in 1..=size {
        for first in 1..last {
            let (from, to) = (TreeSize(first as u64), TreeSize(last as u64));
            let proof = tlog::consistency_proof(from, to, &tiles(&hashes)).unwrap();
            let path = format!("/api/v1/log/proof?firstSize={first}&lastSize={last}&treeID=7");
            server.put(
                path,
                json!({"rootHash": "", "hashes": texts(&proof)}).to_string(),
            );
        }
    }
    for index in 0..size {
        let (uuid, entry) = entry(leaves, size, index);
        server.put(
            format!("/api/v1/log/entries?logIndex={index}"),
            entry.to_string(),
        );
        server.put(format!("/api/v1/log/entries/{uuid}"), entry.to_string());
        server.put(
            format!("/api/v1/log/entries/{}", &uuid[16..]),
            entry.to_string(),
        );
    }
    server
}

#[test]
fn entries_are_those_that_were_asked_for() {
    let mut server = server("leaf", 5);
    for index in 0..5 {
        let entry = now(log(&server).entry_at(index)).unwrap();
        assert_eq!(entry.body, leaf("leaf", index as usize));
        let uuid = entry.uuid.unwrap();
        assert_eq!(now(log(&server).entry_of(&uuid)).unwrap().log_index, index);
        assert_eq!(
            now(log(&server).entry_of(&uuid[16..])).unwrap().log_index,
            index
        );
    }
    let absent = now(log(&server).entry_at(5)).unwrap_err();
    assert!(matches!(absent, ReadError::Absent(_)));
    // Another entry, true as it is, is not the answer.
    let (uuid, other) = entry("leaf", 5, 2);
    let (asked, _) = entry("leaf", 5, 3);
    server.put("/api/v1/log/entries?logIndex=3", other.to_string());
    server.put(format!("/api/v1/log/entries/{asked}"), other.to_string());
    for error in [
        now(log(&server).entry_at(3)).unwrap_err(),
        now(log(&server).entry_of(&asked)).unwrap_err(),
    ] {
        assert!(error.to_string().contains("it is entry"), "{error}");
    }
    now(log(&server).entry_of(&uuid)).unwrap();
}

#[test]
fn a_head_continues_the_one_before_or_it_is_an_alarm() {
    let history = |seen: &Server, shown: &Server| {
        let seen = now(log(seen).heads()).unwrap().active;
        let head = now(log(shown).heads()).unwrap().active;
        now(log(shown).compare(&seen, &head))
    };
    let same = history(&server("leaf", 4), &server("leaf", 4)).unwrap();
    assert_eq!(same, History::Same);
    for (first, second) in [(1, 2), (3, 7), (4, 9)] {
        let extends = history(&server("leaf", first), &server("leaf", second));
        assert!(matches!(extends, Ok(History::Extends(_))));
        let went_back = history(&server("leaf", second), &server("leaf", first)).unwrap_err();
        assert!(went_back.to_string().contains("went back"), "{went_back}");
        for size in [first, second] {
            let forked = history(&server("leaf", first), &server("fork", size)).unwrap_err();
            assert!(matches!(forked, ReadError::History(_)), "{forked}");
        }
    }
    let mut lagging = server("leaf", 9);
    let old = server("leaf", 4).answers["/api/v1/log"].clone();
    lagging.answers.insert("/api/v1/log".to_owned(), old);
    let older = history(&server("leaf", 9), &lagging);
    assert!(matches!(older, Ok(History::Older(_))));
}

#[test]
fn a_proof_is_verified_with_or_without_the_earlier_root() {
    let server = server("leaf", 9);
    let head = now(log(&server).heads()).unwrap().active;
    for first in 1..=9_u64 {
        let size = TreeSize(first);
        let want = root(&leaf_hashes("leaf", first as usize));
        let given = now(log(&server).consistency(size, Some(want), head.clone()));
        assert_eq!(given.unwrap().first_root, want);
        let derived = now(log(&server).consistency(size, None, head.clone()));
        if first.is_power_of_two() {
            let error = derived.unwrap_err().to_string();
            assert!(error.contains("power of two"), "{error}");
        } else {
            assert_eq!(derived.unwrap().first_root, want);
        }
    }
}

#[test]
fn a_search_gives_ids_alone() {
    let mut server = Server::default();
    let hash = Hash([7; 32]);
    let unsupported = now(log(&server).search(&hash)).unwrap_err();
    assert!(matches!(unsupported, ReadError::Unsupported(_)));
    let id = "0".repeat(80);
    server.put("/api/v1/index/retrieve", json!([id]).to_string());
    assert_eq!(now(log(&server).search(&hash)).unwrap(), [id]);
    for bad in [json!(["../../trust"]), json!({}), json!(["é".repeat(40)])] {
        server.put("/api/v1/index/retrieve", bad.to_string());
        now(log(&server).search(&hash)).unwrap_err();
    }
}
